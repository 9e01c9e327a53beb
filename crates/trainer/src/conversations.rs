//! Conversations to learn answers from, or pairs of them to learn a preference from, as tokens in memory: 4 bytes a token,
//! and some 60 a conversation.
//!
//! Each comes once an epoch, in an order that is a seeded permutation of its file. Several files come in proportion to
//! their shares, which are by default as large as they are, so that all end their epoch together. A step is some
//! conversations side by side, none attending to another; the two of a pair are always in one pass.

mod draw;
mod files;
mod forms;
mod read;
mod row;
mod store;
mod table;
mod tokenize;
mod turn;

pub use read::{BrokenConversation, ConversationCounts};
pub use store::Text;
pub use tokenize::TokenizedConversation;

use crate::permutation::held_out;
use crate::{BatchSize, Data, Error, FinetuneRecipe, Length};
use sai_documents::Place;
use sai_tokenizer::{ChatTemplate, Tokenizer};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use store::{Entry, Source};

/// Whether a line is a conversation that can be learnt from, or a pair of them; if not, why.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn check_row(line: &str) -> Result<(), String> {
    let conversation = forms::parse(line, None, false).map(drop);
    conversation.or_else(|fact| forms::parse(line, None, true).map(drop).map_err(|_| fact))
}

/// The conversations of a recipe, or its pairs.
pub struct Conversations {
    sources: Vec<Source>,
    /// Files, languages: each once.
    paths: Vec<PathBuf>,
    languages: Vec<String>,
    found: ConversationCounts,
    /// Whether these are pairs.
    pairs: bool,
    seed: u64,
    held_out: f64,
    batch: BatchSize,
    /// Conversations that the run reads in all; `None` where its steps are given.
    draws: Option<u64>,
    steps: u64,
    validation_tokens: u64,
    sum: u32,
}

/// A conversation of a recipe, or a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example<'c> {
    /// Its file.
    pub path: &'c Path,
    /// Its line or row.
    pub place: Place,
    /// The conversation; of a pair the one with the chosen answer and then the one with the rejected.
    pub texts: Vec<Text<'c>>,
}

impl Conversations {
    /// Reads the conversations of a recipe on `threads` threads. `progress` hears the bytes that are done and those that
    /// there are, file by file, and ends the reading with a break, which is then returned.
    ///
    /// # Errors
    /// A file cannot be read or has no conversation to train on; the template fails or does not tell whose tokens are
    /// whose; or, where the recipe is strict, a conversation is broken.
    pub fn read(
        recipe: &FinetuneRecipe,
        tokenizer: &Tokenizer,
        template: &ChatTemplate,
        threads: usize,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), Conversations>, Error> {
        let pairs = recipe.dpo.is_some();
        let reading = read::Reading {
            tokenizer,
            template,
            context: recipe.context,
            strict: recipe.strict,
            pairs,
            threads,
        };
        let mut all = Conversations {
            sources: Vec::new(),
            paths: Vec::new(),
            languages: Vec::new(),
            found: ConversationCounts::default(),
            pairs,
            seed: recipe.seed,
            held_out: recipe.validation_share,
            batch: recipe.batch,
            draws: None,
            steps: 0,
            validation_tokens: recipe.validation_tokens,
            sum: 0,
        };
        for file in &recipe.data {
            let mut found = std::mem::take(&mut all.found);
            let mut source = Source::new(if pairs { 2 } else { 1 });
            let mut take = |path: &PathBuf, read| all.add(&mut source, path, read);
            let flow = read::read(&reading, file, &mut found, &mut take, progress)?;
            all.found = found;
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            source.train_on(|number| !held_out(number, all.held_out));
            if source.trained == 0 {
                return Err(all.nothing(&file.path));
            }
            source.share = file.share.unwrap_or(source.trained as f64);
            all.sources.push(source);
        }
        all.plan(recipe.length);
        Ok(ControlFlow::Continue(all))
    }

    /// What was found in the files.
    pub fn found(&self) -> &ConversationCounts {
        &self.found
    }

    /// Whether these are pairs of a chosen answer and a rejected one.
    pub fn are_pairs(&self) -> bool {
        self.pairs
    }

    /// Steps of the run.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Conversations that are trained on, those that are held out left out.
    pub fn trained(&self) -> u64 {
        self.sources.iter().map(|source| source.trained).sum()
    }

    /// Conversations in the order of training.
    pub fn examples(&self) -> impl Iterator<Item = Example<'_>> {
        let mut position = self.start();
        std::iter::from_fn(move || {
            let (which, number) = self.next(&mut position)?;
            self.example(which, number)
        })
    }

    /// Tokens of a conversation, and pairs of a token and one that it attends to: means of those that are trained on.
    pub(crate) fn mean_work(&self) -> (f64, f64) {
        let (mut tokens, mut attended) = (0, 0.0);
        for source in &self.sources {
            for text in source.trains().flat_map(|number| source.texts(number)) {
                let rows = text.tokens.len().saturating_sub(1);
                tokens += rows;
                attended += rows as f64 * (rows as f64 + 1.0) / 2.0;
            }
        }
        let count = self.trained().max(1) as f64;
        (tokens as f64 / count, attended / count)
    }

    /// Source and number of each that the run reads, to train on or to validate, in the order of the files.
    pub(crate) fn read_in_run(&self) -> Vec<(usize, u64)> {
        let held_out = self.held_out().into_iter().flat_map(|held| held.documents);
        let mut all: Vec<(usize, u64)> = held_out.collect();
        for (which, source) in self.sources.iter().enumerate() {
            all.extend(source.trains().map(|number| (which, number)));
        }
        all.sort_unstable();
        all
    }

    fn example(&self, which: usize, number: u64) -> Option<Example<'_>> {
        let source = self.sources.get(which)?;
        let entry = source.entries.get(number as usize)?;
        let path = self.paths.get(entry.path as usize)?;
        Some(Example { path, place: entry.place, texts: source.texts(number).collect() })
    }

    fn add(&mut self, source: &mut Source, path: &PathBuf, read: read::Read) {
        let read::Read { place, lessons, language } = read;
        for id in lessons.iter().flat_map(|lesson| &lesson.tokens) {
            self.sum = crc32c::crc32c_append(self.sum, &id.to_le_bytes());
        }
        let language = language.unwrap_or_else(|| "unknown".to_owned());
        let entry = Entry {
            answer_bytes: lessons.first().map_or(0, |lesson| lesson.answer_bytes.iter().sum()),
            path: index_of(&mut self.paths, path),
            place,
            language: index_of(&mut self.languages, &language),
        };
        source.push(entry, &lessons);
    }

    /// Says why there is nothing to train on, though nothing was broken.
    fn nothing(&self, path: &Path) -> Error {
        let what = if self.pairs { "pair" } else { "conversation" };
        let fact = match self.found.too_long {
            0 => format!("has no {what} to train on"),
            _ => format!("has no {what} that fits; give a larger `context`"),
        };
        Error::Data { path: path.to_owned(), fact }
    }

    /// Counts the steps of the run.
    fn plan(&mut self, length: Length) {
        self.steps = match length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => {
                let draws = ((epochs * self.trained() as f64).round() as u64).max(1);
                self.draws = Some(draws);
                self.steps_of(draws)
            }
        };
        if self.pairs {
            self.keep_to(self.steps);
        }
    }

    /// Steps in which so many are read.
    fn steps_of(&self, draws: u64) -> u64 {
        if let BatchSize::Conversations(n) = self.batch {
            return draws.div_ceil(n);
        }
        let (mut position, mut steps) = (self.start(), 0);
        while position.drawn() < draws {
            for _ in 0..self.units(&position) {
                self.next(&mut position);
            }
            steps += 1;
        }
        steps
    }

    /// Leaves out what a run of so many steps does not come to, for of all others the reference is asked before it.
    fn keep_to(&mut self, steps: u64) {
        let none = |source: &Source| vec![false; source.entries.len()];
        let mut read: Vec<Vec<bool>> = self.sources.iter().map(none).collect();
        let (mut position, mut left) = (self.start(), self.trained());
        for _ in 0..steps {
            for _ in 0..self.units(&position) {
                let Some((which, number)) = self.next(&mut position) else { return };
                left -= u64::from(!std::mem::replace(&mut read[which][number as usize], true));
            }
            if left == 0 {
                return;
            }
        }
        for (source, read) in self.sources.iter_mut().zip(read) {
            source.train_on(|number| read[number as usize]);
        }
    }
}

/// The number of a name that is mostly the newest.
fn index_of<T: PartialEq + Clone>(names: &mut Vec<T>, name: &T) -> u32 {
    let known = names.iter().rposition(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.clone());
        names.len() - 1
    }) as u32
}
