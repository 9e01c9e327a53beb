//! A training run: what it needs, what it says on the way, and how it begins. How it goes on is [`run`]'s.

mod bad_loss;
mod run;
mod step;
mod validate;

use crate::batch::Data;
use crate::checkpoint::{Checkpoints, State};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::objective::Objective;
use crate::preferences::Dpo;
use crate::ranks::{Ranks, Team};
use crate::reference::ReferenceJob;
use crate::training_arguments::TrainingArguments;
use crate::{Error, folder};
use run::Run;
use sai_decoder::training::{Memory, Model, Moments, Pass, Training};
use sai_decoder::{Config, Lora};
use sai_formats::Tensors;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        /// Weights that are trained: all, or those of an adapter.
        trained: u64,
        /// Steps that were made before.
        step: u64,
        /// Steps of the whole run.
        steps: u64,
    },
    /// The starting model was asked about more pairs, which comes before the first step.
    Reference {
        /// Pairs that are known.
        done: u64,
        /// All of them.
        of: u64,
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
pub(crate) struct TrainingJob<S> {
    pub(crate) course: TrainingArguments,
    /// The resolved recipe as TOML, which the run's folder keeps.
    pub(crate) recipe: String,
    pub(crate) config: Config,
    pub(crate) begin: InitialWeights,
    pub(crate) aim: ObjectiveKind,
    pub(crate) data: S,
    /// Files that make a folder of weights a model.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Whether some of it is to be held out, to validate on.
    pub(crate) validates: bool,
    /// What a person should know before the first step.
    pub(crate) notes: Vec<String>,
}

impl<S> TrainingJob<S> {
    /// The same with other data.
    pub(crate) fn with<T>(self, data: T) -> TrainingJob<T> {
        let TrainingJob { course, recipe, config, begin, aim, data: _, files, validates, notes } = self;
        TrainingJob { course, recipe, config, begin, aim, data, files, validates, notes }
    }
}

/// The weights of step 0.
pub(crate) enum InitialWeights {
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

/// What is to be made small.
pub(crate) enum ObjectiveKind {
    /// −ln p of what is trained on.
    Likelihood,
    /// The loss of preferences.
    Preferences {
        /// Which.
        dpo: Dpo,
        /// Source and number of all pairs that the run reads, ascending.
        pairs: Vec<(usize, u64)>,
    },
}

/// Checksum of a model's weights in the order of its files.
pub(crate) fn checksum(tensors: &Tensors) -> u32 {
    tensors.iter().fold(0, |sum, tensor| {
        let sum = tensor.data.chunks(1 << 24).fold(sum, crc32c::crc32c_append);
        tensor.data.release();
        sum
    })
}

/// Runs a job, from its first step or from where it stopped.
pub(crate) fn train<D: Training, S: Data>(
    device: D,
    job: TrainingJob<S>,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let TrainingJob { course, recipe, config, begin, aim, data, files, validates, mut notes } = job;
    let memory = match &begin {
        InitialWeights::Adapter { lora, .. } => {
            Memory::of_adapter(&config, lora, course.rows, course.recompute)
        }
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
    state.base = match (&begin, &aim) {
        (InitialWeights::Adapter { tensors, .. }, _)
        | (InitialWeights::Weights(tensors), ObjectiveKind::Preferences { .. }) => Some(checksum(tensors)),
        _ => None,
    };
    if let Some((folder, found)) = &resumed {
        let wrong = |fact: &str| Err(Error::Data { path: folder.clone(), fact: fact.to_owned() });
        if !data.knows(&found.position) {
            return wrong(
                "is of other data than lies there now; put that back, or give another --out to begin anew",
            );
        }
        if found.base != state.base {
            return wrong(
                "began from another model than `model.from` is now; put that back, or give another --out",
            );
        }
        state = found.clone();
    }
    let parameters = config.parameters();
    let trained = match &begin {
        InitialWeights::Adapter { lora, .. } => lora.parameters(&config),
        _ => parameters,
    };
    on(Event::Begins { memory, parameters, trained, step: state.step, steps: course.steps })?;
    let held_out = data.held_out();
    if validates && held_out.is_empty() {
        let fact = "so little data that nothing of it is held out: there is no validation; give a larger";
        notes.push(format!("{fact} `validation_share`"));
    }
    for note in notes {
        on(Event::Note(note))?;
    }

    let mut model = match begin {
        InitialWeights::Weights(tensors) => Model::load(device, config, &tensors)?,
        InitialWeights::Adapter { tensors, lora, seed } => {
            Model::adapt(device, config, &tensors, lora, seed)?
        }
        InitialWeights::Seed(seed) => Model::new(device, config, seed)?,
    };
    let team = Team::new(options.ranks, model.trained());
    let mut moments = Moments::new(&model, team.mine())?;
    let mut pass = Pass::new(&model, course.rows, course.recompute)?;
    let objective = match aim {
        ObjectiveKind::Likelihood => Objective::Likelihood { z: course.loss.z_loss as f32 },
        ObjectiveKind::Preferences { dpo, pairs } => {
            let (model, pass, data, team) = (&model, &mut pass, &data, &team);
            match (ReferenceJob { model, pass, data, pairs, team, options }).ask(on)? {
                Some(reference) => Objective::Preferences { dpo, reference },
                None => return Ok(Outcome { step: state.step, finished: false, metrics: Vec::new() }),
            }
        }
    };
    if let Some((folder, found)) = &resumed {
        checkpoints.load(folder, found, &mut model, &mut moments)?;
    }
    let run = Run {
        journal: first.then(|| Journal::open(out, state.step)).transpose()?,
        held_out,
        saved: resumed.map(|(_, state)| state.step),
        course,
        recipe,
        objective,
        data,
        checkpoints,
        model,
        moments,
        pass,
        state,
        team,
        stopping: false,
        peak: None,
        options,
    };
    run.go(on)
}
