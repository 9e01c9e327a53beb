//! What pretraining and fine-tuning have in common: how a run is told of, and what it leaves.

use super::{RunContext, StageOutcome};
use crate::event::StageContext;
use crate::{Error, Stage, files};
use sai_decoder::Cpu;
use sai_trainer::{Event, One, Options, Outcome, Sample};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The files of a trained model that the next stages read; what the folder has besides is for going on.
const MODEL: [&str; 8] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
];

/// What the model in a folder says to a prompt.
pub(super) type Says<'s> = &'s dyn Fn(&Path, &str) -> Result<String, sai_generation::Error>;

/// A training of a stage.
pub(super) struct Run<'r> {
    pub(super) at: &'r RunContext<'r>,
    pub(super) stage: Stage,
    pub(super) samples: &'r [String],
    pub(super) says: Says<'r>,
}

/// Hears what happens in a training.
type On<'o> = &'o mut dyn FnMut(Event<'_>) -> Result<(), sai_trainer::Error>;

impl Run<'_> {
    /// Has it trained, from its newest checkpoint where there is one.
    pub(super) fn follow(
        &self,
        told: &mut StageContext<'_>,
        train: impl FnOnce(&Options<'_, Cpu>, On<'_>) -> Result<Outcome, sai_trainer::Error>,
    ) -> Result<ControlFlow<(), StageOutcome>, Error> {
        let out = self.at.folder.stage(self.stage);
        let stop = told.stop;
        let options = Options {
            out: out.clone(),
            resume: true,
            memory_limit: self.at.options.memory,
            peak: Some(&|cpu: &Cpu| cpu.limits().f32_flops),
            stop: &|| stop(),
            ranks: &One::default(),
        };
        let told = RefCell::new(told);
        let mut total = 0;
        let outcome = train(&options, &mut |event| {
            let told = &mut *told.borrow_mut();
            match event {
                Event::Begins { parameters, step, steps, .. } => {
                    total = steps;
                    told.note(&format!("{parameters} parameters, {steps} steps"));
                    if step > 0 {
                        told.note(&format!("goes on after step {step}"));
                    }
                }
                Event::Reference { done, of } => {
                    let _ = told.of(done, of, "pairs that the starting model was asked about");
                }
                Event::Step { metrics, .. } => {
                    let now = format!("loss {:.3} · {:.0} tok/s", metrics.loss, metrics.tokens_per_second);
                    // Training asks for itself whether to stop.
                    let _ = told.of(metrics.step, total, &now);
                }
                Event::Saved { path, step } => return self.sample(&out, path, step, told),
                Event::Note(text) => told.warn(&text),
            }
            Ok(())
        })?;
        if !outcome.finished {
            return Ok(ControlFlow::Break(()));
        }
        let loss = outcome.metrics.last().map_or(f64::NAN, |last| last.loss);
        let mut summary = format!("{} steps, loss {loss:.3}", outcome.step);
        let validated = outcome.metrics.iter().rev().find(|metrics| !metrics.validation.is_empty());
        for found in validated.iter().flat_map(|metrics| &metrics.validation) {
            summary += &format!(", {} {:.2} bits a byte", found.language, found.bits_per_byte);
        }
        let root = self.at.folder.root();
        let files = model_files(&self.at.folder.trained(self.stage));
        let beside = ["metrics.jsonl", "samples.jsonl"].map(|name| out.join(name));
        let all = files.into_iter().chain(beside.into_iter().filter(|path| path.is_file()));
        Ok(ControlFlow::Continue(StageOutcome {
            outputs: all.map(|path| files::name(root, &path)).collect(),
            summary,
        }))
    }

    /// Asks a checkpoint's model what it says now.
    fn sample(
        &self,
        out: &Path,
        path: &Path,
        step: u64,
        told: &mut StageContext<'_>,
    ) -> Result<(), sai_trainer::Error> {
        for prompt in self.samples {
            match (self.says)(path, prompt) {
                Ok(text) => {
                    told.note(&format!("after step {step}: {prompt} ▸ {text}"));
                    sai_trainer::add_sample(out, &Sample { step, prompt: prompt.clone(), text })?;
                }
                Err(e) => told.warn(&format!("no sample of step {step}: {e}")),
            }
        }
        Ok(())
    }
}

/// The files of the model in a checkpoint's folder.
pub(super) fn model_files(folder: &Path) -> Vec<PathBuf> {
    let names = MODEL.into_iter().chain(["chat_template.jinja"]);
    names.map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}
