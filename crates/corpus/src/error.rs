//! What can be wrong with the files of a corpus.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where in its file a document stands. Numbers begin with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line of a JSONL file.
    Line(u64),
    /// Row of a table.
    Row(u64),
    /// Document of a text file.
    Document(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(n) => write!(f, "line {n}"),
            Place::Row(n) => write!(f, "row {n}"),
            Place::Document(n) => write!(f, "document {n}"),
        }
    }
}

/// Why documents could not be read. Displays as one line: the file, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An input that names no file.
    #[error("{input}: {fact}")]
    Input {
        /// What was given.
        input: String,
        /// What was found.
        fact: String,
    },
    /// A file whose compression or table is damaged, or of a kind that is not read.
    #[error("{}: {fact}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found.
        fact: String,
    },
    /// A document that is none.
    #[error("{}: {place}: {fact}; mend it, or skip broken documents", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What was found.
        fact: String,
    },
    /// The file where sampled texts wait could not be written or read.
    #[error("{}: sampled texts cannot be kept in this folder: {source}", folder.display())]
    Spool {
        /// Its folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of rules that cannot be followed.
    #[error("{}: line {line}: {fact}", path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found.
        fact: String,
    },
    /// A sample could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A sample that is described in a way that cannot be followed.
    #[error("sample: {0}")]
    Sample(String),
    /// A thread could not be started, or options that contradict themselves.
    #[error("documents cannot be read: {0}")]
    Setup(String),
}

impl Error {
    pub(crate) fn file(path: &Path, fact: impl Into<String>) -> Error {
        Error::File { path: path.to_owned(), fact: fact.into() }
    }
}
