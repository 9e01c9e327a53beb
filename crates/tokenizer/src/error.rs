//! What can be wrong with a vocabulary or a template, with the file and the fact.

use std::path::{Path, PathBuf};

/// Why a tokenizer could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without a vocabulary.
    #[error("{}: no tokenizer.json, no vocab.json with merges.txt, and no tokenizer.model; fetch the tokenizer's files into this folder", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that is not what its name says: not UTF-8, not JSON, a field of another type.
    #[error("{}: {fact}; the file is damaged or was cut short, fetch it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found where.
        fact: String,
    },
    /// A vocabulary that contradicts itself.
    #[error("{}: {fact}; the tokenizer's files do not belong together or are damaged, fetch them again", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        fact: String,
    },
    /// A kind of vocabulary that sai cannot run.
    #[error("{}: {fact}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is missing and what to use instead.
        fact: String,
    },
    /// The `tokenizers` library refused a text.
    #[error("the text could not be tokenised: {fact}")]
    Text {
        /// What the library said.
        fact: String,
    },
}

impl Error {
    pub(crate) fn malformed(path: &Path, fact: impl Into<String>) -> Error {
        Error::Malformed { path: path.to_owned(), fact: fact.into() }
    }

    pub(crate) fn vocabulary(path: &Path, fact: impl Into<String>) -> Error {
        Error::Vocabulary { path: path.to_owned(), fact: fact.into() }
    }

    pub(crate) fn unsupported(path: &Path, fact: impl Into<String>) -> Error {
        Error::Unsupported { path: path.to_owned(), fact: fact.into() }
    }
}

/// Someone else's text inside a message of one line: control characters as spaces, at most 160 characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut out: String = text.chars().take(160).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(160).is_some() {
        out.push('…');
    }
    out
}

/// A token in a message: quoted, escaped, at most 60 characters.
pub(crate) fn quoted(token: &str) -> String {
    let mut short: String = token.chars().take(60).collect();
    if short.len() < token.len() {
        short.push('…');
    }
    format!("{short:?}")
}
