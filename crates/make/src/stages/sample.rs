//! `sai sample`: documents, held-out documents and conversations.

use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::{Error, Stage, files};
use sai_corpus::{Progress, sample};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let recipe = at.recipe.sample()?;
    let table = toml::Table::try_from(&recipe).unwrap_or_default();
    let mut job = StageJob::default().table(&table, |_| true);
    let drawn = recipe.documents.iter().map(|entry| &entry.input);
    let said = recipe.conversations.iter().map(|entry| &entry.input);
    for inputs in drawn.chain(said).chain(recipe.rules.iter().map(|rules| &rules.files)) {
        let inputs: Vec<String> =
            inputs.iter().map(|input| near(at).join(input).to_string_lossy().into_owned()).collect();
        job.inputs.extend(sai_corpus::find(&inputs)?);
    }
    job.inputs.sort();
    job.inputs.dedup();
    Ok(job)
}

/// The folder that a recipe's inputs are named from: its own.
pub(crate) fn near(at: &RunContext<'_>) -> PathBuf {
    at.recipe.path().parent().map(Path::to_owned).unwrap_or_default()
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let out = at.folder.stage(Stage::Sample);
    // What was left by a run that was stopped is begun anew: it takes seconds.
    files::clear(&out)?;
    let recipe = at.recipe.sample()?;
    let mut so_far = |p: Progress| told.of(p.done, p.total, "");
    let counts = match sample(&recipe, &near(at), &out, threads(at), &mut so_far)? {
        ControlFlow::Continue(counts) => counts,
        ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
    };
    let path = at.folder.counts();
    let text =
        serde_json::to_vec_pretty(&counts).map_err(|e| Error::io(&path, "write the file", e.into()))?;
    files::write(&path, &text)?;
    let of = |kind: &str| counts.iter().filter(|c| c.kind == kind).map(|c| c.taken).sum::<u64>();
    let bytes: u64 = counts.iter().filter(|c| c.kind == "documents").map(|c| c.bytes).sum();
    let summary = format!(
        "{} documents, {:.1} MB, and {} conversations",
        of("documents"),
        bytes as f64 / 1e6,
        of("conversations")
    );
    Ok(ControlFlow::Continue(StageOutcome { outputs: files::below(at.folder.root(), &out)?, summary }))
}
