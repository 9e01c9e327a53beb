//! Opening the model that the arguments ask for.

use sai_generation::{CacheType, LoadOptions, Model};

use super::{locate, memory};
use crate::cli::{CacheKind, ModelArgs};
use crate::ui::Ui;

/// Finds the model of `args`, fetches it where it must be, and opens it if the memory that is free can hold it.
///
/// # Errors
/// There is no such model, it is damaged or of a kind that sai does not run, or it does not fit.
pub(crate) fn open(args: &ModelArgs, ui: &Ui) -> anyhow::Result<Model> {
    let path = locate(&args.model, ui)?;
    let options = LoadOptions {
        threads: args.threads,
        context: args.context,
        cache_type: match args.cache_type {
            CacheKind::F16 => CacheType::F16,
            CacheKind::F32 => CacheType::F32,
        },
        memory_limit: memory::available(),
    };
    Ok(Model::open(&path, &options)?)
}
