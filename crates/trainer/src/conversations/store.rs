//! Conversations as tokens in memory, side by side.

use super::TokenizedConversation;
use sai_documents::Place;
use std::ops::Range;

/// The conversations, or pairs, of one entry of the recipe.
pub(super) struct Source {
    /// Its part of what is drawn.
    pub(super) share: f64,
    tokens: Vec<u32>,
    /// Parts of `tokens` that are predicted.
    answers: Vec<Range<usize>>,
    /// Up to where each text's tokens and answers go, from where those of the one before end.
    ends: Vec<(usize, usize)>,
    /// Texts of an entry: one, or two of a pair.
    each: usize,
    pub(super) entries: Vec<Entry>,
    /// Whether each is trained on.
    trains: Vec<bool>,
    /// How many are.
    pub(super) trained: u64,
}

/// What is known of a conversation or a pair besides its tokens.
pub(super) struct Entry {
    /// Bytes of its answers' text, of a pair of the chosen ones.
    pub(super) answer_bytes: u64,
    pub(super) path: u32,
    pub(super) place: Place,
    pub(super) language: u32,
}

/// A conversation as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'c> {
    /// All of it.
    pub tokens: &'c [u32],
    /// The tokens that are trained on.
    pub answers: Vec<Range<usize>>,
}

impl Source {
    /// One whose entries have `each` texts.
    pub(super) fn new(each: usize) -> Source {
        Source {
            share: 0.0,
            tokens: Vec::new(),
            answers: Vec::new(),
            ends: Vec::new(),
            each,
            entries: Vec::new(),
            trains: Vec::new(),
            trained: 0,
        }
    }

    pub(super) fn push(&mut self, entry: Entry, lessons: &[TokenizedConversation]) {
        for lesson in lessons {
            let start = self.tokens.len();
            self.tokens.extend(&lesson.tokens);
            self.answers.extend(lesson.answers.iter().map(|a| start + a.start..start + a.end));
            self.ends.push((self.tokens.len(), self.answers.len()));
        }
        self.entries.push(entry);
    }

    /// Says which entries are trained on.
    pub(super) fn train_on(&mut self, which: impl Fn(u64) -> bool) {
        self.trains = (0..self.entries.len() as u64).map(which).collect();
        self.trained = self.trains().count() as u64;
    }

    pub(super) fn trains_on(&self, number: u64) -> bool {
        self.trains.get(number as usize).copied().unwrap_or(false)
    }

    /// The numbers of those that are trained on.
    pub(super) fn trains(&self) -> impl Iterator<Item = u64> {
        (0..).zip(&self.trains).filter_map(|(number, &trains)| trains.then_some(number))
    }

    /// The texts of an entry.
    pub(super) fn texts(&self, number: u64) -> impl Iterator<Item = Text<'_>> {
        let first = (number as usize).saturating_mul(self.each);
        (first..first.saturating_add(self.each)).filter_map(|text| {
            let to = *self.ends.get(text)?;
            let from = text.checked_sub(1).map_or((0, 0), |before| self.ends[before]);
            let answers = self.answers[from.1..to.1].iter();
            Some(Text {
                tokens: &self.tokens[from.0..to.0],
                answers: answers.map(|a| a.start - from.0..a.end - from.0).collect(),
            })
        })
    }

    /// Rows that an entry takes: the last token of each text is predicted and not read.
    pub(super) fn rows(&self, number: u64) -> usize {
        let first = (number as usize).saturating_mul(self.each);
        let end = |text: usize| self.ends.get(text).map_or(0, |end| end.0);
        let tokens = end((first + self.each).saturating_sub(1)) - first.checked_sub(1).map_or(0, end);
        tokens.saturating_sub(self.each)
    }
}
