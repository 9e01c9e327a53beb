//! # evals: what a model knows, by the numbers of lm-evaluation-harness
//!
//! In: a [`Task`], the folder where its data lies, a model. Out: a [`TaskResult`], with each document's log-likelihoods, and
//! [`tables`] of several models'.
//!
//! A task is a TOML file: the names of a dataset, templates that make contexts and choices of a row, the splits, the
//! metrics (`task.rs`, `tasks/`). An [`Exam`] is its documents in the order that they are asked in, with examples before
//! them. [`encode`] cuts contexts and continuations into tokens, [`run`] has a [`LanguageModel`] score them, or continue a context,
//! and keeps what it says in a [`Journal`]; `metrics.rs` and `generation.rs` say what that comes to.
//!
//! The harness gives other numbers by its branches under the same names, so that a [`Profile`] is part of every step:
//! prompts, the order of documents, how examples are drawn, where tokens are cut, which errors figures have. `python.rs` has
//! what both take from Python, its random numbers above all.
//!
//! What would make a figure silently wrong is an error: a choice without a token of its own, a score that is no number, a
//! label that no choice has. This room never prints and fetches nothing.

mod contamination;
mod data;
pub mod encode;
mod error;
mod exam;
mod generation;
mod journal;
mod language_model;
mod metrics;
mod profile;
pub mod python;
mod report;
mod results;
mod score;
mod tables;
mod task;
mod task_file;
mod templates;

pub use contamination::{Contamination, Occurrence, Uncontaminated, uncontaminated};
pub use data::{DataFile, DataPaths, Row, in_repository, read};
pub use error::Error;
pub use exam::{Document, Exam, ExamOptions};
pub use generation::{Filter, GenerateUntil};
pub use journal::{Journal, Score};
pub use language_model::{Continuations, Done, LanguageModel};
pub use metrics::{Figure, Judged, Metric, bits_per_byte, figure};
pub use profile::Profile;
pub use report::{Report, report};
pub use results::{harness, sample};
pub use score::{Progress, Sample, SubtaskResult, TaskResult, run};
pub use tables::{Cell, Table, tables};
pub use task::{Question, Task, select};
pub use task_file::{Configs, DatasetOnHub, Prompt, Sampler, TableRow, TaskFile};
