//! Sequences of tokens from several folders of shards, in proportion to their shares.
//!
//! A document is read as its end token, which opens it, and its own tokens; every token but the opening one is
//! predicted once an epoch. Where shards have no end token, the first token of a document is not predicted.
//!
//! Documents longer than a sequence are read in pieces of its length, each as if it began there. Pieces come in an order
//! that is shuffled over the whole source, so that a novel is spread over the epoch and does not fill a hundred steps. To
//! find them without a list, the tokens at rest are counted off in stretches of [`STRETCH`], and the order is one of stretches:
//! each gives the pieces that begin in it. Sequences are filled to the last row; a piece that does not fit goes on at
//! the start of the next sequence.

use crate::batch::SourcePosition;
use crate::permutation::{Permutation, held_out};
use crate::recipe::Source;
use crate::{Batch, Data, Error, HeldOut, Position, Recipe};
use sai_shards::{Document, Shards};
use std::iter;
use std::ops::Range;
use std::path::PathBuf;

/// Tokens of a stretch, where sequences are not shorter: few, so that pieces which begin in the same one, and so stay
/// together, are few.
const STRETCH: u64 = 64;

/// The shards of a recipe, opened.
pub struct Corpus {
    sources: Vec<Opened>,
    drawing: SequenceSampling,
    /// Of the checksums of all shards, so that a run goes on with the data that it began with.
    sum: u32,
}

/// How sequences are drawn from shards.
pub(crate) struct SequenceSampling {
    /// Decides the order of documents.
    pub(crate) seed: u64,
    /// Share of the documents that is never trained on.
    pub(crate) held_out: f64,
    /// Tokens of a sequence.
    pub(crate) context: usize,
    /// Sequences of a step.
    pub(crate) sequences: u64,
    /// Tokens of each language to validate on.
    pub(crate) validation_tokens: u64,
}

impl SequenceSampling {
    /// Tokens of a stretch.
    fn stretch(&self) -> u64 {
        STRETCH.min(self.context as u64)
    }
}

struct Opened {
    path: PathBuf,
    share: f64,
    language: Option<String>,
    shards: Shards,
    documents: u64,
    stretches: u64,
}

/// A document as inputs and what is to be predicted after each.
#[derive(Clone, Copy)]
struct Predicted<'a> {
    document: Document<'a>,
    opening: Option<u32>,
}

impl<'a> Predicted<'a> {
    /// How many tokens are predicted.
    fn len(&self) -> usize {
        let closed = usize::from(self.opening.is_none());
        self.document.tokens.len().saturating_sub(closed)
    }

    fn inputs(&self, range: Range<usize>) -> impl Iterator<Item = u32> + 'a {
        self.opening.into_iter().chain(self.document.tokens.iter()).skip(range.start).take(range.len())
    }

    fn targets(&self, range: Range<usize>) -> impl Iterator<Item = u32> + 'a {
        let first = usize::from(self.opening.is_none()) + range.start;
        self.document.tokens.iter().skip(first).take(range.len())
    }
}

impl Corpus {
    /// Opens the shards of a recipe, for a model of `vocab_size` tokens.
    ///
    /// # Errors
    /// A folder is none of shards, two were packed with different tokenizers, tokens do not fit the model, or a source
    /// has no document to train on.
    pub fn open(recipe: &Recipe, vocab_size: usize) -> Result<Corpus, Error> {
        let drawing = SequenceSampling {
            seed: recipe.seed,
            held_out: recipe.validation_share,
            context: recipe.context,
            sequences: recipe.sequences(),
            validation_tokens: recipe.validation_tokens,
        };
        Corpus::of(&recipe.data, drawing, vocab_size, None)
    }

    /// As [`Corpus::open`], for what a recipe says. `tokenizer` is the fingerprint that shards must have, where it is known.
    pub(crate) fn of(
        data: &[Source],
        drawing: SequenceSampling,
        vocab_size: usize,
        tokenizer: Option<[u8; 32]>,
    ) -> Result<Corpus, Error> {
        let mut sources: Vec<Opened> = Vec::new();
        for source in data {
            let path = source.path.clone();
            if !path.is_dir() {
                let fact = "no such folder; where its shards lie elsewhere now, say so: --set data=FOLDER"
                    .to_owned();
                return Err(Error::Data { path, fact });
            }
            // All with the tokenizer of the first.
            let tokenizer = tokenizer.or(sources.first().map(|first| first.shards.fingerprint()));
            let shards = Shards::open(&path, tokenizer)?;
            if shards.vocab_size() as usize > vocab_size {
                let fact = format!(
                    "has a vocabulary of {} tokens, more than the model's {vocab_size}; give a larger \
                     `model.vocab_size`",
                    shards.vocab_size()
                );
                return Err(Error::Data { path, fact });
            }
            let all = shards.totals().all;
            let (documents, stretches) = (all.documents, all.tokens.div_ceil(drawing.stretch()));
            let (share, language) = (source.share, source.language.clone());
            sources.push(Opened { path, share, language, shards, documents, stretches });
        }
        let shards = sources.iter().flat_map(|opened| opened.shards.shards());
        let sum = shards.fold(0, |sum, shard| {
            let header = shard.header();
            crc32c::crc32c_append(crc32c::crc32c_append(sum, &header.tokens_sum), &header.index_sum)
        });
        let corpus = Corpus { sources, drawing, sum };
        for opened in &corpus.sources {
            if !(0..opened.documents).any(|document| corpus.taught(opened, document).is_some()) {
                let of = opened.language.as_ref().map_or_else(String::new, |l| format!(" of language `{l}`"));
                let fact = format!("has no document{of} to train on");
                return Err(Error::Data { path: opened.path.clone(), fact });
            }
        }
        Ok(corpus)
    }

    /// The shards of each source.
    pub fn shards(&self) -> impl Iterator<Item = &Shards> {
        self.sources.iter().map(|opened| &opened.shards)
    }

    /// Adds a sequence to `batch` and moves `position` past it.
    pub fn sequence(&self, position: &mut Position, batch: &mut Batch) {
        let mut left = self.drawing.context;
        while left > 0 {
            let which = self.due(position);
            let (Some(place), Some(source)) = (position.sources.get_mut(which), self.sources.get(which))
            else {
                return;
            };
            let order = Permutation::new(source.stretches, self.drawing.seed, which as u64, place.epoch);
            let Some((number, tokens, rows)) = self.unread(source, order.at(place.next), place.offset) else {
                place.offset = 0;
                place.next += 1;
                if place.next >= source.stretches {
                    place.next = 0;
                    place.epoch += 1;
                }
                continue;
            };
            let rows = rows.start..rows.end.min(rows.start + left);
            batch.push(tokens.inputs(rows.clone()), tokens.targets(rows.clone()), (which, number));
            left -= rows.len();
            place.offset += rows.len() as u64;
            place.drawn += rows.len() as u64;
        }
    }

    /// What is left of the first piece of a stretch behind `offset` rows.
    fn unread<'a>(
        &self,
        source: &'a Opened,
        stretch: u64,
        offset: u64,
    ) -> Option<(u64, Predicted<'a>, Range<usize>)> {
        let mut passed = offset as usize;
        self.pieces(source, stretch).find_map(|(number, tokens, rows)| {
            let from = rows.start + passed.min(rows.len());
            passed -= from - rows.start;
            (from < rows.end).then_some((number, tokens, from..rows.end))
        })
    }

    /// The pieces that begin in a stretch: documents with their numbers, and which of their rows.
    fn pieces<'a>(
        &self,
        source: &'a Opened,
        stretch: u64,
    ) -> impl Iterator<Item = (u64, Predicted<'a>, Range<usize>)> {
        let (from, to) = (stretch * self.drawing.stretch(), (stretch + 1) * self.drawing.stretch());
        let documents = iter::successors(source.shards.find(from), |&(number, first)| {
            let document = source.shards.document(number)?;
            Some((number + 1, first + document.tokens.len() as u64))
        });
        documents.take_while(move |&(_, first)| first < to).flat_map(move |(number, first)| {
            let tokens = self.taught(source, number);
            let (context, rows) = (self.drawing.context, tokens.map_or(0, |tokens| tokens.len()));
            // Every `context`-th row begins a piece; the first of these that is in the stretch.
            let begin = (from.saturating_sub(first) as usize).next_multiple_of(context);
            let begins = (begin..rows.min((to - first) as usize)).step_by(context);
            begins.filter_map(move |at| Some((number, tokens?, at..rows.min(at + context))))
        })
    }

    /// Epochs of each source that a position has behind it, the current one by its part.
    pub fn epochs(&self, position: &Position) -> Vec<f64> {
        let places = position.sources.iter().zip(&self.sources);
        places.map(|(p, s)| p.epoch as f64 + p.next as f64 / s.stretches.max(1) as f64).collect()
    }

    /// Held-out documents of each language, by name, as many as come to `tokens` targets, with the bytes of their texts.
    pub fn validation(&self, tokens: u64) -> Vec<HeldOut> {
        let mut languages: Vec<HeldOut> = Vec::new();
        for (which, source) in self.sources.iter().enumerate() {
            // The same documents whatever the seed, so that runs compare.
            let order = Permutation::new(source.documents, 0, which as u64, 0);
            for at in 0..source.documents {
                let number = order.at(at);
                if !held_out(number, self.drawing.held_out) {
                    continue;
                }
                let found = self.predicted(source, number);
                let Some(found) = found.filter(|f| f.len() > 0 && wanted(source, &f.document)) else {
                    continue;
                };
                let name = found.document.lang.unwrap_or("unknown");
                let known = languages.iter().position(|held_out| held_out.language == name);
                let known = known.unwrap_or_else(|| {
                    languages.push(HeldOut { language: name.to_owned(), ..HeldOut::default() });
                    languages.len() - 1
                });
                let language = &mut languages[known];
                if language.tokens < tokens {
                    language.tokens += found.len() as u64;
                    language.text_bytes += u64::from(found.document.text_bytes);
                    language.documents.push((which, number));
                }
            }
        }
        languages.retain(|language| language.tokens > 0);
        languages.sort_by(|a, b| a.language.cmp(&b.language));
        languages
    }

    /// The source that is furthest behind its share.
    fn due(&self, position: &Position) -> usize {
        let behind = |which: &usize| {
            let drawn = position.sources.get(*which).map_or(0, |place| place.drawn);
            self.sources.get(*which).map_or(f64::INFINITY, |source| drawn as f64 / source.share)
        };
        (0..self.sources.len()).min_by(|a, b| behind(a).total_cmp(&behind(b))).unwrap_or(0)
    }

    fn predicted<'a>(&self, source: &'a Opened, number: u64) -> Option<Predicted<'a>> {
        Some(Predicted { document: source.shards.document(number)?, opening: source.shards.end() })
    }

    /// A document, where it is one to train on.
    fn taught<'a>(&self, source: &'a Opened, number: u64) -> Option<Predicted<'a>> {
        if held_out(number, self.drawing.held_out) {
            return None;
        }
        self.predicted(source, number).filter(|found| found.len() > 0 && wanted(source, &found.document))
    }
}

impl Data for Corpus {
    fn start(&self) -> Position {
        Position {
            sources: vec![SourcePosition::default(); self.sources.len()],
            sum: Some(self.sum),
            replay: Vec::new(),
        }
    }

    fn knows(&self, position: &Position) -> bool {
        position.sum == Some(self.sum)
            && position.sources.len() == self.sources.len()
            && position.sources.iter().zip(&self.sources).all(|(place, source)| place.next < source.stretches)
    }

    fn units(&self, _: &Position) -> u64 {
        self.drawing.sequences
    }

    fn unit(&self, position: &mut Position, _: u64, _: u64, batch: &mut Batch) {
        self.sequence(position, batch);
    }

    fn name(&self, (source, document): (usize, u64)) -> String {
        let path = self.sources.get(source).map(|opened| opened.path.display().to_string());
        format!("{} #{document}", path.unwrap_or_default())
    }

    fn rows(&self, (source, document): (usize, u64)) -> usize {
        let found = self.sources.get(source).and_then(|source| self.predicted(source, document));
        found.map_or(0, |found| found.len())
    }

    fn held_out(&self) -> Vec<HeldOut> {
        self.validation(self.drawing.validation_tokens)
    }

    /// Documents longer than a sequence are cut.
    fn passes(
        &self,
        documents: &[(usize, u64)],
        rows: usize,
        on: &mut dyn FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut batch = Batch::default();
        for &(which, number) in documents {
            let Some(tokens) = self.sources.get(which).and_then(|source| self.predicted(source, number))
            else {
                continue;
            };
            let mut from = 0;
            while from < tokens.len() {
                let to = tokens.len().min(from + self.drawing.context);
                if batch.rows() + to - from > rows {
                    on(&batch)?;
                    batch.clear();
                }
                batch.push(tokens.inputs(from..to), tokens.targets(from..to), (which, number));
                from = to;
            }
        }
        if batch.tokens.is_empty() { Ok(()) } else { on(&batch) }
    }
}

fn wanted(source: &Opened, document: &Document<'_>) -> bool {
    source.language.as_deref().is_none_or(|language| document.lang == Some(language))
}
