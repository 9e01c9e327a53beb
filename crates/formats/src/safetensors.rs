//! safetensors: a JSON header and the data, in one file or in shards that an index names.
//!
//! Layout of a file: the header's length as u64, the header, the data. Tensors lie row-major, in order, without
//! gaps. The `safetensors` crate owns the header's vocabulary and the rules of a valid file; this module holds
//! the header against the file first, so that a file cut short is told as one, with the tensor it lost.

mod header;
mod shards;
mod write;

use std::path::Path;
use std::sync::Arc;

use crate::error::TensorProblem;
use crate::{Bytes, DType, Error, FileKind, Tensor, Tensors, json, recognise};
use header::Header;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

pub use write::create;

/// The file that a folder of one shard holds.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The file that names the shards of a folder of several.
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// Before the header: its length.
const PREFIX: usize = 8;
/// The longest header that the `safetensors` crate, and so everyone, reads.
const LONGEST_HEADER: u64 = 100_000_000;

/// Maps a `.safetensors` file, or the one or many in a folder, and checks all headers.
///
/// In a folder, `model.safetensors` comes first, then the shards of `model.safetensors.index.json`, then a single
/// `.safetensors` file of another name.
///
/// # Errors
/// A file cannot be read, is something else, or its header promises what the file does not hold; an index and its
/// shards disagree.
pub fn open(path: &Path) -> Result<Tensors, Error> {
    if !path.is_dir() {
        return from_bytes(recognise::map(path)?, path);
    }
    let single = path.join(SINGLE);
    let index = path.join(INDEX);
    if single.exists() {
        return Tensors::new(path, file(recognise::map(&single)?, &single)?);
    }
    if index.exists() {
        return shards::open(path, &index);
    }
    let names = recognise::names(path)?;
    if names.iter().any(|name| name == "adapter_config.json") {
        return Err(Error::found(path, FileKind::Adapter));
    }
    let mut weights = names.iter().filter(|n| n.ends_with(".safetensors"));
    match (weights.next(), weights.next()) {
        (Some(name), None) if !is_shard(name) => {
            let only = path.join(name);
            Tensors::new(path, file(recognise::map(&only)?, &only)?)
        }
        (Some(name), _) => Err(Error::found(path, FileKind::NoIndex(name.clone()))),
        (None, _) => Err(Error::found(path, recognise::folder(path)?)),
    }
}

/// Reads a file that is in memory; `path` is what messages call it.
///
/// # Errors
/// As [`open`].
pub fn from_bytes(bytes: Bytes, path: &Path) -> Result<Tensors, Error> {
    Tensors::new(path, file(bytes, path)?)
}

/// Whether a name is that of one shard among several: `model-00001-of-00003.safetensors`.
fn is_shard(name: &str) -> bool {
    name.trim_end_matches(".safetensors")
        .rsplit_once("-of-")
        .is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()) && n.trim_start_matches('0') != "1")
}

/// The length of the header where a file starts as safetensors files do, with a length and then JSON.
fn header_length(bytes: &[u8]) -> Option<u64> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    (length <= LONGEST_HEADER && bytes.get(PREFIX) == Some(&b'{')).then_some(length)
}

/// The tensors of one file, in the order of their data.
fn file(bytes: Bytes, path: &Path) -> Result<Vec<Tensor>, Error> {
    let length = bytes.len() as u64;
    let past_end = |part: &str, at: usize, bytes: u64| Error::HeaderPastEnd {
        path: path.to_owned(),
        part: part.to_owned(),
        at: at as u64,
        bytes,
        length,
    };
    let Some(rest) = bytes.get(PREFIX..) else {
        return Err(match recognise::file(&bytes) {
            FileKind::Unknown(_) => past_end("the length of the header", 0, PREFIX as u64),
            found => Error::found(path, found),
        });
    };
    let Some(header_length) = header_length(&bytes) else {
        return Err(Error::found(path, recognise::file(&bytes)));
    };
    let header = usize::try_from(header_length).ok().and_then(|n| rest.get(..n));
    let Some(header) = header else {
        return Err(past_end("the header", PREFIX, header_length));
    };
    let start = PREFIX + header.len();
    let wrong = |problem: String| Error::SafetensorsHeader { path: path.to_owned(), problem };
    let Header { metadata, mut tensors } =
        json::read_large(header).map_err(|e| wrong(format!("is wrong: {e}")))?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);

    let file: Arc<Path> = path.into();
    let mut catalogue = Vec::with_capacity(tensors.len());
    let mut expected = 0;
    for (name, info) in &tensors {
        let (from, to) = info.data_offsets;
        if from != expected {
            let problem = TensorProblem::Offset { start: from as u64, expected: expected as u64 };
            return Err(Error::tensor(path, name, problem));
        }
        let end = start.checked_add(to);
        let data = end.and_then(|end| bytes.slice(start.checked_add(from)?..end));
        let Some(data) = data else {
            let end = end.map_or(u64::MAX, |end| end as u64);
            if to < from || end <= length {
                let problem = TensorProblem::Offset { start: from as u64, expected: to as u64 };
                return Err(Error::tensor(path, name, problem));
            }
            return Err(Error::TensorPastEnd { path: path.to_owned(), tensor: name.clone(), end, length });
        };
        expected = to;
        catalogue.push(tensor(name, info, data, &file)?);
    }
    if start + expected != bytes.len() {
        let more = bytes.len() - start - expected;
        return Err(wrong(format!("leaves {more} bytes at the end of the file to no tensor")));
    }
    // The crate has the last word on what a valid header is.
    Metadata::new(metadata, tensors).map_err(|e| wrong(format!("is wrong: {e}")))?;
    Ok(catalogue)
}

fn tensor(name: &str, info: &TensorInfo, data: Bytes, file: &Arc<Path>) -> Result<Tensor, Error> {
    let shape = || info.shape.iter().map(|d| *d as u64).collect();
    let Some(dtype) = dtype(info.dtype) else {
        let problem = format!("has a tensor of type {}, which this version does not know", info.dtype);
        return Err(Error::SafetensorsHeader { path: file.to_path_buf(), problem });
    };
    let elements = info.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let Some(needed) = elements.and_then(|n| dtype.bytes_for(n)) else {
        return Err(Error::tensor(file, name, TensorProblem::Overflow(shape())));
    };
    if needed != data.len() {
        let problem = TensorProblem::Length { shape: shape(), dtype, bytes: data.len() as u64 };
        return Err(Error::tensor(file, name, problem));
    }
    Ok(Tensor { name: name.to_owned(), dtype, shape: info.shape.clone(), data, file: Arc::clone(file) })
}

/// Our name for a type of theirs; they may add some.
fn dtype(theirs: Dtype) -> Option<DType> {
    match theirs {
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        other => DType::from_name(&other.to_string()),
    }
}
