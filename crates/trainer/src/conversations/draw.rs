//! Which conversation comes next, and its rows.

use super::{Conversations, Example};
use crate::batch::{Batch, Data, HeldOut, Position, SourcePosition};
use crate::permutation::{Permutation, held_out};
use crate::{BatchSize, Error};

impl Conversations {
    /// The conversation that comes at a position, which is moved past it.
    pub(super) fn next(&self, position: &mut Position) -> Option<(usize, u64)> {
        let behind = |which: &usize| {
            let drawn = position.sources.get(*which).map_or(0, |place| place.drawn);
            let source = self.sources.get(*which).filter(|source| source.trained > 0);
            source.map_or(f64::INFINITY, |source| drawn as f64 / source.share)
        };
        let which = (0..self.sources.len()).min_by(|a, b| behind(a).total_cmp(&behind(b)))?;
        let (source, place) = (self.sources.get(which)?, position.sources.get_mut(which)?);
        let count = source.entries.len() as u64;
        loop {
            let number = Permutation::new(count, self.seed, which as u64, place.epoch).at(place.next);
            place.next += 1;
            if place.next >= count {
                (place.next, place.epoch) = (0, place.epoch + 1);
            }
            // There is one, for sources that have none are refused, or are behind no other.
            if source.trains_on(number) {
                place.drawn += 1;
                return Some((which, number));
            }
        }
    }

    /// Adds the rows of a conversation, or of both of a pair, each with the token that follows it.
    fn push(&self, which: usize, number: u64, batch: &mut Batch) {
        let Some(Example { texts, .. }) = self.example(which, number) else { return };
        for text in texts {
            let (start, rows) = (batch.rows(), text.tokens.len().saturating_sub(1));
            batch.tokens.extend(&text.tokens[..rows]);
            batch.targets.extend(&text.tokens[text.tokens.len() - rows..]);
            batch.weights.resize(start + rows, 0.0);
            for answer in text.answers {
                // The row before a token predicts it.
                let answer = answer.start.max(1) - 1..answer.end - 1;
                batch.weights[start + answer.start..start + answer.end].fill(1.0);
            }
            batch.documents.push(start..start + rows);
            batch.origins.push((which, number));
        }
    }
}

impl Position {
    pub(super) fn drawn(&self) -> u64 {
        self.sources.iter().map(|place| place.drawn).sum()
    }
}

impl Data for Conversations {
    fn start(&self) -> Position {
        Position {
            sources: vec![SourcePosition::default(); self.sources.len()],
            sum: Some(self.sum),
            replay: Vec::new(),
        }
    }

    fn knows(&self, position: &Position) -> bool {
        let mut places = position.sources.iter().zip(&self.sources);
        position.sum == Some(self.sum)
            && position.replay.is_empty()
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
                    let Some(document) = self.next(&mut ahead) else { break };
                    rows += self.rows(document) as u64;
                    if units > 0 && rows > tokens {
                        break;
                    }
                    units += 1;
                }
                units
            }
        }
    }

    fn unit(&self, position: &mut Position, _: u64, _: u64, batch: &mut Batch) {
        if let Some((which, number)) = self.next(position) {
            self.push(which, number, batch);
        }
    }

    fn name(&self, (which, number): (usize, u64)) -> String {
        let example = self.example(which, number);
        example.map_or_else(String::new, |e| format!("{} {}", e.path.display(), e.place))
    }

    fn rows(&self, (which, number): (usize, u64)) -> usize {
        self.sources.get(which).map_or(0, |source| source.rows(number))
    }

    fn held_out(&self) -> Vec<HeldOut> {
        let held = |language: &String| HeldOut { language: language.clone(), ..HeldOut::default() };
        let mut languages: Vec<HeldOut> = self.languages.iter().map(held).collect();
        for (which, source) in self.sources.iter().enumerate() {
            // The same ones whatever the seed, so that runs compare.
            let order = Permutation::new(source.entries.len() as u64, 0, which as u64, 0);
            for at in 0..source.entries.len() as u64 {
                let number = order.at(at);
                let Some(entry) =
                    source.entries.get(number as usize).filter(|_| held_out(number, self.held_out))
                else {
                    continue;
                };
                let Some(language) = languages.get_mut(entry.language as usize) else { continue };
                if language.tokens < self.validation_tokens {
                    let chosen = source.texts(number).next().map_or(Vec::new(), |text| text.answers);
                    language.tokens += chosen.iter().map(|answer| answer.len() as u64).sum::<u64>();
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
        for &document in documents {
            if batch.rows() + self.rows(document) > rows {
                on(&batch)?;
                batch.clear();
            }
            self.push(document.0, document.1, &mut batch);
        }
        if batch.rows() == 0 { Ok(()) } else { on(&batch) }
    }
}
