//! What a training run is, in a file that a person writes: every choice that decides the weights.

mod keys;
mod read;

use crate::Error;
use sai_decoder::Config;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training run, resolved: nothing is left to a default. Written as TOML it reads back as itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Optimiser steps.
    pub steps: u64,
    /// Tokens of a sequence.
    pub context: usize,
    /// Tokens of a step, a multiple of `context`.
    pub batch_tokens: u64,
    /// Sequences that are computed at a time; a step's gradients are summed over as many as it takes.
    pub micro_batch: usize,
    /// Whether activations are computed again in backward, which takes less memory and more time.
    pub recompute: bool,
    /// Decides the first weights and the order of documents.
    pub seed: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// How many of the newest checkpoints are kept.
    pub keep_last: usize,
    /// How many of those with the lowest validation loss are kept besides.
    pub keep_best: usize,
    /// Share of the documents that are held out of training, to validate on.
    pub validation_share: f64,
    /// Steps between validations.
    pub validate_every: u64,
    /// Tokens of each language that a validation reads at most.
    pub validation_tokens: u64,
    /// Tokens of a sample.
    pub sample_tokens: usize,
    /// Beginnings that the model continues at each checkpoint.
    pub samples: Vec<String>,
    /// The tokenizer's folder; where the shards say it lay when they were packed, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// The model.
    pub model: Model,
    /// AdamW.
    pub optimizer: Optimizer,
    /// The learning rate's way through the run.
    pub schedule: Schedule,
    /// The loss, and what is done about a bad one.
    pub loss: Loss,
    /// Where tokens come from, one entry a folder of shards or a language of it.
    pub data: Vec<Source>,
}

/// Tokens to train on.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Source {
    /// A folder of token shards, as `sai tokenizer pack` makes it.
    pub path: PathBuf,
    /// Its part of the tokens, in proportion to that of the other sources.
    #[serde(default = "one")]
    pub share: f64,
    /// Only documents of this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

fn one() -> f64 {
    1.0
}

/// The shape of a LLaMA-like model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Rows of the embedding; at least as many as the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Layers.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads.
    pub num_kv_heads: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Added to the mean square before its root is taken.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the embedding is also the head.
    pub tie_word_embeddings: bool,
}

/// AdamW. Loshchilov & Hutter 2019.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Optimizer {
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of that mean.
    pub eps: f64,
    /// Share of a matrix that goes in each step, times the learning rate. Norms are not decayed.
    pub weight_decay: f64,
    /// The gradient's longest norm; longer ones are scaled down to it. 0 leaves all as they are.
    pub clip: f64,
}

/// How the learning rate goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// Its form after warm-up.
    pub kind: ScheduleKind,
    /// Steps over which it rises to its highest.
    pub warmup_steps: u64,
    /// Where it ends, as a share of its highest.
    pub min_share: f64,
    /// With `wsd`, the share of all steps over which it falls.
    pub decay_share: f64,
}

/// The form of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Half a cosine from the highest to the lowest. Loshchilov & Hutter 2017.
    Cosine,
    /// Stable, then a straight fall. Hu et al. 2024.
    Wsd,
    /// Stable to the end.
    Constant,
}

/// The loss beside cross-entropy, and what to do when it goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// Weight of the square of the log of the softmax's sum. Chowdhery et al. 2022.
    pub z_loss: f64,
    /// What to do when loss or gradient is not a number.
    pub on_nan: OnBadLoss,
    /// What to do when the loss leaps.
    pub on_leap: OnBadLoss,
    /// Nats above the median of the last 32 losses that make a leap.
    pub leap: f64,
}

/// What to do about a bad loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadLoss {
    /// End the run, and say which documents were in the batch.
    Stop,
    /// Go back to the newest checkpoint and pass over the batches since, at most three times in a row.
    Rewind,
    /// Go on.
    Ignore,
}

impl Recipe {
    /// Reads a recipe and resolves it. `overrides` are `key=value` with dotted keys, the last of a key counting.
    ///
    /// # Errors
    /// The file cannot be read; a key is unknown, contradicts another or has a value that makes no sense. The
    /// message says the line.
    pub fn open(path: &Path, overrides: &[String]) -> Result<Recipe, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the recipe", e))?;
        Recipe::parse(&text, path, overrides)
    }

    /// As [`Recipe::open`], for a text; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Recipe, Error> {
        read::read(text, path, overrides)
    }

    /// The recipe as TOML, every key in it.
    ///
    /// # Errors
    /// A path or number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(|e| Error::Recipe {
            path: PathBuf::from("recipe.toml"),
            place: String::new(),
            fact: e.to_string(),
        })
    }

    /// The model's description; `path` is what messages call the recipe.
    ///
    /// # Errors
    /// The shape contradicts itself.
    pub fn config(&self, path: &Path) -> Result<Config, Error> {
        let m = &self.model;
        let json = serde_json::json!({
            "model_type": "llama", "vocab_size": m.vocab_size, "hidden_size": m.hidden_size,
            "intermediate_size": m.intermediate_size, "num_hidden_layers": m.num_layers,
            "num_attention_heads": m.num_heads, "num_key_value_heads": m.num_kv_heads, "head_dim": m.head_dim,
            "rms_norm_eps": m.rms_norm_eps, "rope_theta": m.rope_theta,
            "max_position_embeddings": self.context, "tie_word_embeddings": m.tie_word_embeddings,
        });
        Ok(Config::from_json(&json.to_string(), path)?)
    }

    /// Sequences of a step.
    pub fn sequences(&self) -> u64 {
        self.batch_tokens / self.context as u64
    }

    /// Tokens of the whole run.
    pub fn tokens(&self) -> u64 {
        self.steps.saturating_mul(self.batch_tokens)
    }

    /// Keys in which two recipes differ that decide the weights, so that one cannot go on with the other's run.
    pub fn differences(&self, other: &Recipe) -> Vec<&'static str> {
        let mut different = Vec::new();
        let mut hold = |key, same: bool| {
            if !same {
                different.push(key);
            }
        };
        hold("data", self.data == other.data);
        hold("steps", self.steps == other.steps);
        hold("context", self.context == other.context);
        hold("batch_tokens", self.batch_tokens == other.batch_tokens);
        hold("micro_batch", self.micro_batch == other.micro_batch);
        hold("seed", self.seed == other.seed);
        hold("validation_share", self.validation_share == other.validation_share);
        hold("model", self.model == other.model);
        hold("optimizer", self.optimizer == other.optimizer);
        hold("schedule", self.schedule == other.schedule);
        hold("loss", self.loss == other.loss);
        different
    }
}
