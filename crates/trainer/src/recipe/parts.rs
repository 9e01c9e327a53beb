//! The sections that recipes share, and how a value is judged.

use super::keys::KeyPositions;
use super::{Loss, OnBadLoss, Optimizer, Schedule, ScheduleKind, Warmup};
use crate::Error;
use serde::Deserialize;
use std::path::Path;

#[derive(Default, Deserialize)]
pub(super) struct FileOptimizer {
    learning_rate: Option<f64>,
    beta1: Option<f64>,
    beta2: Option<f64>,
    eps: Option<f64>,
    weight_decay: Option<f64>,
    clip: Option<f64>,
}

#[derive(Default, Deserialize)]
pub(super) struct FileSchedule {
    kind: Option<ScheduleKind>,
    warmup_steps: Option<u64>,
    warmup_share: Option<f64>,
    min_share: Option<f64>,
    decay_share: Option<f64>,
}

#[derive(Default, Deserialize)]
pub(super) struct FileLoss {
    z_loss: Option<f64>,
    on_nan: Option<OnBadLoss>,
    on_leap: Option<OnBadLoss>,
    leap: Option<f64>,
}

impl FileSchedule {
    /// Whether a person said how long to warm up.
    pub(super) fn says_warmup(&self) -> bool {
        self.warmup_steps.is_some() || self.warmup_share.is_some()
    }
}

/// The largest number that is no whole one.
const BELOW_ONE: f64 = 1.0 - f64::EPSILON;

/// What filling up needs to name a key's place.
pub(super) struct Resolving<'p> {
    pub(super) path: &'p Path,
    pub(super) places: KeyPositions,
}

impl Resolving<'_> {
    pub(super) fn optimizer(&self, o: &FileOptimizer, rate: f64, decay: f64) -> Result<Optimizer, Error> {
        let rate = o.learning_rate.unwrap_or(rate);
        Ok(Optimizer {
            learning_rate: self.within("optimizer.learning_rate", rate, f64::MIN_POSITIVE, 10.0)?,
            beta1: self.within("optimizer.beta1", o.beta1.unwrap_or(0.9), 0.0, BELOW_ONE)?,
            beta2: self.within("optimizer.beta2", o.beta2.unwrap_or(0.95), 0.0, BELOW_ONE)?,
            eps: self.within("optimizer.eps", o.eps.unwrap_or(1e-8), f64::MIN_POSITIVE, 1.0)?,
            weight_decay: self.within(
                "optimizer.weight_decay",
                o.weight_decay.unwrap_or(decay),
                0.0,
                10.0,
            )?,
            clip: self.within("optimizer.clip", o.clip.unwrap_or(1.0), 0.0, f64::MAX)?,
        })
    }

    /// `steps` where the run's length is known already.
    pub(super) fn schedule(&self, s: &FileSchedule, steps: Option<u64>) -> Result<Schedule, Error> {
        let warmup = match (s.warmup_steps, s.warmup_share, steps) {
            (Some(_), Some(_), _) => {
                let fact = "`warmup_steps` and `warmup_share` both say how long to warm up; give one";
                return Err(self.wrong("schedule.warmup_share", fact));
            }
            (Some(warmup), ..) => Warmup::Steps(warmup),
            (None, Some(share), _) => {
                Warmup::Share(self.within("schedule.warmup_share", share, 0.0, 0.99)?)
            }
            (None, None, Some(steps)) => Warmup::Steps((steps / 20).min(2000)),
            (None, None, None) => Warmup::Share(0.03),
        };
        if let Some(fact) = steps.and_then(|steps| warmup.wrong(steps)) {
            return Err(self.wrong("schedule.warmup_steps", fact));
        }
        Ok(Schedule {
            kind: s.kind.unwrap_or(ScheduleKind::Cosine),
            warmup,
            min_share: self.within("schedule.min_share", s.min_share.unwrap_or(0.1), 0.0, 1.0)?,
            decay_share: self.within("schedule.decay_share", s.decay_share.unwrap_or(0.2), 0.0, 1.0)?,
        })
    }

    pub(super) fn loss(&self, l: &FileLoss) -> Result<Loss, Error> {
        Ok(Loss {
            z_loss: self.within("loss.z_loss", l.z_loss.unwrap_or(0.0), 0.0, 1.0)?,
            on_nan: l.on_nan.unwrap_or(OnBadLoss::Stop),
            on_leap: l.on_leap.unwrap_or(OnBadLoss::Ignore),
            leap: self.within("loss.leap", l.leap.unwrap_or(2.0), 0.0, f64::MAX)?,
        })
    }

    pub(super) fn sample_tokens(&self, said: Option<usize>, context: usize) -> Result<usize, Error> {
        if said.is_some_and(|tokens| tokens >= context) {
            let fact = format!("`sample_tokens` do not fit into a context of {context}");
            return Err(self.wrong("sample_tokens", fact));
        }
        Ok(said.unwrap_or(64.min(context / 2)))
    }

    pub(super) fn share(&self, key: &str, path: &Path, share: f64) -> Result<(), Error> {
        if share.is_finite() && share > 0.0 {
            return Ok(());
        }
        let fact = format!("the share of {} is {share}; it is to be above 0", path.display());
        Err(self.wrong(key, fact))
    }

    pub(super) fn at_least_one(&self, key: &str, value: u64) -> Result<u64, Error> {
        // Past this, TOML and JSON have no such integer.
        if value == 0 || value > i64::MAX as u64 {
            return Err(self.wrong(key, format!("`{key}` is {value}; it is to be at least 1")));
        }
        Ok(value)
    }

    pub(super) fn within(&self, key: &str, value: f64, least: f64, most: f64) -> Result<f64, Error> {
        if !(least..=most).contains(&value) {
            let from = if least == f64::MIN_POSITIVE { "above 0".to_owned() } else { format!("{least:?}") };
            let to = match most {
                f64::MAX => String::new(),
                BELOW_ONE => " to below 1".to_owned(),
                most => format!(" to {most:?}"),
            };
            return Err(self.wrong(key, format!("`{key}` is {value:?}; it is to be {from}{to}")));
        }
        Ok(value)
    }

    pub(super) fn wrong(&self, key: &str, fact: impl Into<String>) -> Error {
        self.places.wrong(self.path, key, fact)
    }
}
