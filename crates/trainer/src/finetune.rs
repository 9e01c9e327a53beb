//! From a recipe, a model and conversations to a run.

use crate::checkpoint::beside;
use crate::train::{Begin, Job, train};
use crate::{Base, Conversations, Error, Event, FinetuneRecipe, Options, Outcome};
use sai_decoder::training::Training;
use std::path::Path;

/// Trains `base` to answer as in `conversations`, both opened with `recipe`, whose file is `path`. Otherwise as
/// [`crate::pretrain`], with the same promises.
///
/// The loss is the mean over all tokens of answers of a step, however they are spread over passes and conversations.
///
/// # Errors
/// As [`crate::pretrain`].
pub fn finetune<D: Training>(
    device: D,
    recipe: &FinetuneRecipe,
    path: &Path,
    base: Base,
    conversations: Conversations,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let Base { config, tensors, tokenizer, files, notes, .. } = base;
    let job = Job {
        course: recipe.course(conversations.steps()),
        recipe: recipe.to_toml()?,
        files: beside(&config, tokenizer.eos().first().copied(), files, path)?,
        config,
        begin: Begin::Weights(tensors),
        data: conversations,
        notes,
    };
    train(device, job, options, on)
}
