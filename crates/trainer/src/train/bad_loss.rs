//! A loss that is no number, or leaps.

use super::Event;
use super::run::{RECENT, Run};
use super::step::{Made, Summed};
use crate::Error;
use crate::batch::Data;
use crate::checkpoint::{LatestCheckpoint, State};
use crate::ranks::Team;
use crate::recipe::OnBadLoss;
use sai_decoder::training::Training;
use std::path::PathBuf;

/// Times that a run goes back between two checkpoints before it stops.
const MOST_REWINDS: u32 = 3;
/// Batches that are passed over between two checkpoints before it stops.
const MOST_IGNORED: u32 = 100;

/// What is wrong with a step.
pub(super) struct Bad {
    /// What the recipe says to do.
    policy: OnBadLoss,
    /// The key that says so.
    key: &'static str,
    why: String,
}

impl<D: Training, S: Data> Run<'_, D, S> {
    /// What is wrong with a step, and what the recipe says to do.
    pub(super) fn judge(&self, made: &Made) -> Option<Bad> {
        let loss = &self.course.loss;
        if !made.loss.is_finite() || !made.norm.is_finite() {
            let why = format!("and the gradient's norm {:.4}", made.norm);
            return Some(Bad { policy: loss.on_nan, key: "loss.on_nan", why });
        }
        let mut recent = self.state.recent.clone();
        recent.sort_by(f32::total_cmp);
        let median = f64::from(*recent.get(RECENT / 2)?);
        let leapt = recent.len() == RECENT && made.loss > median + loss.leap;
        (leapt && loss.on_leap != OnBadLoss::Ignore).then(|| Bad {
            policy: loss.on_leap,
            key: "loss.on_leap",
            why: format!("where the recent ones are about {median:.4}"),
        })
    }

    /// Goes back to the newest checkpoint and passes over what was read since, or gives up.
    pub(super) fn deal_with(
        &mut self,
        bad: Bad,
        made: &Made,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let documents = self.documents(&made.summed);
        let stop = |way_out: &str| Error::BadLoss {
            step: self.state.step + 1,
            loss: made.loss,
            why: bad.why.clone(),
            documents: documents.clone(),
            way_out: way_out.to_owned(),
        };
        self.model.clear_gradients();
        match bad.policy {
            OnBadLoss::Ignore if self.state.rewinds >= MOST_IGNORED => {
                Err(stop("so were a hundred before it; try a lower learning rate"))
            }
            OnBadLoss::Ignore => {
                self.state.rewinds += 1;
                on(Event::Note(format!("{}", stop("the batch is passed over"))))?;
                Ok(())
            }
            OnBadLoss::Stop => Err(stop(&format!(
                "try a lower learning rate, or --set {}=rewind and --resume to pass over it",
                bad.key
            ))),
            OnBadLoss::Rewind if self.state.rewinds >= MOST_REWINDS => {
                Err(stop("going back did not help three times; try a lower learning rate"))
            }
            OnBadLoss::Rewind => {
                let Some((folder, mut found)) = self.newest(on)? else {
                    return Err(stop("there is no checkpoint yet to go back to; try a lower learning rate"));
                };
                on(Event::Note(format!("{}", stop(&format!("the run goes back to step {}", found.step)))))?;
                self.checkpoints.load(&folder, &found, &mut self.model, &mut self.moments)?;
                found.position = self.state.position.clone();
                found.rewinds = self.state.rewinds + 1;
                found.seconds = self.state.seconds;
                self.state = found;
                match &mut self.journal {
                    Some(journal) => journal.back_to(self.state.step),
                    None => Ok(()),
                }
            }
        }
    }

    /// The newest whole checkpoint, which the first rank finds for all.
    fn newest(
        &self,
        on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<Option<(PathBuf, State)>, Error> {
        let ranks = self.options.ranks;
        if !self.team.first() {
            return Team::hear(ranks)?.map(|step| self.checkpoints.at(step)).transpose();
        }
        let LatestCheckpoint { whole, broken } = self.checkpoints.newest()?;
        for note in broken {
            on(Event::Note(note))?;
        }
        Team::say(ranks, whole.as_ref().map(|(_, state)| state.step))?;
        Ok(whole)
    }

    /// Names the documents of the pass that went wrong, or else of the whole step.
    fn documents(&self, summed: &Summed) -> String {
        const SHOWN: usize = 8;
        let suspect = |unit: u64| summed.bad.as_ref().is_none_or(|bad| bad.contains(&unit));
        let origins = summed.origins.iter().filter(|(unit, _)| suspect(*unit));
        let shown: Vec<String> =
            origins.clone().take(SHOWN).map(|&(_, origin)| self.data.name(origin)).collect();
        let more = origins.count().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("documents {}{more}", shown.join(", "))
    }
}
