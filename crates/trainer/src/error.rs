//! Why a run cannot begin, or cannot go on.

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
