//! What a file of a source is, told by what it begins with, and by its name where that says nothing.

use std::path::Path;

use super::{Format, beginning};
use crate::error::Error;

/// So much is looked at.
const LOOK: usize = 4096;

/// What a file is; `None` where nothing tells.
///
/// # Errors
/// A file that cannot be read.
pub fn format_of(path: &Path) -> Result<Option<Format>, Error> {
    let head = beginning(path, LOOK)?;
    Ok(of_head(&head).or_else(|| of_name(path)))
}

fn of_head(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"PAR1") {
        return Some(Format::Parquet);
    }
    let text = head.trim_ascii_start();
    if text.starts_with(b"WARC/") {
        return Some(Format::Warc);
    }
    if text.starts_with(b"<mediawiki") {
        return Some(Format::Wiki);
    }
    let start = text[..text.len().min(1024)].to_ascii_lowercase();
    let has = |tag: &[u8]| memchr::memmem::find(&start, tag).is_some();
    if text.starts_with(b"<") && has(b"<mediawiki") {
        return Some(Format::Wiki);
    }
    if text.starts_with(b"<") && (has(b"<!doctype html") || has(b"<html") || has(b"<head") || has(b"<body")) {
        return Some(Format::Html);
    }
    text.starts_with(b"{").then_some(Format::Jsonl)
}

fn of_name(path: &Path) -> Option<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain =
        [".gz", ".bz2", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let end = plain.rsplit_once('.').map(|(_, end)| end).unwrap_or_default();
    Some(match end {
        "warc" | "wet" => Format::Warc,
        "html" | "htm" | "xhtml" => Format::Html,
        "xml" => Format::Wiki,
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        "parquet" => Format::Parquet,
        "txt" | "text" | "md" => Format::Text,
        _ => return None,
    })
}

/// Refuses a file of another kind than is to be read, where that can be told.
pub(super) fn expect(path: &Path, format: Format) -> Result<(), Error> {
    let head = beginning(path, LOOK)?;
    if head.starts_with(b"filedesc://") {
        return Err(Error::file(
            path,
            "an ARC file, the older form of WARC; write it as WARC first, with `warcio recompress`",
        ));
    }
    if head.starts_with(b"\x04\x22\x4d\x18") {
        return Err(Error::file(
            path,
            "compressed with lz4, which is not read here; decompress it first, with `lz4 -d`",
        ));
    }
    let found = of_head(&head);
    // A damaged beginning is for the reader, which finds the next record.
    match (format, found) {
        (Format::Warc, Some(other)) if other != Format::Warc => {
            Err(Error::file(path, format!("no WARC file but {}; name another `format`", named(other))))
        }
        (Format::Wiki, Some(other)) if other != Format::Wiki => {
            Err(Error::file(path, format!("no dump of a wiki but {}; name another `format`", named(other))))
        }
        (Format::Html, Some(Format::Warc | Format::Parquet | Format::Jsonl)) => {
            let other = found.map(named).unwrap_or_default();
            Err(Error::file(path, format!("no web page but {other}; name another `format`")))
        }
        _ => Ok(()),
    }
}

fn named(format: Format) -> &'static str {
    match format {
        Format::Warc => "WARC",
        Format::Html => "a web page",
        Format::Wiki => "a dump of a wiki",
        Format::Jsonl => "JSON lines",
        Format::Parquet => "a Parquet table",
        Format::Text => "text",
    }
}
