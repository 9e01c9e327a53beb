//! `sai imatrix MODEL TEXT… -o FILE`: which columns of a model's matrices matter.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sai_generation::LoadOptions;

use crate::output;
use crate::ui::Ui;

/// Compute an importance matrix on texts, for `sai quantize --imatrix`.
///
/// The model reads the texts, and for every matrix the mean square of what each column is multiplied with is kept. A few
/// hundred kilobytes of the kind of text that the model is for are enough. The file is llama.cpp's GGUF imatrix.
#[derive(clap::Args)]
pub(crate) struct Imatrix {
    /// GGUF file, Hugging Face folder, Hub id or short name; best in f32, f16 or bf16
    model: String,

    /// Texts to read (UTF-8)
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<PathBuf>,

    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Tokens that are read at a time, each chunk on its own
    #[arg(short, long, default_value_t = 512, value_name = "N", value_parser = crate::cli::whole(4..=crate::cli::MOST))]
    chunk: usize,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Replace FILE where it is there already
    #[arg(long)]
    force: bool,
}

impl Imatrix {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let read = |path: &PathBuf| Ok((path.display().to_string(), crate::text_file::read(path)?));
        let texts = self.texts.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        let source = crate::models::locate(&self.model, ui)?;
        let reads: Vec<&Path> =
            output::path_of(&source).into_iter().chain(self.texts.iter().map(PathBuf::as_path)).collect();
        output::check_file(&self.output, self.force, &reads)?;
        let options = LoadOptions {
            threads: self.threads,
            memory_limit: crate::models::memory::available(),
            ..LoadOptions::default()
        };
        let bar = ui.bar(0, "imatrix");
        crate::watched::run(ui, bar.clone(), |progress| -> anyhow::Result<ControlFlow<()>> {
            let mut stopped = ControlFlow::Continue(());
            let imatrix =
                sai_generation::imatrix(&source, &options, &texts, self.chunk, &mut |done, total| {
                    bar.set_length(total as u64);
                    stopped = progress(done as u64);
                    stopped
                })?;
            if stopped.is_continue() {
                imatrix.write(&self.output)?;
                ui.note(format_args!(
                    "{}: {} matrices, from {} chunks of {} tokens",
                    self.output.display(),
                    imatrix.len(),
                    imatrix.chunks(),
                    self.chunk
                ));
            }
            Ok(stopped)
        })
    }
}
