//! The recipe of a fine-tuning on conversations.

use super::keys::{Keys, LOSS, OPTIMIZER, SCHEDULE};
use super::parts::{FileLoss, FileOptimizer, FileSchedule, Resolving};
use super::{Loss, Optimizer, Said, Schedule};
use crate::{Course, Error};
use sai_decoder::training::Recompute;
use sai_decoder::{Lora, Target};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const KEYS: Keys = &[
    (
        "",
        &[
            "data",
            "epochs",
            "steps",
            "context",
            "batch_conversations",
            "batch_tokens",
            "micro_batch",
            "recompute",
            "seed",
            "strict",
            "checkpoint_every",
            "keep_last",
            "keep_best",
            "validation_share",
            "validate_every",
            "validation_tokens",
            "sample_tokens",
            "samples",
            "tokenizer",
            "template",
            "model",
            "optimizer",
            "schedule",
            "loss",
            "lora",
        ],
    ),
    ("data", &["path", "share", "form"]),
    ("model", &["from"]),
    ("lora", &["rank", "alpha", "targets"]),
    OPTIMIZER,
    SCHEDULE,
    LOSS,
];

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
    /// Contexts of tokens that are computed at a time; conversations lie in them side by side.
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
    /// The model to begin from.
    pub model: FromModel,
    /// The adapter that is trained instead of the model's own weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// AdamW.
    pub optimizer: Optimizer,
    /// The learning rate's way through the run.
    pub schedule: Schedule,
    /// The loss, and what is done about a bad one.
    pub loss: Loss,
    /// Where conversations come from.
    pub data: Vec<ConversationFile>,
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
    /// So many conversations.
    #[serde(rename = "batch_conversations")]
    Conversations(u64),
    /// As many conversations as have so many tokens.
    #[serde(rename = "batch_tokens")]
    Tokens(u64),
}

/// A file of conversations.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ConversationFile {
    /// A JSONL file, plain or compressed, or a folder or glob of such.
    pub path: PathBuf,
    /// Its part of the conversations, in proportion to that of the others; as many as it has where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How its lines say a conversation; told from the first where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
}

/// How a JSON object says a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `messages`, each with `role` and `content`.
    Messages,
    /// `conversations`, each with `from` and `value`.
    Sharegpt,
    /// `instruction`, `input` and `output`.
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

    /// As [`FinetuneRecipe::open`], for a text; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`FinetuneRecipe::open`].
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<FinetuneRecipe, Error> {
        FinetuneRecipe::of(&Said { text, path, table: None, overrides })
    }

    /// As [`FinetuneRecipe::open`], for what is said in a text or in a table of it.
    ///
    /// # Errors
    /// As [`FinetuneRecipe::open`].
    pub fn of(said: &Said<'_>) -> Result<FinetuneRecipe, Error> {
        let rivals: &[&[&str]] = &[
            &["epochs", "steps"],
            &["batch_conversations", "batch_tokens"],
            &["schedule.warmup_steps", "schedule.warmup_share"],
        ];
        let (file, places) = super::read(said, KEYS, rivals)?;
        resolve(&Resolving { path: said.path, places }, file)
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// A path or number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, Error> {
        super::to_toml(self)
    }

    /// What the loop needs to know, once the run's steps are known.
    pub fn course(&self, steps: u64) -> Course {
        Course {
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

    /// Tokens that are computed at a time.
    pub fn rows(&self) -> usize {
        self.micro_batch.saturating_mul(self.context)
    }
}

/// What a person may say; all of it may be left to defaults or overrides.
#[derive(Default, Deserialize)]
struct File {
    data: Option<Data>,
    epochs: Option<f64>,
    steps: Option<u64>,
    context: Option<usize>,
    batch_conversations: Option<u64>,
    batch_tokens: Option<u64>,
    micro_batch: Option<usize>,
    recompute: Option<bool>,
    seed: Option<u64>,
    strict: Option<bool>,
    checkpoint_every: Option<u64>,
    keep_last: Option<usize>,
    keep_best: Option<usize>,
    validation_share: Option<f64>,
    validate_every: Option<u64>,
    validation_tokens: Option<u64>,
    sample_tokens: Option<usize>,
    samples: Option<Vec<String>>,
    tokenizer: Option<PathBuf>,
    template: Option<String>,
    #[serde(default)]
    model: FileModel,
    lora: Option<FileLora>,
    #[serde(default)]
    optimizer: FileOptimizer,
    #[serde(default)]
    schedule: FileSchedule,
    #[serde(default)]
    loss: FileLoss,
}

#[derive(Deserialize)]
struct FileLora {
    rank: Option<usize>,
    alpha: Option<f64>,
    targets: Option<Vec<Target>>,
}

#[derive(Default, Deserialize)]
struct FileModel {
    from: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`data` is a file, or a list of entries { path = \"…\", share = 1.0 }")]
enum Data {
    Path(PathBuf),
    Paths(Vec<PathBuf>),
    File(ConversationFile),
    Files(Vec<ConversationFile>),
}

fn resolve(r: &Resolving<'_>, file: File) -> Result<FinetuneRecipe, Error> {
    let context = r.at_least_one("context", file.context.unwrap_or(2048) as u64)? as usize;
    let length = match (file.epochs, file.steps) {
        (Some(_), Some(_)) => {
            return Err(r.wrong("steps", "`epochs` and `steps` both say how long to train; give one"));
        }
        (epochs, None) => Length::Epochs(r.within("epochs", epochs.unwrap_or(3.0), 1e-6, 1e6)?),
        (None, Some(steps)) => Length::Steps(r.at_least_one("steps", steps)?),
    };
    let batch = match (file.batch_conversations, file.batch_tokens) {
        (Some(_), Some(_)) => {
            let fact = "`batch_conversations` and `batch_tokens` both say what a step learns from; give one";
            return Err(r.wrong("batch_tokens", fact));
        }
        (n, None) => BatchSize::Conversations(r.at_least_one("batch_conversations", n.unwrap_or(16))?),
        (None, Some(tokens)) if tokens < context as u64 => {
            let fact = format!("`batch_tokens` is {tokens}, less than a conversation of {context} tokens");
            return Err(r.wrong("batch_tokens", fact));
        }
        (None, Some(tokens)) => BatchSize::Tokens(r.at_least_one("batch_tokens", tokens)?),
    };
    let steps = match length {
        Length::Steps(steps) => Some(steps),
        Length::Epochs(_) => None,
    };
    let every = |key: &str, said: Option<u64>| said.map(|n| r.at_least_one(key, n)).transpose();
    let Some(from) = file.model.from else {
        let fact = "lacks `model.from`, the model to begin with; give a folder, or --set model.from=FOLDER";
        return Err(r.wrong("model", fact));
    };
    let lora = file.lora.map(|lora| adapter(r, lora)).transpose()?;
    if lora.is_some() && file.samples.as_ref().is_some_and(|samples| !samples.is_empty()) {
        let fact = "samples are answered by whole models, and [lora] saves adapters; leave `samples` out";
        return Err(r.wrong("samples", fact));
    }
    let mut schedule = r.schedule(&file.schedule, steps)?;
    if !file.schedule.says_warmup() {
        schedule.warmup = super::Warmup::Share(0.03);
    }
    Ok(FinetuneRecipe {
        length,
        context,
        batch,
        micro_batch: r.at_least_one("micro_batch", file.micro_batch.unwrap_or(1) as u64)? as usize,
        recompute: file.recompute.unwrap_or(false),
        seed: file.seed.unwrap_or(42),
        strict: file.strict.unwrap_or(false),
        checkpoint_every: every("checkpoint_every", file.checkpoint_every)?,
        keep_last: r.at_least_one("keep_last", file.keep_last.unwrap_or(2) as u64)? as usize,
        keep_best: file.keep_best.unwrap_or(1),
        validation_share: r.within("validation_share", file.validation_share.unwrap_or(0.01), 0.0, 0.5)?,
        validate_every: every("validate_every", file.validate_every)?,
        validation_tokens: file.validation_tokens.unwrap_or(50_000),
        sample_tokens: r.sample_tokens(file.sample_tokens, context)?,
        samples: file.samples.unwrap_or_default(),
        tokenizer: file.tokenizer,
        template: file.template,
        model: FromModel { from },
        // Adapters like ten times the rate.
        optimizer: r.optimizer(&file.optimizer, if lora.is_some() { 2e-4 } else { 2e-5 }, 0.0)?,
        lora,
        schedule,
        loss: r.loss(&file.loss)?,
        data: data(r, file.data)?,
    })
}

/// An adapter of every matrix, of rank 16 and with an alpha of twice the rank, where nothing else is said.
fn adapter(r: &Resolving<'_>, lora: FileLora) -> Result<Lora, Error> {
    let rank = r.at_least_one("lora.rank", lora.rank.unwrap_or(16) as u64)? as usize;
    let alpha = lora.alpha.unwrap_or(2.0 * rank as f64);
    let alpha = r.within("lora.alpha", alpha, f64::MIN_POSITIVE, 1e6)?;
    let mut targets = lora.targets.unwrap_or_else(|| Target::ALL.to_vec());
    targets.sort();
    targets.dedup();
    if targets.is_empty() {
        return Err(r.wrong("lora.targets", "`lora.targets` is empty; name at least one, as q_proj"));
    }
    Ok(Lora { rank, alpha, targets })
}

fn data(r: &Resolving<'_>, data: Option<Data>) -> Result<Vec<ConversationFile>, Error> {
    let whole = |path: PathBuf| ConversationFile { path, share: None, form: None };
    let files = match data {
        None => Vec::new(),
        Some(Data::Path(path)) => vec![whole(path)],
        Some(Data::Paths(paths)) => paths.into_iter().map(whole).collect(),
        Some(Data::File(file)) => vec![file],
        Some(Data::Files(files)) => files,
    };
    if files.is_empty() {
        return Err(r.wrong("data", "says no `data`; give a file of conversations, or --set data=FILE"));
    }
    for file in &files {
        r.share(&file.path, file.share.unwrap_or(1.0))?;
    }
    let shared = files.iter().filter(|file| file.share.is_some()).count();
    if shared != 0 && shared != files.len() {
        return Err(r.wrong("data", "some files have a `share` and some have none; give all or none"));
    }
    Ok(files)
}
