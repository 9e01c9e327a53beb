//! Documents that are read again while answers are learnt, so that they are not forgotten: in every step some sequences of
//! them lie among its conversations, all their tokens trained on.

use crate::batch::{Batch, Data, HeldOut, Position};
use crate::corpus::SequenceSampling;
use crate::{Base, Conversations, Corpus, Error, FinetuneRecipe, Replay};

/// Opens the documents that a recipe reads again.
///
/// # Errors
/// As [`Corpus::open`]; shards were packed with another tokenizer than the model's.
pub(crate) fn documents(recipe: &FinetuneRecipe, replay: &Replay, base: &Base) -> Result<Corpus, Error> {
    let drawing = SequenceSampling {
        seed: recipe.seed,
        held_out: replay.validation_share,
        context: recipe.context,
        sequences: recipe.replayed(),
        validation_tokens: recipe.validation_tokens,
    };
    Corpus::of(&replay.data, drawing, base.config.vocab_size, Some(base.tokenizer.fingerprint()?))
}

/// Conversations with documents among them. The documents' sources are numbered after those of conversations.
pub(crate) struct Replayed {
    conversations: Conversations,
    documents: Corpus,
    /// Sources of conversations.
    sources: usize,
}

impl Replayed {
    pub(crate) fn new(conversations: Conversations, documents: Corpus) -> Replayed {
        let sources = conversations.start().sources.len();
        Replayed { conversations, documents, sources }
    }

    /// A document's source and number as the documents know it, where it is none of the conversations.
    fn replayed(&self, (source, number): (usize, u64)) -> Option<(usize, u64)> {
        Some((source.checked_sub(self.sources)?, number))
    }

    /// Checksum of both.
    fn sum(&self) -> u32 {
        let [conversations, documents] =
            [self.conversations.start(), self.documents.start()].map(|at| at.sum);
        crc32c::crc32c_append(conversations.unwrap_or(0), &documents.unwrap_or(0).to_le_bytes())
    }

    /// How far documents are read at a position.
    fn in_documents(&self, position: &Position) -> Position {
        Position { sources: position.replay.clone(), ..self.documents.start() }
    }
}

impl Data for Replayed {
    fn start(&self) -> Position {
        let documents = self.documents.start();
        Position { replay: documents.sources, sum: Some(self.sum()), ..self.conversations.start() }
    }

    fn knows(&self, position: &Position) -> bool {
        let conversations = Position { sources: position.sources.clone(), ..self.conversations.start() };
        position.sum == Some(self.sum())
            && self.conversations.knows(&conversations)
            && self.documents.knows(&self.in_documents(position))
    }

    fn units(&self, position: &Position) -> u64 {
        self.conversations.units(position) + self.documents.units(position)
    }

    /// Sequences are spread over the step, so that ranks, which share it out in runs of units, have about as many each.
    fn unit(&self, position: &mut Position, at: u64, of: u64, batch: &mut Batch) {
        let sequences = self.documents.units(position);
        let before = |units: u64| u128::from(units) * u128::from(sequences) / u128::from(of.max(1));
        if before(at + 1) == before(at) {
            return self.conversations.unit(position, at, of, batch);
        }
        let mut place = self.in_documents(position);
        let first = batch.origins.len();
        self.documents.unit(&mut place, at, of, batch);
        batch.origins[first..].iter_mut().for_each(|origin| origin.0 += self.sources);
        position.replay = place.sources;
    }

    fn name(&self, document: (usize, u64)) -> String {
        match self.replayed(document) {
            Some(inner) => self.documents.name(inner),
            None => self.conversations.name(document),
        }
    }

    fn rows(&self, document: (usize, u64)) -> usize {
        match self.replayed(document) {
            Some(inner) => self.documents.rows(inner),
            None => self.conversations.rows(document),
        }
    }

    /// Documents are judged apart from answers, under `documents` after their language.
    fn held_out(&self) -> Vec<HeldOut> {
        let mut all = self.conversations.held_out();
        for mut held in self.documents.held_out() {
            held.language += " documents";
            held.documents.iter_mut().for_each(|document| document.0 += self.sources);
            all.push(held);
        }
        all
    }

    fn passes(
        &self,
        documents: &[(usize, u64)],
        rows: usize,
        on: &mut dyn FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let replayed: Vec<(usize, u64)> = documents.iter().filter_map(|&d| self.replayed(d)).collect();
        let others: Vec<(usize, u64)> =
            documents.iter().filter(|&&d| self.replayed(d).is_none()).copied().collect();
        self.conversations.passes(&others, rows, on)?;
        self.documents.passes(&replayed, rows, on)
    }
}
