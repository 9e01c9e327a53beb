//! Tables of keys: Parquet without text, which an engine of any kind can join and sort.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Repetition, Type as Physical, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use tempfile::NamedTempFile;

use crate::error::Error;

/// Rows of a group.
const ROWS: usize = 4096;

/// A column: its name and its values.
pub(crate) enum Column {
    /// Whole numbers of 64 bits; those without a sign keep their bits.
    Numbers(&'static str, Vec<u64>),
    /// Runs of bytes.
    Bytes(&'static str, Vec<Vec<u8>>),
}

impl Column {
    fn name(&self) -> &'static str {
        match self {
            Column::Numbers(name, _) | Column::Bytes(name, _) => name,
        }
    }

    fn len(&self) -> usize {
        match self {
            Column::Numbers(_, values) => values.len(),
            Column::Bytes(_, values) => values.len(),
        }
    }
}

/// A table in the making. It takes its name when it is whole.
pub(crate) struct TableWriter {
    path: PathBuf,
    file: SerializedFileWriter<NamedTempFile>,
}

impl TableWriter {
    /// Begins a table of the columns that `like` has.
    pub(crate) fn create(path: &Path, like: &[Column]) -> Result<TableWriter, Error> {
        let begin = || -> Result<SerializedFileWriter<NamedTempFile>, ParquetError> {
            let folder = path.parent().unwrap_or(Path::new("."));
            let file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
            let field = |column: &Column| {
                let physical = match column {
                    Column::Numbers(..) => Physical::INT64,
                    Column::Bytes(..) => Physical::BYTE_ARRAY,
                };
                let built = Type::primitive_type_builder(column.name(), physical);
                Ok(Arc::new(built.with_repetition(Repetition::REQUIRED).build()?))
            };
            let fields = like.iter().map(field).collect::<Result<Vec<_>, ParquetError>>()?;
            let schema = Type::group_type_builder("keys").with_fields(fields).build()?;
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                .set_dictionary_enabled(false)
                .set_statistics_enabled(EnabledStatistics::None)
                .set_created_by("sai".to_owned())
                .build();
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
        };
        let file = begin().map_err(|e| Error::write(path, of_table(e)))?;
        Ok(TableWriter { path: path.to_owned(), file })
    }

    /// Adds rows: a column for each, in their order, all of one length.
    pub(crate) fn push(&mut self, columns: &[Column]) -> Result<(), Error> {
        let rows = columns.first().map_or(0, Column::len);
        for start in (0..rows).step_by(ROWS) {
            let group = start..rows.min(start + ROWS);
            self.group(columns, group).map_err(|e| Error::write(&self.path, of_table(e)))?;
        }
        Ok(())
    }

    fn group(&mut self, columns: &[Column], rows: std::ops::Range<usize>) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in columns {
            let Some(mut out) = group.next_column()? else { break };
            match (out.untyped(), column) {
                (ColumnWriter::Int64ColumnWriter(out), Column::Numbers(_, values)) => {
                    let values: Vec<i64> =
                        values[rows.clone()].iter().map(|&value| value.cast_signed()).collect();
                    out.write_batch(&values, None, None)?;
                }
                (ColumnWriter::ByteArrayColumnWriter(out), Column::Bytes(_, values)) => {
                    let values: Vec<ByteArray> =
                        values[rows.clone()].iter().map(|value| ByteArray::from(value.clone())).collect();
                    out.write_batch(&values, None, None)?;
                }
                _ => return Err(ParquetError::General("a column of another type".to_owned())),
            }
            out.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Gives the table its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let path = self.path;
        let end = || -> io::Result<()> {
            let file = self.file.into_inner().map_err(of_table)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        end().map_err(|source| Error::write(&path, source))
    }
}

/// Reads a table of the columns that `like` has, a group of rows at a time, and gives each to `take`.
pub(crate) fn read(
    path: &Path,
    like: &[Column],
    mut take: impl FnMut(Vec<Column>) -> Result<(), Error>,
) -> Result<(), Error> {
    let damaged = |fact: &str| {
        Error::file(path, format!("no table that can be read ({fact}); take it away, and build again"))
    };
    let file = File::open(path).map_err(|source| Error::read(path, source))?;
    let file = SerializedFileReader::new(file).map_err(|e| damaged(&e.to_string()))?;
    for number in 0..file.num_row_groups() {
        let group = file.get_row_group(number).map_err(|e| damaged(&e.to_string()))?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let mut columns = Vec::new();
        for (at, column) in like.iter().enumerate() {
            let reader = group.get_column_reader(at).map_err(|e| damaged(&e.to_string()))?;
            let found = match (reader, column) {
                (ColumnReader::Int64ColumnReader(mut reader), Column::Numbers(name, _)) => {
                    let values = values_of(&mut reader, rows).map_err(|fact| damaged(&fact))?;
                    Column::Numbers(name, values.into_iter().map(i64::cast_unsigned).collect())
                }
                (ColumnReader::ByteArrayColumnReader(mut reader), Column::Bytes(name, _)) => {
                    let values = values_of(&mut reader, rows).map_err(|fact| damaged(&fact))?;
                    Column::Bytes(name, values.into_iter().map(|value| value.data().to_vec()).collect())
                }
                _ => return Err(damaged("a column of another type")),
            };
            columns.push(found);
        }
        take(columns)?;
    }
    Ok(())
}

/// All values of a column of `rows` rows, or why there are none.
fn values_of<T: DataType>(reader: &mut ColumnReaderImpl<T>, rows: usize) -> Result<Vec<T::T>, String> {
    let mut values = Vec::new();
    while values.len() < rows {
        let (read, ..) =
            reader.read_records(rows - values.len(), None, None, &mut values).map_err(|e| e.to_string())?;
        if read == 0 {
            return Err("it ends early".to_owned());
        }
    }
    Ok(values)
}

fn of_table(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

/// The numbers of a column; none of another.
pub(crate) fn numbers(column: &Column) -> &[u64] {
    match column {
        Column::Numbers(_, values) => values,
        Column::Bytes(..) => &[],
    }
}

/// The runs of bytes of a column; none of another.
pub(crate) fn bytes(column: &Column) -> &[Vec<u8>] {
    match column {
        Column::Bytes(_, values) => values,
        Column::Numbers(..) => &[],
    }
}

/// Numbers one after another, little end first.
pub(crate) fn packed(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The numbers that were packed.
pub(crate) fn unpacked(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk))
}
