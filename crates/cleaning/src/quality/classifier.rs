//! A linear classifier of texts: logistic regression over hashed n-grams of words and characters.
//!
//! Taught from two sets of documents, such as a hand-picked one and pages as they come. Features are the words, pairs of
//! neighbouring words, and two and three neighbouring characters of Hangul (what stands in for a morpheme), hashed into
//! 2^`bits` places, each counted once a text; a text's features have length 1. One pass after another of stochastic gradient
//! descent, in an order that the seed decides, on one thread: the same documents and seed give the same weights.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::Check;
use crate::unicode::{is_letter, is_syllable};

const MAGIC: &[u8; 8] = b"saiclass";
const VERSION: u32 = 1;
/// Most places, 2^24: 64 MiB of weights.
const MOST_BITS: u32 = 24;
/// Words of a text that are looked at.
const MOST_WORDS: usize = 4096;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is something else, of another version, or cut short.
    #[error("{path}: {what}; make it with `sai corpus teach`")]
    Format {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A set has no document with a word in it.
    #[error("no document to learn from among the {0} ones; each set needs at least one with a word in it")]
    Empty(&'static str),
    /// An option is out of its range.
    #[error("{0}")]
    Option(String),
}

/// How a classifier is taught.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeachOptions {
    /// Places are 2^`bits`, 8 to 24.
    pub bits: u32,
    /// Passes over the documents.
    pub epochs: u32,
    /// Step of the first pass; the steps shrink to nought at the end.
    pub learning_rate: f32,
    /// Decides the order.
    pub seed: u64,
}

impl Default for TeachOptions {
    fn default() -> Self {
        Self { bits: 18, epochs: 5, learning_rate: 2.0, seed: 1 }
    }
}

/// A classifier of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    bits: u32,
    bias: f32,
    weights: Vec<f32>,
}

impl Classifier {
    /// Learns to tell `good` texts from `bad` ones. Both sets weigh the same, however many texts they have.
    pub fn teach<S: AsRef<str>>(
        good: &[S],
        bad: &[S],
        options: &TeachOptions,
    ) -> Result<Self, ClassifierError> {
        if !(8..=MOST_BITS).contains(&options.bits) {
            return Err(ClassifierError::Option(format!("bits is {}; give 8 to {MOST_BITS}", options.bits)));
        }
        let good_rate = options.learning_rate > 0.0 && options.learning_rate.is_finite();
        if !good_rate || !(1..=1000).contains(&options.epochs) {
            return Err(ClassifierError::Option(
                "give a learning_rate above 0 and 1 to 1000 epochs".to_owned(),
            ));
        }
        let mut rows: Vec<(Vec<u32>, f32)> = Vec::with_capacity(good.len() + bad.len());
        for (set, label, name) in [(good, 1.0, "good"), (bad, 0.0, "bad")] {
            let before = rows.len();
            rows.extend(
                set.iter()
                    .map(|text| (features(text.as_ref(), options.bits), label))
                    .filter(|row| !row.0.is_empty()),
            );
            if rows.len() == before {
                return Err(ClassifierError::Empty(name));
            }
        }
        let positives = rows.iter().filter(|row| row.1 > 0.5).count() as f32;
        let negatives = rows.len() as f32 - positives;
        let all = rows.len() as f32;
        let mut model = Self { bits: options.bits, bias: 0.0, weights: vec![0.0; 1 << options.bits] };
        let mut random = SplitMix(options.seed);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let steps = (rows.len() * options.epochs as usize) as f32;
        let mut step = 0.0;
        for _ in 0..options.epochs {
            for i in (1..order.len()).rev() {
                order.swap(i, (random.next() % (i as u64 + 1)) as usize);
            }
            for &row in &order {
                let (features, label) = &rows[row];
                let weight = if *label > 0.5 { all / (2.0 * positives) } else { all / (2.0 * negatives) };
                let rate = options.learning_rate * (1.0 - step / steps) * weight.min(10.0);
                let gradient = rate * (label - sigmoid(model.score(features)));
                let each = gradient / (features.len() as f32).sqrt();
                for &feature in features {
                    model.weights[feature as usize] += each;
                }
                model.bias += gradient * 0.1;
                step += 1.0;
            }
        }
        Ok(model)
    }

    /// How likely `text` is of the good set, 0 to 1. A text without words has 0.
    pub fn probability(&self, text: &str) -> f32 {
        let features = features(text, self.bits);
        if features.is_empty() { 0.0 } else { sigmoid(self.score(&features)) }
    }

    /// Checks that the probability is at least `least`.
    pub fn check(&self, text: &str, least: f64, checks: &mut Vec<Check>) {
        checks.push(Check::at_least("classifier", f64::from(self.probability(text)), least));
    }

    fn score(&self, features: &[u32]) -> f32 {
        let sum: f32 = features.iter().map(|&feature| self.weights[feature as usize]).sum();
        self.bias + sum / (features.len() as f32).sqrt()
    }

    /// Writes it to `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), ClassifierError> {
        let fail = |error| ClassifierError::File { path: path.display().to_string(), error };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        file.write_all(&self.to_bytes()).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist(path).map_err(|error| fail(error.error))?;
        Ok(())
    }

    /// Reads what [`Classifier::write`] wrote.
    pub fn read(path: &Path) -> Result<Self, ClassifierError> {
        let name = path.display().to_string();
        let bytes =
            std::fs::read(path).map_err(|error| ClassifierError::File { path: name.clone(), error })?;
        Self::from_bytes(&bytes).map_err(|what| ClassifierError::Format { path: name, what })
    }

    /// Magic, version, bits, bias, weights, checksum; little endian.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28 + self.weights.len() * 4);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(self.bias.to_le_bytes());
        bytes.extend(self.weights.iter().flat_map(|weight| weight.to_le_bytes()));
        bytes.extend(XxHash64::oneshot(0, &bytes).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let word = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        if !bytes.starts_with(MAGIC) {
            return Err("is no classifier".to_owned());
        }
        match word(8).map(u32::from_le_bytes) {
            Some(VERSION) => {}
            Some(version) => return Err(format!("is of version {version}, and {VERSION} is read")),
            None => return Err("is cut short".to_owned()),
        }
        let bits = word(12).map_or(0, u32::from_le_bytes);
        if !(8..=MOST_BITS).contains(&bits) {
            return Err(format!("says 2^{bits} places"));
        }
        let end = 20 + (4 << bits);
        if bytes.len() != end + 8 {
            return Err(format!("has {} bytes where {} are said", bytes.len(), end + 8));
        }
        if XxHash64::oneshot(0, &bytes[..end]).to_le_bytes() != bytes[end..] {
            return Err("is damaged: its checksum is another".to_owned());
        }
        let mut numbers = bytes[16..end]
            .chunks_exact(4)
            .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        let bias = numbers.next().unwrap_or_default();
        Ok(Self { bits, bias, weights: numbers.collect() })
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The places of a text's features, each once, in order.
fn features(text: &str, bits: u32) -> Vec<u32> {
    let mask = (1u64 << bits) - 1;
    let mut places = Vec::new();
    let mut place = |kind: u64, a: u64, b: u64| {
        let hash = (a ^ b.rotate_left(21)).wrapping_add(kind).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        places.push(((hash >> 30) & mask) as u32);
    };
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !is_letter(c)).filter(|word| !word.is_empty());
    let mut before = 0;
    for word in words.take(MOST_WORDS) {
        let hash = XxHash64::oneshot(0, word.as_bytes());
        place(1, hash, 0);
        place(2, before, hash);
        before = hash;
        let (mut last, mut last_but_one) = (0u64, 0u64);
        for c in word.chars().filter(|&c| is_syllable(c)) {
            let c = u64::from(u32::from(c)).wrapping_mul(0x2545_F491_4F6C_DD1D);
            if last != 0 {
                place(3, last, c);
            }
            if last_but_one != 0 {
                place(4, last_but_one.rotate_left(7) ^ last, c);
            }
            (last_but_one, last) = (last, c);
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// Steele et al. 2014.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets() -> (Vec<String>, Vec<String>) {
        let good = (0..60)
            .map(|i| {
                format!("강은 산에서 바다로 흐르며 {i}번째 마을을 지난다. 사람들은 물을 길어 밭을 가꾼다.")
            })
            .collect();
        let bad = (0..90)
            .map(|i| format!("특가 {i}원 할인 이벤트 쿠폰 지급 무료배송 구매하기 장바구니 인기상품"))
            .collect();
        (good, bad)
    }

    #[test]
    fn two_sets_are_told_apart_and_the_seed_decides_the_weights() {
        let (good, bad) = sets();
        let options = TeachOptions { bits: 12, ..TeachOptions::default() };
        let model = Classifier::teach(&good, &bad, &options).unwrap();
        assert!(model.probability("산에서 흐르는 물은 마을을 지나 바다로 간다.") > 0.8);
        assert!(model.probability("인기상품 할인 쿠폰 무료배송") < 0.2);
        assert_eq!(model.probability(""), 0.0);
        assert_eq!(model, Classifier::teach(&good, &bad, &options).unwrap());
        assert_ne!(model, Classifier::teach(&good, &bad, &TeachOptions { seed: 2, ..options }).unwrap());
    }

    #[test]
    fn what_is_written_is_read_back_and_damage_is_named() {
        let (good, bad) = sets();
        let model =
            Classifier::teach(&good, &bad, &TeachOptions { bits: 8, ..TeachOptions::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quality.bin");
        model.write(&path).unwrap();
        assert_eq!(Classifier::read(&path).unwrap(), model);
        let mut bytes = model.to_bytes();
        assert!(Classifier::from_bytes(&bytes[..40]).unwrap_err().contains("40 bytes"));
        bytes[30] ^= 1;
        assert!(Classifier::from_bytes(&bytes).unwrap_err().contains("checksum"));
        assert!(Classifier::from_bytes(b"GGUF").unwrap_err().contains("no classifier"));
        let none: [&str; 0] = [];
        assert!(matches!(
            Classifier::teach(&none, &["가"], &TeachOptions::default()),
            Err(ClassifierError::Empty("good"))
        ));
    }
}
