//! What a run makes small, and what passes come to by it.

use crate::preferences::{Dpo, PreferenceSums, sums};
use crate::reference::Reference;
use crate::{Batch, Error};
use sai_decoder::training::{Model, Pass, PassStats, Training};
use std::ops::AddAssign;

/// What a run makes small.
pub(crate) enum Objective {
    /// The mean of −ln p over the tokens that are trained on, and a z-loss of this weight.
    Likelihood { z: f32 },
    /// The mean loss of pairs beside what the starting model makes of them.
    Preferences { dpo: Dpo, reference: Reference },
}

/// What some passes came to, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// The losses.
    pub(crate) loss: f64,
    /// How many these are: of tokens, or of pairs.
    pub(crate) of: u64,
    /// −ln p of the tokens that are trained on, of pairs the chosen answers'.
    pub(crate) nats: f64,
    /// What the pairs came to.
    pub(crate) preferred: PreferenceSums,
}

impl Objective {
    /// Adds the gradients of the sum of a pass's losses. `done` is called as by
    /// [`Model::forward_backward_in_parts`].
    pub(crate) fn learn<D: Training>(
        &self,
        model: &mut Model<D>,
        pass: &mut Pass<D>,
        batch: &Batch,
        done: &mut PassStats<'_, D>,
    ) -> Result<Sums, Error> {
        match self {
            Objective::Likelihood { z } => {
                let found = model.forward_backward_in_parts(pass, &batch.packed(), 1.0, *z, done)?;
                Ok(Sums { loss: found.loss, of: batch.trained(), nats: found.loss, ..Sums::default() })
            }
            Objective::Preferences { dpo, reference } => {
                let before = reference.of(batch)?;
                let mut came = Sums::default();
                let mut weigh = |likelihoods: &[f32]| {
                    let (found, weights) = dpo_sums(dpo, likelihoods, batch, &before);
                    came = found;
                    weights
                };
                model.forward_weigh_backward(pass, &batch.packed(), 1.0, &mut weigh, done)?;
                Ok(came)
            }
        }
    }

    /// What a pass comes to, without gradients.
    pub(crate) fn judge<D: Training>(
        &self,
        model: &Model<D>,
        pass: &mut Pass<D>,
        batch: &Batch,
    ) -> Result<Sums, Error> {
        let likelihoods = model.log_likelihoods(pass, &batch.packed())?;
        match self {
            Objective::Likelihood { .. } => {
                let loss = -likelihoods.iter().map(|&x| f64::from(x)).sum::<f64>();
                Ok(Sums { loss, of: batch.trained(), nats: loss, ..Sums::default() })
            }
            Objective::Preferences { dpo, reference } => {
                Ok(dpo_sums(dpo, &likelihoods, batch, &reference.of(batch)?).0)
            }
        }
    }
}

/// What a pass of pairs comes to, and what backward is to weigh its rows with.
fn dpo_sums(dpo: &Dpo, likelihoods: &[f32], batch: &Batch, before: &[f64]) -> (Sums, Vec<f32>) {
    let mut preferred = PreferenceSums::default();
    let weights = dpo.weights(likelihoods, &batch.weights, &batch.documents, before, &mut preferred);
    let nats = -sums(likelihoods, &batch.documents).iter().step_by(2).sum::<f64>();
    (Sums { loss: preferred.loss, of: preferred.pairs, nats, preferred }, weights)
}

impl Sums {
    /// As numbers that ranks can add up; [`Sums::of_values`] is the way back.
    pub(crate) fn values(&self) -> [f64; 7] {
        let Sums { loss, of, nats, preferred: p } = self;
        [*loss, *of as f64, *nats, p.pairs as f64, p.chosen, p.rejected, p.right as f64]
    }

    pub(crate) fn of_values([loss, of, nats, pairs, chosen, rejected, right]: [f64; 7]) -> Sums {
        let (pairs, right) = (pairs as u64, right as u64);
        let preferred =
            PreferenceSums { pairs, loss: if pairs > 0 { loss } else { 0.0 }, chosen, rejected, right };
        Sums { loss, of: of as u64, nats, preferred }
    }

    /// The mean loss.
    pub(crate) fn mean(&self) -> f64 {
        self.loss / self.of.max(1) as f64
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, more: Sums) {
        self.loss += more.loss;
        self.of += more.of;
        self.nats += more.nats;
        self.preferred += more.preferred;
    }
}
