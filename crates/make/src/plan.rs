//! What would be done, why, for how long, and what it would take of the disk.

mod guess;

use crate::making::due;
use crate::manifest::{Manifest, Reason, StageRecord};
use crate::stages::RunContext;
use crate::{Error, Folder, MakeRecipe, Options, Stage};
use guess::Expected;
use sai_decoder::Cpu;
use sai_trainer::{Accelerator, BatchSize, Fleet, Length, Precision, Recipe};

/// The share of a processor's peak that training small models is taken to reach, where no run has shown another.
const SHARE: f64 = 0.3;
/// Tokens of a conversation, and bytes of one as a line of JSON that make a token, where nothing is known of them yet.
const TOKENS: u64 = 64;
const BYTES_A_TOKEN: f64 = 4.0;
/// Bytes of a checkpoint for each parameter: weights and two moments, in f32.
const CHECKPOINT: u64 = 12;

/// What is to be done with a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStage {
    /// Which.
    pub stage: Stage,
    /// Whether it is to be done.
    pub what: StageAction,
    /// How long it will take; none where nothing is known of it.
    pub time: Option<Estimate>,
    /// Bytes that its files take, or will take where it is not done yet; none where nothing is known of it.
    pub disk: Option<u64>,
}

/// Whether a stage is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum StageAction {
    /// It was, and nothing has changed.
    Kept,
    /// It is, for these reasons.
    Runs(Vec<Reason>),
    /// It is, if the files that this other one makes differ from those of before.
    Follows(Stage),
    /// It is not asked for.
    LeftOut,
}

impl StageAction {
    /// Whether there may be work.
    pub fn runs(&self) -> bool {
        matches!(self, StageAction::Runs(_) | StageAction::Follows(_))
    }
}

/// A guess at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Seconds.
    pub seconds: f64,
    /// Whether it took so long before; otherwise it is worked out from the recipe and the machine's peak.
    pub measured: bool,
}

/// Says what [`crate::make`] would do. Nothing is written.
///
/// # Errors
/// As of [`crate::make`], as far as they can be predicted.
pub fn plan(recipe: &MakeRecipe, options: &Options<'_>) -> Result<Vec<PlannedStage>, Error> {
    Folder::new(&options.out).own()?;
    let manifest = Manifest::open(&options.out)?.unwrap_or_else(|| Manifest::new(&recipe.name));
    of(recipe, options, &manifest)
}

pub(crate) fn of(
    recipe: &MakeRecipe,
    options: &Options<'_>,
    manifest: &Manifest,
) -> Result<Vec<PlannedStage>, Error> {
    let finished = |stage: Stage| manifest.stages.get(&stage).is_some_and(|made| made.finished);
    let mut passed_over = recipe.stages().filter(|&stage| options.from.is_some_and(|from| stage < from));
    if let Some(stage) = passed_over.find(|&stage| !finished(stage)) {
        return Err(Error::NotMade { folder: options.out.clone(), stage });
    }
    let folder = Folder::new(&options.out);
    let at = RunContext { recipe, folder: &folder, options, manifest };
    let mut planned: Vec<PlannedStage> = Vec::new();
    let mut speed = Speed { at: &at, peak: None };
    for stage in recipe.stages() {
        let first = options.from.is_some_and(|first| stage < first);
        let last = options.until.is_some_and(|last| stage > last);
        let needed = planned.iter().filter(|p| stage.needs().contains(&p.stage));
        let follows = needed.rev().find(|p| p.what.runs()).map(|p| p.stage);
        let made = manifest.stages.get(&stage);
        let what = match follows {
            _ if first || last => StageAction::LeftOut,
            Some(earlier) if made.is_some_and(|made| made.finished) => StageAction::Follows(earlier),
            Some(_) => StageAction::Runs(vec![Reason::New]),
            None => match due(&at, stage, options.from == Some(stage))?.reasons {
                reasons if reasons.is_empty() => StageAction::Kept,
                reasons => StageAction::Runs(reasons),
            },
        };
        let time = if what.runs() { speed.estimate(stage, made)? } else { None };
        let disk = match what {
            StageAction::LeftOut if made.is_none() => None,
            _ => disk(&at, stage, made)?,
        };
        planned.push(PlannedStage { stage, what, time, disk });
    }
    Ok(planned)
}

/// How fast this machine is.
struct Speed<'a> {
    at: &'a RunContext<'a>,
    /// Operations a second, once measured.
    peak: Option<f64>,
}

impl Speed<'_> {
    fn estimate(&mut self, stage: Stage, made: Option<&StageRecord>) -> Result<Option<Estimate>, Error> {
        let before = made.filter(|made| made.finished && made.seconds > 0.0);
        Ok(match (before, stage) {
            (Some(made), Stage::Pretrain) => {
                let said = |key: &str| made.settings.get(key).and_then(|value| value.parse::<f64>().ok());
                let then = said("steps").zip(said("batch_tokens")).map(|(steps, tokens)| steps * tokens);
                let now = self.at.recipe.pretrain(self.at.folder)?.tokens() as f64;
                let seconds = made.seconds * then.filter(|&then| then > 0.0).map_or(1.0, |then| now / then);
                Some(Estimate { seconds, measured: true })
            }
            (Some(made), _) => Some(Estimate { seconds: made.seconds, measured: true }),
            (None, Stage::Pretrain) => {
                let recipe = self.at.recipe.pretrain(self.at.folder)?;
                Some(Estimate { seconds: self.of_token(&recipe)? * recipe.tokens() as f64, measured: false })
            }
            (None, Stage::Finetune) => {
                let recipe = self.at.recipe.pretrain(self.at.folder)?;
                let tokens = finetune_tokens(self.at)?.filter(|&tokens| tokens > 0.0);
                let token = self.of_token(&recipe)?;
                tokens.map(|tokens| Estimate { seconds: token * tokens, measured: false })
            }
            (None, _) => {
                let token = if stage == Stage::Evaluate {
                    self.of_token(&self.at.recipe.pretrain(self.at.folder)?)?
                } else {
                    0.0
                };
                let seconds = Expected::of(self.at)?.seconds(self.at, stage, token)?;
                Some(Estimate { seconds, measured: false })
            }
        })
    }

    /// Seconds of a token of training.
    fn of_token(&mut self, recipe: &Recipe) -> Result<f64, Error> {
        let threads = self.at.options.threads;
        let peak = *self.peak.get_or_insert_with(|| Cpu::new(threads).limits().f32_flops);
        let share =
            sai_trainer::measured(&self.at.folder.stage(Stage::Pretrain)).map_or(SHARE, |m| m.peak_share);
        let device =
            Accelerator { name: "cpu".to_owned(), bf16_flops: 0.0, f32_flops: peak, memory: u64::MAX };
        let share = share.clamp(0.01, 1.0);
        let fleet = Fleet { device, count: 1, precision: Precision::F32, share, price: None };
        let planned = sai_trainer::plan(recipe, self.at.recipe.path(), fleet)?;
        Ok(1.0 / planned.tokens_per_second)
    }
}

/// About how many tokens fine-tuning reads; none where there are no conversations.
fn finetune_tokens(at: &RunContext<'_>) -> Result<Option<f64>, Error> {
    let recipe = at.recipe.finetune(at.folder)?;
    let sample = at.manifest.stages.get(&Stage::Sample);
    let files = sample.into_iter().flat_map(|made| &made.outputs);
    let bytes: u64 =
        files.filter(|(name, _)| name.contains("/conversations/")).map(|(_, file)| file.bytes).sum();
    let bytes =
        if sample.is_some_and(|made| made.finished) { bytes } else { Expected::of(at)?.conversations() };
    let step = match recipe.batch {
        BatchSize::Tokens(tokens) => tokens,
        BatchSize::Conversations(count) => count * TOKENS,
    };
    let answered = match recipe.length {
        Length::Steps(steps) => Some((steps * step) as f64),
        Length::Epochs(_) if bytes == 0 => None,
        Length::Epochs(epochs) => Some(epochs * bytes as f64 / BYTES_A_TOKEN),
    };
    let replayed = recipe.replay.map_or(0, |replay| replay.batch_tokens);
    Ok(answered.map(|tokens| tokens * (1.0 + replayed as f64 / step as f64)))
}

/// What a stage's files take, as far as it can be known.
fn disk(at: &RunContext<'_>, stage: Stage, made: Option<&StageRecord>) -> Result<Option<u64>, Error> {
    let recipe = at.recipe.pretrain(at.folder)?;
    let parameters = recipe.config(at.recipe.path())?.parameters();
    let checkpoints = |last: usize, best: usize| parameters * CHECKPOINT * (last + best) as u64;
    let dtype = at.recipe.dtype()?;
    Ok(match stage {
        Stage::Pretrain => Some(checkpoints(recipe.keep_last, recipe.keep_best)),
        Stage::Finetune => {
            let recipe = at.recipe.finetune(at.folder)?;
            Some(checkpoints(recipe.keep_last, recipe.keep_best))
        }
        Stage::Convert => Some(parameters * (4 + dtype.block_bytes() as u64)),
        _ => match made.filter(|made| made.finished) {
            Some(made) => Some(made.outputs.values().map(|file| file.bytes).sum()),
            None => Expected::of(at)?.disk(at, stage)?,
        },
    })
}
