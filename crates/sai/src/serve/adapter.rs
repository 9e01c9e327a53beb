//! An adapter as a model of its own: it is merged into its base when it is opened.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sai_generation::convert::FolderModel;
use sai_generation::{Model, Source};

use super::models::open_folder;
use crate::cli::ModelArgs;
use crate::ui::Ui;

/// An adapter and its base.
pub(super) struct Adapter {
    base: PathBuf,
    adapter: PathBuf,
    args: ModelArgs,
    ui: Ui,
}

impl Adapter {
    /// Looks for both.
    pub(super) fn new(folder: &Path, base: &str, args: ModelArgs, ui: &Ui) -> anyhow::Result<Adapter> {
        let adapter = sai_trainer::newest(folder, "adapter_config.json");
        if !adapter.join("adapter_config.json").is_file() {
            bail!("{}: there is no adapter (adapter_config.json)", folder.display());
        }
        match crate::models::locate(base, ui)? {
            Source::Path(path) => {
                let base = sai_trainer::newest(&path, "config.json");
                Ok(Adapter { base, adapter, args, ui: ui.clone() })
            }
            Source::Memory { name, .. } => {
                bail!(
                    "{}: adapters are of folders; make one with `sai convert {base} FOLDER`",
                    name.display()
                )
            }
        }
    }

    /// Writes the merged weights into a temporary folder and maps them; the folder is gone at once, the map stays.
    pub(super) fn open(&self, most: Option<u64>) -> anyhow::Result<Model> {
        let folder = tempfile::tempdir()
            .context("there is no room for the merged weights; TMPDIR takes another place")?;
        let merged = folder.path().join("merged");
        let model = FolderModel::merged(&self.base, &self.adapter, None)?;
        // Nobody breaks it off.
        let _ = model.write(&merged, false, &mut |_| ControlFlow::Continue(()))?;
        open_folder(&merged, &self.args, most, &self.ui)
    }
}
