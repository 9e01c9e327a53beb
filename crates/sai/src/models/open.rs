//! Opening the model that the arguments ask for.

use anyhow::{Context, bail};
use clap::ValueEnum;
use sai_generation::{ChatTemplate, LoadOptions, Model};

use super::{locate, memory};
use crate::cli::{Device, ModelArgs};
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
            "--device {name}: this build computes on the CPU only (a GPU device is not written yet); leave --device out, or give --device cpu"
        );
    }
    let source = locate(&args.model, ui)?;
    let options = LoadOptions {
        threads: args.threads,
        context: args.context,
        cache_type: args.cache_type.into(),
        memory_limit: memory::available(),
        template: args.chat_template.as_deref().map(template).transpose()?,
        now: Some(jiff::ZonedDateTime::now().datetime()),
        overrides: args.overrides.override_kv.clone(),
    };
    let model = Model::open(source, &options)?;
    model.notes.iter().for_each(|note| ui.warn(format_args!("{}: {note}", args.model)));
    Ok(model)
}

/// A template by name, or from a file.
fn template(spec: &str) -> anyhow::Result<ChatTemplate> {
    if spec == "42dot" {
        return Ok(ChatTemplate::fortytwo_dot());
    }
    let source = std::fs::read_to_string(spec)
        .with_context(|| format!("{spec}: the chat template cannot be read; give a file, or 42dot"))?;
    Ok(ChatTemplate::jinja(&source, spec)?)
}
