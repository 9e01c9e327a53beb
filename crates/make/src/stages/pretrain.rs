//! `sai pretrain`: a model from shards.

use super::training::Run;
use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::{Error, Stage};
use sai_decoder::Cpu;
use sai_trainer::recipe::decides;
use std::ops::ControlFlow;

/// Where a run's data and vocabulary are does not decide the weights: what is in them does.
fn keeps(key: &str) -> bool {
    decides(key) && key != "data"
}

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let recipe = at.recipe.pretrain(at.folder)?.to_toml()?;
    let table = toml::from_str(&recipe).unwrap_or_default();
    StageJob::default()
        .table(&table, keeps)
        .reads(at, at.folder.stage(Stage::Tokenizer))?
        .reads(at, at.folder.stage(Stage::Pack))
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let recipe = at.recipe.pretrain(at.folder)?;
    let threads = threads(at);
    let run = Run {
        at,
        stage: Stage::Pretrain,
        samples: &recipe.samples,
        says: &|path, prompt| sai_generation::continuation(path, prompt, recipe.sample_tokens, threads),
    };
    run.follow(told, |options, on| {
        sai_trainer::pretrain(Cpu::new(threads), &recipe, at.recipe.path(), options, on)
    })
}
