//! Why a model cannot be opened, or a text not be continued.

use sai_decoder::Memory;
use std::path::PathBuf;

/// What is wrong with a model, a prompt, or a setting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model's files.
    #[error(transparent)]
    Decoder(#[from] sai_decoder::Error),
    /// The vocabulary.
    #[error(transparent)]
    Tokenizer(#[from] sai_tokenizer::Error),
    /// The chat template.
    #[error(transparent)]
    Template(#[from] sai_tokenizer::TemplateError),
    /// A Hugging Face folder's chat template.
    #[error(transparent)]
    FolderTemplate(#[from] sai_tokenizer::FolderTemplateError),
    /// A GGUF file without a vocabulary.
    #[error("{}: holds no tokenizer (`{key}` is missing); convert the model again, with its tokenizer", path.display())]
    NoTokenizer {
        /// The file.
        path: PathBuf,
        /// What is missing.
        key: &'static str,
    },
    /// More tokens than embeddings.
    #[error(
        "{}: the tokenizer has {tokens} tokens and the embedding {rows} rows; they are not of the same model",
        path.display()
    )]
    Vocabulary {
        /// The model.
        path: PathBuf,
        /// Tokens of the vocabulary.
        tokens: usize,
        /// Rows of the embedding.
        rows: usize,
    },
    /// A context longer than the model was trained for.
    #[error("{}: a context of {asked} is more than the {trained} positions that the model was trained for; ask for {trained} or fewer", path.display())]
    ContextTooLong {
        /// The model.
        path: PathBuf,
        /// Positions that were asked for.
        asked: usize,
        /// Positions that the model knows.
        trained: usize,
    },
    /// Less memory than the model needs.
    #[error(
        "{}: needs {} of memory (weights {}, keys and values of {context} tokens {}, activations {}) and {} are \
         available; use a shorter --context or a smaller quantisation",
        path.display(), Size(need.total()), Size(need.weights), Size(need.kv_cache), Size(need.activations),
        Size(*available)
    )]
    Memory {
        /// The model.
        path: PathBuf,
        /// What it needs.
        need: Memory,
        /// Bytes that it may have.
        available: u64,
        /// Positions of the context.
        context: usize,
    },
    /// A model that was not taught to chat.
    #[error("{}: has no chat template, so it continues text but does not chat; name a template with --chat-template", path.display())]
    NoTemplate {
        /// The model.
        path: PathBuf,
    },
    /// Nothing to continue.
    #[error("the prompt is empty; the model needs at least one token to continue")]
    EmptyPrompt,
    /// A prompt that leaves no room for an answer.
    #[error(
        "the prompt has {tokens} tokens and the context holds {context}; shorten it or use a longer --context"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that it may have at most.
        context: usize,
    },
    /// A text too short to judge.
    #[error(
        "the text has {tokens} tokens and a window takes {window}; use a longer text or a shorter --context"
    )]
    TextTooShort {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens of a window.
        window: usize,
    },
    /// A window that is longer than the context, or too short to have a second half.
    #[error("a window of {window} tokens is outside of 4 to the context's {context}")]
    Window {
        /// Tokens that were asked for.
        window: usize,
        /// Tokens that the context holds.
        context: usize,
    },
    /// A type that no model can be made of.
    #[error("a model of type {dtype} cannot be timed; sai does not run it")]
    BenchType {
        /// The type.
        dtype: sai_formats::DType,
    },
    /// Less memory than a made model needs.
    #[error("{bytes} bytes for random weights cannot be had; ask for fewer --layers")]
    BenchMemory {
        /// Bytes of one tensor.
        bytes: u64,
    },
    /// A prompt cache that cannot be used or written.
    #[error("{}: the prompt cache {fact}", path.display())]
    PromptCache {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        fact: String,
    },
    /// No thread for an engine.
    #[error("no thread can be started for the engine: {source}")]
    Thread {
        /// What the system says.
        source: std::io::Error,
    },
    /// The engine's thread is gone, or is about to end.
    #[error("the engine has stopped and takes no requests")]
    EngineStopped,
    /// The device of an engine failed.
    #[error("the device failed: {fact}")]
    Device {
        /// What it said.
        fact: String,
    },
    /// A grammar for answers that cannot be used.
    #[error("the grammar cannot be used: {fact}")]
    Grammar {
        /// What is wrong with it, and where.
        fact: String,
    },
    /// A sampling setting out of its range.
    #[error("{name} is {value}; it must be {range}")]
    Sampling {
        /// The setting.
        name: &'static str,
        /// What it was set to.
        value: f32,
        /// What it may be.
        range: &'static str,
    },
}

/// Bytes for people.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const GIB: f64 = (1u64 << 30) as f64;
        const MIB: f64 = (1u64 << 20) as f64;
        let bytes = self.0 as f64;
        if bytes >= GIB { write!(f, "{:.1} GiB", bytes / GIB) } else { write!(f, "{:.0} MiB", bytes / MIB) }
    }
}
