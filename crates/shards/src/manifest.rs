//! `pack.json`: what a folder of shards holds, written when all of it is there.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::shard::Shard;
use crate::write;

pub(crate) const NAME: &str = "pack.json";
/// Longer than this it is none of ours: a million shards take less.
const LONGEST: u64 = 256 << 20;

/// What some documents come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// How many there are.
    pub documents: u64,
    /// Their tokens, end tokens included.
    pub tokens: u64,
    /// The bytes of their texts.
    pub text_bytes: u64,
}

impl Total {
    pub(crate) fn add(&mut self, tokens: u64, text_bytes: u64) {
        self.documents += 1;
        self.tokens += tokens;
        self.text_bytes += text_bytes;
    }
}

/// What all documents come to, and those of each language; `None` for those that did not say theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All of them.
    pub all: Total,
    /// By language.
    pub by_language: BTreeMap<Option<String>, Total>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// What the person called the tokenizer.
    pub(crate) tokenizer: String,
    pub(crate) fingerprint: String,
    pub(crate) job: String,
    pub(crate) vocab_size: u32,
    pub(crate) end: Option<u32>,
    /// Broken documents that were passed over.
    pub(crate) skipped: u64,
    pub(crate) total: Total,
    pub(crate) languages: Vec<Language>,
    pub(crate) shards: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Language {
    pub(crate) lang: Option<String>,
    #[serde(flatten)]
    pub(crate) total: Total,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) documents: u64,
    pub(crate) tokens: u64,
    /// Of tokens and index.
    pub(crate) checksums: [String; 2],
}

impl Entry {
    pub(crate) fn of(shard: &Shard) -> Entry {
        let header = shard.header();
        Entry {
            file: write::name(header.number),
            bytes: shard.file_length(),
            documents: header.documents,
            tokens: header.tokens,
            checksums: [&header.tokens_sum, &header.index_sum].map(|sum| crate::error::hex(sum)),
        }
    }
}

impl Manifest {
    /// That of a folder; `None` where there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Manifest>, Error> {
        let path = folder.join(NAME);
        let length = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, "open the file", e)),
        };
        if length > LONGEST {
            return Err(Error::damaged(&path, format!("{length} bytes long")));
        }
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, "read the file", e))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|e| Error::damaged(&path, format!("no list of shards ({e})")))?;
        if manifest.format != "sai-shards" || manifest.version != 1 {
            return Err(Error::not_a_shard(&path, "no list of token shards of version 1; pack again"));
        }
        Ok(Some(manifest))
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Refused(format!("{}: cannot be written: {e}", path.display())))?;
        text.push(b'\n');
        write::whole(&path, &text)
    }
}
