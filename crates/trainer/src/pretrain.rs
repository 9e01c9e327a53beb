//! From a recipe and token shards to a run.

use crate::checkpoint::beside;
use crate::recipe::Model;
use crate::train::{InitialWeights, ObjectiveKind, TrainingJob, train};
use crate::{Corpus, Error, Event, Options, Outcome, Recipe, base, vocabulary};
use sai_decoder::training::Training;
use std::path::Path;

/// Trains as `recipe` says, from its first step or from where the run stopped, and says what happens to `on`.
///
/// The same recipe and shards give the same weights, however often the run is stopped, killed and resumed.
///
/// # Errors
/// The run does not fit into memory; the folder has another run; shards, checkpoints or the disk fail; the loss went
/// bad and the recipe says to stop. The newest checkpoint stays.
pub fn pretrain<D: Training>(
    device: D,
    recipe: &Recipe,
    path: &Path,
    options: &Options<'_, D>,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let (config, begin) = match &recipe.model {
        Model::Shape(shape) => (shape.config(recipe.context, path)?, InitialWeights::Seed(recipe.seed)),
        Model::From { from } => {
            let (config, tensors) = base::open(from, recipe.context)?;
            (config, InitialWeights::Weights(tensors))
        }
    };
    let data = Corpus::open(recipe, config.vocab_size)?;
    if let Model::From { from } = &recipe.model {
        data.shards().try_for_each(|shards| base::holds(from, shards))?;
    }
    let first = data.shards().next();
    let (tokenizer, note) =
        first.map_or(Ok((Vec::new(), None)), |shards| vocabulary::files(recipe, shards))?;
    let files = beside(&config, first.and_then(|shards| shards.end()), tokenizer, path)?;
    let job = TrainingJob {
        course: recipe.course(),
        recipe: recipe.to_toml()?,
        config,
        begin,
        aim: ObjectiveKind::Likelihood,
        data,
        files,
        validates: recipe.validation_share > 0.0,
        notes: note.into_iter().collect(),
    };
    train(device, job, options, on)
}
