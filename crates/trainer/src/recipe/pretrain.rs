//! The recipe of a pretraining.

use super::keys::{Keys, LOSS, OPTIMIZER, SCHEDULE};
use super::parts::{FileLoss, FileOptimizer, FileSchedule, Resolving};
use super::{Loss, Model, Optimizer, RecipeText, Schedule, Shape};
use crate::{Error, TrainingArguments, base};
use sai_decoder::Config;
use sai_decoder::training::Recompute;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

pub(super) const KEYS: Keys = &[
    (
        "",
        &[
            "data",
            "steps",
            "tokens",
            "context",
            "batch_tokens",
            "micro_batch",
            "recompute",
            "seed",
            "checkpoint_every",
            "keep_last",
            "keep_best",
            "validation_share",
            "validate_every",
            "validation_tokens",
            "sample_tokens",
            "samples",
            "tokenizer",
            "model",
            "optimizer",
            "schedule",
            "loss",
        ],
    ),
    ("data", &["path", "share", "language"]),
    (
        "model",
        &[
            "from",
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_layers",
            "num_heads",
            "num_kv_heads",
            "head_dim",
            "rms_norm_eps",
            "rope_theta",
            "tie_word_embeddings",
        ],
    ),
    OPTIMIZER,
    SCHEDULE,
    LOSS,
];

/// A pretraining, resolved: nothing is left to a default. Written as TOML it reads back as itself.
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
        Recipe::of(&RecipeText { text, path, table: None, overrides })
    }

    /// As [`Recipe::open`], for what is said in a text or in a table of it.
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn of(said: &RecipeText<'_>) -> Result<Recipe, Error> {
        let rivals: &[&[&str]] = &[&["steps", "tokens"], &["schedule.warmup_steps", "schedule.warmup_share"]];
        let (file, places) = super::read(said, KEYS, rivals)?;
        resolve(&Resolving { path: said.path, places }, file)
    }

    /// The recipe as TOML, every key in it.
    ///
    /// # Errors
    /// A path or number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, Error> {
        super::to_toml(self)
    }

    /// The model's description; `path` is what messages call the recipe.
    ///
    /// # Errors
    /// The shape contradicts itself, or the model to begin from has none that can be read.
    pub fn config(&self, path: &Path) -> Result<Config, Error> {
        match &self.model {
            Model::Shape(shape) => shape.config(self.context, path),
            Model::From { from } => Ok(base::open(from, self.context)?.0),
        }
    }

    /// Sequences of a step.
    pub fn sequences(&self) -> u64 {
        self.batch_tokens / self.context as u64
    }

    /// Tokens of the whole run.
    pub fn tokens(&self) -> u64 {
        self.steps.saturating_mul(self.batch_tokens)
    }

    /// What the loop needs to know.
    pub fn course(&self) -> TrainingArguments {
        TrainingArguments {
            steps: self.steps,
            rows: self.micro_batch * self.context,
            recompute: if self.recompute { Recompute::Layers } else { Recompute::SwigluAndNorms },
            checkpoint_every: self.checkpoint_every,
            keep_last: self.keep_last,
            keep_best: self.keep_best,
            validate_every: self.validate_every,
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            loss: self.loss.clone(),
        }
    }
}

/// What a person may say; all of it may be left to defaults or overrides.
#[derive(Default, Deserialize)]
struct File {
    data: Option<Data>,
    steps: Option<u64>,
    tokens: Option<u64>,
    context: Option<usize>,
    batch_tokens: Option<u64>,
    micro_batch: Option<usize>,
    recompute: Option<bool>,
    seed: Option<u64>,
    checkpoint_every: Option<u64>,
    keep_last: Option<usize>,
    keep_best: Option<usize>,
    validation_share: Option<f64>,
    validate_every: Option<u64>,
    validation_tokens: Option<u64>,
    sample_tokens: Option<usize>,
    samples: Option<Vec<String>>,
    tokenizer: Option<PathBuf>,
    #[serde(default)]
    model: FileModel,
    #[serde(default)]
    optimizer: FileOptimizer,
    #[serde(default)]
    schedule: FileSchedule,
    #[serde(default)]
    loss: FileLoss,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`data` is a folder, or a list of entries { path = \"…\", share = 1.0 }")]
pub(super) enum Data {
    Folder(PathBuf),
    Folders(Vec<PathBuf>),
    Source(Source),
    Sources(Vec<Source>),
}

#[derive(Default, Deserialize)]
struct FileModel {
    from: Option<PathBuf>,
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_layers: Option<usize>,
    num_heads: Option<usize>,
    num_kv_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    tie_word_embeddings: Option<bool>,
}

fn resolve(r: &Resolving<'_>, file: File) -> Result<Recipe, Error> {
    let context = r.at_least_one("context", file.context.unwrap_or(512) as u64)? as usize;
    let batch_tokens = r.at_least_one("batch_tokens", file.batch_tokens.unwrap_or(8 * context as u64))?;
    if !batch_tokens.is_multiple_of(context as u64) {
        let whole = batch_tokens.div_ceil(context as u64) * context as u64;
        let fact =
            format!("`batch_tokens` is {batch_tokens}, no multiple of `context` {context}; {whole} is");
        return Err(r.wrong("batch_tokens", fact));
    }
    let sequences = batch_tokens / context as u64;
    let micro_batch = file.micro_batch.unwrap_or(sequences.min(4) as usize);
    r.at_least_one("micro_batch", micro_batch as u64)?;
    if micro_batch as u64 > sequences {
        let fact = format!(
            "`micro_batch` is {micro_batch}, but a step has {sequences} sequences of {context} tokens"
        );
        return Err(r.wrong("micro_batch", fact));
    }
    let steps = match (file.steps, file.tokens) {
        (Some(_), Some(_)) => {
            return Err(r.wrong("tokens", "`steps` and `tokens` both say how long to train; give one"));
        }
        (Some(steps), None) => r.at_least_one("steps", steps)?,
        (None, Some(tokens)) => r.at_least_one("tokens", tokens)?.div_ceil(batch_tokens),
        (None, None) => {
            return Err(r.wrong("", "says neither `steps` nor `tokens`, how long to train"));
        }
    };
    let every = |key: &str, said: Option<u64>, parts: u64| {
        r.at_least_one(key, said.unwrap_or((steps / parts).max(1)))
    };
    Ok(Recipe {
        steps,
        context,
        batch_tokens,
        micro_batch,
        recompute: file.recompute.unwrap_or(false),
        seed: file.seed.unwrap_or(42),
        checkpoint_every: every("checkpoint_every", file.checkpoint_every, 10)?,
        keep_last: r.at_least_one("keep_last", file.keep_last.unwrap_or(2) as u64)? as usize,
        keep_best: file.keep_best.unwrap_or(1),
        validation_share: r.within("validation_share", file.validation_share.unwrap_or(0.01), 0.0, 0.5)?,
        validate_every: every("validate_every", file.validate_every, 20)?,
        validation_tokens: r.at_least_one("validation_tokens", file.validation_tokens.unwrap_or(50_000))?,
        sample_tokens: r.sample_tokens(file.sample_tokens, context)?,
        samples: file.samples.unwrap_or_default(),
        tokenizer: file.tokenizer,
        model: model(r, file.model)?,
        optimizer: r.optimizer(&file.optimizer, 1e-3, 0.1)?,
        schedule: r.schedule(&file.schedule, Some(steps))?,
        loss: r.loss(&file.loss)?,
        data: data(r, "data", file.data)?,
    })
}

/// The sources that `key` names.
pub(super) fn data(r: &Resolving<'_>, key: &str, data: Option<Data>) -> Result<Vec<Source>, Error> {
    let whole = |path: PathBuf| Source { path, share: 1.0, language: None };
    let sources = match data {
        None => Vec::new(),
        Some(Data::Folder(path)) => vec![whole(path)],
        Some(Data::Folders(paths)) => paths.into_iter().map(whole).collect(),
        Some(Data::Source(source)) => vec![source],
        Some(Data::Sources(sources)) => sources,
    };
    if sources.is_empty() {
        let fact = format!("says no `{key}`; give a folder of token shards, or --set {key}=FOLDER");
        return Err(r.wrong(key, fact));
    }
    for source in &sources {
        r.share(key, &source.path, source.share)?;
    }
    Ok(sources)
}

fn model(r: &Resolving<'_>, m: FileModel) -> Result<Model, Error> {
    if let Some(from) = m.from {
        let sizes = [
            ("vocab_size", m.vocab_size),
            ("hidden_size", m.hidden_size),
            ("intermediate_size", m.intermediate_size),
            ("num_layers", m.num_layers),
            ("num_heads", m.num_heads),
            ("num_kv_heads", m.num_kv_heads),
            ("head_dim", m.head_dim),
        ];
        let others = [
            ("rms_norm_eps", m.rms_norm_eps.is_some()),
            ("rope_theta", m.rope_theta.is_some()),
            ("tie_word_embeddings", m.tie_word_embeddings.is_some()),
        ];
        let said = sizes.map(|(key, value)| (key, value.is_some())).into_iter().chain(others);
        if let Some((key, _)) = said.into_iter().find(|(_, said)| *said) {
            let fact =
                format!("`model.{key}` contradicts `model.from`, whose model has its own; leave one out");
            return Err(r.wrong(&format!("model.{key}"), fact));
        }
        return Ok(Model::From { from });
    }
    let some = |key: &str, value: usize| Ok(r.at_least_one(&format!("model.{key}"), value as u64)? as usize);
    let need = |key: &str, value: Option<usize>| match value {
        Some(value) => some(key, value),
        None => Err(r.wrong("model", format!("lacks `model.{key}`, which has no default"))),
    };
    let above_zero = |key: &str, value: f64, most: f64| r.within(key, value, f64::MIN_POSITIVE, most);
    let hidden_size = need("hidden_size", m.hidden_size)?;
    let num_heads = need("num_heads", m.num_heads)?;
    let head_dim = match m.head_dim {
        Some(dim) => some("head_dim", dim)?,
        None if hidden_size.is_multiple_of(num_heads) => hidden_size / num_heads,
        None => {
            let fact = format!(
                "{num_heads} heads do not share a width of {hidden_size} evenly; give `model.head_dim`"
            );
            return Err(r.wrong("model.num_heads", fact));
        }
    };
    Ok(Model::Shape(Shape {
        vocab_size: need("vocab_size", m.vocab_size)?,
        hidden_size,
        intermediate_size: need("intermediate_size", m.intermediate_size)?,
        num_layers: need("num_layers", m.num_layers)?,
        num_heads,
        num_kv_heads: some("num_kv_heads", m.num_kv_heads.unwrap_or(num_heads))?,
        head_dim,
        rms_norm_eps: above_zero("model.rms_norm_eps", m.rms_norm_eps.unwrap_or(1e-5), 1.0)?,
        rope_theta: above_zero("model.rope_theta", m.rope_theta.unwrap_or(10_000.0), 1e15)?,
        tie_word_embeddings: m.tie_word_embeddings.unwrap_or(true),
    }))
}
