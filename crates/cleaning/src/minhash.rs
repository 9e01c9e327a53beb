//! MinHash signatures (Broder 1997), with datatrove's hashes, so that the same near-duplicates meet.
//!
//! A text is simplified (lower case, numbers to 0, punctuation to spaces, NFD without marks), cut into n-grams of words or of
//! characters, each n-gram hashed with XXH64. The k-th of a signature's numbers is the least of `(x·a_k + b_k mod 2^64) mod (2^61 − 1)` over
//! the hashes x, where a and b are numpy's random numbers of the seed. Texts whose numbers agree in all rows of a band are candidates: two of
//! Jaccard similarity s meet with probability 1 − (1 − s^rows)^bands. Words are what stands between white space; Korean has few words and long ones, so
//! that n-grams of characters find more of its near-duplicates.

mod random;
mod simplify;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

pub use simplify::simplify;

/// 2^61 − 1.
const PRIME: u64 = (1 << 61) - 1;

/// Of what n-grams are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// What stands between white space.
    #[default]
    Words,
    /// Letters and digits, without white space.
    Characters,
}

/// The shape of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MinHashOptions {
    /// Bands, 1 to 64. datatrove calls them buckets.
    pub bands: usize,
    /// Numbers of a band, 1 to 64.
    pub rows: usize,
    /// Units of an n-gram, 1 to 64.
    pub n: usize,
    /// The units.
    pub unit: Unit,
    /// Seed of a and b.
    pub seed: u32,
}

impl Default for MinHashOptions {
    fn default() -> Self {
        Self { bands: 14, rows: 8, n: 5, unit: Unit::Words, seed: 1 }
    }
}

impl MinHashOptions {
    /// Says which option is out of its range.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("bands", self.bands), ("rows", self.rows), ("n", self.n)] {
            if !(1..=64).contains(&value) {
                return Err(format!("minhash.{name} is {value}; give 1 to 64"));
            }
        }
        Ok(())
    }
}

/// Computes signatures. Has room of its own: one a thread.
#[derive(Clone, Debug)]
pub struct MinHash {
    options: MinHashOptions,
    a: Vec<u64>,
    b: Vec<u64>,
    simplified: String,
    ends: Vec<(u32, u32)>,
    shingles: Vec<u64>,
}

impl MinHash {
    /// The hashes of `options`, which [`MinHashOptions::check`] has found good.
    pub fn new(options: MinHashOptions) -> Self {
        let count = options.bands * options.rows;
        let mut random = random::Mt19937::new(options.seed);
        let a = (0..count).map(|_| random.between(1, PRIME)).collect();
        let b = (0..count).map(|_| random.between(0, PRIME)).collect();
        Self { options, a, b, simplified: String::new(), ends: Vec::new(), shingles: Vec::new() }
    }

    /// The signature of `text`, bands × rows numbers below 2^61 − 1. `None` where it has no n-gram.
    pub fn signature(&mut self, text: &str) -> Option<Vec<u64>> {
        self.shingle(text);
        if self.shingles.is_empty() {
            return None;
        }
        Some(self.a.iter().zip(&self.b).map(|(&a, &b)| least(&self.shingles, a, b)).collect())
    }

    /// A key for each band of the signature of `text`: documents that have a key in common are candidates. `None` where there is no
    /// n-gram.
    pub fn bands(&mut self, text: &str) -> Option<Vec<u64>> {
        let rows = self.options.rows;
        self.signature(text).map(|signature| bands(&signature, rows))
    }

    /// The different hashes of the n-grams of `text`, in order: what the Jaccard similarity is of.
    pub fn shingles(&mut self, text: &str) -> &[u64] {
        self.shingle(text);
        &self.shingles
    }

    fn shingle(&mut self, text: &str) {
        simplify::simplify_into(text, &mut self.simplified);
        self.shingles.clear();
        self.ends.clear();
        let n = self.options.n;
        let text = self.simplified.as_str();
        if self.options.unit == Unit::Characters {
            // In place of conjoining letters of Hangul, whole syllables again; no spaces.
            let joined: String =
                unicode_normalization::UnicodeNormalization::nfc(text.chars().filter(|&c| c != ' '))
                    .collect();
            self.simplified = joined;
            let text = self.simplified.as_str();
            self.ends.extend(text.char_indices().map(|(at, c)| (at as u32, (at + c.len_utf8()) as u32)));
        } else {
            let mut at = 0;
            for word in text.split(' ') {
                if !word.is_empty() {
                    self.ends.push((at as u32, (at + word.len()) as u32));
                }
                at += word.len() + 1;
            }
        }
        let text = self.simplified.as_bytes();
        // Words stand one space apart, so that an n-gram is a piece of the text.
        self.shingles.extend(
            self.ends
                .windows(n)
                .map(|window| XxHash64::oneshot(0, &text[window[0].0 as usize..window[n - 1].1 as usize])),
        );
        self.shingles.sort_unstable();
        self.shingles.dedup();
    }
}

/// Keys of the bands of a signature.
pub fn bands(signature: &[u64], rows: usize) -> Vec<u64> {
    let key = |band: &[u64]| {
        let bytes: Vec<u8> = band.iter().flat_map(|number| number.to_le_bytes()).collect();
        XxHash64::oneshot(0, &bytes)
    };
    signature.chunks(rows).map(key).collect()
}

/// The least permuted hash. The product wraps at 2^64, as numpy's does.
fn least(shingles: &[u64], a: u64, b: u64) -> u64 {
    let mut least = [u64::MAX; 4];
    let mut chunks = shingles.chunks_exact(4);
    let permuted = |x: u64| {
        let x = x.wrapping_mul(a).wrapping_add(b);
        // 2^61 is 1 modulo the prime.
        let folded = (x & PRIME) + (x >> 61);
        folded.min(folded.wrapping_sub(PRIME))
    };
    for chunk in &mut chunks {
        for (least, &x) in least.iter_mut().zip(chunk) {
            *least = (*least).min(permuted(x));
        }
    }
    for &x in chunks.remainder() {
        least[0] = least[0].min(permuted(x));
    }
    least.into_iter().min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_and_b_are_numpys() {
        // numpy.random.RandomState(1).randint(1, 2**61 - 1, dtype=uint64, size=112), and from 0 after it.
        let hash = MinHash::new(MinHashOptions::default());
        assert_eq!(hash.a[..3], [775_169_054_918_279_404, 1_758_426_461_858_698_313, 2_109_959_069_025_162]);
        assert_eq!(hash.b[..2], [1_062_448_801_025_099_917, 1_324_811_268_927_594_100]);
        assert_eq!(hash.b[111], 1_097_409_548_522_419_201);
    }

    #[test]
    fn the_signature_is_datatroves() {
        let text = "강은 산에서 바다로 흐르며 마을 12곳을 지난다. The river runs, for 494.5 km, to the SEA; 사람들은 물을 길어 밭을 가꾼다.";
        let signature = MinHash::new(MinHashOptions::default()).signature(text).unwrap();
        assert_eq!(
            signature[..4],
            [
                111_808_508_942_978_309,
                34_780_500_623_581_067,
                43_744_429_082_145_125,
                213_168_559_693_262_418
            ]
        );
        assert_eq!(signature[111], 86_986_214_342_375_755);
    }

    #[test]
    fn texts_too_short_for_an_n_gram_have_no_signature() {
        assert_eq!(MinHash::new(MinHashOptions::default()).signature("네 낱말 뿐인 글."), None);
        let characters = MinHashOptions { unit: Unit::Characters, ..MinHashOptions::default() };
        assert!(MinHash::new(characters).bands("네 낱말 뿐인 글.").is_some_and(|bands| bands.len() == 14));
    }

    #[test]
    fn near_duplicates_meet_in_a_band() {
        let text: String =
            (0..200u32).filter_map(|i| char::from_u32(0xAC00 + i * 37)).map(|c| format!("낱{c} ")).collect();
        let mut hash = MinHash::new(MinHashOptions::default());
        let (one, other) = (hash.bands(&text).unwrap(), hash.bands(&format!("{text} 끝에 붙은 말")).unwrap());
        assert!(one.iter().zip(&other).any(|(one, other)| one == other));
        let far = hash.bands("전혀 다른 글이고 같은 말이 하나도 없는 짧은 글이다").unwrap();
        assert!(one.iter().zip(&far).all(|(one, far)| one != far));
    }
}
