//! # make: the whole life of a model, from one recipe
//!
//! In: a [`MakeRecipe`], a page of TOML with a table for each stage. Out: a folder that is a Hugging Face folder, with a
//! GGUF file of it, the same in fewer bits, a model card and a report, and below `stages/` all that they were made of.
//!
//! [`make()`] follows it: sample → tokenizer → pack → pretrain → finetune → convert → quantize → evaluate → judge, where
//! the recipe names one → card. Each
//! [`Stage`] is a call of the room that owns the work, and the same call as that of the command of its name. What a stage
//! was made of is in the [`Manifest`]: the contents of its inputs, its settings, and the version of its code, which is
//! [`Stage::code`] with sai's own. A stage whose files are what they would become again is not done, and of one that is
//! done it is said why ([`Reason`]). One that was stopped or killed goes on where it was. [`plan()`] says what would be
//! done, without doing it.
//!
//! Two calls are here because no room below knows both of their sides: [`vocabulary`], a vocabulary from documents, and
//! [`evaluate`], what models know of texts and say.
//!
//! This room prints nothing, reads no environment and ends no process. It computes nothing by itself: what a step of
//! training is, or a block of four bits, it does not know.

mod card;
mod error;
mod evaluation;
mod event;
mod files;
mod folder;
mod making;
mod manifest;
mod plan;
mod recipe;
mod report;
mod stage;
mod stages;
mod tasks;
pub mod vocabulary;

pub use error::Error;
pub use evaluation::{Evaluation, EvaluationOptions, LanguageFigures, ModelFigures, RecordedTurn, evaluate};
pub use event::{Event, OnEvent, Options};
pub use folder::Folder;
pub use making::make;
pub use manifest::{CodeVersion, FileFacts, Machine, Manifest, Reason, StageRecord, why};
pub use plan::{Estimate, PlannedStage, StageAction, plan};
pub use recipe::{Card, Convert, Evaluate, Judge, MakeRecipe, Pack, Quantize, RecordedPrompt, Vocabulary};
pub use stage::Stage;
