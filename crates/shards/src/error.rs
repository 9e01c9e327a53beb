//! What can be wrong with shards.

use std::path::{Path, PathBuf};

/// Why shards could not be written or read. Displays as one line: the file, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("{}: could not {doing}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as an infinitive without "to".
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is none of ours.
    #[error("{}: {fact}", path.display())]
    NotAShard {
        /// The file.
        path: PathBuf,
        /// What was found.
        fact: String,
    },
    /// A file of another length than its header says.
    #[error("{}: {has} bytes, and its header promises {wants}; it was cut short or added to; pack again", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        has: u64,
        /// What it should be.
        wants: u64,
    },
    /// A part that differs from its checksum, or contradicts itself.
    #[error("{}: {fact}; the file is damaged, copy it again or pack again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        fact: String,
    },
    /// Made with another tokenizer than the one at hand.
    #[error(
        "{}: packed with another tokenizer (fingerprint {}, this one has {}); give that tokenizer, or pack again",
        path.display(), short(packed), short(given)
    )]
    Tokenizer {
        /// The shard.
        path: PathBuf,
        /// The fingerprint in it.
        packed: [u8; 32],
        /// The fingerprint asked for.
        given: [u8; 32],
    },
    /// A folder that has shards of other inputs or options.
    #[error("{}: packed from other inputs or with other options; inputs are known by their paths and lengths; pack into another folder, or remove this one", path.display())]
    Job {
        /// The shard.
        path: PathBuf,
    },
    /// A folder without `pack.json`.
    #[error("{}: {fact}", folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
        /// What was found, and what to do.
        fact: String,
    },
    /// Another process packs into the folder.
    #[error("{}: another process packs into it; wait for it, or pack into another folder", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// What cannot be packed.
    #[error("{0}")]
    Refused(String),
    /// The documents could not be read.
    #[error(transparent)]
    Documents(#[from] sai_documents::Error),
    /// The tokenizer could not be used.
    #[error(transparent)]
    Vocabulary(#[from] sai_tokenizer::Error),
}

impl Error {
    pub(crate) fn io(path: &Path, doing: &'static str, source: std::io::Error) -> Error {
        Error::Io { path: path.to_owned(), doing, source }
    }

    pub(crate) fn damaged(path: &Path, fact: impl Into<String>) -> Error {
        Error::Damaged { path: path.to_owned(), fact: fact.into() }
    }

    pub(crate) fn not_a_shard(path: &Path, fact: impl Into<String>) -> Error {
        Error::NotAShard { path: path.to_owned(), fact: fact.into() }
    }
}

/// The first digits of a fingerprint, enough to tell two apart.
fn short(fingerprint: &[u8; 32]) -> String {
    hex(&fingerprint[..4])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
