//! AdamW in one pass over parameters, gradients and moments. Loshchilov & Hutter 2019. Bound by memory.

use crate::AdamWStep;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;

/// Values of a task, whose sum of squares is one number in f64.
const GRAIN: usize = 32 * 1024;

/// A step's numbers as the loop uses them, in PyTorch's order of operations.
#[derive(Clone, Copy)]
struct Factors {
    scale: f32,
    beta1: f32,
    beta2: f32,
    /// `rate / (1 − beta1ᵗ)`
    rate: f32,
    /// `1 / √(1 − beta2ᵗ)`
    correction: f32,
    eps: f32,
}

/// Updates the parameters from number `start` on; gradients become zero.
pub(super) fn adamw(
    isa: Isa,
    pool: &Pool,
    step: &AdamWStep,
    start: usize,
    parameters: &mut [f32],
    gradients: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let n = parameters.len();
    assert!([gradients.len(), first.len(), second.len()] == [n; 3], "moments of other parameters");
    let t = step.step as f64;
    let factors = Factors {
        scale: step.gradient_scale as f32,
        beta1: step.beta1 as f32,
        beta2: step.beta2 as f32,
        rate: (step.rate / (1.0 - step.beta1.powf(t))) as f32,
        correction: (1.0 / (1.0 - step.beta2.powf(t)).sqrt()) as f32,
        eps: step.eps as f32,
    };
    let kept = (1.0 - step.rate * step.decay) as f32;
    let [parameters, gradients, first, second] = [parameters, gradients, first, second].map(Disjoint::new);
    pool.run_chunks(n, GRAIN, &|range| {
        // Where decay ends within the chunk.
        let border = step.decayed.saturating_sub(start).clamp(range.start, range.end);
        for (range, kept) in [(range.start..border, kept), (border..range.end, 1.0)] {
            // SAFETY: the chunks do not overlap.
            let [p, g, m, v] =
                [&parameters, &gradients, &first, &second].map(|all| unsafe { all.part(range.clone()) });
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` is only ever one that this processor has.
                Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(factors, kept, p, g, m, v) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: likewise.
                Isa::Avx512Vnni => unsafe { avx512(factors, kept, p, g, m, v) },
                _ => update(factors, kept, p, g, m, v),
            }
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(factors: Factors, kept: f32, p: &mut [f32], g: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    update(factors, kept, p, g, m, v);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(factors: Factors, kept: f32, p: &mut [f32], g: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    update(factors, kept, p, g, m, v);
}

#[inline(always)]
fn update(f: Factors, kept: f32, p: &mut [f32], g: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let n = p.len();
    let (g, m, v) = (&mut g[..n], &mut m[..n], &mut v[..n]);
    for i in 0..n {
        let gradient = g[i] * f.scale;
        m[i] += (gradient - m[i]) * (1.0 - f.beta1);
        v[i] = v[i] * f.beta2 + gradient * gradient * (1.0 - f.beta2);
        p[i] = p[i] * kept - f.rate * m[i] / (v[i].sqrt() * f.correction + f.eps);
        g[i] = 0.0;
    }
}

/// The sum of squares: 1,024 at a time in f32, their sums in f64, the same on any number of threads.
pub(super) fn square_sum(isa: Isa, pool: &Pool, values: &[f32]) -> f64 {
    let mut parts = vec![0.0f64; values.len().div_ceil(GRAIN)];
    let sums = Disjoint::new(&mut parts);
    pool.run_chunks(values.len(), GRAIN, &|range| {
        let i = range.start / GRAIN;
        // SAFETY: each chunk has its own sum.
        let sum = unsafe { sums.part(i..i + 1) };
        sum[0] = match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` is only ever one that this processor has.
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => unsafe { squares_avx2(&values[range]) },
            _ => squares::<{ Isa::BASELINE_FMA }>(&values[range]),
        };
    });
    parts.iter().sum()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn squares_avx2(values: &[f32]) -> f64 {
    squares::<true>(values)
}

#[inline(always)]
fn squares<const FMA: bool>(values: &[f32]) -> f64 {
    values.chunks(1024).map(|some| f64::from(crate::cpu::math::dot::<FMA>(some, some))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    #[test]
    fn every_path_is_the_formula() {
        let mut random = Random::new(44);
        for (n, start, decayed) in [(1, 0, 1), (17, 5, 9), (GRAIN + 3, 100, GRAIN + 101), (40, 50, 20)] {
            let step = AdamWStep {
                step: 3,
                rate: 0.01,
                beta1: 0.9,
                beta2: 0.95,
                eps: 1e-8,
                decay: 0.1,
                decayed,
                gradient_scale: 0.5,
            };
            let [p, g, m] = [(); 3].map(|()| random.normals(n));
            let v: Vec<f32> = random.normals(n).iter().map(|x| x * x).collect();
            let mut want = [p.clone(), m.clone(), v.clone()];
            for i in 0..n {
                let [p, g, m, v] = [p[i], g[i], m[i], v[i]].map(f64::from);
                let g = g * 0.5;
                let (m, v) = (0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g);
                let p = if start + i < decayed { p * (1.0 - 0.01 * 0.1) } else { p };
                let root = (v / (1.0 - 0.95f64.powi(3))).sqrt() + 1e-8;
                let p = p - 0.01 * (m / (1.0 - 0.9f64.powi(3))) / root;
                (want[0][i], want[1][i], want[2][i]) = (p as f32, m as f32, v as f32);
            }
            for isa in Isa::available() {
                for threads in [1, 3] {
                    let [mut p, mut g, mut m, mut v] = [&p, &g, &m, &v].map(Clone::clone);
                    adamw(isa, &Pool::new(threads), &step, start, &mut p, &mut g, &mut m, &mut v);
                    for (got, want) in [p, m, v].iter().zip(&want) {
                        assert_close(got, want, 1e-6);
                    }
                    assert!(g.iter().all(|&g| g == 0.0));
                }
            }
        }
    }

    #[test]
    fn squares_are_summed() {
        let mut random = Random::new(45);
        for n in [0, 1, 33, 2 * GRAIN + 7] {
            let values = random.normals(n);
            let want: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            for isa in Isa::available() {
                let got = square_sum(isa, &Pool::new(3), &values);
                assert!((got - want).abs() <= 1e-6 * want, "{got} instead of {want}");
            }
        }
    }
}
