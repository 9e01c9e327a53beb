//! Causal attention over a paged cache, one pass over keys and values with a running softmax.
//! Dao et al. 2022.
//!
//! A page holds 32 positions of one head: keys as (head_dim, 32), so that one query against a page is
//! 32 independent sums and needs no horizontal ones; values as (32, head_dim). Queries of the head's group and of
//! a block of rows go over a page together, so that a load of it serves several.
//!
//! Few rows with a long context are shared out by context, as in flash decoding.

mod page;
#[cfg(not(target_arch = "aarch64"))]
mod plain;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vector;

use super::cache::{Cache, Store};
use super::disjoint::Disjoint;
use super::isa::Isa;
use super::pool::Pool;
use crate::device::{Attention, Heads, PAGE, Span};
use page::{Bend, Page, Seen, attend_page};
use std::ops::Range;

/// Rows of a span that go over the keys and values together.
const ROW_BLOCK: usize = 16;
/// Pages of a chunk. A query's results are kept apart for each chunk of its context and joined in the end, so that
/// they are the same bit for bit however many rows there are and however the work is shared out.
const CHUNK: usize = 4;

/// One part of the work: the queries of `rows` rows for one key–value head over `chunks`.
struct Task {
    span: usize,
    kv_head: usize,
    /// Rows within the span.
    rows: Range<usize>,
    /// Chunks of the span's context.
    chunks: Range<usize>,
}

/// What is computed on, for all tasks.
struct Work<'a> {
    isa: Isa,
    qkv: &'a [f32],
    cache: &'a Cache,
    layer: usize,
    heads: Heads,
    attention: &'a Attention<'a>,
}

/// Attends for every row of every span; `out` is (rows, heads · head_dim).
pub(crate) fn attend(
    isa: Isa,
    pool: &Pool,
    qkv: &[f32],
    cache: &Cache,
    layer: usize,
    attention: &Attention<'_>,
    spans: &[Span<'_>],
    out: &mut [f32],
) {
    let Attention { heads, window, .. } = *attention;
    let work = Work { isa, qkv, cache, layer, heads, attention };
    let (tasks, splits) = plan(spans, heads, window, pool.threads());
    if splits == 1 {
        let out = Disjoint::new(out);
        pool.run(tasks.len(), &|i| {
            let task = &tasks[i];
            let span = &spans[task.span];
            let results = work.run(task, span);
            let chunks = task.chunks.len() * heads.partial();
            for (query, results) in results.chunks_exact(chunks).enumerate() {
                let at = heads.column(span, task, query);
                // SAFETY: a query of a row belongs to one task.
                join(results, unsafe { out.part(at..at + heads.head_dim) });
            }
        });
        return;
    }

    // Few rows and a long context: each task has some of the chunks, and writes where they are joined from.
    let most_chunks = spans.iter().map(|span| chunks(span, span.rows)).max().unwrap_or(1);
    // A chunk that lies before a row's window is none of its results.
    let unseen = if window.is_some() { f32::NEG_INFINITY } else { 0.0 };
    let mut results = vec![unseen; out.len() / heads.head_dim * most_chunks * heads.partial()];
    let stride = most_chunks * heads.partial();
    {
        let results = Disjoint::new(&mut results);
        pool.run(tasks.len(), &|i| {
            let task = &tasks[i];
            let span = &spans[task.span];
            let length = task.chunks.len() * heads.partial();
            for (query, values) in work.run(task, span).chunks_exact(length).enumerate() {
                let at = heads.column(span, task, query) / heads.head_dim * stride
                    + task.chunks.start * heads.partial();
                // SAFETY: a chunk of a query of a row belongs to one task.
                unsafe { results.part(at..at + length) }.copy_from_slice(values);
            }
        });
    }
    for span in spans {
        for row in 0..span.rows {
            let first = (span.first_row + row) * heads.heads;
            for head in first..first + heads.heads {
                let results = &results[head * stride..][..chunks(span, row + 1) * heads.partial()];
                join(results, &mut out[head * heads.head_dim..][..heads.head_dim]);
            }
        }
    }
}

impl Heads {
    /// Values of a query's result: the running maximum, the sum of weights, and the weighted values.
    fn partial(&self) -> usize {
        self.head_dim + 2
    }

    /// Query heads of a key-value head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Where a task's query is in `out`.
    fn column(&self, span: &Span<'_>, task: &Task, query: usize) -> usize {
        let row = span.first_row + task.rows.start + query / self.group();
        let head = task.kv_head * self.group() + query % self.group();
        (row * self.heads + head) * self.head_dim
    }
}

/// Chunks that the first `rows` rows of a span see.
fn chunks(span: &Span<'_>, rows: usize) -> usize {
    (span.position + rows).div_ceil(CHUNK * PAGE)
}

/// The first chunk that the row at `position` sees any of.
fn first_chunk(position: usize, window: Option<usize>) -> usize {
    first_seen(position, window) / (CHUNK * PAGE)
}

/// The first position that the row at `position` sees.
fn first_seen(position: usize, window: Option<usize>) -> usize {
    window.map_or(0, |window| (position + 1).saturating_sub(window))
}

/// Cuts the work so that every thread has some: by key–value head and block of rows, and by context
/// where that is too little. Returns the tasks and into how many parts contexts are cut.
fn plan(spans: &[Span<'_>], heads: Heads, window: Option<usize>, threads: usize) -> (Vec<Task>, usize) {
    let blocks: usize = spans.iter().map(|s| s.rows.div_ceil(ROW_BLOCK) * heads.kv_heads).sum();
    let seen = |span: &Span<'_>| chunks(span, span.rows) - first_chunk(span.position, window);
    let most_chunks = spans.iter().map(seen).max().unwrap_or(1);
    let splits = match threads {
        1 => 1,
        _ => (4 * threads).div_ceil(blocks.max(1)).clamp(1, most_chunks),
    };
    let mut tasks = Vec::with_capacity(blocks * splits);
    for (index, span) in spans.iter().enumerate() {
        for first in (0..span.rows).step_by(ROW_BLOCK) {
            let rows = first..(first + ROW_BLOCK).min(span.rows);
            let first = first_chunk(span.position + first, window);
            let seen = chunks(span, rows.end) - first;
            for split in 0..splits {
                let chunks = first + seen * split / splits..first + seen * (split + 1) / splits;
                if chunks.is_empty() {
                    continue;
                }
                for kv_head in 0..heads.kv_heads {
                    tasks.push(Task { span: index, kv_head, rows: rows.clone(), chunks: chunks.clone() });
                }
            }
        }
    }
    (tasks, splits)
}

impl Work<'_> {
    /// The results of a task's queries, (rows, group, chunks) of each.
    fn run(&self, task: &Task, span: &Span<'_>) -> Vec<f32> {
        let Heads { head_dim: dim, .. } = self.heads;
        let group = self.heads.group();
        let columns = self.heads.qkv_columns();
        let scale = self.attention.scale;
        let mut queries = Vec::with_capacity(task.rows.len() * group * dim);
        for row in task.rows.clone() {
            let start = (span.first_row + row) * columns + task.kv_head * group * dim;
            queries.extend(self.qkv[start..start + group * dim].iter().map(|q| q * scale));
        }

        let (partial, chunks) = (self.heads.partial(), task.chunks.len());
        let mut results = vec![0.0; task.rows.len() * group * chunks * partial];
        let last_page = (span.position + task.rows.end).div_ceil(PAGE);
        for (i, chunk) in task.chunks.clone().enumerate() {
            let mut states: Vec<&mut [f32]> = results
                .chunks_exact_mut(chunks * partial)
                .map(|query| &mut query[i * partial..(i + 1) * partial])
                .collect();
            states.iter_mut().for_each(|state| state[0] = f32::NEG_INFINITY);
            for page in chunk * CHUNK..((chunk + 1) * CHUNK).min(last_page) {
                let next = (page + 1).min(last_page - 1);
                self.fold(task, span, page, next, &queries, &mut states);
            }
        }
        results
    }

    /// Folds page `page` of a span's sequence, after which comes `next`, into the states of a task's queries.
    fn fold(
        &self,
        task: &Task,
        span: &Span<'_>,
        page: usize,
        next: usize,
        queries: &[f32],
        states: &mut [&mut [f32]],
    ) {
        let (isa, dim, group) = (self.isa, self.heads.head_dim, self.heads.group());
        let Attention { soft_cap, window, slopes, .. } = *self.attention;
        let start = page * PAGE;
        // Which of the page's positions each query sees.
        let seen = |query: usize| {
            let position = span.position + task.rows.start + query / group;
            let end = (position + 1).saturating_sub(start).min(PAGE);
            let first = first_seen(position, window).saturating_sub(start);
            if first >= end { Seen::default() } else { Seen { first, end } }
        };
        // What its scores become before the softmax.
        let bend = |query: usize| {
            let slope = slopes.get(task.kv_head * group + query % group);
            let position = span.position + task.rows.start + query / group;
            Bend { soft_cap, slope: slope.copied(), behind: position as f32 - start as f32 }
        };
        let plain = soft_cap.is_none() && slopes.is_empty();
        let queries = &page::Queries { values: queries, seen: &seen, bend: (!plain).then_some(&bend) };
        let [this, next] =
            [page, next].map(|page| self.cache.page(self.layer, span.pages[page] as usize, task.kv_head));
        match (&self.cache.keys, &self.cache.values) {
            (Store::F16(keys), Store::F16(values)) => {
                attend_page(isa, queries, Page::of(keys, values, [&[]; 2], dim, this, next), states);
            }
            (Store::F32(keys), Store::F32(values)) => {
                attend_page(isa, queries, Page::of(keys, values, [&[]; 2], dim, this, next), states);
            }
            (
                Store::Q8_0 { quants: keys, scales: key_scales },
                Store::Q8_0 { quants: values, scales: value_scales },
            ) => {
                let scales = [&key_scales[..], value_scales];
                attend_page(isa, queries, Page::of(keys, values, scales, dim, this, next), states);
            }
            _ => unreachable!("keys and values are of one type"),
        }
    }
}

/// Joins the results of a query's chunks, and divides by the sum of weights.
fn join(results: &[f32], out: &mut [f32]) {
    let partial = out.len() + 2;
    let highest = results.chunks_exact(partial).map(|p| p[0]).fold(f32::NEG_INFINITY, f32::max);
    out.fill(0.0);
    let mut sum = 0.0;
    for part in results.chunks_exact(partial).filter(|p| p[0] != f32::NEG_INFINITY) {
        let weight = (part[0] - highest).exp();
        sum += part[1] * weight;
        for (out, value) in out.iter_mut().zip(&part[2..]) {
            *out += weight * value;
        }
    }
    out.iter_mut().for_each(|x| *x /= sum);
}

#[cfg(test)]
mod tests;
