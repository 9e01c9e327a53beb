//! Conversations and short documents made by rule: a small grammar of topics.
//!
//! A file of rules is TOML, with a `license`, and
//! - `[words]`, lists: `food = ["김치", "밥"]`;
//! - `[table.NAME]`, linked facts: `columns` and `rows`, or every choice of `numbers` with its `results`;
//! - `[[topic]]`: a `lang`, ways to `ask` and ways to `answer`, any of which answers any of those, `follow`-ing
//!   questions about the same facts, and `more`, ways to ask for another answer; what a topic with `hail` asks is said
//!   before other questions too;
//! - `[[document]]`: `parts`, of each of which one way is taken.
//!
//! A way is a sentence with choices `[a|b]` and slots: `{food}` is a word of the list, `{food#2}` another one, and
//! `{c.capital}` a cell of the row that `with = { c = "countries" }` draws. `{c.capital:은/는}` adds a particle that
//! agrees with the word; a word whose spelling does not tell its sound is written with it, `Rust|러스트`. In English
//! `{x:a}` puts the article before it, and `{x:^}` begins it with a capital.
//!
//! Nothing is left to fail when text is made: a slot without words, a name that nothing has, a particle behind a word
//! of unknown sound, two rows about the same thing and a question that two topics answer are refused with their line
//! when the files are read. A conversation depends on the seed and its number alone.

mod compose;
mod facts;
mod particle;
mod pattern;
mod read;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::random::Random;
pub(crate) use compose::dialogue;
use pattern::{Pattern, Word};

/// What texts that rules make are said to come from.
pub const SOURCE: &str = "sai/rules";

/// Rules that were read.
#[derive(Debug, Default)]
pub struct Rules {
    lists: Vec<List>,
    tables: Vec<Table>,
    topics: Vec<Topic>,
    stories: Vec<Story>,
    license: String,
    languages: Vec<String>,
}

/// A conversation: who asks and who answers, in turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conversation {
    /// Turns of `user` and `assistant`, one after the other, an answer last.
    pub messages: Vec<Turn>,
    /// The language that it begins in.
    pub lang: String,
}

/// What somebody says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// A text and its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedDocument {
    /// The text.
    pub text: String,
    /// Its language.
    pub lang: String,
}

#[derive(Debug)]
struct List {
    words: Vec<Word>,
}

#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Word>>,
}

/// Where in a conversation a topic stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    /// First: a greeting.
    Open,
    #[default]
    Talk,
    /// Last: thanks, a farewell.
    Close,
    /// Behind it the conversation is in another language.
    Switch,
}

#[derive(Debug)]
struct Topic {
    lang: String,
    place: Place,
    to: Option<String>,
    weight: f64,
    variables: Variables,
    first: Exchange,
    more: Vec<Pattern>,
    /// Whether its questions are greetings that may stand before another question.
    hail: bool,
    follow: Vec<Exchange>,
}

#[derive(Debug)]
struct Story {
    lang: String,
    parts: Vec<Vec<Pattern>>,
    weight: f64,
    variables: Variables,
    repeat: (usize, usize),
}

#[derive(Debug)]
struct Exchange {
    ask: Vec<Pattern>,
    answer: Vec<Pattern>,
}

/// What the slots of a topic are filled with.
#[derive(Debug)]
struct Variables {
    /// Names, and the tables that a row is drawn from for each.
    rows: Vec<(String, usize)>,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// A column of the row that was drawn for a variable.
    Cell { row: usize, column: usize },
    /// A word of a list; those of different numbers differ.
    Word { list: usize, number: usize },
}

impl Rules {
    /// Reads files of rules together: a list or table of one can be used in all.
    ///
    /// # Errors
    /// [`Error::Rules`] with the line of what cannot be followed; files that cannot be read; rules that make nothing.
    pub fn open(files: &[PathBuf]) -> Result<Rules, Error> {
        read::read(files)
    }

    /// The rules that `text` is. `path` is what its errors name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(text: &str, path: &Path) -> Result<Rules, Error> {
        read::from_texts(&[(path, text.to_owned())])
    }

    /// Under which licence the files are given.
    pub fn license(&self) -> &str {
        &self.license
    }

    /// The languages that somebody talks in, sorted.
    pub fn languages(&self) -> &[String] {
        &self.languages
    }

    /// How many topics there are in a language.
    pub fn topics(&self, lang: &str) -> usize {
        self.topics.iter().filter(|topic| topic.lang == lang).count()
    }

    /// How many kinds of documents there are in a language.
    pub fn stories(&self, lang: &str) -> usize {
        self.stories.iter().filter(|story| story.lang == lang).count()
    }

    fn index(&mut self) {
        self.languages = self.topics.iter().map(|topic| topic.lang.clone()).collect();
        self.languages.sort();
        self.languages.dedup();
    }

    /// Draws what a topic's slots are filled with.
    fn draw(&self, variables: &Variables, random: &mut Random) -> Vec<&Word> {
        let mut rows: Vec<(usize, usize)> = Vec::new();
        for (_, table) in &variables.rows {
            let row = other(self.tables[*table].rows.len(), random, |row| rows.contains(&(*table, row)));
            rows.push((*table, row));
        }
        let mut words: Vec<(usize, usize)> = Vec::new();
        let slots = variables.slots.iter().map(|slot| match *slot {
            Slot::Cell { row, column } => {
                let (table, row) = rows[row];
                &self.tables[table].rows[row][column]
            }
            Slot::Word { list, number: _ } => {
                let of = &self.lists[list].words;
                let word = other(of.len(), random, |word| words.contains(&(list, word)));
                words.push((list, word));
                &of[word]
            }
        });
        slots.collect()
    }
}

/// A number below `end` that was not taken; any where all were.
fn other(end: usize, random: &mut Random, taken: impl Fn(usize) -> bool) -> usize {
    let first = random.below(end);
    (0..end).map(|step| (first + step) % end).find(|&number| !taken(number)).unwrap_or(first)
}
