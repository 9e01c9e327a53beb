//! What a shard knows of its documents, while it is written.

use std::collections::HashMap;

use crate::header::NONE;

/// Grows with each document; a few dozen bytes for each.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) ends: Vec<u64>,
    text_bytes: Vec<u32>,
    langs: Vec<u32>,
    sources: Vec<u32>,
    name_ends: Vec<u32>,
    names: Vec<u8>,
    numbers: HashMap<String, u32>,
    pub(crate) total_bytes: u64,
}

impl Index {
    /// Takes a document that ends at token `end` of the shard.
    pub(crate) fn push(&mut self, end: u64, text_bytes: u32, lang: Option<&str>, source: Option<&str>) {
        let (lang, source) = (self.name(lang), self.name(source));
        self.ends.push(end);
        self.text_bytes.push(text_bytes);
        self.langs.push(lang);
        self.sources.push(source);
        self.total_bytes += u64::from(text_bytes);
    }

    fn name(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return NONE };
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.name_ends.len() as u32;
        self.names.extend_from_slice(name.as_bytes());
        self.name_ends.push(self.names.len() as u32);
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// How many names there are, and their bytes.
    pub(crate) fn names(&self) -> (u32, u32) {
        (self.name_ends.len() as u32, self.names.len() as u32)
    }

    /// The bytes of all names and of `more`, to be held against what the header can say.
    pub(crate) fn would_overflow(&self, more: usize) -> bool {
        self.names.len().saturating_add(more) > u32::MAX as usize
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = bytemuck::cast_slice(&self.ends).to_vec();
        for part in [&self.text_bytes, &self.langs, &self.sources, &self.name_ends] {
            bytes.extend_from_slice(bytemuck::cast_slice(part));
        }
        bytes.extend_from_slice(&self.names);
        bytes
    }
}
