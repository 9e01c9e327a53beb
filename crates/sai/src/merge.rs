//! `sai merge`: an adapter into the weights of its model.

use std::path::{Path, PathBuf};

use anyhow::bail;
use sai_decoder::PeftAdapter;
use sai_generation::Source;
use sai_generation::convert::FolderModel;

use crate::convert::FloatType;
use crate::ui::{Size, Ui};

const EXAMPLES: &str = "\
Examples:
  sai merge base/ run/model merged/          what `sai finetune` trained with [lora]
  sai merge owner/name adapter/ merged/ --dtype bf16
  sai convert merged/ merged.gguf            and on to a GGUF file";

/// Merge a LoRA adapter into its model's weights.
///
/// The adapter is a folder as sai or the `peft` library writes it; the result is a Hugging Face folder, with the chat
/// template and the tokenizer's files of the adapter where it has some. The weights keep their types where --dtype does not
/// say another. A run's folder means its newest checkpoint.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Merge {
    /// The model that was adapted: Hugging Face folder, run, Hub id or short name
    base: String,

    /// Folder of the adapter, or of the run that trained it
    adapter: PathBuf,

    /// Folder to make
    target: PathBuf,

    /// Type of the weights; as they are where not given
    #[arg(long, value_enum)]
    dtype: Option<FloatType>,

    /// Replace the target where it is there already
    #[arg(long)]
    force: bool,

    /// Merge into a base with other weights than the adapter was trained beside
    #[arg(long)]
    any_base: bool,
}

impl Merge {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let target = self.target.display();
        let base = match crate::models::locate(&self.base, ui)? {
            Source::Path(path) => sai_trainer::newest(&path, "config.json"),
            Source::Memory { name, .. } => bail!(
                "{}: it is a GGUF; make a folder of it with `sai convert {} FOLDER`, and merge into that",
                name.display(),
                self.base
            ),
        };
        let adapter = sai_trainer::newest(&self.adapter, "adapter_config.json");
        crate::output::check(&self.target, self.force, &[&base, &adapter])?;
        if !self.any_base {
            self.check_base(&base, &adapter, ui)?;
        }
        let model = FolderModel::merged(&base, &adapter, self.dtype.map(Into::into))?;
        let bytes = model.bytes();
        crate::watched::run(ui, ui.bytes_bar(bytes, "merge"), |progress| {
            model.write(&self.target, self.force, progress)
        })?;
        ui.note(format_args!("{target}: {} of weights", Size(bytes)));
        Ok(())
    }
    /// Holds the base against the one that the adapter was trained beside, as far as the adapter tells.
    fn check_base(&self, base: &Path, adapter: &Path, ui: &Ui) -> anyhow::Result<()> {
        let other = |named: &str| {
            format!(
                "{}: it was trained beside other weights than {} has{named}; merge it into those, or give --any-base",
                adapter.display(),
                base.display()
            )
        };
        let named = PeftAdapter::open(adapter)?.base;
        if let Some(recorded) = sai_trainer::recorded_base(adapter) {
            let named = named.map(|named| format!(", those of {named}")).unwrap_or_default();
            if sai_trainer::weights_checksum(base)? != recorded {
                bail!(other(&named));
            }
            return Ok(());
        }
        let Some(named) = named.filter(|named| *named != self.base) else { return Ok(()) };
        let folder = sai_trainer::newest(Path::new(&named), "config.json");
        if !folder.join("config.json").is_file() {
            ui.note(format_args!(
                "the adapter was trained beside {named}; whether {} is that cannot be told here",
                base.display()
            ));
            return Ok(());
        }
        let same = match (std::fs::canonicalize(&folder), std::fs::canonicalize(base)) {
            (Ok(a), Ok(b)) if a == b => true,
            _ => sai_trainer::weights_checksum(&folder)? == sai_trainer::weights_checksum(base)?,
        };
        if !same {
            bail!(other(&format!(", those of {named}")));
        }
        Ok(())
    }
}
