//! `sai sample`: what a small model is made from.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use sai_samples::{Count, Error, SampleRecipe, Sampled};

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

    /// Count broken lines and pass over them, instead of ending at the first
    #[arg(long)]
    skip_broken: bool,

    /// Print what was taken of each source as a JSON array
    #[arg(long)]
    json: bool,
}

impl Sample {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let mut recipe = SampleRecipe::open(&self.recipe)?;
        recipe.skip_broken |= self.skip_broken;
        let beside = self.near.as_deref().or(self.recipe.parent()).unwrap_or(Path::new("."));
        let threads = crate::cli::threads(self.threads);
        let bar = ui.bytes_bar(0, "sample");
        let mut sampled = Sampled::default();
        let taken = crate::watched::run(ui, bar.clone(), |progress| {
            let mut so_far = |at: sai_samples::Progress| {
                bar.set_length(at.total);
                progress(at.done)
            };
            let check = &sai_trainer::check_row;
            let flow = sai_samples::sample(&recipe, beside, &self.output, threads, check, &mut so_far)?;
            anyhow::Ok(flow.map_continue(|found| sampled = found))
        });
        taken.map_err(advise)?;
        let Sampled { counts, passed_over, left_out } = sampled;
        if let Some(names) = sai_documents::file_names(&left_out) {
            ui.note(format_args!("not read, for they are no documents: {names}"));
        }
        if passed_over > 0 {
            let count = Thousands(passed_over);
            ui.warn(format_args!("{count} lines were passed over: broken, or their text is null"));
        }
        report(ui, &counts);
        ui.note(format_args!("{}: written", self.output.display()));
        if self.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string(&counts)?)?;
        }
        Ok(())
    }
}

/// Says of broken lines which flag helps.
fn advise(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(Error::Documents(sai_documents::Error::Broken { path, place, fact, .. })) => {
            let path = path.display();
            anyhow!("{path}: {place}: {fact}; mend it, or pass over what is broken with --skip-broken")
        }
        _ => error,
    }
}

fn report(ui: &Ui, counts: &[Count]) {
    for Count { kind, source, lang, license, taken, bytes, held_out } in counts {
        let (taken, held_out, size) = (Thousands(*taken), Thousands(*held_out), Size(*bytes));
        ui.note(format_args!("{lang} {kind}: {taken}, {size}, {held_out} held out · {source} · {license}"));
    }
}
