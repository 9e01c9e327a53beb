//! The rows of one pass.

use crate::Sequence;
use std::ops::Range;

/// Which of some rows' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitRows {
    /// None: the rows only fill the cache.
    None,
    /// Those of the last row: what comes next.
    Last,
    /// All: what each token makes of the next, for scoring.
    All,
    /// Those from this one on.
    From(usize),
}

/// The rows of a push.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// The sequence's place in the cache.
    pub(crate) sequence: usize,
    pub(crate) rows: Range<usize>,
    /// Tokens that the text they are of has.
    pub(crate) length: usize,
}

/// Tokens of any number of sequences, to be computed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) tokens: Vec<u32>,
    pub(crate) spans: Vec<Pushed>,
    /// Rows whose logits are wanted, rising.
    pub(crate) wanted: Vec<usize>,
    /// Rows whose last hidden states are wanted, rising.
    pub(crate) hidden: Vec<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds rows that continue `sequence`.
    pub fn push(&mut self, sequence: &Sequence, tokens: &[u32], wanted: LogitRows) {
        self.push_of(sequence, tokens, wanted, 0);
    }

    /// The same for a piece of a text that will be `length` tokens long with all pieces: what a model whose positions turn
    /// otherwise in long texts ([`Config::rope_switch`](crate::Config::rope_switch)) has to know from the first piece on.
    pub fn push_of(&mut self, sequence: &Sequence, tokens: &[u32], wanted: LogitRows, length: usize) {
        let rows = self.tokens.len()..self.tokens.len() + tokens.len();
        if rows.is_empty() {
            return;
        }
        self.tokens.extend_from_slice(tokens);
        match wanted {
            LogitRows::None => {}
            LogitRows::Last => self.wanted.push(rows.end - 1),
            LogitRows::All => self.wanted.extend(rows.clone()),
            LogitRows::From(first) => self.wanted.extend(rows.start.saturating_add(first)..rows.end),
        }
        self.spans.push(Pushed { sequence: sequence.index(), rows, length });
    }

    /// Adds rows that continue `sequence`, whose last hidden states are wanted from row `first` of them on and whose logits
    /// are not; `length` as in [`Batch::push_of`].
    pub fn push_hidden(&mut self, sequence: &Sequence, tokens: &[u32], first: usize, length: usize) {
        let rows = self.tokens.len()..self.tokens.len() + tokens.len();
        self.hidden.extend(rows.start.saturating_add(first)..rows.end);
        self.push_of(sequence, tokens, LogitRows::None, length);
    }

    /// Takes all rows out, so that the batch can be filled again.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.spans.clear();
        self.wanted.clear();
        self.hidden.clear();
    }

    /// The tokens of each push, in order.
    pub fn spans(&self) -> impl Iterator<Item = &[u32]> {
        self.spans.iter().map(|span| &self.tokens[span.rows.clone()])
    }

    /// Rows whose logits are wanted, rising.
    pub fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Rows of the pass.
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Rows of logits that the pass returns.
    pub fn wanted_rows(&self) -> usize {
        self.wanted.len()
    }
}
