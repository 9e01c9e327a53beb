//! `sai convert`: a Hugging Face folder to GGUF, and a GGUF to a folder.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use sai_formats::{Container, DType};
use sai_generation::convert::{FolderModel, GgufModel, Progress};

use crate::output;
use crate::ui::{Size, Ui};

/// Convert a Hugging Face folder to a GGUF file, or a GGUF file to a folder.
///
/// The weights come through unchanged in both directions; --dtype rounds them to another type, and expands those
/// of a quantised GGUF. The vocabulary, its special tokens and the chat template go along.
#[derive(clap::Args)]
pub(crate) struct Convert {
    /// Hugging Face folder, GGUF file, Hub id or short name
    source: String,

    /// GGUF file or folder to make
    target: PathBuf,

    /// Type of the weights; as they are where not given
    #[arg(long, value_enum)]
    dtype: Option<FloatType>,

    /// Replace the target where it is there already
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    overrides: crate::cli::OverrideArgs,
}

/// The plain float types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FloatType {
    F32,
    F16,
    Bf16,
}

impl From<FloatType> for DType {
    fn from(dtype: FloatType) -> DType {
        match dtype {
            FloatType::F32 => DType::F32,
            FloatType::F16 => DType::F16,
            FloatType::Bf16 => DType::BF16,
        }
    }
}

impl Convert {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let source = crate::models::locate(&self.source, ui)?;
        let target = self.target.display();
        let reads: Vec<&Path> = output::path_of(&source).into_iter().collect();
        output::check(&self.target, self.force, &reads)?;
        let dtype = self.dtype.map(DType::from);
        let ends_as_gguf = self.target.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
        match sai_formats::open(&source)? {
            Container::Gguf(gguf) => {
                if ends_as_gguf {
                    bail!(
                        "{}: it is a GGUF already; name a folder to make, or change its type with `sai quantize`",
                        source.path().display()
                    );
                }
                if let (Some(to), Some(block)) = (dtype, gguf.tensors.iter().find(|t| !t.dtype.is_float())) {
                    ui.note(format_args!("{} and other quantised weights are expanded to {to}", block.dtype));
                }
                let model = FolderModel::open_with(&source, dtype, &self.overrides.override_kv)?;
                model.notes.iter().for_each(|note| ui.note(format_args!("note: {note}")));
                self.write(ui, model.bytes(), &mut |progress| model.write(&self.target, self.force, progress))
            }
            Container::Safetensors(_) => {
                if !ends_as_gguf {
                    bail!("{target}: a folder becomes a GGUF file; end its name in .gguf");
                }
                output::check_file(&self.target, self.force, &reads)?;
                let model = GgufModel::open(&source, dtype)?.with_overrides(&self.overrides.override_kv);
                model.notes.iter().for_each(|note| ui.note(format_args!("note: {note}")));
                self.write(ui, model.bytes(), &mut |progress| model.write(&self.target, progress))
            }
        }
    }

    /// Runs the writing with a bar beside it, until it is done or Ctrl-C is pressed.
    fn write(
        &self,
        ui: &Ui,
        bytes: u64,
        write: &mut dyn FnMut(&mut Progress<'_>) -> Result<ControlFlow<()>, sai_generation::Error>,
    ) -> anyhow::Result<()> {
        crate::watched::run(ui, ui.bytes_bar(bytes, "convert"), |progress| write(progress))?;
        ui.note(format_args!("{}: {} of weights", name(&self.target), Size(bytes)));
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
