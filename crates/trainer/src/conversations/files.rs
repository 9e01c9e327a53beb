//! Which files an entry of a recipe means, and whether each is what it should be.

use super::row::{beginning, without_nan};
use crate::Error;
use sai_corpus::{Format, Options, Reader};
use serde_json::value::RawValue;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The files of an entry.
pub(super) struct Files {
    /// Those to read, in their order.
    pub(super) files: Vec<PathBuf>,
    /// Those in the folder that are not read.
    pub(super) left_out: Vec<PathBuf>,
}

/// What files' names end in, before `.gz` or `.zst`.
const LINES: [&str; 3] = ["jsonl", "ndjson", "json"];
const TABLES: [&str; 1] = ["parquet"];
/// Files of a data set that describe it.
const ABOUT: [&str; 5] =
    ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "metadata.json"];
/// Words by which files call themselves a part that is not to be trained on.
const HELD: [&str; 7] = ["test", "testing", "validation", "valid", "val", "dev", "eval"];
/// How a pointer of Git LFS begins.
const LFS: &[u8] = b"version https://git-lfs";
/// Folders in folders.
const DEPTH: usize = 32;

/// How much of a file is looked at before it is read.
const LOOK: usize = 1 << 16;
/// A first line longer than this is not looked at.
const LONGEST: usize = 1 << 20;

/// The files that `path` names: a file, a glob, or a folder. Of a folder they are those of the one kind, Parquet or JSON
/// lines, that is most of it; and those for training where their names tell.
///
/// # Errors
/// There are none.
pub(super) fn find(path: &Path) -> Result<Files, Error> {
    let glob = path.to_string_lossy().contains(['*', '?', '[']);
    if !path.exists() && !glob {
        let fact = "no such file or folder; where it lies elsewhere now, say so: --set data=FILE".to_owned();
        return Err(Error::Data { path: path.to_owned(), fact });
    }
    if !path.is_dir() {
        return Ok(Files { files: sai_corpus::find(&[path.to_string_lossy()])?, left_out: Vec::new() });
    }
    let mut all = Vec::new();
    walk(path, DEPTH, &mut all)?;
    let of = |kinds: &[&str]| -> Vec<PathBuf> {
        all.iter().filter(|file| kinds.contains(&kind(file).as_str()) && !is_about(file)).cloned().collect()
    };
    let bytes = |files: &[PathBuf]| -> u64 { files.iter().map(|file| length(file)).sum() };
    let (lines, tables) = (of(&LINES), of(&TABLES));
    let mut files = if bytes(&tables) >= bytes(&lines) && !tables.is_empty() { tables } else { lines };
    let says = |file: &PathBuf, words: &[&str]| {
        let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy().to_lowercase();
        name.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
    };
    if files.iter().any(|file| says(file, &["train"])) {
        files.retain(|file| says(file, &["train"]) || !says(file, &HELD));
    }
    let left_out: Vec<PathBuf> = all.into_iter().filter(|file| !files.contains(file)).collect();
    if files.is_empty() {
        let names: Vec<String> = left_out.iter().take(8).map(|file| name(file, path)).collect();
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let fact = format!("no JSONL or Parquet in it to train on, but {there}");
        return Err(Error::Data { path: path.to_owned(), fact });
    }
    Ok(Files { files, left_out })
}

/// The bytes of a file, or those of the file that a pointer of Git LFS stands for.
fn length(file: &Path) -> u64 {
    let bytes = std::fs::metadata(file).map_or(0, |about| about.len());
    let pointer = Some(file).filter(|_| bytes < 1024).and_then(|file| std::fs::read_to_string(file).ok());
    let pointer = pointer.filter(|text| text.as_bytes().starts_with(LFS));
    let size =
        pointer.and_then(|text| text.lines().find_map(|line| line.strip_prefix("size ")?.parse().ok()));
    size.unwrap_or(bytes)
}

fn name(file: &Path, folder: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

/// All files below a folder, hidden ones left out, sorted.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let read = || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let entries: std::io::Result<Vec<PathBuf>> = read();
    let mut entries = entries.map_err(|e| Error::io(folder, "read the folder", e))?;
    entries.sort();
    for entry in entries {
        if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if entry.is_dir() && depth > 0 {
            walk(&entry, depth - 1, files)?;
        } else if entry.is_file() {
            files.push(entry);
        }
    }
    Ok(())
}

/// What a file's name says that it holds: `jsonl` of `a.jsonl.gz`.
fn kind(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    plain.rsplit_once('.').map(|(_, kind)| kind.to_owned()).unwrap_or_default()
}

fn is_about(file: &Path) -> bool {
    file.file_name().is_some_and(|name| ABOUT.iter().any(|about| name == *about))
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An object a line.
    Lines,
    /// A Parquet table.
    Table,
}

/// Looks at the beginning of a file.
///
/// # Errors
/// It is neither a table nor lines of objects, but another kind of file that is then named with the way out.
pub(super) fn look(path: &Path) -> Result<Kind, Error> {
    let wrong = |fact: String| Error::Data { path: path.to_owned(), fact };
    let mut head = vec![0; 4096];
    let read = File::open(path).and_then(|mut file| file.read(&mut head));
    head.truncate(read.map_err(|e| Error::io(path, "read the file", e))?);
    if head.starts_with(b"PAR1") {
        return Ok(Kind::Table);
    }
    for (magic, fact) in [
        (&b"\xff\xfe"[..], "is UTF-16; make it UTF-8, as `iconv -f UTF-16 -t UTF-8` does"),
        (b"\xfe\xff", "is UTF-16; make it UTF-8, as `iconv -f UTF-16 -t UTF-8` does"),
        (b"BZh", "is compressed with bzip2; gzip, zstd and plain files are read"),
        (b"\xfd7zXZ", "is compressed with xz; gzip, zstd and plain files are read"),
        (b"PK\x03\x04", "is a zip archive; unpack it"),
        (
            b"ARROW1",
            "is an Arrow file; save it as Parquet or JSONL, as `to_parquet` and `to_json` of `datasets` do",
        ),
        (LFS, "is a pointer of Git LFS and not the file; fetch it, as `git lfs pull` does"),
    ] {
        if head.starts_with(magic) {
            return Err(wrong(fact.to_owned()));
        }
    }
    if let Some(fact) = no_lines(path, &first_lines(path)?) {
        return Err(wrong(fact));
    }
    Ok(Kind::Lines)
}

/// The first lines of a file that are not blank; none where the first is very long or no UTF-8, which is said of it when it
/// is read.
fn first_lines(path: &Path) -> Result<Vec<String>, Error> {
    let options = Options {
        format: Some(Format::Text),
        separator: Some("\n".to_owned()),
        skip_broken: true,
        block: LOOK,
        longest: LONGEST,
        ..Options::default()
    };
    let mut lines = Vec::new();
    for batch in Reader::open(vec![path.to_owned()], options)? {
        let batch = batch?;
        if !batch.broken().is_empty() {
            break;
        }
        lines.extend(batch.documents().take(2).map(|document| document.text.to_owned()));
        if lines.len() > 1 {
            break;
        }
    }
    Ok(lines)
}

/// Why the first lines of a file are not those of JSONL.
fn no_lines(path: &Path, lines: &[String]) -> Option<String> {
    let first = lines.first()?.trim_start_matches('\u{feff}').trim();
    let second = lines.get(1).map(|line| line.trim());
    if first.starts_with('[') {
        let fact = "is one JSON array; write an object a line (JSONL): `jq -c '.[]'";
        return Some(format!("{fact} {} > rows.jsonl` does it", path.display()));
    }
    if !first.starts_with('{') {
        let kind = kind(path);
        return Some(match kind.as_str() {
            _ if first.starts_with('<') => "is a web page or XML, no JSONL; fetch the file itself".to_owned(),
            "csv" | "tsv" => format!(
                "is {}, no JSONL; `pandas.read_csv(…).to_json(\"rows.jsonl\", orient=\"records\", lines=True)` makes \
                 that of it",
                kind.to_uppercase()
            ),
            _ => format!(
                "line 1 is no JSON object: it begins with `{}`; write an object a line (JSONL)",
                beginning(first)
            ),
        });
    }
    let mended = without_nan(first);
    let text = mended.as_deref().unwrap_or(first);
    let mut json = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    match json.next() {
        Some(Ok(_)) => {
            let rest = text[json.byte_offset()..].trim_start();
            if rest.starts_with(',') {
                let fact = "its lines end in commas, so that it is no JSONL; take them away:";
                return Some(format!("{fact} `sed 's/,[[:space:]]*$//' {} > rows.jsonl`", path.display()));
            }
            let returns = first.contains('\r');
            match rest.starts_with('{') {
                true if returns => Some(
                    "its lines end in carriage returns alone; `tr '\\r' '\\n'` makes JSONL of it".to_owned(),
                ),
                true => Some(format!(
                    "has several objects in line 1; `jq -c . {} > rows.jsonl` parts them",
                    path.display()
                )),
                false => None,
            }
        }
        Some(Err(e)) if e.is_eof() && second.is_some_and(|second| !second.starts_with('{')) => {
            let fact = "is JSON over several lines; write an object a line (JSONL):";
            Some(format!("{fact} `jq -c . {} > rows.jsonl` does it", path.display()))
        }
        Some(Err(_)) if text[1..].trim_start().starts_with('\'') => {
            Some("is in Python's notation with single quotes, no JSON; write it with `json.dumps`".to_owned())
        }
        _ => None,
    }
}
