//! Direct preference optimisation: an answer is to become likelier than another, beside a reference. Rafailov et al. 2023.

use std::ops::Range;

/// What is optimised.
#[derive(Clone, Copy, Debug, PartialEq)]
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
pub struct Preferred {
    /// Pairs.
    pub pairs: u64,
    /// Their losses.
    pub loss: f64,
    /// `beta ·` by how much more the chosen answer's log-likelihood grew than the other's.
    pub margin: f64,
    /// Pairs whose margin is above 0.
    pub right: u64,
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
    /// too for rows that foretell the prompt, and other weights are 1; `reference` is of [`sums`], by document. What the pairs
    /// come to is added to `preferred`.
    ///
    /// [`forward_weigh_backward`]: sai_decoder::training::Model::forward_weigh_backward
    pub fn weights(
        &self,
        likelihoods: &[f32],
        weights: &[f32],
        documents: &[Range<usize>],
        reference: &[f64],
        preferred: &mut Preferred,
    ) -> Vec<f32> {
        let found = sums(likelihoods, documents);
        let mut out = vec![0.0; weights.len()];
        let pairs = documents.as_chunks::<2>().0.iter().zip(found.as_chunks::<2>().0);
        for ((rows, found), before) in pairs.zip(reference.as_chunks::<2>().0) {
            let margin = self.beta * ((found[0] - before[0]) - (found[1] - before[1]));
            let answer =
                weights[rows[0].clone()].iter().filter(|&&weight| weight != 0.0).count().max(1) as f64;
            let (smooth, sharp) = (self.label_smoothing, 1.0 - self.label_smoothing);
            preferred.pairs += 1;
            preferred.margin += margin;
            preferred.right += u64::from(margin > 0.0);
            preferred.loss +=
                sharp * softplus(-margin) + smooth * softplus(margin) - self.sft * found[0] / answer;
            // Of −ln p of each row, what the loss falls by as the margin grows.
            let pull = self.beta * (sharp * sigmoid(-margin) - smooth * sigmoid(margin));
            for (rows, weight) in rows.iter().zip([pull + self.sft / answer, -pull]) {
                let marked = weights[rows.clone()].iter();
                out[rows.clone()]
                    .iter_mut()
                    .zip(marked)
                    .for_each(|(out, mark)| *out = (weight * f64::from(*mark)) as f32);
            }
        }
        out
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
