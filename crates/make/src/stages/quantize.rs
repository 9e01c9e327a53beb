//! `sai quantize`: the GGUF file in fewer bits.

use super::{RunContext, StageJob, StageOutcome};
use crate::event::StageContext;
use crate::{Error, files};
use sai_decoder::Plan;
use sai_generation::Config;
use sai_generation::convert::GgufModel;
use std::ops::ControlFlow;

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let mut job = StageJob::default().set("name", &at.recipe.name).set("type", at.recipe.mix()?.name());
    job.inputs.push(at.folder.gguf(at.recipe)?);
    Ok(job)
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let (source, target, mix) =
        (at.folder.gguf(at.recipe)?, at.folder.quantized(at.recipe)?, at.recipe.mix()?);
    let name = files::name(at.folder.root(), &target);
    let (_, config) = Config::open(&source)?;
    let model = GgufModel::open(&source, None)?;
    let plan = Plan::new(&config, &model.metadata, &model.tensors, mix, None)?;
    let (weights, after) = (plan.weights(), plan.bytes_after());
    if plan.write(&target, at.options.threads, &mut |done| told.of(done, after, ""))?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let bits = 8.0 * after as f64 / weights.max(1) as f64;
    let summary = format!("{name}, {:.1} MB, {bits:.2} bits a weight", after as f64 / 1e6);
    Ok(ControlFlow::Continue(StageOutcome { outputs: vec![name], summary }))
}
