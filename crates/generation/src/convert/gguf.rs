//! A model as a GGUF file is to have it.

use super::{Progress, by_name, bytes, ends, fill, main_type};
use crate::model::gguf::{entries, template_entries};
use crate::model::{file_name, is_fortytwo_dot};
use crate::{Error, GenerationConfig};
use sai_decoder::{Config, ConvertedTensor, KEPT_TYPES};
use sai_formats::gguf::{self, Array, Gguf, Override, Value};
use sai_formats::{Container, DType, Source, Tensors};
use sai_tokenizer::{ChatTemplate, TemplateSources, Tokenizer};
use std::ops::ControlFlow;
use std::path::Path;

/// The alignment that every reader takes for granted.
const ALIGNMENT: u32 = 32;
/// The version of the block layouts.
const QUANTIZATION_VERSION: u32 = 2;

/// A model's metadata and tensors as GGUF has them, whatever its files are: each tensor is made when
/// [`ConvertedTensor::tensor`] asks for it, so that a caller can write them, or quantise them first, one at a time.
pub struct GgufModel {
    /// Keys and values, in the order of the file.
    pub metadata: Vec<(String, Value)>,
    /// Tensors, in the order of the file.
    pub tensors: Vec<ConvertedTensor>,
    /// What GGUF cannot say of this model, for people: one line each.
    pub notes: Vec<String>,
}

impl GgufModel {
    /// The model that is there: a GGUF as it is, or a Hugging Face folder with its tensors renamed and the rows of queries
    /// and keys in their places. `dtype` (F32, F16 or BF16) is for a folder's matrices; vectors are F32, which is all
    /// that llama.cpp computes with them.
    ///
    /// # Errors
    /// The model cannot be opened, has tensors of other types than plain floats or than its description has, or a
    /// vocabulary that GGUF cannot hold.
    pub fn open(source: impl Into<Source>, dtype: Option<DType>) -> Result<GgufModel, Error> {
        let source = source.into();
        let path = source.path();
        match sai_formats::open(&source).map_err(sai_decoder::Error::from)? {
            Container::Gguf(gguf) => Ok(GgufModel::of_gguf(&gguf)),
            Container::Safetensors(tensors) => {
                let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
                GgufModel::of_folder(folder, &tensors, dtype)
            }
        }
    }

    /// The same with entries of its metadata said otherwise.
    pub fn with_overrides(mut self, overrides: &[Override]) -> GgufModel {
        for Override { key, value } in overrides.iter().cloned() {
            match self.metadata.iter_mut().find(|(known, _)| *known == key) {
                Some((_, old)) => *old = value,
                None => self.metadata.push((key, value)),
            }
        }
        self
    }

    fn of_gguf(gguf: &Gguf) -> GgufModel {
        GgufModel {
            metadata: gguf.metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect(),
            tensors: gguf.tensors.iter().map(ConvertedTensor::unchanged).collect(),
            notes: Vec::new(),
        }
    }

    fn of_folder(folder: &Path, tensors: &Tensors, dtype: Option<DType>) -> Result<GgufModel, Error> {
        let config = Config::of(&Container::Safetensors(tensors.clone()), folder)?;
        let mut notes = sai_decoder::unused_tensors(&config, &Container::Safetensors(tensors.clone()))?;
        let tokenizer = Tokenizer::from_folder_with_rows(folder, config.vocab_size)?;
        notes.extend_from_slice(tokenizer.notes());
        let words = tokenizer.to_gguf(config.vocab_size, &ends(folder)?, folder)?;
        notes.extend(words.notes);
        let name = file_name(folder);
        let mut templates = TemplateSources::from_folder(folder)?;
        if templates.default.is_none() && is_fortytwo_dot(folder, &name) {
            templates.default = Some(ChatTemplate::FORTYTWO_DOT_JINJA.to_owned());
        }
        let converted = sai_decoder::to_gguf(&config, tensors, dtype)?;

        let mut described = config.to_gguf(&folder.join("config.json"))?.into_iter();
        let mut metadata: Vec<(String, Value)> = described.next().into_iter().collect();
        let mut general = |key: &str, value: Value| metadata.push((format!("general.{key}"), value));
        general("type", Value::String("model".to_owned()));
        general("name", Value::String(name));
        general("alignment", Value::U32(ALIGNMENT));
        general("file_type", Value::U32(file_type(main_type(&converted.tensors))));
        general("quantization_version", Value::U32(QUANTIZATION_VERSION));
        metadata.extend(GenerationConfig::of_folder(folder)?.entries());
        metadata.extend(described);
        metadata.extend(entries(&words.vocabulary));
        metadata.extend(template_entries(&templates));
        if !converted.kept_types.is_empty() {
            let kept = Value::Array(Array::from_strings(&converted.kept_types));
            metadata.push((KEPT_TYPES.to_owned(), kept));
        }
        Ok(GgufModel { metadata, tensors: converted.tensors, notes })
    }

    /// The bytes of all tensors together.
    pub fn bytes(&self) -> u64 {
        bytes(&self.tensors)
    }

    /// Writes the file, in place of one of that name. It takes its name when it is whole and on the disk; stopped
    /// before (`Break`), it leaves nothing.
    ///
    /// # Errors
    /// A value does not fit its type, or the disk refuses.
    pub fn write(&self, target: &Path, progress: &mut Progress<'_>) -> Result<ControlFlow<()>, Error> {
        let specs = self.tensors.iter().map(|converted| converted.spec.clone()).collect();
        let writer = gguf::create(target, &self.metadata, specs).map_err(sai_decoder::Error::from)?;
        fill(writer, &by_name(&self.tensors), &mut 0, progress)
    }
}

/// `general.file_type` of a file whose weights are mostly of a plain float type.
fn file_type(dtype: DType) -> u32 {
    match dtype {
        DType::F16 => 1,
        DType::BF16 => 32,
        _ => 0,
    }
}
