//! Files as a manifest knows them: looked at, read where they may have changed, written whole.

use crate::Error;
use crate::manifest::FileFacts;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The facts of a file. Where its length and time are those of `known` it is not read again.
pub(crate) fn facts(path: &Path, known: Option<&FileFacts>) -> Result<FileFacts, Error> {
    let found = fs::metadata(path).map_err(|e| Error::io(path, "look at the file", e))?;
    let modified = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
    let bytes = found.len();
    if let Some(known) =
        known.filter(|known| modified != 0 && (known.bytes, known.modified) == (bytes, modified))
    {
        return Ok(known.clone());
    }
    let sha256 = sum(path).map_err(|e| Error::io(path, "read the file", e))?;
    Ok(FileFacts { bytes, modified, sha256 })
}

fn sum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut sum, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            n => sum.update(&piece[..n]),
        }
    }
    Ok(hex(&sum.finalize()))
}

/// The SHA-256 of what is in memory.
pub(crate) fn sum_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    sai_formats::write_whole(path, bytes).map_err(|e| Error::io(path, "write the file", e))
}

/// Copies a file so that it is there whole or not at all.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let new = part(to);
    let copy = || {
        fs::copy(from, &new)?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, to)
    };
    copy().map_err(|e| Error::io(to, "write the file", e))
}

fn part(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// The files in a folder and below it, by their names from `root`, in order. Hidden ones are left out.
pub(crate) fn below(root: &Path, folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |e| Error::io(&folder, "look into the folder", e);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(name(root, &path)),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What a manifest calls a file.
pub(crate) fn name(root: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = inner.iter().map(|part| part.to_string_lossy()).collect();
    if inner.is_absolute() { inner.to_string_lossy().into_owned() } else { parts.join("/") }
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn clear(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(folder, "remove the folder", e)),
        _ => Ok(()),
    }
}
