//! A recipe's text and its overrides, held against each other and filled up.

use super::keys::{Places, line};
use super::{Loss, Model, OnBadLoss, Optimizer, Recipe, Schedule, ScheduleKind, Source};
use crate::Error;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Table;
use toml::de::DeTable;

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
enum Data {
    Folder(PathBuf),
    Folders(Vec<PathBuf>),
    Source(Source),
    Sources(Vec<Source>),
}

#[derive(Default, Deserialize)]
struct FileModel {
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

#[derive(Default, Deserialize)]
struct FileOptimizer {
    learning_rate: Option<f64>,
    beta1: Option<f64>,
    beta2: Option<f64>,
    eps: Option<f64>,
    weight_decay: Option<f64>,
    clip: Option<f64>,
}

#[derive(Default, Deserialize)]
struct FileSchedule {
    kind: Option<ScheduleKind>,
    warmup_steps: Option<u64>,
    min_share: Option<f64>,
    decay_share: Option<f64>,
}

#[derive(Default, Deserialize)]
struct FileLoss {
    z_loss: Option<f64>,
    on_nan: Option<OnBadLoss>,
    on_leap: Option<OnBadLoss>,
    leap: Option<f64>,
}

pub(super) fn read(text: &str, path: &Path, overrides: &[String]) -> Result<Recipe, Error> {
    let damaged = |e: toml::de::Error| Error::Recipe {
        path: path.to_owned(),
        place: e.span().map_or_else(String::new, |span| format!("line {}", line(text, &span))),
        fact: first_line(e.message()),
    };
    let mut places = Places::default();
    places.note_text(text, DeTable::parse(text).map_err(damaged)?.get_ref(), path)?;
    // Types are checked in the text alone, where they have lines.
    toml::from_str::<File>(text).map_err(damaged)?;
    let mut table: Table = toml::from_str(text).map_err(damaged)?;
    let said =
        overrides.iter().map(|said| overriding(said, path, &mut places)).collect::<Result<Vec<_>, _>>()?;
    for said in &said {
        // A length of the run that is given replaces the recipe's, in whichever unit that is.
        for (one, other) in [("steps", "tokens"), ("tokens", "steps")] {
            if said.contains_key(one) {
                table.remove(other);
            }
        }
    }
    for said in said {
        merge(&mut table, said);
    }
    let file: File = table.try_into().map_err(damaged)?;
    Resolving { path, places }.resolve(file)
}

/// The table that an override `key=value` is. A value that is no TOML is a string.
fn overriding(said: &str, path: &Path, places: &mut Places) -> Result<Table, Error> {
    let wrong = |fact: String| Error::Recipe { path: path.to_owned(), place: format!("--set {said}"), fact };
    let Some((key, value)) = said.split_once('=') else {
        return Err(wrong("an override is key=value".to_owned()));
    };
    let (key, value) = (key.trim(), value.trim());
    let quoted = toml::Value::String(value.to_owned());
    let text = [format!("{key} = {value}"), format!("{key} = {quoted}")];
    let Some(text) =
        text.iter().find(|text| toml::from_str::<Table>(text).is_ok_and(|table| table.len() == 1))
    else {
        return Err(wrong("an override is key=value, with a dotted key such as model.num_layers".to_owned()));
    };
    let damaged = |e: toml::de::Error| wrong(first_line(e.message()));
    places.note_override(said, DeTable::parse(text).map_err(damaged)?.get_ref(), path)?;
    toml::from_str::<File>(text).map_err(damaged)?;
    toml::from_str(text).map_err(damaged)
}

/// Puts what is said over what is there, table by table.
fn merge(there: &mut Table, said: Table) {
    for (key, value) in said {
        match (there.get_mut(&key), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(said)) if key != "data" => {
                merge(there, said);
            }
            (_, value) => drop(there.insert(key, value)),
        }
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// What filling up needs to name a key's place.
struct Resolving<'p> {
    path: &'p Path,
    places: Places,
}

impl Resolving<'_> {
    fn resolve(&self, file: File) -> Result<Recipe, Error> {
        let context = self.at_least_one("context", file.context.unwrap_or(512) as u64)? as usize;
        let batch_tokens =
            self.at_least_one("batch_tokens", file.batch_tokens.unwrap_or(8 * context as u64))?;
        if !batch_tokens.is_multiple_of(context as u64) {
            let whole = batch_tokens.div_ceil(context as u64) * context as u64;
            let fact =
                format!("`batch_tokens` is {batch_tokens}, no multiple of `context` {context}; {whole} is");
            return Err(self.wrong("batch_tokens", fact));
        }
        let sequences = batch_tokens / context as u64;
        let micro_batch = file.micro_batch.unwrap_or(sequences.min(4) as usize);
        self.at_least_one("micro_batch", micro_batch as u64)?;
        if micro_batch as u64 > sequences {
            let fact = format!(
                "`micro_batch` is {micro_batch}, but a step has {sequences} sequences of {context} tokens"
            );
            return Err(self.wrong("micro_batch", fact));
        }
        let steps = match (file.steps, file.tokens) {
            (Some(_), Some(_)) => {
                return Err(self.wrong("tokens", "`steps` and `tokens` both say how long to train; give one"));
            }
            (Some(steps), None) => self.at_least_one("steps", steps)?,
            (None, Some(tokens)) => self.at_least_one("tokens", tokens)?.div_ceil(batch_tokens),
            (None, None) => {
                return Err(self.wrong("", "says neither `steps` nor `tokens`, how long to train"));
            }
        };
        if file.sample_tokens.is_some_and(|tokens| tokens >= context) {
            return Err(self
                .wrong("sample_tokens", format!("`sample_tokens` do not fit into a context of {context}")));
        }
        let every = |key: &str, said: Option<u64>, parts: u64| {
            self.at_least_one(key, said.unwrap_or((steps / parts).max(1)))
        };
        Ok(Recipe {
            steps,
            context,
            batch_tokens,
            micro_batch,
            recompute: file.recompute.unwrap_or(false),
            seed: file.seed.unwrap_or(42),
            checkpoint_every: every("checkpoint_every", file.checkpoint_every, 10)?,
            keep_last: self.at_least_one("keep_last", file.keep_last.unwrap_or(2) as u64)? as usize,
            keep_best: file.keep_best.unwrap_or(1),
            validation_share: self.within(
                "validation_share",
                file.validation_share.unwrap_or(0.01),
                0.0,
                0.5,
            )?,
            validate_every: every("validate_every", file.validate_every, 20)?,
            validation_tokens: file.validation_tokens.unwrap_or(50_000),
            sample_tokens: file.sample_tokens.unwrap_or(64.min(context / 2)),
            samples: file.samples.unwrap_or_default(),
            tokenizer: file.tokenizer,
            model: self.model(&file.model)?,
            optimizer: self.optimizer(&file.optimizer)?,
            schedule: self.schedule(&file.schedule, steps)?,
            loss: Loss {
                z_loss: self.within("loss.z_loss", file.loss.z_loss.unwrap_or(0.0), 0.0, 1.0)?,
                on_nan: file.loss.on_nan.unwrap_or(OnBadLoss::Stop),
                on_leap: file.loss.on_leap.unwrap_or(OnBadLoss::Ignore),
                leap: self.within("loss.leap", file.loss.leap.unwrap_or(2.0), 0.0, f64::MAX)?,
            },
            data: self.data(file.data)?,
        })
    }

    fn data(&self, data: Option<Data>) -> Result<Vec<Source>, Error> {
        let whole = |path: PathBuf| Source { path, share: 1.0, language: None };
        let sources = match data {
            None => Vec::new(),
            Some(Data::Folder(path)) => vec![whole(path)],
            Some(Data::Folders(paths)) => paths.into_iter().map(whole).collect(),
            Some(Data::Source(source)) => vec![source],
            Some(Data::Sources(sources)) => sources,
        };
        if sources.is_empty() {
            return Err(
                self.wrong("data", "says no `data`; give a folder of token shards, or --set data=FOLDER")
            );
        }
        for source in &sources {
            if !(source.share.is_finite() && source.share > 0.0) {
                let fact = format!(
                    "the share of {} is {}; it is to be above 0",
                    source.path.display(),
                    source.share
                );
                return Err(self.wrong("data", fact));
            }
        }
        Ok(sources)
    }

    fn model(&self, m: &FileModel) -> Result<Model, Error> {
        let need = |key: &str, value: Option<usize>| {
            value.ok_or_else(|| self.wrong("model", format!("lacks `model.{key}`, which has no default")))
        };
        let hidden_size = need("hidden_size", m.hidden_size)?;
        let num_heads = need("num_heads", m.num_heads)?;
        let head_dim = match m.head_dim {
            Some(dim) => dim,
            None if num_heads > 0 && hidden_size.is_multiple_of(num_heads) => hidden_size / num_heads,
            None => {
                let fact = format!(
                    "{num_heads} heads do not share a width of {hidden_size} evenly; give `model.head_dim`"
                );
                return Err(self.wrong("model.num_heads", fact));
            }
        };
        Ok(Model {
            vocab_size: need("vocab_size", m.vocab_size)?,
            hidden_size,
            intermediate_size: need("intermediate_size", m.intermediate_size)?,
            num_layers: need("num_layers", m.num_layers)?,
            num_heads,
            num_kv_heads: m.num_kv_heads.unwrap_or(num_heads),
            head_dim,
            rms_norm_eps: m.rms_norm_eps.unwrap_or(1e-5),
            rope_theta: m.rope_theta.unwrap_or(10_000.0),
            tie_word_embeddings: m.tie_word_embeddings.unwrap_or(true),
        })
    }

    fn optimizer(&self, o: &FileOptimizer) -> Result<Optimizer, Error> {
        const BELOW_ONE: f64 = 1.0 - f64::EPSILON;
        Ok(Optimizer {
            learning_rate: self.within(
                "optimizer.learning_rate",
                o.learning_rate.unwrap_or(1e-3),
                f64::MIN_POSITIVE,
                10.0,
            )?,
            beta1: self.within("optimizer.beta1", o.beta1.unwrap_or(0.9), 0.0, BELOW_ONE)?,
            beta2: self.within("optimizer.beta2", o.beta2.unwrap_or(0.95), 0.0, BELOW_ONE)?,
            eps: self.within("optimizer.eps", o.eps.unwrap_or(1e-8), f64::MIN_POSITIVE, 1.0)?,
            weight_decay: self.within("optimizer.weight_decay", o.weight_decay.unwrap_or(0.1), 0.0, 10.0)?,
            clip: self.within("optimizer.clip", o.clip.unwrap_or(1.0), 0.0, f64::MAX)?,
        })
    }

    fn schedule(&self, s: &FileSchedule, steps: u64) -> Result<Schedule, Error> {
        let kind = s.kind.unwrap_or(ScheduleKind::Cosine);
        let warmup_steps = s.warmup_steps.unwrap_or((steps / 20).min(2000));
        if warmup_steps >= steps && s.warmup_steps.is_some() {
            let fact =
                format!("`schedule.warmup_steps` is {warmup_steps}, but the run has only {steps} steps");
            return Err(self.wrong("schedule.warmup_steps", fact));
        }
        Ok(Schedule {
            kind,
            warmup_steps,
            min_share: self.within("schedule.min_share", s.min_share.unwrap_or(0.1), 0.0, 1.0)?,
            decay_share: self.within("schedule.decay_share", s.decay_share.unwrap_or(0.2), 0.0, 1.0)?,
        })
    }

    fn at_least_one(&self, key: &str, value: u64) -> Result<u64, Error> {
        // Past this, TOML and JSON have no such integer.
        if value == 0 || value > i64::MAX as u64 {
            return Err(self.wrong(key, format!("`{key}` is {value}; it is to be at least 1")));
        }
        Ok(value)
    }

    fn within(&self, key: &str, value: f64, least: f64, most: f64) -> Result<f64, Error> {
        if !(least..=most).contains(&value) {
            return Err(self.wrong(key, format!("`{key}` is {value}, outside of {least} to {most}")));
        }
        Ok(value)
    }

    fn wrong(&self, key: &str, fact: impl Into<String>) -> Error {
        self.places.wrong(self.path, key, fact)
    }
}
