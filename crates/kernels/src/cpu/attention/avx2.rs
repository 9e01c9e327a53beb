//! Queries against a page with AVX2. Each fills four registers with sums; halves are widened as they are loaded.

use super::{Page, soften};
use crate::cpu::element::{Element, avx2::load};
use crate::device::PAGE;
use std::arch::x86_64::*;

/// Floats of a register.
const LANES: usize = 8;
/// Registers of a page's positions, and of the components that are summed at a time.
const WIDE: usize = PAGE / LANES;

/// As [`super::plain::fold`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn fold<T: Element, const Q: usize>(
    queries: [&[f32]; Q],
    page: Page<'_, T>,
    seen: [usize; Q],
    states: &mut [&mut [f32]; Q],
) {
    let mut weights = scores(queries, page.keys);
    let shrink = soften::<true, Q>(&mut weights, seen, states);
    let last = seen.into_iter().max().unwrap_or(0);
    let dim = page.values.len() / PAGE;
    let whole = dim / (WIDE * LANES) * (WIDE * LANES);
    for at in (0..whole).step_by(WIDE * LANES) {
        mix::<T, Q, WIDE>(&weights, last, page.values, dim, at, shrink, states);
    }
    for at in (whole..dim / LANES * LANES).step_by(LANES) {
        mix::<T, Q, 1>(&weights, last, page.values, dim, at, shrink, states);
    }
    for at in dim / LANES * LANES..dim {
        for q in 0..Q {
            let sum = &mut states[q][2 + at];
            *sum *= shrink[q];
            for (values, weight) in page.values.chunks_exact(dim).zip(&weights[q]).take(last) {
                *sum = weight.mul_add(values[at].widen(), *sum);
            }
        }
    }
}

/// `q · k` of each query and position.
#[target_feature(enable = "avx2,fma,f16c")]
fn scores<T: Element, const Q: usize>(queries: [&[f32]; Q], keys: &[T]) -> [[f32; PAGE]; Q] {
    let mut sums = [[_mm256_setzero_ps(); WIDE]; Q];
    for (d, keys) in keys.as_chunks::<PAGE>().0.iter().enumerate() {
        let mut query = [_mm256_setzero_ps(); Q];
        for q in 0..Q {
            query[q] = _mm256_set1_ps(queries[q][d]);
        }
        for i in 0..WIDE {
            // SAFETY: four times eight of 32 keys.
            let keys = unsafe { load(keys.as_ptr().add(i * LANES)) };
            for q in 0..Q {
                sums[q][i] = _mm256_fmadd_ps(query[q], keys, sums[q][i]);
            }
        }
    }
    let mut scores = [[0.0; PAGE]; Q];
    for q in 0..Q {
        for i in 0..WIDE {
            // SAFETY: four times eight of 32 scores.
            unsafe { _mm256_storeu_ps(scores[q].as_mut_ptr().add(i * LANES), sums[q][i]) };
        }
    }
    scores
}

/// Adds the weighted values' `8 · W` components from `at`, of the first `last` positions.
#[target_feature(enable = "avx2,fma,f16c")]
fn mix<T: Element, const Q: usize, const W: usize>(
    weights: &[[f32; PAGE]; Q],
    last: usize,
    values: &[T],
    dim: usize,
    at: usize,
    shrink: [f32; Q],
    states: &mut [&mut [f32]; Q],
) {
    let mut sums = [[_mm256_setzero_ps(); W]; Q];
    for q in 0..Q {
        let state = &states[q][2 + at..][..W * LANES];
        for i in 0..W {
            // SAFETY: within the slice, whose length was checked.
            let sum = unsafe { _mm256_loadu_ps(state.as_ptr().add(i * LANES)) };
            sums[q][i] = _mm256_mul_ps(sum, _mm256_set1_ps(shrink[q]));
        }
    }
    for (j, values) in values.chunks_exact(dim).take(last).enumerate() {
        let values = &values[at..at + W * LANES];
        let mut weight = [_mm256_setzero_ps(); Q];
        for q in 0..Q {
            weight[q] = _mm256_set1_ps(weights[q][j]);
        }
        for i in 0..W {
            // SAFETY: within the slice, whose length was checked.
            let values = unsafe { load(values.as_ptr().add(i * LANES)) };
            for q in 0..Q {
                sums[q][i] = _mm256_fmadd_ps(weight[q], values, sums[q][i]);
            }
        }
    }
    for q in 0..Q {
        let state = &mut states[q][2 + at..][..W * LANES];
        for i in 0..W {
            // SAFETY: within the slice, whose length was checked.
            unsafe { _mm256_storeu_ps(state.as_mut_ptr().add(i * LANES), sums[q][i]) };
        }
    }
}
