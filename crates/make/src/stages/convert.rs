//! `sai convert`: the trained model as the folder's own, and as a GGUF file.

use super::training::model_files;
use super::{At, Done, Job};
use crate::event::Told;
use crate::{Error, Stage, files};
use sai_formats::gguf::Value;
use sai_generation::convert::GgufModel;
use std::ops::ControlFlow;

pub(crate) fn job(at: &At<'_>) -> Result<Job, Error> {
    let mut job = Job::default().set("name", &at.recipe.name).set("dtype", at.recipe.dtype()?);
    job.inputs = model_files(&at.folder.trained(Stage::Finetune));
    Ok(job)
}

pub(crate) fn run(at: &At<'_>, told: &mut Told<'_>) -> Result<ControlFlow<(), Done>, Error> {
    let (root, dtype) = (at.folder.root(), at.recipe.dtype()?);
    let mut outputs = Vec::new();
    for file in model_files(&at.folder.trained(Stage::Finetune)) {
        let target = root.join(file.file_name().unwrap_or_default());
        files::copy(&file, &target)?;
        outputs.push(files::name(root, &target));
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
    Ok(ControlFlow::Continue(Done { outputs, summary }))
}
