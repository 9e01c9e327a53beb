//! What grows while merges are learnt: counts of pairs, and lists of words.

use rustc_hash::FxHashMap;

use super::budget::{Budget, Full};
use super::learn::Pair;

/// How often each pair is met.
#[derive(Default)]
pub(super) struct PairCounts(FxHashMap<u64, u64>);

fn key(pair: Pair) -> u64 {
    u64::from(pair.0) << 32 | u64::from(pair.1)
}

impl PairCounts {
    pub(super) fn of(&self, pair: Pair) -> u64 {
        self.0.get(&key(pair)).copied().unwrap_or(0)
    }

    /// Adds to a pair's count, and gives the sum.
    pub(super) fn add(&mut self, pair: Pair, count: u64, budget: &Budget) -> Result<u64, Full> {
        if self.0.len() == self.0.capacity() {
            // A slot is a key, a count and a byte; at most seven of eight are taken, and the old table goes.
            let slots = |capacity: usize| (capacity * 8 / 7).next_power_of_two() * 17;
            let before = slots(self.0.capacity());
            budget.take(slots(2 * self.0.capacity().max(512)))?;
            self.0.reserve(self.0.capacity().max(512));
            budget.give(before);
        }
        let sum = self.0.entry(key(pair)).or_default();
        *sum += count;
        Ok(*sum)
    }

    /// Takes from a pair's count. A pair that was never counted, because its token would be too long, stays so.
    pub(super) fn take(&mut self, pair: Pair, count: u64) {
        if let Some(sum) = self.0.get_mut(&key(pair)) {
            *sum = sum.saturating_sub(count);
        }
    }
}

/// Lists of words, one after the other: each its length and then its words, ascending.
#[derive(Default)]
pub(super) struct Lists(Vec<u32>);

impl Lists {
    /// Makes room for a list of `length`; where it begins.
    pub(super) fn reserve(&mut self, length: u32, budget: &Budget) -> Result<u64, Full> {
        let start = self.0.len();
        let wanted = start + 1 + length as usize;
        grow(&mut self.0, wanted, budget)?;
        self.0.push(0);
        self.0.resize(wanted, 0);
        Ok(start as u64)
    }

    /// Puts a word at the end of a list that has room for it.
    #[inline]
    pub(super) fn push(&mut self, list: u64, word: u32) {
        let start = list as usize;
        self.0[start] += 1;
        let at = start + self.0[start] as usize;
        self.0[at] = word;
    }

    pub(super) fn get(&self, list: u64) -> &[u32] {
        let start = list as usize;
        &self.0[start + 1..start + 1 + self.0[start] as usize]
    }
}

/// Makes room for `wanted` elements, by halves more.
pub(super) fn grow<T>(list: &mut Vec<T>, wanted: usize, budget: &Budget) -> Result<(), Full> {
    let room = list.capacity();
    if wanted > room {
        let size = wanted.max(room + room / 2).max(1024);
        budget.take(size * size_of::<T>())?;
        list.reserve_exact(size - list.len());
        budget.give(room * size_of::<T>());
    }
    Ok(())
}
