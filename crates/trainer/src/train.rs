//! The run itself: batches, steps, and what is written on the way.

use crate::batch::{Batch, Data, HeldOut};
use crate::checkpoint::{Checkpoints, State};
use crate::course::Course;
use crate::journal::Journal;
use crate::metrics::{Metrics, Validation};
use crate::ranks::{Ranks, Team};
use crate::recipe::OnBadLoss;
use crate::report::report;
use crate::schedule::learning_rate;
use crate::{Error, folder};
use sai_decoder::training::{AdamW, Memory, Model, Moments, Pass, Training};
use sai_decoder::{Config, Lora, Work};
use sai_formats::Tensors;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    /// Whether to save and leave now; asked between passes, and of several ranks after each step.
    pub stop: &'a dyn Fn() -> bool,
    /// The processes that train together: [`crate::One`], or several that call this with the same recipe, data and folder.
    pub ranks: &'a dyn Ranks,
}

/// What happens on the way; only the first rank hears of it.
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
        /// Steps of the whole run.
        steps: u64,
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
    /// Every step's line; none on ranks but the first.
    pub metrics: Vec<Metrics>,
}

/// What is to be trained.
pub(crate) struct Job<S> {
    pub(crate) course: Course,
    /// The resolved recipe as TOML, which the run's folder keeps.
    pub(crate) recipe: String,
    pub(crate) config: Config,
    pub(crate) begin: Begin,
    pub(crate) data: S,
    /// Files that make a folder of weights a model.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// What a person should know before the first step.
    pub(crate) notes: Vec<String>,
}

/// The weights of step 0.
pub(crate) enum Begin {
    /// Random ones.
    Seed(u64),
    /// Those of another model.
    Weights(Tensors),
    /// Those of another model, which stay, and an adapter that is trained.
    Adapter {
        /// The model's.
        tensors: Tensors,
        /// What the adapter is.
        lora: Lora,
        /// Decides the adapter's first values.
        seed: u64,
    },
}

/// Runs a job, from its first step or from where it stopped.
pub(crate) fn train<D: Training, S: Data>(
    device: D,
    job: Job<S>,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let Job { course, recipe, config, begin, data, files, notes } = job;
    let memory = match &begin {
        Begin::Adapter { lora, .. } => Memory::of_adapter(&config, lora, course.rows, course.recompute),
        _ => Memory::of(&config, course.rows, course.recompute),
    };
    // No document is longer than a pass.
    let memory = Team::memory(options.ranks, memory.on(&device, &config, course.rows), &config);
    if let Some(free) = options.memory_limit.filter(|&free| memory.total() > free) {
        return Err(Error::TooLarge { need: memory, free });
    }

    let (out, first) = (&options.out, options.ranks.rank() == 0);
    let on: &mut dyn FnMut(Event<'_>) -> Result<(), Error> =
        &mut |event| if first { on(event) } else { Ok(()) };
    let keep = (course.keep_last, course.keep_best);
    let (_lock, checkpoints, resumed) = if first {
        let lock = folder::claim(out)?;
        let checkpoints = Checkpoints::open(out, keep, files)?;
        let resumed = folder::begin(out, &recipe, &checkpoints, options.resume, on)?;
        Team::say(options.ranks, resumed.as_ref().map(|(_, state)| state.step))?;
        (Some(lock), checkpoints, resumed)
    } else {
        let step = Team::hear(options.ranks)?;
        let checkpoints = Checkpoints::of_first(out, keep, files);
        let resumed = step.map(|step| checkpoints.at(step)).transpose()?;
        (None, checkpoints, resumed)
    };
    let mut state = State::new(data.start());
    if let Some((folder, found)) = &resumed {
        if !data.knows(&found.position) {
            let fact = "is of other data than the recipe names".to_owned();
            return Err(Error::Data { path: folder.clone(), fact });
        }
        state = found.clone();
    }
    on(Event::Begins { memory, parameters: config.parameters(), step: state.step, steps: course.steps })?;
    for note in notes {
        on(Event::Note(note))?;
    }

    let mut model = match begin {
        Begin::Weights(tensors) => Model::load(device, config, &tensors)?,
        Begin::Adapter { tensors, lora, seed } => Model::adapt(device, config, &tensors, lora, seed)?,
        Begin::Seed(seed) => Model::new(device, config, seed)?,
    };
    let team = Team::new(options.ranks, model.trained());
    let mut moments = Moments::new(&model, team.mine())?;
    if let Some((folder, found)) = &resumed {
        checkpoints.load(folder, found, &mut model, &mut moments)?;
    }
    let run = Run {
        pass: Pass::new(&model, course.rows, course.recompute)?,
        journal: first.then(|| Journal::open(out, state.step)).transpose()?,
        held_out: data.held_out(),
        saved: resumed.map(|(_, state)| state.step),
        course,
        recipe,
        data,
        checkpoints,
        model,
        moments,
        state,
        team,
        stopping: false,
        peak: None,
        options,
    };
    run.go(on)
}

/// A run that is under way.
struct Run<'r, D: Training, S> {
    course: Course,
    /// As TOML.
    recipe: String,
    options: &'r Options<'r, D>,
    data: S,
    held_out: Vec<HeldOut>,
    checkpoints: Checkpoints,
    model: Model<D>,
    moments: Moments<D>,
    pass: Pass<D>,
    state: State,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    /// What is written on the way, on the first rank.
    journal: Option<Journal>,
    team: Team<'r>,
    /// Whether a rank was told to stop, as all know.
    stopping: bool,
    /// Operations a second that the devices of all ranks reach, once measured.
    peak: Option<f64>,
}

/// The sums of a step, over all its passes.
#[derive(Default)]
struct Summed {
    /// Loss of all rows that are trained on.
    loss: f64,
    /// How many these are.
    trained: u64,
    /// All rows.
    rows: u64,
    /// Documents of the whole step, with the unit that each is in.
    origins: Vec<(u64, (usize, u64))>,
    /// Units of the first pass whose loss is no number.
    bad: Option<Range<u64>>,
    /// Pairs of a token and one that it attends to.
    pairs: f64,
}

/// What a step came to.
struct Made {
    summed: Summed,
    /// Mean over the rows that are trained on.
    loss: f64,
    /// Of the gradient of that mean.
    norm: f64,
}

impl<D: Training, S: Data> Run<'_, D, S> {
    fn go(mut self, on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>) -> Result<Outcome, Error> {
        while self.state.step < self.course.steps && !self.stops() {
            let (began, position) = (Instant::now(), self.state.position.clone());
            let Some(summed) = self.accumulate()? else {
                self.state.position = position;
                self.model.clear_gradients();
                break;
            };
            // Here the gradients of this rank's parameters are complete: of the sum of all rows' losses.
            let mean = 1.0 / summed.trained.max(1) as f64;
            let norm = self.team.norm(&self.model)? * mean;
            let made = Made { loss: summed.loss * mean, norm, summed };
            if let Some((policy, why)) = self.judge(&made) {
                self.deal_with(policy, &made, why, on)?;
                continue;
            }
            let o = &self.course.optimizer;
            let clip = if o.clip > 0.0 { (o.clip / norm).min(1.0) } else { 1.0 };
            let rate = learning_rate(&self.course, self.state.step);
            let adamw = AdamW { beta1: o.beta1, beta2: o.beta2, eps: o.eps, decay: o.weight_decay };
            self.model.step(&mut self.moments, &adamw, rate, clip * mean);
            self.team.gather_parameters(&mut self.model)?;

            self.state.step += 1;
            self.state.tokens += made.summed.rows;
            self.state.recent.push(made.loss as f32);
            if self.state.recent.len() > RECENT {
                self.state.recent.remove(0);
            }
            // All go by one clock.
            let seconds = self.team.of_first(began.elapsed().as_secs_f64())?;
            self.state.seconds += seconds;
            self.record(&made, rate, seconds, on)?;
            if self.state.step.is_multiple_of(self.course.checkpoint_every) {
                self.save(on)?;
            }
        }
        if self.saved != Some(self.state.step) {
            self.save(on)?;
        }
        let (step, finished) = (self.state.step, self.state.step >= self.course.steps);
        let Some(journal) = self.journal else {
            return Ok(Outcome { step, finished, metrics: Vec::new() });
        };
        if finished {
            let parameters = self.model.config.parameters();
            report(&self.options.out, &self.recipe, self.course.steps, parameters, journal.lines())?;
        }
        Ok(Outcome { step, finished, metrics: journal.into_lines() })
    }

    /// Whether it is time to leave; several ranks leave after the same step.
    fn stops(&self) -> bool {
        self.stopping || self.team.alone() && (self.options.stop)()
    }

    /// Sums the gradients of a step, a pass for as many of this rank's units as there is room for. Every rank reads all
    /// units, so that each knows where the data goes on. `None` where it was told to stop.
    fn accumulate(&mut self) -> Result<Option<Summed>, Error> {
        let (mut batch, mut unit, mut summed) = (Batch::default(), Batch::default(), Summed::default());
        let units = self.data.units(&self.state.position);
        let mine = self.team.units(units);
        let mut first = mine.start;
        for i in 0..units {
            unit.clear();
            self.data.unit(&mut self.state.position, &mut unit);
            summed.origins.extend(unit.origins.iter().map(|&origin| (i, origin)));
            if !mine.contains(&i) {
                continue;
            }
            if batch.rows() + unit.rows() > self.course.rows {
                self.add(&batch, first..i, false, &mut summed)?;
                batch.clear();
                first = i;
                if self.stops() {
                    return Ok(None);
                }
            }
            batch.append(&unit);
            if i + 1 == mine.end {
                self.add(&batch, first..mine.end, true, &mut summed)?;
            }
        }
        if mine.is_empty() {
            // They are zero, but the others wait for them.
            self.send_nothing()?;
        }
        self.with_others(&mut summed)?;
        Ok(Some(summed))
    }

    /// Sends gradients to which no pass adds, in the order of those that do.
    fn send_nothing(&mut self) -> Result<(), Error> {
        let Model { device, layout, gradients, adapter, .. } = &mut self.model;
        let Some(adapter) = adapter else {
            return layout
                .in_backward()
                .try_for_each(|range| self.team.send_gradients(device, gradients, range));
        };
        let trained = adapter.tensors.last().map_or(0, |last| last.view.range().end);
        self.team.send_gradients(device, gradients, 0..trained)
    }

    /// Adds a pass over some units to the sums. In the last one gradients leave for the ranks that own them.
    fn add(
        &mut self,
        batch: &Batch,
        units: Range<u64>,
        last: bool,
        summed: &mut Summed,
    ) -> Result<(), Error> {
        let (z, team, packed) = (self.course.loss.z_loss as f32, &self.team, batch.packed());
        let mut sent = Ok(());
        let sums =
            self.model.forward_backward_in_parts(&mut self.pass, &packed, 1.0, z, &mut |d, g, range| {
                if last && sent.is_ok() {
                    sent = team.send_gradients(d, g, range);
                }
            })?;
        sent?;
        if !sums.loss.is_finite() && summed.bad.is_none() {
            summed.bad = Some(units);
        }
        summed.loss += sums.loss;
        summed.trained += batch.trained();
        summed.rows += batch.rows() as u64;
        summed.pairs += batch.documents.iter().map(|d| (d.len() * (d.len() + 1)) as f64 / 2.0).sum::<f64>();
        Ok(())
    }

    /// Makes the sums those of all ranks, and this rank's part of the gradients too.
    fn with_others(&mut self, summed: &mut Summed) -> Result<(), Error> {
        if self.team.alone() {
            return Ok(());
        }
        self.team.take_sums(0, &self.model.device, &mut self.model.gradients)?;
        let Summed { loss, trained, rows, pairs, .. } = summed;
        let stop = f64::from(u8::from((self.options.stop)()));
        let mut sums = [*loss, *trained as f64, *rows as f64, *pairs, stop];
        self.team.add(&mut sums)?;
        let [all_loss, all_trained, all_rows, all_pairs, stops] = sums;
        (*loss, *trained, *rows, *pairs) = (all_loss, all_trained as u64, all_rows as u64, all_pairs);
        self.stopping = stops > 0.0;
        if !all_loss.is_finite() {
            summed.bad = self.team.earliest(summed.bad.take())?;
        }
        Ok(())
    }

    /// What is wrong with a step, and what the recipe says to do.
    fn judge(&self, made: &Made) -> Option<(OnBadLoss, String)> {
        let loss = &self.course.loss;
        if !made.loss.is_finite() || !made.norm.is_finite() {
            return Some((loss.on_nan, format!("and the gradient's norm {:.4}", made.norm)));
        }
        let mut recent = self.state.recent.clone();
        recent.sort_by(f32::total_cmp);
        let median = f64::from(*recent.get(RECENT / 2)?);
        let leapt = recent.len() == RECENT && made.loss > median + loss.leap;
        (leapt && loss.on_leap != OnBadLoss::Ignore)
            .then(|| (loss.on_leap, format!("where the recent ones are about {median:.4}")))
    }

    /// Goes back to the newest checkpoint and passes over what was read since, or gives up.
    fn deal_with(
        &mut self,
        policy: OnBadLoss,
        made: &Made,
        why: String,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let documents = self.documents(&made.summed);
        let newest = self.checkpoints.newest()?.whole;
        let stop = |way_out: &str| Error::BadLoss {
            step: self.state.step + 1,
            loss: made.loss,
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
                match &mut self.journal {
                    Some(journal) => journal.back_to(self.state.step),
                    None => Ok(()),
                }
            }
        }
    }

    /// Names the documents of the pass that went wrong, or else of the whole step.
    fn documents(&self, summed: &Summed) -> String {
        const SHOWN: usize = 8;
        let suspect = |unit: u64| summed.bad.as_ref().is_none_or(|bad| bad.contains(&unit));
        let origins = summed.origins.iter().filter(|(unit, _)| suspect(*unit));
        let shown: Vec<String> =
            origins.clone().take(SHOWN).map(|&(_, origin)| self.data.name(origin)).collect();
        let more = origins.count().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("documents {}{more}", shown.join(", "))
    }

    /// Writes what the step came to.
    fn record(
        &mut self,
        made: &Made,
        rate: f64,
        seconds: f64,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (steps, step) = (self.course.steps, self.state.step);
        if self.peak.is_none() && self.state.seconds > PEAK_AFTER {
            let peak = self.options.peak.map(|measure| measure(&self.model.device));
            self.peak = peak.map(|peak| self.team.sum(peak)).transpose()?;
        }
        let due = step.is_multiple_of(self.course.validate_every) || step == steps;
        let validation = if due { self.validate()? } else { Vec::new() };
        let (rows, trained) = (made.summed.rows as f64, made.summed.trained);
        let whole = Work::training_operations(&self.model.config, rows, made.summed.pairs);
        // Of a frozen matrix backward computes one product, and not two.
        let operations = if self.model.adapter.is_some() { whole * 2.0 / 3.0 } else { whole };
        let metrics = Metrics {
            step,
            loss: made.loss,
            grad_norm: made.norm,
            learning_rate: rate,
            tokens: self.state.tokens,
            trained,
            tokens_per_second: rows / seconds,
            peak_share: self.peak.map(|peak| operations / seconds / peak),
            validation,
        };
        let left = Duration::from_secs_f64((steps - step) as f64 * self.state.seconds / step as f64);
        if let Some(journal) = &mut self.journal {
            journal.add(&metrics)?;
        }
        on(Event::Step { metrics: &metrics, left })
    }

    /// How well each language's held-out documents are foretold; each rank reads its share of them.
    fn validate(&mut self) -> Result<Vec<Validation>, Error> {
        let (mut all, mut nats, mut tokens) = (Vec::new(), 0.0, 0);
        for held_out in &self.held_out {
            let mut lost = 0.0;
            let (model, pass) = (&self.model, &mut self.pass);
            let mine = self.team.units(held_out.documents.len() as u64);
            let mine = &held_out.documents[mine.start as usize..mine.end as usize];
            self.data.passes(mine, self.course.rows, &mut |batch| {
                let found = model.log_likelihoods(pass, &batch.packed())?;
                lost -= found.iter().map(|&x| f64::from(x)).sum::<f64>();
                Ok(())
            })?;
            lost = self.team.sum(lost)?;
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
        if let Some(journal) = &self.journal {
            journal.sync()?;
        }
        self.state.rewinds = 0;
        let path = self.checkpoints.write(&mut self.state, &self.model, &self.moments, &self.team)?;
        self.saved = Some(self.state.step);
        on(Event::Saved { step: self.state.step, path: &path })
    }
}
