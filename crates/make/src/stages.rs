//! What each stage reads, by what settings, and how it is done.

mod card;
mod convert;
mod evaluate;
mod finetune;
mod judge;
mod pack;
mod pretrain;
mod quantize;
pub(crate) mod sample;
mod tokenizer;
mod training;

use crate::event::StageContext;
use crate::{Error, Folder, MakeRecipe, Manifest, Options, Stage};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Where the making is.
pub(crate) struct RunContext<'a> {
    pub(crate) recipe: &'a MakeRecipe,
    pub(crate) folder: &'a Folder,
    pub(crate) options: &'a Options<'a>,
    pub(crate) manifest: &'a Manifest,
}

/// What decides on a stage's files.
#[derive(Default)]
pub(crate) struct StageJob {
    /// Settings by dotted name.
    pub(crate) settings: BTreeMap<String, String>,
    /// Files that it reads.
    pub(crate) inputs: Vec<PathBuf>,
}

/// What came of a stage.
pub(crate) struct StageOutcome {
    /// Files that it made, by their names from the run's folder.
    pub(crate) outputs: Vec<String>,
    /// In a line.
    pub(crate) summary: String,
}

/// What a stage is to be done with.
pub(crate) fn job(at: &RunContext<'_>, stage: Stage) -> Result<StageJob, Error> {
    match stage {
        Stage::Sample => sample::job(at),
        Stage::Tokenizer => tokenizer::job(at),
        Stage::Pack => pack::job(at),
        Stage::Pretrain => pretrain::job(at),
        Stage::Finetune => finetune::job(at),
        Stage::Convert => convert::job(at),
        Stage::Quantize => quantize::job(at),
        Stage::Evaluate => evaluate::job(at),
        Stage::Judge => judge::job(at),
        Stage::Card => card::job(at),
    }
}

/// Does a stage, from its beginning or from where it was stopped. Told to stop, it breaks off.
pub(crate) fn run(
    at: &RunContext<'_>,
    stage: Stage,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    match stage {
        Stage::Sample => sample::run(at, told),
        Stage::Tokenizer => tokenizer::run(at, told),
        Stage::Pack => pack::run(at, told),
        Stage::Pretrain => pretrain::run(at, told),
        Stage::Finetune => finetune::run(at, told),
        Stage::Convert => convert::run(at, told),
        Stage::Quantize => quantize::run(at, told),
        Stage::Evaluate => evaluate::run(at, told),
        Stage::Judge => judge::run(at, told),
        Stage::Card => card::run(at, told),
    }
}

impl StageJob {
    pub(crate) fn set(mut self, key: &str, value: impl ToString) -> StageJob {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// All files below a folder.
    pub(crate) fn reads(mut self, at: &RunContext<'_>, folder: PathBuf) -> Result<StageJob, Error> {
        let root = at.folder.root();
        self.inputs.extend(crate::files::below(root, &folder)?.iter().map(|name| root.join(name)));
        Ok(self)
    }

    /// The settings of a table, those left out that `keep` does not want.
    pub(crate) fn table(mut self, table: &toml::Table, keep: fn(&str) -> bool) -> StageJob {
        for (key, value) in table.iter().filter(|(key, _)| keep(key)) {
            flatten(key, value, &mut self.settings);
        }
        self
    }
}

fn flatten(name: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                flatten(&format!("{name}.{key}"), value, into);
            }
        }
        value => drop(into.insert(name.to_owned(), value.to_string())),
    }
}

/// Threads of a stage.
pub(crate) fn threads(at: &RunContext<'_>) -> usize {
    match at.options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}
