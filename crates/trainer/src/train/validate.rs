//! How a run does on what it is not trained on.

use super::run::Run;
use crate::Error;
use crate::batch::Data;
use crate::metrics::Validation;
use crate::objective::Sums;
use sai_decoder::training::Training;
use std::f64::consts::LN_2;

impl<D: Training, S: Data> Run<'_, D, S> {
    /// How well each language's held-out documents are predicted, or its pairs told apart; each rank reads its share of them.
    pub(super) fn validate(&mut self) -> Result<Vec<Validation>, Error> {
        let (mut all, mut whole) = (Vec::new(), Sums::default());
        for held_out in &self.held_out {
            let (objective, model, pass) = (&self.objective, &self.model, &mut self.pass);
            let mine = self.team.units(held_out.documents.len() as u64);
            let mine = &held_out.documents[mine.start as usize..mine.end as usize];
            let mut sums = Sums::default();
            self.data.passes(mine, self.course.rows, &mut |batch| {
                sums += objective.judge(model, pass, batch)?;
                Ok(())
            })?;
            let mut values = sums.values();
            self.team.add(&mut values)?;
            let sums = Sums::of_values(values);
            whole += sums;
            all.push(Validation {
                language: held_out.language.clone(),
                loss: sums.mean(),
                bits_per_byte: sums.nats / LN_2 / held_out.text_bytes.max(1) as f64,
                rewards: sums.preferred.rewards(),
            });
        }
        self.state.validation_loss = (whole.of > 0).then(|| whole.mean()).filter(|loss| loss.is_finite());
        Ok(all)
    }
}
