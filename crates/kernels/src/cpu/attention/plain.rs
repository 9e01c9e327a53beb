//! One query against a page in plain Rust: the specification, and what processors without a form of their own run.

use super::page::{Page, pick, soften};
use crate::cpu::element::Element;
use crate::device::{CacheType, PAGE};

/// As [`super::page::attend_page`], two queries at a time.
pub(super) fn fold_all<T: Element>(
    queries: &[f32],
    page: Page<'_, T>,
    seen: &dyn Fn(usize) -> usize,
    states: &mut [&mut [f32]],
) {
    let (pairs, rest) = states.as_chunks_mut::<2>();
    for (i, states) in pairs.iter_mut().enumerate() {
        if let Some((queries, seen)) = pick(queries, page.dim(), 2 * i, seen) {
            fold(queries, page, seen, states);
        }
    }
    for state in rest.as_chunks_mut::<1>().0 {
        if let Some((queries, seen)) = pick(queries, page.dim(), 2 * pairs.len(), seen) {
            fold(queries, page, seen, state);
        }
    }
}

/// Folds the first `seen` positions of a page into each query's state (maximum, sum, weighted values).
fn fold<T: Element, const Q: usize>(
    queries: [&[f32]; Q],
    page: Page<'_, T>,
    seen: [usize; Q],
    states: &mut [&mut [f32]; Q],
) {
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
                weights[q][j] += queries[q][d] * keys[j];
            }
        }
    }
    let shrink = soften::<false, Q>(&mut weights, seen, states);
    for q in 0..Q {
        let mixed = &mut states[q][2..];
        mixed.iter_mut().for_each(|sum| *sum *= shrink[q]);
        for (j, values) in page.values.chunks_exact(dim).enumerate().take(seen[q]) {
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
