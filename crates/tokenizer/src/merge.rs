//! Byte-pair merging: of a word's neighbouring symbols, the pair learnt earliest becomes one, leftmost
//! first, until no pair is known. Sennrich et al. 2016, over bytes as in Radford et al. 2019.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

/// Words up to this many symbols are merged by scanning; a heap wins beyond it.
const SCAN_LIMIT: usize = 48;
const NONE: u32 = u32::MAX;

/// What each known pair becomes, and how early it was learnt.
#[derive(Default)]
pub(crate) struct Merges {
    pairs: FxHashMap<u64, Merge>,
}

#[derive(Clone, Copy)]
struct Merge {
    rank: u32,
    into: u32,
}

/// Buffers of a merge, kept between words.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) symbols: Vec<u32>,
    ranks: Vec<u32>,
    before: Vec<u32>,
    after: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, u32, u32, u32)>>,
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

impl Merges {
    pub(crate) fn with_capacity(pairs: usize) -> Merges {
        Merges { pairs: FxHashMap::with_capacity_and_hasher(pairs, Default::default()) }
    }

    /// Adds a pair. One named twice takes its later place, as in `tokenizers`.
    pub(crate) fn insert(&mut self, left: u32, right: u32, rank: u32, into: u32) {
        self.pairs.insert(key(left, right), Merge { rank, into });
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The pairs, earliest learnt first.
    pub(crate) fn in_order(&self) -> Vec<(u32, u32)> {
        let mut ranked: Vec<(u32, u64)> = self.pairs.iter().map(|(key, merge)| (merge.rank, *key)).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, key)| ((key >> 32) as u32, key as u32)).collect()
    }

    #[inline]
    fn get(&self, left: u32, right: u32) -> Option<Merge> {
        self.pairs.get(&key(left, right)).copied()
    }

    #[inline]
    fn rank(&self, left: u32, right: u32) -> u32 {
        self.get(left, right).map_or(NONE, |m| m.rank)
    }

    /// Merges `scratch.symbols` in place.
    pub(crate) fn run(&self, scratch: &mut Scratch) {
        match scratch.symbols.len() {
            0 | 1 => {}
            n if n <= SCAN_LIMIT => self.scan(&mut scratch.symbols, &mut scratch.ranks),
            _ => self.heap(scratch),
        }
    }

    /// Looks for the earliest pair again after each merge: n² steps, fewest for what people write.
    fn scan(&self, symbols: &mut Vec<u32>, ranks: &mut Vec<u32>) {
        ranks.clear();
        ranks.extend(symbols.windows(2).map(|w| self.rank(w[0], w[1])));
        loop {
            let mut best = (NONE, 0);
            for (at, &rank) in ranks.iter().enumerate() {
                if rank < best.0 {
                    best = (rank, at);
                }
            }
            let at = best.1;
            if best.0 == NONE {
                return;
            }
            let Some(merge) = self.get(symbols[at], symbols[at + 1]) else { return };
            symbols[at] = merge.into;
            symbols.remove(at + 1);
            ranks.remove(at);
            if at > 0 {
                ranks[at - 1] = self.rank(symbols[at - 1], symbols[at]);
            }
            if at + 1 < symbols.len() {
                ranks[at] = self.rank(symbols[at], symbols[at + 1]);
            }
        }
    }

    /// A heap of candidate pairs over a linked list: n log n steps whatever the word.
    fn heap(&self, s: &mut Scratch) {
        let n = s.symbols.len();
        s.before.clear();
        s.before.extend((0..n).map(|i| (i as u32).wrapping_sub(1)));
        s.after.clear();
        s.after.extend((1..=n).map(|i| if i == n { NONE } else { i as u32 }));
        let pairs = s.symbols.windows(2).enumerate().filter_map(|(i, w)| {
            let merge = self.get(w[0], w[1])?;
            Some(Reverse((merge.rank, i as u32, w[0], w[1])))
        });
        let mut entries = std::mem::take(&mut s.heap).into_vec();
        entries.clear();
        entries.extend(pairs);
        s.heap = BinaryHeap::from(entries);

        while let Some(Reverse((_, at, left, right))) = s.heap.pop() {
            let i = at as usize;
            let next = s.after[i];
            // An entry is stale where either symbol has been merged since.
            if next == NONE || s.symbols[i] != left || s.symbols[next as usize] != right {
                continue;
            }
            let Some(merge) = self.get(left, right) else { continue };
            s.symbols[i] = merge.into;
            s.symbols[next as usize] = NONE;
            let beyond = s.after[next as usize];
            s.after[i] = beyond;
            if beyond != NONE {
                s.before[beyond as usize] = at;
                let symbol = s.symbols[beyond as usize];
                if let Some(m) = self.get(merge.into, symbol) {
                    s.heap.push(Reverse((m.rank, at, merge.into, symbol)));
                }
            }
            let before = s.before[i];
            if before != NONE {
                let symbol = s.symbols[before as usize];
                if let Some(m) = self.get(symbol, merge.into) {
                    s.heap.push(Reverse((m.rank, before, symbol, merge.into)));
                }
            }
        }
        s.symbols.retain(|&symbol| symbol != NONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: merge the earliest known pair, leftmost first, until none is left.
    fn reference(merges: &Merges, symbols: &[u32]) -> Vec<u32> {
        let mut symbols = symbols.to_vec();
        while let Some((merge, at)) = symbols
            .windows(2)
            .enumerate()
            .filter_map(|(at, w)| merges.get(w[0], w[1]).map(|m| (m, at)))
            .min_by_key(|(m, at)| (m.rank, *at))
        {
            symbols.splice(at..at + 2, [merge.into]);
        }
        symbols
    }

    proptest! {
        #[test]
        fn scan_and_heap_follow_the_definition(
            pairs in prop::collection::vec((0..8u32, 0..8u32), 0..30),
            word in prop::collection::vec(0..4u32, 0..120),
        ) {
            let mut merges = Merges::default();
            for (rank, &(left, right)) in pairs.iter().enumerate() {
                merges.insert(left, right, rank as u32, 4 + rank as u32 % 4);
            }
            let expected = reference(&merges, &word);
            let (mut scanned, mut ranks) = (word.clone(), Vec::new());
            merges.scan(&mut scanned, &mut ranks);
            prop_assert_eq!(&scanned, &expected);
            let mut scratch = Scratch { symbols: word, ..Scratch::default() };
            merges.heap(&mut scratch);
            prop_assert_eq!(&scratch.symbols, &expected);
        }
    }
}
