//! What a person says in a recipe of a fine-tuning, and what the rest then is.

use super::{BatchSize, ConversationFile, FinetuneRecipe, FromModel, Length, Replay};
use crate::recipe::keys::{Keys, LOSS, OPTIMIZER, SCHEDULE};
use crate::recipe::parts::{FileLoss, FileOptimizer, FileSchedule, Resolving};
use crate::recipe::{Warmup, pretrain};
use crate::{Dpo, Error};
use sai_decoder::{Lora, Target};
use sai_tokenizer::DateTime;
use serde::Deserialize;
use std::path::PathBuf;

pub(in crate::recipe) const KEYS: Keys = &[
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
            "date",
            "model",
            "optimizer",
            "schedule",
            "loss",
            "lora",
            "dpo",
            "replay",
        ],
    ),
    ("data", &["path", "share", "form"]),
    ("model", &["from"]),
    ("lora", &["rank", "alpha", "targets"]),
    ("dpo", &["beta", "label_smoothing", "sft"]),
    ("replay", &["batch_tokens", "validation_share", "data"]),
    ("replay.data", &["path", "share", "language"]),
    OPTIMIZER,
    SCHEDULE,
    LOSS,
];

/// What a person may say; all of it may be left to defaults or overrides.
#[derive(Default, Deserialize)]
pub(super) struct File {
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
    date: Option<Day>,
    #[serde(default)]
    model: FileModel,
    lora: Option<FileLora>,
    dpo: Option<FileDpo>,
    replay: Option<FileReplay>,
    #[serde(default)]
    optimizer: FileOptimizer,
    #[serde(default)]
    schedule: FileSchedule,
    #[serde(default)]
    loss: FileLoss,
}

/// A day as TOML has it, or in quotes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a day, such as 2026-11-30")]
enum Day {
    Toml(toml::value::Datetime),
    Text(String),
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
struct FileDpo {
    beta: Option<f64>,
    label_smoothing: Option<f64>,
    sft: Option<f64>,
}

#[derive(Deserialize)]
struct FileReplay {
    batch_tokens: Option<u64>,
    validation_share: Option<f64>,
    data: Option<pretrain::Data>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`data` is a file, or a list of entries { path = \"…\", share = 1.0, form = \"messages\" }; forms are \
                 messages, sharegpt and alpaca"
)]
enum Data {
    Path(PathBuf),
    Paths(Vec<PathBuf>),
    File(ConversationFile),
    Files(Vec<ConversationFile>),
}

pub(super) fn resolve(r: &Resolving<'_>, file: File) -> Result<FinetuneRecipe, Error> {
    let context = r.at_least_one("context", file.context.unwrap_or(2048) as u64)? as usize;
    let dpo = file.dpo.map(|dpo| preferences(r, &dpo)).transpose()?;
    // What a pair teaches is soon learnt by heart.
    let most_epochs = if dpo.is_some() { 1.0 } else { 3.0 };
    let length = match (file.epochs, file.steps) {
        (Some(_), Some(_)) => {
            return Err(r.wrong("steps", "`epochs` and `steps` both say how long to train; give one"));
        }
        (epochs, None) => Length::Epochs(r.within("epochs", epochs.unwrap_or(most_epochs), 1e-6, 1e6)?),
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
    let loss = r.loss(&file.loss)?;
    if dpo.is_some() && loss.z_loss != 0.0 {
        return Err(r.wrong("loss.z_loss", "[dpo] knows no `loss.z_loss`; leave it out"));
    }
    let validation_share = r.within("validation_share", file.validation_share.unwrap_or(0.01), 0.0, 0.5)?;
    let replay = file.replay.map(|file| replay(r, file, context as u64, validation_share)).transpose()?;
    if dpo.is_some() && replay.is_some() {
        return Err(r.wrong("replay", "[dpo] learns from pairs alone; leave [replay] out"));
    }
    let data = data(r, file.data)?;
    let date = file.date.map(|day| match day {
        Day::Toml(day) => day.to_string(),
        Day::Text(day) => day,
    });
    if date.as_ref().is_some_and(|date| date.parse::<DateTime>().is_err()) {
        return Err(r.wrong("date", "`date` is to be a day, such as 2026-11-30"));
    }
    if dpo.is_some() && data.iter().any(|file| file.form.is_some()) {
        return Err(r.wrong("data", "a `form` is of conversations, and [dpo] reads pairs; leave it out"));
    }
    // Preferences ask for little steps, and adapters for ten times as large ones.
    let rate = match (&dpo, &lora) {
        (None, None) => 2e-5,
        (None, Some(_)) => 2e-4,
        (Some(_), None) => 1e-6,
        (Some(_), Some(_)) => 1e-5,
    };
    let mut schedule = r.schedule(&file.schedule, steps)?;
    if !file.schedule.says_warmup() {
        schedule.warmup = Warmup::Share(0.03);
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
        validation_share,
        validate_every: every("validate_every", file.validate_every)?,
        validation_tokens: r.at_least_one("validation_tokens", file.validation_tokens.unwrap_or(50_000))?,
        sample_tokens: r.sample_tokens(file.sample_tokens, context)?,
        samples: file.samples.unwrap_or_default(),
        tokenizer: file.tokenizer,
        template: file.template,
        date,
        model: FromModel { from },
        optimizer: r.optimizer(&file.optimizer, rate, 0.0)?,
        lora,
        dpo,
        replay,
        schedule,
        loss,
        data,
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

/// What is optimised: with a beta of 0.1 and nothing else where it is not said.
fn preferences(r: &Resolving<'_>, dpo: &FileDpo) -> Result<Dpo, Error> {
    let smoothing = dpo.label_smoothing.unwrap_or(0.0);
    Ok(Dpo {
        beta: r.within("dpo.beta", dpo.beta.unwrap_or(0.1), 1e-6, 1e3)?,
        label_smoothing: r.within("dpo.label_smoothing", smoothing, 0.0, 0.49)?,
        sft: r.within("dpo.sft", dpo.sft.unwrap_or(0.0), 0.0, 1e3)?,
    })
}

/// What is read again: one sequence a step where it is not said how much.
fn replay(r: &Resolving<'_>, file: FileReplay, context: u64, validation_share: f64) -> Result<Replay, Error> {
    let batch_tokens = r.at_least_one("replay.batch_tokens", file.batch_tokens.unwrap_or(context))?;
    if !batch_tokens.is_multiple_of(context) {
        let whole = batch_tokens.div_ceil(context) * context;
        let fact = format!(
            "`replay.batch_tokens` is {batch_tokens}, no multiple of `context` {context}; {whole} is"
        );
        return Err(r.wrong("replay.batch_tokens", fact));
    }
    let validation_share = file.validation_share.unwrap_or(validation_share);
    let validation_share = r.within("replay.validation_share", validation_share, 0.0, 0.5)?;
    Ok(Replay { batch_tokens, validation_share, data: pretrain::data(r, "replay.data", file.data)? })
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
        r.share("data", &file.path, file.share.unwrap_or(1.0))?;
    }
    let shared = files.iter().filter(|file| file.share.is_some()).count();
    if shared != 0 && shared != files.len() {
        return Err(r.wrong("data", "some files have a `share` and some have none; give all or none"));
    }
    Ok(files)
}
