//! How much memory the work may take.

use std::sync::atomic::{AtomicUsize, Ordering};

/// There is no more memory to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Bytes that may be taken, and how many are.
pub(super) struct Budget {
    limit: usize,
    taken: AtomicUsize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Budget {
        Budget { limit, taken: AtomicUsize::new(0) }
    }

    /// Takes `bytes`, or nothing.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Full> {
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limit {
            self.give(bytes);
            return Err(Full);
        }
        Ok(())
    }

    pub(super) fn give(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }
}
