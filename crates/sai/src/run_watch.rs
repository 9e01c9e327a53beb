//! What a person sees of a training run.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use sai_trainer::{Error, Event, Metrics, Outcome, Sample};

use crate::terminal::clean::visible;
use crate::ui::{Size, Thousands, Ui};

/// A run on the screen: its bar, notices, and samples of what the model says.
pub(crate) struct RunWatch<'w> {
    pub(crate) ui: &'w Ui,
    /// `pretrain` or `finetune`.
    pub(crate) verb: &'static str,
    /// The run's folder.
    pub(crate) out: PathBuf,
    /// What is trained on, as in `4,096,000 tokens`.
    pub(crate) amount: String,
    /// What the model is given at each checkpoint.
    pub(crate) samples: &'w [String],
    /// What the model at a path makes of it.
    pub(crate) say: &'w dyn Fn(&Path, &str) -> Result<String, sai_generation::Error>,
    bar: ProgressBar,
    /// While the starting model is asked about pairs.
    reference: Option<ProgressBar>,
    steps: u64,
}

impl<'w> RunWatch<'w> {
    pub(crate) fn new(
        ui: &'w Ui,
        verb: &'static str,
        out: PathBuf,
        amount: String,
        samples: &'w [String],
        say: &'w dyn Fn(&Path, &str) -> Result<String, sai_generation::Error>,
    ) -> Self {
        Self { ui, verb, out, amount, samples, say, bar: ui.steps_bar(verb), reference: None, steps: 0 }
    }

    /// Shows an event, and answers the sample questions of a checkpoint.
    ///
    /// # Errors
    /// The disk refuses a sample.
    pub(crate) fn on(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Begins { memory, parameters, trained, step, steps } => {
                let of =
                    if trained == parameters { String::new() } else { format!("{} of ", Thousands(trained)) };
                self.ui.note(format_args!(
                    "{of}{} parameters · {} in {} steps\n{} of memory, {} of it activations",
                    Thousands(parameters),
                    self.amount,
                    Thousands(steps),
                    Size(memory.total()),
                    Size(memory.activations),
                ));
                if step > 0 {
                    self.ui.note(format_args!("goes on after step {}", Thousands(step)));
                }
                self.steps = steps;
                self.bar.set_length(steps);
                self.bar.set_position(step);
            }
            Event::Reference { done, of } => {
                let bar = self.reference.get_or_insert_with(|| self.ui.bar(of, "reference"));
                bar.set_position(done);
            }
            Event::Step { metrics, left } => {
                if let Some(bar) = self.reference.take() {
                    bar.finish_and_clear();
                }
                self.bar.set_position(metrics.step);
                self.bar.set_prefix(format!("{} left", indicatif::HumanDuration(left)));
                let right = metrics.rewards.map(|r| format!(" · {:.0} % right", 100.0 * r.accuracy));
                self.bar.set_message(format!(
                    "loss {:.4}{} · {:.0} tok/s",
                    metrics.loss,
                    right.unwrap_or_default(),
                    metrics.tokens_per_second
                ));
                if !metrics.validation.is_empty() {
                    self.bar.suspend(|| self.ui.note(validated(metrics, self.steps, left)));
                }
            }
            Event::Saved { path, step } => {
                for prompt in self.samples {
                    self.sample(path, step, prompt)?;
                }
            }
            Event::Note(text) => self.bar.suspend(|| self.ui.warn(text)),
        }
        Ok(())
    }

    fn sample(&self, path: &Path, step: u64, prompt: &str) -> Result<(), Error> {
        match (self.say)(path, prompt) {
            Ok(text) => {
                // On one line, and nothing that a terminal would obey: a half-trained model says anything.
                let [shown_prompt, shown] = [prompt, &text].map(|text| visible(text).replace('\n', "⏎"));
                self.bar.suspend(|| self.ui.note(format_args!("  {shown_prompt} ▸ {shown}")));
                sai_trainer::add_sample(&self.out, &Sample { step, prompt: prompt.to_owned(), text })
            }
            Err(e) => {
                self.bar.suspend(|| self.ui.warn(format_args!("no sample of step {step}: {e}")));
                Ok(())
            }
        }
    }

    /// The last words of a run, with what to do next: `next` is the command. Returns whether it was finished, not
    /// interrupted.
    pub(crate) fn end(self, outcome: Result<Outcome, Error>, next: &str) -> anyhow::Result<bool> {
        self.bar.finish_and_clear();
        if let Some(bar) = self.reference {
            bar.finish_and_clear();
        }
        let go_on = format!(
            "go on with: sai {} {} --out {} --resume",
            self.verb,
            self.out.join("recipe.toml").display(),
            self.out.display()
        );
        let outcome = match outcome {
            Err(error) if is_full(&error) => {
                return Err(anyhow::anyhow!("{error}; older checkpoints are whole; make room, then {go_on}"));
            }
            outcome => outcome?,
        };
        if !outcome.finished {
            self.ui
                .note(format_args!("interrupted and saved after step {}; {go_on}", Thousands(outcome.step)));
            return Ok(false);
        }
        let loss = outcome.metrics.last().map_or(f64::NAN, |last| last.loss);
        self.ui.note(format_args!(
            "{} steps · loss {loss:.4} · {} · {next}",
            Thousands(outcome.step),
            self.out.join("metrics.jsonl").display()
        ));
        Ok(true)
    }
}

/// Whether the disk, or what one may write to it, is full.
fn is_full(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        let kind = at.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) = kind {
            return true;
        }
        cause = at.source();
    }
    false
}

/// A line about a validation: `step 200 of 2,000 · loss 4.1234 · ko 1.91 bits a byte · 12m left`.
fn validated(metrics: &Metrics, steps: u64, left: Duration) -> String {
    let mut line =
        format!("step {} of {} · loss {:.4}", Thousands(metrics.step), Thousands(steps), metrics.loss);
    for found in &metrics.validation {
        line += &match &found.rewards {
            None => format!(" · {} {:.3} bits a byte", found.language, found.bits_per_byte),
            Some(r) => format!(" · {} {:.0} % right by {:.3}", found.language, 100.0 * r.accuracy, r.margin),
        };
    }
    line + &format!(" · {} left", indicatif::HumanDuration(left))
}
