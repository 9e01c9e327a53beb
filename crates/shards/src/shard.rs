//! One shard, mapped and checked.

use std::fs::File;
use std::path::{Path, PathBuf};

use sai_formats::Bytes;

use crate::error::Error;
use crate::header::{self, Header, Layout, NONE};

/// The tokens of a document, or of more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens<'a> {
    /// Of a vocabulary with at most 65,536 entries.
    U16(&'a [u16]),
    /// Of a larger one.
    U32(&'a [u32]),
}

impl<'a> Tokens<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Tokens::U16(tokens) => tokens.len(),
            Tokens::U32(tokens) => tokens.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The tokens one by one.
    pub fn iter(self) -> impl Iterator<Item = u32> + 'a {
        let (narrow, wide) = match self {
            Tokens::U16(tokens) => (tokens, &[][..]),
            Tokens::U32(tokens) => (&[][..], tokens),
        };
        narrow.iter().copied().map(u32::from).chain(wide.iter().copied())
    }

    fn slice(self, from: usize, to: usize) -> Tokens<'a> {
        match self {
            Tokens::U16(tokens) => Tokens::U16(tokens.get(from..to).unwrap_or_default()),
            Tokens::U32(tokens) => Tokens::U32(tokens.get(from..to).unwrap_or_default()),
        }
    }
}

/// A document at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its tokens, the end token included where there is one.
    pub tokens: Tokens<'a>,
    /// The bytes of the text that it was.
    pub text_bytes: u32,
    /// Its language, where it was known.
    pub lang: Option<&'a str>,
    /// Where it came from, where that was known.
    pub source: Option<&'a str>,
}

/// A shard, mapped into memory.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    bytes: Bytes,
    header: Header,
    layout: Layout,
}

impl Shard {
    /// Maps a shard and checks its header and its index.
    ///
    /// # Errors
    /// It is none, was cut short, or is damaged.
    pub fn open(path: &Path) -> Result<Shard, Error> {
        let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let bytes = Bytes::map(&file).map_err(|e| Error::io(path, "map the file", e))?;
        Shard::from_bytes(bytes, path)
    }

    /// Checks a shard that is in memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`Shard::open`].
    pub fn from_bytes(bytes: Bytes, path: &Path) -> Result<Shard, Error> {
        let header = Header::parse(&bytes, path)?;
        let has = bytes.len() as u64;
        let (layout, wants) =
            header.layout().ok_or_else(|| Error::damaged(path, "the header's counts are beyond any file"))?;
        if has != wants {
            return Err(Error::Length { path: path.to_owned(), has, wants });
        }
        if header::sum(&bytes[layout.ends.start..]) != header.index_sum {
            return Err(Error::damaged(path, "the index differs from its checksum"));
        }
        let shard = Shard { path: path.to_owned(), bytes, header, layout };
        shard.check().map_err(|fact| Error::damaged(path, fact))?;
        Ok(shard)
    }

    /// Whether the index makes sense. It has the right checksum, but whoever wrote it may have been no friend.
    fn check(&self) -> Result<(), String> {
        let (ends, documents) = (self.ends(), self.header.documents);
        if ends.len() as u64 != documents || self.tokens().len() as u64 != self.header.tokens {
            return Err("its parts are not aligned in memory".to_owned());
        }
        if !ends.is_sorted() || ends.last().copied().unwrap_or(0) != self.header.tokens {
            return Err("the ends of its documents do not ascend to its last token".to_owned());
        }
        let bytes: u64 = self.words(&self.layout.text_bytes).iter().copied().map(u64::from).sum();
        if bytes != self.header.text_bytes {
            return Err("its documents have other bytes than its header".to_owned());
        }
        let name_ends = self.words(&self.layout.name_ends);
        if !name_ends.is_sorted() || name_ends.last().copied().unwrap_or(0) != self.header.name_bytes {
            return Err("the ends of its names do not ascend to the last one".to_owned());
        }
        let names = std::str::from_utf8(&self.bytes[self.layout.names.clone()])
            .map_err(|_| "its names are not UTF-8".to_owned())?;
        if !name_ends.iter().all(|&end| names.is_char_boundary(end as usize)) {
            return Err("a name ends inside of a character".to_owned());
        }
        let known = |&name: &u32| name == NONE || name < self.header.names;
        let all = [&self.layout.langs, &self.layout.sources];
        if !all.iter().all(|part| self.words(part).iter().all(known)) {
            return Err("a document has a language or source without a name".to_owned());
        }
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the shard says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file's length in bytes.
    pub(crate) fn file_length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// All tokens, document after document.
    pub fn tokens(&self) -> Tokens<'_> {
        let bytes = &self.bytes[self.layout.tokens.clone()];
        if header::width(self.header.vocab_size) == 2 {
            Tokens::U16(bytemuck::try_cast_slice(bytes).unwrap_or_default())
        } else {
            Tokens::U32(bytemuck::try_cast_slice(bytes).unwrap_or_default())
        }
    }

    /// For each document, how many tokens of the shard are before its end. Ascends, to the number of tokens.
    pub fn ends(&self) -> &[u64] {
        bytemuck::try_cast_slice(&self.bytes[self.layout.ends.clone()]).unwrap_or_default()
    }

    /// Document `number` of this shard, from 0.
    pub fn document(&self, number: usize) -> Option<Document<'_>> {
        let ends = self.ends();
        let end = *ends.get(number)? as usize;
        let start = if number == 0 { 0 } else { ends[number - 1] as usize };
        Some(Document {
            tokens: self.tokens().slice(start, end),
            text_bytes: self.words(&self.layout.text_bytes)[number],
            lang: self.name(self.words(&self.layout.langs)[number]),
            source: self.name(self.words(&self.layout.sources)[number]),
        })
    }

    /// Reads all tokens and compares them with their checksum and with the vocabulary.
    ///
    /// # Errors
    /// They differ, or one is beyond the vocabulary.
    pub fn verify(&self) -> Result<(), Error> {
        if header::sum(&self.bytes[self.layout.tokens.clone()]) != self.header.tokens_sum {
            return Err(Error::damaged(&self.path, "the tokens differ from their checksum"));
        }
        let largest = match self.tokens() {
            Tokens::U16(tokens) => tokens.iter().copied().max().map(u32::from),
            Tokens::U32(tokens) => tokens.iter().copied().max(),
        };
        if let Some(token) = largest.filter(|&token| token >= self.header.vocab_size) {
            let fact = format!("token {token} of a vocabulary of {}", self.header.vocab_size);
            return Err(Error::damaged(&self.path, fact));
        }
        Ok(())
    }

    fn name(&self, number: u32) -> Option<&str> {
        let ends = self.words(&self.layout.name_ends);
        let end = *ends.get(number as usize)? as usize;
        let start = (number as usize).checked_sub(1).map_or(0, |before| ends[before] as usize);
        std::str::from_utf8(self.bytes[self.layout.names.clone()].get(start..end)?).ok()
    }

    fn words(&self, part: &std::ops::Range<usize>) -> &[u32] {
        bytemuck::try_cast_slice(&self.bytes[part.clone()]).unwrap_or_default()
    }
}
