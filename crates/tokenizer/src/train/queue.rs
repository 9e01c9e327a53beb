//! The pairs that may become tokens, the likeliest first.

use std::collections::BinaryHeap;

use super::budget::{Budget, Full};
use super::learn::Pair;

/// A pair that may become a token: ordered by count, and then by lower ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) count: u64,
    pub(super) pair: Pair,
    /// The list of words to look in.
    pub(super) list: u64,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.count.cmp(&other.count).then_with(|| other.pair.cmp(&self.pair)).then(self.list.cmp(&other.list))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A heap of candidates.
#[derive(Default)]
pub(super) struct Queue(BinaryHeap<Candidate>);

impl Queue {
    pub(super) fn push(&mut self, candidate: Candidate, budget: &Budget) -> Result<(), Full> {
        let room = self.0.capacity();
        if self.0.len() == room {
            let wanted = (room + room / 2).max(1024);
            budget.take(wanted * size_of::<Candidate>())?;
            self.0.reserve_exact(wanted - room);
            budget.give(room * size_of::<Candidate>());
        }
        self.0.push(candidate);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Candidate> {
        self.0.pop()
    }
}
