//! The stages of a making, in their order.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// A stage: what the command of its name does, with the files of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Documents, held-out documents and conversations.
    Sample,
    /// A vocabulary from the documents.
    Tokenizer,
    /// Documents as token shards.
    Pack,
    /// A model from the shards.
    Pretrain,
    /// The model, taught to answer.
    Finetune,
    /// The model as a Hugging Face folder and as a GGUF file.
    Convert,
    /// The GGUF file in fewer bits.
    Quantize,
    /// What the models before and after that know, and what they say.
    Evaluate,
    /// What a judge says of the model's answers; done where the recipe names one.
    Judge,
    /// The model's card and the report.
    Card,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Stage; 10] = [
        Stage::Sample,
        Stage::Tokenizer,
        Stage::Pack,
        Stage::Pretrain,
        Stage::Finetune,
        Stage::Convert,
        Stage::Quantize,
        Stage::Evaluate,
        Stage::Judge,
        Stage::Card,
    ];

    /// Its name, which is that of its table in a recipe and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Sample => "sample",
            Stage::Tokenizer => "tokenizer",
            Stage::Pack => "pack",
            Stage::Pretrain => "pretrain",
            Stage::Finetune => "finetune",
            Stage::Convert => "convert",
            Stage::Quantize => "quantize",
            Stage::Evaluate => "evaluate",
            Stage::Judge => "judge",
            Stage::Card => "card",
        }
    }

    /// The stage of a name.
    pub fn named(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// The stages whose files it reads.
    pub fn needs(self) -> &'static [Stage] {
        match self {
            Stage::Sample => &[],
            Stage::Tokenizer => &[Stage::Sample],
            Stage::Pack => &[Stage::Sample, Stage::Tokenizer],
            Stage::Pretrain => &[Stage::Tokenizer, Stage::Pack],
            Stage::Finetune => &[Stage::Sample, Stage::Pretrain],
            Stage::Convert => &[Stage::Finetune],
            Stage::Quantize => &[Stage::Convert],
            Stage::Evaluate => &[Stage::Sample, Stage::Pretrain, Stage::Convert, Stage::Quantize],
            Stage::Judge => &[Stage::Convert, Stage::Quantize],
            Stage::Card => &[
                Stage::Sample,
                Stage::Tokenizer,
                Stage::Pretrain,
                Stage::Finetune,
                Stage::Evaluate,
                Stage::Judge,
            ],
        }
    }

    /// The version of the code that does it. It is raised by hand, by whoever changes what the same inputs and settings
    /// become: a hash of sources would ask for hours of training after a comment was changed. Tests hold the files of
    /// the stages that are the same on every machine to this number.
    pub fn code(self) -> u32 {
        match self {
            Stage::Sample
            | Stage::Tokenizer
            | Stage::Pack
            | Stage::Convert
            | Stage::Quantize
            | Stage::Judge => 1,
            // Pieces of documents are shuffled, where whole documents were.
            Stage::Pretrain | Stage::Finetune => 2,
            Stage::Evaluate | Stage::Card => 3,
        }
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
