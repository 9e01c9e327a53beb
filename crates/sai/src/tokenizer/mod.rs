//! `sai tokenizer`: what is done with a vocabulary alone.

mod decode;
pub(crate) mod documents;
mod encode;
mod eval;
mod inspect;
mod pack;
mod train;

use clap::{Args, Subcommand};

use crate::ui::Ui;

/// Train a tokenizer, encode and decode with it, pack token shards, and compare tokenizers.
#[derive(Args)]
pub(crate) struct Tokenizer {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Encode(encode::Encode),
    Decode(decode::Decode),
    Eval(eval::Eval),
    Inspect(inspect::Inspect),
    Pack(pack::Pack),
    Train(Box<train::Train>),
}

impl Tokenizer {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        match self.verb {
            Verb::Encode(verb) => verb.run(ui),
            Verb::Decode(verb) => verb.run(ui),
            Verb::Eval(verb) => verb.run(ui),
            Verb::Inspect(verb) => verb.run(ui),
            Verb::Pack(verb) => verb.run(ui),
            Verb::Train(verb) => verb.run(ui),
        }
    }
}

/// Which vocabulary.
#[derive(Args, Clone, Debug)]
pub(crate) struct VocabularyArgs {
    /// `tokenizer.json`, its folder, a GGUF file, a Hub id (owner/name[@revision]) or short name [SAI_MODEL, else mini]
    #[arg(
        short,
        long,
        visible_alias = "model",
        default_value_t = crate::cli::default_model(),
        hide_default_value = true
    )]
    pub(crate) tokenizer: String,

    #[command(flatten)]
    overrides: crate::cli::OverrideArgs,
}

impl VocabularyArgs {
    pub(crate) fn open(&self, ui: &Ui) -> anyhow::Result<sai_tokenizer::Tokenizer> {
        crate::models::tokenizer(&self.tokenizer, &self.overrides.override_kv, ui)
    }
}
