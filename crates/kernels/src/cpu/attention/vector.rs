//! Queries against a page in registers of any width. Keys, and values a group of components at a time, are widened as
//! they are loaded; what is loaded serves `Q` queries. `N` registers hold 32 floats: the positions of a page, and the
//! components of a group.

use super::page::{Page, Picked, Queries, Seen, pick};
use crate::cpu::element::Element;
use crate::cpu::math::exp;
use crate::cpu::vector::{Vector, prefetch};
use crate::device::{CacheType, PAGE};

/// Components whose products are summed before they are scaled.
const GROUP: usize = CacheType::GROUP;

/// Folds a page into the states of queries `first..`, `Q` at a time. Returns the first query that is left, and the
/// states of those.
///
/// # Safety
/// The processor has the instruction set of `V` and FMA, and `N` registers hold [`PAGE`] floats.
#[inline(always)]
pub(super) unsafe fn fold_all<'s, 'f, V: Vector, const N: usize, const Q: usize, T: Element>(
    first: usize,
    queries: &Queries<'_>,
    page: Page<'_, T>,
    states: &'s mut [&'f mut [f32]],
) -> (usize, &'s mut [&'f mut [f32]]) {
    const { assert!(N * V::LANES == PAGE && PAGE == GROUP) };
    let (whole, rest) = states.as_chunks_mut::<Q>();
    for (i, states) in whole.iter_mut().enumerate() {
        let first = first + i * Q;
        if let Some(picked) = pick(queries, page.dim(), first) {
            // The first queries ask for the next page; the others for this one, which is there.
            let next = if first == 0 { page.next } else { [page.keys.as_ptr(), page.values.as_ptr()] };
            // SAFETY: the caller's promise.
            unsafe { fold::<V, N, Q, T>(&picked, Page { next, ..page }, states) };
        }
    }
    (first + whole.len() * Q, rest)
}

/// Asks for some values ahead of their use.
#[inline(always)]
fn ask<T: Element>(at: *const T, values: usize) {
    for line in (0..values * size_of::<T>()).step_by(64) {
        prefetch(at.wrapping_byte_add(line).cast());
    }
}

/// As [`super::plain`] folds.
///
/// # Safety
/// As [`fold_all`].
#[inline(always)]
unsafe fn fold<V: Vector, const N: usize, const Q: usize, T: Element>(
    picked: &Picked<'_, Q>,
    page: Page<'_, T>,
    states: &mut [&mut [f32]; Q],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut weights = scores::<V, N, Q, T>(picked.values, page);
        picked.bend::<true>(&mut weights);
        let shrink = soften::<V, N, Q>(&mut weights, picked.seen, states);
        let last = picked.end();
        let dim = page.dim();
        for (g, first) in (0..dim).step_by(GROUP).enumerate() {
            let weights = if T::SCALED {
                &scaled::<V, N, Q>(&weights, page.value_scales(g).as_ptr())
            } else {
                &weights
            };
            if first + GROUP <= dim {
                mix::<V, N, Q, T>(weights, last, page, first, shrink, states);
                continue;
            }
            let whole = dim / V::LANES * V::LANES;
            for at in (first..whole).step_by(V::LANES) {
                mix::<V, 1, Q, T>(weights, last, page, at, shrink, states);
            }
            for at in whole.max(first)..dim {
                for q in 0..Q {
                    let sum = &mut states[q][2 + at];
                    *sum *= shrink[q];
                    for (values, weight) in page.values.chunks_exact(dim).zip(&weights[q]).take(last) {
                        *sum = weight.mul_add(values[at].widen(), *sum);
                    }
                }
            }
        }
    }
}

/// `q · k` of each query and position.
///
/// # Safety
/// As [`fold_all`].
#[inline(always)]
unsafe fn scores<V: Vector, const N: usize, const Q: usize, T: Element>(
    queries: [&[f32]; Q],
    page: Page<'_, T>,
) -> [[f32; PAGE]; Q] {
    let mut scores = [[0.0; PAGE]; Q];
    let keys = page.keys.as_chunks::<PAGE>().0;
    for (g, keys) in keys.chunks(GROUP).enumerate() {
        let queries: [&[f32]; Q] = std::array::from_fn(|q| &queries[q][g * GROUP..][..keys.len()]);
        // SAFETY: the caller's promise; N registers are the positions of a page.
        unsafe {
            let mut sums = [[V::splat(0.0); N]; Q];
            for (d, keys) in keys.iter().enumerate() {
                ask(page.next[0].wrapping_add((g * GROUP + d) * PAGE), PAGE);
                let mut wide = [V::splat(0.0); N];
                for i in 0..N {
                    wide[i] = V::widen(keys.as_ptr().add(i * V::LANES));
                }
                for q in 0..Q {
                    let query = V::splat(*queries[q].get_unchecked(d));
                    for i in 0..N {
                        sums[q][i] = query.multiply_add(wide[i], sums[q][i]);
                    }
                }
            }
            for i in 0..N {
                let at = i * V::LANES;
                let scale =
                    if T::SCALED { V::widen(page.key_scales(g).as_ptr().add(at)) } else { V::splat(1.0) };
                for q in 0..Q {
                    let score = scores[q].as_mut_ptr().add(at);
                    sums[q][i].multiply_add(scale, V::load(score)).store(score);
                }
            }
        }
    }
    scores
}

/// Turns a page's scores into weights under the running maximum, and keeps maximum and sum in the states. Returns
/// by how much earlier results shrink.
///
/// # Safety
/// As [`fold_all`].
#[inline(always)]
unsafe fn soften<V: Vector, const N: usize, const Q: usize>(
    scores: &mut [[f32; PAGE]; Q],
    seen: [Seen; Q],
    states: &mut [&mut [f32]; Q],
) -> [f32; Q] {
    let mut shrink = [1.0; Q];
    for q in 0..Q {
        let (scores, state) = (&mut scores[q], &mut states[q]);
        let Seen { first, end } = seen[q];
        if end < PAGE {
            scores[end..].fill(f32::NEG_INFINITY);
        }
        if end == 0 {
            scores.fill(0.0);
            continue;
        }
        if first > 0 {
            scores[..first].fill(f32::NEG_INFINITY);
        }
        // SAFETY: the caller's promise; N registers are the positions of a page.
        unsafe {
            let mut largest = V::load(scores.as_ptr());
            for i in 1..N {
                largest = largest.max(V::load(scores.as_ptr().add(i * V::LANES)));
            }
            let highest = largest.largest().max(state[0]);
            for score in scores.iter_mut() {
                *score = exp::<true>(*score - highest);
            }
            if end < PAGE {
                scores[end..].fill(0.0);
            }
            if first > 0 {
                scores[..first].fill(0.0);
            }
            let mut total = V::load(scores.as_ptr());
            for i in 1..N {
                total = total.add(V::load(scores.as_ptr().add(i * V::LANES)));
            }
            shrink[q] = if state[0] == highest { 1.0 } else { exp::<true>(state[0] - highest) };
            state[0] = highest;
            state[1] = state[1] * shrink[q] + total.total();
        }
    }
    shrink
}

/// Weights times the scales of a group's values.
///
/// # Safety
/// As [`fold_all`], and there are [`PAGE`] scales.
#[inline(always)]
unsafe fn scaled<V: Vector, const N: usize, const Q: usize>(
    weights: &[[f32; PAGE]; Q],
    scales: *const half::f16,
) -> [[f32; PAGE]; Q] {
    let mut scaled = [[0.0; PAGE]; Q];
    for i in 0..N {
        // SAFETY: the caller's promise; N registers are the positions of a page.
        unsafe {
            let scale = V::widen(scales.add(i * V::LANES));
            for q in 0..Q {
                let weight = V::load(weights[q].as_ptr().add(i * V::LANES));
                weight.multiply(scale).store(scaled[q].as_mut_ptr().add(i * V::LANES));
            }
        }
    }
    scaled
}

/// Adds `W` registers of weighted components from `at`, of the first `last` positions.
///
/// # Safety
/// As [`fold_all`].
#[inline(always)]
unsafe fn mix<V: Vector, const W: usize, const Q: usize, T: Element>(
    weights: &[[f32; PAGE]; Q],
    last: usize,
    page: Page<'_, T>,
    at: usize,
    shrink: [f32; Q],
    states: &mut [&mut [f32]; Q],
) {
    // SAFETY: within slices whose lengths are checked; the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); W]; Q];
        for q in 0..Q {
            let state = &states[q][2 + at..][..W * V::LANES];
            for i in 0..W {
                let sum = V::load(state.as_ptr().add(i * V::LANES));
                sums[q][i] = sum.multiply(V::splat(shrink[q]));
            }
        }
        let dim = page.dim();
        for (j, values) in page.values.chunks_exact(dim).take(last.min(PAGE)).enumerate() {
            let values = &values[at..at + W * V::LANES];
            ask(page.next[1].wrapping_add(j * dim + at), W * V::LANES);
            let mut wide = [V::splat(0.0); W];
            for i in 0..W {
                wide[i] = V::widen(values.as_ptr().add(i * V::LANES));
            }
            for q in 0..Q {
                let weight = V::splat(*weights[q].get_unchecked(j));
                for i in 0..W {
                    sums[q][i] = weight.multiply_add(wide[i], sums[q][i]);
                }
            }
        }
        for q in 0..Q {
            let state = &mut states[q][2 + at..][..W * V::LANES];
            for i in 0..W {
                sums[q][i].store(state.as_mut_ptr().add(i * V::LANES));
            }
        }
    }
}
