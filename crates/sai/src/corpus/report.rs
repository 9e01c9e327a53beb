//! `sai corpus report`: a corpus as one page.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use sai_corpus::{Manifest, report};

use crate::ui::Ui;

/// Write a page about a corpus: what went where, signals and thresholds, texts kept and dropped.
///
/// One file that fetches nothing, in the corpus's folder where no other place is named.
#[derive(Args)]
pub(crate) struct Report {
    /// Folder that `sai corpus build` made
    folder: PathBuf,

    /// Where the page goes; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace a file that is there; the corpus's own report.html is replaced anyway
    #[arg(long)]
    force: bool,
}

impl Report {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let manifest = Manifest::open(&self.folder)?;
        let whole = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let name =
            whole.file_name().map_or_else(|| "corpus".to_owned(), |name| name.to_string_lossy().into_owned());
        let page = report(&manifest, &name);
        let path = match self.output {
            Some(path) if path == Path::new("-") => {
                return Ok(std::io::stdout().lock().write_all(page.as_bytes())?);
            }
            Some(path) => {
                crate::output::check_file(&path, self.force, &[&self.folder.join(sai_documents::MANIFEST)])?;
                path
            }
            None => self.folder.join("report.html"),
        };
        crate::output::write_whole(&path, page.as_bytes())?;
        ui.note(format_args!("{}: written", path.display()));
        Ok(())
    }
}
