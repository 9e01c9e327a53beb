//! Tables: the columns that hold documents, some rows at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use crate::batch::Batch;
use crate::error::{Column, Error, Place};
use crate::options::Options;
use crate::parse::{Collector, no_column, utf8};

/// Text, language, source, licence, address.
const COLUMNS: usize = 5;

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
    columns: [Option<Values>; COLUMNS],
    left: u64,
}

struct Values {
    reader: ColumnReaderImpl<ByteArrayType>,
    /// The definition level of a value that is there; 0 where all are.
    present: i16,
}

impl Table {
    pub(crate) fn open(path: &Path, file: File, options: &Options) -> Result<Table, Error> {
        let file = SerializedFileReader::new(file).map_err(|e| damaged(path, &e))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let mut columns = [None; COLUMNS];
        for (column, place) in [Column::Text, Column::Lang, Column::Source, Column::License, Column::Url]
            .into_iter()
            .zip(&mut columns)
        {
            let name = options.columns.name(column);
            let mut there = (0..).zip(schema.columns());
            let Some((at, found)) = there.find(|(_, c)| Some(c.path().string().as_str()) == name) else {
                continue;
            };
            let wrong = |fact: &str| Error::Column {
                path: path.to_owned(),
                column,
                fact: format!("column `{}` {fact}", name.unwrap_or_default()),
            };
            // A column of nothing but nulls is written without a type.
            let empty = found.logical_type_ref() == Some(&LogicalType::Unknown);
            match found.physical_type() {
                _ if empty && column == Column::Text => return Err(wrong("holds nothing but nulls")),
                _ if empty => {}
                Physical::BYTE_ARRAY if found.max_rep_level() == 0 => *place = Some(at),
                _ => return Err(wrong("holds no text")),
            }
        }
        if columns[0].is_none() {
            let all: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
            let fact = no_column(&options.columns.text, &all);
            return Err(Error::Column { path: path.to_owned(), column: Column::Text, fact });
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
            *place = Some(Values { reader, present });
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
        let [texts, langs, sources, licenses, urls] = &columns;
        for (i, text) in texts.iter().enumerate() {
            let place = Place::Row(before + i as u64 + 1);
            let name = |values: &[Option<ByteArray>]| {
                let value = values.get(i).and_then(Option::as_ref);
                value.map(|v| utf8(v.data()).map(str::to_owned)).transpose()
            };
            let Some(text) = text else {
                collector.no_text(place);
                continue;
            };
            match utf8(text.data())
                .and_then(|text| Ok((text, [name(langs)?, name(sources)?, name(licenses)?, name(urls)?])))
            {
                Ok((text, names)) => collector.push(text, names.each_ref().map(Option::as_deref), place),
                Err(fact) => collector.broken(place, fact)?,
            }
        }
        Ok(read)
    }
}

impl Values {
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
