//! What can be wrong with tasks, their data and their scores.

use std::path::PathBuf;

/// Why a model could not be evaluated. Displays as one line: the file, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task that cannot be used as it is written.
    #[error("{origin}: {fact}")]
    Task {
        /// The file, or the name of a task of sai's own.
        origin: String,
        /// What was found.
        fact: String,
    },
    /// No task or group is called so.
    #[error("no task or group `{name}`; there are {known}")]
    UnknownTask {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The folder of data lacks a task's file, or has several that could be it.
    #[error("{}: {fact}", folder.display())]
    Data {
        /// The folder.
        folder: PathBuf,
        /// What was found.
        fact: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row that does not fit its task.
    #[error("{place}: {fact}")]
    Row {
        /// File and line.
        place: String,
        /// What was found.
        fact: String,
    },
    /// A file of the corpus's kinds could not be read.
    #[error(transparent)]
    Documents(#[from] sai_documents::Error),
    /// A model could not be run.
    #[error(transparent)]
    Generation(#[from] sai_generation::Error),
    /// A model that is elsewhere could not be asked, or does not say what is needed.
    #[error("{0}")]
    Endpoint(String),
    /// A choice that cannot be scored, or whose score is no number.
    #[error("{task}: {place}: {fact}")]
    Score {
        /// The task.
        task: String,
        /// File and line of the document.
        place: String,
        /// What was found.
        fact: String,
    },
    /// A journal that is none.
    #[error("{}: line {line} is no score that sai wrote; name another journal, or remove the line", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Error {
    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Error {
        Error::File { path: path.to_owned(), source }
    }
}
