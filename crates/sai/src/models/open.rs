//! Opening the model that the arguments ask for.

use std::path::Path;

use anyhow::{Context, bail};
use clap::ValueEnum;
use sai_generation::{ChatTemplate, LoadOptions, Model};

use super::{locate, memory};
use crate::cli::{Device, ModelArgs};
use crate::texts::texts;
use crate::ui::Ui;

/// Finds the model of `args`, fetches it where it must be, and opens it if the memory that is free can hold it.
///
/// # Errors
/// There is no such model, it is damaged or of a kind that sai does not run, or it does not fit.
pub(crate) fn open(args: &ModelArgs, ui: &Ui) -> anyhow::Result<Model> {
    open_within(args, None, ui)
}

/// As [`open`], if it takes no more than `most` bytes.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_within(args: &ModelArgs, most: Option<u64>, ui: &Ui) -> anyhow::Result<Model> {
    if let Device::Cuda | Device::Metal = args.device {
        let name =
            args.device.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        bail!((texts().no_gpu)(&name));
    }
    let source = locate(&args.model, ui)?;
    let (template, template_name) = match args.chat_template.as_deref() {
        Some(spec) if is_name(spec) => (None, Some(spec.to_owned())),
        spec => (spec.map(template).transpose()?, None),
    };
    let options = LoadOptions {
        threads: args.threads,
        context: args.context,
        cache_type: args.cache_type.into(),
        memory_limit: memory::available().into_iter().chain(most).min(),
        template,
        template_name,
        now: Some(jiff::ZonedDateTime::now().datetime()),
        overrides: args.overrides.override_kv.clone(),
    };
    let model = Model::open(source, &options)?;
    model.notes.iter().for_each(|note| ui.warn(format_args!("{}: {note}", args.model)));
    Ok(model)
}

/// Whether this names one of the model's own templates: it is no file and does not look like one's name.
fn is_name(spec: &str) -> bool {
    spec != "42dot" && !spec.contains(['/', '\\', '.']) && !std::path::Path::new(spec).exists()
}

/// sai's own template of this name, or one from a file.
fn template(spec: &str) -> anyhow::Result<ChatTemplate> {
    if spec == "42dot" {
        return Ok(ChatTemplate::fortytwo_dot());
    }
    let source = crate::text_file::read(Path::new(spec))
        .context("--chat-template takes 42dot, the path of a file, or the name of one of the model's own")?;
    Ok(ChatTemplate::jinja(&source, spec)?)
}
