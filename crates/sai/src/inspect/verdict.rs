//! Whether sai can run what a file holds.

use std::path::Path;

use sai_decoder::{CacheType, Config, Cpu, Decoder};
use sai_formats::Container;
use sai_generation::{LoadOptions, Model};

use crate::models::memory;
use crate::ui::{Size, Thousands};

/// The answer, with its reason in words.
pub(super) enum Verdict {
    Runs(String),
    Cannot(String),
}

/// Finds out the sure way: by opening the model as `sai chat` would, the cheap questions first.
pub(super) fn judge(path: &Path, container: &Container) -> Verdict {
    let config = match Config::of(container, path) {
        Ok(config) => config,
        Err(error) => return Verdict::Cannot(without_path(&error.into(), path)),
    };
    if let Some(tensor) = container.tensors().iter().find(|t| !t.dtype.is_known()) {
        return Verdict::Cannot(format!("tensor {} is of type {}", tensor.name, tensor.dtype.name()));
    }
    let options =
        LoadOptions { threads: 0, context: None, cache_type: CacheType::F16, memory_limit: memory::available() };
    if let Err(error) = Model::open(path, &options) {
        return Verdict::Cannot(without_path(&error.into(), path));
    }
    let needs = Decoder::<Cpu>::memory(&config, container, config.context_length, CacheType::F16);
    let free = memory::available().map(|free| format!("; {} are free here", Size(free))).unwrap_or_default();
    Verdict::Runs(format!(
        "with all {} tokens of context it takes {} of memory{free}",
        Thousands(config.context_length as u64),
        Size(needs.total())
    ))
}

/// The reason alone: the path stands above already.
fn without_path(error: &anyhow::Error, path: &Path) -> String {
    let line = crate::ui::one_line(error);
    let prefix = format!("{}: ", path.display());
    line.strip_prefix(&prefix).map(str::to_owned).unwrap_or(line)
}
