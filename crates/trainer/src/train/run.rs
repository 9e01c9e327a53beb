//! The loop: steps, and what is written after each.

use super::step::Made;
use super::{Event, Options, Outcome};
use crate::Error;
use crate::batch::{Data, HeldOut};
use crate::checkpoint::{Checkpoints, State};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::objective::Objective;
use crate::ranks::Team;
use crate::report::report;
use crate::schedule::learning_rate;
use crate::training_arguments::TrainingArguments;
use sai_decoder::TokenCost;
use sai_decoder::training::{AdamW, Model, Moments, Pass, Training};
use std::time::{Duration, Instant};

/// Losses against which a leap is told.
pub(super) const RECENT: usize = 32;
/// Training time after which the machine's peak is worth its measuring.
const PEAK_AFTER: f64 = 20.0;

/// A run that is under way.
pub(super) struct Run<'r, D: Training, S> {
    pub(super) course: TrainingArguments,
    /// As TOML.
    pub(super) recipe: String,
    pub(super) options: &'r Options<'r, D>,
    pub(super) objective: Objective,
    pub(super) data: S,
    pub(super) held_out: Vec<HeldOut>,
    pub(super) checkpoints: Checkpoints,
    pub(super) model: Model<D>,
    pub(super) moments: Moments<D>,
    pub(super) pass: Pass<D>,
    pub(super) state: State,
    /// The step of the newest checkpoint.
    pub(super) saved: Option<u64>,
    /// What is written on the way, on the first rank.
    pub(super) journal: Option<Journal>,
    pub(super) team: Team<'r>,
    /// Whether a rank was told to stop, as all know.
    pub(super) stopping: bool,
    /// Operations a second that the devices of all ranks reach, once measured.
    pub(super) peak: Option<f64>,
}

impl<D: Training, S: Data> Run<'_, D, S> {
    pub(super) fn go(mut self, on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>) -> Result<Outcome, Error> {
        while self.state.step < self.course.steps && !self.stops() {
            let (began, position) = (Instant::now(), self.state.position.clone());
            let Some(summed) = self.accumulate()? else {
                self.state.position = position;
                self.model.clear_gradients();
                break;
            };
            // Here the gradients of this rank's parameters are complete: of the sum of all rows' losses.
            let mean = 1.0 / summed.sums.of.max(1) as f64;
            let norm = self.team.norm(&self.model)? * mean;
            let made = Made { loss: summed.sums.mean(), norm, summed };
            if let Some(bad) = self.judge(&made) {
                self.deal_with(bad, &made, on)?;
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
    pub(super) fn stops(&self) -> bool {
        self.stopping || self.team.alone() && (self.options.stop)()
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
        let whole = TokenCost::training_operations(&self.model.config, rows, made.summed.pairs);
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
            rewards: made.summed.sums.preferred.rewards(),
            validation,
        };
        let left = (steps - step) as f64 * self.state.seconds / step as f64;
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        if let Some(journal) = &mut self.journal {
            journal.add(&metrics)?;
        }
        on(Event::Step { metrics: &metrics, left })
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
