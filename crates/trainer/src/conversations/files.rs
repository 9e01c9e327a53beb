//! Which files an entry of a recipe means.

use crate::Error;
use sai_documents::InputFiles;
use std::path::{Path, PathBuf};

/// Words by which files call themselves a part that is not to be trained on.
const HELD: [&str; 7] = ["test", "testing", "validation", "valid", "val", "dev", "eval"];

/// The files that `path` names: a file, a glob, or a folder. Of the data in a folder they are those of the one kind, Parquet
/// or JSON lines, that is most of it; and those for training where their names tell.
///
/// # Errors
/// There are none.
pub(super) fn find(path: &Path) -> Result<InputFiles, Error> {
    let glob = path.to_string_lossy().contains(['*', '?', '[']);
    if !path.exists() && !glob {
        let fact = "no such file or folder; where it lies elsewhere now, say so: --set data=FILE".to_owned();
        return Err(Error::Data { path: path.to_owned(), fact });
    }
    let InputFiles { files, mut left_out } = sai_documents::find_files(&[path.to_string_lossy()])?;
    if !path.is_dir() {
        return Ok(InputFiles { files, left_out });
    }
    let (tables, lines): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|file| is_table(file));
    let bytes = |files: &[PathBuf]| -> u64 { files.iter().map(|file| length(file)).sum() };
    let (mut files, others) = match bytes(&tables) >= bytes(&lines) && !tables.is_empty() {
        true => (tables, lines),
        false => (lines, tables),
    };
    left_out.extend(others);
    let says = |file: &Path, words: &[&str]| {
        let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy().to_lowercase();
        name.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
    };
    if files.iter().any(|file| says(file, &["train"])) {
        left_out.extend(files.extract_if(.., |file| !says(file, &["train"]) && says(file, &HELD)));
    }
    left_out.sort();
    Ok(InputFiles { files, left_out })
}

/// Whether a file is a table, or a pointer of Git LFS in the place of one.
fn is_table(file: &Path) -> bool {
    let named = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"));
    named || sai_documents::is_parquet(file).unwrap_or(false)
}

/// The bytes of a file, or those of the file that a pointer of Git LFS stands for.
fn length(file: &Path) -> u64 {
    let bytes = std::fs::metadata(file).map_or(0, |about| about.len());
    let pointer = Some(file).filter(|_| bytes < 1024).and_then(|file| std::fs::read_to_string(file).ok());
    let pointer = pointer.filter(|text| text.starts_with("version https://git-lfs"));
    let size =
        pointer.and_then(|text| text.lines().find_map(|line| line.strip_prefix("size ")?.parse().ok()));
    size.unwrap_or(bytes)
}
