//! Causal attention over a paged cache, one pass over keys and values with a running softmax.
//! Dao et al. 2022; split over the context as in flash decoding when there are few rows.
//!
//! A page holds 32 positions of one head: keys as (head_dim, 32), so that one query against a page is
//! 32 independent sums and needs no horizontal ones; values as (32, head_dim). Queries of the head's group and of
//! a block of rows go over a page together, so that a load of it serves several.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod plain;

use super::cache::{Cache, Store, groups};
use super::disjoint::Disjoint;
use super::element::Element;
use super::isa::Isa;
use super::math::{self, exp};
use super::pool::Pool;
use crate::device::{CacheType, Heads, PAGE, Span};
use half::f16;

/// Rows of a span that go over the keys and values together.
const ROW_BLOCK: usize = 16;
/// Queries that share a load of keys and values. With four registers of sums each, two keep the multipliers busy,
/// and three would spill.
const TOGETHER: usize = 2;
/// Pages below which a context is not worth splitting.
const MIN_PAGES_A_SPLIT: usize = 4;

/// One part of the work: the queries of `rows` rows for one key–value head over `pages`.
struct Task {
    span: usize,
    kv_head: usize,
    /// Rows within the span.
    rows: std::ops::Range<usize>,
    /// Pages within the span's sequence.
    pages: std::ops::Range<usize>,
    split: usize,
}

/// Attends for every row of every span; `out` is (rows, heads · head_dim).
pub(crate) fn attend(
    isa: Isa,
    pool: &Pool,
    qkv: &[f32],
    cache: &Cache,
    layer: usize,
    heads: Heads,
    spans: &[Span<'_>],
    out: &mut [f32],
) {
    let total_rows: usize = spans.iter().map(|s| s.rows).sum();
    let (tasks, splits) = plan(spans, heads, pool.threads());

    // A partial result is the running maximum, the sum of weights, and the weighted values.
    let partial = heads.head_dim + 2;
    let mut partials = vec![0.0f32; total_rows * heads.heads * splits * partial];
    let starts: Vec<usize> = spans
        .iter()
        .scan(0, |next, span| {
            let start = *next;
            *next += span.rows;
            Some(start)
        })
        .collect();
    {
        let partials = Disjoint::new(&mut partials);
        pool.run(tasks.len(), &|i| {
            let task = &tasks[i];
            run_task(isa, task, qkv, cache, layer, heads, &spans[task.span], &|row, head| {
                let at = ((starts[task.span] + row) * heads.heads + head) * splits + task.split;
                // SAFETY: (row, head, split) belongs to this task alone.
                unsafe { partials.part(at * partial..(at + 1) * partial) }
            });
        });
    }

    for (span, start) in spans.iter().zip(starts) {
        for row in 0..span.rows {
            let from = (start + row) * heads.heads * splits * partial;
            let to = (span.first_row + row) * heads.heads * heads.head_dim;
            merge(
                &partials[from..from + heads.heads * splits * partial],
                splits,
                heads.head_dim,
                &mut out[to..to + heads.heads * heads.head_dim],
            );
        }
    }
}

/// Cuts the work so that every thread has some: by key–value head and block of rows, and by context
/// where that is too little. Returns the tasks and the largest number of splits.
fn plan(spans: &[Span<'_>], heads: Heads, threads: usize) -> (Vec<Task>, usize) {
    let blocks: usize = spans.iter().map(|s| s.rows.div_ceil(ROW_BLOCK) * heads.kv_heads).sum();
    let most_pages = spans.iter().map(|s| (s.position + s.rows).div_ceil(PAGE)).max().unwrap_or(1);
    let splits = match threads {
        1 => 1,
        _ => (4 * threads).div_ceil(blocks.max(1)).clamp(1, most_pages.div_ceil(MIN_PAGES_A_SPLIT).max(1)),
    };
    let mut tasks = Vec::with_capacity(blocks * splits);
    for (index, span) in spans.iter().enumerate() {
        for first in (0..span.rows).step_by(ROW_BLOCK) {
            let rows = first..(first + ROW_BLOCK).min(span.rows);
            let pages = (span.position + rows.end).div_ceil(PAGE);
            for split in 0..splits {
                let pages = pages * split / splits..pages * (split + 1) / splits;
                for kv_head in 0..heads.kv_heads {
                    tasks.push(Task {
                        span: index,
                        kv_head,
                        rows: rows.clone(),
                        pages: pages.clone(),
                        split,
                    });
                }
            }
        }
    }
    (tasks, splits)
}

fn run_task<'p>(
    isa: Isa,
    task: &Task,
    qkv: &[f32],
    cache: &Cache,
    layer: usize,
    heads: Heads,
    span: &Span<'_>,
    partial: &dyn Fn(usize, usize) -> &'p mut [f32],
) {
    let (group, dim) = (heads.heads / heads.kv_heads, heads.head_dim);
    let columns = heads.qkv_columns();
    let scale = 1.0 / (dim as f32).sqrt();

    // Queries of the block, scaled, and their running results: (rows, group) of each.
    let queries: Vec<f32> = task
        .rows
        .clone()
        .flat_map(|row| {
            let start = (span.first_row + row) * columns + task.kv_head * group * dim;
            qkv[start..start + group * dim].iter().map(|q| q * scale)
        })
        .collect();
    let mut states: Vec<&mut [f32]> = task
        .rows
        .clone()
        .flat_map(|row| (0..group).map(move |g| (row, task.kv_head * group + g)))
        .map(|(row, head)| partial(row, head))
        .collect();
    for state in &mut states {
        state[0] = f32::NEG_INFINITY;
    }

    // Bytes are widened a page at a time; floats as they are loaded.
    let mut wide = (Vec::new(), Vec::new());
    for page in task.pages.clone() {
        if page + 1 < task.pages.end {
            cache.prefetch(layer, span.pages[page + 1] as usize, task.kv_head);
        }
        // How many of the page's positions each query sees.
        let seen = |query: usize| {
            let position = span.position + task.rows.start + query / group;
            (position + 1).saturating_sub(page * PAGE).min(PAGE)
        };
        let number = cache.page(layer, span.pages[page] as usize, task.kv_head);
        let floats = number * dim * PAGE..(number + 1) * dim * PAGE;
        match (&cache.keys, &cache.values) {
            (Store::F16(keys), Store::F16(values)) => {
                let page = Page { keys: &keys[floats.clone()], values: &values[floats] };
                attend_page(isa, &queries, page, &seen, &mut states);
            }
            (Store::F32(keys), Store::F32(values)) => {
                let page = Page { keys: &keys[floats.clone()], values: &values[floats] };
                attend_page(isa, &queries, page, &seen, &mut states);
            }
            (
                Store::Q8_0 { quants: keys, scales: key_scales },
                Store::Q8_0 { quants: values, scales: value_scales },
            ) => {
                let scales = number * groups(dim) * PAGE..(number + 1) * groups(dim) * PAGE;
                widen(isa, &keys[floats.clone()], &key_scales[scales.clone()], true, &mut wide.0);
                widen(isa, &values[floats], &value_scales[scales], false, &mut wide.1);
                let page = Page { keys: &wide.0[..], values: &wide.1[..] };
                attend_page(isa, &queries, page, &seen, &mut states);
            }
            _ => unreachable!("keys and values are of one type"),
        }
    }
}

/// Writes the values of a page of bytes; `keys` says that it is (head_dim, [`PAGE`]), else ([`PAGE`], head_dim).
fn widen(isa: Isa, quants: &[i8], scales: &[f16], keys: bool, out: &mut Vec<f32>) {
    out.resize(quants.len(), 0.0);
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 => unsafe { widen_avx2(quants, scales, keys, out) },
        Isa::Baseline => widen_plain(quants, scales, keys, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn widen_avx2(quants: &[i8], scales: &[f16], keys: bool, out: &mut [f32]) {
    widen_plain(quants, scales, keys, out);
}

#[inline(always)]
fn widen_plain(quants: &[i8], scales: &[f16], keys: bool, out: &mut [f32]) {
    let dim = quants.len() / PAGE;
    // Scales lie (groups, positions) on both sides.
    for (g, scales) in scales.as_chunks::<PAGE>().0.iter().enumerate() {
        let scales = scales.map(f16::to_f32);
        let components = g * CacheType::GROUP..dim.min((g + 1) * CacheType::GROUP);
        if keys {
            let (quants, out) = (quants.as_chunks::<PAGE>().0, out.as_chunks_mut::<PAGE>().0);
            for d in components {
                for j in 0..PAGE {
                    out[d][j] = scales[j] * f32::from(quants[d][j]);
                }
            }
        } else {
            let rows = quants.chunks_exact(dim).zip(out.chunks_exact_mut(dim));
            for ((quants, out), scale) in rows.zip(scales) {
                for (out, &quant) in out[components.clone()].iter_mut().zip(&quants[components.clone()]) {
                    *out = scale * f32::from(quant);
                }
            }
        }
    }
}

/// One page of one head.
#[derive(Clone, Copy)]
struct Page<'a, T> {
    /// (head_dim, [`PAGE`])
    keys: &'a [T],
    /// ([`PAGE`], head_dim)
    values: &'a [T],
}

/// Folds a page into the states of all queries, as many at a time as share a load of it.
fn attend_page<T: Element>(
    isa: Isa,
    queries: &[f32],
    page: Page<'_, T>,
    seen: &dyn Fn(usize) -> usize,
    states: &mut [&mut [f32]],
) {
    let (together, rest) = states.as_chunks_mut::<TOGETHER>();
    for (i, states) in together.iter_mut().enumerate() {
        fold(isa, queries, i * TOGETHER, page, seen, states);
    }
    for (i, state) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
        fold(isa, queries, together.len() * TOGETHER + i, page, seen, state);
    }
}

/// Folds a page into the states of queries `first..first + Q`.
fn fold<T: Element, const Q: usize>(
    isa: Isa,
    queries: &[f32],
    first: usize,
    page: Page<'_, T>,
    seen: &dyn Fn(usize) -> usize,
    states: &mut [&mut [f32]; Q],
) {
    let dim = page.keys.len() / PAGE;
    let seen: [usize; Q] = std::array::from_fn(|q| seen(first + q));
    if seen == [0; Q] {
        return;
    }
    let queries = std::array::from_fn(|q| &queries[(first + q) * dim..(first + q + 1) * dim]);
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 => unsafe { avx2::fold(queries, page, seen, states) },
        Isa::Baseline => plain::fold(queries, page, seen, states),
    }
}

/// Turns a page's scores into weights under the running maximum, and keeps maximum and sum in the states. Returns
/// by how much earlier results shrink.
#[inline(always)]
fn soften<const FMA: bool, const Q: usize>(
    scores: &mut [[f32; PAGE]; Q],
    seen: [usize; Q],
    states: &mut [&mut [f32]; Q],
) -> [f32; Q] {
    let mut shrink = [1.0; Q];
    for q in 0..Q {
        let (scores, state) = (&mut scores[q], &mut states[q]);
        if seen[q] == 0 {
            *scores = [0.0; PAGE];
            continue;
        }
        scores[seen[q]..].fill(f32::NEG_INFINITY);
        let highest = math::max_lanes(*scores).max(state[0]);
        for score in scores.iter_mut() {
            *score = exp::<FMA>(*score - highest);
        }
        scores[seen[q]..].fill(0.0);
        shrink[q] = if state[0] == highest { 1.0 } else { exp::<FMA>(state[0] - highest) };
        state[0] = highest;
        state[1] = state[1] * shrink[q] + math::sum_lanes(*scores);
    }
    shrink
}

/// Joins the splits of each head and divides by the sum of weights.
fn merge(partials: &[f32], splits: usize, dim: usize, out: &mut [f32]) {
    let partial = dim + 2;
    for (parts, out) in partials.chunks_exact(splits * partial).zip(out.chunks_exact_mut(dim)) {
        let highest = parts.chunks_exact(partial).map(|p| p[0]).fold(f32::NEG_INFINITY, f32::max);
        out.fill(0.0);
        let mut sum = 0.0;
        for part in parts.chunks_exact(partial).filter(|p| p[0] != f32::NEG_INFINITY) {
            let weight = (part[0] - highest).exp();
            sum += part[1] * weight;
            for (out, value) in out.iter_mut().zip(&part[2..]) {
                *out += weight * value;
            }
        }
        out.iter_mut().for_each(|x| *x /= sum);
    }
}

#[cfg(test)]
mod tests;
