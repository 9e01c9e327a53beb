//! Direct preference optimisation: an answer is to become likelier than another, beside a reference. Rafailov et al. 2023.

use crate::Rewards;
use serde::Serialize;
use std::ops::{AddAssign, Range};

/// What is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dpo {
    /// How much a difference of log-likelihoods from the reference's counts.
    pub beta: f64,
    /// Probability that a pair is the wrong way round. Mitchell 2023.
    pub label_smoothing: f64,
    /// Weight of the mean of `−ln p` over the chosen answer's tokens, beside the preference. Pang et al. 2024.
    pub sft: f64,
}

/// What pairs came to, summed over them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PreferenceSums {
    /// Pairs.
    pub pairs: u64,
    /// Their losses.
    pub loss: f64,
    /// `beta ·` by how much the log-likelihoods of chosen answers grew.
    pub chosen: f64,
    /// The same of rejected ones.
    pub rejected: f64,
    /// Pairs whose chosen answer's grew more.
    pub right: u64,
}

impl PreferenceSums {
    /// By how much the chosen answers' rewards are above the others'.
    pub fn margin(&self) -> f64 {
        self.chosen - self.rejected
    }

    /// Means over the pairs; `None` where there are none.
    pub fn rewards(&self) -> Option<Rewards> {
        let mean = |sum: f64| sum / self.pairs as f64;
        (self.pairs > 0).then(|| Rewards {
            chosen: mean(self.chosen),
            rejected: mean(self.rejected),
            margin: mean(self.margin()),
            accuracy: mean(self.right as f64),
        })
    }
}

impl AddAssign for PreferenceSums {
    fn add_assign(&mut self, more: PreferenceSums) {
        self.pairs += more.pairs;
        self.loss += more.loss;
        self.chosen += more.chosen;
        self.rejected += more.rejected;
        self.right += more.right;
    }
}

/// The sum of the log-likelihoods of each document's rows: what a reference is asked for once, before training.
pub fn sums(likelihoods: &[f32], documents: &[Range<usize>]) -> Vec<f64> {
    let sum = |rows: &Range<usize>| likelihoods[rows.clone()].iter().map(|&x| f64::from(x)).sum();
    documents.iter().map(sum).collect()
}

impl Dpo {
    /// The weights of rows that [`forward_weigh_backward`] asks for, with a scale of 1 for a loss that is the sum over pairs.
    ///
    /// `documents` are the prompts with their answers, a chosen one before its rejected one; `likelihoods` are 0 and `weights`
    /// too for rows that predict the prompt, and other weights are 1; `reference` is of [`sums`], by document. What the pairs
    /// come to is added to `preferred`.
    ///
    /// [`forward_weigh_backward`]: sai_decoder::training::Model::forward_weigh_backward
    pub fn weights(
        &self,
        likelihoods: &[f32],
        weights: &[f32],
        documents: &[Range<usize>],
        reference: &[f64],
        preferred: &mut PreferenceSums,
    ) -> Vec<f32> {
        let found = sums(likelihoods, documents);
        let mut out = vec![0.0; weights.len()];
        let pairs = documents.as_chunks::<2>().0.iter().zip(found.as_chunks::<2>().0);
        for ((rows, found), before) in pairs.zip(reference.as_chunks::<2>().0) {
            let answer = weights[rows[0].clone()].iter().filter(|&&weight| weight != 0.0).count().max(1);
            let (pull, came) = self.pair(*found, *before, answer as f64);
            *preferred += came;
            for (rows, weight) in rows.iter().zip([pull + self.sft / answer as f64, -pull]) {
                let marked = weights[rows.clone()].iter();
                out[rows.clone()]
                    .iter_mut()
                    .zip(marked)
                    .for_each(|(out, mark)| *out = (weight * f64::from(*mark)) as f32);
            }
        }
        out
    }

    /// Of a pair's log-likelihoods, chosen and rejected, those of the reference, and the tokens of the chosen answer: by what
    /// the loss falls as the margin of log-likelihoods grows, and what the pair comes to.
    fn pair(&self, found: [f64; 2], before: [f64; 2], answer: f64) -> (f64, PreferenceSums) {
        let [chosen, rejected] = [0, 1].map(|i| self.beta * (found[i] - before[i]));
        let margin = chosen - rejected;
        let (smooth, sharp) = (self.label_smoothing, 1.0 - self.label_smoothing);
        let loss = sharp * softplus(-margin) + smooth * softplus(margin) - self.sft * found[0] / answer;
        let pull = self.beta * (sharp * sigmoid(-margin) - smooth * sigmoid(margin));
        (pull, PreferenceSums { pairs: 1, loss, chosen, rejected, right: u64::from(margin > 0.0) })
    }
}

/// `1 / (1 + e⁻ˣ)`
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + eˣ)`, which is `−ln sigmoid(−x)`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
