//! The gradients of a step, summed over its passes and over ranks.

use super::run::Run;
use crate::Error;
use crate::batch::{Batch, Data};
use crate::objective::Sums;
use sai_decoder::training::{Model, Training};
use std::ops::Range;

/// The sums of a step, over all its passes.
#[derive(Default)]
pub(super) struct Summed {
    /// What they came to.
    pub(super) sums: Sums,
    /// Rows that are trained on.
    pub(super) trained: u64,
    /// All rows.
    pub(super) rows: u64,
    /// Documents of the whole step, with the unit that each is in.
    pub(super) origins: Vec<(u64, (usize, u64))>,
    /// Units of the first pass whose loss is no number.
    pub(super) bad: Option<Range<u64>>,
    /// Pairs of a token and one that it attends to.
    pub(super) pairs: f64,
}

/// What a step came to.
pub(super) struct Made {
    pub(super) summed: Summed,
    /// Mean over what it is of.
    pub(super) loss: f64,
    /// Of the gradient of that mean.
    pub(super) norm: f64,
}

/// Says in which document a token is that the model does not know.
fn damaged<S: Data>(batch: &Batch, data: &S, token: u32, vocab_size: usize) -> Error {
    let has = |rows: &Range<usize>| {
        [&batch.tokens, &batch.targets].iter().any(|all| all[rows.clone()].contains(&token))
    };
    let place = batch.documents.iter().position(has).and_then(|i| batch.origins.get(i));
    let path = place.map_or_else(String::new, |&origin| data.name(origin)).into();
    let fact = format!(
        "has token {token}, and the model has {vocab_size}: the file is damaged; `sai tokenizer inspect --verify` tells \
         of shards what differs"
    );
    Error::Data { path, fact }
}

impl<D: Training, S: Data> Run<'_, D, S> {
    /// Sums the gradients of a step, a pass for as many of this rank's units as there is room for. Every rank reads all
    /// units, so that each knows where the data goes on. `None` where it was told to stop.
    pub(super) fn accumulate(&mut self) -> Result<Option<Summed>, Error> {
        let (mut batch, mut unit, mut summed) = (Batch::default(), Batch::default(), Summed::default());
        let units = self.data.units(&self.state.position);
        let mine = self.team.units(units);
        let mut first = mine.start;
        for i in 0..units {
            unit.clear();
            self.data.unit(&mut self.state.position, i, units, &mut unit);
            summed.origins.extend(unit.origins.iter().map(|&origin| (i, origin)));
            if !mine.contains(&i) {
                continue;
            }
            if batch.rows() + unit.rows() > self.course.rows {
                self.add(&batch, first..i, false, &mut summed)?;
                batch.clear();
                first = i;
                if self.stops() {
                    return Ok(None);
                }
            }
            batch.append(&unit);
            if i + 1 == mine.end {
                self.add(&batch, first..mine.end, true, &mut summed)?;
            }
        }
        if mine.is_empty() {
            // They are zero, but the others wait for them.
            self.send_nothing()?;
        }
        self.with_others(&mut summed)?;
        Ok(Some(summed))
    }

    /// Sends gradients to which no pass adds, in the order of those that do.
    fn send_nothing(&mut self) -> Result<(), Error> {
        let Model { device, layout, gradients, adapter, .. } = &mut self.model;
        let Some(adapter) = adapter else {
            return layout
                .in_backward()
                .try_for_each(|range| self.team.send_gradients(device, gradients, range));
        };
        let trained = adapter.tensors.last().map_or(0, |last| last.view.range().end);
        self.team.send_gradients(device, gradients, 0..trained)
    }

    /// Adds a pass over some units to the sums. In the last one gradients leave for the ranks that own them.
    fn add(
        &mut self,
        batch: &Batch,
        units: Range<u64>,
        last: bool,
        summed: &mut Summed,
    ) -> Result<(), Error> {
        let Self { team, objective, model, pass, data, .. } = self;
        let mut sent = Ok(());
        let sums = objective.learn(model, pass, batch, &mut |d, g, range| {
            if last && sent.is_ok() {
                sent = team.send_gradients(d, g, range);
            }
        });
        let sums = sums.map_err(|e| match e {
            Error::Decoder(sai_decoder::Error::TokenOutOfRange { token, vocab_size }) => {
                damaged(batch, data, token, vocab_size)
            }
            other => other,
        })?;
        sent?;
        if !sums.loss.is_finite() && summed.bad.is_none() {
            summed.bad = Some(units);
        }
        summed.sums += sums;
        summed.trained += batch.trained();
        summed.rows += batch.rows() as u64;
        summed.pairs += batch.documents.iter().map(|d| (d.len() * (d.len() + 1)) as f64 / 2.0).sum::<f64>();
        Ok(())
    }

    /// Makes the sums those of all ranks, and this rank's part of the gradients too.
    fn with_others(&mut self, summed: &mut Summed) -> Result<(), Error> {
        if self.team.alone() {
            return Ok(());
        }
        self.team.take_sums(0, &self.model.device, &mut self.model.gradients)?;
        let stop = f64::from(u8::from((self.options.stop)()));
        let counts = [summed.trained as f64, summed.rows as f64, summed.pairs, stop];
        let mut values = [0.0; 11];
        values[..7].copy_from_slice(&summed.sums.values());
        values[7..].copy_from_slice(&counts);
        self.team.add(&mut values)?;
        let [loss, of, nats, pairs, chosen, rejected, right, trained, rows, attended, stops] = values;
        summed.sums = Sums::of_values([loss, of, nats, pairs, chosen, rejected, right]);
        (summed.trained, summed.rows, summed.pairs) = (trained as u64, rows as u64, attended);
        self.stopping = stops > 0.0;
        if !loss.is_finite() {
            summed.bad = self.team.earliest(summed.bad.take())?;
        }
        Ok(())
    }
}
