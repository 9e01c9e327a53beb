//! Conversations to learn answers from, as tokens in memory: 4 bytes a token, and some 60 a conversation.
//!
//! Each comes once an epoch, in an order that is a seeded permutation of its file. Several files come in proportion to
//! their shares, which are by default as large as they are, so that all end their epoch together. A step is some
//! conversations side by side, none attending to another.

mod form;
mod read;
mod teacher;

pub use read::{BrokenConversation, Found};
pub use teacher::Lesson;

use crate::batch::{Batch, Data, HeldOut, Place, Position};
use crate::order::{Order, held_out};
use crate::{BatchSize, Error, FinetuneRecipe, Length};
use sai_tokenizer::{ChatTemplate, Tokenizer};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

/// The conversations of a recipe.
pub struct Conversations {
    sources: Vec<Source>,
    /// Files, languages: each once.
    paths: Vec<PathBuf>,
    languages: Vec<String>,
    found: Found,
    seed: u64,
    held_out: f64,
    batch: BatchSize,
    /// Conversations that the run reads in all; `None` where its steps are given.
    draws: Option<u64>,
    steps: u64,
    validation_tokens: u64,
    sum: u32,
}

/// The conversations of one entry of the recipe.
#[derive(Default)]
struct Source {
    share: f64,
    tokens: Vec<u32>,
    /// Parts of `tokens` that are foretold.
    answers: Vec<Range<usize>>,
    entries: Vec<Entry>,
    /// Those that are trained on.
    trained: u64,
}

/// A conversation: up to where its tokens and answers go, from where those of the one before end.
struct Entry {
    tokens_end: usize,
    answers_end: usize,
    answer_bytes: u64,
    path: u32,
    line: u64,
    language: u32,
}

/// A conversation of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example<'c> {
    /// Its file.
    pub path: &'c Path,
    /// Its line, from 1.
    pub line: u64,
    /// All of it.
    pub tokens: &'c [u32],
    /// The tokens that are trained on.
    pub answers: Vec<Range<usize>>,
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
        let reading =
            read::Reading { tokenizer, template, context: recipe.context, strict: recipe.strict, threads };
        let mut all = Conversations {
            sources: Vec::new(),
            paths: Vec::new(),
            languages: Vec::new(),
            found: Found::default(),
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
            let mut source = Source::default();
            let mut take = |path: &PathBuf, read| all.add(&mut source, path, read);
            let flow = read::read(&reading, file, &mut found, &mut take, progress)?;
            all.found = found;
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let trains = |number: &u64| !held_out(*number, all.held_out);
            source.trained = (0..source.entries.len() as u64).filter(trains).count() as u64;
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
    pub fn found(&self) -> &Found {
        &self.found
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

    fn example(&self, which: usize, number: u64) -> Option<Example<'_>> {
        let source = self.sources.get(which)?;
        let entry = source.entries.get(number as usize)?;
        let (tokens, answers) = source.ranges(number as usize);
        let start = tokens.start;
        let path = self.paths.get(entry.path as usize)?;
        let answers = source.answers[answers].iter().map(|a| a.start - start..a.end - start).collect();
        Some(Example { path, line: entry.line, tokens: &source.tokens[tokens], answers })
    }

    fn add(&mut self, source: &mut Source, path: &PathBuf, read: read::Read) {
        let read::Read { line, lesson, language } = read;
        let start = source.tokens.len();
        for id in &lesson.tokens {
            self.sum = crc32c::crc32c_append(self.sum, &id.to_le_bytes());
        }
        source.tokens.extend(&lesson.tokens);
        source.answers.extend(lesson.answers.iter().map(|a| start + a.start..start + a.end));
        let language = language.unwrap_or_else(|| "unknown".to_owned());
        source.entries.push(Entry {
            tokens_end: source.tokens.len(),
            answers_end: source.answers.len(),
            answer_bytes: lesson.answer_bytes,
            path: index_of(&mut self.paths, path),
            line,
            language: index_of(&mut self.languages, &language),
        });
    }

    /// Says why there is nothing to train on.
    fn nothing(&self, path: &Path) -> Error {
        let fact = match self.found.examples.last() {
            Some(broken) => format!(
                "has no conversation to train on; {}: line {}: {}",
                broken.path.display(),
                broken.line,
                broken.fact
            ),
            None if self.found.too_long > 0 => {
                "has no conversation that fits; give a larger `context`".to_owned()
            }
            None => "has no conversation to train on".to_owned(),
        };
        Error::Data { path: path.to_owned(), fact }
    }

    /// Counts the steps of the run.
    fn plan(&mut self, length: Length) {
        let epochs = match length {
            Length::Steps(steps) => {
                self.steps = steps;
                return;
            }
            Length::Epochs(epochs) => epochs,
        };
        let draws = ((epochs * self.trained() as f64).round() as u64).max(1);
        self.draws = Some(draws);
        self.steps = match self.batch {
            BatchSize::Conversations(n) => draws.div_ceil(n),
            BatchSize::Tokens(_) => {
                let (mut position, mut steps) = (self.start(), 0);
                while position.drawn() < draws {
                    for _ in 0..self.units(&position) {
                        self.next(&mut position);
                    }
                    steps += 1;
                }
                steps
            }
        };
    }

    /// The conversation that comes at a position, which is moved past it.
    fn next(&self, position: &mut Position) -> Option<(usize, u64)> {
        let behind = |which: &usize| {
            let drawn = position.sources.get(*which).map_or(0, |place| place.drawn);
            self.sources.get(*which).map_or(f64::INFINITY, |source| drawn as f64 / source.share)
        };
        let which = (0..self.sources.len()).min_by(|a, b| behind(a).total_cmp(&behind(b)))?;
        let (source, place) = (self.sources.get(which)?, position.sources.get_mut(which)?);
        let count = source.entries.len() as u64;
        loop {
            let number = Order::new(count, self.seed, which as u64, place.epoch).at(place.next);
            place.next += 1;
            if place.next >= count {
                (place.next, place.epoch) = (0, place.epoch + 1);
            }
            // There is one that is not held out, or the source would have been refused.
            if !held_out(number, self.held_out) {
                place.drawn += 1;
                return Some((which, number));
            }
        }
    }

    fn rows(&self, which: usize, number: u64) -> usize {
        self.sources.get(which).map_or(0, |source| source.ranges(number as usize).0.len().saturating_sub(1))
    }

    /// Adds a conversation's rows, each with the token that follows it.
    fn push(&self, which: usize, number: u64, batch: &mut Batch) {
        let Some(Example { tokens, answers, .. }) = self.example(which, number) else { return };
        let (start, rows) = (batch.rows(), tokens.len().saturating_sub(1));
        batch.tokens.extend(&tokens[..rows]);
        batch.targets.extend(&tokens[tokens.len() - rows..]);
        batch.weights.resize(start + rows, 0.0);
        for answer in answers {
            // The row before a token foretells it.
            let answer = answer.start.max(1) - 1..answer.end - 1;
            batch.weights[start + answer.start..start + answer.end].fill(1.0);
        }
        batch.documents.push(start..start + rows);
        batch.origins.push((which, number));
    }
}

impl Source {
    /// The tokens of a conversation, and its answers among all.
    fn ranges(&self, number: usize) -> (Range<usize>, Range<usize>) {
        let end =
            |n: usize| self.entries.get(n).map_or((0, 0), |entry| (entry.tokens_end, entry.answers_end));
        let (to, before) = (end(number), number.checked_sub(1).map_or((0, 0), end));
        (before.0.min(to.0)..to.0, before.1.min(to.1)..to.1)
    }
}

impl Position {
    fn drawn(&self) -> u64 {
        self.sources.iter().map(|place| place.drawn).sum()
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

impl Data for Conversations {
    fn start(&self) -> Position {
        Position { sources: vec![Place::default(); self.sources.len()], sum: Some(self.sum) }
    }

    fn knows(&self, position: &Position) -> bool {
        let mut places = position.sources.iter().zip(&self.sources);
        position.sum == Some(self.sum)
            && position.sources.len() == self.sources.len()
            && places.all(|(place, source)| place.next < source.entries.len() as u64)
    }

    /// The last step of a run of whole epochs may have fewer.
    fn units(&self, position: &Position) -> u64 {
        // A run that passed over a bad batch goes on into another epoch.
        let rest = self.draws.and_then(|draws| draws.checked_sub(position.drawn())).filter(|&rest| rest > 0);
        let most = rest.unwrap_or(u64::MAX);
        match self.batch {
            BatchSize::Conversations(n) => n.min(most),
            BatchSize::Tokens(tokens) => {
                let (mut ahead, mut rows, mut units) = (position.clone(), 0, 0);
                while units < most {
                    let Some((which, number)) = self.next(&mut ahead) else { break };
                    rows += self.rows(which, number) as u64;
                    if units > 0 && rows > tokens {
                        break;
                    }
                    units += 1;
                }
                units
            }
        }
    }

    fn unit(&self, position: &mut Position, batch: &mut Batch) {
        if let Some((which, number)) = self.next(position) {
            self.push(which, number, batch);
        }
    }

    fn name(&self, (which, number): (usize, u64)) -> String {
        let example = self.example(which, number);
        example.map_or_else(String::new, |e| format!("{} line {}", e.path.display(), e.line))
    }

    fn held_out(&self) -> Vec<HeldOut> {
        let held = |language: &String| HeldOut { language: language.clone(), ..HeldOut::default() };
        let mut languages: Vec<HeldOut> = self.languages.iter().map(held).collect();
        for (which, source) in self.sources.iter().enumerate() {
            // The same ones whatever the seed, so that runs compare.
            let order = Order::new(source.entries.len() as u64, 0, which as u64, 0);
            for at in 0..source.entries.len() as u64 {
                let number = order.at(at);
                let Some(entry) =
                    source.entries.get(number as usize).filter(|_| held_out(number, self.held_out))
                else {
                    continue;
                };
                let Some(language) = languages.get_mut(entry.language as usize) else { continue };
                if language.tokens < self.validation_tokens {
                    let (_, answers) = source.ranges(number as usize);
                    language.tokens += source.answers[answers].iter().map(|a| a.len() as u64).sum::<u64>();
                    language.text_bytes += entry.answer_bytes;
                    language.documents.push((which, number));
                }
            }
        }
        languages.retain(|language| language.tokens > 0);
        languages.sort_by(|a, b| a.language.cmp(&b.language));
        languages
    }

    fn passes(
        &self,
        documents: &[(usize, u64)],
        rows: usize,
        on: &mut dyn FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut batch = Batch::default();
        for &(which, number) in documents {
            if batch.rows() + self.rows(which, number) > rows {
                on(&batch)?;
                batch.clear();
            }
            self.push(which, number, &mut batch);
        }
        if batch.rows() == 0 { Ok(()) } else { on(&batch) }
    }
}
