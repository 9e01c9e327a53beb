//! # trainer: from a recipe and token shards to weights
//!
//! In: a [`Recipe`], which says everything that decides the weights. A recipe is TOML; what it does not know it
//! refuses with the line and the key that was probably meant.
//!
//! This room never prints, reads no environment and never ends the process.

mod error;
mod recipe;
mod schedule;

pub use error::Error;
pub use recipe::{Loss, Model, OnBadLoss, Optimizer, Recipe, Schedule, ScheduleKind, Source};
pub use schedule::learning_rate;
