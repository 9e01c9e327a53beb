//! What can be wrong with what a device is given.

use std::path::PathBuf;

/// A weight or a size that the device cannot take.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor that cannot be multiplied.
    #[error("{}: tensor `{tensor}` {fact}", file.display())]
    Weight {
        /// The file it comes from.
        file: PathBuf,
        /// Its name.
        tensor: String,
        /// What is wrong with it, as the end of a sentence.
        fact: String,
    },
    /// More memory for keys and values than there is.
    #[error("keys and values need {bytes} bytes, more than can be had; use a shorter context")]
    CacheTooLarge {
        /// Bytes of both.
        bytes: u64,
    },
    /// More memory for training than there is.
    #[error(
        "training needs another {bytes} bytes of memory, more than can be had; use fewer rows a step, or recompute activations"
    )]
    Memory {
        /// Bytes of the part that was refused.
        bytes: u64,
    },
}
