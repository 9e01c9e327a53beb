//! What the loop needs to know of a recipe, whatever it trains on.

use crate::recipe::{Loss, Optimizer, Schedule};
use sai_decoder::training::Recompute;

/// The course of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingArguments {
    /// Optimiser steps.
    pub steps: u64,
    /// Rows of a pass; a step's gradients are summed over as many passes as it takes.
    pub rows: usize,
    /// What backward computes again.
    pub recompute: Recompute,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// How many of the newest checkpoints are kept.
    pub keep_last: usize,
    /// How many of those with the lowest validation loss are kept besides.
    pub keep_best: usize,
    /// Steps between validations.
    pub validate_every: u64,
    /// AdamW.
    pub optimizer: Optimizer,
    /// The learning rate's way through the run.
    pub schedule: Schedule,
    /// The loss, and what is done about a bad one.
    pub loss: Loss,
}
