//! `sai pretrain`: a model from a recipe and token shards.

use std::path::{Path, PathBuf};

use sai_decoder::Cpu;
use sai_trainer::{Options, Recipe};

use crate::interrupt::Interrupt;
use crate::ranks::Team;
use crate::run_watch::RunWatch;
use crate::ui::{Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai pretrain recipes/5m.toml --set data=packed/ --out run/
  sai pretrain recipes/5m.toml --set data=packed/ --set steps=4000 --set optimizer.learning_rate=1e-3 --out run2/
  sai pretrain run/recipe.toml --out run/ --resume       go on after Ctrl-C, a kill or a full disk
  sai generate -m run/model -p 'Once upon a time'";

/// Pretrain a model on token shards, from a recipe.
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
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,
}

impl Pretrain {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        Team::join()?.run(ui, |team, ui| self.train(team, ui))
    }

    /// One process's part of it; whether it was finished.
    fn train(&self, team: &Team, ui: &Ui) -> anyhow::Result<bool> {
        let recipe = Recipe::open(&self.recipe, &self.overrides)?;
        let (near, threads) = team.share(self.threads)?;
        let interrupt = Interrupt::install_with_term("")?;
        let options = Options {
            out: self.out.clone(),
            resume: self.resume,
            memory_limit: crate::models::memory::available().map(|free| free / near as u64),
            peak: Some(&|cpu: &Cpu| cpu.limits().f32_flops),
            stop: &|| interrupt.pending(),
            ranks: team.ranks(),
        };
        let amount = format!("{} tokens", Thousands(recipe.tokens()));
        let say = |path: &Path, prompt: &str| {
            sai_generation::continuation(path, prompt, recipe.sample_tokens, threads)
        };
        let mut watch = RunWatch::new(ui, "pretrain", self.out.clone(), amount, &recipe.samples, &say);
        let next = format!("sai generate -m {}", self.out.join("model").display());
        let device = Cpu::new(threads);
        let outcome =
            sai_trainer::pretrain(device, &recipe, &self.recipe, &options, &mut |event| watch.on(event));
        watch.end(outcome, &next)
    }
}
