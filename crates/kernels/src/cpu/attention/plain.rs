//! One query against a page in plain Rust: the specification, and what processors without a form of their own run.

use super::{Page, soften};
use crate::cpu::element::Element;
use crate::device::PAGE;

/// Folds the first `seen` positions of a page into each query's state (maximum, sum, weighted values).
pub(super) fn fold<T: Element, const Q: usize>(
    queries: [&[f32]; Q],
    page: Page<'_, T>,
    seen: [usize; Q],
    states: &mut [&mut [f32]; Q],
) {
    let dim = queries.first().map_or(0, |query| query.len());
    let mut weights = [[0.0f32; PAGE]; Q];
    for (d, keys) in page.keys.as_chunks::<PAGE>().0.iter().enumerate() {
        let keys = keys.map(T::widen);
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
        for (values, weight) in page.values.chunks_exact(dim).zip(weights[q]).take(seen[q]) {
            for (sum, &value) in mixed.iter_mut().zip(values) {
                *sum += weight * value.widen();
            }
        }
    }
}
