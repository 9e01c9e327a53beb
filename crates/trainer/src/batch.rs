//! Rows for a pass, and who gives them.

use crate::Error;
use sai_decoder::training::Packed;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Rows for a pass, and where they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The token of each row.
    pub tokens: Vec<u32>,
    /// The token that follows each.
    pub targets: Vec<u32>,
    /// What the loss of each row counts: 1, or 0 for rows that are read and not trained on.
    pub weights: Vec<f32>,
    /// The rows of each document or conversation.
    pub documents: Vec<Range<usize>>,
    /// The source of each by its number in the recipe, and its number there.
    pub origins: Vec<(usize, u64)>,
}

impl Batch {
    /// As the model takes it.
    pub fn packed(&self) -> Packed<'_> {
        let Batch { tokens, targets, weights, documents, .. } = self;
        Packed { tokens, targets, weights, documents }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Rows that are trained on.
    pub fn trained(&self) -> u64 {
        self.weights.iter().filter(|&&weight| weight != 0.0).count() as u64
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.targets.clear();
        self.weights.clear();
        self.documents.clear();
        self.origins.clear();
    }

    /// Adds a document, or a part of one, all of it trained on.
    pub(crate) fn push(
        &mut self,
        tokens: impl Iterator<Item = u32>,
        targets: impl Iterator<Item = u32>,
        origin: (usize, u64),
    ) {
        let start = self.tokens.len();
        self.tokens.extend(tokens);
        self.targets.extend(targets);
        self.weights.resize(self.tokens.len(), 1.0);
        self.documents.push(start..self.tokens.len());
        self.origins.push(origin);
    }

    /// Adds all rows of another.
    pub(crate) fn append(&mut self, other: &Batch) {
        let start = self.tokens.len();
        self.tokens.extend(&other.tokens);
        self.targets.extend(&other.targets);
        self.weights.extend(&other.weights);
        self.documents.extend(other.documents.iter().map(|rows| start + rows.start..start + rows.end));
        self.origins.extend(&other.origins);
    }
}

/// How far a run is in its data: all that a resumed one needs to go on with the same tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub(crate) sources: Vec<SourcePosition>,
    /// Checksum of what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<u32>,
    /// Places in the documents that are read again beside conversations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) replay: Vec<SourcePosition>,
}

/// How far a run is in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourcePosition {
    /// Times that all of it was read.
    pub(crate) epoch: u64,
    /// Place in the epoch's order of the current conversation, or stretch of documents.
    pub(crate) next: u64,
    /// Rows of the stretch that were read.
    pub(crate) offset: u64,
    /// What was read of the source in all, in the unit of its share.
    pub(crate) drawn: u64,
}

/// Text that is kept from training, by the language that it is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldOut {
    /// The language's name, `unknown` where documents do not say theirs.
    pub language: String,
    /// Tokens that are predicted.
    pub tokens: u64,
    /// Bytes of their text.
    pub text_bytes: u64,
    /// Source and number of each document.
    pub documents: Vec<(usize, u64)>,
}

/// Where a run's rows come from. A step is some units, sequences or conversations, each read whole in one pass; what
/// comes next depends on nothing but the position.
pub trait Data {
    /// Where a run begins.
    fn start(&self) -> Position;

    /// Whether a position can be of this data.
    fn knows(&self, position: &Position) -> bool;

    /// Units of the step that begins at a position.
    fn units(&self, position: &Position) -> u64;

    /// Adds the next unit to `batch`, which has room, and moves `position` past it. It is unit `at` of the `of` that
    /// [`Data::units`] counted where the step began.
    fn unit(&self, position: &mut Position, at: u64, of: u64, batch: &mut Batch);

    /// Names a document for a person.
    fn name(&self, origin: (usize, u64)) -> String;

    /// Rows of a document, or of both of a pair.
    fn rows(&self, document: (usize, u64)) -> usize;

    /// What is kept from training, to validate on.
    fn held_out(&self) -> Vec<HeldOut>;

    /// Reads documents in passes of at most `rows` rows.
    ///
    /// # Errors
    /// Those of `on`, after which no more is read.
    fn passes(
        &self,
        documents: &[(usize, u64)],
        rows: usize,
        on: &mut dyn FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<(), Error>;
}
