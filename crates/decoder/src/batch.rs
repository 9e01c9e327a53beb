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

/// Tokens of any number of sequences, to be computed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) tokens: Vec<u32>,
    /// For each push: the sequence's place in the cache, and its rows.
    pub(crate) spans: Vec<(usize, Range<usize>)>,
    /// Rows whose logits are wanted, rising.
    pub(crate) wanted: Vec<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds rows that continue `sequence`.
    pub fn push(&mut self, sequence: &Sequence, tokens: &[u32], wanted: LogitRows) {
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
        self.spans.push((sequence.index(), rows));
    }

    /// Takes all rows out, so that the batch can be filled again.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.spans.clear();
        self.wanted.clear();
    }

    /// The tokens of each push, in order.
    pub fn spans(&self) -> impl Iterator<Item = &[u32]> {
        self.spans.iter().map(|(_, rows)| &self.tokens[rows.clone()])
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
