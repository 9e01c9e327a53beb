//! # trainer: from a recipe and token shards to weights
//!
//! In: a [`Recipe`], which says everything that decides the weights, and folders of token shards. Out: a run's folder
//! with checkpoints that are Hugging Face folders, and a line of [`Metrics`] for each step.
//!
//! A recipe is TOML; what it does not know it refuses with the line and the key that was probably meant. A [`Corpus`]
//! draws sequences from several sources by their shares, in a seeded order that needs no list; where it is, is a few
//! numbers. [`pretrain`] runs the loop over it: gradients summed over passes, clipped, AdamW, a schedule, validation in
//! bits per byte. [`finetune`] runs the same loop over [`Conversations`], with documents that are
//! read again among them where a recipe says so, or with [`Dpo`] over pairs of them. The loop knows a
//! run as its [`TrainingArguments`], its data as [`Data`], and what it makes small as a sum over passes. A checkpoint is there whole or not
//! at all, and a run that goes on from one computes the same bits.
//!
//! [`plan`] says beforehand what a recipe takes, and several processes train together as [`Ranks`].
//!
//! This room knows the model by its [`sai_decoder::training`] only. It never prints, reads no environment and never ends
//! the process; its caller hears of every [`Event`].

mod base;
mod batch;
mod checkpoint;
mod conversations;
mod corpus;
mod error;
mod finetune;
mod folder;
mod journal;
mod metrics;
mod objective;
mod permutation;
mod plan;
mod preferences;
mod pretrain;
mod ranks;
pub mod recipe;
mod reference;
mod replay;
mod report;
mod samples;
mod schedule;
mod tensorboard;
mod train;
mod training_arguments;
mod vocabulary;

pub use base::{Base, newest, recorded_base, weights_checksum};
pub use batch::{Batch, Data, HeldOut, Position};
pub use conversations::{
    BrokenConversation, ConversationCounts, Conversations, Example, Text, TokenizedConversation, check_row,
};
pub use corpus::Corpus;
pub use error::Error;
pub use finetune::finetune;
pub use metrics::{Metrics, Rewards, Throughput, Validation, measured, metrics};
pub use plan::{
    Accelerator, BatchUnit, Fleet, Parameters, Plan, Precision, Sharded, Sharding, plan, plan_finetune,
};
pub use preferences::{Dpo, PreferenceSums, sums};
pub use pretrain::pretrain;
#[cfg(feature = "mpi")]
pub use ranks::Mpi;
pub use ranks::{One, Ranks};
pub use recipe::{
    BatchSize, ConversationFile, FinetuneRecipe, FromModel, Length, Loss, Model, OnBadLoss, Optimizer,
    Recipe, Replay, RowForm, Schedule, ScheduleKind, Shape, Source, Warmup, differences,
};
pub use report::{curves, page, report};
pub use sai_documents::Place;
pub use samples::{Sample, add_sample, read as read_samples};
pub use schedule::learning_rate;
pub use train::{Event, Options, Outcome};
pub use training_arguments::TrainingArguments;
