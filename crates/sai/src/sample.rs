//! `sai sample`: what a small model is made from.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use sai_corpus::{Count, SampleRecipe};

use crate::ui::{Size, Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai sample recipes/mini.toml -o sample/
  sai sample recipes/nano.toml -o sample/ --json > counts.json

`[sample]` of the recipe says what is drawn and made; docs/mini.md explains it.";

/// Sample a training corpus: documents and conversations drawn from files, and others made by rule.
///
/// The folder has `documents`, `conversations`, and `held-out`, which is never trained on. The same recipe and files
/// make the same bytes.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sample {
    /// Recipe (TOML) with a table `[sample]`; its inputs are relative to it
    recipe: PathBuf,

    /// Folder to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Folder that relative inputs are in; the recipe's where not given
    #[arg(long, value_name = "DIR")]
    near: Option<PathBuf>,

    /// Threads to read on; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Print what was taken of each source as a JSON array
    #[arg(long)]
    json: bool,
}

impl Sample {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let recipe = SampleRecipe::open(&self.recipe)?;
        let beside = self.near.as_deref().or(self.recipe.parent()).unwrap_or(Path::new("."));
        let threads = crate::cli::threads(self.threads);
        let bar = ui.bytes_bar(0, "sample");
        let mut counts = Vec::new();
        crate::watched::run(ui, bar.clone(), |progress| {
            let sampled = sai_corpus::sample(&recipe, beside, &self.output, threads, &mut |at| {
                bar.set_length(at.total);
                progress(at.done)
            })?;
            anyhow::Ok(match sampled {
                ControlFlow::Continue(taken) => {
                    counts = taken;
                    ControlFlow::Continue(())
                }
                ControlFlow::Break(()) => ControlFlow::Break(()),
            })
        })?;
        report(ui, &counts);
        ui.note(format_args!("{}: written", self.output.display()));
        if self.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string(&counts)?)?;
        }
        Ok(())
    }
}

fn report(ui: &Ui, counts: &[Count]) {
    for Count { kind, source, lang, license, taken, bytes, held_out } in counts {
        let (taken, held_out, size) = (Thousands(*taken), Thousands(*held_out), Size(*bytes));
        ui.note(format_args!("{lang} {kind}: {taken}, {size}, {held_out} held out · {source} · {license}"));
    }
}
