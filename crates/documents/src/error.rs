//! What can be wrong with files of documents.

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

/// A part of a document that [`Columns`](crate::Columns) names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Its text.
    Text,
    /// Its language.
    Lang,
    /// Where it comes from.
    Source,
    /// Under which licence it is given.
    License,
    /// The address that it was fetched from.
    Url,
}

/// What is wrong with a document, and the column that it is about.
pub(crate) struct Fault {
    pub(crate) fact: String,
    pub(crate) column: Option<Column>,
}

impl From<String> for Fault {
    fn from(fact: String) -> Fault {
        Fault { fact, column: None }
    }
}

/// Why documents could not be read or written. Displays as one line: the file, the fact, the way out.
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
    #[error("{}: {place}: {fact}; mend it or take it out", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What was found.
        fact: String,
        /// The column that it is about, where another may be named.
        column: Option<Column>,
    },
    /// A file of which most is broken, so that what is left of it is not what its author meant.
    #[error(
        "{}: {broken} of {} documents are broken, the first at {first}: {fact}; it is not what it was read as",
        path.display(), broken + good
    )]
    MostBroken {
        /// The file.
        path: PathBuf,
        /// How many documents are none.
        broken: u64,
        /// How many are good.
        good: u64,
        /// Where the first stands that is none.
        first: Place,
        /// What is wrong with it.
        fact: String,
        /// The column that it is about, where another may be named.
        column: Option<Column>,
    },
    /// A table without a column that is asked for, or with one that holds something else.
    #[error("{}: {fact}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column that is meant.
        column: Column,
        /// What was found.
        fact: String,
    },
    /// Documents could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread could not be started, or options that contradict themselves.
    #[error("documents cannot be read: {0}")]
    Setup(String),
}

impl Error {
    pub(crate) fn file(path: &Path, fact: impl Into<String>) -> Error {
        Error::File { path: path.to_owned(), fact: fact.into() }
    }
}
