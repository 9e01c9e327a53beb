//! The model's card and the report.

use super::{RunContext, StageJob, StageOutcome};
use crate::card::Facts;
use crate::event::StageContext;
use crate::{Error, Stage, files};
use std::ops::ControlFlow;

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let card = &at.recipe.card;
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut job = StageJob::default()
        .set("title", said(&card.title))
        .set("about", said(&card.about))
        .set("languages", card.languages.join(" "))
        .set("license", said(&card.license))
        .set("tags", card.tags.join(" "))
        .set("limits", said(&card.limits))
        .set("recipe", files::sum_of(at.recipe.text().as_bytes()).chars().take(12).collect::<String>())
        .set("overrides", at.recipe.overrides().join(" "));
    job = job.reads(at, at.folder.stage(Stage::Tokenizer))?;
    if at.folder.held_out().is_dir() {
        job = job.reads(at, at.folder.held_out())?;
    }
    let metrics =
        [Stage::Pretrain, Stage::Finetune].map(|stage| at.folder.stage(stage).join("metrics.jsonl"));
    job.inputs.extend(metrics);
    job.inputs.extend([at.folder.counts(), at.folder.evaluation(), at.folder.root().join("config.json")]);
    if at.recipe.judge.model.is_some() {
        job.inputs.push(at.folder.judged());
    }
    Ok(job)
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let facts = Facts::gather(at)?;
    if told.at(0.5, "report").is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let [card, report] = ["README.md", "report.html"].map(|name| at.folder.root().join(name));
    files::write(&card, facts.card(at)?.as_bytes())?;
    files::write(&report, facts.report(at)?.as_bytes())?;
    let root = at.folder.root();
    let outputs = [&card, &report].map(|path| files::name(root, path)).to_vec();
    Ok(ControlFlow::Continue(StageOutcome { outputs, summary: "README.md and report.html".to_owned() }))
}
