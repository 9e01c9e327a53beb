//! Why a sample cannot be drawn or made.

use std::path::{Path, PathBuf};

use sai_documents::Error as Documents;

/// What is wrong with a recipe, with rules, or with the files. Displays as one line: the file, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Documents, or a file of rules, that cannot be read; a sample that cannot be written.
    #[error(transparent)]
    Documents(#[from] Documents),
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
    /// A sample that is described in a way that cannot be followed.
    #[error("sample: {0}")]
    Sample(String),
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        Documents::Read { path: path.to_owned(), source }.into()
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Documents::Write { path: path.to_owned(), source }.into()
    }

    pub(crate) fn file(path: &Path, fact: impl Into<String>) -> Error {
        Documents::File { path: path.to_owned(), fact: fact.into() }.into()
    }
}
