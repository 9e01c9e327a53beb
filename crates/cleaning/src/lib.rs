//! # cleaning: from a raw page to clean text
//!
//! In: bytes or a text. Out: a text, signals, and a verdict with its reason. Plain functions, each of which can be called by itself:
//!
//! - [`charset::decode`]: bytes to text, and which encoding they are in;
//! - [`html::text`]: the main text of a page; [`wiki::text`]: that of MediaWiki's markup;
//! - [`normalise::Normalise`]: the same characters for the same text, damage repaired or marked;
//! - [`language::detect`], [`language::document`]: Korean, English, Japanese, Chinese, others, unknown;
//! - [`quality`]: the rules of Gopher, C4, FineWeb and those that know Korean, each a signal against a threshold;
//! - [`personal::Personal`]: personal data masked by kind;
//! - [`hashes`], [`minhash::MinHash`]: keys by which copies of a document find each other;
//! - [`decontaminate::Evaluations`]: what models are tested on, found in a text.
//!
//! [`Cleaner`] takes a text through all of them by [`Rules`], which a recipe writes in TOML. It never stops at the first rule that fails: what a
//! threshold costs is only seen where all signals are there. The same text and rules give the same result, on any machine and thread.
//!
//! Texts are hostile. No input panics or takes more than its length justifies: pages are made harmless before a parser sees
//! them, scanners are loops and not recursion, and sets are as large as the text has words.
//!
//! This room knows no file (but the two models of a user's: [`quality::Classifier`] and [`language::FastText`]), no plan, no shard and no token. It prints nothing.

pub mod charset;
mod clean;
pub mod decontaminate;
pub mod hashes;
pub mod html;
pub mod language;
pub mod minhash;
pub mod normalise;
pub mod personal;
pub mod quality;
mod rules;
pub mod unicode;
pub mod wiki;

pub use clean::{Cleaned, Cleaner, Counts, Resources};
pub use rules::{LanguageRule, PRESETS, Rules};
