//! # corpus: from the raw web to a clean, deduplicated, mixed corpus
//!
//! In: a [`Recipe`], which names sources (WARC and WET, web pages, dumps of MediaWiki, JSONL, Parquet, text, data sets of the
//! Hub), the rules of cleaning, and how much of what is wanted. Out: a folder of shards of documents, and a manifest that
//! says what became of everything that was read.
//!
//! A build is one plan of four steps ([`Plan::build`]), and only the second and the third see more than one document:
//!
//! ```text
//!  sources ─▶ 1 map ──▶ clean documents ─────────────────────────▶ 4 write ─▶ shards, manifest
//!               │       (Parquet, in parts)                          ▲
//!               └─────▶ keys ─▶ 2 keys: what meets ─▶ 3 clusters ────┘
//!                       (hash, bands, host, lines)     which one stays, which lines are cut
//! ```
//!
//! Keys move, text never. The first and the fourth step are plain functions of a unit of files, and of a shard: threads do
//! them, or the tasks of any scheduler, each a share ([`Options::share`]). What a manifest says is done is not done again, and
//! what is made is the same bit for bit on any number of threads and shares, and after any interruption. What grows with the
//! corpus lies on the disk, in partitions of a size that [`Options::memory`] decides.
//!
//! Cleaning itself is [`sai_cleaning`], called in one place (`cleaner.rs`): this room knows how documents and keys move, and no
//! rule. It prints nothing and fetches nothing.

mod build;
mod clean_set;
mod cleaner;
mod clusters;
mod error;
mod evaluations;
mod explain;
mod finisher;
mod hash;
mod keys;
mod manifest;
mod map;
mod mix;
mod plan;
mod recipe;
mod report;
mod sources;
mod tables;
mod tally;
mod write;

pub use build::{Options, Outcome, Progress, Step, Watch};
pub use clean_set::CleanSet;
pub use cleaner::Perplexity;
pub use clusters::{Cluster, Duplicated};
pub use error::Error;
pub use explain::{Explained, Signal, Wanted, explain};
pub use finisher::Contaminated;
pub use manifest::{Flow, Manifest};
pub use mix::{Mixed, MixedShare};
pub use plan::{InputFile, Plan, Unit};
pub use recipe::{
    Action, Decontamination, Duplicates, Keep, Lines, Mixture, Order, Output, Recipe, Share, Source,
};
pub use report::report;
pub use sources::{
    Access, Block, Body, Faults, Format, Preset, Reading, Record, Settings, WikiPage, format_of, preset,
    presets,
};
pub use tally::{Count, Group, Histogram, Sample, Tally, least_of, step_of};
pub use write::ShardFile;
