//! `sai convert`: the trained model as the folder's own, and as a GGUF file.

use super::training::model_files;
use super::{RunContext, StageJob, StageOutcome};
use crate::event::StageContext;
use crate::{Error, Stage, card, files};
use sai_formats::gguf::Value;
use sai_generation::convert::GgufModel;
use serde_json::{Map, Value as Json};
use std::ops::ControlFlow;

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let mut job = StageJob::default().set("name", &at.recipe.name).set("dtype", at.recipe.dtype()?);
    let mut said = Map::new();
    at.recipe.convert.sampling.write_into(&mut said);
    for (key, value) in said {
        job = job.set(&format!("sampling.{key}"), value);
    }
    job.inputs = model_files(&at.folder.trained(Stage::Finetune));
    Ok(job)
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let (root, dtype) = (at.folder.root(), at.recipe.dtype()?);
    let mut outputs = Vec::new();
    for file in model_files(&at.folder.trained(Stage::Finetune)) {
        let target = root.join(file.file_name().unwrap_or_default());
        files::copy(&file, &target)?;
        outputs.push(files::name(root, &target));
    }
    if !at.recipe.convert.sampling.is_empty() {
        let name = advise(at)?;
        if !outputs.contains(&name) {
            outputs.push(name);
        }
    }
    let mut model = GgufModel::open(root, Some(dtype))?;
    if let Some((_, name)) = model.metadata.iter_mut().find(|(key, _)| key == "general.name") {
        *name = Value::String(at.recipe.name.clone());
    }
    for note in &model.notes {
        told.note(note);
    }
    let (target, bytes) = (at.folder.gguf(at.recipe)?, model.bytes());
    if model.write(&target, &mut |done| told.of(done, bytes, ""))?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    outputs.push(files::name(root, &target));
    let summary =
        format!("{}, {:.1} MB of weights in {dtype}", files::name(root, &target), bytes as f64 / 1e6);
    Ok(ControlFlow::Continue(StageOutcome { outputs, summary }))
}

/// Writes how the model's tokens are best chosen into its folder, from which the GGUF file has it too. The file's name.
fn advise(at: &RunContext<'_>) -> Result<String, Error> {
    let path = at.folder.root().join("generation_config.json");
    let mut config: Map<String, Json> = if path.is_file() { card::json(&path)? } else { Map::new() };
    at.recipe.convert.sampling.write_into(&mut config);
    files::write(&path, format!("{:#}\n", Json::Object(config)).as_bytes())?;
    Ok(files::name(at.folder.root(), &path))
}
