//! Keys and values of earlier tokens, in pages that sequences share until one of them writes.

use crate::memory::cache_shape;
use crate::{Batch, Config, Error, Pages, Sequence};
use sai_kernels::{CacheType, Device};

/// The cache of any number of sequences of one decoder.
pub struct KvCache<D: Device> {
    pub(crate) storage: D::Cache,
    pub(crate) pages: Pages,
}

impl<D: Device> KvCache<D> {
    /// A cache with room for `positions` tokens of all sequences together, rounded up to whole pages. Memory
    /// is taken as it is used.
    ///
    /// # Errors
    /// More memory than can be addressed or had.
    pub fn new(device: &D, config: &Config, positions: usize, dtype: CacheType) -> Result<KvCache<D>, Error> {
        let shape = cache_shape(config, positions, dtype);
        Ok(KvCache { storage: device.cache(shape)?, pages: Pages::new(shape.pages, config.rope_switch()) })
    }

    /// Tokens of all sequences that fit.
    pub fn capacity(&self) -> usize {
        self.pages.count() * Pages::LENGTH
    }

    /// Tokens that can still be added to one sequence, at least.
    pub fn room(&self) -> usize {
        self.pages.free_pages() * Pages::LENGTH
    }

    /// Begins an empty sequence.
    pub fn start(&mut self) -> Sequence {
        self.pages.start()
    }

    /// A second sequence with the same tokens. Nothing is copied until one of the two is continued.
    pub fn fork(&mut self, sequence: &Sequence) -> Sequence {
        self.pages.fork(sequence)
    }

    /// Tokens of a sequence.
    pub fn length(&self, sequence: &Sequence) -> usize {
        self.pages.length(sequence)
    }

    /// Forgets all tokens of a sequence but the first `length`.
    pub fn truncate(&mut self, sequence: &Sequence, length: usize) {
        self.pages.truncate(sequence, length);
    }

    /// Gives up a sequence and the pages that no other uses.
    pub fn free(&mut self, sequence: Sequence) {
        self.pages.free(sequence);
    }

    /// Makes room for all rows of `batch`, copying pages that somebody else relies on. Returns each span's first position.
    pub(crate) fn extend_all(&mut self, device: &D, batch: &Batch) -> Result<Vec<usize>, Error> {
        let storage = &mut self.storage;
        self.pages.extend_all(batch, &mut |from, to| device.copy_page(storage, from, to))
    }
}
