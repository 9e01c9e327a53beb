//! `sai corpus`: from raw pages to clean text.

mod language;
mod teach;
mod text;

use clap::{Args, Subcommand};

use crate::ui::Ui;

/// Clean text: the main text of pages, languages, classifiers of quality.
#[derive(Args)]
pub(crate) struct Corpus {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Text(text::Text),
    Language(language::Language),
    Teach(teach::Teach),
}

impl Corpus {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        match self.verb {
            Verb::Text(verb) => verb.run(ui),
            Verb::Language(verb) => verb.run(),
            Verb::Teach(verb) => verb.run(ui),
        }
    }
}
