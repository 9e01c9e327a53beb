//! Opening the model that the arguments ask for.

use anyhow::bail;
use clap::ValueEnum;
use sai_generation::{CacheType, LoadOptions, Model};

use super::{locate, memory};
use crate::cli::{CacheKind, Device, ModelArgs};
use crate::ui::Ui;

/// Finds the model of `args`, fetches it where it must be, and opens it if the memory that is free can hold it.
///
/// # Errors
/// There is no such model, it is damaged or of a kind that sai does not run, or it does not fit.
pub(crate) fn open(args: &ModelArgs, ui: &Ui) -> anyhow::Result<Model> {
    if let Device::Cuda | Device::Metal = args.device {
        let name =
            args.device.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        bail!(
            "--device {name}: this version of sai computes on the CPU only; leave --device out, or give --device cpu"
        );
    }
    let path = locate(&args.model, ui)?;
    let options = LoadOptions {
        threads: args.threads,
        context: args.context,
        cache_type: match args.cache_type {
            CacheKind::F16 => CacheType::F16,
            CacheKind::F32 => CacheType::F32,
        },
        memory_limit: memory::available(),
        ..LoadOptions::default()
    };
    Ok(Model::open(&path, &options)?)
}
