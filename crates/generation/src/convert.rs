//! A model in its other form: a Hugging Face folder as a GGUF, a GGUF as a folder.
//!
//! [`GgufModel`] and [`FolderModel`] are planned whole before anything is written: every tensor is found and held to
//! the model's description, the vocabulary is turned and held to the embedding. What then remains is bytes, a tensor
//! at a time, under a temporary name. Weights in plain floats come through unchanged, there and back; only where
//! a type is asked for are they rounded.

mod folder;
mod gguf;

pub use folder::FolderModel;
pub use gguf::GgufModel;

use crate::Error;
use sai_decoder::ConvertedTensor;
use sai_formats::{DType, Writer, json};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes between two looks at whether to stop.
const PIECE: usize = 16 << 20;

/// Hears how many bytes of tensors are written, and may stop the work.
pub type Progress<'p> = dyn FnMut(u64) -> ControlFlow<()> + 'p;

/// Writes the tensors that a file asks for, and finishes it. `done` counts bytes over all files.
fn fill(
    mut writer: Writer,
    tensors: &HashMap<&str, &ConvertedTensor>,
    done: &mut u64,
    progress: &mut Progress<'_>,
) -> Result<ControlFlow<()>, Error> {
    while let Some(name) = writer.next_tensor().map(|spec| spec.name.clone()) {
        // The writer knows these tensors only.
        let Some(converted) = tensors.get(name.as_str()) else { break };
        for piece in converted.tensor()?.data.chunks(PIECE) {
            writer.write(piece).map_err(sai_decoder::Error::from)?;
            *done += piece.len() as u64;
            if progress(*done).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        converted.release();
    }
    writer.finish().map_err(sai_decoder::Error::from)?;
    Ok(ControlFlow::Continue(()))
}

/// Tensors by the names that they will have.
fn by_name(tensors: &[ConvertedTensor]) -> HashMap<&str, &ConvertedTensor> {
    tensors.iter().map(|converted| (converted.spec.name.as_str(), converted)).collect()
}

/// The bytes of all tensors together, as they will be written.
fn bytes(tensors: &[ConvertedTensor]) -> u64 {
    tensors.iter().filter_map(|converted| converted.spec.bytes()).map(|bytes| bytes as u64).sum()
}

/// The type that most of the weights are in.
fn main_type(tensors: &[ConvertedTensor]) -> DType {
    let mut sums: Vec<(DType, usize)> = Vec::new();
    for converted in tensors {
        let elements: usize = converted.spec.shape.iter().product();
        match sums.iter_mut().find(|(dtype, _)| *dtype == converted.spec.dtype) {
            Some((_, sum)) => *sum += elements,
            None => sums.push((converted.spec.dtype, elements)),
        }
    }
    sums.into_iter().max_by_key(|(_, sum)| *sum).map_or(DType::F32, |(dtype, _)| dtype)
}

/// The ids that a folder names to end an answer beside its tokenizer: those of `generation_config.json`, or of
/// `config.json` where that names none, as `transformers` takes them.
///
/// # Errors
/// A file cannot be read, or is not JSON.
pub(crate) fn ends(folder: &Path) -> Result<Vec<u32>, Error> {
    let own = ids_in(&folder.join("generation_config.json"), "eos_token_id")?;
    if own.is_empty() { ids_in(&folder.join("config.json"), "eos_token_id") } else { Ok(own) }
}

/// One id or a list of them in a JSON file that may be absent.
fn ids_in(path: &Path, field: &str) -> Result<Vec<u32>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(sai_decoder::Error::Read { path: path.to_path_buf(), source }.into()),
    };
    let file: serde_json::Value = json::read(&bytes).map_err(|e| sai_decoder::Error::Config {
        path: path.to_path_buf(),
        fact: format!("is not JSON: {e}; fetch it again, or remove it"),
    })?;
    let id = |value: &serde_json::Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    Ok(match &file[field] {
        serde_json::Value::Array(list) => list.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    })
}
