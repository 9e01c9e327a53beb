//! A folder of shards, as a trainer reads it.

use std::path::Path;

use crate::error::{Error, hex};
use crate::header::NONE;
use crate::manifest::{Entry, Manifest, Totals};
use crate::shard::{Document, Shard};
use crate::write;

/// What a folder has up to the end of a shard.
#[derive(Debug)]
struct Ends {
    documents: u64,
    tokens: u64,
}

/// All shards of a folder, mapped into memory. Documents are numbered through, from 0.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Shard>,
    /// For each shard, how many documents are before its end, and how many tokens.
    ends: Vec<Ends>,
    totals: Totals,
    tokenizer: String,
    fingerprint: [u8; 32],
    vocab_size: u32,
    end: Option<u32>,
    skipped: u64,
}

impl Shards {
    /// Opens a folder that [`pack`](crate::pack()) made. `tokenizer` is the fingerprint that all of it must have, where
    /// one is at hand.
    ///
    /// # Errors
    /// It was not finished, a shard is missing, cut short or damaged, or it was packed with another tokenizer.
    pub fn open(folder: &Path, tokenizer: Option<[u8; 32]>) -> Result<Shards, Error> {
        if !folder.is_dir() {
            let fact = match folder.exists() {
                true => "a file, and not the folder of shards that `sai tokenizer pack` made; give that",
                false => {
                    "there is no such folder; give the one that `sai tokenizer pack` made, where it is now"
                }
            };
            return Err(Error::Unfinished { folder: folder.to_owned(), fact: fact.to_owned() });
        }
        let Some(manifest) = Manifest::read(folder)? else {
            let begun = folder.join(write::name(0)).exists();
            let fact = if begun {
                "no pack.json beside its shards: its packing was interrupted, and the same command again finishes it, \
                 or pack.json was left behind where they were copied from"
            } else {
                "no pack.json there; it is no folder that `sai tokenizer pack` made"
            };
            return Err(Error::Unfinished { folder: folder.to_owned(), fact: fact.to_owned() });
        };
        let mut shards = Vec::new();
        let mut totals = Totals::default();
        let mut ends = Vec::new();
        for (number, entry) in (0u32..).zip(&manifest.shards) {
            // The name is made and not taken from the list, which may come from anywhere.
            let path = folder.join(write::name(number));
            if !path.exists() {
                let of = manifest.shards.len();
                let fact = format!(
                    "one of {of} shards that pack.json lists, and not there; copy it here, or pack again"
                );
                return Err(Error::not_a_shard(&path, fact));
            }
            let shard = Shard::open(&path)?;
            let header = shard.header();
            if let Some(given) = tokenizer.filter(|given| header.tokenizer != *given) {
                return Err(Error::Tokenizer { path, packed: header.tokenizer, given });
            }
            if Entry::of(&shard) != *entry || header.number != number || hex(&header.job) != manifest.job {
                return Err(Error::damaged(&path, "not the shard that pack.json lists"));
            }
            totals.all.documents += header.documents;
            totals.all.tokens += header.tokens;
            totals.all.text_bytes += header.text_bytes;
            ends.push(Ends { documents: totals.all.documents, tokens: totals.all.tokens });
            shards.push(shard);
        }
        if totals.all != manifest.total {
            return Err(Error::damaged(&folder.join("pack.json"), "its shards come to other totals"));
        }
        let (all, vocab_size) = (&manifest.fingerprint, manifest.vocab_size);
        if let Some(shard) =
            shards.iter().find(|s| hex(&s.header().tokenizer) != *all || s.header().vocab_size != vocab_size)
        {
            return Err(Error::damaged(shard.path(), "packed with another tokenizer than pack.json names"));
        }
        totals.by_language = manifest.languages.into_iter().map(|l| (l.lang, l.total)).collect();
        let first = shards.first().map(|shard| shard.header().tokenizer);
        Ok(Shards {
            fingerprint: first
                .ok_or_else(|| Error::damaged(&folder.join("pack.json"), "it lists no shards"))?,
            end: manifest.end.filter(|&end| end != NONE),
            tokenizer: manifest.tokenizer,
            vocab_size,
            skipped: manifest.skipped,
            shards,
            ends,
            totals,
        })
    }

    /// Document `number`, from 0 to one less than [`Totals::all`] has.
    pub fn document(&self, number: u64) -> Option<Document<'_>> {
        let at = self.ends.partition_point(|end| end.documents <= number);
        let before = at.checked_sub(1).map_or(0, |before| self.ends[before].documents);
        self.shards.get(at)?.document(usize::try_from(number - before).ok()?)
    }

    /// The document that has token `token` of all, from 0: its number, and the token that is its first.
    pub fn find(&self, token: u64) -> Option<(u64, u64)> {
        let at = self.ends.partition_point(|end| end.tokens <= token);
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let before = before.unwrap_or(&Ends { documents: 0, tokens: 0 });
        let ends = self.shards.get(at)?.ends();
        let within = ends.partition_point(|&end| end <= token - before.tokens);
        let first = within.checked_sub(1).map_or(0, |i| ends[i]);
        Some((before.documents + within as u64, before.tokens + first))
    }

    /// What all documents come to, and those of each language.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The shards, in order.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// What the tokenizer was called when the folder was packed.
    pub fn tokenizer(&self) -> &str {
        &self.tokenizer
    }

    /// The tokenizer's fingerprint.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Entries of the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// The token behind each document, where there is one.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// Broken documents that were passed over.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Reads every token and compares them with the checksums. `progress` hears the tokens of each shard that was right.
    ///
    /// # Errors
    /// The first shard that is damaged.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<(), Error> {
        for shard in &self.shards {
            shard.verify()?;
            progress(shard.header().tokens);
        }
        Ok(())
    }
}
