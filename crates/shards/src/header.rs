//! The first bytes of a shard.

use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Error;

/// How long a header is, in bytes.
pub(crate) const LENGTH: usize = 256;
/// Where a name or a token would stand: there is none.
pub const NONE: u32 = u32::MAX;

const MAGIC: &[u8; 8] = b"saitoken";
const VERSION: u32 = 1;
/// The bytes that the header's own checksum is of.
const SUMMED: usize = LENGTH - 32;

/// What a shard says of itself. The layout is in the crate's prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Entries of the vocabulary. Tokens take two bytes where there are at most 65,536, else four.
    pub vocab_size: u32,
    /// The shard's number, from 0.
    pub number: u32,
    /// How many documents there are.
    pub documents: u64,
    /// How many tokens, end tokens included.
    pub tokens: u64,
    /// The bytes of the documents' texts.
    pub text_bytes: u64,
    /// How many names of languages and sources there are.
    pub names: u32,
    /// The bytes of these names.
    pub name_bytes: u32,
    /// The token behind each document, or [`NONE`].
    pub end: u32,
    /// The tokenizer's fingerprint.
    pub tokenizer: [u8; 32],
    /// The fingerprint of inputs, options and tokenizer.
    pub job: [u8; 32],
    /// SHA-256 of the tokens.
    pub tokens_sum: [u8; 32],
    /// SHA-256 of the index.
    pub index_sum: [u8; 32],
}

/// Where the parts of a shard lie in its file, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) tokens: Range<usize>,
    pub(crate) ends: Range<usize>,
    pub(crate) text_bytes: Range<usize>,
    pub(crate) langs: Range<usize>,
    pub(crate) sources: Range<usize>,
    pub(crate) name_ends: Range<usize>,
    pub(crate) names: Range<usize>,
}

/// The bytes of a token in a vocabulary of so many entries.
pub(crate) fn width(vocab_size: u32) -> usize {
    if vocab_size <= 1 << 16 { 2 } else { 4 }
}

pub(crate) fn sum(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Header {
    /// Where everything lies, and how long the file must be; `None` where that overflows.
    pub(crate) fn layout(&self) -> Option<(Layout, u64)> {
        let documents = usize::try_from(self.documents).ok()?;
        let mut at = LENGTH;
        let mut part = |count: usize, bytes: usize| {
            let start = at;
            at = start.checked_add(count.checked_mul(bytes)?)?;
            Some(start..at)
        };
        let tokens = part(usize::try_from(self.tokens).ok()?, width(self.vocab_size))?;
        part(tokens.end.next_multiple_of(8) - tokens.end, 1)?;
        let layout = Layout {
            ends: part(documents, 8)?,
            text_bytes: part(documents, 4)?,
            langs: part(documents, 4)?,
            sources: part(documents, 4)?,
            name_ends: part(self.names as usize, 4)?,
            names: part(self.name_bytes as usize, 1)?,
            tokens,
        };
        let length = layout.names.end as u64;
        Some((layout, length))
    }

    pub(crate) fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(MAGIC);
        for word in [VERSION, width(self.vocab_size) as u32, self.vocab_size, self.number] {
            put(&word.to_le_bytes());
        }
        for long in [self.documents, self.tokens, self.text_bytes] {
            put(&long.to_le_bytes());
        }
        for word in [self.names, self.name_bytes, self.end, 0] {
            put(&word.to_le_bytes());
        }
        for fingerprint in [&self.tokenizer, &self.job, &self.tokens_sum, &self.index_sum] {
            put(fingerprint);
        }
        let own = sum(&bytes[..SUMMED]);
        bytes[SUMMED..].copy_from_slice(&own);
        bytes
    }

    pub(crate) fn parse(file: &[u8], path: &Path) -> Result<Header, Error> {
        if !file.starts_with(MAGIC) {
            return Err(Error::not_a_shard(path, "no token shard: it does not begin with `saitoken`"));
        }
        let Some(bytes) = file.first_chunk::<LENGTH>() else {
            let (has, wants) = (file.len() as u64, LENGTH as u64);
            return Err(Error::Length { path: path.to_owned(), has, wants });
        };
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let fingerprint = |at: usize| std::array::from_fn(|i| bytes[at + i]);
        if word(8) != VERSION {
            let fact = format!(
                "a token shard of version {}, and this sai reads version {VERSION}; pack again",
                word(8)
            );
            return Err(Error::not_a_shard(path, fact));
        }
        if sum(&bytes[..SUMMED]) != fingerprint(SUMMED) {
            return Err(Error::damaged(path, "the header differs from its checksum"));
        }
        let header = Header {
            vocab_size: word(16),
            number: word(20),
            documents: long(24),
            tokens: long(32),
            text_bytes: long(40),
            names: word(48),
            name_bytes: word(52),
            end: word(56),
            tokenizer: fingerprint(64),
            job: fingerprint(96),
            tokens_sum: fingerprint(128),
            index_sum: fingerprint(160),
        };
        if word(12) as usize != width(header.vocab_size) {
            let fact =
                format!("tokens of {} bytes for {} entries of a vocabulary", word(12), header.vocab_size);
            return Err(Error::damaged(path, fact));
        }
        if header.end != NONE && header.end >= header.vocab_size {
            let fact = format!("documents end with token {} of {}", header.end, header.vocab_size);
            return Err(Error::damaged(path, fact));
        }
        Ok(header)
    }
}
