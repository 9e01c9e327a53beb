//! Why a model cannot be made.

use crate::Stage;
use std::path::{Path, PathBuf};

/// What is wrong with a recipe, a folder, or the work of a stage. One line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recipe that makes no sense, or a training that failed.
    #[error(transparent)]
    Trainer(#[from] sai_trainer::Error),
    /// Documents that cannot be read.
    #[error(transparent)]
    Documents(#[from] sai_documents::Error),
    /// A sample that cannot be drawn or made.
    #[error(transparent)]
    Samples(#[from] sai_samples::Error),
    /// A vocabulary that cannot be learnt.
    #[error(transparent)]
    Learning(#[from] sai_tokenizer::train::TrainError),
    /// A vocabulary that cannot be opened.
    #[error(transparent)]
    Tokenizer(#[from] sai_tokenizer::Error),
    /// A chat template that is none.
    #[error(transparent)]
    Template(#[from] sai_tokenizer::TemplateError),
    /// Shards that cannot be packed.
    #[error(transparent)]
    Shards(#[from] sai_shards::Error),
    /// Files of a model that cannot be read or written.
    #[error(transparent)]
    Formats(#[from] sai_formats::Error),
    /// A model that cannot be described or quantised.
    #[error(transparent)]
    Decoder(#[from] sai_decoder::Error),
    /// A model that cannot be opened or converted, or a text that it cannot read.
    #[error(transparent)]
    Generation(#[from] sai_generation::Error),
    /// Answers that cannot be collected or graded.
    #[error(transparent)]
    Judge(#[from] sai_judge::Error),
    /// Tasks that cannot be asked.
    #[error(transparent)]
    Evals(#[from] sai_evals::Error),
    /// A file or folder that is not what it should be.
    #[error("{}: {fact}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// What is wrong, and the way out.
        fact: String,
    },
    /// A stage that is to be passed over, and was never done.
    #[error("{}: {stage} has not been done in this folder; leave --from out, or name it there", folder.display())]
    NotMade {
        /// The run's folder.
        folder: PathBuf,
        /// The stage.
        stage: Stage,
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

    pub(crate) fn data(path: &Path, fact: impl Into<String>) -> Error {
        Error::Data { path: path.to_owned(), fact: fact.into() }
    }
}
