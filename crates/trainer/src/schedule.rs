//! The learning rate of each step.

use crate::recipe::ScheduleKind;
use crate::training_arguments::TrainingArguments;
use std::f64::consts::PI;

/// The learning rate of `step`, counted from 0: a straight rise over the warm-up, then the schedule's form, ending
/// with the last step at its lowest.
pub fn learning_rate(course: &TrainingArguments, step: u64) -> f64 {
    let (s, highest) = (&course.schedule, course.optimizer.learning_rate);
    let warmup = s.warmup.steps(course.steps);
    if step < warmup {
        return highest * (step + 1) as f64 / warmup as f64;
    }
    let lowest = highest * s.min_share;
    // Of the steps from `first` on, the share that has gone; the last step has all of it.
    let gone = |first: u64| {
        let whole = course.steps.saturating_sub(first + 1).max(1) as f64;
        (step.saturating_sub(first) as f64 / whole).min(1.0)
    };
    match s.kind {
        ScheduleKind::Constant => highest,
        ScheduleKind::Cosine => lowest + (highest - lowest) * (1.0 + (PI * gone(warmup)).cos()) / 2.0,
        ScheduleKind::Wsd => {
            let falling = (course.steps as f64 * s.decay_share).round() as u64;
            let first = course.steps.saturating_sub(falling).max(warmup);
            if step < first { highest } else { highest - (highest - lowest) * gone(first) }
        }
    }
}
