//! Writing a GGUF file, version 3.

use std::path::Path;

use super::value::{Value, write_string};
use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, MAX_DIMENSIONS, Metadata};
use crate::write::check;
use crate::{Error, TensorSpec, Writer};

/// Starts a GGUF file of this metadata and these tensors, whose bytes are then handed to the [`Writer`] in the
/// same order. `general.alignment` is obeyed where the metadata has it.
///
/// # Errors
/// A key or tensor is given twice, a shape does not suit its type or has more than four dimensions or a zero, a type
/// is not one of GGUF's, the alignment is not a power of two; or the disk refuses.
pub fn create(
    target: &Path,
    metadata: &[(String, Value)],
    tensors: Vec<TensorSpec>,
) -> Result<Writer, Error> {
    check(target, &tensors)?;
    let wrong = |problem| Error::Write { path: target.to_owned(), problem };
    let keys = Metadata::new(target, metadata.to_vec())?;
    let alignment = keys.u32(ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT) as usize;
    if !alignment.is_power_of_two() {
        return Err(wrong(format!("an alignment of {alignment} is not a power of two")));
    }

    let mut header = Vec::new();
    header.extend(MAGIC);
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        write_string(key.as_bytes(), &mut header);
        header.extend((value.kind() as u32).to_le_bytes());
        value.write(&mut header);
    }
    let mut offset = 0usize;
    let mut padding = Vec::with_capacity(tensors.len());
    for spec in &tensors {
        let name = &spec.name;
        let Some(id) = spec.dtype.ggml_id() else {
            return Err(wrong(format!(
                "tensor `{name}` is of type {}, which GGUF does not have",
                spec.dtype
            )));
        };
        if spec.shape.len() > MAX_DIMENSIONS as usize || spec.shape.contains(&0) {
            return Err(wrong(format!("GGUF has no room for tensor `{name}` of shape {:?}", spec.shape)));
        }
        let bytes = spec.bytes().unwrap_or(0);
        let end = offset.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(alignment));
        let Some(end) = end else {
            return Err(wrong(format!("tensor `{name}` makes the file too large")));
        };
        write_string(name.as_bytes(), &mut header);
        header.extend((spec.shape.len() as u32).to_le_bytes());
        spec.shape.iter().rev().for_each(|d| header.extend((*d as u64).to_le_bytes()));
        header.extend(id.to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        padding.push(end - offset - bytes);
        offset = end;
    }
    header.resize(header.len().next_multiple_of(alignment), 0);
    Writer::start(target, &header, tensors, padding)
}
