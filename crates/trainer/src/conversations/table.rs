//! Rows of Parquet tables, as the objects that they are. Nested ones come as the Hub keeps conversations: lists of structs.

use super::forms::known_keys;
use crate::Error;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Bytes of JSON that are handed out at once.
const BLOCK: usize = 1 << 20;

/// Some rows.
pub(super) struct Rows {
    /// The number of the first, from 1.
    pub(super) first: u64,
    /// Each as JSON, in one line.
    pub(super) lines: Vec<String>,
    /// Share of the table that was read.
    pub(super) share: f64,
}

/// Reads a table's columns that a conversation may have, and hands out its rows in order.
///
/// # Errors
/// The file is damaged, or has none of these columns.
pub(super) fn read(
    path: &Path,
    take: &mut dyn FnMut(Rows) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    // The library that takes tables apart was not written for hostile files alone.
    let read = catch_unwind(AssertUnwindSafe(|| rows(path, take)));
    read.unwrap_or_else(|_| {
        Err(wrong(path, "damaged in a way that its reader does not bear; fetch it again"))
    })
}

fn rows(path: &Path, take: &mut dyn FnMut(Rows) -> ControlFlow<()>) -> Result<ControlFlow<()>, Error> {
    let damaged = |e: ParquetError| {
        let text: String = e.to_string().chars().take(160).collect();
        wrong(path, format!("no Parquet file that can be read ({}); fetch it again", text.escape_debug()))
    };
    let file = File::open(path).map_err(|e| Error::io(path, "read the file", e))?;
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let described = reader.metadata().file_metadata();
    let root = described.schema();
    let names = |fields: &[Arc<Type>]| fields.iter().map(|field| field.name().to_owned()).collect::<Vec<_>>();
    let wanted = |field: &&Arc<Type>| known_keys().any(|key| key == field.name());
    let columns: Vec<Arc<Type>> = root.get_fields().iter().filter(wanted).cloned().collect();
    if columns.is_empty() {
        let all = names(root.get_fields()).join(", ");
        return Err(wrong(path, format!("no column of a conversation, such as `messages`; it has {all}")));
    }
    let total = described.num_rows().max(1) as f64;
    let wanted = Type::group_type_builder(root.name()).with_fields(columns).build().map_err(damaged)?;
    let (mut lines, mut bytes, mut read) = (Vec::new(), 0, 0u64);
    let rows = reader.get_row_iter(Some(wanted)).map_err(damaged)?;
    for row in rows {
        let line = object(&row.map_err(damaged)?).to_string();
        bytes += line.len();
        lines.push(line);
        read += 1;
        if bytes >= BLOCK {
            let first = read - lines.len() as u64 + 1;
            let rows = Rows { first, lines: std::mem::take(&mut lines), share: read as f64 / total };
            bytes = 0;
            if take(rows).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    let first = read - lines.len() as u64 + 1;
    Ok(take(Rows { first, lines, share: 1.0 }))
}

fn wrong(path: &Path, fact: impl Into<String>) -> Error {
    Error::Data { path: path.to_owned(), fact: fact.into() }
}

fn object(row: &Row) -> Value {
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect::<Map<_, _>>().into()
}

/// A value as JSON. What JSON does not know is what it is called.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(said) => json!(said),
        Field::Byte(n) => json!(n),
        Field::Short(n) => json!(n),
        Field::Int(n) => json!(n),
        Field::Long(n) => json!(n),
        Field::UByte(n) => json!(n),
        Field::UShort(n) => json!(n),
        Field::UInt(n) => json!(n),
        Field::ULong(n) => json!(n),
        Field::Float(x) => json!(x),
        Field::Double(x) => json!(x),
        Field::Str(text) => json!(text),
        // A text whose column does not say that it is one.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => json!(text),
            Err(_) => json!({ "bytes": bytes.len() }),
        },
        Field::Group(row) => object(row),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => map
            .entries()
            .iter()
            .map(|(key, said)| (key.to_string(), value(said)))
            .collect::<Map<_, _>>()
            .into(),
        other => json!(other.to_string()),
    }
}
