//! What the model that training begins from makes of every pair: asked once, before the first step, and kept in the run's
//! folder, so that no second model is in memory and a run that goes on has the same numbers.

use crate::batch::{Batch, Data};
use crate::preferences::sums;
use crate::ranks::Team;
use crate::train::{Event, Options};
use crate::{Error, folder};
use sai_decoder::training::{Model, Pass, Training};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

const FILE: &str = "reference.json";
/// Time after which what was found is written.
const EVERY: Duration = Duration::from_secs(60);

/// The log-likelihoods of both answers of each pair, rounded to f32.
pub(crate) struct Reference {
    /// Source and number, ascending.
    pairs: Vec<(usize, u64)>,
    sums: Vec<[f32; 2]>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Checksum of the tokens, and of which pairs are meant.
    data: u32,
    /// Of the pairs in their order, as many as are known: chosen and rejected.
    sums: Vec<[f32; 2]>,
}

/// Who is asked about which pairs.
pub(crate) struct ReferenceJob<'a, 'r, D: Training, S> {
    /// As training begins.
    pub(crate) model: &'a Model<D>,
    pub(crate) pass: &'a mut Pass<D>,
    pub(crate) data: &'a S,
    /// Source and number, ascending.
    pub(crate) pairs: Vec<(usize, u64)>,
    pub(crate) team: &'a Team<'r>,
    pub(crate) options: &'a Options<'r, D>,
}

impl<D: Training, S: Data> ReferenceJob<'_, '_, D, S> {
    /// Computes the reference, or goes on where that was stopped. `None` where it was told to stop.
    pub(crate) fn ask(
        mut self,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<Option<Reference>, Error> {
        let path = self.options.out.join(FILE);
        let data = self.pairs.iter().fold(self.data.start().sum.unwrap_or(0), |sum, (which, number)| {
            let sum = crc32c::crc32c_append(sum, &(*which as u64).to_le_bytes());
            crc32c::crc32c_append(sum, &number.to_le_bytes())
        });
        let mut kept = Kept { data, sums: self.known(&path, data)? };
        if !kept.sums.is_empty() {
            self.hold(&path, &kept.sums)?;
        }
        let (of, mut saved) = (self.pairs.len() as u64, Instant::now());
        let mut news = false;
        let stopped = loop {
            if kept.sums.len() == self.pairs.len() {
                break false;
            }
            let (found, stop) = self.round(kept.sums.len())?;
            kept.sums.extend(found);
            news = true;
            on(Event::Reference { done: kept.sums.len() as u64, of })?;
            if stop {
                break true;
            }
            if saved.elapsed() > EVERY {
                self.save(&path, &kept)?;
                saved = Instant::now();
            }
        };
        if news {
            self.save(&path, &kept)?;
        }
        let whole = kept.sums.len() == self.pairs.len();
        Ok((whole && !stopped).then_some(Reference { pairs: self.pairs, sums: kept.sums }))
    }

    /// What the first rank finds to be known already, on every rank.
    fn known(&self, path: &Path, data: u32) -> Result<Vec<[f32; 2]>, Error> {
        let mut kept = Vec::new();
        if self.team.first() && self.options.resume && path.exists() {
            let text = std::fs::read(path).map_err(|e| Error::io(path, "read the reference", e))?;
            let found: Kept = serde_json::from_slice(&text).map_err(|e| {
                let fact = format!("is damaged ({e}); remove it, and it is computed again");
                Error::Data { path: path.to_owned(), fact }
            })?;
            if found.data == data {
                kept = found.sums;
                kept.truncate(self.pairs.len());
            }
        }
        let known = self.team.of_first(kept.len() as f64)? as usize;
        kept.resize(known, [0.0; 2]);
        self.team.broadcast(0, kept.as_flattened_mut())?;
        Ok(kept)
    }

    /// Asks the model about the first pairs once more: another one would answer otherwise.
    fn hold(&mut self, path: &Path, known: &[[f32; 2]]) -> Result<(), Error> {
        let (found, _) = self.round(0)?;
        let apart = |a: f32, b: f32| (a - b).abs() > 1e-3 * (1.0 + b.abs());
        let differ = |(a, b): (&[f32; 2], &[f32; 2])| a.iter().zip(b).any(|(&a, &b)| apart(a, b));
        if found.iter().zip(known).any(differ) {
            let fact = "is of another model than `model.from` is now; put that back, or give another --out";
            return Err(Error::Data { path: path.to_owned(), fact: fact.to_owned() });
        }
        Ok(())
    }

    /// A pass for each rank from pair `start` on; and whether it is time to leave.
    fn round(&mut self, start: usize) -> Result<(Vec<[f32; 2]>, bool), Error> {
        let (mut mine, mut end) = (start..start, start);
        for rank in 0..self.team.size() {
            let part = self.part(end);
            end = part.end;
            if rank == self.team.rank() {
                mine = part;
            }
        }
        let mut found = vec![0.0; 2 * (end - start) + 1];
        let mut at = 2 * (mine.start - start);
        let ReferenceJob { model, pass, pairs, .. } = self;
        let rows = pass.rows();
        self.data.passes(&pairs[mine], rows, &mut |batch| {
            let likelihoods = model.log_likelihoods(pass, &batch.packed())?;
            for sum in sums(&likelihoods, &batch.documents) {
                found[at] = sum;
                at += 1;
            }
            Ok(())
        })?;
        let last = found.len() - 1;
        found[last] = f64::from(u8::from((self.options.stop)()));
        self.team.add(&mut found)?;
        let sums: Vec<[f32; 2]> =
            found.as_chunks::<2>().0.iter().map(|pair| pair.map(|x| x as f32)).collect();
        if let Some(bad) = sums.iter().position(|pair| !pair.iter().all(|x| x.is_finite())) {
            let pair = self.data.name(self.pairs[start + bad]);
            let fact = "the model that training begins from makes no number of it".to_owned();
            return Err(Error::Data { path: pair.into(), fact });
        }
        Ok((sums, found[last] > 0.0))
    }

    /// The pairs from `start` on that a pass has room for.
    fn part(&self, start: usize) -> Range<usize> {
        let (mut end, mut rows) = (start, 0);
        while let Some(&pair) = self.pairs.get(end) {
            rows += self.data.rows(pair);
            if end > start && rows > self.pass.rows() {
                break;
            }
            end += 1;
        }
        start..end
    }

    fn save(&self, path: &Path, kept: &Kept) -> Result<(), Error> {
        if !self.team.first() {
            return Ok(());
        }
        let text = serde_json::to_vec(kept).map_err(|e| Error::io(path, "write the reference", e.into()))?;
        folder::whole(path, &text)
    }
}

impl Reference {
    /// Those of a batch's documents, the two of each pair side by side.
    pub(crate) fn of(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
        let pairs = batch.origins.iter().step_by(2).map(|origin| {
            let at = self.pairs.binary_search(origin).ok()?;
            self.sums.get(at).map(|pair| pair.map(f64::from))
        });
        let found: Option<Vec<[f64; 2]>> = pairs.collect();
        found.map(|found| found.into_flattened()).ok_or_else(|| {
            let fact = "lacks a pair that is trained on; remove it, and it is computed again".to_owned();
            Error::Data { path: FILE.into(), fact }
        })
    }
}
