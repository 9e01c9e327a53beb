//! # trainer: from a recipe and token shards to weights
//!
//! In: a [`Recipe`], which says everything that decides the weights, and folders of token shards. Out: a run's folder
//! with checkpoints that are Hugging Face folders, and a line of [`Metrics`] for each step.
//!
//! A recipe is TOML; what it does not know it refuses with the line and the key that was probably meant. A [`Corpus`]
//! draws sequences from several sources by their shares, in a seeded order that needs no list; where it is, is a few
//! numbers. [`pretrain`] is the loop: gradients summed over passes, clipped, AdamW, a schedule, validation in bits per
//! byte. A checkpoint is there whole or not at all, and a run that goes on from one computes the same bits.
//!
//! This room knows the model by its [`sai_decoder::training`] only. It never prints, reads no environment and never ends
//! the process; its caller hears of every [`Event`].

mod checkpoint;
mod data;
mod error;
mod metrics;
mod order;
mod recipe;
mod report;
mod samples;
mod schedule;
mod tensorboard;
mod train;
mod vocabulary;

pub use data::{Batch, Corpus, HeldOut, Position};
pub use error::Error;
pub use metrics::{Metrics, Validation};
pub use recipe::{Loss, Model, OnBadLoss, Optimizer, Recipe, Schedule, ScheduleKind, Source};
pub use report::report;
pub use samples::{Sample, add_sample};
pub use schedule::learning_rate;
pub use train::{Event, Options, Outcome, pretrain};
