//! `sai judge`: the model's answers to a set of prompts, before and after quantisation, graded by the judge that the recipe names.

use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::stages::sample::near;
use crate::stages::training::model_files;
use crate::{Error, Stage, files};
use sai_formats::Source;
use sai_generation::LoadOptions;
use sai_judge::{
    AnswerSettings, AskOptions, Asked, Budget, ChatModel, Contestant, Grading, LocalModel, PromptColumns,
    PromptSet, Report, ReportOptions, Run, Template, answers, collect_answers, collect_grades,
};
use std::ops::ControlFlow;
use std::path::Path;

/// Tokens of an answer where nothing else is said, and of a verdict.
const ANSWER: usize = 256;
const VERDICT: usize = 768;
/// Requests at a time.
const PARALLEL: usize = 8;
/// What is graded: six criteria, and how an answer agrees with a right one.
const TEMPLATES: [&str; 2] = ["criteria", "reference"];

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let said = &at.recipe.judge;
    let mut job = StageJob::default()
        .set("model", said.model.as_deref().unwrap_or_default())
        .set("answer_tokens", said.answer_tokens.unwrap_or(ANSWER));
    if let Some(limit) = said.limit {
        job = job.set("limit", limit);
    }
    match &said.prompts {
        Some(file) => job.inputs.push(near(at).join(file)),
        None => job = job.set("prompts", sai_judge::OWN_PROMPTS_NAME),
    }
    job.inputs.extend(model_files(at.folder.root()));
    job.inputs.push(at.folder.quantized(at.recipe)?);
    Ok(job)
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let said = &at.recipe.judge;
    let name = said.model.as_deref().unwrap_or_default();
    let Some(judge) = &at.options.judge else {
        return Err(Error::data(
            at.recipe.path(),
            format!("`judge.model` is {name:?}, and no such model was found"),
        ));
    };
    let prompts = match &said.prompts {
        Some(file) => near(at).join(file),
        None => sai_judge::OWN_PROMPTS_NAME.into(),
    };
    let set = PromptSet::open(&prompts, &PromptColumns::default())?;
    let folder = at.folder.stage(Stage::Judge);
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "make the folder", e))?;
    let mut run = Run::create(&folder.join("run"), &set, said.limit)?;
    let load = LoadOptions { threads: threads(at), ..LoadOptions::default() };
    let budget = Budget::new(None);
    let options = AskOptions { parallel: PARALLEL, budget: &budget, price: None };
    // Two contestants answer, and a judge, who takes longer, grades by each template.
    let contestants = [
        ("fine-tuned".to_owned(), Source::Path(at.folder.root().to_owned())),
        (at.recipe.mix()?.name().to_owned(), Source::Path(at.folder.quantized(at.recipe)?)),
    ];
    for (i, (name, source)) in contestants.into_iter().enumerate() {
        let model = LocalModel::open(&name, &source, &load)?;
        let max_tokens = said.answer_tokens.unwrap_or(ANSWER);
        let settings = AnswerSettings { max_tokens, seed: at.recipe.seed, ..AnswerSettings::default() };
        let contestant = Contestant { name: name.clone(), identity: model.identity(), settings };
        run.add_contestant(contestant.clone())?;
        let mut so_far = |done, all| told.at(0.1 * (i as f64 + part(done, all)), &name);
        if all(collect_answers(&run, &contestant, &model, options, &mut so_far)?, &folder)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let judge = LocalModel::open(name, judge, &load)?;
    let given = answers(&run)?;
    for (i, template) in TEMPLATES.into_iter().enumerate() {
        let grading = Grading {
            judge: name.to_owned(),
            identity: judge.identity(),
            local: true,
            name: template.to_owned(),
            templates: Template::find(template, (1, 5))?,
            repeats: 1,
            attempts: 3,
            temperature: 0.0,
            max_tokens: VERDICT,
            schema: false,
            against: None,
        };
        run.add_grading(grading.clone())?;
        let mut so_far = |done, all| told.at(0.2 + 0.4 * (i as f64 + part(done, all)), template);
        if all(collect_grades(&run, &grading, &judge, &given, options, &mut so_far)?, &folder)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let report = Report::of(&run, &ReportOptions::default())?;
    for warning in &report.warnings {
        told.warn(warning);
    }
    let tables = serde_json::to_vec_pretty(&report.tables())
        .map_err(|e| Error::io(&folder, "write the file", e.into()))?;
    files::write(&at.folder.judged(), &tables)?;
    let page = folder.join("report.html");
    files::write(&page, report.html(&run, &[]).as_bytes())?;
    let outputs = [at.folder.judged(), page].map(|path| files::name(at.folder.root(), &path)).to_vec();
    Ok(ControlFlow::Continue(StageOutcome { outputs, summary: summary(&report) }))
}

fn part(done: usize, all: usize) -> f64 {
    done as f64 / all.max(1) as f64
}

/// Whether all was asked; a question that failed is no answer to rely on.
fn all(asked: Asked, folder: &Path) -> Result<ControlFlow<()>, Error> {
    match asked.failed.iter().next() {
        Some((fact, _)) => Err(Error::data(folder, fact.clone())),
        None if asked.stopped => Ok(ControlFlow::Break(())),
        None => Ok(ControlFlow::Continue(())),
    }
}

/// The last contestant's totals, with how many of its answers were graded.
fn summary(report: &Report) -> String {
    let figures = report.scores.iter().filter_map(|of| {
        let row = of.rows.last()?;
        let most = of.scale.1 * of.criteria.len() as i64;
        let total =
            row.total.map_or_else(|| "no grade".to_owned(), |total| format!("{:.1} of {most}", total.value));
        Some(format!("{} {total} ({} of {} graded)", of.name, row.graded, of.prompts))
    });
    figures.collect::<Vec<_>>().join(", ")
}
