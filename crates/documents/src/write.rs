//! A file of documents in the making: JSON lines under zstd, or a table. It takes its name when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::Error;

/// Slower levels make files a little smaller that are read once or twice.
const LEVEL: i32 = 3;
/// So many bytes of text are compressed together, as a row group or a block.
const GROUP: usize = 8 << 20;

/// What a file of documents is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrittenAs {
    /// A JSON object a line, compressed by zstd.
    #[default]
    JsonlZst,
    /// A Parquet table of texts, compressed by zstd.
    Parquet,
}

impl WrittenAs {
    /// What names of such files end in.
    pub fn extension(self) -> &'static str {
        match self {
            WrittenAs::JsonlZst => "jsonl.zst",
            WrittenAs::Parquet => "parquet",
        }
    }
}

/// A file that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenFile {
    /// How many documents it has.
    pub documents: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// Writes documents, each a value or none for every column. What is dropped before [`finish`](Self::finish) leaves no file.
pub struct Writer {
    path: PathBuf,
    columns: Vec<String>,
    rows: u64,
    body: Body,
}

enum Body {
    Lines(Box<zstd::Encoder<'static, Summed>>),
    Table { file: Box<SerializedFileWriter<Summed>>, waiting: Vec<Vec<Option<ByteArray>>>, bytes: usize },
}

/// A file without its name yet, and the sum of what was written to it.
struct Summed {
    file: BufWriter<NamedTempFile>,
    sum: Sha256,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Writer {
    /// Begins a file beside where it is to be. Values are pushed in the order of `columns`.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder takes no file.
    pub fn create(path: &Path, columns: &[&str], kind: WrittenAs) -> Result<Writer, Error> {
        let body = Self::body(path, columns, kind)
            .map_err(|source| Error::Write { path: path.to_owned(), source })?;
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Ok(Writer { path: path.to_owned(), columns, rows: 0, body })
    }

    fn body(path: &Path, columns: &[&str], kind: WrittenAs) -> io::Result<Body> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
        let out = Summed { file: BufWriter::with_capacity(1 << 17, file), sum: Sha256::new(), bytes: 0 };
        if kind == WrittenAs::JsonlZst {
            return Ok(Body::Lines(Box::new(zstd::Encoder::new(out, LEVEL)?)));
        }
        let field = |&name: &&str| {
            let column = Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(parquet::basic::LogicalType::String))
                .build()?;
            Ok(Arc::new(column))
        };
        let fields = columns.iter().map(field).collect::<Result<Vec<_>, ParquetError>>();
        let schema =
            fields.and_then(|fields| Type::group_type_builder("documents").with_fields(fields).build());
        let level = ZstdLevel::try_new(LEVEL).map_err(of_table)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            // The version of a library is no part of what a recipe makes.
            .set_created_by("sai".to_owned())
            .build();
        let schema = Arc::new(schema.map_err(of_table)?);
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(of_table)?;
        Ok(Body::Table { file: Box::new(file), waiting: vec![Vec::new(); columns.len()], bytes: 0 })
    }

    /// How many documents were pushed.
    pub fn documents(&self) -> u64 {
        self.rows
    }

    /// Adds a document: a value for each column, in their order; missing ones at the end are none.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn push(&mut self, values: &[Option<&str>]) -> Result<(), Error> {
        self.rows += 1;
        let written = match &mut self.body {
            Body::Lines(out) => line(&self.columns, values).and_then(|line| out.write_all(line.as_bytes())),
            Body::Table { file, waiting, bytes } => {
                for (at, column) in waiting.iter_mut().enumerate() {
                    let value = values.get(at).copied().flatten();
                    *bytes += value.map_or(0, str::len);
                    column.push(value.map(|text| ByteArray::from(text.as_bytes().to_vec())));
                }
                match *bytes >= GROUP {
                    true => {
                        *bytes = 0;
                        group(file, waiting)
                    }
                    false => Ok(()),
                }
            }
        };
        written.map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    /// Ends the file, has it on the disk and gives it its name, in place of what had it.
    ///
    /// # Errors
    /// [`Error::Write`]; then there is no file.
    pub fn finish(self) -> Result<WrittenFile, Error> {
        let Writer { path, rows, body, .. } = self;
        let end = |body| -> io::Result<WrittenFile> {
            let mut out = match body {
                Body::Lines(out) => out.finish()?,
                Body::Table { mut file, mut waiting, .. } => {
                    if waiting.first().is_some_and(|column| !column.is_empty()) {
                        group(&mut file, &mut waiting)?;
                    }
                    file.into_inner().map_err(of_table)?
                }
            };
            out.flush()?;
            let Summed { file, sum, bytes } = out;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            persist(file, &path)?;
            let sha256 = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(WrittenFile { documents: rows, bytes, sha256 })
        };
        end(body).map_err(|source| Error::Write { path: path.clone(), source })
    }
}

/// A file is the old one or the new one, never half: writes `bytes` under another name first.
///
/// # Errors
/// [`Error::Write`]; what was there is there still.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        persist(file, path)
    };
    write().map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        // A file of its own kind of secrecy is a temporary one; these are for whoever may read the folder.
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Without this a power cut could forget the name; file systems that cannot sync a folder need not.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// A JSON object without what has no value, and a line's end.
fn line(columns: &[String], values: &[Option<&str>]) -> io::Result<String> {
    let mut line =
        String::with_capacity(64 + values.iter().flatten().map(|value| value.len()).sum::<usize>());
    for (name, value) in columns.iter().zip(values) {
        let Some(value) = value else { continue };
        line.push(if line.is_empty() { '{' } else { ',' });
        line += &serde_json::to_string(name)?;
        line.push(':');
        line += &serde_json::to_string(value)?;
    }
    line += if line.is_empty() { "{}\n" } else { "}\n" };
    Ok(line)
}

/// Writes what waits as a row group.
fn group(file: &mut SerializedFileWriter<Summed>, waiting: &mut [Vec<Option<ByteArray>>]) -> io::Result<()> {
    let mut write = || -> Result<(), ParquetError> {
        let mut rows = file.next_row_group()?;
        for column in waiting.iter_mut() {
            let Some(mut out) = rows.next_column()? else { break };
            let levels: Vec<i16> = column.iter().map(|value| i16::from(value.is_some())).collect();
            let values: Vec<ByteArray> = column.drain(..).flatten().collect();
            out.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            out.close()?;
        }
        rows.close()?;
        Ok(())
    };
    write().map_err(of_table)
}

fn of_table(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        other => io::Error::other(other),
    }
}
