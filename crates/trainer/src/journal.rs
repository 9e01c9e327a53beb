//! What a run writes on the way: a line and a few TensorBoard events for each step.

use crate::Error;
use crate::metrics::{Metrics, MetricsFile, Rewards};
use crate::tensorboard::EventFile;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The metrics of a run, in its folder and here.
pub(crate) struct Journal {
    path: PathBuf,
    file: MetricsFile,
    lines: Vec<Metrics>,
    events: EventFile,
}

impl Journal {
    /// That of the run in `out`, which goes on after `step`; what was written of later steps goes.
    pub(crate) fn open(out: &Path, step: u64) -> Result<Journal, Error> {
        let path = out.join("metrics.jsonl");
        let (file, lines) = MetricsFile::open(&path, step)?;
        let events = EventFile::create(&out.join("tensorboard"), step, now())?;
        Ok(Journal { path, file, lines, events })
    }

    /// Forgets what came after `step`.
    pub(crate) fn back_to(&mut self, step: u64) -> Result<(), Error> {
        (self.file, self.lines) = MetricsFile::open(&self.path, step)?;
        Ok(())
    }

    /// Writes what a step came to.
    pub(crate) fn add(&mut self, metrics: &Metrics) -> Result<(), Error> {
        self.file.push(metrics)?;
        let mut scalars = vec![
            ("train/loss".to_owned(), metrics.loss),
            ("train/grad_norm".to_owned(), metrics.grad_norm),
            ("train/learning_rate".to_owned(), metrics.learning_rate),
            ("speed/tokens_per_second".to_owned(), metrics.tokens_per_second),
        ];
        scalars.extend(rewards("rewards", "", metrics.rewards));
        for found in &metrics.validation {
            scalars.push((format!("validation/loss/{}", found.language), found.loss));
            scalars.push((format!("validation/bits_per_byte/{}", found.language), found.bits_per_byte));
            scalars.extend(rewards("validation/rewards", &format!("/{}", found.language), found.rewards));
        }
        self.events.scalars(now(), metrics.step, &scalars)?;
        self.lines.push(metrics.clone());
        Ok(())
    }

    /// Brings all lines to the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync()
    }

    /// A line for each step so far.
    pub(crate) fn lines(&self) -> &[Metrics] {
        &self.lines
    }

    /// The same, for good.
    pub(crate) fn into_lines(self) -> Vec<Metrics> {
        self.lines
    }
}

/// Rewards by the names that other programs give them.
fn rewards(of: &str, language: &str, rewards: Option<Rewards>) -> Vec<(String, f64)> {
    let Some(Rewards { chosen, rejected, margin, accuracy }) = rewards else { return Vec::new() };
    [("chosen", chosen), ("rejected", rejected), ("margins", margin), ("accuracies", accuracy)]
        .map(|(name, value)| (format!("{of}/{name}{language}"), value))
        .into()
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
