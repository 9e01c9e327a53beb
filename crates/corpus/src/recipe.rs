//! What a corpus is to be made from, and how: the TOML that a person writes.

mod written;

use std::path::{Path, PathBuf};

use sai_cleaning::decontaminate::DecontaminateOptions;
use sai_cleaning::minhash::MinHashOptions;
use sai_documents::{Columns, WrittenAs};
use serde::{Deserialize, Serialize};

use crate::clean_set::CleanSet;
use crate::error::Error;
use crate::sources::{Access, Format, preset, presets};

/// A recipe of a corpus.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Decides the order, and which documents are left out where a share wants fewer.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Where documents come from. Of documents that are alike, that of the first source stays.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// The rules of cleaning, by language; documents of a language that no set is for are dropped.
    #[serde(default = "CleanSet::standard")]
    pub clean: Vec<CleanSet>,
    /// A fastText model of languages, `lid.176` or GlotLID, relative to the recipe; what is built in where not given.
    pub fasttext: Option<String>,
    /// What is done about documents and lines that are there more than once.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// Evaluation sets whose text is not to be trained on.
    #[serde(default)]
    pub decontamination: Decontamination,
    /// How much of what.
    #[serde(default)]
    pub mixture: Mixture,
    /// What is written.
    #[serde(default)]
    pub output: Output,
}

/// Files of one kind, from one place.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What it is called, in shares and in the report.
    pub name: String,
    /// Files, folders or globs, relative to the recipe.
    #[serde(default)]
    pub input: Vec<String>,
    /// A data set of the Hub, `owner/name`, or one of those that sai knows by a short name, such as `wikipedia-ko`.
    pub hub: Option<String>,
    /// Which files of the data set, as a pattern: `en/*.json.gz`.
    pub files: Option<String>,
    /// What the files are; told from them where not given.
    pub format: Option<Format>,
    /// The key or column of the text.
    pub text: Option<String>,
    /// The key or column of the address.
    pub url: Option<String>,
    /// The language of documents that do not say it, where all are of one; found out where not given.
    pub lang: Option<String>,
    /// The licence of documents that do not say it.
    pub license: Option<String>,
    /// The longest record, such as "16MB"; a longer one is passed over and counted.
    #[serde(default = "longest", deserialize_with = "written::bytes", serialize_with = "written::say_bytes")]
    pub longest: u64,
}

impl Source {
    /// Where the parts of its documents are.
    pub fn columns(&self) -> Columns {
        Columns {
            text: self.text.clone().unwrap_or_else(|| "text".to_owned()),
            url: Some(self.url.clone().unwrap_or_else(|| "url".to_owned())),
            license: Some("license".to_owned()),
            ..Columns::default()
        }
    }
}

/// What is done about text that is there more than once.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Duplicates {
    /// Whether documents that are the same, letter case, white space and punctuation aside, stay once.
    pub exact: bool,
    /// Documents that are nearly the same, by MinHash; `false` looks for none.
    #[serde(deserialize_with = "written::maybe_minhash")]
    pub minhash: Option<MinHashOptions>,
    /// Lines that a host repeats.
    pub lines: Lines,
    /// Which of documents that are alike stays.
    pub keep: Keep,
    /// How often the one that stays is written, by how many there are: `[from, copies]`, as FineWeb2 has it.
    pub rehydrate: Vec<(u64, u32)>,
}

impl Default for Duplicates {
    fn default() -> Duplicates {
        Duplicates {
            exact: true,
            minhash: Some(MinHashOptions::default()),
            lines: Lines::default(),
            keep: Keep::First,
            rehydrate: Vec::new(),
        }
    }
}

/// Lines that stand in many documents of a host: menus, footers, notices.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lines {
    /// In how many documents of a host a line may stand; in more it is cut from all. 0 cuts none.
    pub documents: u32,
    /// The fewest characters of a line that is looked at.
    pub shortest: u32,
    /// What is left of a document must have so many characters.
    pub document_shortest: u32,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines { documents: 5, shortest: 2, document_shortest: 50 }
    }
}

/// Which of documents that are alike stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The first, by the order of the sources, their files and the records in these.
    #[default]
    First,
    /// The longest, and of those the first.
    Longest,
}

/// Evaluation sets.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decontamination {
    /// Files, folders or globs of JSONL or text, relative to the recipe. Of an object every text is looked for, and the
    /// `answer` behind its `question`.
    pub sets: Vec<String>,
    /// Words of an n-gram.
    pub n: usize,
    /// The fewest words of a text that is looked for as a whole.
    pub short: usize,
    /// What is done where one is found.
    pub action: Action,
}

/// What is done with a document that has text of an evaluation set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is dropped.
    #[default]
    Drop,
    /// The text is cut from it.
    Cut,
}

impl Default for Decontamination {
    fn default() -> Decontamination {
        let DecontaminateOptions { n, short } = DecontaminateOptions::default();
        Decontamination { sets: Vec::new(), n, short, action: Action::Drop }
    }
}

/// How much of what.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mixture {
    /// About how much text is written in all, such as "10GB". Where not given, as much as the shares allow without any
    /// document more often than its `epochs`.
    #[serde(
        deserialize_with = "written::maybe_bytes",
        serialize_with = "written::say_maybe",
        skip_serializing_if = "Option::is_none"
    )]
    pub size: Option<u64>,
    /// Shares of the bytes of text. What no share names is left out; without any share all is taken once.
    #[serde(rename = "share")]
    pub shares: Vec<Share>,
    /// The order of documents.
    pub order: Order,
}

/// A share of the text.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Of this source; of all where not given.
    pub source: Option<String>,
    /// Of this language; of all where not given.
    pub lang: Option<String>,
    /// How much, beside the other shares: 0.7, or 7 beside 3.
    pub share: f64,
    /// How often a document may be written at most; a part of one more is drawn.
    #[serde(default = "one")]
    pub epochs: f64,
}

/// The order of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Mixed: every shard is made of pieces from anywhere in the sources, and its documents are shuffled.
    #[default]
    Shuffled,
    /// As the sources, their files and the records in these.
    Source,
}

/// What is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// As what: `jsonl.zst` or `parquet`.
    #[serde(deserialize_with = "written::written_as", serialize_with = "written::say_written_as")]
    pub format: WrittenAs,
    /// About how much text a shard has.
    #[serde(deserialize_with = "written::bytes", serialize_with = "written::say_bytes")]
    pub shard: u64,
}

impl Default for Output {
    fn default() -> Output {
        Output { format: WrittenAs::default(), shard: 128 << 20 }
    }
}

fn seed() -> u64 {
    42
}

fn longest() -> u64 {
    16 << 20
}

fn one() -> f64 {
    1.0
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// A file that cannot be read, or the line of what is wrong in it.
    pub fn open(path: &Path) -> Result<Recipe, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::read(path, source))?;
        let text = String::from_utf8(bytes).map_err(|_| Error::recipe(path, "it is not UTF-8"))?;
        Recipe::parse(&text, path)
    }

    /// The recipe that `text` is; errors name `path`.
    ///
    /// # Errors
    /// The line of what is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Recipe, Error> {
        let mut recipe: Recipe = toml::from_str(text).map_err(|e| {
            let before = text.as_bytes().iter().take(e.span().map_or(0, |span| span.start));
            let line = 1 + before.filter(|&&byte| byte == b'\n').count();
            Error::recipe(path, format!("line {line}: {}", sai_documents::json::plain(e.message())))
        })?;
        recipe.resolve_presets(path)?;
        recipe.check(path)?;
        Ok(recipe)
    }

    /// Puts what is known of data sets beside their short names.
    fn resolve_presets(&mut self, path: &Path) -> Result<(), Error> {
        for source in &mut self.sources {
            let Some(hub) = &source.hub else { continue };
            let Some(preset) = preset(hub) else {
                if !hub.contains('/') {
                    let names: Vec<&str> = presets().iter().map(|preset| preset.name).collect();
                    let fact = format!(
                        "source `{}`: `{hub}` is no data set of the Hub; give owner/name, or one of {}",
                        source.name,
                        names.join(", ")
                    );
                    return Err(Error::recipe(path, fact));
                }
                continue;
            };
            if let Access::Gone(why) = preset.access {
                return Err(Error::recipe(path, format!("source `{}`: {why}", source.name)));
            }
            let set = |value: &mut Option<String>, known: &str| {
                value.get_or_insert_with(|| known.to_owned());
            };
            source.hub = Some(preset.repository.to_owned());
            set(&mut source.files, preset.files);
            set(&mut source.text, preset.text);
            set(&mut source.lang, preset.lang);
            set(&mut source.license, preset.license);
            source.format.get_or_insert(preset.format);
            if let Some(url) = preset.url {
                set(&mut source.url, url);
            }
        }
        Ok(())
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        let wrong = |fact: String| Err(Error::recipe(path, fact));
        if self.sources.is_empty() {
            return wrong("it names no source; give one as [[source]]".to_owned());
        }
        for (at, source) in self.sources.iter().enumerate() {
            let name = &source.name;
            let good = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
            if !good {
                return wrong(format!(
                    "a source is called `{}`; names have letters, digits, -, _ and .",
                    name.escape_debug()
                ));
            }
            if self.sources[..at].iter().any(|other| other.name == *name) {
                return wrong(format!("two sources are called `{name}`"));
            }
            match (source.input.is_empty(), &source.hub) {
                (true, None) => return wrong(format!("source `{name}` has neither `input` nor `hub`")),
                (false, Some(_)) => {
                    return wrong(format!("source `{name}` has both `input` and `hub`; give one"));
                }
                _ => {}
            }
        }
        if let Some(Err(fact)) = self.duplicates.minhash.map(|options| options.check()) {
            return wrong(format!("duplicates.{fact}"));
        }
        let Decontamination { n, short, .. } = self.decontamination;
        if let Err(fact) = (DecontaminateOptions { n, short }).check() {
            return wrong(fact.replace("decontaminate.", "decontamination."));
        }
        for (at, set) in self.clean.iter().enumerate() {
            if self.clean[..at].iter().any(|other| other.lang == set.lang) {
                return wrong(format!("two sets of rules are for {}", set.name()));
            }
        }
        let steps = &self.duplicates.rehydrate;
        if steps.windows(2).any(|pair| pair[0].0 >= pair[1].0)
            || steps.iter().any(|&(from, copies)| from == 0 || copies == 0)
        {
            return wrong("duplicates.rehydrate: sizes grow from 1 on, and copies are at least 1".to_owned());
        }
        for share in &self.mixture.shares {
            let name =
                share.source.as_ref().filter(|name| !self.sources.iter().any(|source| source.name == **name));
            if let Some(name) = name {
                return wrong(format!("mixture.share: no source is called `{name}`"));
            }
            let counted = share.share > 0.0 && share.share.is_finite();
            if !(counted && share.epochs > 0.0 && share.epochs <= 1000.0) {
                return wrong("mixture.share: `share` is above 0, and `epochs` above 0 to 1000".to_owned());
            }
        }
        if self.output.shard < 1 << 16 {
            return wrong("output.shard: a shard has at least 64 KiB".to_owned());
        }
        Ok(())
    }

    /// The files of evaluation sets, relative ones beside `near`.
    pub(crate) fn evaluation_sets(&self, near: &Path) -> Result<Vec<PathBuf>, Error> {
        let inputs: Vec<String> = self
            .decontamination
            .sets
            .iter()
            .map(|input| near.join(input).to_string_lossy().into_owned())
            .collect();
        Ok(sai_documents::find(&inputs)?)
    }

    /// How often a document is written that stands for `size` of them.
    pub fn copies(&self, size: u64) -> u32 {
        let steps = self.duplicates.rehydrate.iter().rev();
        steps.into_iter().find(|&&(from, _)| size >= from).map_or(1, |&(_, copies)| copies)
    }
}
