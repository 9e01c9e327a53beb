//! Cross-entropy of a chunk of rows, whose logits become their gradients where they lie.

use super::softmax::{exponentials, largest};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::training::LossSums;

/// Rows of a task.
const ROWS: usize = 4;

/// `ln p(target)` of each row of logits, which are overwritten.
pub(super) fn log_likelihoods(
    isa: Isa,
    pool: &Pool,
    logits: &mut [f32],
    vocab: usize,
    targets: &[u32],
    out: &mut [f32],
) {
    let (logits, out) = (Disjoint::new(logits), Disjoint::new(out));
    pool.run_chunks(targets.len(), ROWS, &|rows| {
        for row in rows {
            // SAFETY: each row is one task's.
            let (logits, out) =
                unsafe { (logits.part(row * vocab..(row + 1) * vocab), out.part(row..row + 1)) };
            let target = logits[targets[row] as usize];
            let found = softmax(isa, logits);
            out[0] = found.ln(target);
        }
    });
}

/// Each row of logits becomes the gradient of `scale · weight · (−ln p(target) + z · lse²)`, lse being the logarithm of
/// the sum of the logits' exponentials. The sums are taken in the order of the rows.
pub(super) fn backward(
    isa: Isa,
    pool: &Pool,
    logits: &mut [f32],
    vocab: usize,
    targets: &[u32],
    weights: &[f32],
    scale: f32,
    z: f32,
) -> LossSums {
    let mut losses = vec![[0.0f64; 2]; targets.len()];
    let (logits, parts) = (Disjoint::new(logits), Disjoint::new(&mut losses));
    pool.run_chunks(targets.len(), ROWS, &|rows| {
        for row in rows {
            // SAFETY: each row is one task's.
            let (logits, part) =
                unsafe { (logits.part(row * vocab..(row + 1) * vocab), parts.part(row..row + 1)) };
            let (target, weight) = (targets[row] as usize, weights[row]);
            let logit = logits[target];
            let found = softmax(isa, logits);
            let log_sum = found.shift + found.sum.ln();
            // (p − 1[target]) · weight, and 2 · z · lse · p · weight.
            let factor = weight * scale * (1.0 + 2.0 * z * log_sum) / found.sum;
            logits.iter_mut().for_each(|x| *x *= factor);
            logits[target] -= weight * scale;
            let weight = f64::from(weight);
            part[0] = [-weight * f64::from(found.ln(logit)), weight * f64::from(log_sum).powi(2)];
        }
    });
    let [loss, log_sum_squares] = losses.iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
    LossSums { loss, log_sum_squares }
}

/// What a row's exponentials were divided by, and their sum then.
struct Softmax {
    /// The largest logit.
    shift: f32,
    /// `Σ e^(logit − shift)`
    sum: f32,
}

impl Softmax {
    /// The logarithm of a logit's probability, in this order for the sake of the digits of one near 0.
    fn ln(&self, logit: f32) -> f32 {
        (logit - self.shift) - self.sum.ln()
    }
}

/// Makes a row its exponentials, over that of its largest.
fn softmax(isa: Isa, row: &mut [f32]) -> Softmax {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(row) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(row) },
        _ => plain::<{ Isa::BASELINE_FMA }>(row),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(row: &mut [f32]) -> Softmax {
    plain::<true>(row)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(row: &mut [f32]) -> Softmax {
    plain::<true>(row)
}

#[inline(always)]
fn plain<const FMA: bool>(row: &mut [f32]) -> Softmax {
    let shift = largest(row, f32::NEG_INFINITY);
    let sum = exponentials::<FMA>(row, shift);
    Softmax { shift, sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(46);
        // The last are beyond what an exponential can be.
        for (rows, vocab, far) in [(1, 1, 0.0), (3, 17, 0.0), (9, 100, 0.0), (2, 1033, 0.0), (3, 50, 200.0)] {
            let logits: Vec<f32> = random.normals(rows * vocab).iter().map(|x| far + 5.0 * x).collect();
            let targets: Vec<u32> = (0..rows).map(|_| (random.bits() % vocab as u64) as u32).collect();
            let weights: Vec<f32> = (0..rows).map(|i| [1.0, 0.0, -0.5][i % 3]).collect();
            let (scale, z) = (0.25f32, 0.01f32);
            let (mut want, mut likelihoods, mut sums) = (Vec::new(), Vec::new(), LossSums::default());
            for (row, logits) in logits.chunks(vocab).enumerate() {
                let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
                let (lse, target) = (total.ln(), targets[row] as usize);
                let weight = f64::from(weights[row]);
                likelihoods.push((f64::from(logits[target]) - lse) as f32);
                sums.loss += weight * (lse - f64::from(logits[target]));
                sums.log_sum_squares += weight * lse * lse;
                want.extend(logits.iter().enumerate().map(|(i, &x)| {
                    let p = f64::from(x).exp() / total;
                    let hit = f64::from(u8::from(i == target));
                    (weight * f64::from(scale) * (p - hit + 2.0 * f64::from(z) * lse * p)) as f32
                }));
            }
            for isa in Isa::available() {
                let pool = Pool::new(2);
                let (mut got, mut out) = (logits.clone(), vec![0.0; rows]);
                log_likelihoods(isa, &pool, &mut got, vocab, &targets, &mut out);
                assert_close(&out, &likelihoods, 1e-5);
                let mut got = logits.clone();
                let found = backward(isa, &pool, &mut got, vocab, &targets, &weights, scale, z);
                assert_close(&got, &want, 1e-5);
                assert!((found.loss - sums.loss).abs() < 1e-4 * sums.loss.abs().max(1.0));
                let squares = (found.log_sum_squares - sums.log_sum_squares).abs();
                assert!(squares < 1e-4 * sums.log_sum_squares.abs().max(1.0));
            }
        }
    }
}
