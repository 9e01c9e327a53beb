//! The learning rate of each step.

use crate::recipe::{Recipe, ScheduleKind};
use std::f64::consts::PI;

/// The learning rate of `step`, counted from 0: a straight rise over the warm-up, then the schedule's form, ending
/// with the last step at its lowest.
pub fn learning_rate(recipe: &Recipe, step: u64) -> f64 {
    let (s, highest) = (&recipe.schedule, recipe.optimizer.learning_rate);
    if step < s.warmup_steps {
        return highest * (step + 1) as f64 / s.warmup_steps as f64;
    }
    let lowest = highest * s.min_share;
    // Of the steps from `first` on, the share that has gone; the last step has all of it.
    let gone = |first: u64| {
        let whole = recipe.steps.saturating_sub(first + 1).max(1) as f64;
        (step.saturating_sub(first) as f64 / whole).min(1.0)
    };
    match s.kind {
        ScheduleKind::Constant => highest,
        ScheduleKind::Cosine => lowest + (highest - lowest) * (1.0 + (PI * gone(s.warmup_steps)).cos()) / 2.0,
        ScheduleKind::Wsd => {
            let falling = (recipe.steps as f64 * s.decay_share).round() as u64;
            let first = recipe.steps.saturating_sub(falling).max(s.warmup_steps);
            if step < first { highest } else { highest - (highest - lowest) * gone(first) }
        }
    }
}
