//! GGUF, versions 2 and 3: metadata, tensor infos and tensors in one little-endian file.
//!
//! Layout: magic, version, counts; then the metadata entries; then for each tensor its name, dimensions (innermost
//! first, which [`Tensor::shape`] turns round), type and offset; then, from the next multiple of the alignment on,
//! the data.

mod cursor;
mod metadata;
mod overrides;
mod value;
mod write;

use std::path::Path;
use std::sync::Arc;

use crate::error::TensorProblem;
use crate::{Bytes, DType, Error, KeyProblem, Source, Tensor, Tensors, recognise};
use cursor::{Cursor, Short};
use value::Fault;

pub use metadata::Metadata;
pub use overrides::Override;
pub use value::{Array, ArrayIter, Value, ValueType};
pub use write::create;

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u32 = 32;
const MAX_DIMENSIONS: u32 = 4;

/// The least bytes of a metadata entry: the lengths of its key, its type, a one-byte value.
const LEAST_ENTRY: u64 = 8 + 4 + 1;
/// The least bytes of a tensor info: the length of its name, dimension count, type, offset.
const LEAST_INFO: u64 = 8 + 4 + 4 + 8;

/// An opened GGUF file.
#[derive(Clone, Debug)]
pub struct Gguf {
    /// 2 or 3; their layouts are the same.
    pub version: u32,
    /// What the file says about the model.
    pub metadata: Metadata,
    /// The weights.
    pub tensors: Tensors,
}

impl Gguf {
    /// Maps a file, or takes one that is in memory, and checks all of its header.
    ///
    /// # Errors
    /// The file cannot be read, is something else, or its header promises what the file does not hold.
    pub fn open(source: impl Into<Source>) -> Result<Gguf, Error> {
        match source.into() {
            Source::Path(path) => Gguf::from_bytes(recognise::map(&path)?, &path),
            Source::Memory { name, bytes } => Gguf::from_bytes(bytes, &name),
        }
    }

    /// Reads a file that is in memory; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`open`](Gguf::open).
    pub fn from_bytes(bytes: Bytes, path: &Path) -> Result<Gguf, Error> {
        if !bytes.starts_with(MAGIC) {
            return Err(Error::found(path, recognise::file(&bytes)));
        }
        let mut reader = Reader { cursor: Cursor::new(&bytes), path, length: bytes.len() as u64 };
        let (version, tensor_count, entry_count) = reader.header()?;
        let metadata = reader.metadata(&bytes, entry_count)?;
        let alignment = metadata.u32(ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
        if !alignment.is_power_of_two() {
            return Err(Error::key(path, ALIGNMENT_KEY, KeyProblem::Alignment(alignment)));
        }
        let parts = metadata.u32("split.count")?.unwrap_or(1);
        if parts > 1 {
            let part = metadata.u32("split.no")?.unwrap_or(0).min(parts - 1);
            return Err(Error::GgufSplit { path: path.to_owned(), part, parts });
        }
        let infos = reader.infos(tensor_count)?;
        let start = (reader.cursor.at() as u64).next_multiple_of(u64::from(alignment));
        let tensors = place(&bytes, path, infos, start, u64::from(alignment))?;
        Ok(Gguf { version, metadata, tensors })
    }
}

/// A tensor info as the file has it, its extent not yet held against the file.
struct Info<'a> {
    name: &'a str,
    dtype: DType,
    shape: Vec<usize>,
    bytes: u64,
    offset: u64,
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    path: &'a Path,
    length: u64,
}

impl<'a> Reader<'a> {
    /// Version, tensor count and metadata count.
    fn header(&mut self) -> Result<(u32, u64, u64), Error> {
        let all = |s| self.short("the header".into(), s);
        let mut cursor = self.cursor;
        cursor.take(MAGIC.len() as u64).map_err(all)?;
        let version = cursor.u32().map_err(all)?;
        if version.is_multiple_of(1 << 16) && version != 0 {
            return Err(Error::BigEndian { path: self.path.to_owned(), version: version.swap_bytes() });
        }
        if !(2..=3).contains(&version) {
            return Err(Error::GgufVersion { path: self.path.to_owned(), version });
        }
        let counts = (cursor.u64().map_err(all)?, cursor.u64().map_err(all)?);
        self.cursor = cursor;
        Ok((version, counts.0, counts.1))
    }

    fn metadata(&mut self, bytes: &Bytes, count: u64) -> Result<Metadata, Error> {
        self.promise(count, LEAST_ENTRY, "metadata entries")?;
        let mut entries = Vec::new();
        for i in 0..count {
            let key = self.text(|| format!("the key of metadata entry {i}"))?.to_owned();
            let part = || format!("the value of metadata key `{key}`");
            let id = self.cursor.u32().map_err(|s| self.short(part(), s))?;
            let value = ValueType::from_id(id)
                .ok_or(Fault::Problem(KeyProblem::UnknownType(id)))
                .and_then(|kind| Value::read(kind, &mut self.cursor, bytes));
            match value {
                Ok(value) => entries.push((key, value)),
                Err(Fault::Short(short)) => return Err(self.short(part(), short)),
                Err(Fault::Problem(problem)) => return Err(Error::key(self.path, &key, problem)),
            }
        }
        Metadata::new(self.path, entries)
    }

    fn infos(&mut self, count: u64) -> Result<Vec<Info<'a>>, Error> {
        self.promise(count, LEAST_INFO, "tensors")?;
        let mut infos = Vec::new();
        for i in 0..count {
            let name = self.text(|| format!("the name of tensor {i}"))?;
            infos.push(self.info(name)?);
        }
        Ok(infos)
    }

    fn info(&mut self, name: &'a str) -> Result<Info<'a>, Error> {
        let part = |s| self.short(format!("the description of tensor `{name}`"), s);
        let wrong = |problem| Error::tensor(self.path, name, problem);
        let mut cursor = self.cursor;
        let dimensions = cursor.u32().map_err(part)?;
        if dimensions > MAX_DIMENSIONS {
            return Err(wrong(TensorProblem::TooManyDimensions(dimensions)));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(cursor.u64().map_err(part)?);
        }
        shape.reverse();
        let id = cursor.u32().map_err(part)?;
        let offset = cursor.u64().map_err(part)?;
        self.cursor = cursor;

        let dtype = DType::from_ggml(id).ok_or_else(|| match withdrawn(id) {
            Some(name) => wrong(TensorProblem::WithdrawnType(name)),
            None => wrong(TensorProblem::UnknownType(id)),
        })?;
        if shape.contains(&0) {
            return Err(wrong(TensorProblem::ZeroDimension(shape)));
        }
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(dtype.block_len() as u64) {
            return Err(wrong(TensorProblem::RaggedRows { row, dtype }));
        }
        // In memory a tensor is measured in `usize`, so its elements must fit one too.
        let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
        let Some(bytes) = elements.and_then(|n| dtype.bytes_for(n)) else {
            return Err(wrong(TensorProblem::Overflow(shape)));
        };
        let shape = shape.into_iter().map(|d| d as usize).collect();
        Ok(Info { name, dtype, shape, bytes: bytes as u64, offset })
    }

    /// A length-prefixed text. A key or name that is not UTF-8 is told with its bad bytes replaced.
    fn text(&mut self, part: impl Fn() -> String) -> Result<&'a str, Error> {
        let bytes = self.cursor.string().map_err(|s| self.short(part(), s))?;
        std::str::from_utf8(bytes)
            .map_err(|_| Error::key(self.path, &String::from_utf8_lossy(bytes), KeyProblem::NotUtf8))
    }

    /// Refuses a count whose items cannot fit what is left of the file, before any is read.
    fn promise(&self, count: u64, least: u64, what: &str) -> Result<(), Error> {
        let left = self.length - self.cursor.at() as u64;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= left => Ok(()),
            bytes => {
                let short = Short { at: self.cursor.at(), bytes: bytes.unwrap_or(u64::MAX) };
                Err(self.short(format!("the list of {count} {what}"), short))
            }
        }
    }

    fn short(&self, part: String, short: Short) -> Error {
        let (at, bytes) = (short.at as u64, short.bytes);
        Error::HeaderPastEnd { path: self.path.to_owned(), part, at, bytes, length: self.length }
    }
}

/// Types whose numbers GGML gave out and took back.
fn withdrawn(id: u32) -> Option<&'static str> {
    Some(match id {
        4 => "Q4_2",
        5 => "Q4_3",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        _ => return None,
    })
}

/// Gives each tensor its bytes, `start` being where the data begins.
fn place(
    bytes: &Bytes,
    path: &Path,
    infos: Vec<Info<'_>>,
    start: u64,
    alignment: u64,
) -> Result<Tensors, Error> {
    let length = bytes.len() as u64;
    let file: Arc<Path> = path.into();
    let mut tensors = Vec::with_capacity(infos.len());
    for info in &infos {
        if !info.offset.is_multiple_of(alignment) {
            let problem = TensorProblem::Misaligned { offset: info.offset, alignment };
            return Err(Error::tensor(path, info.name, problem));
        }
        let from = start.saturating_add(info.offset);
        let end = from.saturating_add(info.bytes);
        let data =
            usize::try_from(from).ok().zip(usize::try_from(end).ok()).and_then(|(a, b)| bytes.slice(a..b));
        let Some(data) = data else {
            return Err(Error::TensorPastEnd {
                path: path.to_owned(),
                tensor: info.name.into(),
                end,
                length,
            });
        };
        let (name, shape) = (info.name.to_owned(), info.shape.clone());
        tensors.push(Tensor { name, dtype: info.dtype, shape, data, file: Arc::clone(&file) });
    }
    let tensors = Tensors::new(path, tensors)?;
    // Tensors that share bytes would let a small file ask for any amount of memory when they are unpacked.
    let mut by_offset: Vec<&Info<'_>> = infos.iter().collect();
    by_offset.sort_by_key(|info| info.offset);
    for pair in by_offset.windows(2) {
        if pair[0].offset.saturating_add(pair[0].bytes) > pair[1].offset {
            let problem = TensorProblem::Overlaps(pair[0].name.to_owned());
            return Err(Error::tensor(path, pair[1].name, problem));
        }
    }
    Ok(tensors)
}
