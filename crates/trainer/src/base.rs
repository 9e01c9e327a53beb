//! The model that training begins from.

use crate::vocabulary::{self, Files};
use crate::{Error, FinetuneRecipe};
use sai_decoder::Config;
use sai_formats::{Container, Tensors};
use sai_shards::Shards;
use sai_tokenizer::{ChatTemplate, Tokenizer};
use std::path::{Path, PathBuf};

/// The folder that `from` means: itself, or the newest checkpoint where it is a run's folder.
pub(crate) fn folder(from: &Path) -> PathBuf {
    newest(from, "config.json")
}

/// The newest checkpoint in a run's folder, where that has a file of this name and the folder itself has none; else the
/// folder.
pub fn newest(run: &Path, file: &str) -> PathBuf {
    let newest = run.join("model");
    if !run.join(file).is_file() && newest.join(file).is_file() { newest } else { run.to_owned() }
}

/// Checksum of the weights that an adapter was trained beside, as its checkpoint has it; none where it is of another
/// program.
pub fn recorded_base(adapter: &Path) -> Option<u32> {
    crate::checkpoint::recorded_base(adapter)
}

/// Checksum of a model's weights, to hold against [`recorded_base`].
///
/// # Errors
/// The folder has no weights that can be read.
pub fn weights_checksum(model: &Path) -> Result<u32, Error> {
    let (_, tensors) = open(model, 0)?;
    Ok(crate::train::checksum(&tensors))
}

/// The description and the weights of the model at `from`, made to hold sequences of `context` tokens.
pub(crate) fn open(from: &Path, context: usize) -> Result<(Config, Tensors), Error> {
    if !from.exists() {
        let fact =
            "no such folder; give the model's place as `model.from`, or --set model.from=FOLDER".to_owned();
        return Err(Error::Data { path: from.to_owned(), fact });
    }
    let path = folder(from);
    let adapter = newest(from, "adapter_config.json");
    if !path.join("config.json").is_file() && adapter.join("adapter_config.json").is_file() {
        let fact =
            format!("is an adapter; make a model of it with `sai merge BASE {} MERGED`", adapter.display());
        return Err(Error::Data { path: from.to_owned(), fact });
    }
    let (container, mut config) = Config::open(&path)?;
    let Container::Safetensors(tensors) = container else {
        let fact = "is a GGUF file; make a folder of it with `sai convert`, and train that".to_owned();
        return Err(Error::Data { path, fact });
    };
    config.context_length = config.context_length.max(context);
    Ok((config, tensors))
}

/// Holds the tokenizer of the model at `from`, where it has one, against that of the shards that it is to go on with.
///
/// # Errors
/// They are not the same.
pub(crate) fn holds(from: &Path, shards: &Shards) -> Result<(), Error> {
    let path = folder(from);
    if !has_other(&path, None, shards.fingerprint())? {
        return Ok(());
    }
    let fact = format!(
        "has another tokenizer than {}, with which the shards were packed: its weights know other tokens; pack with this \
         one, or remove its tokenizer.json to train on nonetheless",
        shards.tokenizer()
    );
    Err(Error::Data { path, fact })
}

/// Whether a model's folder has a tokenizer with another fingerprint, for an embedding of so many rows where they are given.
fn has_other(folder: &Path, rows: Option<usize>, fingerprint: [u8; 32]) -> Result<bool, Error> {
    if !folder.join("tokenizer.json").is_file() {
        return Ok(false);
    }
    let tokenizer = match rows {
        Some(rows) => Tokenizer::from_folder_with_rows(folder, rows)?,
        None => Tokenizer::from_folder(folder)?,
    };
    Ok(tokenizer.fingerprint()? != fingerprint)
}

/// A model that answers are to be taught: its weights, its vocabulary and how it reads a conversation.
pub struct Base {
    /// What it is.
    pub config: Config,
    /// Its weights.
    pub tensors: Tensors,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// How conversations are written.
    pub template: ChatTemplate,
    /// The tokenizer's files, the template with them.
    pub(crate) files: Files,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

impl Base {
    /// Whether the template asks for the day, which a recipe's `date` tells.
    pub fn asks_for_date(&self) -> bool {
        self.template.source().is_some_and(|source| source.contains("strftime_now"))
    }

    /// Opens the model that a recipe names, with the tokenizer and the template that it says otherwise.
    ///
    /// # Errors
    /// There is no such model, tokenizer or template, or they do not suit each other.
    pub fn open(recipe: &FinetuneRecipe) -> Result<Base, Error> {
        let from = folder(&recipe.model.from);
        let (config, tensors) = open(&from, 0)?;
        let place =
            recipe.tokenizer.as_ref().map_or_else(|| from.clone(), |said| newest(said, "tokenizer.json"));
        let rows = config.vocab_size;
        let tokenizer = Tokenizer::from_folder_with_rows(&place, rows)?.with_ends(&ends(&from)?);
        if recipe.tokenizer.is_some() && has_other(&from, Some(rows), tokenizer.fingerprint()?)? {
            let fact = format!(
                "is another tokenizer than that of {}, whose weights know no other; leave `tokenizer` out",
                from.display()
            );
            return Err(Error::Data { path: place, fact });
        }
        if tokenizer.vocab_size() > config.vocab_size {
            let fact = format!(
                "has {} tokens, more than the {} of the model to begin from",
                tokenizer.vocab_size(),
                config.vocab_size
            );
            return Err(Error::Data { path: place, fact });
        }
        let template = match &recipe.template {
            None => ChatTemplate::from_folder(&place)?,
            Some(said) => Some(named(said, &tokenizer)?),
        };
        let Some(template) = template else {
            let fact = "has no chat template; give `template`: 42dot, chatml or a file with one".to_owned();
            return Err(Error::Data { path: place, fact });
        };
        let template = match recipe.date.as_ref().and_then(|date| date.parse().ok()) {
            Some(date) => template.at(date),
            None => template,
        };
        let mut files = vocabulary::beside(&place)?;
        if let Some(source) = template.source().filter(|_| recipe.template.is_some()) {
            files.retain(|(name, _)| name != vocabulary::TEMPLATE);
            files.push((vocabulary::TEMPLATE.to_owned(), source.as_bytes().to_vec()));
        }
        let ends = serde_json::json!({ "eos_token_id": tokenizer.eos() });
        files.push((GENERATION.to_owned(), format!("{ends:#}\n").into_bytes()));
        let notes = tokenizer.notes().to_vec();
        let mut base = Base { config, tensors, tokenizer, template, files, notes };
        if recipe.context > base.config.context_length {
            base.notes.push(format!(
                "the model was trained on {} tokens at once, and `context` is {}",
                base.config.context_length, recipe.context
            ));
            base.config.context_length = recipe.context;
        }
        Ok(base)
    }
}

/// The template that a recipe names.
fn named(said: &str, tokenizer: &Tokenizer) -> Result<ChatTemplate, Error> {
    let source = match said {
        "42dot" => ChatTemplate::FORTYTWO_DOT_JINJA.to_owned(),
        "chatml" => {
            let special = |text| tokenizer.id_of(text).is_some_and(|id| tokenizer.is_special(id));
            if !special("<|im_start|>") || !special("<|im_end|>") {
                let fact = "is for tokenizers with the special tokens <|im_start|> and <|im_end|>".to_owned();
                return Err(Error::Data { path: PathBuf::from("template chatml"), fact });
            }
            ChatTemplate::CHATML_JINJA.to_owned()
        }
        file => {
            let path = Path::new(file);
            std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the template", e))?
        }
    };
    ChatTemplate::jinja(&source, said).map_err(Error::Template)
}

const GENERATION: &str = "generation_config.json";

/// Ids that end generation besides the tokenizer's, where the model's folder names some: in `generation_config.json`, or
/// else in `config.json`.
fn ends(folder: &Path) -> Result<Vec<u32>, Error> {
    let own = ends_in(folder.join(GENERATION))?;
    if own.is_empty() { ends_in(folder.join("config.json")) } else { Ok(own) }
}

fn ends_in(path: PathBuf) -> Result<Vec<u32>, Error> {
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(&path, "read the file", e)),
    };
    let file: serde_json::Value = sai_formats::json::read(&text)
        .map_err(|e| Error::Data { path, fact: format!("is not JSON: {e}; fetch it again, or remove it") })?;
    let id = |value: &serde_json::Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    Ok(match &file["eos_token_id"] {
        serde_json::Value::Array(list) => list.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    })
}
