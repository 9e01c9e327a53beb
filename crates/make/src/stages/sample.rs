//! `sai sample`: documents, held-out documents and conversations.

use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::{Error, Stage, files};
use sai_samples::{Progress, Sampled, sample};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let recipe = at.recipe.sample()?;
    let table = toml::Table::try_from(&recipe).unwrap_or_default();
    let mut job = StageJob::default().table(&table, |_| true);
    let drawn = recipe.documents.iter().map(|entry| &entry.input);
    let said = recipe.conversations.iter().map(|entry| &entry.input);
    let all = drawn.chain(said).chain(recipe.rules.iter().map(|rules| &rules.files)).flatten();
    let near = near(at);
    let all: Vec<String> = all.map(|input| near.join(input).to_string_lossy().into_owned()).collect();
    job.inputs = sai_documents::find(&all)?;
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
    let sampled = sample(&recipe, &near(at), &out, threads(at), &sai_trainer::check_row, &mut so_far)?;
    let Sampled { counts, passed_over, left_out } = match sampled {
        ControlFlow::Continue(sampled) => sampled,
        ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
    };
    if let Some(names) = sai_documents::file_names(&left_out) {
        told.note(&format!("not read, for they are no documents: {names}"));
    }
    if passed_over > 0 {
        told.warn(&format!(
            "{passed_over} documents and conversations are passed over: broken, or their text is null"
        ));
    }
    let of = |kind: &str| counts.iter().filter(|c| c.kind == kind).map(|c| c.taken).sum::<u64>();
    // Before hours of work on nothing.
    if let Some(kind) = ["documents", "conversations"].into_iter().find(|kind| of(kind) == 0) {
        let fact = format!(
            "[sample] takes no {kind} to learn from; look at its `take`, `only`, `leave_out` and `clean`"
        );
        return Err(Error::data(at.recipe.path(), fact));
    }
    let path = at.folder.counts();
    let text =
        serde_json::to_vec_pretty(&counts).map_err(|e| Error::io(&path, "write the file", e.into()))?;
    files::write(&path, &text)?;
    let bytes: u64 = counts.iter().filter(|c| c.kind == "documents").map(|c| c.bytes).sum();
    let summary = format!(
        "{} documents, {:.1} MB, and {} conversations",
        of("documents"),
        bytes as f64 / 1e6,
        of("conversations")
    );
    Ok(ControlFlow::Continue(StageOutcome { outputs: files::below(at.folder.root(), &out)?, summary }))
}
