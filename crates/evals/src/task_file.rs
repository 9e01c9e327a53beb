//! What stands in a task's file.

use crate::Metric;
use crate::generation::GenerateUntil;
use serde::Deserialize;

/// A task as its file has it. [docs/evaluation.md](../../../docs/evaluation.md) explains each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFile {
    /// What it is called.
    pub name: String,
    /// What it asks, in a sentence.
    pub about: String,
    /// Groups that it belongs to.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The rows that it has in the tables of [`crate::Table`].
    #[serde(default)]
    pub rows: Vec<TableRow>,
    /// What its files begin with.
    pub file: String,
    /// Where the Hub has it.
    #[serde(default)]
    pub dataset: Option<DatasetOnHub>,
    /// The split that is scored.
    pub split: String,
    /// The split that examples are drawn from; a task without one has no examples.
    #[serde(default)]
    pub examples: Option<String>,
    /// Expression of what a row belongs to within the task, as its subject: examples are of the same, and each has figures
    /// of its own.
    #[serde(default)]
    pub subtasks: Option<String>,
    /// How examples are chosen.
    #[serde(default)]
    pub sampler: Sampler,
    /// Examples before each question, where no other number is asked for.
    #[serde(default)]
    pub fewshot: usize,
    /// Columns that every row has.
    pub columns: Vec<String>,
    /// Metrics, in the order that they are shown in.
    pub metrics: Vec<Metric>,
    /// How answers are written, where they are not chosen.
    #[serde(default)]
    pub generate: Option<GenerateUntil>,
    /// The prompt of both profiles.
    pub prompt: Prompt,
    /// What differs on the branch `polyglot`.
    #[serde(default)]
    pub polyglot: Prompt,
    /// What differs on `main`.
    #[serde(default)]
    pub main: Prompt,
}

/// A row of a table that a task fills.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRow {
    /// The table, such as `korean`.
    pub table: String,
    /// The row's name there.
    pub row: String,
    /// The figure that stands in it.
    pub metric: Metric,
}

/// How a row becomes contexts and choices. Templates give a text, expressions a value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Template of the context; `item` in it is the item of the choice, so that contexts may differ.
    pub context: Option<String>,
    /// The choices, where they are the same for all rows.
    pub choices: Option<Vec<String>>,
    /// Expression of a list of which each item is a choice.
    pub items: Option<String>,
    /// Template of a choice, of `item`; the item itself where there is none.
    pub choice: Option<String>,
    /// Expression of the right choice's number, from 0. `items` in it is the list of items.
    pub gold: Option<String>,
    /// Expression of a list that has 1 for each right choice and 0 for the others, for `mc2`.
    pub labels: Option<String>,
    /// Expression of the right answers, for `f1` and `em`.
    pub answers: Option<String>,
    /// What stands between a context and a choice; a blank where not given.
    pub delimiter: Option<String>,
    /// Template of what stands before the examples and the question.
    pub description: Option<String>,
    /// Template of the right answer, where it is written and not chosen.
    pub target: Option<String>,
}

impl Prompt {
    /// This one, with what `other` says instead.
    pub(crate) fn with(&self, other: &Prompt) -> Prompt {
        let or = |a: &Option<String>, b: &Option<String>| b.clone().or_else(|| a.clone());
        Prompt {
            context: or(&self.context, &other.context),
            choices: other.choices.clone().or_else(|| self.choices.clone()),
            items: or(&self.items, &other.items),
            choice: or(&self.choice, &other.choice),
            gold: or(&self.gold, &other.gold),
            labels: or(&self.labels, &other.labels),
            answers: or(&self.answers, &other.answers),
            delimiter: or(&self.delimiter, &other.delimiter),
            description: or(&self.description, &other.description),
            target: or(&self.target, &other.target),
        }
    }
}

/// How examples are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Drawn anew for each document.
    #[default]
    Random,
    /// The first ones, in their order.
    FirstN,
}

/// Where the Hub has a task's data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetOnHub {
    /// `owner/name`.
    pub repository: String,
    /// The configuration, or several; `*` for all of them.
    #[serde(default)]
    pub config: Option<Configs>,
    /// The commit, so that the data cannot change, or a branch where no Parquet lies beside the source.
    #[serde(default = "main")]
    pub revision: String,
    /// The Hub's name of the split that is scored, where it is another than the task's.
    #[serde(default)]
    pub split: Option<String>,
    /// The Hub's name of the split that examples are drawn from.
    #[serde(default)]
    pub examples: Option<String>,
}

/// Configurations of a dataset.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Configs {
    /// One.
    One(String),
    /// Some, whose rows follow each other.
    Several(Vec<String>),
}

impl Configs {
    /// Whether a configuration is one of them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Configs::One(one) => one == "*" || one == name,
            Configs::Several(some) => some.iter().any(|one| one == name),
        }
    }

    /// Whether they are more than one, so that rows have to say theirs.
    pub fn are_several(&self) -> bool {
        match self {
            Configs::One(one) => one == "*",
            Configs::Several(_) => true,
        }
    }
}

impl std::fmt::Display for Configs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Configs::One(one) => f.write_str(one),
            Configs::Several(some) => f.write_str(&some.join(", ")),
        }
    }
}

/// The branch that a repository of the Hub begins with.
fn main() -> String {
    "main".to_owned()
}

impl TaskFile {
    /// The split that examples are drawn from, where it is not the one that is scored.
    pub fn other_examples(&self) -> Option<&str> {
        self.examples.as_deref().filter(|split| *split != self.split)
    }
}
