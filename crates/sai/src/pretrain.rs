//! `sai pretrain`: a model from a recipe and token shards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sai_decoder::Cpu;
use sai_generation::{LoadOptions, Model, Request, Sampling, Session};
use sai_trainer::{Error, Event, Metrics, Options, Recipe, Sample};

use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::{Size, Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai pretrain recipes/5m.toml --set data=packed/ --out run/
  sai pretrain recipes/5m.toml --set data=packed/ --set steps=4000 --set optimizer.learning_rate=1e-3 --out run2/
  sai pretrain run/recipe.toml --out run/ --resume       go on after Ctrl-C, a kill or a full disk
  sai generate -m run/model -p 'Once upon a time'";

/// Train a model from a recipe.
///
/// The run's folder gets the resolved recipe, a line of metrics.jsonl for each step, TensorBoard files, and
/// checkpoints, of which `model` is the newest: a Hugging Face folder at any time. Ctrl-C and SIGTERM save and leave;
/// --resume goes on with the same bits.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Pretrain {
    /// Recipe (TOML)
    recipe: PathBuf,

    /// Folder of the run
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// Say a key of the recipe otherwise, as in optimizer.learning_rate=1e-3; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Go on from the newest checkpoint, where there is one
    #[arg(long)]
    resume: bool,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

impl Pretrain {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let recipe = Recipe::open(&self.recipe, &self.overrides)?;
        let interrupt = Interrupt::install_with_term("")?;
        let bar = ui.bar(recipe.steps, "pretrain");
        let options = Options {
            out: self.out.clone(),
            resume: self.resume,
            memory_limit: crate::models::memory::available(),
            peak: Some(&|cpu: &Cpu| cpu.limits().f32_flops),
            stop: &|| interrupt.pending(),
        };
        let device = Cpu::new(self.threads);
        let outcome = sai_trainer::pretrain(device, &recipe, &self.recipe, &options, &mut |event| {
            match event {
                Event::Begins { memory, parameters, step } => {
                    ui.note(format_args!(
                        "{} parameters · {} tokens in {} steps · {} of memory (activations {})",
                        Thousands(parameters),
                        Thousands(recipe.tokens()),
                        Thousands(recipe.steps),
                        Size(memory.total()),
                        Size(memory.activations),
                    ));
                    if step > 0 {
                        ui.note(format_args!("goes on after step {}", Thousands(step)));
                    }
                    bar.set_position(step);
                    bar.reset_eta();
                }
                Event::Step { metrics, left } => {
                    bar.set_position(metrics.step);
                    bar.set_message(format!(
                        "loss {:.4} · {:.0} tok/s",
                        metrics.loss, metrics.tokens_per_second
                    ));
                    if !metrics.validation.is_empty() {
                        bar.suspend(|| ui.note(validated(metrics, recipe.steps, left)));
                    }
                }
                Event::Saved { path, step } => {
                    for prompt in &recipe.samples {
                        match sample(path, prompt, recipe.sample_tokens, self.threads) {
                            Ok(text) => {
                                bar.suspend(|| ui.note(format_args!("  {prompt} ▸ {text}")));
                                sai_trainer::add_sample(
                                    &self.out,
                                    &Sample { step, prompt: prompt.clone(), text },
                                )?;
                            }
                            Err(e) => bar.suspend(|| ui.warn(format_args!("no sample of step {step}: {e}"))),
                        }
                    }
                }
                Event::Note(text) => bar.suspend(|| ui.warn(text)),
            }
            Ok::<(), Error>(())
        });
        bar.finish_and_clear();
        let outcome = outcome?;
        let model = self.out.join("model");
        if !outcome.finished {
            ui.note(format_args!(
                "interrupted and saved after step {}; go on with: sai pretrain {} --out {} --resume",
                Thousands(outcome.step),
                self.out.join("recipe.toml").display(),
                self.out.display()
            ));
            std::process::exit(EXIT_INTERRUPTED);
        }
        let loss = outcome.metrics.last().map_or(f64::NAN, |last| last.loss);
        ui.note(format_args!(
            "{} steps · loss {loss:.4} · {} · sai generate -m {}",
            Thousands(outcome.step),
            self.out.join("metrics.jsonl").display(),
            model.display()
        ));
        Ok(())
    }
}

/// A line about a validation: `step 200 of 2,000 · loss 4.1234 · ko 1.91 bits a byte · 12m left`.
fn validated(metrics: &Metrics, steps: u64, left: Duration) -> String {
    let mut line =
        format!("step {} of {} · loss {:.4}", Thousands(metrics.step), Thousands(steps), metrics.loss);
    for found in &metrics.validation {
        line += &format!(" · {} {:.3} bits a byte", found.language, found.bits_per_byte);
    }
    line + &format!(" · {} left", indicatif::HumanDuration(left))
}

/// What the checkpoint's model makes of a beginning.
fn sample(path: &Path, prompt: &str, tokens: usize, threads: usize) -> Result<String, sai_generation::Error> {
    let model = Model::open(path, &LoadOptions { threads, ..LoadOptions::default() })?;
    // As documents are opened in training.
    let mut opened: Vec<u32> = model.tokenizer.eos().first().copied().into_iter().collect();
    opened.extend(model.tokenizer.encode_plain(prompt));
    let request = Request {
        sampling: Sampling { temperature: 0.8, seed: 42, ..Sampling::default() },
        max_new_tokens: tokens,
        ..Request::default()
    };
    let mut session = Session::new(&model)?;
    let made = session.generate(&opened, &request, &mut |_| std::ops::ControlFlow::Continue(()))?;
    Ok(made.text)
}
