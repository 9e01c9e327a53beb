//! `sai corpus build`: from sources to a clean corpus.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use sai_corpus::{Error, Manifest, Options, Outcome, Perplexity, Plan, Progress, Recipe, Source, Step};

use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::{Size, Thousands, Ui, one_line};

const EXAMPLES: &str = "\
Examples:
  sai corpus build recipes/corpus-sample.toml -o corpus/
  sai corpus build web.toml -o corpus/ --memory 8GB
  sai corpus build web.toml -o corpus/ --only map --shard $SLURM_ARRAY_TASK_ID/100

The folder is what `sai tokenizer train`, `sai tokenizer pack` and `sai make` read. docs/corpus.md explains recipes.";

/// Build a clean corpus: text, rules, duplicates, mixture, by a recipe.
///
/// A build that was stopped or killed goes on where it was, and makes the same bytes on any number of threads and shards.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Build {
    /// Recipe (TOML); its inputs are relative to it
    recipe: PathBuf,

    /// Folder of the corpus; one that a build was begun in goes on
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Folder that relative inputs are in; the recipe's where not given
    #[arg(long, value_name = "DIR")]
    near: Option<PathBuf>,

    /// Threads; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Memory that what grows with the corpus may take
    #[arg(long, default_value = "2GB", value_name = "BYTES", value_parser = crate::tokenizer::documents::bytes)]
    memory: u64,

    /// Do only this share of the first and of the last step: I of N, from 0
    #[arg(long, value_name = "I/N", value_parser = share)]
    shard: Option<(usize, usize)>,

    /// Do only this step
    #[arg(long, value_enum, value_name = "STEP")]
    only: Option<Only>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Only {
    /// Records become clean documents and keys
    Map,
    /// Keys meet, and of documents that are alike one stays
    Keys,
    /// What stays is mixed and written
    Write,
}

/// Which of how many shares.
fn share(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(at, of)| Some((at.parse().ok()?, of.parse().ok()?)));
    match parsed {
        Some((at, of)) if at < of => Ok((at, of)),
        _ => Err(format!("`{text}` is no share; give one such as 0/8, the first of eight, to 7/8")),
    }
}

impl Build {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let recipe = Recipe::open(&self.recipe)?;
        let near = self.near.as_deref().or(self.recipe.parent()).unwrap_or(Path::new("."));
        let perplexity = perplexity(&recipe, near, ui)?;
        let plan = Plan::new(recipe, near, &self.output, &mut |source| fetch(source, ui))?;
        if let Some(names) = sai_documents::file_names(&plan.left_out) {
            ui.note(format_args!("not read, for they are no documents: {names}"));
        }
        let files: usize = plan.units.iter().map(|unit| unit.files.len()).sum();
        say_disk(ui, &plan, files);
        let options = Options {
            threads: crate::cli::threads(self.threads),
            memory: self.memory,
            share: self.shard.unwrap_or((0, 1)),
            only: self.only.map(|only| match only {
                Only::Map => Step::Map,
                Only::Keys => Step::Keys,
                Only::Write => Step::Write,
            }),
            perplexity,
        };
        let interrupt = Interrupt::install_with_term("")?;
        let bar = Mutex::new((ui.bytes_bar(0, "read"), Step::Map));
        let watch = |progress: Progress| {
            show(&bar, ui, progress);
            if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let outcome = plan.build(&options, &watch);
        if let Ok((bar, _)) = bar.into_inner() {
            bar.finish_and_clear();
        }
        let output = self.output.display();
        match outcome? {
            Outcome::Whole(manifest) => say(ui, &manifest, &self.output),
            Outcome::Part { step, missing } => {
                // What was asked for could not begin: a scheduler is not to think that it is done.
                if options.only.is_some_and(|only| only > step) {
                    bail!("{output}: {}", waits(step, missing));
                }
                ui.note(format_args!("{output}: done; {}", waits(step, missing)));
            }
            Outcome::Interrupted => {
                ui.note(format_args!("interrupted; the same command goes on in {output}"));
                std::process::exit(EXIT_INTERRUPTED);
            }
        }
        Ok(())
    }
}

/// What a build still waits for.
fn waits(step: Step, missing: usize) -> String {
    match step {
        Step::Map => format!("{missing} units of the first step are to come (--only map)"),
        Step::Keys => "the duplicates are to come (--only keys, in one process)".to_owned(),
        Step::Write => format!("{missing} shards of the last step are to come (--only write)"),
    }
}

/// Says how much of the disk a build takes, before it does.
fn say_disk(ui: &Ui, plan: &Plan, files: usize) {
    let folder = plan.folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let (need, size) = (plan.disk(), Size(plan.bytes()));
    let files = Thousands(files as u64);
    match crate::doctor::free_bytes(folder) {
        Some(free) if free < need => ui.warn(format_args!(
            "{files} files, {size}: a build takes about {} of the disk, and {} are free; name a folder on another one with -o",
            Size(need),
            Size(free)
        )),
        Some(free) => {
            ui.note(format_args!("{files} files, {size}; a build takes about {} of the disk, {} are free", Size(need), Size(free)));
        }
        None => ui.note(format_args!("{files} files, {size}; a build takes about {} of the disk", Size(need))),
    }
}

/// A bar for each step.
fn show(bar: &Mutex<(ProgressBar, Step)>, ui: &Ui, progress: Progress) {
    let Ok(mut bar) = bar.lock() else { return };
    if bar.1 != progress.step {
        bar.0.finish_and_clear();
        let what = match progress.step {
            Step::Map => "read",
            Step::Keys => "duplicates",
            Step::Write => "write",
        };
        *bar = (ui.bytes_bar(progress.total, what), progress.step);
    }
    bar.0.set_length(progress.total);
    bar.0.set_position(progress.done);
}

/// What became of everything, a line a step.
fn say(ui: &Ui, manifest: &Manifest, folder: &Path) {
    let faults = &manifest.rules.faults;
    for (kind, count) in &faults.broken {
        ui.warn(format_args!("{} × {kind}", Thousands(*count)));
    }
    for flow in &manifest.flow {
        let mut dropped: Vec<_> = flow.dropped.iter().filter(|(_, count)| count.documents > 0).collect();
        dropped.sort_by_key(|(reason, count)| (std::cmp::Reverse(count.documents), reason));
        let said: Vec<String> = dropped
            .iter()
            .take(4)
            .map(|(reason, count)| format!("{} {reason}", Thousands(count.documents)))
            .collect();
        let more = if dropped.len() > 4 { " and others" } else { "" };
        let gone =
            if said.is_empty() { String::new() } else { format!(" · dropped {}{more}", said.join(", ")) };
        ui.note(format_args!(
            "{:<10} {} documents, {}{gone}",
            flow.step,
            Thousands(flow.left.documents),
            Size(flow.left.bytes)
        ));
    }
    for share in manifest.shares.iter().filter(|share| share.short) {
        let name = [&share.source, &share.lang].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        ui.warn(format_args!("there is not enough of the share {name}: {} are taken", Size(share.taken)));
    }
    if !manifest.recipe.decontamination.sets.is_empty() && manifest.contaminated == 0 {
        ui.note("no text of an evaluation set was found");
    }
    let folder = folder.display();
    ui.note(format_args!(
        "{folder}: {} documents, {} of text in {} shards · sai corpus report {folder}",
        Thousands(manifest.written.documents),
        Size(manifest.written.bytes),
        manifest.shards.len()
    ));
}

/// The local files of a data set of the Hub.
pub(super) fn fetch(source: &Source, ui: &Ui) -> Result<Vec<PathBuf>, Error> {
    let files = || -> anyhow::Result<Vec<PathBuf>> {
        let id = source.hub.as_deref().unwrap_or_default();
        let dataset = crate::models::dataset(id, ui)?;
        let pattern = source.files.as_deref().unwrap_or("*");
        let pattern = glob::Pattern::new(pattern)
            .map_err(|e| anyhow!("source `{}`: `{pattern}` is no pattern of files: {e}", source.name))?;
        let names: Vec<String> = dataset
            .files()
            .map(|(name, _)| name)
            .filter(|name| pattern.matches(name))
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            let there: Vec<&str> = dataset.files().map(|(name, _)| name).take(5).collect();
            bail!(
                "source `{}`: {id} has no file like {pattern}; it has {}, … (name others with `files`)",
                source.name,
                there.join(", ")
            );
        }
        dataset.fetch(&names, ui)
    };
    files().map_err(|error| Error::Fetch(one_line(&error)))
}

/// Opens the models whose perplexity the rules ask for.
pub(super) fn perplexity(recipe: &Recipe, near: &Path, ui: &Ui) -> anyhow::Result<Option<Arc<Perplexity>>> {
    /// Tokens that are read at once.
    const WINDOW: usize = 512;
    let mut models = Vec::new();
    for set in &recipe.clean {
        let Some(name) = &set.perplexity else {
            if set.rules.max_perplexity.is_some() {
                bail!(
                    "the rules for {} have max_perplexity and no model; name one as `perplexity`",
                    set.name()
                );
            }
            models.push(None);
            continue;
        };
        let beside = near.join(name);
        let asked = if beside.exists() { beside.to_string_lossy().into_owned() } else { name.clone() };
        let source = crate::models::locate(&asked, ui)?;
        let model = sai_generation::Model::open(source, &sai_generation::LoadOptions::default())?;
        models.push(Some(Mutex::new(model)));
    }
    if models.iter().all(Option::is_none) {
        return Ok(None);
    }
    Ok(Some(Arc::new(move |set: usize, text: &str| {
        let model = models.get(set)?.as_ref()?.lock().ok()?;
        let window = WINDOW.min(model.context);
        let on = &mut |_: &sai_generation::CrossEntropy| ControlFlow::Continue(());
        match sai_generation::cross_entropy(&model, std::iter::once(text), window, on) {
            Ok(ControlFlow::Continue(found)) if found.tokens > 0 => Some(found.perplexity() as f32),
            _ => None,
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one_of_several_from_0() {
        assert_eq!(share("0/1"), Ok((0, 1)));
        assert_eq!(share("99/100"), Ok((99, 100)));
        for wrong in ["1", "8/8", "1/0", "-1/2", "a/b", ""] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
