//! A model as a Hugging Face folder is to have it.

use super::{Progress, by_name, bytes, fill, main_type};
use crate::model::gguf::{templates, vocabulary};
use crate::{Error, GenerationConfig};
use sai_decoder::{Config, ConvertedTensor, KEPT_TYPES, PeftAdapter};
use sai_formats::gguf::{Gguf, Override};
use sai_formats::{Container, DType, FolderWriter, Source, TensorSpec, safetensors};
use sai_tokenizer::{GgufVocabulary, Tokenizer};
use serde_json::{Map, Value, json};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes of a shard, as `transformers` cuts them.
const SHARD_BYTES: u64 = 5_000_000_000;

/// The description of a model.
const CONFIG: &str = "config.json";
/// Files of a folder besides its weights, its description first.
const BESIDE: [&str; 12] = [
    CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "LICENSE",
];

/// A model's files as a Hugging Face folder has them.
pub struct FolderModel {
    /// The small files: description, vocabulary, templates.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Tensors, in the order of the forward pass.
    pub tensors: Vec<ConvertedTensor>,
    /// What a person should know of the way here: one line each.
    pub notes: Vec<String>,
    /// Bytes that a safetensors file may have of tensors; more go into several files under an index.
    pub shard_bytes: u64,
}

impl FolderModel {
    /// The model of a GGUF file, with its tensors renamed and the rows of queries and keys back in their places.
    /// `dtype` (F32, F16 or BF16) is for all tensors; quantised ones are expanded to it.
    ///
    /// # Errors
    /// The file cannot be opened, has tensors or a vocabulary that a folder cannot hold, or is quantised and no
    /// `dtype` is given.
    pub fn open(source: impl Into<Source>, dtype: Option<DType>) -> Result<FolderModel, Error> {
        FolderModel::open_with(source, dtype, &[])
    }

    /// [`FolderModel::open`] with entries of the file's metadata said otherwise.
    ///
    /// # Errors
    /// As [`FolderModel::open`].
    pub fn open_with(
        source: impl Into<Source>,
        dtype: Option<DType>,
        overrides: &[Override],
    ) -> Result<FolderModel, Error> {
        let source = source.into();
        let path = source.path();
        let mut gguf = Gguf::open(&source).map_err(sai_decoder::Error::from)?;
        overrides.iter().for_each(|entry| gguf.metadata.set(entry.clone()));
        let config = Config::from_gguf(&gguf)?;
        let mut notes = sai_decoder::unused_tensors(&config, &Container::Gguf(gguf.clone()))?;
        let mut words = vocabulary(&gguf)?;
        notes.extend_from_slice(Tokenizer::from_gguf(words.clone())?.notes());
        words.drop_stray_roles();
        let kept = gguf.metadata.strings(KEPT_TYPES).map_err(sai_decoder::Error::from)?.unwrap_or_default();
        let tensors = sai_decoder::to_hugging_face(&config, &gguf.tensors, dtype, &kept)?;

        let mut described = config.to_json(path)?;
        described.extend(token_ids(&words, false));
        described.insert("torch_dtype".to_owned(), json!(torch_name(main_type(&tensors))));
        let mut generation = token_ids(&words, true);
        GenerationConfig::of_gguf(&gguf.metadata)?.write_into(&mut generation);
        let mut files =
            vec![("config.json", pretty(described)), ("generation_config.json", pretty(generation))];
        files.extend(words.to_folder(&templates(&gguf)?, config.context_length)?);
        Ok(FolderModel { files, tensors, notes, shard_bytes: SHARD_BYTES })
    }

    /// A Hugging Face folder's model with an adapter, as the `peft` library writes it, merged into its weights. `dtype` (F32,
    /// F16 or BF16) is for all tensors; without one each keeps its own. The other files come along as they are.
    ///
    /// # Errors
    /// The base is no such folder, the adapter has parts that sai does not merge or was made for another model, or a file
    /// cannot be read.
    pub fn merged(base: &Path, adapter: &Path, dtype: Option<DType>) -> Result<FolderModel, Error> {
        let (trained, adapter) = (adapter, PeftAdapter::open(adapter)?);
        let (container, config) = Config::open(base)?;
        let Container::Safetensors(tensors) = container else {
            let fact = "is a GGUF file; make a folder of it with `sai convert`, and merge into that";
            return Err(refused(base, fact));
        };
        if !base.is_dir() {
            return Err(refused(base, "is a file; name the folder of the model"));
        }
        let tensors = sai_decoder::merge(&config, &tensors, &adapter, dtype)?;
        let mut files = Vec::new();
        for name in BESIDE {
            // The template and the ends that the adapter was trained with are its own.
            let own = Some(trained.join(name)).filter(|own| name != CONFIG && own.is_file());
            let path = own.unwrap_or_else(|| base.join(name));
            match std::fs::read(&path) {
                Ok(bytes) => files.push((name, bytes)),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(sai_decoder::Error::Read { path, source }.into()),
            }
        }
        if let (Some(dtype), Some((_, bytes))) = (dtype, files.first_mut()) {
            *bytes = with_dtype(bytes, dtype, base)?;
        }
        Ok(FolderModel { files, tensors, notes: Vec::new(), shard_bytes: SHARD_BYTES })
    }

    /// The bytes of all tensors together.
    pub fn bytes(&self) -> u64 {
        bytes(&self.tensors)
    }

    /// Writes the folder, in place of a model's folder of that name if `replace` says so. It takes its name when all
    /// of it is on the disk; stopped before (`Break`), it leaves nothing.
    ///
    /// # Errors
    /// There is a folder already, a value does not fit its type, or the disk refuses.
    pub fn write(
        &self,
        target: &Path,
        replace: bool,
        progress: &mut Progress<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let folder = FolderWriter::start(target, replace).map_err(sai_decoder::Error::from)?;
        for (name, bytes) in &self.files {
            folder.add(name, bytes).map_err(sai_decoder::Error::from)?;
        }
        let shards = self.shards();
        let tensors = by_name(&self.tensors);
        let mut weight_map = Map::new();
        let mut done = 0;
        let count = shards.len();
        for (i, shard) in shards.into_iter().enumerate() {
            let name = match count {
                1 => "model.safetensors".to_owned(),
                _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
            };
            weight_map.extend(shard.iter().map(|spec| (spec.name.clone(), json!(name))));
            let text = [("format".to_owned(), "pt".to_owned())];
            let writer = safetensors::create(&folder.path().join(&name), &text, shard)
                .map_err(sai_decoder::Error::from)?;
            if fill(writer, &tensors, &mut done, progress)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if count > 1 {
            let index = json!({ "metadata": { "total_size": self.bytes() }, "weight_map": weight_map });
            let bytes = format!("{index:#}\n").into_bytes();
            folder.add("model.safetensors.index.json", &bytes).map_err(sai_decoder::Error::from)?;
        }
        folder.finish().map_err(sai_decoder::Error::from)?;
        Ok(ControlFlow::Continue(()))
    }

    /// The tensors of each file, in order.
    fn shards(&self) -> Vec<Vec<TensorSpec>> {
        let mut shards: Vec<Vec<TensorSpec>> = vec![Vec::new()];
        let mut filled = 0;
        for converted in &self.tensors {
            let bytes = converted.spec.bytes().unwrap_or(0) as u64;
            if filled > 0 && filled + bytes > self.shard_bytes {
                shards.push(Vec::new());
                filled = 0;
            }
            filled += bytes;
            if let Some(shard) = shards.last_mut() {
                shard.push(converted.spec.clone());
            }
        }
        shards
    }
}

/// The ids of tokens with a role; `all_ends` names every one that ends an answer.
fn token_ids(words: &GgufVocabulary, all_ends: bool) -> Map<String, Value> {
    let mut out = Map::new();
    let mut ends: Vec<u32> = Vec::new();
    for id in [words.eos, words.eot, words.eom].into_iter().flatten() {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    let eos = match &ends[..] {
        [] => None,
        [one] => Some(json!(one)),
        [first, ..] => Some(if all_ends { json!(ends) } else { json!(first) }),
    };
    for (name, id) in [
        ("bos_token_id", words.bos.map(|id| json!(id))),
        ("eos_token_id", eos),
        ("pad_token_id", words.pad.map(|id| json!(id))),
    ] {
        if let Some(id) = id {
            out.insert(name.to_owned(), id);
        }
    }
    out
}

/// A description that says another type.
fn with_dtype(config: &[u8], dtype: DType, base: &Path) -> Result<Vec<u8>, Error> {
    let mut described: Map<String, Value> = serde_json::from_slice(config)
        .map_err(|e| refused(base, &format!("config.json is no JSON object: {e}")))?;
    let key = if described.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    described.insert(key.to_owned(), json!(torch_name(dtype)));
    Ok(pretty(described))
}

fn refused(path: &Path, fact: &str) -> Error {
    sai_decoder::Error::Adapter { path: path.to_owned(), fact: fact.to_owned() }.into()
}

/// What PyTorch calls a type.
fn torch_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        _ => "float32",
    }
}

fn pretty(object: Map<String, Value>) -> Vec<u8> {
    format!("{:#}\n", Value::Object(object)).into_bytes()
}
