//! Memory of blocks that were taken apart, for the next ones to be read into.

use std::sync::{Mutex, PoisonError};

/// As many as may be on their way at once; more would be idle.
const KEPT: usize = 16;

/// What was just used is near the processor, and has its pages already.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// No bytes, with room for a block where one was kept.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps what is not needed any more, where it is not much larger than a `block`.
    pub(crate) fn give(&self, mut bytes: Vec<u8>, block: usize) {
        bytes.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && bytes.capacity() / 2 <= block {
            kept.push(bytes);
        }
    }
}
