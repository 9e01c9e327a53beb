//! What a sample is drawn from, as a recipe says it.

use std::fmt;
use std::path::Path;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use sai_documents::{Amount, InputFiles, json};

use super::clean::Clean;
use crate::draw::SampleSize;
use crate::error::Error;

/// The table `[sample]` of a recipe.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SampleRecipe {
    /// What documents and conversations are drawn by.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Share of the documents and conversations that is kept apart, to measure a model by.
    #[serde(default = "held_out")]
    pub held_out: f64,
    /// Documents to draw. One that several entries would take belongs to the first.
    #[serde(default)]
    pub documents: Vec<Documents>,
    /// Conversations to draw.
    #[serde(default)]
    pub conversations: Vec<Conversations>,
    /// Text to make by rule.
    #[serde(default)]
    pub rules: Option<Rules>,
    /// Whether broken documents and conversations are counted and passed over, instead of ending the work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_broken: bool,
}

/// Documents that are drawn evenly.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    /// Files, folders or globs; JSONL, Parquet or text, plain or compressed.
    pub input: Vec<String>,
    /// How much: `"all"`, bytes of text such as `"40MB"` or `"40MiB"`, or a number of documents such as `1000` or `"10k"`.
    #[serde(default = "all", deserialize_with = "take", serialize_with = "say")]
    pub take: SampleSize,
    /// Patterns such as `openstax/*`: only documents whose source or licence matches one.
    #[serde(default)]
    pub only: Vec<String>,
    /// Patterns: no documents whose source or licence matches one.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// The language of documents that name none.
    #[serde(default)]
    pub lang: Option<String>,
    /// What is taken out of documents, and which are passed over.
    #[serde(default)]
    pub clean: Clean,
}

/// Conversations that are drawn evenly, from lines with `messages`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Conversations {
    /// Files, folders or globs of JSON lines, plain or compressed.
    pub input: Vec<String>,
    /// How many, as of documents; bytes are those of lines.
    #[serde(default = "all", deserialize_with = "take", serialize_with = "say")]
    pub take: SampleSize,
    /// As those of documents.
    #[serde(default)]
    pub only: Vec<String>,
    /// As those of documents.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// Whether they are documents too, written as dialogues.
    #[serde(default)]
    pub also_documents: bool,
}

/// Text made by rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Files, folders or globs of rules.
    pub files: Vec<String>,
    /// How many documents.
    #[serde(default)]
    pub documents: u64,
    /// How many documents besides that are conversations, written as dialogues.
    #[serde(default)]
    pub dialogues: u64,
    /// How many conversations.
    #[serde(default)]
    pub conversations: u64,
}

fn seed() -> u64 {
    42
}

fn held_out() -> f64 {
    0.01
}

fn all() -> SampleSize {
    SampleSize::All
}

/// The forms of an amount to take, for a person.
const AMOUNTS: &str = "\"all\", a number of texts (1000, \"10k\") or bytes (\"40MB\", \"40MiB\")";

fn take<'de, D: Deserializer<'de>>(from: D) -> Result<SampleSize, D::Error> {
    from.deserialize_any(Take)
}

struct Take;

impl Visitor<'_> for Take {
    type Value = SampleSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(AMOUNTS)
    }

    fn visit_u64<E>(self, texts: u64) -> Result<SampleSize, E> {
        Ok(SampleSize::Texts(texts))
    }

    fn visit_i64<E: serde::de::Error>(self, texts: i64) -> Result<SampleSize, E> {
        u64::try_from(texts).map(SampleSize::Texts).map_err(|_| no_amount(texts))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<SampleSize, E> {
        Err(no_amount(number))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<SampleSize, E> {
        Err(no_amount(value))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SampleSize, E> {
        match Amount::parse(text) {
            _ if text == "all" => Ok(SampleSize::All),
            Some(Amount::Count(texts)) => Ok(SampleSize::Texts(texts)),
            Some(Amount::Bytes(bytes)) => Ok(SampleSize::Bytes(bytes)),
            None => Err(no_amount(format!("{text:?}"))),
        }
    }
}

fn no_amount<E: serde::de::Error>(said: impl fmt::Display) -> E {
    E::custom(format!("`take` is {said}, and not {AMOUNTS}"))
}

fn say<S: serde::Serializer>(take: &SampleSize, to: S) -> Result<S::Ok, S::Error> {
    match take {
        SampleSize::All => to.serialize_str("all"),
        SampleSize::Texts(texts) => to.serialize_u64(*texts),
        SampleSize::Bytes(bytes) if bytes % 1000 == 0 => to.serialize_str(&format!("{}kB", bytes / 1000)),
        SampleSize::Bytes(bytes) => to.serialize_str(&format!("{bytes}B")),
    }
}

impl SampleRecipe {
    /// Reads the table `[sample]` of a recipe; what else is in the file is for others.
    ///
    /// # Errors
    /// A file that cannot be read; [`Error::Rules`] with the line of what is wrong.
    pub fn open(path: &Path) -> Result<SampleRecipe, Error> {
        #[derive(Deserialize)]
        struct Recipe {
            sample: SampleRecipe,
        }
        let bytes = std::fs::read(path).map_err(|source| Error::read(path, source))?;
        let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "it is not UTF-8"))?;
        let recipe: Recipe = toml::from_str(&text).map_err(|e| {
            let before = text.as_bytes().iter().take(e.span().map_or(0, |span| span.start));
            let line = 1 + before.filter(|&&byte| byte == b'\n').count();
            let fact = json::plain(e.message());
            Error::Rules { path: path.to_owned(), line, fact }
        })?;
        Ok(recipe.sample)
    }

    /// Holds the shares to what shares can be.
    ///
    /// # Errors
    /// One is none.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..0.5).contains(&self.held_out) {
            let share = self.held_out;
            return Err(Error::Sample(format!("`held_out` is {share}; it is a share from 0 to below 0.5")));
        }
        let clean = self.documents.iter().map(|documents| &documents.clean);
        if let Some(share) = clean.map(|clean| clean.prose).find(|share| !(0.0..=1.0).contains(share)) {
            return Err(Error::Sample(format!("`prose` is {share}; it is a share from 0 to 1")));
        }
        Ok(())
    }
}

/// Which documents an entry takes.
pub(super) struct Choice {
    only: Vec<glob::Pattern>,
    leave_out: Vec<glob::Pattern>,
}

impl Choice {
    pub(super) fn new(only: &[String], leave_out: &[String]) -> Result<Choice, Error> {
        let patterns = |texts: &[String]| {
            let read = texts.iter().map(|text| {
                glob::Pattern::new(text)
                    .map_err(|e| Error::Sample(format!("`{text}` is no pattern of sources: {e}")))
            });
            read.collect::<Result<Vec<_>, _>>()
        };
        Ok(Choice { only: patterns(only)?, leave_out: patterns(leave_out)? })
    }

    pub(super) fn takes(&self, source: &str, license: &str) -> bool {
        let meets =
            |patterns: &[glob::Pattern]| patterns.iter().any(|p| p.matches(source) || p.matches(license));
        (self.only.is_empty() || meets(&self.only)) && !meets(&self.leave_out)
    }
}

/// The files that `inputs` name, relative ones beside `near`.
pub(super) fn find(inputs: &[String], near: &Path) -> Result<InputFiles, Error> {
    let inputs: Vec<String> =
        inputs.iter().map(|input| near.join(input).to_string_lossy().into_owned()).collect();
    Ok(sai_documents::find_files(&inputs)?)
}
