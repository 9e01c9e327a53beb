//! Whether a judge prefers a seat.

use serde::Serialize;

/// What came of pairs that were judged in both orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Pairs of verdicts that were both read.
    pub pairs: usize,
    /// Of those, verdicts that the other order turned into their opposite, or into or from a tie.
    pub flips: usize,
    /// Of those, pairs of which the first seat won both times.
    pub first: usize,
    /// And the second seat.
    pub second: usize,
    /// Verdicts for the first seat, of all that were no tie.
    pub first_wins: usize,
    /// Verdicts that were no tie.
    pub decided: usize,
}

impl Position {
    /// The part of pairs that flipped.
    pub fn flip_rate(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.flips as f64 / self.pairs as f64)
    }

    /// The part of decided verdicts that the first seat won; a judge without a liking for a seat has a half.
    pub fn first_rate(&self) -> Option<f64> {
        (self.decided > 0).then(|| self.first_wins as f64 / self.decided as f64)
    }

    /// How likely so uneven a split between the seats is of a judge without a liking, by the pairs that one seat won both
    /// times. None where there is none.
    pub fn p_value(&self) -> Option<f64> {
        (self.first + self.second > 0).then(|| binomial_test(self.first, self.first + self.second))
    }
}

/// The exact two-sided test that `successes` of `trials` came of even odds.
pub fn binomial_test(successes: usize, trials: usize) -> f64 {
    let log_choose =
        |k: usize| -> f64 { (1..=k).map(|i| ((trials - k + i) as f64).ln() - (i as f64).ln()).sum::<f64>() };
    let probability = |k: usize| (log_choose(k) - trials as f64 * std::f64::consts::LN_2).exp();
    let observed = probability(successes) * (1.0 + 1e-7);
    (0..=trials).map(probability).filter(|p| *p <= observed).sum::<f64>().min(1.0)
}
