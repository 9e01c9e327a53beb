//! The run itself: batches, steps, and what is written on the way.

use crate::checkpoint::{Checkpoints, Newest, State, beside};
use crate::data::{Batch, Corpus, HeldOut};
use crate::metrics::{Metrics, MetricsFile, Validation};
use crate::recipe::{OnBadLoss, Recipe};
use crate::report::report;
use crate::schedule::learning_rate;
use crate::tensorboard::EventFile;
use crate::{Error, vocabulary};
use sai_decoder::training::{AdamW, Memory, Model, Moments, Pass, Recompute, Training};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Losses against which a leap is told.
const RECENT: usize = 32;
/// Times that a run goes back between two checkpoints before it stops.
const MOST_REWINDS: u32 = 3;
/// Batches that are passed over between two checkpoints before it stops.
const MOST_IGNORED: u32 = 100;
/// Training time after which the machine's peak is worth its measuring.
const PEAK_AFTER: f64 = 20.0;

/// How to run a recipe.
pub struct Options<'a, D> {
    /// The run's folder.
    pub out: PathBuf,
    /// Go on from the newest checkpoint, where there is one.
    pub resume: bool,
    /// Bytes that the run may take.
    pub memory_limit: Option<u64>,
    /// Measures the operations a second that the device reaches at most.
    pub peak: Option<&'a dyn Fn(&D) -> f64>,
    /// Whether to save and leave now; asked between passes.
    pub stop: &'a dyn Fn() -> bool,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Event<'a> {
    /// Said before anything is made.
    Begins {
        /// Bytes that the run takes.
        memory: Memory,
        /// Weights of the model.
        parameters: u64,
        /// Steps that were made before.
        step: u64,
    },
    /// A step was made.
    Step {
        /// What it came to.
        metrics: &'a Metrics,
        /// Time that the rest takes at the recent speed.
        left: Duration,
    },
    /// A checkpoint was written: a Hugging Face folder.
    Saved {
        /// Its step.
        step: u64,
        /// Its folder.
        path: &'a Path,
    },
    /// Something that a person should know.
    Note(String),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps made.
    pub step: u64,
    /// Whether these are all of them.
    pub finished: bool,
    /// Every step's line.
    pub metrics: Vec<Metrics>,
}

/// Trains as `recipe` says, from its first step or from where the run stopped, and says what happens to `on`.
///
/// The same recipe and shards give the same weights, however often the run is stopped, killed and resumed.
///
/// # Errors
/// The run does not fit into memory; the folder has another run; shards, checkpoints or the disk fail; the loss went
/// bad and the recipe says to stop. The newest checkpoint stays.
pub fn pretrain<D: Training>(
    device: D,
    recipe: &Recipe,
    path: &Path,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let config = recipe.config(path)?;
    let corpus = Corpus::open(recipe)?;
    let recompute = if recipe.recompute { Recompute::Layers } else { Recompute::SwigluAndNorms };
    let rows = recipe.micro_batch * recipe.context;
    let memory = Memory::of(&config, rows, recompute);
    if let Some(free) = options.memory_limit.filter(|&free| memory.total() > free) {
        return Err(Error::TooLarge { need: memory, free });
    }

    let out = &options.out;
    let _lock = claim(out)?;
    let first = corpus.shards().next();
    let (tokenizer, note) =
        first.map_or(Ok((Vec::new(), None)), |shards| vocabulary::files(recipe, shards))?;
    let files = beside(&config, first.and_then(|shards| shards.end()), tokenizer, path)?;
    let checkpoints = Checkpoints::open(out, (recipe.keep_last, recipe.keep_best), files)?;
    let resumed = begin(recipe, &checkpoints, options, on)?;
    let mut state = State::new(corpus.start());
    if let Some((folder, found)) = &resumed {
        if !corpus.knows(&found.position) {
            let fact = "is of other data than the recipe names".to_owned();
            return Err(Error::Data { path: folder.clone(), fact });
        }
        state = found.clone();
    }
    on(Event::Begins { memory, parameters: config.parameters(), step: state.step })?;
    if let Some(note) = note {
        on(Event::Note(note))?;
    }

    let mut model = Model::new(device, config, recipe.seed)?;
    let mut moments = Moments::new(&model, 0..model.layout.len())?;
    if let Some((folder, found)) = &resumed {
        checkpoints.load(folder, found, &mut model, &mut moments)?;
    }
    let (file, lines) = MetricsFile::open(&out.join("metrics.jsonl"), state.step)?;
    let run = Run {
        pass: Pass::new(&model, rows, recompute)?,
        events: EventFile::create(&out.join("tensorboard"), state.step, now())?,
        held_out: corpus.validation(recipe.validation_tokens),
        saved: resumed.map(|(_, state)| state.step),
        recipe,
        corpus,
        checkpoints,
        model,
        moments,
        state,
        file,
        lines,
        peak: None,
        options,
    };
    run.go(on)
}

/// Makes the run's folder and keeps other processes out of it until the file is closed.
fn claim(out: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(out).map_err(|e| Error::io(out, "make the folder", e))?;
    let path = out.join(".lock");
    let file = File::create(&path).map_err(|e| Error::io(&path, "create the file", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let fact = "another process trains in it; wait for it, or give another --out".to_owned();
            Err(Error::Data { path: out.to_owned(), fact })
        }
        Err(std::fs::TryLockError::Error(e)) => Err(Error::io(&path, "lock the file", e)),
    }
}

/// Holds the recipe against that of the folder's run, and finds where to go on.
fn begin<D>(
    recipe: &Recipe,
    checkpoints: &Checkpoints,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Option<(PathBuf, State)>, Error> {
    let wrong = |fact: String| Err(Error::Data { path: options.out.clone(), fact });
    if !options.resume && checkpoints.any()? {
        return wrong("has a run already; give --resume to go on with it, or another --out".to_owned());
    }
    let path = options.out.join("recipe.toml");
    let Newest { whole: newest, broken } = checkpoints.newest()?;
    for note in broken {
        on(Event::Note(note))?;
    }
    if newest.is_some() && path.exists() {
        let before = Recipe::open(&path, &[])?;
        let different = recipe.differences(&before);
        if !different.is_empty() {
            return wrong(format!(
                "its run has another `{}`; resume it with its own recipe.toml, or give another --out",
                different.join("`, `")
            ));
        }
    } else if newest.is_none() && checkpoints.any()? {
        return wrong("none of its checkpoints is whole; give another --out to begin anew".to_owned());
    }
    whole(&path, recipe.to_toml()?.as_bytes())?;
    Ok(newest)
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("part");
    let write = || {
        let mut file = File::create(&new)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|e| Error::io(path, "write the file", e))
}

/// A run that is under way.
struct Run<'r, D: Training> {
    recipe: &'r Recipe,
    options: &'r Options<'r, D>,
    corpus: Corpus,
    held_out: Vec<HeldOut>,
    checkpoints: Checkpoints,
    model: Model<D>,
    moments: Moments<D>,
    pass: Pass<D>,
    state: State,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    file: MetricsFile,
    lines: Vec<Metrics>,
    events: EventFile,
    /// Operations a second that the device reaches, once measured.
    peak: Option<f64>,
}

/// The gradients of a step are summed, and this is what they are of.
struct Summed {
    loss: f64,
    norm: f64,
    /// Documents of the pass whose loss is no number, or else of the whole step.
    origins: Vec<(usize, u64)>,
    /// Pairs of a token and one that it attends to.
    pairs: f64,
}

impl<D: Training> Run<'_, D> {
    fn go(mut self, on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>) -> Result<Outcome, Error> {
        let r = self.recipe;
        while self.state.step < r.steps && !(self.options.stop)() {
            let (began, position) = (Instant::now(), self.state.position.clone());
            let Some(summed) = self.accumulate()? else {
                self.state.position = position;
                self.model.clear_gradients();
                break;
            };
            if let Some((policy, why)) = self.judge(&summed) {
                self.deal_with(policy, &summed, why, on)?;
                continue;
            }
            let scale = if r.optimizer.clip > 0.0 { (r.optimizer.clip / summed.norm).min(1.0) } else { 1.0 };
            let rate = learning_rate(r, self.state.step);
            let o = &r.optimizer;
            let adamw = AdamW { beta1: o.beta1, beta2: o.beta2, eps: o.eps, decay: o.weight_decay };
            self.model.step(&mut self.moments, &adamw, rate, scale);
            self.state.step += 1;
            self.state.recent.push(summed.loss as f32);
            if self.state.recent.len() > RECENT {
                self.state.recent.remove(0);
            }
            let seconds = began.elapsed().as_secs_f64();
            self.state.seconds += seconds;
            self.record(&summed, rate, seconds, on)?;
            if self.state.step.is_multiple_of(r.checkpoint_every) {
                self.save(on)?;
            }
        }
        if self.saved != Some(self.state.step) {
            self.save(on)?;
        }
        let (step, finished) = (self.state.step, self.state.step >= r.steps);
        if finished {
            report(&self.options.out, r, self.model.config.parameters(), &self.lines)?;
        }
        Ok(Outcome { step, finished, metrics: self.lines })
    }

    /// Sums the gradients of a step. `None` where it was told to stop.
    fn accumulate(&mut self) -> Result<Option<Summed>, Error> {
        let r = self.recipe;
        let (sequences, micro) = (r.sequences(), r.micro_batch as u64);
        let scale = 1.0 / r.batch_tokens as f32;
        let mut batch = Batch::default();
        let mut summed = Summed { loss: 0.0, norm: 0.0, origins: Vec::new(), pairs: 0.0 };
        for first in (0..sequences).step_by(r.micro_batch) {
            if first > 0 && (self.options.stop)() {
                return Ok(None);
            }
            batch.clear();
            for _ in first..sequences.min(first + micro) {
                self.corpus.sequence(&mut self.state.position, r.context, &mut batch);
            }
            let packed = batch.packed();
            let sums = self.model.forward_backward(&mut self.pass, &packed, scale, r.loss.z_loss as f32)?;
            if !sums.loss.is_finite() && summed.loss.is_finite() {
                summed.origins.clear();
            }
            if summed.loss.is_finite() {
                summed.origins.extend_from_slice(&batch.origins);
            }
            summed.loss += sums.loss / r.batch_tokens as f64;
            summed.pairs +=
                batch.documents.iter().map(|d| (d.len() * (d.len() + 1)) as f64 / 2.0).sum::<f64>();
        }
        summed.norm = self.model.gradient_norm();
        Ok(Some(summed))
    }

    /// What is wrong with a step, and what the recipe says to do.
    fn judge(&self, summed: &Summed) -> Option<(OnBadLoss, String)> {
        let loss = &self.recipe.loss;
        if !summed.loss.is_finite() || !summed.norm.is_finite() {
            return Some((loss.on_nan, format!("and the gradient's norm {:.4}", summed.norm)));
        }
        let mut recent = self.state.recent.clone();
        recent.sort_by(f32::total_cmp);
        let median = f64::from(*recent.get(RECENT / 2)?);
        let leapt = recent.len() == RECENT && summed.loss > median + loss.leap;
        (leapt && loss.on_leap != OnBadLoss::Ignore)
            .then(|| (loss.on_leap, format!("where the recent ones are about {median:.4}")))
    }

    /// Goes back to the newest checkpoint and passes over what was read since, or gives up.
    fn deal_with(
        &mut self,
        policy: OnBadLoss,
        summed: &Summed,
        why: String,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let documents = self.documents(&summed.origins);
        let newest = self.checkpoints.newest()?.whole;
        let stop = |way_out: &str| Error::BadLoss {
            step: self.state.step + 1,
            loss: summed.loss,
            why: why.clone(),
            documents: documents.clone(),
            way_out: way_out.to_owned(),
        };
        self.model.clear_gradients();
        match (policy, newest) {
            (OnBadLoss::Ignore, _) if self.state.rewinds >= MOST_IGNORED => {
                Err(stop("so were a hundred before it; try a lower learning rate"))
            }
            (OnBadLoss::Ignore, _) => {
                self.state.rewinds += 1;
                on(Event::Note(format!("{}", stop("the batch is passed over"))))?;
                Ok(())
            }
            (OnBadLoss::Stop, _) => Err(stop(
                "try a lower learning rate, or --set loss.on_nan=rewind and --resume to pass over it",
            )),
            (OnBadLoss::Rewind, None) => {
                Err(stop("there is no checkpoint yet to go back to; try a lower learning rate"))
            }
            (OnBadLoss::Rewind, Some(_)) if self.state.rewinds >= MOST_REWINDS => {
                Err(stop("going back did not help three times; try a lower learning rate"))
            }
            (OnBadLoss::Rewind, Some((folder, mut found))) => {
                on(Event::Note(format!("{}", stop(&format!("the run goes back to step {}", found.step)))))?;
                self.checkpoints.load(&folder, &found, &mut self.model, &mut self.moments)?;
                found.position = self.state.position.clone();
                found.rewinds = self.state.rewinds + 1;
                found.seconds = self.state.seconds;
                self.state = found;
                let path = self.options.out.join("metrics.jsonl");
                (self.file, self.lines) = MetricsFile::open(&path, self.state.step)?;
                Ok(())
            }
        }
    }

    fn documents(&self, origins: &[(usize, u64)]) -> String {
        const SHOWN: usize = 8;
        let shown: Vec<String> = origins.iter().take(SHOWN).map(|&origin| self.corpus.name(origin)).collect();
        let more = origins.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("documents {}{more}", shown.join(", "))
    }

    /// Writes what the step came to.
    fn record(
        &mut self,
        summed: &Summed,
        rate: f64,
        seconds: f64,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (r, step) = (self.recipe, self.state.step);
        if self.peak.is_none() && self.state.seconds > PEAK_AFTER {
            self.peak = self.options.peak.map(|measure| measure(&self.model.device));
        }
        let due = step.is_multiple_of(r.validate_every) || step == r.steps;
        let validation = if due { self.validate()? } else { Vec::new() };
        let operations = step_operations(&self.model.config, r.batch_tokens as f64, summed.pairs);
        let metrics = Metrics {
            step,
            loss: summed.loss,
            grad_norm: summed.norm,
            learning_rate: rate,
            tokens: step * r.batch_tokens,
            tokens_per_second: r.batch_tokens as f64 / seconds,
            peak_share: self.peak.map(|peak| operations / seconds / peak),
            validation,
        };
        self.file.push(&metrics)?;
        let mut scalars = vec![
            ("train/loss".to_owned(), metrics.loss),
            ("train/grad_norm".to_owned(), metrics.grad_norm),
            ("train/learning_rate".to_owned(), metrics.learning_rate),
            ("speed/tokens_per_second".to_owned(), metrics.tokens_per_second),
        ];
        for found in &metrics.validation {
            scalars.push((format!("validation/loss/{}", found.language), found.loss));
            scalars.push((format!("validation/bits_per_byte/{}", found.language), found.bits_per_byte));
        }
        self.events.scalars(now(), step, &scalars)?;
        let left = Duration::from_secs_f64((r.steps - step) as f64 * self.state.seconds / step as f64);
        on(Event::Step { metrics: &metrics, left })?;
        self.lines.push(metrics);
        Ok(())
    }

    /// How well each language's held-out documents are foretold.
    fn validate(&mut self) -> Result<Vec<Validation>, Error> {
        let (mut all, mut nats, mut tokens) = (Vec::new(), 0.0, 0);
        for held_out in &self.held_out {
            let mut lost = 0.0;
            let (model, pass, rows) =
                (&self.model, &mut self.pass, self.recipe.micro_batch * self.recipe.context);
            self.corpus.passes(&held_out.documents, self.recipe.context, rows, &mut |batch| {
                let found = model.log_likelihoods(pass, &batch.packed())?;
                lost -= found.iter().map(|&x| f64::from(x)).sum::<f64>();
                Ok(())
            })?;
            nats += lost;
            tokens += held_out.tokens;
            all.push(Validation {
                language: held_out.language.clone(),
                loss: lost / held_out.tokens.max(1) as f64,
                bits_per_byte: lost / std::f64::consts::LN_2 / held_out.text_bytes.max(1) as f64,
            });
        }
        self.state.validation_loss =
            (tokens > 0).then(|| nats / tokens as f64).filter(|loss| loss.is_finite());
        Ok(all)
    }

    fn save(&mut self, on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>) -> Result<(), Error> {
        self.file.sync()?;
        self.state.rewinds = 0;
        let path = self.checkpoints.write(&mut self.state, &self.model, &self.moments)?;
        self.saved = Some(self.state.step);
        on(Event::Saved { step: self.state.step, path: &path })
    }
}

/// Operations of a step's forward and backward: six for each weight of a matrix and token, and attention's two
/// products with each pair of tokens there and four back. Chowdhery et al. 2022, appendix B.
fn step_operations(c: &sai_decoder::Config, tokens: f64, pairs: f64) -> f64 {
    let looked_up = if c.tie_word_embeddings { 0 } else { c.vocab_size * c.hidden_size };
    let matrices = (c.parameters() - looked_up as u64) as f64;
    6.0 * matrices * tokens + 12.0 * (c.num_layers * c.num_heads * c.head_dim) as f64 * pairs
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
