//! What is at a path: to open it, or to say kindly what it is instead.

use std::fs::File;
use std::path::Path;

use crate::{Bytes, Error, FileKind};

/// Maps the file at `path` into memory.
///
/// # Errors
/// Nothing can be read there, or what is there is a folder, a pipe or an empty file.
pub fn map(path: &Path) -> Result<Bytes, Error> {
    // Asked before opening, which for a pipe would wait until someone writes to it.
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "find the file", e))?;
    if metadata.is_dir() {
        return Err(Error::found(path, folder(path)?));
    }
    if !metadata.is_file() {
        return Err(Error::found(path, FileKind::NotAFile));
    }
    let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
    let bytes = Bytes::map(&file).map_err(|e| Error::io(path, "map the file into memory", e))?;
    if bytes.is_empty() {
        return Err(Error::found(path, FileKind::Empty));
    }
    Ok(bytes)
}

/// What a file seems to be that is not what was hoped for.
pub(crate) fn file(bytes: &[u8]) -> FileKind {
    const OLD_GGML: [&[u8; 4]; 4] = [b"lmgg", b"fmgg", b"tjgg", b"algg"];
    let start = &bytes[..bytes.len().min(512)];
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let opens = |with: &str| text.get(..with.len()).is_some_and(|t| t.eq_ignore_ascii_case(with.as_bytes()));
    let readable = |b: &u8| !b.is_ascii_control() || b.is_ascii_whitespace();
    if bytes.is_empty() {
        FileKind::Empty
    } else if opens("version https://git-lfs") {
        FileKind::LfsPointer
    } else if opens("<!doctype") || opens("<html") || opens("<?xml") {
        FileKind::WebPage
    } else if OLD_GGML.iter().any(|magic| start.starts_with(*magic)) {
        FileKind::OldGgml
    } else if start.starts_with(b"PK\x03\x04") || matches!(start, [0x80, 2..=5, ..]) {
        FileKind::Pickle
    } else if std::str::from_utf8(start).map_or_else(|e| e.error_len().is_none(), |_| true)
        && start.iter().all(readable)
    {
        FileKind::Text
    } else {
        FileKind::Unknown(start[..start.len().min(8)].to_vec())
    }
}

/// Why a folder has no weights to open.
pub(crate) fn folder(path: &Path) -> Result<FileKind, Error> {
    let names = names(path)?;
    let ends = |end: &str| names.iter().find(|n| n.ends_with(end)).cloned();
    let pickle = |n: &&String| n.starts_with("pytorch_model") || n.ends_with(".pth") || n.ends_with(".pt");
    let config = names.iter().any(|n| n == "config.json");
    let found = if let Some(name) = ends(".safetensors") {
        if config { FileKind::NoIndex(name) } else { FileKind::NoConfig }
    } else if let Some(name) = ends(".gguf") {
        FileKind::GgufFolder(name)
    } else if let Some(name) = names.iter().find(pickle) {
        FileKind::PickleFolder(name.clone())
    } else if config {
        FileKind::NoWeights
    } else {
        FileKind::NoModel
    };
    Ok(found)
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let fail = |e| Error::io(folder, "list the folder", e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_file_is() {
        let page = b"\xef\xbb\xbf\n <!DOCTYPE html><html lang=ko>".as_slice();
        for (bytes, found) in [
            (b"".as_slice(), FileKind::Empty),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", FileKind::LfsPointer),
            (page, FileKind::WebPage),
            (b"<HTML>", FileKind::WebPage),
            (b"tjgg\x03\0\0\0", FileKind::OldGgml),
            (b"PK\x03\x04\0\0", FileKind::Pickle),
            (b"\x80\x02}q\0", FileKind::Pickle),
            (b"{\"error\": \"not found\"}", FileKind::Text),
            ("모델이 없습니다".as_bytes(), FileKind::Text),
            (&"모델이 없습니다".as_bytes()[..8], FileKind::Text),
            (b"\0\x01\x02", FileKind::Unknown(vec![0, 1, 2])),
            (b"\xff\xfe\xfd", FileKind::Unknown(vec![0xff, 0xfe, 0xfd])),
        ] {
            assert_eq!(file(bytes), found);
        }
    }
}
