//! A model that can be talked to: weights, vocabulary and template, held against each other.

pub(crate) mod gguf;

use crate::{Error, GenerationConfig, prompt_cache};
use sai_decoder::{CacheType, Config, LoadedDecoder, Memory, load};
use sai_formats::gguf::Override;
use sai_formats::{Container, Source};
use sai_tokenizer::{ChatTemplate, DateTime, TemplateSources, Tokenizer};
use std::path::{Path, PathBuf};

/// Positions of a context where none is asked for; less where the model was trained for less.
pub const DEFAULT_CONTEXT: usize = 8192;

/// How to open a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Threads that compute; 0 means one per core.
    pub threads: usize,
    /// Positions of the context; `None` means those of the model, at most [`DEFAULT_CONTEXT`].
    pub context: Option<usize>,
    /// Precision of keys and values.
    pub cache_type: CacheType,
    /// Bytes that the model may take; a larger one is refused before it is loaded.
    pub memory_limit: Option<u64>,
    /// A template to use instead of the model's own.
    pub template: Option<ChatTemplate>,
    /// The name of one of the model's own templates; `None` means that for plain conversation.
    pub template_name: Option<String>,
    /// The local time, for templates that tell it.
    pub now: Option<DateTime>,
    /// Entries of a GGUF's metadata that are to be otherwise than the file says.
    pub overrides: Vec<Override>,
}

/// An opened model.
pub struct Model {
    /// The file or folder it came from, or its name where it came from memory.
    pub path: PathBuf,
    /// What its file calls it, or else its file's name.
    pub name: String,
    /// The weights, on the device that they were loaded to.
    pub decoder: Box<dyn LoadedDecoder>,
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// How a conversation is written; `None` for a model that was not taught to chat.
    pub template: Option<ChatTemplate>,
    /// How it says that its tokens are best chosen.
    pub generation_config: GenerationConfig,
    /// Positions of a session's context.
    pub context: usize,
    /// Precision of keys and values.
    pub cache_type: CacheType,
    /// What it takes of memory.
    pub memory: Memory,
    /// What a person should know of how its files were read, one line each; mostly nothing.
    pub notes: Vec<String>,
    /// What tells its weights from others; see [`crate::prompt_cache`].
    pub(crate) identity: String,
}

impl Model {
    /// Opens a GGUF file, on the disk or in memory, a Hugging Face folder, or a safetensors file that lies in one.
    ///
    /// # Errors
    /// The files are damaged, contradict each other, or describe what sai does not run; or the model takes more
    /// memory than it may.
    pub fn open(source: impl Into<Source>, options: &LoadOptions) -> Result<Model, Error> {
        let source = source.into();
        let path = source.path();
        let container = open(&source, &options.overrides)?;
        let config = Config::of(&container, path)?;
        let mut notes = sai_decoder::unused_tensors(&config, &container)?;
        let trained = config.context_length;
        let context = options.context.unwrap_or(trained.min(DEFAULT_CONTEXT));
        if context > trained {
            return Err(Error::ContextTooLong { path: path.to_path_buf(), asked: context, trained });
        }
        let weights = container.tensors().total_bytes();
        let memory = Memory::of(&config, weights, context, options.cache_type);
        if let Some(available) = options.memory_limit.filter(|&limit| memory.total() > limit) {
            return Err(Error::Memory { path: path.to_path_buf(), need: memory, available, context });
        }

        let Parts { tokenizer, templates, templates_path, generation_config, name } =
            Parts::with_rows(&container, path, Some(config.vocab_size))?;
        notes.extend_from_slice(tokenizer.notes());
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(Error::Vocabulary {
                path: path.to_path_buf(),
                tokens: tokenizer.vocab_size(),
                rows: config.vocab_size,
            });
        }
        let name = name.unwrap_or_else(|| file_name(path));
        let template = match &options.template {
            Some(chosen) => Some(chosen.clone()),
            None => {
                let own = options.template_name.as_deref();
                let own = templates.select(own, &templates_path.display().to_string())?;
                // 42dot publishes its form in an example and not with the model.
                own.or_else(|| is_fortytwo_dot(path, &name).then(ChatTemplate::fortytwo_dot))
            }
        };
        let template = match (template, options.now) {
            (Some(template), Some(now)) => Some(template.at(now)),
            (template, _) => template,
        };
        let identity = prompt_cache::identity(&config, &container);
        let decoder = load(options.threads, config, &container)?;
        Ok(Model {
            path: path.to_path_buf(),
            name,
            decoder,
            tokenizer,
            template,
            generation_config,
            context,
            cache_type: options.cache_type,
            memory,
            notes,
            identity,
        })
    }

    /// What tells its weights from others, to name what was computed with them.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether these tokens end an answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.tokenizer.eos().contains(&token)
    }

    /// The ids of a plain text, opened by the BOS token where the model wants one. Special tokens written in
    /// the text are read as such.
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        let bos = self.tokenizer.bos().filter(|_| self.tokenizer.add_bos());
        let ids = self.tokenizer.encode(text);
        match bos.filter(|&bos| ids.first() != Some(&bos)) {
            Some(bos) => std::iter::once(bos).chain(ids).collect(),
            None => ids,
        }
    }
}

/// What a model's files hold beside its weights.
pub(crate) struct Parts {
    pub(crate) tokenizer: Tokenizer,
    templates: TemplateSources,
    /// The file that they are from.
    templates_path: PathBuf,
    generation_config: GenerationConfig,
    name: Option<String>,
}

/// Opens a model's files, with entries of a GGUF's metadata said otherwise.
pub(crate) fn open(source: &Source, overrides: &[Override]) -> Result<Container, Error> {
    let container = sai_formats::open(source).and_then(|c| c.with_overrides(overrides, source.path()));
    Ok(container.map_err(sai_decoder::Error::from)?)
}

impl Parts {
    pub(crate) fn of(container: &Container, path: &Path) -> Result<Parts, Error> {
        Parts::with_rows(container, path, None)
    }

    /// The same, `rows` being those of the embedding where they are known.
    fn with_rows(container: &Container, path: &Path, rows: Option<usize>) -> Result<Parts, Error> {
        match container {
            Container::Gguf(gguf) => gguf::parts(gguf),
            Container::Safetensors(_) => {
                let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
                let tokenizer = match rows {
                    Some(rows) => Tokenizer::from_folder_with_rows(folder, rows),
                    None => Tokenizer::from_folder(folder),
                };
                let (templates, templates_path) = TemplateSources::with_path(folder)?;
                Ok(Parts {
                    tokenizer: tokenizer?.with_ends(&crate::convert::ends(folder)?),
                    templates,
                    templates_path,
                    generation_config: GenerationConfig::of_folder(folder)?,
                    name: None,
                })
            }
        }
    }
}

pub(crate) fn file_name(path: &Path) -> String {
    // A path such as `.` has a name only once it is resolved.
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    // A folder's name may have a dot in it that begins no extension: `42dot_LLM-SFT-1.3B`.
    let name = if resolved.is_dir() { hub_name(&resolved) } else { resolved.file_stem() };
    name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A folder's name; of a revision in the Hub's cache (`models--owner--name/snapshots/hash`) that of its repository.
fn hub_name(folder: &Path) -> Option<&std::ffi::OsStr> {
    let snapshots = folder.parent().filter(|parent| parent.ends_with("snapshots"));
    let repository =
        snapshots.and_then(Path::parent).and_then(Path::file_name).and_then(|name| name.to_str());
    match repository.and_then(|name| name.strip_prefix("models--")).and_then(|name| name.rsplit_once("--")) {
        Some((_, name)) => Some(name.as_ref()),
        None => folder.file_name(),
    }
}

/// Whether a model is one of 42dot's chat models, by the names it is published under.
pub(crate) fn is_fortytwo_dot(path: &Path, name: &str) -> bool {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let named = |text: &str| text.to_ascii_lowercase().contains("42dot_llm-sft");
    named(name) || resolved.iter().any(|part| named(&part.to_string_lossy()))
}
