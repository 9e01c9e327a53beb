//! An order of documents that is random, seeded, and known without a list.

/// Rounds of the Feistel network: three make a pseudo-random permutation, Luby & Rackoff 1988, and one more is cheap.
const ROUNDS: u64 = 4;

/// A permutation of `0..count`: a Feistel network over the next even power of two, walked until it is within. Black &
/// Rogaway 2002.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    key: u64,
    half_bits: u32,
    count: u64,
}

impl Permutation {
    /// The order of `count` documents in an epoch of a source.
    pub(crate) fn new(count: u64, seed: u64, source: u64, epoch: u64) -> Permutation {
        let bits = 64 - count.saturating_sub(1).leading_zeros();
        let key = mix(mix(mix(seed) ^ source) ^ epoch);
        Permutation { key, half_bits: bits.div_ceil(2).max(1), count }
    }

    /// The document at place `at`, which is below the count.
    pub(crate) fn at(&self, at: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let mut value = at;
        loop {
            let (mut left, mut right) = (value >> self.half_bits, value & mask);
            for round in 0..ROUNDS {
                (left, right) = (right, left ^ (mix(self.key ^ mix(round << 32 ^ right)) & mask));
            }
            value = left << self.half_bits | right;
            // A permutation's cycle leads back to `at`, which is within.
            if value < self.count || self.count == 0 {
                return value;
            }
        }
    }
}

/// Whether a document is kept from training. It depends on nothing but the document's number, so that every run on the
/// same shards holds out the same.
pub(crate) fn held_out(document: u64, share: f64) -> bool {
    // 53 bits, which an f64 holds exactly.
    ((mix(document ^ 0x5A15_0F0E_1D0C_2B4A) >> 11) as f64) < share * (1u64 << 53) as f64
}

/// The finaliser of SplitMix64. Steele, Lea & Flood 2014.
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_document_comes_once(count in 1u64..3000, seed: u64, epoch in 0u64..9) {
            let order = Permutation::new(count, seed, 1, epoch);
            let mut seen: Vec<u64> = (0..count).map(|at| order.at(at)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..count).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn epochs_sources_and_seeds_differ() {
        let all = |seed, source, epoch| {
            let order = Permutation::new(1000, seed, source, epoch);
            (0..1000).map(|at| order.at(at)).collect::<Vec<u64>>()
        };
        let first = all(1, 0, 0);
        assert_eq!(first, all(1, 0, 0));
        for other in [all(2, 0, 0), all(1, 1, 0), all(1, 0, 1), (0..1000).collect()] {
            let same = first.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(same < 20, "{same}");
        }
        // The largest there can be.
        assert!(Permutation::new(u64::MAX, 3, 0, 0).at(5) < u64::MAX);
    }

    #[test]
    fn the_share_is_held_out() {
        let out = (0..100_000).filter(|&document| held_out(document, 0.01)).count();
        assert!((900..1100).contains(&out), "{out}");
        assert!(!(0..1000).any(|document| held_out(document, 0.0)));
    }
}
