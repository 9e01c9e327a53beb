//! Whether sai can run what a file holds.

use std::path::Path;

use sai_formats::{Container, Source};
use sai_generation::{Config, LoadOptions, Model, Override};

use crate::models::memory;
use crate::ui::{Size, Thousands};

/// The answer, with its reason in words.
pub(super) enum Verdict {
    Runs(String),
    Cannot(String),
}

/// Finds out the sure way: by opening the model as `sai chat` would, the cheap questions first.
///
/// Gives beside it what a person should know of how the files were read.
pub(super) fn judge(
    source: &Source,
    container: &Container,
    overrides: &[Override],
) -> (Verdict, Vec<String>) {
    let path = source.path();
    let cannot = |why| (Verdict::Cannot(why), Vec::new());
    if let Err(error) = Config::of(container, path) {
        return cannot(without_path(&error.into(), path));
    }
    let options = LoadOptions {
        memory_limit: memory::available(),
        overrides: overrides.to_vec(),
        ..LoadOptions::default()
    };
    match Model::open(source, &options) {
        Err(error) => cannot(without_path(&error.into(), path)),
        Ok(model) => {
            let free = memory::available().map(|free| format!("; {} are free here", Size(free)));
            let why = format!(
                "with {} tokens of context it takes {} of memory{}",
                Thousands(model.context as u64),
                Size(model.memory.total()),
                free.unwrap_or_default()
            );
            (Verdict::Runs(why), model.notes)
        }
    }
}

/// The reason alone: the path stands above already.
fn without_path(error: &anyhow::Error, path: &Path) -> String {
    let line = crate::ui::one_line(error);
    let prefix = format!("{}: ", path.display());
    line.strip_prefix(&prefix).map(str::to_owned).unwrap_or(line)
}
