//! Byte-pair merging: of a word's neighbouring symbols, the pair learnt earliest becomes one, leftmost
//! first, until no pair is known. Sennrich et al. 2016, over bytes as in Radford et al. 2019.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::hash::fold;

/// Words up to this many symbols are merged by scanning; a heap wins beyond it.
const SCAN_LIMIT: usize = 48;
const NONE: u32 = u32::MAX;

/// What each known pair becomes, and how early it was learnt: a table of open addressing, at most half full.
pub(crate) struct Merges {
    slots: Box<[Slot]>,
    len: usize,
}

/// A pair, or none where `into` is [`NONE`].
#[derive(Clone, Copy)]
struct Slot {
    left: u32,
    right: u32,
    rank: u32,
    into: u32,
}

const EMPTY: Slot = Slot { left: 0, right: 0, rank: NONE, into: NONE };

#[derive(Clone, Copy)]
struct Merge {
    rank: u32,
    into: u32,
}

/// Buffers of a merge, kept between words.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) symbols: Vec<u32>,
    before: Vec<u32>,
    after: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, u32, u32, u32)>>,
}

impl Merges {
    pub(crate) fn with_capacity(pairs: usize) -> Merges {
        let slots = vec![EMPTY; (pairs * 2).next_power_of_two().max(4)].into_boxed_slice();
        Merges { slots, len: 0 }
    }

    /// Adds a pair. One named twice takes its later place, as in `tokenizers`.
    pub(crate) fn insert(&mut self, left: u32, right: u32, rank: u32, into: u32) {
        if (self.len + 1) * 2 > self.slots.len() {
            let grown = Merges::with_capacity(self.slots.len());
            let old = std::mem::replace(self, grown);
            for slot in old.slots.iter().filter(|slot| slot.into != NONE) {
                self.insert(slot.left, slot.right, slot.rank, slot.into);
            }
        }
        let at = self.place(left, right);
        self.len += usize::from(self.slots[at].into == NONE);
        self.slots[at] = Slot { left, right, rank, into };
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The pairs, earliest learnt first.
    pub(crate) fn in_order(&self) -> Vec<(u32, u32)> {
        let known = self.slots.iter().filter(|slot| slot.into != NONE);
        let mut ranked: Vec<(u32, u32, u32)> = known.map(|s| (s.rank, s.left, s.right)).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, left, right)| (left, right)).collect()
    }

    /// Where a pair stands, or the empty slot where it would. Half of the slots are empty, so there is one.
    #[inline(always)]
    fn place(&self, left: u32, right: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = fold(u64::from(left) << 32 | u64::from(right), 0) as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.into == NONE || (slot.left == left && slot.right == right) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(always)]
    fn get(&self, left: u32, right: u32) -> Option<Merge> {
        let slot = self.slots[self.place(left, right)];
        (slot.into != NONE).then_some(Merge { rank: slot.rank, into: slot.into })
    }

    #[inline(always)]
    fn rank(&self, left: u32, right: u32) -> u32 {
        // An empty slot has the rank of no pair.
        self.slots[self.place(left, right)].rank
    }

    /// Merges `scratch.symbols` in place.
    pub(crate) fn run(&self, scratch: &mut Scratch) {
        match scratch.symbols.len() {
            0 | 1 => {}
            n if n <= SCAN_LIMIT => self.scan(&mut scratch.symbols),
            _ => {
                self.heap(scratch);
            }
        }
    }

    /// Looks for the earliest pair again after each merge: n² steps, fewest for what people write.
    ///
    /// Nothing is moved: a symbol that was merged away leaves its place, and neighbours are found over it.
    fn scan(&self, symbols: &mut Vec<u32>) {
        let n = symbols.len().min(SCAN_LIMIT);
        // `ranks[i]` is that of the pair which begins at place i.
        let mut ranks = [NONE; SCAN_LIMIT];
        let mut ids = [NONE; SCAN_LIMIT];
        // A bit for each place that holds a symbol.
        let mut live = u64::MAX >> (64 - n);
        ids[..n].copy_from_slice(&symbols[..n]);
        for at in 1..n {
            ranks[at - 1] = self.rank(ids[at - 1], ids[at]);
        }
        loop {
            let mut best = (NONE, 0);
            for (at, &rank) in ranks[..n].iter().enumerate() {
                best = if rank < best.0 { (rank, at) } else { best };
            }
            let (rank, at) = best;
            if rank == NONE {
                break;
            }
            let right = next(live, at);
            let slot = self.slots[self.place(ids[at], ids[right])];
            ids[at] = slot.into;
            live &= !(1 << right);
            ranks[right] = NONE;
            let beyond = next(live, at);
            ranks[at] = if beyond < n { self.rank(slot.into, ids[beyond]) } else { NONE };
            let under = live & ((1 << at) - 1);
            if under != 0 {
                let before = 63 - under.leading_zeros() as usize;
                ranks[before] = self.rank(ids[before], slot.into);
            }
        }
        symbols.clear();
        while live != 0 {
            symbols.push(ids[live.trailing_zeros() as usize]);
            live &= live - 1;
        }
    }

    /// A heap of candidate pairs over a linked list: n log n steps whatever the word. Returns how many candidates
    /// it looked at, fewer than 3 n: a pair at first, and two for each merge.
    fn heap(&self, s: &mut Scratch) -> usize {
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

        let mut looked_at = 0;
        while let Some(Reverse((_, at, left, right))) = s.heap.pop() {
            looked_at += 1;
            let i = at as usize;
            let next = s.after[i];
            // An entry is stale where either symbol has been merged since.
            if next == NONE || s.symbols[i] != left || s.symbols[next as usize] != right {
                continue;
            }
            let Some(merge) = self.get(left, right) else { continue };
            let gone = next as usize;
            s.symbols[i] = merge.into;
            s.symbols[gone] = NONE;
            s.after[i] = s.after[gone];
            if s.after[i] != NONE {
                let beyond = s.after[i] as usize;
                s.before[beyond] = at;
                let symbol = s.symbols[beyond];
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
        looked_at
    }
}

/// The first place after `at` that holds a symbol, or one beyond all.
#[inline(always)]
fn next(live: u64, at: usize) -> usize {
    // Two shifts, since one by 64 is none.
    let beyond = live >> at >> 1;
    if beyond == 0 { SCAN_LIMIT } else { at + 1 + beyond.trailing_zeros() as usize }
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
            let mut merges = Merges::with_capacity(0);
            for (rank, &(left, right)) in pairs.iter().enumerate() {
                merges.insert(left, right, rank as u32, 4 + rank as u32 % 4);
            }
            prop_assert_eq!(merges.len(), merges.in_order().len());
            let short = &word[..word.len().min(SCAN_LIMIT)];
            if !short.is_empty() {
                let mut scanned = short.to_vec();
                merges.scan(&mut scanned);
                prop_assert_eq!(scanned, reference(&merges, short));
            }
            let mut scratch = Scratch { symbols: word.clone(), ..Scratch::default() };
            merges.heap(&mut scratch);
            prop_assert_eq!(scratch.symbols, reference(&merges, &word));
        }
    }

    #[test]
    fn a_long_word_costs_three_looks_a_symbol() {
        let mut merges = Merges::with_capacity(0);
        // Every pair of four symbols merges, and what it becomes merges again.
        for rank in 0..16 {
            merges.insert(rank / 4, rank % 4, rank, rank % 4);
        }
        for n in [1_000, 1_000_000] {
            let symbols: Vec<u32> = (0..n).map(|i: u32| i.wrapping_mul(2_654_435_761) >> 30).collect();
            let mut scratch = Scratch { symbols, ..Scratch::default() };
            let looked_at = merges.heap(&mut scratch);
            assert!(looked_at < 3 * n as usize, "{looked_at} for {n}");
            assert_eq!(scratch.symbols.len(), 1);
        }
    }
}
