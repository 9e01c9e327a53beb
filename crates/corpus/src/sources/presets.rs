//! Data sets of the Hub that compact Korean–English models were made from: what their columns are, under which licence
//! they are given, and which of them are gone.
//!
//! As of November 2026. A licence is what the data set's card says of the collection; texts of the web stay their authors'.

use super::Format;

/// Whether a data set can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By anybody.
    Open,
    /// Not any more, or not as files: why, and what there is in its place.
    Gone(&'static str),
}

/// A data set under a short name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its short name in a recipe.
    pub name: &'static str,
    /// Its repository of the Hub.
    pub repository: &'static str,
    /// Which of the repository's files, as a pattern.
    pub files: &'static str,
    /// What they are.
    pub format: Format,
    /// The column of the text.
    pub text: &'static str,
    /// The column of the address, where there is one.
    pub url: Option<&'static str>,
    /// Its language.
    pub lang: &'static str,
    /// Its licence.
    pub license: &'static str,
    /// Whether it can be fetched.
    pub access: Access,
}

const PRESETS: &[Preset] = &[
    Preset {
        name: "mc4-ko",
        repository: "allenai/c4",
        files: "multilingual/c4-ko.tfrecord-*.json.gz",
        format: Format::Jsonl,
        text: "text",
        url: Some("url"),
        lang: "ko",
        license: "ODC-BY-1.0",
        access: Access::Open,
    },
    Preset {
        name: "c4",
        repository: "allenai/c4",
        files: "en/c4-train.*.json.gz",
        format: Format::Jsonl,
        text: "text",
        url: Some("url"),
        lang: "en",
        license: "ODC-BY-1.0",
        access: Access::Open,
    },
    Preset {
        name: "klue",
        repository: "klue/klue",
        files: "mrc/train-*.parquet",
        format: Format::Parquet,
        // Of its eight tasks the articles of reading comprehension are the one with running text.
        text: "context",
        url: None,
        lang: "ko",
        license: "CC-BY-SA-4.0",
        access: Access::Open,
    },
    Preset {
        name: "lbox-open",
        repository: "lbox/lbox_open",
        files: "precedent_corpus/train-*.parquet",
        format: Format::Parquet,
        text: "precedent",
        url: None,
        lang: "ko",
        license: "CC-BY-NC-4.0",
        access: Access::Open,
    },
    Preset {
        name: "wikipedia-ko",
        repository: "wikimedia/wikipedia",
        files: "20231101.ko/train-*.parquet",
        format: Format::Parquet,
        text: "text",
        url: Some("url"),
        lang: "ko",
        license: "CC-BY-SA-3.0",
        access: Access::Open,
    },
    Preset {
        name: "the-pile",
        repository: "EleutherAI/pile",
        files: "",
        format: Format::Jsonl,
        text: "text",
        url: None,
        lang: "en",
        license: "",
        access: Access::Gone(
            "The Pile was taken down in 2023, for its books; what is left without them is monology/pile-uncopyrighted \
             (hub = \"monology/pile-uncopyrighted\", files = \"train/*.jsonl.zst\", format = \"jsonl\")",
        ),
    },
    Preset {
        name: "redpajama",
        repository: "togethercomputer/RedPajama-Data-1T",
        files: "",
        format: Format::Jsonl,
        text: "text",
        url: None,
        lang: "en",
        license: "",
        access: Access::Gone(
            "RedPajama's repository holds no text but lists of addresses outside of the Hub, and its books were taken \
             down; fetch the parts that you want from those addresses, and name them by `input`",
        ),
    },
];

/// All of them.
pub fn presets() -> &'static [Preset] {
    PRESETS
}

/// The one of this name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
