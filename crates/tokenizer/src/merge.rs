//! Byte-pair merging: of a word's neighbouring symbols, the pair learnt earliest becomes one, leftmost
//! first, until no pair is known. Sennrich et al. 2016, over bytes as in Radford et al. 2019.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::pairs::{NONE, PairTable};

/// Words up to this many symbols are merged by scanning; a heap wins beyond it.
const SCAN_LIMIT: usize = 48;
/// Words up to this many symbols are merged beside others.
const SMALL: usize = 16;
/// Places are counted in six bits, beside a rank.
const PLACES: usize = 64;
/// So many pairs that what [`PairTable`] finds fits the other bits.
const FEW: usize = 1 << 24;
/// The order of no pair.
const NEVER: i32 = i32::MAX;

/// What each known pair becomes, and how early it was learnt.
pub(crate) struct Merges {
    /// In the order of their ranks.
    pairs: Vec<Pair>,
    table: PairTable,
    known: usize,
}

/// Two symbols and what they become.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) into: u32,
}

#[derive(Clone, Copy)]
struct Merge {
    rank: u32,
    into: u32,
}

/// A word of up to `N` symbols while its pairs are scanned for the earliest after each merge: n² steps, fewest for what
/// people write. Nothing is moved: a symbol that was merged away leaves its place, and neighbours are found over it.
pub(crate) struct Scanned<const N: usize> {
    ids: [u32; N],
    /// Of the pair that begins at place i its rank and i, so that the least is the earliest and leftmost. With a sign,
    /// since vectors of every x86-64 processor compare such ones alone.
    orders: [i32; N],
    /// What that pair becomes.
    intos: [u32; N],
    /// A bit for each place that holds a symbol.
    live: u64,
}

/// A word that is merged beside others.
pub(crate) type Small = Scanned<SMALL>;

impl<const N: usize> Scanned<N> {
    /// The symbols that are left.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = u32> {
        let mut live = self.live;
        std::iter::from_fn(move || {
            let at = live.trailing_zeros() as usize;
            live &= live.checked_sub(1)?;
            Some(self.ids[at])
        })
    }
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
    /// Of pairs, the earliest learnt first. One named twice takes its later place, as in `tokenizers`.
    pub(crate) fn new(pairs: Vec<Pair>) -> Merges {
        let mut ranked: Vec<(u32, Pair)> = (0..).zip(pairs.iter().copied()).collect();
        ranked.sort_unstable_by_key(|&(rank, pair)| (pair.left, pair.right, Reverse(rank)));
        ranked.dedup_by_key(|(_, pair)| (pair.left, pair.right));
        Merges { known: ranked.len(), table: PairTable::new(&ranked), pairs }
    }

    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.known
    }

    /// The pairs and their ranks, earliest learnt first.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        let ranked = (0..).zip(&self.pairs).map(|(rank, pair)| (pair.left, pair.right, rank));
        // One that was named again has its later place alone.
        ranked.filter(|&(left, right, rank)| self.rank(left, right) == Some(rank))
    }

    /// Of a word's pairs the one to merge first: its rank, its place and what it becomes.
    pub(crate) fn earliest(&self, symbols: &[u32]) -> Option<(u32, usize, u32)> {
        let pairs = symbols.windows(2).enumerate();
        let known = pairs.filter_map(|(at, w)| Some((self.rank(w[0], w[1])?, at)));
        known.min().map(|(rank, at)| (rank, at, self.pairs[rank as usize].into))
    }

    #[inline(always)]
    fn rank(&self, left: u32, right: u32) -> Option<u32> {
        let (rank, _) = self.table.candidate(left, right);
        let pair = self.pairs.get(rank as usize)?;
        (pair.left == left && pair.right == right).then_some(rank)
    }

    #[inline(always)]
    fn get(&self, left: u32, right: u32) -> Option<Merge> {
        self.rank(left, right).map(|rank| Merge { rank, into: self.pairs[rank as usize].into })
    }

    /// Merges `scratch.symbols` in place.
    pub(crate) fn run(&self, scratch: &mut Scratch) {
        match scratch.symbols.len() {
            0 | 1 => {}
            n if n <= SMALL && self.pairs.len() < FEW => self.scan::<SMALL>(&mut scratch.symbols),
            n if n <= SCAN_LIMIT && self.pairs.len() < FEW => self.scan::<SCAN_LIMIT>(&mut scratch.symbols),
            _ => {
                self.heap(scratch);
            }
        }
    }

    fn scan<const N: usize>(&self, symbols: &mut Vec<u32>) {
        let mut word = self.begin::<N>(symbols);
        while self.step(&mut word) {}
        symbols.clear();
        symbols.extend(word.symbols());
    }

    /// Merges words side by side, and gives the symbols of each with its number as soon as it is done.
    ///
    /// A merge waits for the one before it, and that mostly for memory. Those of another word need not.
    pub(crate) fn run_together(&self, words: &mut Vec<(usize, Small)>, mut done: impl FnMut(usize, Small)) {
        while !words.is_empty() {
            let mut at = 0;
            while let Some((_, word)) = words.get_mut(at) {
                if self.step(word) {
                    at += 1;
                } else {
                    let (number, word) = words.swap_remove(at);
                    done(number, word);
                }
            }
        }
    }

    /// A word to be merged with others, where it is small enough.
    #[inline]
    pub(crate) fn small(&self, symbols: &[u32]) -> Option<Small> {
        ((1..=SMALL).contains(&symbols.len()) && self.pairs.len() < FEW).then(|| self.begin(symbols))
    }

    /// A word of up to `N` symbols, at least one.
    #[inline(always)]
    fn begin<const N: usize>(&self, symbols: &[u32]) -> Scanned<N> {
        let n = symbols.len().min(N);
        let mut word =
            Scanned { ids: [NONE; N], orders: [NEVER; N], intos: [NONE; N], live: u64::MAX >> (64 - n) };
        word.ids[..n].copy_from_slice(&symbols[..n]);
        for at in 1..n {
            (word.orders[at - 1], word.intos[at - 1]) = self.order(word.ids[at - 1], word.ids[at], at - 1);
        }
        word
    }

    /// Merges a word's earliest pair; says whether it had one.
    #[inline(always)]
    fn step<const N: usize>(&self, word: &mut Scanned<N>) -> bool {
        let Scanned { ids, orders, intos, live } = word;
        let best = orders.iter().fold(NEVER, |best, &order| best.min(order));
        if best == NEVER {
            return false;
        }
        let at = best as usize % PLACES % N;
        let right = next(*live, at) % N;
        // Where it may be another pair's rank, that was not seen before: few are, and nothing that follows waits for it.
        let pair = self.pairs.get(best as usize / PLACES);
        let own = |pair: &Pair| self.table.exact() || pair.left == ids[at] && pair.right == ids[right];
        if !pair.is_some_and(own) {
            orders[at] = NEVER;
            return true;
        }
        ids[at] = intos[at];
        *live &= !(1 << right);
        orders[right] = NEVER;
        let beyond = next(*live, at);
        orders[at] = NEVER;
        if beyond < N {
            (orders[at], intos[at]) = self.order(ids[at], ids[beyond], at);
        }
        let under = *live & ((1 << at) - 1);
        if under != 0 {
            let before = (63 - under.leading_zeros() as usize) % N;
            (orders[before], intos[before]) = self.order(ids[before], ids[at], before);
        }
        true
    }

    /// The rank that a pair may have and the place where it stands in one number; and what it would become.
    #[inline(always)]
    fn order(&self, left: u32, right: u32, at: usize) -> (i32, u32) {
        let (rank, into) = self.table.candidate(left, right);
        (if rank == NONE { NEVER } else { (rank as i32 * PLACES as i32) | at as i32 }, into)
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
    if beyond == 0 { PLACES } else { at + 1 + beyond.trailing_zeros() as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: merge the earliest known pair, leftmost first, until none is left.
    fn reference(merges: &Merges, symbols: &[u32]) -> Vec<u32> {
        let mut symbols = symbols.to_vec();
        while let Some((_, at, into)) = merges.earliest(&symbols) {
            symbols.splice(at..at + 2, [into]);
        }
        symbols
    }

    proptest! {
        #[test]
        fn scan_and_heap_follow_the_definition(
            pairs in prop::collection::vec((0..8u32, 0..8u32), 0..30),
            word in prop::collection::vec(0..4u32, 0..120),
        ) {
            let pairs = (0..).zip(&pairs).map(|(rank, &(left, right))| Pair { left, right, into: 4 + rank % 4 });
            let merges = Merges::new(pairs.collect());
            prop_assert_eq!(merges.len(), merges.in_order().count());
            // All lengths that are scanned, alone and beside each other.
            let mut together = Vec::new();
            for length in 1..=word.len().min(SCAN_LIMIT) {
                let mut scratch = Scratch { symbols: word[..length].to_vec(), ..Scratch::default() };
                merges.run(&mut scratch);
                prop_assert_eq!(scratch.symbols, reference(&merges, &word[..length]));
                together.extend(merges.small(&word[..length]).map(|small| (length, small)));
            }
            prop_assert_eq!(together.len(), word.len().min(SMALL));
            let mut ended = 0;
            merges.run_together(&mut together, |length, small| {
                assert_eq!(small.symbols().collect::<Vec<_>>(), reference(&merges, &word[..length]));
                ended += 1;
            });
            prop_assert_eq!(ended, word.len().min(SMALL));
            let mut scratch = Scratch { symbols: word.clone(), ..Scratch::default() };
            merges.heap(&mut scratch);
            prop_assert_eq!(scratch.symbols, reference(&merges, &word));
        }
    }

    #[test]
    fn a_long_word_costs_three_looks_a_symbol() {
        // Every pair of four symbols merges, and what it becomes merges again.
        let pairs = (0..16).map(|rank| Pair { left: rank / 4, right: rank % 4, into: rank % 4 });
        let merges = Merges::new(pairs.collect());
        for n in [1_000, 1_000_000] {
            let symbols: Vec<u32> = (0..n).map(|i: u32| i.wrapping_mul(2_654_435_761) >> 30).collect();
            let mut scratch = Scratch { symbols, ..Scratch::default() };
            let looked_at = merges.heap(&mut scratch);
            assert!(looked_at < 3 * n as usize, "{looked_at} for {n}");
            assert_eq!(scratch.symbols.len(), 1);
        }
    }
}
