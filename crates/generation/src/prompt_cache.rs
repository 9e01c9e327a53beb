//! A session's keys and values in a file, so that a text that begins as an earlier one did is not computed again.
//!
//! ```text
//! "sai prompt cache"   16 bytes
//! version              u32, little-endian, as all lengths are
//! length of the facts  u32
//! facts                JSON: the model's identity, its settings, counts
//! tokens               u32 each
//! pages                keys and values of all layers, in the device's own layout
//! SHA-256              of all that comes before
//! ```
//!
//! What a file holds is taken only if every fact is that of the session that asks and the sum is right; else the session
//! stays empty and the error says which it was. A file is replaced by renaming, never in part.

use crate::{Engine, Error, Model};
use sai_decoder::{Pages, Runner};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 16] = b"sai prompt cache";
/// To be raised with any change of the layout, that of the device's pages included.
const VERSION: u32 = 1;
/// Facts are a few hundred bytes.
const LONGEST_FACTS: u32 = 64 << 10;
const SUM: usize = 32;

/// What must be the same for keys and values to mean the same.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    /// See [`identity`].
    model: String,
    cache_type: String,
    context: usize,
    byte_order: String,
    tokens: usize,
    pages: usize,
    page_bytes: usize,
}

impl Facts {
    fn of(model: &Model, runner: &dyn Runner, tokens: usize) -> Facts {
        Facts {
            model: model.identity.clone(),
            cache_type: format!("{:?}", model.cache_type),
            context: model.context,
            byte_order: if cfg!(target_endian = "little") { "little" } else { "big" }.to_owned(),
            tokens,
            pages: tokens.div_ceil(Pages::LENGTH),
            page_bytes: runner.page_bytes(),
        }
    }

    /// Which fact is another than the session's, in words.
    fn difference(&self, ours: &Facts) -> Option<String> {
        if self.model != ours.model {
            Some("was made with another model".to_owned())
        } else if self.cache_type != ours.cache_type {
            Some(format!("holds keys and values as {}, not {}", self.cache_type, ours.cache_type))
        } else if self.context != ours.context {
            Some(format!("was made for a context of {} tokens, not {}", self.context, ours.context))
        } else if self.byte_order != ours.byte_order {
            Some(format!("comes from a {}-endian machine", self.byte_order))
        } else if self != ours {
            Some("has counts that contradict each other".to_owned())
        } else {
            None
        }
    }

    /// Bytes of the whole file.
    fn file_length(&self, facts: u32) -> Option<u64> {
        let pages = (self.pages as u64).checked_mul(self.page_bytes as u64)?;
        let tokens = (self.tokens as u64).checked_mul(4)?;
        pages.checked_add(tokens)?.checked_add((MAGIC.len() + 8 + SUM) as u64 + u64::from(facts))
    }
}

/// What a model is, by contents: its description, the names, types and shapes of its tensors, and bytes of each. Two
/// models that differ in any of these, as two trainings of one shape do, have different identities.
pub(crate) fn identity(config: &sai_decoder::Config, container: &sai_formats::Container) -> String {
    /// Places of a tensor that are looked at, and bytes there.
    const PLACES: usize = 4;
    const BYTES: usize = 256;
    let mut sum = Sha256::new();
    sum.update(format!("{config:?}"));
    for tensor in container.tensors() {
        let data = &tensor.data;
        sum.update(format!("{:?} {} {:?} {}", tensor.name, tensor.dtype, tensor.shape, data.len()));
        for place in 0..PLACES {
            let start = data.len().saturating_sub(BYTES) / (PLACES - 1) * place;
            sum.update(&data[start..data.len().min(start + BYTES)]);
        }
    }
    hex(&sum.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Holds the file that a prompt cache is to be written to against what is there: nothing, an empty file, or a prompt cache
/// of sai, of any version.
///
/// # Errors
/// Something else is there, which would be lost.
pub fn check_prompt_cache_target(path: &Path) -> Result<(), Error> {
    let failed = |e: std::io::Error| fault(path, format!("cannot be looked at: {e}"));
    let there = match path.metadata() {
        Ok(there) => there,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            return match folder.is_dir() {
                true => Ok(()),
                false => {
                    Err(fault(path, format!("cannot be written: there is no folder {}", folder.display())))
                }
            };
        }
        Err(e) => return Err(failed(e)),
    };
    let mut begins = Vec::new();
    if there.is_file() {
        File::open(path)
            .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut begins))
            .map_err(failed)?;
        if begins.is_empty() || begins == MAGIC {
            return Ok(());
        }
    }
    Err(fault(
        path,
        "would replace what is there and is no prompt cache of sai; choose another name".to_owned(),
    ))
}

/// Writes `tokens`, as many of them as the engine keeps, with their keys and values.
pub(crate) fn save(path: &Path, model: &Model, engine: &Engine<'_>, tokens: &[u32]) -> Result<(), Error> {
    let (pages, kept, runner) = engine.kept(tokens);
    let tokens = &tokens[..kept];
    let failed = |e: std::io::Error| fault(path, format!("cannot be written: {e}"));
    check_prompt_cache_target(path)?;
    let folder = folder_of(path);
    let temporary = tempfile::Builder::new().prefix(".sai-").tempfile_in(folder).map_err(failed)?;
    let mut out = Summed { inner: BufWriter::with_capacity(1 << 20, temporary), sum: Sha256::new() };

    let facts = serde_json::to_vec(&Facts::of(model, runner, tokens.len()))
        .map_err(|e| fault(path, format!("cannot be written: {e}")))?;
    out.put(MAGIC).map_err(failed)?;
    out.put(&VERSION.to_le_bytes()).map_err(failed)?;
    out.put(&(facts.len() as u32).to_le_bytes()).map_err(failed)?;
    out.put(&facts).map_err(failed)?;
    for token in tokens {
        out.put(&token.to_le_bytes()).map_err(failed)?;
    }
    let mut bytes = Vec::new();
    for page in pages {
        runner.read_page(page, &mut bytes);
        out.put(&bytes).map_err(failed)?;
    }

    let Summed { mut inner, sum } = out;
    inner.write_all(&sum.finalize()).map_err(failed)?;
    let temporary = inner.into_inner().map_err(|e| failed(e.into_error()))?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Lets an engine that keeps nothing keep what a file holds; returns its tokens. On an error it keeps nothing.
pub(crate) fn load(path: &Path, model: &Model, engine: &mut Engine<'_>) -> Result<Vec<u32>, Error> {
    let read = read(path, model, engine);
    if read.is_err() {
        engine.forget();
    }
    read
}

fn read(path: &Path, model: &Model, engine: &mut Engine<'_>) -> Result<Vec<u32>, Error> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => fault(path, "ends too early".to_owned()),
        _ => fault(path, format!("cannot be read: {e}")),
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut file = Summed { inner: BufReader::with_capacity(1 << 20, file), sum: Sha256::new() };

    let mut magic = [0; MAGIC.len()];
    if length >= MAGIC.len() as u64 {
        file.take(&mut magic).map_err(failed)?;
    }
    if &magic != MAGIC {
        return Err(fault(path, "is no prompt cache of sai".to_owned()));
    }
    let version = file.number().map_err(failed)?;
    if version != VERSION {
        return Err(fault(path, format!("is of version {version}, and this sai reads {VERSION}")));
    }
    let facts_length = file.number().map_err(failed)?;
    if facts_length > LONGEST_FACTS {
        return Err(fault(path, format!("is damaged: its facts are {facts_length} bytes long")));
    }
    let mut facts = vec![0; facts_length as usize];
    file.take(&mut facts).map_err(failed)?;
    let facts: Facts =
        serde_json::from_slice(&facts).map_err(|e| fault(path, format!("is damaged: its facts: {e}")))?;
    let tokens = facts.tokens.min(model.context.saturating_add(Pages::LENGTH));
    let (_, _, runner) = engine.kept(&[]);
    if let Some(difference) = facts.difference(&Facts::of(model, runner, tokens)) {
        return Err(fault(path, difference));
    }
    if facts.file_length(facts_length) != Some(length) {
        return Err(fault(
            path,
            format!("is damaged: it is {length} bytes long, which its facts contradict"),
        ));
    }
    if facts.tokens > model.context {
        return Err(fault(path, format!("holds {} tokens, more than the context", facts.tokens)));
    }

    let mut tokens = Vec::with_capacity(facts.tokens);
    for _ in 0..facts.tokens {
        tokens.push(file.number().map_err(failed)?);
    }
    engine.keep(&tokens, &mut |page| file.take(page).map_err(failed))?;
    let Summed { mut inner, sum } = file;
    let mut wanted = [0; SUM];
    inner.read_exact(&mut wanted).map_err(failed)?;
    let vocab_size = model.decoder.config().vocab_size;
    if sum.finalize()[..] != wanted || tokens.iter().any(|&token| token as usize >= vocab_size) {
        return Err(fault(path, "is damaged: its checksum is wrong".to_owned()));
    }
    Ok(tokens)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn fault(path: &Path, fact: String) -> Error {
    Error::PromptCache { path: path.to_path_buf(), fact }
}

/// A file and the sum of what has passed.
struct Summed<F> {
    inner: F,
    sum: Sha256,
}

impl<F: Write> Summed<F> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<F: Read> Summed<F> {
    fn take(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn number(&mut self) -> std::io::Result<u32> {
        let mut bytes = [0; 4];
        self.take(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}
