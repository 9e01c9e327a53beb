//! Tables: the columns that hold documents, some rows at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use crate::batch::Batch;
use crate::error::{Error, Place};
use crate::options::Options;
use crate::parse::{Collector, utf8};

/// Text, language, source, licence.
const COLUMNS: usize = 4;

/// The fewest and the most rows that are read at once.
const ROWS: (usize, usize) = (16, 8192);

/// A Parquet file, read from its first row to its last.
pub(crate) struct Table {
    file: SerializedFileReader<File>,
    /// The columns' numbers, in the order of [`COLUMNS`].
    columns: [Option<usize>; COLUMNS],
    group: usize,
    open: Option<Group>,
    /// Rows that were read, and all rows.
    row: u64,
    rows: u64,
    /// How many rows to read next.
    step: usize,
}

/// The columns of a row group.
struct Group {
    columns: [Option<Column>; COLUMNS],
    left: u64,
}

struct Column {
    reader: ColumnReaderImpl<ByteArrayType>,
    /// The definition level of a value that is there; 0 where all are.
    present: i16,
}

impl Table {
    pub(crate) fn open(path: &Path, file: File, options: &Options) -> Result<Table, Error> {
        let file = SerializedFileReader::new(file).map_err(|e| damaged(path, &e))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let names = &options.columns;
        let find = |name: Option<&str>| {
            let (at, column) =
                (0..).zip(schema.columns()).find(|(_, c)| Some(c.path().string().as_str()) == name)?;
            Some((at, column.physical_type() == Physical::BYTE_ARRAY && column.max_rep_level() == 0))
        };
        let others = [&names.lang, &names.source, &names.license].map(Option::as_deref);
        let wanted = [Some(names.text.as_str()), others[0], others[1], others[2]];
        let mut columns = [None; COLUMNS];
        for (name, place) in wanted.into_iter().zip(&mut columns) {
            *place = match find(name) {
                Some((at, true)) => Some(at),
                Some((_, false)) => {
                    let fact = format!("column `{}` holds no text; name another", name.unwrap_or_default());
                    return Err(Error::file(path, fact));
                }
                None => None,
            };
        }
        if columns[0].is_none() {
            let all: Vec<String> = schema.columns().iter().take(20).map(|c| c.path().string()).collect();
            let fact = format!("no column `{}`; it has {}", names.text, all.join(", "));
            return Err(Error::file(path, fact));
        }
        let rows = u64::try_from(file.metadata().file_metadata().num_rows()).unwrap_or(0);
        Ok(Table { file, columns, group: 0, open: None, row: 0, rows, step: ROWS.0 })
    }

    /// What share of the rows was read.
    pub(crate) fn share(&self) -> f64 {
        (self.row as f64 / self.rows.max(1) as f64).min(1.0)
    }

    /// The documents of the next rows; `None` at the end.
    pub(crate) fn next(&mut self, path: &Arc<PathBuf>, options: &Options) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(group) = self.open.as_mut().filter(|group| group.left > 0) {
                let wanted = self.step.min(usize::try_from(group.left).unwrap_or(usize::MAX));
                let mut collector = Collector::new(Arc::clone(path), options);
                let read = group.read(wanted, self.row, &mut collector, path)?;
                if read == 0 {
                    let fact = format!("a row group ends {} rows early; fetch the file again", group.left);
                    return Err(Error::file(path, fact));
                }
                group.left = group.left.saturating_sub(read as u64);
                self.row += read as u64;
                let batch = collector.batch;
                let mean = batch.text_bytes() / read + 1;
                self.step = (options.block / mean).clamp(ROWS.0, ROWS.1);
                return Ok(Some(batch));
            }
            if self.group == self.file.num_row_groups() {
                return Ok(None);
            }
            self.open = Some(self.group(self.group, path)?);
            self.group += 1;
        }
    }

    fn group(&self, number: usize, path: &Path) -> Result<Group, Error> {
        let group = self.file.get_row_group(number).map_err(|e| damaged(path, &e))?;
        let mut columns = [const { None }; COLUMNS];
        for (at, place) in self.columns.iter().zip(&mut columns) {
            let Some(at) = *at else { continue };
            let present = group.metadata().column(at).column_descr().max_def_level();
            let ColumnReader::ByteArrayColumnReader(reader) =
                group.get_column_reader(at).map_err(|e| damaged(path, &e))?
            else {
                return Err(Error::file(path, "its row groups differ in their columns; fetch it again"));
            };
            *place = Some(Column { reader, present });
        }
        Ok(Group { columns, left: u64::try_from(group.metadata().num_rows()).unwrap_or(0) })
    }
}

impl Group {
    /// Reads up to `wanted` rows, the first of which has `before` before it, and says how many there were.
    fn read(
        &mut self,
        wanted: usize,
        before: u64,
        collector: &mut Collector<'_>,
        path: &Path,
    ) -> Result<usize, Error> {
        let mut columns = [const { Vec::new() }; COLUMNS];
        let mut read = 0;
        for (i, (column, values)) in self.columns.iter_mut().zip(&mut columns).enumerate() {
            let Some(column) = column else { continue };
            let wanted = if i == 0 { wanted } else { read };
            *values = column.read(wanted).map_err(|e| damaged(path, &e))?;
            if i == 0 {
                read = values.len();
            } else if values.len() != read {
                return Err(Error::file(path, "its columns differ in length; fetch it again"));
            }
        }
        let [texts, langs, sources, licenses] = &columns;
        for (i, text) in texts.iter().enumerate() {
            let place = Place::Row(before + i as u64 + 1);
            let name = |values: &[Option<ByteArray>]| {
                let value = values.get(i).and_then(Option::as_ref);
                value.map(|v| utf8(v.data()).map(str::to_owned)).transpose()
            };
            let found = match text {
                None => Err("the text is missing".to_owned()),
                Some(text) => utf8(text.data()),
            };
            match found.and_then(|text| Ok((text, [name(langs)?, name(sources)?, name(licenses)?]))) {
                Ok((text, names)) => collector.push(text, names.each_ref().map(Option::as_deref), place),
                Err(fact) => collector.broken(place, fact)?,
            }
        }
        Ok(read)
    }
}

impl Column {
    /// Up to `wanted` values, `None` for those that are not there.
    fn read(&mut self, wanted: usize) -> Result<Vec<Option<ByteArray>>, ParquetError> {
        let mut rows = Vec::new();
        while rows.len() < wanted {
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            let asked = wanted - rows.len();
            let wants_levels = self.present > 0;
            let (records, ..) =
                self.reader.read_records(asked, wants_levels.then_some(&mut levels), None, &mut values)?;
            if records == 0 {
                break;
            }
            let mut values = values.into_iter();
            if wants_levels {
                rows.extend(
                    levels.iter().map(|&level| if level == self.present { values.next() } else { None }),
                );
            } else {
                rows.extend(values.map(Some));
            }
        }
        Ok(rows)
    }
}

fn damaged(path: &Path, error: &ParquetError) -> Error {
    let text: String =
        error.to_string().chars().take(160).map(|c| if c.is_control() { ' ' } else { c }).collect();
    Error::file(path, format!("no Parquet file that can be read ({text}); fetch it again"))
}
