//! Keys and values of earlier tokens, in pages that sequences share until one of them writes.
//! Kwon et al. 2023 for the pages.

use crate::memory::cache_shape;
use crate::{Config, Error};
use sai_kernels::{CacheType, Device, PAGE};

/// A sequence in a [`KvCache`]: a handle that only its cache understands, given up with [`KvCache::free`].
#[derive(Debug, PartialEq, Eq)]
pub struct Sequence {
    index: usize,
}

impl Sequence {
    pub(crate) fn index(&self) -> usize {
        self.index
    }
}

/// Where a sequence's tokens are.
#[derive(Default)]
struct Entry {
    pages: Vec<u32>,
    length: usize,
    live: bool,
    /// Whether its keys turned as those of a sequence above [`Config::rope_switch`].
    long: bool,
}

/// The cache of any number of sequences of one decoder.
pub struct KvCache<D: Device> {
    pub(crate) storage: D::Cache,
    entries: Vec<Entry>,
    /// For each page, the sequences that use it.
    users: Vec<u32>,
    free_pages: Vec<u32>,
    rope_switch: Option<usize>,
}

impl<D: Device> KvCache<D> {
    /// A cache with room for `positions` tokens of all sequences together, rounded up to whole pages. Memory
    /// is taken as it is used.
    ///
    /// # Errors
    /// More memory than can be addressed or had.
    pub fn new(device: &D, config: &Config, positions: usize, dtype: CacheType) -> Result<KvCache<D>, Error> {
        let shape = cache_shape(config, positions, dtype);
        let storage = device.cache(shape)?;
        Ok(KvCache {
            storage,
            entries: Vec::new(),
            users: vec![0; shape.pages],
            free_pages: (0..shape.pages as u32).rev().collect(),
            rope_switch: config.rope_switch(),
        })
    }

    /// Tokens of all sequences that fit.
    pub fn capacity(&self) -> usize {
        self.users.len() * PAGE
    }

    /// Tokens that can still be added to one sequence, at least.
    pub fn room(&self) -> usize {
        self.free_pages.len() * PAGE
    }

    /// Begins an empty sequence.
    pub fn start(&mut self) -> Sequence {
        let index = match self.entries.iter().position(|entry| !entry.live) {
            Some(index) => index,
            None => {
                self.entries.push(Entry::default());
                self.entries.len() - 1
            }
        };
        self.entries[index].live = true;
        Sequence { index }
    }

    /// A second sequence with the same tokens. Nothing is copied until one of the two is continued.
    pub fn fork(&mut self, sequence: &Sequence) -> Sequence {
        let fork = self.start();
        let (pages, length, long) = {
            let entry = &self.entries[sequence.index];
            (entry.pages.clone(), entry.length, entry.long)
        };
        for &page in &pages {
            self.users[page as usize] += 1;
        }
        let entry = &mut self.entries[fork.index];
        (entry.pages, entry.length, entry.long) = (pages, length, long);
        fork
    }

    /// Tokens of a sequence.
    pub fn length(&self, sequence: &Sequence) -> usize {
        self.entries[sequence.index].length
    }

    /// Forgets all tokens of a sequence but the first `length`.
    pub fn truncate(&mut self, sequence: &Sequence, length: usize) {
        self.shorten(sequence.index, length);
    }

    /// Gives up a sequence and the pages that no other uses.
    pub fn free(&mut self, sequence: Sequence) {
        self.shorten(sequence.index, 0);
        self.entries[sequence.index].live = false;
    }

    /// Pages that `positions` tokens of a sequence take.
    pub fn pages_for(positions: usize) -> usize {
        positions.div_ceil(PAGE)
    }

    /// Bytes of a page in all layers.
    pub fn page_bytes(&self, device: &D) -> usize {
        device.page_bytes(&self.storage)
    }

    /// Hands the bytes of a sequence's pages to `write`, first to last, in the device's layout.
    ///
    /// # Errors
    /// What `write` returns, after which it is not called again.
    pub fn read_pages<E>(
        &self,
        device: &D,
        sequence: &Sequence,
        write: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        for &page in self.pages(sequence.index) {
            device.read_page(&self.storage, page, &mut bytes);
            write(&bytes)?;
        }
        Ok(())
    }

    /// Makes `length` tokens of an empty sequence whose pages `read` fills, with what [`KvCache::read_pages`] gave for
    /// a sequence of as many tokens.
    ///
    /// # Errors
    /// There is no room, or what `read` returns; the sequence is then as long, and holds anything.
    ///
    /// # Panics
    /// If the sequence is not empty.
    pub fn write_pages<E: From<Error>>(
        &mut self,
        device: &D,
        sequence: &Sequence,
        length: usize,
        read: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        assert_eq!(self.length(sequence), 0, "a sequence that is not empty");
        self.extend(device, sequence.index, length)?;
        let mut bytes = vec![0; device.page_bytes(&self.storage)];
        for &page in &self.entries[sequence.index].pages {
            read(&mut bytes)?;
            device.write_page(&mut self.storage, page, &bytes);
        }
        Ok(())
    }

    /// Forgets the tokens from `length` on, which also takes back a [`KvCache::extend`].
    pub(crate) fn shorten(&mut self, index: usize, length: usize) {
        let long = length > 0 && self.is_long(index);
        let entry = &mut self.entries[index];
        entry.long = long;
        entry.length = entry.length.min(length);
        for page in entry.pages.drain(entry.length.div_ceil(PAGE)..) {
            let users = &mut self.users[page as usize];
            *users -= 1;
            if *users == 0 {
                self.free_pages.push(page);
            }
        }
    }

    /// Makes room for `count` more tokens of a sequence, copying its last page if another shares it.
    /// Returns the position of the first.
    pub(crate) fn extend(&mut self, device: &D, index: usize, count: usize) -> Result<usize, Error> {
        let entry = &self.entries[index];
        let (start, end) = (entry.length, entry.length + count);
        let shared = !start.is_multiple_of(PAGE)
            && entry.pages.last().is_some_and(|&page| self.users[page as usize] > 1);
        let needed = end.div_ceil(PAGE) - entry.pages.len() + usize::from(shared);
        if needed > self.free_pages.len() {
            return Err(Error::CacheFull { capacity: self.capacity(), needed: count });
        }
        let mut fresh = self.free_pages.split_off(self.free_pages.len() - needed).into_iter().rev();
        let entry = &mut self.entries[index];
        if shared && let (Some(last), Some(copy)) = (entry.pages.last_mut(), fresh.next()) {
            device.copy_page(&mut self.storage, *last, copy);
            self.users[*last as usize] -= 1;
            self.users[copy as usize] = 1;
            *last = copy;
        }
        for page in fresh {
            self.users[page as usize] = 1;
            entry.pages.push(page);
        }
        entry.length = end;
        Ok(start)
    }

    /// Whether a sequence's keys turned as those of one above [`Config::rope_switch`].
    pub(crate) fn is_long(&self, index: usize) -> bool {
        let entry = &self.entries[index];
        entry.long || self.rope_switch.is_some_and(|at| entry.length > at)
    }

    /// Makes room as [`KvCache::extend`] for rows of a text of at least `length` tokens, and keeps how its keys turn.
    pub(crate) fn extend_text(
        &mut self,
        device: &D,
        index: usize,
        count: usize,
        length: usize,
    ) -> Result<usize, Error> {
        let start = self.entries[index].length;
        let long = self.rope_switch.is_some_and(|at| length.max(start + count) > at);
        if start > 0 && long != self.is_long(index) {
            return Err(Error::OtherTurn { at: self.rope_switch.unwrap_or(0) });
        }
        let start = self.extend(device, index, count)?;
        self.entries[index].long = long;
        Ok(start)
    }

    /// A sequence's pages, first to last.
    pub(crate) fn pages(&self, index: usize) -> &[u32] {
        &self.entries[index].pages
    }
}
