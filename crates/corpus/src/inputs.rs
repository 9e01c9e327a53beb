//! From what a person names to the files to read.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::error::Error;

/// What files of a folder are read by their names' last parts, before `.gz` or `.zst`.
const KNOWN: &[&str] = &["jsonl", "ndjson", "json", "parquet", "txt", "text", "md"];

/// The files that `inputs` name, sorted by path, each once.
///
/// An input is a file, a folder (all files in it and below whose names end as those of documents do, hidden ones left
/// out), or a glob such as `web/*/part-*.jsonl.zst`.
///
/// # Errors
/// An input that names no file, or that cannot be looked at.
pub fn find<S: AsRef<str>>(inputs: &[S]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for input in inputs.iter().map(AsRef::as_ref) {
        let before = files.len();
        let path = Path::new(input);
        if path.is_dir() {
            walk(path, &mut files)?;
        } else if path.exists() {
            files.push(path.to_owned());
        } else if input.contains(['*', '?', '[']) {
            let wrong = |fact: String| Error::Input { input: input.to_owned(), fact };
            let paths = glob::glob(input).map_err(|e| wrong(format!("no pattern of file names: {e}")))?;
            for found in paths {
                let path = found.map_err(|e| Error::Read { path: e.path().to_owned(), source: e.into() })?;
                if path.is_dir() {
                    walk(&path, &mut files)?;
                } else {
                    files.push(path);
                }
            }
        } else {
            return Err(Error::Input { input: input.to_owned(), fact: "no such file or folder".to_owned() });
        }
        if files.len() == before {
            let fact = format!("no files of documents there; their names end in {}", KNOWN.join(", "));
            return Err(Error::Input { input: input.to_owned(), fact });
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let hidden = |name: &OsStr| name.to_string_lossy().starts_with('.');
    let entries = WalkDir::new(folder).follow_links(true).into_iter();
    for entry in entries.filter_entry(|e| e.depth() == 0 || !hidden(e.file_name())) {
        let entry = entry
            .map_err(|e| Error::Read { path: e.path().unwrap_or(folder).to_owned(), source: e.into() })?;
        if entry.file_type().is_file() && is_known(entry.path()) {
            files.push(entry.into_path());
        }
    }
    Ok(())
}

fn is_known(path: &Path) -> bool {
    KNOWN.contains(&kind(path).as_str())
}

/// What a file's name says that it holds: `jsonl` of `a/b.jsonl.zst`.
pub(crate) fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain = [".zst", ".zstd", ".gz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    plain.rsplit_once('.').map(|(_, kind)| kind.to_owned()).unwrap_or_default()
}
