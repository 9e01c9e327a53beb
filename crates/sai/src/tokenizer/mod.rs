//! `sai tokenizer`: what is done with a vocabulary alone.

mod decode;
mod documents;
mod encode;
mod eval;
mod inspect;
mod pack;
mod train;

use clap::{Args, Subcommand};

use crate::ui::Ui;

/// Work with a vocabulary: text to token ids and back, how it is trained, shards for training, and how good it is.
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
    /// `tokenizer.json`, its folder, a GGUF file, a Hub id (owner/name[@revision]) or short name
    #[arg(
        short,
        long,
        visible_alias = "model",
        env = "SAI_MODEL",
        default_value = crate::cli::DEFAULT_MODEL,
        hide_env_values = true
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
