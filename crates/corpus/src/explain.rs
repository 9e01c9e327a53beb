//! One page through every step: what was taken of it, each signal against its threshold, and what became of it.

use std::path::{Path, PathBuf};

use sai_cleaning::quality::Bound;
use sai_documents::{Columns, Format as DocumentFormat, Options, Reader};

use crate::cleaner::{Cleaner, Kit, Perplexity, Steps};
use crate::clusters::{Fate, Sorted};
use crate::error::Error;
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::sources::{Format, Reading, Record, Settings, format_of};

/// A signal against its threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The rule.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// What it is held to.
    pub threshold: f64,
    /// Whether it must be at least that, and not at most.
    pub at_least: bool,
    /// Whether it is.
    pub passes: bool,
}

/// What became of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// Where it stands.
    pub place: String,
    /// Bytes of it.
    pub bytes: usize,
    /// How its text was taken: the step, and what was found.
    pub taken: Vec<(String, String)>,
    /// The text that was taken.
    pub text: String,
    /// The language by which the rules were chosen.
    pub lang: String,
    /// The set of rules.
    pub rules: String,
    /// Each signal.
    pub signals: Vec<Signal>,
    /// What was changed, each counted.
    pub changes: Vec<(String, u64)>,
    /// The text as it would be kept.
    pub cleaned: String,
    /// Why it is dropped, with the fact; nothing where the rules keep it.
    pub dropped: Option<(String, String)>,
    /// What became of it among others, where a build says so.
    pub fate: Option<String>,
}

/// Takes the records of a file through the rules of a recipe, up to the one that is wanted: the `number`-th, from 1, or that of an
/// address.
///
/// # Errors
/// A file without the record, or that cannot be read.
pub fn explain(
    recipe: &Recipe,
    near: &Path,
    path: &Path,
    wanted: Wanted<'_>,
    perplexity: Option<std::sync::Arc<Perplexity>>,
) -> Result<Explained, Error> {
    let kit = Kit::open(recipe, near, perplexity)?;
    let format = match format_of(path)? {
        Some(format) => format,
        None => Format::Text,
    };
    let columns = Columns { url: Some("url".to_owned()), ..Columns::default() };
    let settings = Settings { format, columns, longest: 64 << 20 };
    match find(vec![path.to_owned()], settings, wanted)? {
        Some(record) => Ok(of_record(&mut kit.cleaner(), recipe, &record, None, path.display().to_string())),
        None => Err(Error::file(
            path,
            match wanted {
                Wanted::Number(number) => format!("it has no record {number}"),
                Wanted::Address(url) => format!("it has no record of {url}"),
            },
        )),
    }
}

/// Which record is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'w> {
    /// The n-th, from 1.
    Number(usize),
    /// That of an address.
    Address(&'w str),
}

impl Plan {
    /// Looks for the record of an address in the sources of a build, and says what became of it.
    ///
    /// # Errors
    /// No source has it, or it cannot be read.
    pub fn explain(
        &self,
        url: &str,
        perplexity: Option<std::sync::Arc<Perplexity>>,
    ) -> Result<Explained, Error> {
        let kit = Kit::open(&self.recipe, &self.near, perplexity)?;
        for (number, unit) in self.units.iter().enumerate() {
            let files: Vec<PathBuf> = unit.files.iter().map(|file| file.path.clone()).collect();
            if let Some(record) = find(files, self.settings(unit), Wanted::Address(url))? {
                let source = &self.recipe.sources[unit.source];
                let place = format!("{url}, {} of {}", record.place, source.name);
                let mut explained =
                    of_record(&mut kit.cleaner(), &self.recipe, &record, source.lang.as_deref(), place);
                explained.fate = self.fate_of(number, url)?;
                return Ok(explained);
            }
        }
        Err(Error::file(&self.folder, format!("no source of this build has a record of {url}")))
    }

    /// What became of the document of an address, where that is decided.
    fn fate_of(&self, unit: usize, url: &str) -> Result<Option<String>, Error> {
        let (Some(parts), Some(_)) = (self.parts(unit), self.duplicated()) else { return Ok(None) };
        let mut at = 0u64;
        for part in 0..parts.len() {
            let columns = Columns { url: Some("url".to_owned()), ..Columns::default() };
            let options = Options { columns, format: Some(DocumentFormat::Parquet), ..Options::default() };
            for batch in Reader::open(vec![self.map_file(unit, Some(part as u32), ".parquet")], options)? {
                for document in batch?.documents() {
                    if document.url == Some(url) {
                        return self.said(unit, at).map(Some);
                    }
                    at += 1;
                }
            }
        }
        Ok(None)
    }

    fn said(&self, unit: usize, wanted: u64) -> Result<String, Error> {
        let mut found: Option<Sorted> = None;
        let mut at = 0;
        self.fates(unit, |rows| {
            for row in rows {
                if at == wanted {
                    found = Some(row);
                }
                at += 1;
            }
            Ok(())
        })?;
        let Sorted { fate, size, kept, cuts, .. } = found.unwrap_or_default();
        let lines = match cuts.len() {
            0 => String::new(),
            lines => format!("; {lines} lines that its host repeats are cut"),
        };
        Ok(match fate {
            Fate::Stays if size > 1 => format!("stays, for {size} documents that are alike{lines}"),
            Fate::Stays => format!("stays: no other is like it{lines}"),
            Fate::Exact => format!("goes: document {kept}, of {size} that are alike, says the same"),
            Fate::Near => format!("goes: document {kept}, of {size} that are alike, says nearly the same"),
        })
    }
}

fn find(files: Vec<PathBuf>, settings: Settings, wanted: Wanted<'_>) -> Result<Option<Record>, Error> {
    let mut reading = Reading::open(files, settings)?;
    let mut number = 0;
    while let Some(block) = reading.next_block() {
        for record in block?.take()?.0 {
            number += 1;
            let is = match wanted {
                Wanted::Number(wanted) => number == wanted,
                Wanted::Address(url) => record.address().as_deref() == Some(url),
            };
            if is {
                return Ok(Some(record));
            }
        }
    }
    Ok(None)
}

fn of_record(
    cleaner: &mut Cleaner,
    recipe: &Recipe,
    record: &Record,
    lang: Option<&str>,
    place: String,
) -> Explained {
    let Steps { taken, text, lang, set, cleaned, dropped } = cleaner.steps(record, lang);
    let mut explained =
        Explained { place, bytes: record.body.len(), taken, text, lang, dropped, ..Explained::default() };
    if let Some(set) = set {
        let set = &recipe.clean[set];
        let preset = set.preset.as_deref().unwrap_or("no preset");
        explained.rules = format!("{} ({preset})", set.name());
    }
    if let Some(cleaned) = cleaned {
        let signal = |check: &sai_cleaning::quality::Check| Signal {
            name: check.rule,
            value: check.value,
            threshold: check.threshold,
            at_least: check.bound == Bound::AtLeast,
            passes: check.passes(),
        };
        explained.signals = cleaned.checks.iter().map(signal).collect();
        let mut tally = crate::tally::Tally::default();
        crate::cleaner::count_changes(&mut tally, &cleaned);
        explained.changes = tally.changes.into_iter().collect();
        explained.cleaned = cleaned.text;
    }
    explained
}
