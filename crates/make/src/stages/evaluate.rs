//! `sai evaluate`: what the model knows and says, before and after quantisation.

use super::sample::near;
use super::training::model_files;
use super::{RunContext, StageJob, StageOutcome};
use crate::evaluation::{Evaluation, EvaluationOptions, evaluate};
use crate::event::StageContext;
use crate::{Error, Stage, files, tasks};
use sai_formats::Source;
use std::ops::ControlFlow;

/// Tokens of an answer where nothing else is said.
const ANSWER: usize = 96;
/// Bytes of a language where nothing else is said.
const BYTES: usize = 500_000;

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let asked = &at.recipe.evaluate;
    let mut job = StageJob::default()
        .set("answer_tokens", asked.answer_tokens.unwrap_or(ANSWER))
        .set("bytes", asked.bytes.unwrap_or(BYTES));
    for (i, ask) in asked.ask.iter().enumerate() {
        job = job.set(&format!("ask.{i:02}"), ask.turns().join(" ▸ "));
    }
    if !asked.tasks.is_empty() {
        let of_task = |number: Option<usize>| number.map_or("all".to_owned(), |number| number.to_string());
        job = job
            .set("tasks", asked.tasks.join(" "))
            .set("profile", asked.profile.name())
            .set("fewshot", asked.fewshot.map_or("the task's".to_owned(), |n| n.to_string()))
            .set("limit", of_task(asked.limit));
    }
    job.inputs = model_files(&at.folder.trained(Stage::Pretrain));
    job.inputs.extend(model_files(at.folder.root()));
    job.inputs.push(at.folder.quantized(at.recipe)?);
    job.inputs.extend(at.folder.held_out_documents()?.into_iter().map(|(_, file)| file));
    if !asked.tasks.is_empty() {
        job.inputs.extend(tasks::data(asked, &near(at))?);
    }
    Ok(job)
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let asked = &at.recipe.evaluate;
    let examination = EvaluationOptions {
        models: vec![
            ("pretrained".to_owned(), Source::Path(at.folder.trained(Stage::Pretrain))),
            ("fine-tuned".to_owned(), at.folder.root().into()),
            (at.recipe.mix()?.name().to_owned(), Source::Path(at.folder.quantized(at.recipe)?)),
        ],
        texts: at
            .folder
            .held_out_documents()?
            .into_iter()
            .map(|(language, file)| (language, vec![file]))
            .collect(),
        reading: sai_documents::Options::default(),
        bytes: asked.bytes.unwrap_or(BYTES),
        ask: asked.ask.iter().map(|ask| ask.turns().to_owned()).collect(),
        answer_tokens: asked.answer_tokens.unwrap_or(ANSWER),
        threads: at.options.threads,
    };
    // Tasks take most of the time where there are any.
    let share = if asked.tasks.is_empty() { 1.0 } else { 0.2 };
    let mut found = match evaluate(&examination, &mut |part, now| told.at(share * part, now))? {
        ControlFlow::Continue(found) => found,
        ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
    };
    let out = at.folder.evaluation();
    let folder = at.folder.stage(Stage::Evaluate);
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "make the folder", e))?;
    if !asked.tasks.is_empty() {
        let (models, journal) = (&examination.models, folder.join("scores.jsonl"));
        let mut progress = |part: f64, now: &str| told.at(share + (1.0 - share) * part, now);
        let threads = at.options.threads;
        if tasks::ask(asked, &near(at), models, threads, &journal, &mut found, &mut progress)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let text = serde_json::to_vec_pretty(&found).map_err(|e| Error::io(&out, "write the file", e.into()))?;
    files::write(&out, &text)?;
    let outputs = vec![files::name(at.folder.root(), &out)];
    Ok(ControlFlow::Continue(StageOutcome { outputs, summary: summary(&found) }))
}

/// Bits a byte of each language, after quantisation.
fn summary(found: &Evaluation) -> String {
    let Some(last) = found.models.last() else { return String::new() };
    let figures = last.languages.iter().map(|l| format!("{} {:.3} bits a byte", l.language, l.bits_per_byte));
    let ended = found.conversations.iter().flatten().filter(|turn| turn.ended).count();
    let turns = found.conversations.iter().flatten().count();
    let mut parts: Vec<String> = figures.collect();
    if parts.is_empty() {
        parts.push("no text was held out".to_owned());
    }
    for (name, means) in found.tables.iter().filter_map(|table| Some((&table.title, table.average.as_ref()?)))
    {
        if let Some(mean) = means.last().copied().flatten() {
            parts.push(format!("{name} {mean:.3}"));
        }
    }
    if turns > 0 {
        parts.push(format!("{ended} of {turns} answers ended"));
    }
    parts.join(", ")
}
