//! A run at rest: a Hugging Face folder of the weights, and beside them all that going on bit for bit needs.
//!
//! A checkpoint is the folder `checkpoints/step-…` with `config.json`, `model.safetensors` and the tokenizer's files,
//! which other programs read, and `optimizer.safetensors` and `state.json`, which is written last and has the length and
//! checksum of every other file. Of an adapter it has `adapter_config.json` and `adapter_model.safetensors`. The folder grows under another name and takes its own when all of it is on the disk.

use crate::Error;
use crate::batch::Position;
use crate::ranks::Team;
use sai_decoder::Config;
use sai_decoder::training::{Model, Moments, Training};
use sai_formats::{Bytes, DType, FolderWriter, TensorSpec, safetensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Version of the state's file.
const FORMAT: u32 = 3;
/// The folder of checkpoints in a run's.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
const STATE: &str = "state.json";
const WEIGHTS: &str = "model.safetensors";
const ADAPTER: &str = "adapter_model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
/// What a checkpoint that goes is called until it is gone; and what begins the names of unfinished ones.
const GONE: &str = ".sai-gone-";
const UNFINISHED: &str = ".sai-";
/// Values that are copied at a time.
const CHUNK: usize = 1 << 18;

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) format: u32,
    /// Steps that were made.
    pub(crate) step: u64,
    /// Rows that were read.
    pub(crate) tokens: u64,
    /// Where the data goes on.
    pub(crate) position: Position,
    /// The newest losses, against which leaps are told.
    pub(crate) recent: Vec<f32>,
    /// Times that the run went back since the checkpoint before.
    pub(crate) rewinds: u32,
    /// Seconds that the run has taken.
    pub(crate) seconds: f64,
    /// Loss of the newest validation, over all languages.
    pub(crate) validation_loss: Option<f64>,
    /// Checksum of the weights that the run began from, where it needs them to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<u32>,
    /// The other files.
    pub(crate) files: BTreeMap<String, FileChecksum>,
}

impl State {
    pub(crate) fn new(position: Position) -> State {
        State {
            format: FORMAT,
            step: 0,
            tokens: 0,
            position,
            recent: Vec::new(),
            rewinds: 0,
            seconds: 0.0,
            validation_loss: None,
            base: None,
            files: BTreeMap::new(),
        }
    }
}

/// What a file must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileChecksum {
    bytes: u64,
    crc32c: u32,
}

/// What [`Checkpoints::newest`] finds.
pub(crate) struct LatestCheckpoint {
    /// The folder, and what it is a checkpoint of.
    pub(crate) whole: Option<(PathBuf, State)>,
    /// What is said of newer ones that are not whole.
    pub(crate) broken: Vec<String>,
}

/// The checkpoints of a run.
pub(crate) struct Checkpoints {
    run: PathBuf,
    folder: PathBuf,
    keep_last: usize,
    keep_best: usize,
    /// Small files that make a folder of weights a model: `config.json` and those of the tokenizer.
    beside: Vec<(String, Vec<u8>)>,
}

impl Checkpoints {
    /// Those of the run in `run`. What an interrupted run left half written or half removed goes.
    pub(crate) fn open(
        run: &Path,
        keep: (usize, usize),
        beside: Vec<(String, Vec<u8>)>,
    ) -> Result<Checkpoints, Error> {
        let found = Checkpoints::of_first(run, keep, beside);
        fs::create_dir_all(&found.folder).map_err(|e| Error::io(&found.folder, "make the folder", e))?;
        for name in found.names()?.iter().filter(|name| name.starts_with(UNFINISHED)) {
            let path = found.folder.join(name);
            fs::remove_dir_all(&path).map_err(|e| Error::io(&path, "remove the folder", e))?;
        }
        Ok(found)
    }

    /// Those that the first rank keeps, for the others to read.
    pub(crate) fn of_first(run: &Path, keep: (usize, usize), beside: Vec<(String, Vec<u8>)>) -> Checkpoints {
        let folder = run.join(CHECKPOINTS);
        Checkpoints { run: run.to_owned(), folder, keep_last: keep.0, keep_best: keep.1, beside }
    }

    /// The checkpoint of a step, which the first rank has found whole.
    pub(crate) fn at(&self, step: u64) -> Result<(PathBuf, State), Error> {
        let path = self.folder.join(name(step));
        let text =
            fs::read(path.join(STATE)).map_err(|e| Error::io(&path, "read what the first rank read", e))?;
        let state =
            serde_json::from_slice(&text).map_err(|e| Error::io(&path, "read the state", e.into()))?;
        Ok((path, state))
    }

    /// The newest checkpoint that is whole.
    pub(crate) fn newest(&self) -> Result<LatestCheckpoint, Error> {
        let mut broken = Vec::new();
        for (_, path) in self.steps()?.into_iter().rev() {
            match checked(&path) {
                Ok(state) => return Ok(LatestCheckpoint { whole: Some((path, state)), broken }),
                Err(fact) => broken.push(format!("{}: {fact}; it is passed over", path.display())),
            }
        }
        Ok(LatestCheckpoint { whole: None, broken })
    }

    /// Whether there are any, whole or not.
    pub(crate) fn any(&self) -> Result<bool, Error> {
        Ok(!self.steps()?.is_empty())
    }

    /// Writes a checkpoint, and removes those that need not be kept. Returns its folder. The first rank writes, and every one
    /// gives the moments that it has.
    pub(crate) fn write<D: Training>(
        &self,
        state: &mut State,
        model: &Model<D>,
        moments: &Moments<D>,
        team: &Team<'_>,
    ) -> Result<PathBuf, Error> {
        let target = self.folder.join(name(state.step));
        if !team.first() {
            each_moment(model, moments, team, &mut |_| Ok(()))?;
            return Ok(target);
        }
        if target.exists() {
            // Of a run that went back, or damaged.
            self.remove(&target)?;
        }
        let folder = FolderWriter::start(&target, false)?;
        for (name, bytes) in &self.beside {
            folder.add(name, bytes)?;
        }
        let weights = weights_of(model);
        match &model.adapter {
            Some(adapter) => adapter.save(&model.device, &folder.path().join(weights))?,
            None => model.save(&folder.path().join(weights), DType::F32)?,
        }
        save_moments(&folder.path().join(OPTIMIZER), model, moments, team)?;
        state.files.clear();
        for name in self.beside.iter().map(|(name, _)| name.as_str()).chain([weights, OPTIMIZER]) {
            state.files.insert(name.to_owned(), sum(&folder.path().join(name))?);
        }
        let text =
            serde_json::to_vec_pretty(&state).map_err(|e| Error::io(&target, "write the state", e.into()))?;
        folder.add(STATE, &text)?;
        folder.finish()?;
        // The run went on from an older one, so later ones are damaged: they would count as the newest.
        for (_, later) in self.steps()?.iter().filter(|(step, _)| *step > state.step) {
            self.set_aside(later)?;
        }
        self.point_at(&target)?;
        self.prune()?;
        Ok(target)
    }

    /// Sets weights and moments to those of a checkpoint.
    pub(crate) fn load<D: Training>(
        &self,
        path: &Path,
        state: &State,
        model: &mut Model<D>,
        moments: &mut Moments<D>,
    ) -> Result<(), Error> {
        let weights = safetensors::open(&path.join(weights_of(model)))?;
        let Model { device, layout, parameters, adapter, .. } = &mut *model;
        let (placed, arena) = match adapter {
            Some(adapter) => (adapter.tensors.as_slice(), &mut adapter.parameters),
            None => (layout.tensors(), parameters),
        };
        for placed in placed {
            let values = tensor(&weights, path, &placed.name, placed.view.range().len())?;
            write_values(device, arena, placed.view.start, &values);
            values.release();
        }
        let optimizer = safetensors::open(&path.join(OPTIMIZER))?;
        for (name, buffer) in [("first", &mut moments.first), ("second", &mut moments.second)] {
            let values = tensor(&optimizer, path, name, model.trained())?;
            write_values(&model.device, buffer, 0, &values[4 * moments.range.start..4 * moments.range.end]);
            values.release();
        }
        moments.steps = state.step;
        Ok(())
    }

    /// `model` in the run's folder is the newest checkpoint, where the system has links.
    pub(crate) fn point_at(&self, target: &Path) -> Result<(), Error> {
        #[cfg(unix)]
        if let Some(name) = target.file_name() {
            let (link, new) = (self.run.join("model"), self.run.join(".sai-model"));
            let _ = fs::remove_file(&new);
            std::os::unix::fs::symlink(Path::new(CHECKPOINTS).join(name), &new)
                .and_then(|()| fs::rename(&new, &link))
                .map_err(|e| Error::io(&link, "point at the newest checkpoint", e))?;
        }
        Ok(())
    }

    /// Removes all but the newest and the best.
    fn prune(&self) -> Result<(), Error> {
        let all = self.steps()?;
        let (older, _) = all.split_at(all.len().saturating_sub(self.keep_last));
        let loss = |path: &Path| {
            let state: State = serde_json::from_slice(&fs::read(path.join(STATE)).ok()?).ok()?;
            state.validation_loss
        };
        let mut best: Vec<(f64, &Path)> =
            all.iter().filter_map(|(_, path)| Some((loss(path)?, path.as_path()))).collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        best.truncate(self.keep_best);
        for (_, path) in older.iter().filter(|(_, path)| !best.iter().any(|(_, kept)| kept == path)) {
            self.remove(path)?;
        }
        Ok(())
    }

    /// Removes a checkpoint in one step; what is left of it has no name that counts.
    fn remove(&self, path: &Path) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let gone = self.folder.join(format!("{GONE}{name}"));
        let remove = || {
            fs::rename(path, &gone)?;
            fs::remove_dir_all(&gone)
        };
        remove().map_err(|e| Error::io(path, "remove the old checkpoint", e))
    }

    /// Gives a damaged checkpoint a name that does not count, for a person to look at.
    fn set_aside(&self, path: &Path) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.folder.join(format!("damaged-{name}"));
        let rename = || {
            if aside.exists() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(path, &aside)
        };
        rename().map_err(|e| Error::io(path, "set the damaged checkpoint aside", e))
    }

    /// The checkpoints by their steps, ascending.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, Error> {
        let step = |name: &String| Some((name.strip_prefix("step-")?.parse().ok()?, self.folder.join(name)));
        let mut steps: Vec<(u64, PathBuf)> = self.names()?.iter().filter_map(step).collect();
        steps.sort();
        Ok(steps)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let read = || -> std::io::Result<Vec<String>> {
            fs::read_dir(&self.folder)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect()
        };
        read().map_err(|e| Error::io(&self.folder, "read the folder", e))
    }
}

/// The file of what is trained.
fn weights_of<D: Training>(model: &Model<D>) -> &'static str {
    if model.adapter.is_some() { ADAPTER } else { WEIGHTS }
}

/// The files of a model besides its weights. `end` is the token that ends a text.
pub(crate) fn beside(
    config: &Config,
    end: Option<u32>,
    tokenizer: Vec<(String, Vec<u8>)>,
    path: &Path,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut described = config.to_json(path)?;
    if let Some(end) = end {
        described.insert("eos_token_id".to_owned(), end.into());
    }
    described.insert("torch_dtype".to_owned(), "float32".into());
    let text = format!("{:#}\n", serde_json::Value::Object(described));
    let mut files = vec![("config.json".to_owned(), text.into_bytes())];
    files.extend(tokenizer);
    Ok(files)
}

/// The checksum of the weights that the run of a checkpoint began from, where it has one.
pub(crate) fn recorded_base(checkpoint: &Path) -> Option<u32> {
    let state: State = serde_json::from_slice(&fs::read(checkpoint.join(STATE)).ok()?).ok()?;
    state.base
}

/// The state of a checkpoint whose files are all as they were written.
fn checked(path: &Path) -> Result<State, String> {
    let text = fs::read(path.join(STATE)).map_err(|e| format!("has no readable {STATE} ({e})"))?;
    let state: State = serde_json::from_slice(&text).map_err(|e| format!("{STATE} is damaged ({e})"))?;
    if state.format != FORMAT {
        return Err(format!("is of format {}, and this sai reads {FORMAT}", state.format));
    }
    for (name, expected) in &state.files {
        let found = sum(&path.join(name)).map_err(|e| e.to_string())?;
        if found != *expected {
            return Err(format!("{name} differs from its checksum"));
        }
    }
    Ok(state)
}

fn sum(path: &Path) -> Result<FileChecksum, Error> {
    let read = || -> std::io::Result<FileChecksum> {
        let file = fs::File::open(path)?;
        let bytes = file.metadata()?.len();
        let mapped = if bytes == 0 { Bytes::from_vec(Vec::new()) } else { Bytes::map(&file)? };
        let crc32c = mapped.chunks(1 << 24).fold(0, crc32c::crc32c_append);
        mapped.release();
        Ok(FileChecksum { bytes, crc32c })
    };
    read().map_err(|e| Error::io(path, "read the file", e))
}

/// The name of a step's checkpoint.
fn name(step: u64) -> String {
    format!("step-{step:09}")
}

fn save_moments<D: Training>(
    path: &Path,
    model: &Model<D>,
    moments: &Moments<D>,
    team: &Team<'_>,
) -> Result<(), Error> {
    let n = model.trained();
    let spec = |name: &str| TensorSpec { name: name.to_owned(), dtype: DType::F32, shape: vec![n] };
    let mut writer = safetensors::create(path, &[], vec![spec("first"), spec("second")])?;
    let mut bytes = Vec::with_capacity(4 * CHUNK.min(n));
    each_moment(model, moments, team, &mut |values| {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        Ok(writer.write(&bytes)?)
    })?;
    Ok(writer.finish()?)
}

/// Reads the first moments of all parameters in order, and then the second, each from the rank that has it. The file's
/// order is the same, by name.
fn each_moment<D: Training>(
    model: &Model<D>,
    moments: &Moments<D>,
    team: &Team<'_>,
    on: &mut dyn FnMut(&[f32]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut values = vec![0.0f32; CHUNK.min(model.trained())];
    for buffer in [&moments.first, &moments.second] {
        for (owner, piece) in team.pieces(CHUNK) {
            let values = &mut values[..piece.len()];
            if moments.range.contains(&piece.start) {
                model.device.read(buffer, piece.start - moments.range.start, values);
            }
            team.broadcast(owner, values)?;
            on(values)?;
        }
    }
    Ok(())
}

/// The bytes of an f32 tensor of so many values.
fn tensor(tensors: &sai_formats::Tensors, path: &Path, name: &str, n: usize) -> Result<Bytes, Error> {
    match tensors.get(name) {
        Some(tensor) if tensor.dtype == DType::F32 && tensor.elements() == n => Ok(tensor.data.clone()),
        _ => {
            let fact = format!("has no tensor `{name}` of {n} values; it is of another model");
            Err(Error::Data { path: path.to_owned(), fact })
        }
    }
}

fn write_values<D: Training>(device: &D, buffer: &mut D::Buffer, start: usize, bytes: &[u8]) {
    for (i, bytes) in bytes.chunks(4 * CHUNK).enumerate() {
        let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        device.write(buffer, start + i * CHUNK, &values);
    }
}
