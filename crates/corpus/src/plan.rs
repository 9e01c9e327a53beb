//! What a build does, and where: the files of its sources in units, and the folder that everything is in.
//!
//! | | |
//! | --- | --- |
//! | `shard-00000.jsonl.zst`, … | what the build makes |
//! | `manifest.json` | counts, parameters, licences and checksums; written last, so that with it the corpus is whole |
//! | `.build/plan.json` | the recipe with everything that was left out in it, and the files |
//! | `.build/map/UNIT-PART.parquet` | clean documents of a part of a unit |
//! | `.build/map/UNIT-PART.keys` | their keys, a Parquet table without text |
//! | `.build/map/UNIT-PART.json`, `UNIT.json` | a part, or a unit, is done, and what it came to |
//! | `.build/fates/UNIT` | which documents stay and which lines are cut, a Parquet table |
//! | `.build/keys.json` | the second and third step are done |
//! | `.build/mix.json` | which parts a shard is made of |
//! | `.build/write/SHARD.json` | a shard is done |

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::recipe::Recipe;
use crate::sources::{Format, Settings, format_of};

/// Raised when what a step makes changes, so that nothing of an older sai is taken for what this one makes.
const VERSION: u32 = 1;
/// Small files are read together, up to so many bytes.
const UNIT: u64 = 64 << 20;
/// Files of a unit at most.
const FILES: usize = 4096;

/// Files of a source that one worker reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The source's place in the recipe.
    pub source: usize,
    /// What the files are.
    pub format: Format,
    /// The files, in their order.
    pub files: Vec<InputFile>,
}

/// A file, and what tells that it is still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub modified: u64,
}

impl Unit {
    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A build: a recipe, its files, and where it is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The recipe.
    pub recipe: Recipe,
    /// The folder that its relative inputs are in.
    pub near: PathBuf,
    /// The folder of the corpus.
    pub folder: PathBuf,
    /// The files.
    pub units: Vec<Unit>,
    /// Files in the sources' folders that are not read.
    pub left_out: Vec<PathBuf>,
    /// Files that the rules need: lists of words, classifiers, a model of languages.
    pub resources: Vec<InputFile>,
}

impl Plan {
    /// Finds the files of a recipe whose relative inputs are in `near`, for a corpus in `folder`. Files of sources of the
    /// Hub are looked up by `fetch`, which gives their local paths.
    ///
    /// # Errors
    /// Inputs that name nothing, or files that are nothing that is read.
    pub fn new(
        recipe: Recipe,
        near: &Path,
        folder: &Path,
        fetch: &mut dyn FnMut(&crate::Source) -> Result<Vec<PathBuf>, Error>,
    ) -> Result<Plan, Error> {
        let mut units = Vec::new();
        let mut left_out = Vec::new();
        for (number, source) in recipe.sources.iter().enumerate() {
            let files = match &source.hub {
                Some(_) => fetch(source)?,
                None => inputs(&source.input, near, source.format, &mut left_out)?,
            };
            let mut open: Option<Unit> = None;
            for path in files {
                let format = match source.format {
                    Some(format) => format,
                    None => format_of(&path)?.ok_or_else(|| {
                        Error::file(
                            &path,
                            format!(
                                "nothing tells what it is; name the `format` of source `{}`",
                                source.name
                            ),
                        )
                    })?,
                };
                let file = input_file(path)?;
                let fits = open.as_ref().is_some_and(|unit| {
                    unit.format == format && unit.files.len() < FILES && unit.bytes() + file.bytes <= UNIT
                });
                if !fits {
                    units.extend(open.take());
                }
                open.get_or_insert_with(|| Unit { source: number, format, files: Vec::new() })
                    .files
                    .push(file);
            }
            units.extend(open);
        }
        let sets = recipe.clean.iter().flat_map(|set| [&set.words, &set.classifier]);
        let named = sets.chain([&recipe.fasttext]).flatten();
        let resources = named.map(|name| input_file(near.join(name))).collect::<Result<_, _>>()?;
        Ok(Plan { recipe, near: near.to_owned(), folder: folder.to_owned(), units, left_out, resources })
    }

    /// How a unit is read.
    pub(crate) fn settings(&self, unit: &Unit) -> Settings {
        let source = &self.recipe.sources[unit.source];
        let longest = usize::try_from(source.longest).unwrap_or(usize::MAX);
        Settings { format: unit.format, columns: source.columns(), longest }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.units.iter().map(Unit::bytes).sum()
    }

    /// Bytes of the disk that a build takes about, its corpus and what it keeps to go on: what the files would be as
    /// compressed text, three times, and their keys.
    pub fn disk(&self) -> u64 {
        let of_unit = |unit: &Unit| {
            let compressed = |file: &InputFile| {
                let name = file.path.to_string_lossy().to_ascii_lowercase();
                [".gz", ".zst", ".zstd", ".bz2", ".parquet"].iter().any(|end| name.ends_with(end))
            };
            let packed = |file: &InputFile| if compressed(file) { file.bytes } else { file.bytes / 3 };
            let bytes: u64 = unit.files.iter().map(packed).sum();
            // Of pages about a sixth is text.
            match unit.format {
                Format::Warc | Format::Html => bytes / 6,
                _ => bytes,
            }
        };
        (self.units.iter().map(of_unit).sum::<u64>() * 7).div_ceil(2) + (1 << 20)
    }

    /// Where what a build keeps to go on is.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.join(".build")
    }

    pub(crate) fn map_file(&self, unit: usize, part: Option<u32>, end: &str) -> PathBuf {
        let name = match part {
            Some(part) => format!("{unit:06}-{part:05}{end}"),
            None => format!("{unit:06}{end}"),
        };
        self.work().join("map").join(name)
    }

    pub(crate) fn fates_file(&self, unit: usize) -> PathBuf {
        self.work().join("fates").join(format!("{unit:06}"))
    }

    pub(crate) fn write_file(&self, shard: usize) -> PathBuf {
        self.work().join("write").join(format!("{shard:05}.json"))
    }

    /// The name of a shard.
    pub(crate) fn shard_name(&self, shard: usize) -> String {
        format!("shard-{shard:05}.{}", self.recipe.output.format.extension())
    }

    /// Says by what a unit's part of the first step is decided.
    pub(crate) fn map_print(&self, unit: &Unit) -> String {
        let Recipe { sources, clean, duplicates, fasttext, .. } = &self.recipe;
        let (source, lines, minhash) = (&sources[unit.source], &duplicates.lines, &duplicates.minhash);
        let cut = (lines.documents > 0, lines.shortest);
        fingerprint(&(VERSION, "map", unit, source, clean, fasttext, minhash, cut, &self.resources))
    }

    /// By what the second and the third are.
    pub(crate) fn keys_print(&self) -> String {
        let maps: Vec<String> = self.units.iter().map(|unit| self.map_print(unit)).collect();
        fingerprint(&(VERSION, "keys", maps, &self.recipe.duplicates))
    }

    /// By what the fourth is.
    pub(crate) fn write_print(&self) -> Result<String, Error> {
        let Recipe { seed, decontamination, mixture, output, sources, .. } = &self.recipe;
        let sets = self.recipe.evaluation_sets(&self.near)?;
        let sets = sets.into_iter().map(input_file).collect::<Result<Vec<_>, _>>()?;
        Ok(fingerprint(&(
            VERSION,
            "write",
            self.keys_print(),
            seed,
            decontamination,
            mixture,
            output,
            sources,
            sets,
        )))
    }

    /// Makes the folder, and writes into it what is to be built.
    ///
    /// # Errors
    /// A folder that holds something else; a disk that refuses.
    pub fn begin(&self) -> Result<(), Error> {
        let folder = &self.folder;
        let work = self.work();
        if folder.is_file() {
            return Err(Error::file(folder, "it is a file; name a folder for the corpus"));
        }
        let mut there = folder.read_dir().into_iter().flatten().flatten();
        if !work.is_dir() && there.any(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
            return Err(Error::file(
                folder,
                "the folder is there, and no corpus that sai builds; name another one",
            ));
        }
        for name in ["map", "fates", "write", "keys"] {
            let path = work.join(name);
            std::fs::create_dir_all(&path).map_err(|source| Error::write(&path, source))?;
        }
        #[derive(Serialize)]
        struct Written<'p> {
            version: u32,
            sai: &'static str,
            recipe: &'p Recipe,
            near: &'p Path,
            units: &'p [Unit],
            resources: &'p [InputFile],
        }
        let Plan { recipe, near, units, resources, .. } = self;
        let sai = env!("CARGO_PKG_VERSION");
        let written = Written { version: VERSION, sai, recipe, near, units, resources };
        write_json(&work.join("plan.json"), &written)
    }
}

/// A number that stands for a value.
fn fingerprint(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(&text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::file(path, format!("it cannot be said in JSON: {e}")))?;
    text.push(b'\n');
    Ok(sai_documents::write_whole(path, &text)?)
}

/// What a file of JSON holds; nothing where there is no such file, or another form of it.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn input_file(path: PathBuf) -> Result<InputFile, Error> {
    // The same file is the same from whichever folder a build is started; links of a cache keep their names.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    };
    let found = std::fs::metadata(&path).map_err(|source| Error::read(&path, source))?;
    let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
    Ok(InputFile { path, bytes: found.len(), modified })
}

/// The files that inputs name: of folders those of documents, or of the web where `format` says so.
fn inputs(
    inputs: &[String],
    near: &Path,
    format: Option<Format>,
    left_out: &mut Vec<PathBuf>,
) -> Result<Vec<PathBuf>, Error> {
    let named: Vec<String> =
        inputs.iter().map(|input| near.join(input).to_string_lossy().into_owned()).collect();
    let is_web = |format: Option<Format>| matches!(format, Some(Format::Warc | Format::Html | Format::Wiki));
    let mut files = Vec::new();
    for input in &named {
        let path = Path::new(input);
        if path.is_dir() && (is_web(format) || format.is_none()) {
            let mut found = web_files(path, format)?;
            if !found.is_empty() {
                files.append(&mut found);
                continue;
            }
        }
        let mut found = sai_documents::find_files(std::slice::from_ref(input))?;
        files.append(&mut found.files);
        left_out.append(&mut found.left_out);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// The files of the web in a folder and below it, by their names.
fn web_files(folder: &Path, format: Option<Format>) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let hidden =
        |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    for entry in
        walkdir::WalkDir::new(folder).follow_links(true).into_iter().filter_entry(|entry| !hidden(entry))
    {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(folder).to_owned();
            Error::read(&path, e.into())
        })?;
        if !entry.file_type().is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        let plain = [".gz", ".bz2", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        let found = match plain.rsplit_once('.').map(|(_, end)| end) {
            Some("warc" | "wet") => Format::Warc,
            Some("html" | "htm" | "xhtml") => Format::Html,
            Some("xml") => Format::Wiki,
            _ => continue,
        };
        if format.is_none_or(|format| format == found) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}
