//! Why a model cannot be loaded, or a pass not be made.

use std::path::PathBuf;

/// What is wrong with a model's description, its tensors, or a pass that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The container is damaged or holds something else.
    #[error(transparent)]
    Formats(#[from] sai_formats::Error),
    /// A tensor or a size that the device cannot take.
    #[error(transparent)]
    Kernels(#[from] sai_kernels::Error),
    /// `config.json` is missing or unreadable.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it could not be read.
        source: std::io::Error,
    },
    /// `config.json` is not what it should be.
    #[error("{}: {fact}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out where there is one.
        fact: String,
    },
    /// A tensor that the configuration asks for is not there.
    #[error("{}: tensor `{tensor}` is missing; the file is incomplete or of another architecture", path.display())]
    MissingTensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor that has no place in the model, and would change what it computes.
    #[error("{}: tensor `{tensor}` is none that the model's description has, and would change what it computes; correct the description, or take a file without it", path.display())]
    StrangeTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor that is not in plain floats.
    #[error("{}: tensor `{tensor}` is of type {dtype}; give --dtype f16, bf16 or f32 to have it expanded", path.display())]
    NotFloat {
        /// The file or folder.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: sai_formats::DType,
    },
    /// A weight that the type it is to have cannot hold.
    #[error("{}: tensor `{tensor}`, row {row}: {source}", path.display())]
    CannotHold {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The row.
        row: usize,
        /// What it is, by its column.
        source: Box<sai_formats::Error>,
    },
    /// No threads to quantise with.
    #[error("no threads can be started: {0}; ask for fewer with --threads")]
    Threads(rayon::ThreadPoolBuildError),
    /// A file that is no importance matrix.
    #[error("{}: {fact}", path.display())]
    Imatrix {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        fact: String,
    },
    /// An adapter that is damaged, or that does not fit the model.
    #[error("{}: {fact}", path.display())]
    Adapter {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and the way out.
        fact: String,
    },
    /// A tensor of another shape than the configuration says.
    #[error("{}: tensor `{tensor}` has shape {found:?} where the configuration needs {expected:?}", file.display())]
    Shape {
        /// The file.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// What cannot be trained, or rows that do not fit together.
    #[error("training: {fact}")]
    Training {
        /// What is wrong, and the way out.
        fact: String,
    },
    /// No free page is left for the tokens of a batch.
    #[error("the cache has room for {capacity} tokens, and {needed} more do not fit; use a longer context")]
    CacheFull {
        /// Tokens of all sequences that the cache can hold.
        capacity: usize,
        /// Tokens that were to be added.
        needed: usize,
    },
    /// A text that outgrows the positions that the model has rows for.
    #[error("the model knows {most} positions and no more; use a shorter text")]
    NoPosition {
        /// Rows of its table.
        most: usize,
    },
    /// A sequence that grows beyond the length above which its positions turn otherwise.
    #[error(
        "the model turns positions otherwise in texts of more than {at} tokens; begin the sequence again with all of them"
    )]
    OtherTurn {
        /// The length.
        at: usize,
    },
    /// A token id that the model has no embedding for.
    #[error("token {token} is not one of the model's {vocab_size}")]
    TokenOutOfRange {
        /// The id.
        token: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
}
