//! `sai inspect MODEL`: what a file holds, and whether sai can run it.
//!
//! A model of a family or type that sai does not run is still shown, with the reason why it is not run: that
//! is an answer, not a failure. A broken file is a failure.

mod facts;
mod print;
mod verdict;

use std::path::Path;

use anyhow::Context;
use sai_formats::{Container, open};

use crate::ui::Ui;

/// Show what a model file holds, and whether sai can run it.
#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// GGUF file, Hugging Face folder, Hub id (owner/name[@revision][:file.gguf]) or short name
    model: String,

    /// List every tensor with its type, shape and size
    #[arg(long)]
    tensors: bool,

    /// Print every metadata entry of a GGUF file
    #[arg(long)]
    metadata: bool,

    /// Print the chat template, whole and alone
    #[arg(long, conflicts_with_all = ["tensors", "metadata", "json"])]
    template: bool,

    /// One JSON object instead of text
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    overrides: crate::cli::OverrideArgs,
}

impl Inspect {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let source = crate::models::locate(&self.model, ui)?;
        let path = source.path();
        let overrides = &self.overrides.override_kv;
        let container = open(&source)?.with_overrides(overrides, path)?;
        let config = match &container {
            Container::Safetensors(_) if path.is_dir() => read_config(path)?,
            _ => serde_json::Value::Null,
        };
        let report = facts::Report::new(&source, &container, &config, overrides)?;
        let mut out = std::io::stdout().lock();
        if self.template {
            return print::template(&report, &mut out);
        }
        let sections = print::Sections { tensors: self.tensors, metadata: self.metadata };
        if self.json {
            print::json(&report, &container, &sections, &mut out)
        } else {
            print::text(&report, &container, &sections, ui.out_color(), &mut out)
        }
    }
}

fn read_config(folder: &Path) -> anyhow::Result<serde_json::Value> {
    /// A config is a few kilobytes; one of megabytes is something else.
    const LARGEST: u64 = 16 << 20;
    let path = folder.join("config.json");
    let size = std::fs::metadata(&path).with_context(|| format!("{}: cannot be read", path.display()))?.len();
    if size > LARGEST {
        anyhow::bail!("{}: {size} bytes are no config; fetch it again", path.display());
    }
    let bytes = std::fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    sai_formats::json::read(&bytes)
        .map_err(|e| anyhow::anyhow!("{}: no JSON: {e}; fetch it again", path.display()))
}
