//! Why a corpus cannot be built.

use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a recipe, a file or a folder. Displays as one line: the file, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Documents that cannot be read or written.
    #[error(transparent)]
    Documents(#[from] sai_documents::Error),
    /// A classifier that cannot be read.
    #[error(transparent)]
    Classifier(#[from] sai_cleaning::quality::ClassifierError),
    /// A model of languages that cannot be read.
    #[error(transparent)]
    FastText(#[from] sai_cleaning::language::FastTextError),
    /// A recipe that cannot be followed.
    #[error("{}: {fact}", path.display())]
    Recipe {
        /// The recipe.
        path: PathBuf,
        /// What is wrong, and the way out.
        fact: String,
    },
    /// A file or folder that is not what it should be.
    #[error("{}: {fact}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and the way out.
        fact: String,
    },
    /// The disk, or a file that is not there.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The disk refuses.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Work that takes more memory than it was given.
    #[error("{what} takes {} MB of memory, and {} are given; {way_out}", need / 1_000_000, given / 1_000_000)]
    Memory {
        /// What takes it.
        what: &'static str,
        /// How much, in bytes.
        need: u64,
        /// How much there may be.
        given: u64,
        /// What can be done.
        way_out: &'static str,
    },
    /// Files of the Hub that cannot be had.
    #[error("{0}")]
    Fetch(String),
    /// A thread could not be started.
    #[error("no thread can be started: {0}")]
    Threads(io::Error),
}

impl Error {
    pub(crate) fn read(path: &Path, source: io::Error) -> Error {
        Error::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    pub(crate) fn file(path: &Path, fact: impl Into<String>) -> Error {
        Error::File { path: path.to_owned(), fact: fact.into() }
    }

    pub(crate) fn recipe(path: &Path, fact: impl Into<String>) -> Error {
        Error::Recipe { path: path.to_owned(), fact: fact.into() }
    }
}
