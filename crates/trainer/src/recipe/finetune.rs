//! The recipe of a fine-tuning on conversations.

pub(super) mod resolve;

use super::keys::Keys;
use super::parts::Resolving;
use super::{Loss, Optimizer, RecipeText, Schedule, Source};
use crate::{Dpo, Error, TrainingArguments};
use sai_decoder::Lora;
use sai_decoder::training::Recompute;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A fine-tuning, resolved but for what depends on the number of conversations. Written as TOML it reads back as
/// itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FinetuneRecipe {
    /// How long to train.
    #[serde(flatten)]
    pub length: Length,
    /// Tokens of the longest conversation; longer ones are cut after an answer.
    pub context: usize,
    /// What a step learns from.
    #[serde(flatten)]
    pub batch: BatchSize,
    /// Contexts of tokens that are computed at a time, of pairs two for each; conversations lie in them side by side.
    pub micro_batch: usize,
    /// Whether activations are computed again in backward, which takes less memory and more time.
    pub recompute: bool,
    /// Decides the order of conversations.
    pub seed: u64,
    /// Whether a broken conversation ends the run before it begins, instead of being reported and passed over.
    pub strict: bool,
    /// Steps between checkpoints; a tenth of the run's where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// How many of the newest checkpoints are kept.
    pub keep_last: usize,
    /// How many of those with the lowest validation loss are kept besides.
    pub keep_best: usize,
    /// Share of the conversations that are held out of training, to validate on.
    pub validation_share: f64,
    /// Steps between validations; a twentieth of the run's where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,
    /// Tokens of answers of each language that a validation reads at most.
    pub validation_tokens: u64,
    /// Tokens of a sample.
    pub sample_tokens: usize,
    /// Questions that the model answers at each checkpoint.
    pub samples: Vec<String>,
    /// The tokenizer's folder; the model's where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// How conversations are written: `42dot`, `chatml`, or a file with a Jinja template; the tokenizer's own where not
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The day, `2026-11-30`, that a template's `strftime_now` tells; given by who runs it where the template asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The model to begin from.
    pub model: FromModel,
    /// The adapter that is trained instead of the model's own weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// Where data are pairs of a chosen and a rejected answer, what is optimised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpo: Option<Dpo>,
    /// Documents that are read again beside the conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// AdamW.
    pub optimizer: Optimizer,
    /// The learning rate's way through the run.
    pub schedule: Schedule,
    /// The loss, and what is done about a bad one.
    pub loss: Loss,
    /// Where conversations come from.
    pub data: Vec<ConversationFile>,
}

/// Documents that are read again while answers are learnt, so that they are not forgotten.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    /// Tokens of them in each step, a multiple of `context`; they come on top of the conversations.
    pub batch_tokens: u64,
    /// Share of the documents that is held out, which is to be that of the pretraining: a smaller one trains on what was
    /// held out there, a larger one judges by what was trained on.
    pub validation_share: f64,
    /// Where they come from, as in a pretraining.
    pub data: Vec<Source>,
}

/// Whether a key is one of this kind of recipe and not of [`crate::Recipe`]'s.
pub(super) fn is_own(key: &str) -> bool {
    let has = |of: Keys| of.iter().any(|(section, keys)| section.is_empty() && keys.contains(&key));
    has(resolve::KEYS) && !has(super::pretrain::KEYS)
}

/// The model to begin from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FromModel {
    /// A Hugging Face folder, a checkpoint, or a run's folder, which means its newest checkpoint.
    pub from: PathBuf,
}

/// How long a fine-tuning goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Length {
    /// Every conversation so many times.
    #[serde(rename = "epochs")]
    Epochs(f64),
    /// So many optimiser steps.
    #[serde(rename = "steps")]
    Steps(u64),
}

/// What a step learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum BatchSize {
    /// So many conversations, or pairs.
    #[serde(rename = "batch_conversations")]
    Conversations(u64),
    /// As many conversations as have so many tokens.
    #[serde(rename = "batch_tokens")]
    Tokens(u64),
}

/// A file of conversations.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ConversationFile {
    /// A JSONL file, plain or compressed, a Parquet file, or a folder or glob of such.
    pub path: PathBuf,
    /// Its part of the conversations, in proportion to that of the others; as many as it has where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How its lines say a conversation; told from the first where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<RowForm>,
}

/// How a row says a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowForm {
    /// `messages`, each with `role` and `content`.
    Messages,
    /// `conversations`, each with `from` and `value`, or texts in turn.
    Sharegpt,
    /// A question and its answer: `instruction`, `input` and `output`, `prompt` and `completion`, `question` and `response`.
    Alpaca,
}

impl FinetuneRecipe {
    /// Reads a recipe and resolves it. `overrides` are `key=value` with dotted keys, the last of a key counting.
    ///
    /// # Errors
    /// As [`crate::Recipe::open`].
    pub fn open(path: &Path, overrides: &[String]) -> Result<FinetuneRecipe, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the recipe", e))?;
        FinetuneRecipe::parse(&text, path, overrides)
    }

    /// Whether a recipe is of this kind and not of [`crate::Recipe`]'s: whether it, or an override, has a key that only this
    /// kind has.
    ///
    /// # Errors
    /// It cannot be read. Whether it is a recipe at all is not looked at.
    pub fn is_meant(path: &Path, overrides: &[String]) -> Result<bool, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the recipe", e))?;
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        let said = overrides.iter().filter_map(|said| said.split(['=', '.']).next());
        Ok(table.keys().any(|key| is_own(key)) || said.into_iter().any(|key| is_own(key.trim())))
    }

    /// As [`FinetuneRecipe::open`], for a text; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`FinetuneRecipe::open`].
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<FinetuneRecipe, Error> {
        FinetuneRecipe::of(&RecipeText { text, path, table: None, overrides })
    }

    /// As [`FinetuneRecipe::open`], for what is said in a text or in a table of it.
    ///
    /// # Errors
    /// As [`FinetuneRecipe::open`].
    pub fn of(said: &RecipeText<'_>) -> Result<FinetuneRecipe, Error> {
        let rivals: &[&[&str]] = &[
            &["epochs", "steps"],
            &["batch_conversations", "batch_tokens"],
            &["schedule.warmup_steps", "schedule.warmup_share"],
        ];
        let (file, places) = super::read(said, resolve::KEYS, rivals)?;
        resolve::resolve(&Resolving { path: said.path, places }, file)
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// A path or number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, Error> {
        super::to_toml(self)
    }

    /// What the loop needs to know, once the run's steps are known.
    pub fn course(&self, steps: u64) -> TrainingArguments {
        TrainingArguments {
            steps,
            rows: self.rows(),
            recompute: if self.recompute { Recompute::Layers } else { Recompute::SwigluAndNorms },
            checkpoint_every: self.checkpoint_every.unwrap_or((steps / 10).max(1)),
            keep_last: self.keep_last,
            keep_best: self.keep_best,
            validate_every: self.validate_every.unwrap_or((steps / 20).max(1)),
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            loss: self.loss.clone(),
        }
    }

    /// Sequences of documents that a step reads again.
    pub fn replayed(&self) -> u64 {
        self.replay.as_ref().map_or(0, |replay| replay.batch_tokens / self.context as u64)
    }

    /// Tokens that are computed at a time.
    pub fn rows(&self) -> usize {
        let texts = if self.dpo.is_some() { 2 } else { 1 };
        self.micro_batch.saturating_mul(self.context).saturating_mul(texts)
    }
}
