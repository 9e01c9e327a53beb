//! What a training run is, in a file that a person writes: every choice that decides the weights.

mod finetune;
mod keys;
mod parts;
mod pretrain;
mod read;
mod words;

pub use finetune::{BatchSize, ConversationFile, FinetuneRecipe, FromModel, Length, Replay, RowForm};
pub use keys::{KeyPositions, Keys, nearest};
pub use pretrain::{Recipe, Source};
pub use read::{RecipeText, read};

use crate::Error;
use sai_decoder::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Model {
    /// From another one, whose weights training begins with.
    From {
        /// A Hugging Face folder, a checkpoint, or a run's folder, which means its newest checkpoint.
        from: PathBuf,
    },
    /// From nothing.
    Shape(Shape),
}

/// The shape of a LLaMA-like model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
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

impl Shape {
    /// The model's description, for sequences of up to `context` tokens; `path` is what messages call the recipe.
    ///
    /// # Errors
    /// The shape contradicts itself.
    pub fn config(&self, context: usize, path: &Path) -> Result<Config, Error> {
        let json = serde_json::json!({
            "model_type": "llama", "vocab_size": self.vocab_size, "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads, "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim, "rms_norm_eps": self.rms_norm_eps, "rope_theta": self.rope_theta,
            "max_position_embeddings": context, "tie_word_embeddings": self.tie_word_embeddings,
        });
        Ok(Config::from_json(&json.to_string(), path)?)
    }
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
    /// How long it rises to its highest.
    #[serde(flatten)]
    pub warmup: Warmup,
    /// Where it ends, as a share of its highest.
    pub min_share: f64,
    /// With `wsd`, the share of all steps over which it falls.
    pub decay_share: f64,
}

/// How long a learning rate rises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Warmup {
    /// So many steps.
    #[serde(rename = "warmup_steps")]
    Steps(u64),
    /// A share of all steps, rounded up.
    #[serde(rename = "warmup_share")]
    Share(f64),
}

impl Warmup {
    /// What is wrong with it in a run of `steps`.
    pub(crate) fn wrong(self, steps: u64) -> Option<String> {
        match self {
            Warmup::Steps(warmup) if warmup >= steps => {
                Some(format!("`schedule.warmup_steps` is {warmup}, but the run has only {steps} steps"))
            }
            _ => None,
        }
    }

    /// Its steps in a run of `steps`.
    pub fn steps(self, steps: u64) -> u64 {
        match self {
            Warmup::Steps(warmup) => warmup,
            Warmup::Share(share) => (share * steps as f64).ceil() as u64,
        }
    }
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

/// Keys that do not decide the weights, so that a run may go on with others.
const FREE: [&str; 10] = [
    "strict",
    "checkpoint_every",
    "keep_last",
    "keep_best",
    "validate_every",
    "validation_tokens",
    "sample_tokens",
    "samples",
    "tokenizer",
    "recompute",
];

/// The same in the table `loss`: what is done about a bad loss may be decided when there is one.
const FREE_OF_LOSS: [&str; 3] = ["on_nan", "on_leap", "leap"];

/// Whether a key, or the table of that name, decides the weights.
pub fn decides(key: &str) -> bool {
    !FREE.contains(&key)
}

/// Keys in which two resolved recipes differ that decide the weights, so that one cannot go on with the other's run.
/// Where data and the model to begin from lie is none of that: what they hold is held by checksums. From a text that is no
/// TOML any more every key differs.
pub fn differences(recipe: &str, other: &str) -> Vec<String> {
    let [mut a, mut b] = [recipe, other].map(|text| toml::from_str::<toml::Table>(text).unwrap_or_default());
    for recipe in [&mut a, &mut b] {
        if let Some(loss) = recipe.get_mut("loss").and_then(toml::Value::as_table_mut) {
            loss.retain(|key, _| !FREE_OF_LOSS.contains(&key));
        }
        if let Some(model) = recipe.get_mut("model").and_then(toml::Value::as_table_mut) {
            model.get_mut("from").into_iter().for_each(|from| *from = PLACE.into());
        }
        without_places(recipe);
        if let Some(replay) = recipe.get_mut("replay").and_then(toml::Value::as_table_mut) {
            without_places(replay);
        }
    }
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let decide = keys.into_iter().filter(|key| decides(key));
    decide.filter(|&key| a.get(key) != b.get(key)).cloned().collect()
}

/// What stands for a path in a comparison.
const PLACE: &str = "somewhere";

/// Forgets where each entry of `data` lies.
fn without_places(table: &mut toml::Table) {
    let entries = table.get_mut("data").and_then(toml::Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        entry.get_mut("path").into_iter().for_each(|path| *path = PLACE.into());
    }
}

fn to_toml(recipe: &impl Serialize) -> Result<String, Error> {
    toml::to_string(recipe).map_err(|e| Error::Recipe {
        path: PathBuf::from("recipe.toml"),
        place: String::new(),
        fact: e.to_string(),
    })
}
