//! Percentile intervals over prompts that are drawn anew (Efron 1979).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

/// A figure and what it may be between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Of the prompts as they are.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Draws of prompts, the same for every figure that is computed with them.
pub struct Bootstrap {
    level: f64,
    draws: Vec<Vec<usize>>,
    all: Vec<usize>,
}

impl Bootstrap {
    /// `resamples` draws of `prompts` places with replacement; `level` is the part of them within the ends, as in 0.95.
    pub fn new(prompts: usize, resamples: usize, level: f64, seed: u64) -> Bootstrap {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut place = || ((u128::from(random.next_u64()) * prompts as u128) >> 64) as usize;
        let draws = (0..resamples).map(|_| (0..prompts).map(|_| place()).collect()).collect();
        Bootstrap { level, draws, all: (0..prompts).collect() }
    }

    /// Given draws.
    pub fn of(draws: Vec<Vec<usize>>, prompts: usize, level: f64) -> Bootstrap {
        Bootstrap { level, draws, all: (0..prompts).collect() }
    }

    /// Figures of all prompts with their ends. `figures` computes them for the prompts at some places; one that a draw does not
    /// give is left out there.
    pub fn intervals(&self, figures: impl Fn(&[usize]) -> Vec<Option<f64>>) -> Vec<Option<Interval>> {
        let values = figures(&self.all);
        let mut drawn = vec![Vec::with_capacity(self.draws.len()); values.len()];
        for draw in &self.draws {
            for (of, value) in drawn.iter_mut().zip(figures(draw)) {
                of.extend(value.filter(|value| value.is_finite()));
            }
        }
        let outer = (1.0 - self.level) / 2.0;
        let interval = |(value, mut drawn): (Option<f64>, Vec<f64>)| {
            let value = value?;
            drawn.sort_by(f64::total_cmp);
            let [low, high] = [outer, 1.0 - outer].map(|at| quantile(&drawn, at).unwrap_or(value));
            Some(Interval { value, low, high })
        };
        values.into_iter().zip(drawn).map(interval).collect()
    }

    /// The interval of a mean of one value a prompt, where it is there.
    pub fn mean(&self, values: &[Option<f64>]) -> Option<Interval> {
        self.intervals(|at| vec![super::mean(at.iter().map(|&at| values[at]))]).remove(0)
    }
}

/// The value at a part of the way through a sorted list, between two neighbours in proportion, as `numpy.percentile` has it.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = part.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64))
}
