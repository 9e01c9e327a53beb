//! `sai corpus`: from raw pages to clean text, and from sources to a corpus.

pub(crate) mod build;
mod explain;
mod language;
mod report;
mod teach;
mod text;

use clap::{Args, Subcommand};

use crate::ui::Ui;

/// Clean text and corpora: build, explain and report; the main text of pages, languages, classifiers of quality.
#[derive(Args)]
pub(crate) struct Corpus {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Build(build::Build),
    Explain(explain::Explain),
    Report(report::Report),
    Text(text::Text),
    Language(language::Language),
    Teach(teach::Teach),
}

impl Corpus {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        match self.verb {
            Verb::Build(verb) => verb.run(ui),
            Verb::Explain(verb) => verb.run(ui),
            Verb::Report(verb) => verb.run(ui),
            Verb::Text(verb) => verb.run(ui),
            Verb::Language(verb) => verb.run(),
            Verb::Teach(verb) => verb.run(ui),
        }
    }
}
