//! The backward of `y = x / √(mean(x²) + eps) · gain`. Zhang & Sennrich 2019.

use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::math;
use crate::cpu::pool::Pool;
use std::ops::Range;

/// Rows whose part of the gain's gradient is summed together: of a fixed number, so that the sum is the same on any
/// number of threads.
const ROWS: usize = 64;

/// With `r = 1 / √(mean(x²) + eps)`: `d_x += r · (g − x · r² · mean(x · g))` for `g = d_y · gain`, and
/// `d_gain += Σ d_y · x · r` over the rows, where that is wanted.
pub(super) fn backward(
    isa: Isa,
    pool: &Pool,
    d_y: &[f32],
    x: &[f32],
    gain: &[f32],
    eps: f32,
    d_x: &mut [f32],
    d_gain: Option<&mut [f32]>,
) {
    let n = gain.len();
    assert!(d_y.len() == x.len() && d_x.len() == x.len(), "rows that do not fit");
    assert!(d_gain.as_ref().is_none_or(|d_gain| d_gain.len() == n), "a gain of another length");
    // A part for each chunk of rows where the gain's gradient is wanted, else none.
    let wanted = if d_gain.is_some() { n } else { 0 };
    let mut parts = vec![0.0f32; x.len().div_ceil(n * ROWS) * wanted];
    let (all, sums) = (Disjoint::new(d_x), Disjoint::new(&mut parts));
    pool.run_chunks(x.len() / n, ROWS, &|rows| {
        let (range, part) = (rows.start * n..rows.end * n, rows.start / ROWS * wanted);
        // SAFETY: each chunk of rows has its own part.
        let (d_x, sums) = unsafe { (all.part(range.clone()), sums.part(part..part + wanted)) };
        let (d_y, x) = (&d_y[range.clone()], &x[range]);
        match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` is only ever one that this processor has.
            Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(d_y, x, gain, eps, d_x, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            Isa::Avx512Vnni => unsafe { avx512(d_y, x, gain, eps, d_x, sums) },
            _ => some_rows::<{ Isa::BASELINE_FMA }>(d_y, x, gain, eps, d_x, sums),
        }
    });
    let Some(d_gain) = d_gain else { return };
    for part in parts.chunks_exact(n) {
        for (d_gain, part) in d_gain.iter_mut().zip(part) {
            *d_gain += part;
        }
    }
}

/// Some columns of wider rows.
#[derive(Clone)]
pub(super) struct Part {
    /// Values of a row.
    pub(super) row: usize,
    /// A whole number of gains.
    pub(super) columns: Range<usize>,
}

/// The same for stretches of a gain's length within rows, in place: `d`, the gradient of what came out, becomes that of `x`.
pub(super) fn backward_within(
    isa: Isa,
    pool: &Pool,
    d: &mut [f32],
    x: &[f32],
    part: Part,
    gain: &[f32],
    eps: f32,
    d_gain: Option<&mut [f32]>,
) {
    assert!(d.len() == x.len() && part.columns.len().is_multiple_of(gain.len()), "rows that do not fit");
    let rows = x.len() / part.row;
    let wanted = if d_gain.is_some() { gain.len() } else { 0 };
    let mut parts = vec![0.0f32; rows.div_ceil(ROWS) * wanted];
    let (all, sums) = (Disjoint::new(d), Disjoint::new(&mut parts));
    pool.run_chunks(rows, ROWS, &|rows| {
        let (range, at) = (rows.start * part.row..rows.end * part.row, rows.start / ROWS * wanted);
        // SAFETY: each chunk of rows has its own part.
        let (d, sums) = unsafe { (all.part(range.clone()), sums.part(at..at + wanted)) };
        let x = &x[range];
        match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` is only ever one that this processor has.
            Isa::Avx2 | Isa::AvxVnni => unsafe { avx2_within(d, x, &part, gain, eps, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            Isa::Avx512Vnni => unsafe { avx512_within(d, x, &part, gain, eps, sums) },
            _ => some_within::<{ Isa::BASELINE_FMA }>(d, x, &part, gain, eps, sums),
        }
    });
    let Some(d_gain) = d_gain else { return };
    for part in parts.chunks_exact(gain.len()) {
        d_gain.iter_mut().zip(part).for_each(|(d_gain, part)| *d_gain += part);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2_within(d: &mut [f32], x: &[f32], part: &Part, gain: &[f32], eps: f32, d_gain: &mut [f32]) {
    some_within::<true>(d, x, part, gain, eps, d_gain);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512_within(d: &mut [f32], x: &[f32], part: &Part, gain: &[f32], eps: f32, d_gain: &mut [f32]) {
    some_within::<true>(d, x, part, gain, eps, d_gain);
}

#[inline(always)]
fn some_within<const FMA: bool>(
    d: &mut [f32],
    x: &[f32],
    part: &Part,
    gain: &[f32],
    eps: f32,
    d_gain: &mut [f32],
) {
    let n = gain.len();
    for (d, x) in d.chunks_exact_mut(part.row).zip(x.chunks_exact(part.row)) {
        let (d, x) = (&mut d[part.columns.clone()], &x[part.columns.clone()]);
        for (d, x) in d.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            let r = 1.0 / (math::dot::<FMA>(x, x) / n as f32 + eps).sqrt();
            for (i, d_gain) in d_gain.iter_mut().enumerate() {
                *d_gain += d[i] * x[i] * r;
            }
            let shared = product_sum::<FMA>(x, d, gain) / n as f32 * r * r;
            for i in 0..n {
                d[i] = r * (d[i] * gain[i] - x[i] * shared);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(d_y: &[f32], x: &[f32], gain: &[f32], eps: f32, d_x: &mut [f32], d_gain: &mut [f32]) {
    some_rows::<true>(d_y, x, gain, eps, d_x, d_gain);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(d_y: &[f32], x: &[f32], gain: &[f32], eps: f32, d_x: &mut [f32], d_gain: &mut [f32]) {
    some_rows::<true>(d_y, x, gain, eps, d_x, d_gain);
}

#[inline(always)]
fn some_rows<const FMA: bool>(
    d_y: &[f32],
    x: &[f32],
    gain: &[f32],
    eps: f32,
    d_x: &mut [f32],
    d_gain: &mut [f32],
) {
    let n = gain.len();
    for ((d_y, x), d_x) in d_y.chunks_exact(n).zip(x.chunks_exact(n)).zip(d_x.chunks_exact_mut(n)) {
        let r = 1.0 / (math::dot::<FMA>(x, x) / n as f32 + eps).sqrt();
        for (i, d_gain) in d_gain.iter_mut().enumerate() {
            *d_gain += d_y[i] * x[i] * r;
        }
        let shared = product_sum::<FMA>(x, d_y, gain) / n as f32 * r * r;
        for i in 0..n {
            d_x[i] += r * (d_y[i] * gain[i] - x[i] * shared);
        }
    }
}

/// `Σ a · b · c`.
#[inline(always)]
fn product_sum<const FMA: bool>(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut sums = [0.0f32; 32];
    let whole = a.len() / 32 * 32;
    for at in (0..whole).step_by(32) {
        let (a, b, c) = (&a[at..at + 32], &b[at..at + 32], &c[at..at + 32]);
        for i in 0..32 {
            sums[i] = math::fma::<FMA>(a[i] * b[i], c[i], sums[i]);
        }
    }
    let rest: f32 = (whole..a.len()).map(|i| a[i] * b[i] * c[i]).sum();
    math::sum_lanes(sums) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(42);
        for (rows, n) in [(1, 1), (3, 17), (65, 40), (130, 96)] {
            let [d_y, x, before] = [(); 3].map(|()| random.normals(rows * n));
            let (gain, gain_before) = (random.normals(n), random.normals(n));
            let (mut want, mut want_gain) = (before.clone(), vec![0.0f64; n]);
            for row in 0..rows {
                let at = row * n;
                let wide = |values: &[f32], i: usize| f64::from(values[at + i]);
                let square = (0..n).map(|i| wide(&x, i).powi(2)).sum::<f64>() / n as f64 + 1e-5;
                let inner: f64 = (0..n).map(|i| wide(&x, i) * wide(&d_y, i) * f64::from(gain[i])).sum();
                for i in 0..n {
                    let g = wide(&d_y, i) * f64::from(gain[i]);
                    want[at + i] += ((g - wide(&x, i) * inner / n as f64 / square) / square.sqrt()) as f32;
                    want_gain[i] += wide(&d_y, i) * wide(&x, i) / square.sqrt();
                }
            }
            let want_gain: Vec<f32> =
                want_gain.iter().zip(&gain_before).map(|(w, b)| *w as f32 + b).collect();
            for isa in Isa::available() {
                for threads in [1, 3] {
                    let (mut d_x, mut d_gain) = (before.clone(), gain_before.clone());
                    let pool = Pool::new(threads);
                    backward(isa, &pool, &d_y, &x, &gain, 1e-5, &mut d_x, Some(&mut d_gain));
                    assert_close(&d_x, &want, 1e-5);
                    assert_close(&d_gain, &want_gain, 1e-5);
                    let mut alone = before.clone();
                    backward(isa, &pool, &d_y, &x, &gain, 1e-5, &mut alone, None);
                    assert!(alone == d_x);
                }
            }
        }
    }

    #[test]
    fn stretches_of_rows_are_rows_of_their_own() {
        let mut random = Random::new(7);
        let (rows, row, columns, n) = (70, 40, 5..35, 10);
        let (x, d) = (random.normals(rows * row), random.normals(rows * row));
        let gain = random.normals(n);
        let gathered = |values: &[f32]| -> Vec<f32> {
            values.chunks(row).flat_map(|row| row[columns.clone()].to_vec()).collect()
        };
        for isa in Isa::available() {
            let pool = Pool::new(2);
            let (x_alone, d_alone) = (gathered(&x), gathered(&d));
            let (mut want, mut want_gain) = (vec![0.0; x_alone.len()], vec![0.5; n]);
            backward(isa, &pool, &d_alone, &x_alone, &gain, 1e-5, &mut want, Some(&mut want_gain));
            for threads in [1, 3] {
                let (mut got, mut got_gain) = (d.clone(), vec![0.5; n]);
                let part = Part { row, columns: columns.clone() };
                let pool = Pool::new(threads);
                backward_within(isa, &pool, &mut got, &x, part, &gain, 1e-5, Some(&mut got_gain));
                assert_close(&gathered(&got), &want, 1e-6);
                assert_close(&got_gain, &want_gain, 1e-5);
                assert!(
                    got.chunks(row).zip(d.chunks(row)).all(|(a, b)| a[..5] == b[..5] && a[35..] == b[35..])
                );
            }
        }
    }
}
