//! Causal attention over a paged cache, one pass over keys and values with a running softmax.
//! Dao et al. 2022; split over the context as in flash decoding when there are few rows.
//!
//! A page holds 32 positions of one head: keys as (head_dim, 32), so that one query against a page is
//! 32 independent sums and needs no horizontal ones; values as (32, head_dim). Both are widened to f32
//! once and used by every query of the head's group and of a block of rows.

use super::cache::{Cache, Store};
use super::disjoint::Disjoint;
use super::isa::Isa;
use super::math::{exp, fma};
use super::pool::Pool;
use crate::device::{Heads, PAGE, Span};

/// Rows of a span that share one widening of the keys and values.
const ROW_BLOCK: usize = 16;
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

    let mut keys = vec![0.0; dim * PAGE];
    let mut values = vec![0.0; dim * PAGE];
    for page in task.pages.clone() {
        let at = cache.page_start(layer, span.pages[page] as usize, task.kv_head);
        widen(&cache.keys, at, &mut keys);
        widen(&cache.values, at, &mut values);
        for (i, row) in task.rows.clone().enumerate() {
            let seen = (span.position + row + 1).saturating_sub(page * PAGE).min(PAGE);
            if seen == 0 {
                continue;
            }
            for g in i * group..(i + 1) * group {
                let query = &queries[g * dim..(g + 1) * dim];
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: an `Isa` is only ever one that this processor has.
                    Isa::Avx2 => unsafe { page_avx2(query, &keys, &values, seen, states[g]) },
                    Isa::Baseline => attend_page::<false>(query, &keys, &values, seen, states[g]),
                }
            }
        }
    }
}

fn widen(store: &Store, at: usize, out: &mut [f32]) {
    use half::slice::HalfFloatSliceExt;
    match store {
        Store::F16(halves) => halves[at..at + out.len()].convert_to_f32_slice(out),
        Store::F32(floats) => out.copy_from_slice(&floats[at..at + out.len()]),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn page_avx2(query: &[f32], keys: &[f32], values: &[f32], seen: usize, state: &mut [f32]) {
    attend_page::<true>(query, keys, values, seen, state);
}

/// Folds the first `seen` positions of a page into `state` (maximum, sum, weighted values).
#[inline(always)]
fn attend_page<const FMA: bool>(query: &[f32], keys: &[f32], values: &[f32], seen: usize, state: &mut [f32]) {
    let dim = query.len();
    let mut scores = [0.0f32; PAGE];
    for (&q, keys) in query.iter().zip(keys.as_chunks::<PAGE>().0) {
        for j in 0..PAGE {
            scores[j] = fma::<FMA>(q, keys[j], scores[j]);
        }
    }
    let highest = scores[..seen].iter().copied().fold(state[0], f32::max);
    let shrink = if state[0] == highest { 1.0 } else { exp::<FMA>(state[0] - highest) };
    let mut weights = [0.0f32; PAGE];
    for j in 0..PAGE {
        weights[j] = exp::<FMA>(scores[j] - highest);
    }
    weights[seen..].fill(0.0);

    state[0] = highest;
    state[1] = state[1] * shrink + weights.iter().sum::<f32>();
    let mixed = &mut state[2..];
    let (blocks, rest) = mixed.as_chunks_mut::<16>();
    for (b, block) in blocks.iter_mut().enumerate() {
        let mut sums = block.map(|x| x * shrink);
        for j in 0..seen {
            let value = &values[j * dim + b * 16..][..16];
            for i in 0..16 {
                sums[i] = fma::<FMA>(weights[j], value[i], sums[i]);
            }
        }
        *block = sums;
    }
    let done = dim - rest.len();
    for (i, sum) in rest.iter_mut().enumerate() {
        *sum *= shrink;
        for j in 0..seen {
            *sum = fma::<FMA>(weights[j], values[j * dim + done + i], *sum);
        }
    }
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
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};
    use crate::device::{CacheShape, CacheType};

    /// One query against a whole history of (position, head) keys and values.
    fn reference(query: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
        let scale = 1.0 / (query.len() as f64).sqrt();
        let scores: Vec<f64> = keys
            .iter()
            .map(|k| k.iter().zip(query).map(|(&k, &q)| f64::from(k) * f64::from(q)).sum::<f64>() * scale)
            .collect();
        let highest = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        (0..query.len())
            .map(|i| (weights.iter().zip(values).map(|(w, v)| w * f64::from(v[i])).sum::<f64>() / sum) as f32)
            .collect()
    }

    fn check(heads: Heads, lengths: &[(usize, usize)], dtype: CacheType, tolerance: f32) {
        let mut random = Random::new(heads.head_dim as u64);
        let (dim, columns) = (heads.head_dim, heads.qkv_columns());
        let pages_each = lengths.iter().map(|(a, b)| (a + b).div_ceil(PAGE)).max().unwrap();
        let shape = CacheShape {
            layers: 2,
            kv_heads: heads.kv_heads,
            head_dim: dim,
            pages: pages_each * lengths.len(),
            dtype,
        };
        let mut cache = Cache::new(shape).unwrap();
        // Pages of the sequences interleave, so that an order mistake shows.
        let pages: Vec<Vec<u32>> = (0..lengths.len())
            .map(|s| (0..pages_each).map(|p| (p * lengths.len() + s) as u32).collect())
            .collect();
        let histories: Vec<Vec<f32>> =
            lengths.iter().map(|(old, new)| random.normals((old + new) * columns)).collect();
        for ((history, pages), (old, _)) in histories.iter().zip(&pages).zip(lengths) {
            let span = Span { first_row: 0, rows: *old, position: 0, pages };
            cache.append(1, history, heads, &[span]);
        }
        let mut rows = Vec::new();
        let mut spans = Vec::new();
        for ((history, pages), &(old, new)) in histories.iter().zip(&pages).zip(lengths) {
            spans.push(Span { first_row: rows.len() / columns, rows: new, position: old, pages });
            rows.extend_from_slice(&history[old * columns..]);
        }
        cache.append(1, &rows, heads, &spans);

        let mut want = Vec::new();
        for (history, &(old, new)) in histories.iter().zip(lengths) {
            let at = |p: usize, head: usize| &history[p * columns + head * dim..][..dim];
            for p in old..old + new {
                for head in 0..heads.heads {
                    let kv = head / (heads.heads / heads.kv_heads);
                    let keys: Vec<_> = (0..=p).map(|p| at(p, heads.heads + kv)).collect();
                    let values: Vec<_> = (0..=p).map(|p| at(p, heads.heads + heads.kv_heads + kv)).collect();
                    want.extend(reference(at(p, head), &keys, &values));
                }
            }
        }
        for isa in Isa::available() {
            for threads in [1, 2, 5] {
                let pool = Pool::new(threads);
                let mut out = vec![f32::NAN; want.len()];
                attend(isa, &pool, &rows, &cache, 1, heads, &spans, &mut out);
                assert_close(&out, &want, tolerance);
            }
        }
    }

    #[test]
    fn every_path_is_the_reference() {
        for (heads, kv_heads, head_dim) in [(1, 1, 1), (9, 3, 64), (4, 4, 48), (6, 2, 17), (2, 1, 128)] {
            let heads = Heads { heads, kv_heads, head_dim };
            for lengths in [
                vec![(0, 1)],
                vec![(31, 1)],
                vec![(32, 1), (0, 33)],
                vec![(300, 1), (5, 1), (64, 40)],
                vec![(600, 1)],
            ] {
                check(heads, &lengths, CacheType::F32, 2e-6);
                check(heads, &lengths, CacheType::F16, 4e-3);
            }
        }
    }
}
