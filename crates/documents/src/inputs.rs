//! From what a person names to the files to read.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::corpus_folder;
use crate::error::Error;

/// What files are read by their names' last parts, before `.gz` or `.zst`: tables and lines, which say what they hold.
const DATA: &[&str] = &["jsonl", "ndjson", "json", "parquet"];
/// Those of text, of which a file may be anything, such as what is said about the data beside it.
const TEXT: &[&str] = &["txt", "text", "md"];
/// Files of a Hub clone that are about the data, whatever their names end in.
const ABOUT: &[&str] = &[
    "readme.md",
    "config.json",
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "metadata.json",
    "state.json",
];

/// What inputs name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFiles {
    /// Files to read, sorted by path, each once.
    pub files: Vec<PathBuf>,
    /// Files in the same folders that are not read, sorted by path. Hidden ones are not listed.
    pub left_out: Vec<PathBuf>,
}

/// The names of files, for a person: `README.md, LICENSE and 3 more`. `None` where there are none.
pub fn file_names(paths: &[PathBuf]) -> Option<String> {
    const SHOWN: usize = 5;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = paths.iter().take(SHOWN).map(name).collect();
    let more = paths.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| names.join(", ") + &more)
}

/// The files that `inputs` name, sorted by path, each once: [`find_files`] without what it leaves out.
///
/// # Errors
/// An input that names no file, or that cannot be looked at.
pub fn find<S: AsRef<str>>(inputs: &[S]) -> Result<Vec<PathBuf>, Error> {
    Ok(find_files(inputs)?.files)
}

/// The files that `inputs` name, and what stands beside them in their folders.
///
/// An input is a file, a folder, or a glob such as `web/*/part-*.jsonl.zst`. Of a folder and all below it are read the
/// files of JSONL and Parquet; where it has none, those of text. The card, the licence and the descriptions in a clone of
/// a data set of the Hub are none of its data. Hidden files are passed over. Of a folder that `sai corpus build` made are read the
/// files that its manifest names, none of which may be missing or of another length.
///
/// # Errors
/// An input that names no file, or that cannot be looked at.
pub fn find_files<S: AsRef<str>>(inputs: &[S]) -> Result<InputFiles, Error> {
    let mut all = InputFiles::default();
    for input in inputs.iter().map(AsRef::as_ref) {
        let path = Path::new(input);
        let wrong = |fact: String| Error::Input { input: input.to_owned(), fact };
        let found = if path.is_dir() {
            of_folder(path)?
        } else if path.exists() {
            InputFiles { files: vec![path.to_owned()], left_out: Vec::new() }
        } else if input.contains(['*', '?', '[']) {
            let paths = glob::glob(input).map_err(|e| wrong(format!("no pattern of file names: {e}")))?;
            let mut named = Vec::new();
            let mut found = InputFiles::default();
            for path in paths {
                let path = path.map_err(|e| Error::Read { path: e.path().to_owned(), source: e.into() })?;
                if path.is_dir() {
                    found.extend(of_folder(&path)?);
                } else {
                    named.push(path);
                }
            }
            found.extend(without_about(named));
            found
        } else {
            return Err(wrong("no such file or folder".to_owned()));
        };
        if found.files.is_empty() {
            let beside =
                file_names(&found.left_out).map_or_else(String::new, |names| format!(" (there is {names})"));
            let ends = [DATA, TEXT].concat().join(", ");
            return Err(wrong(format!("no files of documents there{beside}; their names end in {ends}")));
        }
        all.extend(found);
    }
    for paths in [&mut all.files, &mut all.left_out] {
        paths.sort();
        paths.dedup();
    }
    let InputFiles { files, left_out } = &mut all;
    // What one input leaves out another may name.
    left_out.retain(|path| files.binary_search(path).is_err());
    Ok(all)
}

impl InputFiles {
    fn extend(&mut self, other: InputFiles) {
        self.files.extend(other.files);
        self.left_out.extend(other.left_out);
    }
}

/// The files of a folder. Those of a corpus are the ones that its manifest names, and nothing of them may be missing.
fn of_folder(folder: &Path) -> Result<InputFiles, Error> {
    match corpus_folder::shards(folder)? {
        Some(files) => Ok(InputFiles { files, left_out: Vec::new() }),
        None => choose(walk(folder)?),
    }
}

/// All files of a folder and below it but hidden ones.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let hidden = |name: &OsStr| name.to_string_lossy().starts_with('.');
    let entries = WalkDir::new(folder).follow_links(true).into_iter();
    let mut files = Vec::new();
    for entry in entries.filter_entry(|e| e.depth() == 0 || !hidden(e.file_name())) {
        let entry = entry
            .map_err(|e| Error::Read { path: e.path().unwrap_or(folder).to_owned(), source: e.into() })?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Which files of a folder are its data.
fn choose(files: Vec<PathBuf>) -> Result<InputFiles, Error> {
    let mut data = Vec::new();
    let (mut texts, mut left_out) = (Vec::new(), Vec::new());
    for path in files {
        let kind = kind(&path);
        if is_about(&path) {
            left_out.push(path);
        } else if TEXT.contains(&kind.as_str()) {
            texts.push(path);
        } else if DATA.contains(&kind.as_str()) || is_parquet(&path)? {
            data.push(path);
        } else {
            left_out.push(path);
        }
    }
    if data.is_empty() {
        return Ok(InputFiles { files: texts, left_out });
    }
    left_out.append(&mut texts);
    Ok(InputFiles { files: data, left_out })
}

/// What a glob names, but what is about the data where there are data.
fn without_about(files: Vec<PathBuf>) -> InputFiles {
    let is_data = |path: &PathBuf| DATA.contains(&kind(path).as_str()) && !is_about(path);
    if !files.iter().any(is_data) {
        return InputFiles { files, left_out: Vec::new() };
    }
    let (left_out, files) = files.into_iter().partition(|path| is_about(path));
    InputFiles { files, left_out }
}

fn is_about(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ABOUT.contains(&name.as_str())
}

/// Whether a file is a Parquet table, whatever its name: it begins as one.
///
/// # Errors
/// It cannot be read.
pub fn is_parquet(path: &Path) -> Result<bool, Error> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let mut magic = Vec::new();
    File::open(path).map_err(fail)?.take(4).read_to_end(&mut magic).map_err(fail)?;
    Ok(magic == b"PAR1")
}

/// What a file's name says that it holds: `jsonl` of `a/b.jsonl.zst`.
pub(crate) fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain = [".zst", ".zstd", ".gz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    plain.rsplit_once('.').map(|(_, kind)| kind.to_owned()).unwrap_or_default()
}
