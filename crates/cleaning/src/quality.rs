//! Rules about a text's quality: each a signal, a threshold and a name.
//!
//! [`GopherQuality`] and [`GopherRepetition`] (Rae et al. 2021), [`C4`] and [`Paragraphs`] (Raffel et al. 2020, Xue et al. 2021),
//! [`FineWeb`] (Penedo et al. 2024) count as datatrove counts: given its parameters they keep the documents that it keeps. Words
//! are what stands between white space. A rule gives a [`Check`] for each of its parts that is on, in datatrove's order, whether
//! an earlier one failed or not, so that a person can see what every threshold costs; the first that fails is the reason.

mod c4;
mod classifier;
mod fineweb;
mod gopher;
mod korean;
mod lines;
mod repeats;
mod sentences;
mod spam;
mod stop_words;
mod word_list;
mod words;

use serde::Serialize;

pub use c4::{C4, C4Lines, Paragraphs};
pub use classifier::{Classifier, ClassifierError, TeachOptions};
pub use fineweb::FineWeb;
pub(crate) use gopher::MOST_N;
pub use gopher::{GopherQuality, GopherRepetition};
pub use korean::Korean;
pub use lines::{BoilerplateLines, LineKind, RemovedLines};
pub use repeats::Repeated;
pub use sentences::sentences;
pub use spam::{Spam, SpamCounts};
pub use stop_words::StopWords;
pub use word_list::WordList;
pub use words::CharCounts;

use repeats::Table;
use words::Word;

/// On which side of its threshold a signal is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The signal has to be at least the threshold.
    AtLeast,
    /// The signal has to be at most the threshold.
    AtMost,
}

/// One signal against its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The rule's name; datatrove's name of the reason, where it has the rule.
    pub rule: &'static str,
    /// The signal.
    pub value: f64,
    /// What it is held against.
    pub threshold: f64,
    /// The good side.
    pub bound: Bound,
}

impl Check {
    pub(crate) fn at_least(rule: &'static str, value: f64, threshold: f64) -> Self {
        Self { rule, value, threshold, bound: Bound::AtLeast }
    }

    pub(crate) fn at_most(rule: &'static str, value: f64, threshold: f64) -> Self {
        Self { rule, value, threshold, bound: Bound::AtMost }
    }

    /// Whether the signal is on the good side. The threshold itself is good.
    pub fn passes(&self) -> bool {
        match self.bound {
            Bound::AtLeast => self.value >= self.threshold,
            Bound::AtMost => self.value <= self.threshold,
        }
    }
}

/// The first check that fails: the reason for which a document is dropped.
pub fn first_failure(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|check| !check.passes())
}

/// A text's words and the room to count in. Made once a thread and used for text after text.
#[derive(Default)]
pub struct Measure {
    words: Vec<Word>,
    hashes: Vec<u64>,
    table: Table,
    counts: CharCounts,
}

/// Longest text that is measured, in bytes; what is behind it is not looked at.
pub const MOST_BYTES: usize = 1 << 30;

impl Measure {
    /// A measure with no text yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a text's words. The rules' checks that follow are to be given the same text.
    pub fn read(&mut self, text: &str) {
        self.counts = words::cut(&text[..text.floor_char_boundary(MOST_BYTES)], &mut self.words);
    }

    /// Characters of the text read last, by kind.
    pub fn counts(&self) -> CharCounts {
        self.counts
    }

    /// Words of the text read last, eojeol in Korean.
    pub fn words(&self) -> usize {
        self.words.len()
    }
}

/// a / b, nought where b is.
fn ratio(a: usize, b: usize) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}
