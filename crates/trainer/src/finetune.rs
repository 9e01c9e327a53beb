//! From a recipe, a model and conversations to a run.

use crate::checkpoint::beside;
use crate::replay::{Replayed, documents};
use crate::train::{InitialWeights, ObjectiveKind, TrainingJob, train};
use crate::{Base, Conversations, Error, Event, FinetuneRecipe, Options, Outcome};
use sai_decoder::training::Training;
use serde_json::Value;
use std::path::Path;

/// Trains `base` to answer as in `conversations`, both opened with `recipe`, whose file is `path`. Otherwise as
/// [`crate::pretrain`], with the same promises.
///
/// The loss is the mean over all tokens of answers of a step, however they are spread over passes and conversations, and over
/// those of documents that are read again.
///
/// With preferences the loss is the mean over the pairs of a step. What the model makes of every pair that the run reads is
/// computed before the first step and kept as `reference.json`.
///
/// With an adapter, checkpoints are folders as `peft` has them, which `sai merge` makes models of.
///
/// # Errors
/// As [`crate::pretrain`]; documents to read again were packed with another tokenizer than the model's.
pub fn finetune<D: Training>(
    device: D,
    recipe: &FinetuneRecipe,
    path: &Path,
    base: Base,
    conversations: Conversations,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let steps = conversations.steps();
    if let Some(fact) = recipe.schedule.warmup.wrong(steps) {
        return Err(Error::Recipe { path: path.to_owned(), place: String::new(), fact });
    }
    let pairs = if recipe.dpo.is_some() { conversations.read_in_run() } else { Vec::new() };
    let replay = recipe.replay.as_ref().map(|replay| documents(recipe, replay, &base)).transpose()?;
    let Base { config, tensors, tokenizer, files, notes, .. } = base;
    let end = tokenizer.eos().first().copied();
    let (files, begin) = match &recipe.lora {
        None => (beside(&config, end, files, path)?, InitialWeights::Weights(tensors)),
        Some(lora) => {
            // The checkpoint itself and from the root, for `peft` opens it from wherever it is run.
            let base = crate::base::folder(&recipe.model.from);
            let base = std::fs::canonicalize(&base).unwrap_or(base);
            let described = format!("{:#}\n", Value::Object(lora.to_peft(Some(&base.to_string_lossy()))));
            let mut all = vec![("adapter_config.json".to_owned(), described.into_bytes())];
            all.extend(files);
            (all, InitialWeights::Adapter { tensors, lora: lora.clone(), seed: recipe.seed })
        }
    };
    let aim = match recipe.dpo {
        None => ObjectiveKind::Likelihood,
        Some(dpo) => ObjectiveKind::Preferences { dpo, pairs },
    };
    let job = TrainingJob {
        course: recipe.course(steps),
        recipe: recipe.to_toml()?,
        files,
        config,
        begin,
        aim,
        data: (),
        validates: recipe.validation_share > 0.0,
        notes,
    };
    match replay {
        None => train(device, job.with(conversations), options, on),
        Some(documents) => train(device, job.with(Replayed::new(conversations, documents)), options, on),
    }
}
