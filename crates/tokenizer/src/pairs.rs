//! Which of the known pairs two symbols may be: one look, no loop.
//!
//! A pair's hash names a bucket, the bucket's number moves the hash to a slot, and numbers were sought under which no two
//! known pairs share one (Belazzougui et al. 2009, "Hash, displace, and compress"). A slot is 64 bits: a pair's rank, what
//! it becomes, and the pair itself where there is room for it, as in vocabularies of up to 65,536 entries; else as many bits
//! of its hash as there is room for. So there is nothing to search, and what is asked for one after another is read side by
//! side. By a hash the answer may be another pair: it is for the caller to compare, which a processor does beside going on.

use std::cmp::Reverse;

use crate::hash::fold;
use crate::merge::Pair;

/// No rank.
pub(crate) const NONE: u32 = u32::MAX;
/// A slot that no pair has.
const FREE: u64 = u64::MAX;
/// Numbers tried for a bucket, and hashes tried for a table, before pairs are left over.
const NUMBERS: usize = 1 << 16;
const SEEDS: u64 = 8;

/// See the head of this file.
pub(crate) struct PairTable {
    numbers: Box<[u16]>,
    slots: Box<[u64]>,
    /// A slot's low bits that are a rank, so many that no rank has them all.
    ranks: u64,
    rank_bits: u32,
    /// The bits above that are a symbol, once the rank is shifted away.
    symbols: u64,
    /// Whether a slot has the pair itself, 16 bits for each symbol.
    exact: bool,
    /// How far a moved hash is shifted to be a slot.
    shift: u32,
    seed: u64,
    /// Pairs that no number could place, in order: none in any vocabulary that was not made for it.
    left_over: Vec<(u32, Pair)>,
}

impl PairTable {
    /// Of distinct pairs and their ranks.
    pub(crate) fn new(pairs: &[(u32, Pair)]) -> PairTable {
        let mut best: Option<PairTable> = None;
        for seed in 0..SEEDS {
            let table = PairTable::with_seed(pairs, seed, NUMBERS);
            let better = best.as_ref().is_none_or(|best| table.left_over.len() < best.left_over.len());
            if better {
                best = Some(table);
            }
            if best.as_ref().is_some_and(|best| best.left_over.is_empty()) {
                break;
            }
        }
        best.unwrap_or_else(|| PairTable::with_seed(&[], 0, 1))
    }

    fn with_seed(pairs: &[(u32, Pair)], seed: u64, numbers: usize) -> PairTable {
        let slots = (pairs.len() + pairs.len() / 4).next_power_of_two().max(16);
        let highest = pairs.iter().map(|&(rank, _)| rank).max().unwrap_or(0);
        let symbol = pairs.iter().map(|(_, pair)| pair.into).max().unwrap_or(0);
        let rank_bits = 32 - (highest + 1).leading_zeros();
        let largest = pairs.iter().map(|(_, pair)| pair.left.max(pair.right)).max().unwrap_or(0);
        let exact = largest >> 16 == 0 && rank_bits + (32 - symbol.leading_zeros()) <= 32;
        let mut table = PairTable {
            numbers: vec![0; slots / 4].into_boxed_slice(),
            slots: vec![FREE; slots].into_boxed_slice(),
            ranks: (1 << rank_bits) - 1,
            rank_bits,
            symbols: u64::MAX >> (32 + symbol.leading_zeros()).min(63),
            exact,
            shift: 64 - slots.ilog2(),
            seed: fold(seed, !seed),
            left_over: Vec::new(),
        };
        let mut hashed: Vec<(usize, u64, &(u32, Pair))> = pairs
            .iter()
            .map(|ranked| {
                let hash = table.hash(key(ranked.1.left, ranked.1.right));
                (table.bucket(hash), hash, ranked)
            })
            .collect();
        hashed.sort_unstable_by_key(|&(bucket, hash, _)| (bucket, hash));
        let mut buckets: Vec<_> = hashed.chunk_by(|a, b| a.0 == b.0).collect();
        // The large ones first, while there is room.
        buckets.sort_by_key(|bucket| Reverse(bucket.len()));
        let mut places = Vec::new();
        for bucket in buckets {
            let free = (0..=u16::MAX).take(numbers).find(|&number| {
                places.clear();
                bucket.iter().all(|&(_, hash, _)| {
                    let slot = table.slot(hash, number);
                    let free = table.slots[slot] == FREE && !places.contains(&slot);
                    places.push(slot);
                    free
                })
            });
            let Some(number) = free else {
                table.left_over.extend(bucket.iter().map(|&(.., ranked)| *ranked));
                continue;
            };
            for &(at, hash, &(rank, pair)) in bucket {
                table.numbers[at] = number;
                let slot = table.slot(hash, number);
                let own = u64::from(pair.left) << 48 | u64::from(pair.right) << 32;
                let tag = if exact { own } else { table.tag(hash) };
                table.slots[slot] = tag | u64::from(pair.into) << rank_bits | u64::from(rank);
            }
        }
        table.left_over.sort_unstable_by_key(|(_, pair)| (pair.left, pair.right));
        table
    }

    /// The rank of this pair and what it becomes, if it is known; else [`NONE`], or what is no rank, or the rank of
    /// another.
    #[inline(always)]
    pub(crate) fn candidate(&self, left: u32, right: u32) -> (u32, u32) {
        let key = key(left, right);
        let hash = self.hash(key);
        let slot = self.slots[self.slot(hash, self.numbers[self.bucket(hash)])];
        let same = match self.exact {
            true => slot >> 48 << 32 | (slot >> 32 & 0xffff) == key,
            false => (slot ^ self.tag(hash)) & self.tags() == 0,
        };
        let rank = if same { (slot & self.ranks) as u32 } else { NONE };
        let found = (rank, (slot >> self.rank_bits & self.symbols) as u32);
        if self.left_over.is_empty() { found } else { self.left_over(left, right).unwrap_or(found) }
    }

    /// Whether a rank that is found is always the pair's own, or is no rank.
    #[inline(always)]
    pub(crate) fn exact(&self) -> bool {
        self.exact
    }

    #[cold]
    fn left_over(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let at = self.left_over.partition_point(|(_, pair)| (pair.left, pair.right) < (left, right));
        let found = self.left_over.get(at).filter(|(_, pair)| (pair.left, pair.right) == (left, right));
        found.map(|&(rank, pair)| (rank, pair.into))
    }

    #[inline(always)]
    fn hash(&self, key: u64) -> u64 {
        fold(key, self.seed)
    }

    #[inline(always)]
    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.numbers.len() - 1)
    }

    #[inline(always)]
    fn slot(&self, hash: u64, number: u16) -> usize {
        (hash.wrapping_mul(u64::from(number) << 1 | 1) >> self.shift) as usize
    }

    /// The upper bits of a slot in use.
    #[inline(always)]
    fn tag(&self, hash: u64) -> u64 {
        hash.rotate_left(32) & self.tags()
    }

    #[inline(always)]
    fn tags(&self) -> u64 {
        !(self.symbols << self.rank_bits | self.ranks)
    }
}

#[inline(always)]
fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_pair_is_found(
            pairs in prop::collection::btree_map((0..90u32, 0..90u32), Just(()), 0..4000),
            // Few numbers leave pairs over.
            numbers in prop::sample::select(vec![1, 2, 16, NUMBERS]),
        ) {
            let pair = |(rank, &(left, right))| (rank, Pair { left, right, into: rank % 7 });
            let ranked: Vec<_> = (0..).zip(pairs.keys()).map(pair).collect();
            for table in [PairTable::new(&ranked), PairTable::with_seed(&ranked, 3, numbers)] {
                for &(rank, pair) in &ranked {
                    prop_assert_eq!(table.candidate(pair.left, pair.right), (rank, pair.into));
                }
                // Few others pass for one.
                let unknown = (0..90u32).flat_map(|left| (0..90u32).map(move |right| (left, right)));
                let passed = unknown
                    .filter(|pair| !pairs.contains_key(pair))
                    .filter(|&(left, right)| (table.candidate(left, right).0 as usize) < ranked.len());
                prop_assert!(passed.count() < 20);
            }
        }
    }

    #[test]
    fn symbols_of_any_size_fit() {
        let pairs = [(0, Pair { left: 5, right: 0xffff, into: 7 })];
        let table = PairTable::new(&pairs);
        assert!(table.exact() && table.candidate(5, 0xffff) == (0, 7));
        // What is longer than a slot's 16 bits is not taken for what it ends in, nor a free slot for a pair.
        for (left, right) in [(0x1_0005, 0xffff), (5, 0x1_ffff), (4, 0x1_ffff), (0xffff, 0xffff)] {
            assert_ne!(table.candidate(left, right).0, 0);
        }
        let pairs = [(0, Pair { left: 0, right: u32::MAX, into: u32::MAX })];
        assert_eq!(PairTable::new(&pairs).candidate(0, u32::MAX), (0, u32::MAX));
        assert_eq!(PairTable::new(&[]).candidate(0, 0).0, NONE);
    }

    #[test]
    fn nothing_is_left_over_of_a_large_vocabulary() {
        let pair = |rank| (rank, Pair { left: rank % 777, right: rank / 777 * 3, into: rank });
        let pairs: Vec<_> = (0..300_000).map(pair).collect();
        let table = PairTable::new(&pairs);
        assert!(table.left_over.is_empty());
        assert!(
            pairs.iter().all(|&(rank, pair)| table.candidate(pair.left, pair.right) == (rank, pair.into))
        );
    }
}
