//! `sai finetune`: the model, taught to answer.

use super::training::{Run, model_files};
use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::{Error, Stage};
use sai_decoder::Cpu;
use sai_trainer::recipe::decides;
use sai_trainer::{Base, ConversationCounts, Conversations};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// As of pretraining; the model to begin from, and documents to read again, are inputs too.
fn keeps(key: &str) -> bool {
    decides(key) && key != "data" && key != "model"
}

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let recipe = at.recipe.finetune(at.folder)?;
    let mut table: toml::Table = toml::from_str(&recipe.to_toml()?).unwrap_or_default();
    if let Some(replay) = table.get_mut("replay").and_then(toml::Value::as_table_mut) {
        replay.remove("data");
    }
    let mut job = StageJob::default().table(&table, keeps).reads(at, at.folder.conversations())?;
    if recipe.replay.is_some() {
        job = job.reads(at, at.folder.stage(Stage::Pack))?;
    }
    job.inputs.extend(model_files(&at.folder.trained(Stage::Pretrain)));
    job.inputs.extend(recipe.template.map(PathBuf::from).filter(|file| file.is_file()));
    Ok(job)
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let recipe = at.recipe.finetune(at.folder)?;
    let threads = threads(at);
    let base = Base::open(&recipe)?;
    if recipe.date.is_none() && base.asks_for_date() {
        let fact =
            "the chat template writes the day; give it in [finetune], as `date = \"2026-11-30\"`".to_owned();
        return Err(sai_trainer::Error::Data { path: at.recipe.path().to_owned(), fact }.into());
    }
    let mut so_far = |done, total| told.of(0, 1, &format!("reading {done} of {total} bytes"));
    let read = Conversations::read(&recipe, &base.tokenizer, &base.template, threads, &mut so_far)?;
    let ControlFlow::Continue(conversations) = read else { return Ok(ControlFlow::Break(())) };
    tell(conversations.found(), told);
    let run = Run {
        at,
        stage: Stage::Finetune,
        samples: &recipe.samples,
        says: &|path, prompt| sai_generation::answer(path, prompt, recipe.sample_tokens, threads),
    };
    run.follow(told, |options, on| {
        sai_trainer::finetune(Cpu::new(threads), &recipe, at.recipe.path(), base, conversations, options, on)
    })
}

/// What the files held, and what of it is not used.
fn tell(found: &ConversationCounts, told: &mut StageContext<'_>) {
    told.note(&format!(
        "{} conversations, {} tokens, {} of them of answers",
        found.conversations, found.tokens, found.trained
    ));
    if let Some(first) = found.examples.first() {
        told.warn(&format!("{}: {}: {}", first.path.display(), first.place, first.fact));
    }
    for (count, fact) in [
        (found.broken, "broken conversations are passed over"),
        (found.too_long, "conversations are passed over: not even their first answer fits into `context`"),
        (found.straddling, "answers begin in the middle of a token, which is not trained on"),
    ] {
        if count > 0 {
            told.warn(&format!("{count} {fact}"));
        }
    }
}
