//! What grades come to, and how sure that is.
//!
//! The unit is the prompt: both orders, repeats, turns and judges of one prompt stand or fall together, so that prompts are
//! drawn anew with all that belongs to them (Miller 2024, arXiv 2411.00640), by one seed, and the same ones for all contestants.
//! What is missing is left out of both sides of a comparison.

mod agreement;
mod bootstrap;
mod length;
mod position;
mod strengths;

pub use agreement::{Level, exact_agreement, krippendorff_alpha, spearman, weighted_kappa};
pub use bootstrap::{Bootstrap, Interval, quantile};
pub use length::length_controlled;
pub use position::{Position, binomial_test};
pub use strengths::bradley_terry;

/// The mean of what is there.
pub fn mean(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) =
        values.into_iter().flatten().fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Standard deviation of a sample (n − 1); none of fewer than two.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values.iter().copied().map(Some)).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
