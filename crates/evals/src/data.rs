//! Rows of a task's dataset, from JSONL or Parquet: which files they lie in, and reading them.

use crate::{DatasetOnHub, Error, TaskFile};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as Columns};
use sai_documents::{Format, Options, Place, Reader};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A row and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// File and line, or row of a table.
    pub place: String,
    /// Its columns.
    pub columns: Value,
}

/// What a file of data was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataFile {
    /// Its path.
    pub path: PathBuf,
    /// SHA-256 of its bytes as they lie, in hexadecimal.
    pub sha256: String,
}

/// Names of data files end so, before `.zst` or `.gz`.
const ENDS: &[&str] = &["jsonl", "json", "parquet"];

/// The files of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataPaths {
    /// Of the split that is asked.
    pub documents: Vec<PathBuf>,
    /// Of the split that examples are drawn from; empty where it is the same or none are wanted.
    pub examples: Vec<PathBuf>,
}

impl DataPaths {
    /// Those of a folder.
    ///
    /// # Errors
    /// Those of [`find`].
    pub fn in_folder(folder: &Path, task: &TaskFile, with_examples: bool) -> Result<DataPaths, Error> {
        let documents = find(folder, task, &task.split)?;
        let examples = match task.other_examples().filter(|_| with_examples) {
            // The short name of a part that is kept for examples.
            Some(split) => {
                find(folder, task, split).or_else(|e| find(folder, task, "fewshot").map_err(|_| e))?
            }
            None => Vec::new(),
        };
        Ok(DataPaths { documents, examples })
    }
}

/// The files of a split among those of a repository of the Hub, as `datasets` finds them by their names:
/// `CONFIG/SPLIT-*.parquet`, `data/SPLIT-*.parquet`, or `CONFIG/SPLIT/*.parquet`, as the Hub converts data that is no
/// Parquet on the branch `refs/convert/parquet`. A configuration `*` is all that have the split.
///
/// # Errors
/// There are none.
pub fn in_repository(names: &[String], of: &DatasetOnHub, split: &str) -> Result<Vec<String>, Error> {
    let is = |name: &&String| {
        let Some((folder, file)) = name.strip_suffix(".parquet").and_then(|name| name.rsplit_once('/'))
        else {
            return false;
        };
        let of_config = |folder: &str| match &of.config {
            Some(configs) => configs.has(folder) && !folder.contains('/'),
            None => matches!(folder, "data" | "default" | "plain_text"),
        };
        let is_one = of.config.as_ref().is_none_or(|configs| !configs.are_several());
        let sharded = file.strip_prefix(split).is_some_and(|rest| rest.is_empty() || rest.starts_with("-0"));
        match folder.rsplit_once('/') {
            Some((config, of_split)) if of_split == split => of_config(config),
            _ => sharded && (of_config(folder) || (folder == "data" && is_one)),
        }
    };
    let mut found: Vec<String> = names.iter().filter(is).cloned().collect();
    found.sort();
    if found.is_empty() {
        return Err(Error::Task {
            origin: format!("{}@{}", of.repository, of.revision),
            fact: format!(
                "it has no Parquet of the split {split}{}; give its rows with --data FOLDER",
                of.config.as_ref().map(|of| format!(" of the configuration {of}")).unwrap_or_default()
            ),
        });
    }
    Ok(found)
}

/// The files of a task's split in a folder. They are called, for a task whose file is `boolq` and its split `test`:
/// `boolq.test.jsonl` (or `.parquet`, and `.zst` or `.gz` behind it; `boolq.test_PART.jsonl` is a part of it), or lie as
/// on the Hub in `owner/name/config/test-*.parquet`.
///
/// # Errors
/// There are none, or several that each could be it.
fn find(folder: &Path, task: &TaskFile, split: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = matching(folder, &format!("{}.{split}", task.file), "_")?;
    if let [first, second, ..] = &found[..] {
        let fact = format!(
            "{} and {} could both be the split {split} of {}; keep one of them there",
            name_of(first),
            name_of(second),
            task.name
        );
        return Err(Error::Data { folder: folder.to_owned(), fact });
    }
    let of_hub = task.dataset.as_ref().filter(|of| found.is_empty() && folder.join(&of.repository).is_dir());
    if let Some(of) = of_hub {
        let home = folder.join(&of.repository);
        let mut names = Vec::new();
        list(&home, "", &mut names)?;
        let split =
            if *split == task.split { of.split.as_deref() } else { of.examples.as_deref() }.unwrap_or(split);
        found = in_repository(&names, of, split)?.iter().map(|name| home.join(name)).collect();
    }
    if found.is_empty() {
        let mut fact = format!(
            "the task {} wants {}.{split}.jsonl (or .parquet; .zst and .gz may follow)",
            task.name, task.file
        );
        if let Some(of) = &task.dataset {
            fact += &format!(", or a copy of the Hub's {}; without --data it is fetched", of.repository);
        }
        return Err(Error::Data { folder: folder.to_owned(), fact });
    }
    Ok(found)
}

/// The names of the files of a folder, with slashes.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder, e))? {
        let path = entry.map_err(|e| Error::file(folder, e))?.path();
        let name = format!("{prefix}{}", name_of(&path));
        match path.is_dir() {
            true => list(&path, &format!("{name}/"), names)?,
            false => names.push(name),
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Files of a folder whose names are `start`, then `mark` and anything, or nothing, and an end that is known; sorted.
fn matching(folder: &Path, start: &str, mark: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|e| Error::file(folder, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::file(folder, e))?.path();
        let name = name_of(&path);
        let plain = name.strip_suffix(".zst").or(name.strip_suffix(".gz")).unwrap_or(&name);
        let Some(rest) = plain.strip_prefix(start) else { continue };
        let Some((middle, end)) = rest.rsplit_once('.') else { continue };
        let marked = middle.is_empty() || middle.starts_with(mark);
        if marked && ENDS.contains(&end) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// All rows of the files, one file after another, and what the files are. With `say_config` rows get a column `config` where
/// they have none: the folder that a dataset has for the configuration.
///
/// # Errors
/// A file cannot be read, or a line is no JSON object.
pub fn read(files: &[PathBuf], say_config: bool) -> Result<(Vec<Row>, Vec<DataFile>), Error> {
    let (mut rows, mut facts) = (Vec::new(), Vec::new());
    for path in files {
        let before = rows.len();
        match path.extension().is_some_and(|end| end == "parquet") {
            true => table(path, &mut rows)?,
            false => lines(path, &mut rows)?,
        }
        if rows.len() == before {
            return Err(Error::Row { place: path.display().to_string(), fact: "it has no rows".to_owned() });
        }
        if let Some(config) = config_of(path).filter(|_| say_config) {
            for columns in rows[before..].iter_mut().filter_map(|row| row.columns.as_object_mut()) {
                columns.entry("config").or_insert_with(|| config.clone().into());
            }
        }
        facts.push(DataFile { path: path.clone(), sha256: checksum(path)? });
    }
    Ok((rows, facts))
}

/// `CONFIG/SPLIT-00000-of-00001.parquet`, or `CONFIG/SPLIT/0000.parquet`.
fn config_of(path: &Path) -> Option<String> {
    let numbered = path.file_stem()?.to_str()?.chars().all(|c| c.is_ascii_digit());
    let folder = if numbered { path.parent()?.parent()? } else { path.parent()? };
    Some(folder.file_name()?.to_str()?.to_owned())
}

fn lines(path: &Path, rows: &mut Vec<Row>) -> Result<(), Error> {
    // A line is a document of its own: the corpus's readers undo compression, and keep the number of each.
    let options =
        Options { format: Some(Format::Text), separator: Some("\n".to_owned()), ..Options::default() };
    for batch in Reader::open(vec![path.to_owned()], options)? {
        for line in batch?.documents() {
            let number = match line.place {
                Place::Line(n) | Place::Row(n) | Place::Document(n) => n,
            };
            let place = format!("{}: line {number}", path.display());
            let columns = serde_json::from_str(line.text).ok().filter(Value::is_object).ok_or_else(|| {
                Error::Row { place: place.clone(), fact: "it is no JSON object".to_owned() }
            })?;
            rows.push(Row { place, columns });
        }
    }
    Ok(())
}

fn table(path: &Path, rows: &mut Vec<Row>) -> Result<(), Error> {
    let damaged = |e: parquet::errors::ParquetError| Error::Row {
        place: path.display().to_string(),
        fact: format!("no Parquet file that can be read ({e}); fetch it again"),
    };
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    for (i, row) in reader.get_row_iter(None).map_err(damaged)?.enumerate() {
        let place = format!("{}: row {}", path.display(), i + 1);
        let columns = object(row.map_err(damaged)?)
            .map_err(|kind| Error::Row { place: place.clone(), fact: format!("{kind} are not read here") })?;
        rows.push(Row { place, columns });
    }
    Ok(())
}

fn object(row: Columns) -> Result<Value, &'static str> {
    let columns = row.into_columns().into_iter();
    columns.map(|(name, field)| Ok((name, json(field)?))).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn json(field: Field) -> Result<Value, &'static str> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => value.into(),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value.into(),
        Field::Float(value) => value.into(),
        Field::Double(value) => value.into(),
        Field::Str(value) => value.into(),
        Field::Group(row) => object(row)?,
        Field::ListInternal(list) => {
            list.elements().iter().cloned().map(json).collect::<Result<Vec<_>, _>>()?.into()
        }
        _ => return Err("columns of dates, maps or bytes"),
    })
}

fn checksum(path: &Path) -> Result<String, Error> {
    let mut sum = Sha256::new();
    let mut file = File::open(path).map_err(|e| Error::file(path, e))?;
    std::io::copy(&mut file, &mut Hashed(&mut sum)).map_err(|e| Error::file(path, e))?;
    Ok(hex(&sum.finalize()))
}

struct Hashed<'s>(&'s mut Sha256);

impl std::io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
