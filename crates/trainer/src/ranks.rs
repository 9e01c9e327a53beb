//! Ranks: processes that train one model together, each on its share of every step's sequences.
//!
//! Every rank holds all weights and the gradients of its own sequences. The arena of parameters is cut into as many
//! parts as there are ranks: rank `r` owns part `r`, has AdamW's moments of it alone (ZeRO-1, Rajbhandari et al. 2020), and
//! steps it. A step is: gradients, which travel to their owners while backward still computes those of earlier layers; the
//! step of each part; and the parts gathered again on every rank.

use crate::Error;
use sai_decoder::Config;
use sai_decoder::training::{Memory, Model, Training};
use std::cell::RefCell;
use std::ops::Range;

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;

/// Values that travel at a time, 4 MB: enough to fill a network's pipe, and little beside a layer.
const PIECE: usize = 1 << 20;

/// What connects the ranks of a run. All of them call the same operations in the same order.
///
/// Sums are added up in an order that depends on the number of ranks and not on when they come, so that a run repeats.
///
/// Errors are of the connection; a rank that fails otherwise has to end the others itself, for they wait for it.
pub trait Ranks {
    /// This one's number, from 0.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;

    /// Begins to sum `len` values over all ranks, for rank `to`; `fill` writes this rank's. `at` tells one sum from another.
    /// Returns at once.
    ///
    /// # Errors
    /// The connection is lost.
    fn begin_sum(
        &self,
        to: usize,
        at: usize,
        len: usize,
        fill: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), Error>;
    /// Hands out what sums for this rank are complete, with their `at`, and waits until at most `left` of all that were begun
    /// are under way.
    ///
    /// # Errors
    /// The connection is lost.
    fn sums(&self, left: usize, on: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error>;

    /// Replaces each value by its sum over all ranks, the same bits on every one.
    ///
    /// # Errors
    /// The connection is lost.
    fn add(&self, values: &mut [f64]) -> Result<(), Error>;
    /// Sets `all` to what the ranks have in `mine`, one after another; all give as many values.
    ///
    /// # Errors
    /// The connection is lost.
    fn gather(&self, mine: &[f32], all: &mut [f32]) -> Result<(), Error>;
    /// Sets `values` to those of rank `from`.
    ///
    /// # Errors
    /// The connection is lost.
    fn broadcast(&self, from: usize, values: &mut [f32]) -> Result<(), Error>;
}

/// A process that trains alone.
#[derive(Debug, Default)]
pub struct One {
    sums: RefCell<Vec<(usize, Vec<f32>)>>,
}

impl Ranks for One {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn begin_sum(
        &self,
        _: usize,
        at: usize,
        len: usize,
        fill: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), Error> {
        let mut values = vec![0.0; len];
        fill(&mut values);
        self.sums.borrow_mut().push((at, values));
        Ok(())
    }

    fn sums(&self, _: usize, on: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error> {
        self.sums.take().iter().for_each(|(at, values)| on(*at, values));
        Ok(())
    }

    fn add(&self, _: &mut [f64]) -> Result<(), Error> {
        Ok(())
    }

    fn gather(&self, mine: &[f32], all: &mut [f32]) -> Result<(), Error> {
        all.copy_from_slice(mine);
        Ok(())
    }

    fn broadcast(&self, _: usize, _: &mut [f32]) -> Result<(), Error> {
        Ok(())
    }
}

/// The ranks of a run, and which of the values that are trained are whose.
pub(crate) struct Team<'r> {
    ranks: &'r dyn Ranks,
    /// How many values are trained.
    len: usize,
    /// How many of them a rank owns; the last ones own fewer.
    part: usize,
}

impl<'r> Team<'r> {
    pub(crate) fn new(ranks: &'r dyn Ranks, len: usize) -> Team<'r> {
        Team { ranks, len, part: len.div_ceil(ranks.size()).max(1) }
    }

    /// What a run takes on each of some ranks: of the moments its part, and two layers of gradients, or tables, that travel.
    pub(crate) fn memory(ranks: &dyn Ranks, alone: Memory, config: &Config) -> Memory {
        let (size, c) = (ranks.size() as u64, config);
        if size == 1 {
            return alone;
        }
        let queries = c.num_heads * c.head_dim;
        let layer = c.hidden_size * (c.heads().qkv_columns() + queries + 3 * c.intermediate_size);
        let travels = 8 * (c.hidden_size * c.vocab_size).max(layer) as u64;
        Memory {
            optimiser: alone.optimiser.div_ceil(size),
            gradients: alone.gradients.saturating_add(travels),
            ..alone
        }
    }

    /// The first rank tells the others at which step the run goes on, if at any.
    pub(crate) fn say(ranks: &dyn Ranks, step: Option<u64>) -> Result<(), Error> {
        ranks.add(&mut [step.map_or(-1.0, |step| step as f64)])
    }

    /// What the first rank says.
    pub(crate) fn hear(ranks: &dyn Ranks) -> Result<Option<u64>, Error> {
        let mut step = [0.0];
        ranks.add(&mut step)?;
        Ok((step[0] >= 0.0).then_some(step[0] as u64))
    }

    pub(crate) fn rank(&self) -> usize {
        self.ranks.rank()
    }

    pub(crate) fn size(&self) -> usize {
        self.ranks.size()
    }

    pub(crate) fn first(&self) -> bool {
        self.rank() == 0
    }

    pub(crate) fn alone(&self) -> bool {
        self.size() == 1
    }

    /// The values that this rank owns.
    pub(crate) fn mine(&self) -> Range<usize> {
        self.owned(self.ranks.rank())
    }

    fn owned(&self, rank: usize) -> Range<usize> {
        self.len.min(rank * self.part)..self.len.min((rank + 1) * self.part)
    }

    /// Which of so many units of work are this rank's.
    pub(crate) fn units(&self, units: u64) -> Range<u64> {
        let (rank, size) = (self.ranks.rank() as u64, self.ranks.size() as u64);
        let (each, more) = (units / size, units % size);
        let start = rank * each + rank.min(more);
        start..start + each + u64::from(rank < more)
    }

    /// All values in order, cut into pieces of at most `longest`, each with its only owner.
    pub(crate) fn pieces(&self, longest: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.pieces_of(0..self.len, longest)
    }

    fn pieces_of(&self, range: Range<usize>, longest: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let (mut at, part) = (range.start, self.part);
        std::iter::from_fn(move || {
            let owner = at / part;
            let piece = at..range.end.min((owner + 1) * part).min(at + longest);
            at = piece.end;
            (!piece.is_empty()).then_some((owner, piece))
        })
    }

    /// Sends gradients that are final to their owners, and takes in those sums that are complete. Waits only where the
    /// network is more than a range behind.
    pub(crate) fn send_gradients<D: Training>(
        &self,
        device: &D,
        gradients: &mut D::Buffer,
        range: Range<usize>,
    ) -> Result<(), Error> {
        if self.alone() {
            return Ok(());
        }
        self.take_sums(self.pieces_of(range.clone(), PIECE).count(), device, gradients)?;
        for (owner, piece) in self.pieces_of(range, PIECE) {
            self.ranks.begin_sum(owner, piece.start, piece.len(), &mut |values| {
                device.read(gradients, piece.start, values);
            })?;
        }
        Ok(())
    }

    /// Puts complete sums where this rank's own gradients were, until at most `left` are under way.
    pub(crate) fn take_sums<D: Training>(
        &self,
        left: usize,
        device: &D,
        gradients: &mut D::Buffer,
    ) -> Result<(), Error> {
        self.ranks.sums(left, &mut |at, sum| device.write(gradients, at, sum))
    }

    /// The norm of all gradients, when every rank has the sums of its part.
    pub(crate) fn norm<D: Training>(&self, model: &Model<D>) -> Result<f64, Error> {
        if self.alone() {
            return Ok(model.gradient_norm());
        }
        Ok(self.sum(model.device.square_sum(&model.gradients, self.mine()))?.sqrt())
    }

    /// Gives every rank the parameters that each owner has stepped, and forgets the gradients of the others.
    pub(crate) fn gather_parameters<D: Training>(&self, model: &mut Model<D>) -> Result<(), Error> {
        if self.alone() {
            return Ok(());
        }
        model.clear_gradients();
        let Model { device, parameters, adapter, .. } = model;
        let parameters = adapter.as_mut().map_or(parameters, |adapter| &mut adapter.parameters);
        let (me, size) = (self.ranks.rank(), self.ranks.size());
        let stripe = (PIECE / size).clamp(1, self.part);
        let (mut mine, mut all) = (vec![0.0; stripe], vec![0.0; stripe * size]);
        for at in (0..self.part).step_by(stripe) {
            // The same place in each part; the last parts may have nothing there.
            let piece = |rank: usize| {
                let Range { start, end } = self.owned(rank);
                end.min(start + at)..end.min(start + at + stripe)
            };
            device.read(parameters, piece(me).start, &mut mine[..piece(me).len()]);
            self.ranks.gather(&mine, &mut all)?;
            for (rank, values) in all.chunks(stripe).enumerate().filter(|(rank, _)| *rank != me) {
                let piece = piece(rank);
                device.write(parameters, piece.start, &values[..piece.len()]);
            }
        }
        Ok(())
    }

    /// The sum of a value over all ranks.
    pub(crate) fn sum(&self, value: f64) -> Result<f64, Error> {
        let mut sum = [value];
        self.ranks.add(&mut sum)?;
        Ok(sum[0])
    }

    /// The sums of some values over all ranks.
    pub(crate) fn add(&self, values: &mut [f64]) -> Result<(), Error> {
        self.ranks.add(values)
    }

    /// The first rank's value.
    pub(crate) fn of_first(&self, value: f64) -> Result<f64, Error> {
        self.sum(if self.first() { value } else { 0.0 })
    }

    /// Of the units that each rank may name, the earliest.
    pub(crate) fn earliest(&self, mine: Option<Range<u64>>) -> Result<Option<Range<u64>>, Error> {
        let mut named = vec![0.0; 2 * self.ranks.size()];
        if let Some(units) = mine {
            let at = 2 * self.ranks.rank();
            (named[at], named[at + 1]) = (units.start as f64, units.end as f64);
        }
        self.ranks.add(&mut named)?;
        let mut ranges = named.chunks(2).map(|pair| pair[0] as u64..pair[1] as u64);
        Ok(ranges.find(|units| !units.is_empty()))
    }

    /// The values of rank `from`.
    pub(crate) fn broadcast(&self, from: usize, values: &mut [f32]) -> Result<(), Error> {
        self.ranks.broadcast(from, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rank that is asked for its numbers only.
    struct Numbers(usize, usize);

    impl Ranks for Numbers {
        fn rank(&self) -> usize {
            self.0
        }
        fn size(&self) -> usize {
            self.1
        }
        fn begin_sum(
            &self,
            _: usize,
            _: usize,
            _: usize,
            _: &mut dyn FnMut(&mut [f32]),
        ) -> Result<(), Error> {
            Ok(())
        }
        fn sums(&self, _: usize, _: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error> {
            Ok(())
        }
        fn add(&self, _: &mut [f64]) -> Result<(), Error> {
            Ok(())
        }
        fn gather(&self, _: &[f32], _: &mut [f32]) -> Result<(), Error> {
            Ok(())
        }
        fn broadcast(&self, _: usize, _: &mut [f32]) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn everything_is_somebodys_once() {
        for (size, len) in [(1, 1), (1, 100), (2, 101), (3, 4), (7, 5), (5, 1000)] {
            let (mut owned, mut dealt) = (0..0, 0..0);
            for rank in 0..size {
                let numbers = Numbers(rank, size);
                let team = Team::new(&numbers, len);
                assert!(team.mine().is_empty() || team.mine().start == owned.end);
                owned.end = owned.end.max(team.mine().end);
                assert_eq!(team.units(len as u64).start, dealt.end);
                dealt.end = team.units(len as u64).end;
            }
            assert_eq!((owned.end, dealt.end), (len, len as u64));
            let numbers = Numbers(0, size);
            let team = Team::new(&numbers, len);
            let mut at = 0;
            for (owner, piece) in team.pieces(3) {
                assert_eq!(piece.start, at);
                assert!(
                    piece.len() <= 3 && team.owned(owner).start <= at && piece.end <= team.owned(owner).end
                );
                at = piece.end;
            }
            assert_eq!(at, len);
        }
    }
}
