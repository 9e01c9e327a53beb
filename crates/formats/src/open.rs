//! One door for every kind of model.

use std::path::Path;

use crate::gguf::{self, Gguf, Override};
use crate::{Error, FileKind, Source, Tensors, recognise, safetensors};

/// A model's files, opened.
#[derive(Clone, Debug)]
pub enum Container {
    /// A GGUF file.
    Gguf(Gguf),
    /// A `.safetensors` file, or a Hugging Face folder.
    Safetensors(Tensors),
}

impl Container {
    /// The same with entries of its metadata said otherwise; `path` is what messages call it.
    ///
    /// # Errors
    /// There are some, and it is no GGUF file.
    pub fn with_overrides(mut self, overrides: &[Override], path: &Path) -> Result<Container, Error> {
        match &mut self {
            _ if overrides.is_empty() => {}
            Container::Gguf(gguf) => overrides.iter().for_each(|entry| gguf.metadata.set(entry.clone())),
            Container::Safetensors(_) => return Err(Error::found(path, FileKind::NoMetadata)),
        }
        Ok(self)
    }

    /// The weights.
    pub fn tensors(&self) -> &Tensors {
        match self {
            Container::Gguf(gguf) => &gguf.tensors,
            Container::Safetensors(tensors) => tensors,
        }
    }
}

/// Opens what is at a path, told by its contents and not its name: a GGUF file, a safetensors file, or a folder
/// with `config.json` and safetensors weights; or a GGUF file that is in memory.
///
/// # Errors
/// There is nothing, or something else, in which case the error says what it seems to be; or the file is damaged.
pub fn open(source: impl Into<Source>) -> Result<Container, Error> {
    let source = source.into();
    let Source::Path(path) = &source else { return Gguf::open(&source).map(Container::Gguf) };
    if path.is_dir() {
        let tensors = safetensors::open(path)?;
        if !path.join("config.json").is_file() {
            return Err(Error::found(path, FileKind::NoConfig));
        }
        return Ok(Container::Safetensors(tensors));
    }
    let bytes = recognise::map(path)?;
    if bytes.starts_with(gguf::MAGIC) {
        Gguf::from_bytes(bytes, path).map(Container::Gguf)
    } else {
        // Also refuses what is neither.
        safetensors::from_bytes(bytes, path).map(Container::Safetensors)
    }
}
