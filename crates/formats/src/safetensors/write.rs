//! Writing a safetensors file.

use std::path::Path;

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde_json::{Map, Value};

use super::PREFIX;
use crate::write::check;
use crate::{Error, TensorSpec, Writer};

/// Starts a safetensors file of these tensors, with free text beside them (`format` = `pt` is what most readers
/// look for).
///
/// Tensors are laid out with the widest elements first and then by name, which keeps each aligned to its elements
/// without gaps; their bytes go to the [`Writer`] in the order that it asks for them.
///
/// # Errors
/// A tensor is given twice, a shape does not suit its type, a type is not one of safetensors'; or the disk
/// refuses.
pub fn create(
    target: &Path,
    metadata: &[(String, String)],
    mut tensors: Vec<TensorSpec>,
) -> Result<Writer, Error> {
    check(target, &tensors)?;
    let wrong = |problem| Error::Write { path: target.to_owned(), problem };
    tensors.sort_by(|a, b| (b.dtype.block_bytes(), &a.name).cmp(&(a.dtype.block_bytes(), &b.name)));
    let mut infos = Vec::with_capacity(tensors.len());
    let mut start = 0usize;
    for spec in &tensors {
        let name = &spec.name;
        let theirs = serde_json::from_value::<Dtype>(spec.dtype.name().into());
        let Ok(dtype) = theirs else {
            return Err(wrong(format!(
                "tensor `{name}` is of type {}, which safetensors does not have",
                spec.dtype
            )));
        };
        let Some(end) = start.checked_add(spec.bytes().unwrap_or(0)) else {
            return Err(wrong(format!("tensor `{name}` makes the file too large")));
        };
        infos.push((
            name.clone(),
            TensorInfo { dtype, shape: spec.shape.clone(), data_offsets: (start, end) },
        ));
        start = end;
    }
    let json = header(metadata, infos).map_err(wrong)?;
    // The header is filled up with spaces, so that the data starts at a multiple of eight.
    let length = json.len().next_multiple_of(PREFIX);
    let mut header = (length as u64).to_le_bytes().to_vec();
    header.extend(json);
    header.resize(PREFIX + length, b' ');
    let padding = vec![0; tensors.len()];
    Writer::start(target, &header, tensors, padding)
}

/// The header's JSON. The crate writes one too, but keeps the free text in the order of a hash table, so that the
/// same model would be written differently each time.
fn header(text: &[(String, String)], infos: Vec<(String, TensorInfo)>) -> Result<Vec<u8>, String> {
    let mut json = Map::new();
    if !text.is_empty() {
        let text = text.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        json.insert("__metadata__".to_owned(), Value::Object(text.collect()));
    }
    for (name, info) in &infos {
        json.insert(name.clone(), serde_json::to_value(info).map_err(|e| e.to_string())?);
    }
    Metadata::new(None, infos).map_err(|e| e.to_string())?;
    serde_json::to_vec(&json).map_err(|e| e.to_string())
}
