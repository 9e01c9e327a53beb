//! One query against a page in plain Rust: the specification, and what processors without a form of their own run.

use super::page::{Page, Picked, Queries, Seen, pick};
use crate::cpu::element::Element;
use crate::cpu::math::{exp, max_lanes, sum_lanes};
use crate::device::{CacheType, PAGE};

/// As [`super::page::attend_page`], two queries at a time.
pub(super) fn fold_all<T: Element>(queries: &Queries<'_>, page: Page<'_, T>, states: &mut [&mut [f32]]) {
    let (pairs, rest) = states.as_chunks_mut::<2>();
    for (i, states) in pairs.iter_mut().enumerate() {
        if let Some(picked) = pick(queries, page.dim(), 2 * i) {
            fold(&picked, page, states);
        }
    }
    for state in rest.as_chunks_mut::<1>().0 {
        if let Some(picked) = pick(queries, page.dim(), 2 * pairs.len()) {
            fold(&picked, page, state);
        }
    }
}

/// Folds what is seen of a page into each query's state (maximum, sum, weighted values).
fn fold<T: Element, const Q: usize>(picked: &Picked<'_, Q>, page: Page<'_, T>, states: &mut [&mut [f32]; Q]) {
    let dim = page.dim();
    let mut weights = [[0.0f32; PAGE]; Q];
    for (d, keys) in page.keys.as_chunks::<PAGE>().0.iter().enumerate() {
        let mut keys = keys.map(T::widen);
        if T::SCALED {
            for (key, scale) in keys.iter_mut().zip(page.key_scales(d / CacheType::GROUP)) {
                *key *= scale.to_f32();
            }
        }
        for q in 0..Q {
            for j in 0..PAGE {
                weights[q][j] += picked.values[q][d] * keys[j];
            }
        }
    }
    picked.bend::<false>(&mut weights);
    let shrink = soften(&mut weights, picked.seen, states);
    for q in 0..Q {
        let mixed = &mut states[q][2..];
        mixed.iter_mut().for_each(|sum| *sum *= shrink[q]);
        for (j, values) in page.values.chunks_exact(dim).enumerate().take(picked.seen[q].end) {
            for (g, values) in values.chunks(CacheType::GROUP).enumerate() {
                let mut weight = weights[q][j];
                if T::SCALED {
                    weight *= page.value_scales(g)[j].to_f32();
                }
                for (sum, &value) in mixed[g * CacheType::GROUP..].iter_mut().zip(values) {
                    *sum += weight * value.widen();
                }
            }
        }
    }
}

/// Turns a page's scores into weights under the running maximum, and keeps maximum and sum in the states. Returns
/// by how much earlier results shrink.
fn soften<const Q: usize>(
    scores: &mut [[f32; PAGE]; Q],
    seen: [Seen; Q],
    states: &mut [&mut [f32]; Q],
) -> [f32; Q] {
    let mut shrink = [1.0; Q];
    for q in 0..Q {
        let (scores, state) = (&mut scores[q], &mut states[q]);
        let Seen { first, end } = seen[q];
        if end == 0 {
            *scores = [0.0; PAGE];
            continue;
        }
        scores[..first].fill(f32::NEG_INFINITY);
        scores[end..].fill(f32::NEG_INFINITY);
        let highest = max_lanes(*scores).max(state[0]);
        for score in scores.iter_mut() {
            *score = exp::<false>(*score - highest);
        }
        scores[..first].fill(0.0);
        scores[end..].fill(0.0);
        shrink[q] = if state[0] == highest { 1.0 } else { exp::<false>(state[0] - highest) };
        state[0] = highest;
        state[1] = state[1] * shrink[q] + sum_lanes(*scores);
    }
    shrink
}
