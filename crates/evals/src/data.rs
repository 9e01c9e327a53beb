//! Rows of a task's dataset, from a folder of JSONL or Parquet.

use crate::{Error, TaskFile};
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

/// The files of a task's split in a folder. They are called, for a task whose file is `boolq` and its split `test`:
/// `boolq.test.jsonl` (or `.parquet`, and `.zst` or `.gz` behind it; `boolq.test_PART.jsonl` is a part of it), or lie as
/// on the Hub in `owner/name/config/test-*.parquet`.
///
/// # Errors
/// There are none, or several that each could be it.
pub fn find(folder: &Path, task: &TaskFile, split: &str) -> Result<Vec<PathBuf>, Error> {
    let hub = task.repository.as_ref().map(|repository| {
        let folder = folder.join(repository);
        task.config.as_ref().map_or_else(|| folder.clone(), |config| folder.join(config))
    });
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
    if let Some(hub) = hub.as_ref().filter(|hub| found.is_empty() && hub.is_dir()) {
        found = matching(hub, split, "-")?;
    }
    if found.is_empty() {
        let mut fact = format!(
            "the task {} wants {}.{split}.jsonl (or .parquet; .zst and .gz may follow)",
            task.name, task.file
        );
        if let Some(repository) = &task.repository {
            let config = task.config.as_deref().unwrap_or_default();
            fact += &format!(", or {repository}/{config}/{split}-*.parquet");
        }
        return Err(Error::Data { folder: folder.to_owned(), fact });
    }
    Ok(found)
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

/// All rows of the files, one file after another, and what the files are.
///
/// # Errors
/// A file cannot be read, or a line is no JSON object.
pub fn read(files: &[PathBuf]) -> Result<(Vec<Row>, Vec<DataFile>), Error> {
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
        facts.push(DataFile { path: path.clone(), sha256: checksum(path)? });
    }
    Ok((rows, facts))
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
