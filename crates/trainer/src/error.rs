//! Why a run cannot begin, or cannot go on.

use sai_decoder::training::Memory;
use std::path::{Path, PathBuf};

/// What is wrong with a recipe, its data, a checkpoint, or the loss.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recipe that makes no sense.
    #[error("{}: {place}{}{fact}", path.display(), if place.is_empty() { "" } else { ": " })]
    Recipe {
        /// The file.
        path: PathBuf,
        /// The line, or the override; empty where a key is missing.
        place: String,
        /// What is wrong, and what would be right.
        fact: String,
    },
    /// The model cannot be described, made or computed.
    #[error(transparent)]
    Decoder(#[from] sai_decoder::Error),
    /// Weights cannot be read or written.
    #[error(transparent)]
    Formats(#[from] sai_formats::Error),
    /// Shards that cannot be opened.
    #[error(transparent)]
    Shards(#[from] sai_shards::Error),
    /// A tokenizer that cannot be opened.
    #[error(transparent)]
    Tokenizer(#[from] sai_tokenizer::Error),
    /// A chat template that cannot be read.
    #[error(transparent)]
    Template(#[from] sai_tokenizer::TemplateError),
    /// A chat template that cannot be had.
    #[error(transparent)]
    FolderTemplate(#[from] sai_tokenizer::FolderTemplateError),
    /// Conversations that cannot be read.
    #[error(transparent)]
    Documents(#[from] sai_documents::Error),
    /// Data, or a file of the run, that does not suit it.
    #[error("{}: {fact}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and the way out.
        fact: String,
    },
    /// A run that takes more memory than there is.
    #[error(
        "training takes {:.1} GB (weights {:.1}, gradients {:.1}, moments {:.1}, activations {:.1}) and {:.1} GB are free; \
         give a smaller micro_batch, recompute = true or a smaller model",
        gb(need.total()), gb(need.parameters), gb(need.gradients), gb(need.optimiser), gb(need.activations.saturating_add(need.scratch)), gb(*free)
    )]
    TooLarge {
        /// What it takes.
        need: Memory,
        /// Bytes that there are.
        free: u64,
    },
    /// A loss that is no number, or leapt.
    #[error("step {step}: the loss is {loss:.4} {why}; the batch had {documents}; {way_out}")]
    BadLoss {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// In what way it is bad.
        why: String,
        /// The documents it was of.
        documents: String,
        /// What to do.
        way_out: String,
    },
    /// The connection of this process to the others of its run.
    #[error("ranks: {fact}")]
    Ranks {
        /// What is wrong, and the way out.
        fact: String,
    },
    /// The disk, or a file that is not there.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Error {
        Error::Io { path: path.to_owned(), action, source }
    }
}

fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
