//! Causal attention within documents, forward and backward, a tile of scores at a time. Dao 2023.
//!
//! A task takes a head of a document (backward: a key–value head, whose gradients its queries share) and copies its rows
//! together, filled up with zeros to whole blocks, so that no tile has an edge. Products below the diagonal only are
//! computed. Bound by multiply-adds.

use super::pack;
use super::product::{BASELINE, LINE, aligned, sizes, tile};
use super::softmax::{LANES, exponentials, largest};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::math::{dot, exp};
use crate::cpu::pool::Pool;
use crate::cpu::vector::{Baseline, Vector};
use crate::device::Heads;
use std::cell::RefCell;
use std::ops::Range;

/// Queries of a block, and keys of one in the backward; a multiple of every tile's sides.
const BLOCK: usize = 96;
/// Keys whose scores are kept at a time in the forward.
const SPAN: usize = 4 * BLOCK;

thread_local! {
    /// A task's copies and sums.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Values that a thread's copies and sums take at most, for documents of up to `longest` rows.
pub(super) fn room(isa: Isa, heads: Heads, longest: usize) -> usize {
    let (_, panel) = sizes(isa);
    let (long, deep) = padded(longest.min(u32::MAX as usize), heads.head_dim, panel);
    let backward: usize = backward_room(long, deep).iter().sum();
    backward.max(forward_room(long, deep).iter().sum()) + LINE
}

/// Rows and columns of a task's copies: whole blocks, and whole panels.
fn padded(rows: usize, dim: usize, panel: usize) -> (usize, usize) {
    (rows.next_multiple_of(BLOCK), dim.next_multiple_of(panel))
}

/// Lengths of the forward's copies and sums.
fn forward_room(long: usize, deep: usize) -> [usize; 6] {
    let n = long * deep;
    [n, n, n, n, BLOCK * deep, BLOCK * SPAN]
}

/// Lengths of the backward's.
fn backward_room(long: usize, deep: usize) -> [usize; 12] {
    let (n, square) = (long * deep, BLOCK * BLOCK);
    [n, n, n, n, n, n, n, n, n, square, square, 2 * long]
}

/// Rows of activations whose columns are those of heads.
struct Task<'a> {
    isa: Isa,
    qkv: &'a [f32],
    heads: Heads,
    /// The document's rows.
    rows: Range<usize>,
    /// The query head, or the key–value head in the backward.
    head: usize,
}

/// Holds documents against the rows: one after another, and all of them. What no two tasks write to the same row rests on.
///
/// # Panics
/// If they are not.
pub(super) fn check(documents: &[Range<usize>], rows: usize) {
    let end = documents.iter().fold(0, |end, document| {
        assert!(document.start == end && document.start <= document.end, "documents that are not in a row");
        document.end
    });
    assert_eq!(end, rows, "documents of other rows");
}

/// Sets `out`, (rows, heads · head_dim), and `log_sums`, (rows, heads). `documents` are as [`check`] wants them.
pub(super) fn attend(
    isa: Isa,
    pool: &Pool,
    qkv: &[f32],
    documents: &[Range<usize>],
    heads: Heads,
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let (out, log_sums) = (Disjoint::new(out), Disjoint::new(log_sums));
    pool.run(documents.len() * heads.heads, &|i| {
        let (rows, head) = (documents[i / heads.heads].clone(), i % heads.heads);
        let task = Task { isa, qkv, heads, rows, head };
        ROOM.with_borrow_mut(|room| match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` is only ever one that this processor has; each task has a head of a document.
            Isa::Avx2 | Isa::AvxVnni => unsafe { avx2::forward(&task, room, &out, &log_sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            Isa::Avx512Vnni => unsafe { avx512::forward(&task, room, &out, &log_sums) },
            // SAFETY: every processor has these registers; likewise.
            _ => unsafe {
                forward::<Baseline, { BASELINE.0 }, { BASELINE.1 }, { Isa::BASELINE_FMA }>(
                    &task, room, &out, &log_sums,
                );
            },
        });
    });
}

/// What the backward has from the forward, and the gradient of its output.
pub(super) struct Kept<'a> {
    pub(super) d_out: &'a [f32],
    pub(super) out: &'a [f32],
    pub(super) log_sums: &'a [f32],
}

/// Sets `d_qkv`, of the shape of `qkv`. `documents` are as [`check`] wants them.
pub(super) fn attend_backward(
    isa: Isa,
    pool: &Pool,
    qkv: &[f32],
    kept: &Kept<'_>,
    documents: &[Range<usize>],
    heads: Heads,
    d_qkv: &mut [f32],
) {
    let d_qkv = Disjoint::new(d_qkv);
    pool.run(documents.len() * heads.kv_heads, &|i| {
        let (rows, head) = (documents[i / heads.kv_heads].clone(), i % heads.kv_heads);
        let task = Task { isa, qkv, heads, rows, head };
        ROOM.with_borrow_mut(|room| match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `attend`.
            Isa::Avx2 | Isa::AvxVnni => unsafe { avx2::backward(&task, kept, room, &d_qkv) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            Isa::Avx512Vnni => unsafe { avx512::backward(&task, kept, room, &d_qkv) },
            // SAFETY: likewise.
            _ => unsafe {
                backward::<Baseline, { BASELINE.0 }, { BASELINE.1 }, { Isa::BASELINE_FMA }>(
                    &task, kept, room, &d_qkv,
                );
            },
        });
    });
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Disjoint, Kept, Task};
    use std::arch::x86_64::__m256;

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn forward(
        task: &Task<'_>,
        room: &mut Vec<f32>,
        out: &Disjoint<'_, f32>,
        log_sums: &Disjoint<'_, f32>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { super::forward::<__m256, 6, 2, true>(task, room, out, log_sums) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn backward(
        task: &Task<'_>,
        kept: &Kept<'_>,
        room: &mut Vec<f32>,
        d_qkv: &Disjoint<'_, f32>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { super::backward::<__m256, 6, 2, true>(task, kept, room, d_qkv) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Disjoint, Kept, Task};
    use std::arch::x86_64::__m512;

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn forward(
        task: &Task<'_>,
        room: &mut Vec<f32>,
        out: &Disjoint<'_, f32>,
        log_sums: &Disjoint<'_, f32>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { super::forward::<__m512, 12, 2, true>(task, room, out, log_sums) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn backward(
        task: &Task<'_>,
        kept: &Kept<'_>,
        room: &mut Vec<f32>,
        d_qkv: &Disjoint<'_, f32>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { super::backward::<__m512, 12, 2, true>(task, kept, room, d_qkv) }
    }
}

/// # Safety
/// `V` is of an instruction set that the processor has; no other task uses this head of these rows.
#[inline(always)]
unsafe fn forward<V: Vector, const MR: usize, const NV: usize, const FMA: bool>(
    task: &Task<'_>,
    room: &mut Vec<f32>,
    out: &Disjoint<'_, f32>,
    log_sums: &Disjoint<'_, f32>,
) {
    let (heads, rows) = (task.heads, task.rows.len());
    let wide = NV * V::LANES;
    let (dim, kv_head) = (heads.head_dim, task.head * heads.kv_heads / heads.heads);
    let (long, deep) = task.padded();
    let [q, k, v, turned, sums, scores] = carve(room, forward_room(long, deep));
    task.copy(task.qkv, heads.qkv_columns(), task.head, 1.0 / (dim as f32).sqrt(), q);
    task.copy(task.qkv, heads.qkv_columns(), heads.heads + kv_head, 1.0, k);
    task.copy(task.qkv, heads.qkv_columns(), heads.heads + heads.kv_heads + kv_head, 1.0, v);
    turn(task.isa, k, deep, wide, turned);

    for q0 in (0..rows).step_by(BLOCK) {
        let height = BLOCK.min(rows - q0);
        let groups = height.div_ceil(MR);
        let (mut most, mut total) = ([f32::NEG_INFINITY; BLOCK], [0.0f32; BLOCK]);
        sums.fill(0.0);
        for k0 in (0..q0 + height).step_by(SPAN) {
            let k1 = (k0 + SPAN).min(q0 + height);
            for column in (k0..k1).step_by(wide) {
                let keys = &turned[column * deep..(column + wide) * deep];
                for group in (0..groups).filter(|g| column < q0 + (g + 1) * MR) {
                    let at = &mut scores[group * MR * SPAN + column - k0..];
                    // SAFETY: the rows of a group and a panel of keys, both `deep`; the group's rows of scores.
                    unsafe {
                        let q = q.as_ptr().add((q0 + group * MR) * deep);
                        let sums = tile::<V, MR, NV>(deep, q, deep, 1, keys.as_ptr(), wide);
                        put::<V, MR, NV, false>(sums, at.as_mut_ptr(), SPAN);
                    }
                }
            }
            for i in 0..groups * MR {
                let row = &mut scores[i * SPAN..(i + 1) * SPAN];
                let seen = (q0 + i + 1).min(k1) - k0;
                let whole = seen.next_multiple_of(LANES);
                // What is not seen weighs nothing, and costs less than the rest of a whole number of lanes.
                row[seen..whole].fill(f32::NEG_INFINITY);
                let shift = largest(&row[..whole], most[i]);
                let shrink = exp::<FMA>(most[i] - shift);
                most[i] = shift;
                total[i] = total[i] * shrink + exponentials::<FMA>(&mut row[..whole], shift);
                let filled = whole.max(seen + MR).min(SPAN);
                row[seen..filled].fill(0.0);
                if k0 > 0 {
                    sums[i * deep..(i + 1) * deep].iter_mut().for_each(|x| *x *= shrink);
                }
            }
            for group in 0..groups {
                let depth = (q0 + (group + 1) * MR - k0).min(SPAN);
                for column in (0..deep).step_by(wide) {
                    // SAFETY: the group's scores and the values from key `k0` on are `depth` long; its rows of sums.
                    unsafe {
                        let p = scores.as_ptr().add(group * MR * SPAN);
                        let v = v.as_ptr().add(k0 * deep + column);
                        let products = tile::<V, MR, NV>(depth, p, SPAN, 1, v, deep);
                        put::<V, MR, NV, true>(
                            products,
                            sums.as_mut_ptr().add(group * MR * deep + column),
                            deep,
                        );
                    }
                }
            }
        }
        for i in 0..height {
            let row = task.rows.start + q0 + i;
            let at = (row * heads.heads + task.head) * dim;
            // SAFETY: the task's own head and rows.
            let (out, log_sum) = unsafe {
                let log_sum = row * heads.heads + task.head;
                (out.part(at..at + dim), log_sums.part(log_sum..log_sum + 1))
            };
            for (out, sum) in out.iter_mut().zip(&sums[i * deep..]) {
                *out = sum / total[i];
            }
            log_sum[0] = most[i] + total[i].ln();
        }
    }
}

/// # Safety
/// As [`forward`], of this key–value head and its queries.
#[inline(always)]
unsafe fn backward<V: Vector, const MR: usize, const NV: usize, const FMA: bool>(
    task: &Task<'_>,
    kept: &Kept<'_>,
    room: &mut Vec<f32>,
    d_qkv: &Disjoint<'_, f32>,
) {
    let (heads, rows) = (task.heads, task.rows.len());
    let wide = NV * V::LANES;
    let (columns, dim) = (heads.qkv_columns(), heads.head_dim);
    let scale = 1.0 / (dim as f32).sqrt();
    let (long, deep) = task.padded();
    let [q, k, v, turned_k, turned_v, d_out, d_q, d_k, d_v, p, d_s, facts] =
        carve(room, backward_room(long, deep));
    let (log_sums, inner) = facts.split_at_mut(long);
    let (key_head, value_head) = (heads.heads + task.head, heads.heads + heads.kv_heads + task.head);
    task.copy(task.qkv, columns, key_head, 1.0, k);
    task.copy(task.qkv, columns, value_head, 1.0, v);
    turn(task.isa, k, deep, wide, turned_k);
    turn(task.isa, v, deep, wide, turned_v);
    d_k.fill(0.0);
    d_v.fill(0.0);

    let shared = heads.heads / heads.kv_heads;
    for head in task.head * shared..(task.head + 1) * shared {
        task.copy(task.qkv, columns, head, scale, q);
        task.copy(kept.d_out, heads.heads * dim, head, 1.0, d_out);
        d_q.fill(0.0);
        log_sums.fill(0.0);
        inner.fill(0.0);
        for i in 0..rows {
            let row = (task.rows.start + i) * heads.heads + head;
            log_sums[i] = kept.log_sums[row];
            let at = row * dim..(row + 1) * dim;
            inner[i] = dot::<FMA>(&kept.out[at.clone()], &kept.d_out[at]);
        }
        for k0 in (0..rows).step_by(BLOCK) {
            for q0 in (k0..rows).step_by(BLOCK) {
                let groups = BLOCK.min(rows - q0).div_ceil(MR);
                let block = Block { q0, k0, groups, keys: BLOCK.min(rows - k0), deep };
                // SAFETY: all copies are whole blocks of rows of length `deep`, the squares one block.
                unsafe {
                    block.scores::<V, MR, NV>(q, turned_k, p);
                    block.scores::<V, MR, NV>(d_out, turned_v, d_s);
                    block.weigh::<MR, FMA>(p, d_s, log_sums, inner);
                    block.add_to_keys::<V, MR, NV>(p, d_out, d_v);
                    block.add_to_keys::<V, MR, NV>(d_s, q, d_k);
                    block.add_to_queries::<V, MR, NV>(d_s, k, d_q);
                }
            }
        }
        // SAFETY: the task's own heads and rows.
        unsafe { task.copy_back(d_q, deep, scale, head, d_qkv) };
    }
    // SAFETY: likewise.
    unsafe {
        task.copy_back(d_k, deep, 1.0, key_head, d_qkv);
        task.copy_back(d_v, deep, 1.0, value_head, d_qkv);
    }
}

/// A block of queries against one of keys, in the backward.
struct Block {
    /// The first query and the first key, by their rows in the document.
    q0: usize,
    k0: usize,
    /// Groups of `MR` queries.
    groups: usize,
    keys: usize,
    /// Columns of copied rows.
    deep: usize,
}

impl Block {
    /// `square = rows · keysᵀ`, for tiles in which a query sees a key.
    ///
    /// # Safety
    /// `rows`, and the panels of `keys`, are (document, `deep`) in whole blocks, `square` is (BLOCK, BLOCK); as [`tile`].
    #[inline(always)]
    unsafe fn scores<V: Vector, const MR: usize, const NV: usize>(
        &self,
        rows: &[f32],
        keys: &[f32],
        square: &mut [f32],
    ) {
        let (deep, wide) = (self.deep, NV * V::LANES);
        for column in (0..self.keys).step_by(wide) {
            let sees = |g: &usize| self.k0 + column < self.q0 + (g + 1) * MR;
            for group in (0..self.groups).filter(sees) {
                // SAFETY: the rows of a group and a panel of keys, both `deep`; a tile of the square.
                unsafe {
                    let rows = rows.as_ptr().add((self.q0 + group * MR) * deep);
                    let keys = keys.as_ptr().add((self.k0 + column) * deep);
                    let sums = tile::<V, MR, NV>(deep, rows, deep, 1, keys, wide);
                    let to = square.as_mut_ptr().add(group * MR * BLOCK + column);
                    put::<V, MR, NV, false>(sums, to, BLOCK);
                }
            }
        }
    }

    /// Scores `p` become probabilities, and `d_s`, their gradients, those of the scores; nothing where a query sees no key.
    #[inline(always)]
    fn weigh<const MR: usize, const FMA: bool>(
        &self,
        p: &mut [f32],
        d_s: &mut [f32],
        log_sums: &[f32],
        inner: &[f32],
    ) {
        for i in 0..self.groups * MR {
            let query = self.q0 + i;
            let seen = (query + 1 - self.k0).min(BLOCK);
            let whole = seen.next_multiple_of(LANES);
            let (p, d_s) = (&mut p[i * BLOCK..(i + 1) * BLOCK], &mut d_s[i * BLOCK..(i + 1) * BLOCK]);
            weigh::<FMA>(&mut p[..whole], &mut d_s[..whole], log_sums[query], inner[query]);
            p[seen..].fill(0.0);
            d_s[seen..].fill(0.0);
        }
    }

    /// `sums[keys] += squareᵀ · rows[queries]`.
    ///
    /// # Safety
    /// `rows` and `sums` are (document, `deep`) in whole blocks, `square` is (BLOCK, BLOCK); as [`tile`].
    #[inline(always)]
    unsafe fn add_to_keys<V: Vector, const MR: usize, const NV: usize>(
        &self,
        square: &[f32],
        rows: &[f32],
        sums: &mut [f32],
    ) {
        let deep = self.deep;
        for group in 0..self.keys.div_ceil(MR) {
            // Queries before the keys do not see them.
            let first = if self.q0 == self.k0 { group * MR } else { 0 };
            let depth = (self.groups * MR).saturating_sub(first);
            for column in (0..deep).step_by(NV * V::LANES).filter(|_| depth > 0) {
                // SAFETY: columns of the square from row `first` on, and as many rows of the others.
                unsafe {
                    let square = square.as_ptr().add(first * BLOCK + group * MR);
                    let rows = rows.as_ptr().add((self.q0 + first) * deep + column);
                    let products = tile::<V, MR, NV>(depth, square, 1, BLOCK, rows, deep);
                    let to = sums.as_mut_ptr().add((self.k0 + group * MR) * deep + column);
                    put::<V, MR, NV, true>(products, to, deep);
                }
            }
        }
    }

    /// `sums[queries] += square · rows[keys]`.
    ///
    /// # Safety
    /// As [`Block::add_to_keys`].
    #[inline(always)]
    unsafe fn add_to_queries<V: Vector, const MR: usize, const NV: usize>(
        &self,
        square: &[f32],
        rows: &[f32],
        sums: &mut [f32],
    ) {
        let deep = self.deep;
        for group in 0..self.groups {
            let depth = (self.q0 + (group + 1) * MR - self.k0).min(BLOCK);
            for column in (0..deep).step_by(NV * V::LANES) {
                // SAFETY: the group's rows of the square and as many keys; the group's rows of queries.
                unsafe {
                    let square = square.as_ptr().add(group * MR * BLOCK);
                    let rows = rows.as_ptr().add(self.k0 * deep + column);
                    let products = tile::<V, MR, NV>(depth, square, BLOCK, 1, rows, deep);
                    let to = sums.as_mut_ptr().add((self.q0 + group * MR) * deep + column);
                    put::<V, MR, NV, true>(products, to, deep);
                }
            }
        }
    }
}

impl Task<'_> {
    /// Rows and columns of a copied head: whole blocks, whole panels.
    fn padded(&self) -> (usize, usize) {
        padded(self.rows.len(), self.heads.head_dim, sizes(self.isa).1)
    }

    /// Head number `head` of the document's rows, times `scale`, with zeros where it is filled up.
    #[inline(always)]
    fn copy(&self, from: &[f32], columns: usize, head: usize, scale: f32, to: &mut [f32]) {
        let (dim, (_, deep)) = (self.heads.head_dim, self.padded());
        to.fill(0.0);
        for (row, to) in self.rows.clone().zip(to.chunks_exact_mut(deep)) {
            let at = row * columns + head * dim;
            for (to, from) in to.iter_mut().zip(&from[at..at + dim]) {
                *to = from * scale;
            }
        }
    }

    /// # Safety
    /// No other task uses this head of these rows.
    #[inline(always)]
    unsafe fn copy_back(&self, from: &[f32], deep: usize, scale: f32, head: usize, to: &Disjoint<'_, f32>) {
        let (columns, dim) = (self.heads.qkv_columns(), self.heads.head_dim);
        for (row, from) in self.rows.clone().zip(from.chunks_exact(deep)) {
            let at = row * columns + head * dim;
            // SAFETY: the caller's promise.
            for (to, from) in unsafe { to.part(at..at + dim) }.iter_mut().zip(from) {
                *to = from * scale;
            }
        }
    }
}

/// Cuts a thread's room into slices of these lengths.
fn carve<const N: usize>(room: &mut Vec<f32>, lengths: [usize; N]) -> [&mut [f32]; N] {
    let mut rest = aligned(room, lengths.iter().sum());
    lengths.map(|length| {
        let (part, others) = std::mem::take(&mut rest).split_at_mut(length);
        rest = others;
        part
    })
}

/// Panels of `wide` rows of `x`, (rows, deep), each turned to (deep, wide).
fn turn(isa: Isa, x: &[f32], deep: usize, wide: usize, panels: &mut [f32]) {
    pack::turned(isa, x, deep, x.len() / deep, wide, deep, panels);
}

/// Scores `s` become `p = e^(s − log_sum)`, and gradients `d_p` of these `p · (d_p − inner)`, those of the scores.
#[inline(always)]
fn weigh<const FMA: bool>(s: &mut [f32], d_p: &mut [f32], log_sum: f32, inner: f32) {
    for (s, d_p) in s.as_chunks_mut::<LANES>().0.iter_mut().zip(d_p.as_chunks_mut::<LANES>().0) {
        for j in 0..LANES {
            s[j] = exp::<FMA>(s[j] - log_sum);
            d_p[j] = s[j] * (d_p[j] - inner);
        }
    }
}

/// Stores a tile, or adds it.
///
/// # Safety
/// `MR` rows of the tile's width may be used from `to` on, `stride` apart; as [`tile`].
#[inline(always)]
unsafe fn put<V: Vector, const MR: usize, const NV: usize, const ADD: bool>(
    sums: [[V; NV]; MR],
    to: *mut f32,
    stride: usize,
) {
    for i in 0..MR {
        for j in 0..NV {
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(i * stride + j * V::LANES);
                let sum = if ADD { V::load(to).add(sums[i][j]) } else { sums[i][j] };
                sum.store(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    /// Attention by its definition, and its gradients by the chain rule, in f64.
    fn reference(
        qkv: &[f32],
        d_out: &[f32],
        documents: &[Range<usize>],
        heads: Heads,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (columns, dim) = (heads.qkv_columns(), heads.head_dim);
        let wide = heads.heads * dim;
        let (mut out, mut d_qkv) = (vec![0.0; qkv.len() / columns * wide], vec![0.0f64; qkv.len()]);
        let mut log_sums = Vec::new();
        let at = |row: usize, head: usize, c: usize| row * columns + head * dim + c;
        let x = |i: usize| f64::from(qkv[i]);
        let scale = 1.0 / (dim as f64).sqrt();
        for document in documents {
            for (row, head) in document.clone().flat_map(|row| (0..heads.heads).map(move |h| (row, h))) {
                let key = heads.heads + head * heads.kv_heads / heads.heads;
                let value = key + heads.kv_heads;
                let keys = document.start..row + 1;
                let scores: Vec<f64> = keys
                    .clone()
                    .map(|k| (0..dim).map(|c| x(at(row, head, c)) * x(at(k, key, c))).sum::<f64>() * scale)
                    .collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let total: f64 = weights.iter().sum();
                log_sums.push((most + total.ln()) as f32);
                let d = |c: usize| f64::from(d_out[row * wide + head * dim + c]);
                let d_p: Vec<f64> =
                    keys.clone().map(|k| (0..dim).map(|c| d(c) * x(at(k, value, c))).sum()).collect();
                let mean: f64 = weights.iter().zip(&d_p).map(|(w, d)| w / total * d).sum();
                for (j, k) in keys.enumerate() {
                    let p = weights[j] / total;
                    let d_s = p * (d_p[j] - mean) * scale;
                    for c in 0..dim {
                        out[row * wide + head * dim + c] += (p * x(at(k, value, c))) as f32;
                        d_qkv[at(k, value, c)] += p * d(c);
                        d_qkv[at(row, head, c)] += d_s * x(at(k, key, c));
                        d_qkv[at(k, key, c)] += d_s * x(at(row, head, c));
                    }
                }
            }
        }
        (out, log_sums, d_qkv.into_iter().map(|x| x as f32).collect())
    }

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(41);
        // The last has scores whose exponentials are beyond f32.
        for (heads, kv_heads, head_dim, lengths, far) in [
            (1, 1, 1, vec![1], 1.0),
            (3, 1, 6, vec![1, 3, 17], 1.0),
            (4, 2, 17, vec![97, 2], 1.0),
            (2, 2, 64, vec![200], 1.0),
            (2, 1, 40, vec![500, 7], 1.0),
            (2, 1, 40, vec![500, 7], 60.0),
        ] {
            let heads = Heads { heads, kv_heads, head_dim };
            let mut documents = Vec::new();
            let mut rows = 0;
            for length in lengths {
                documents.push(rows..rows + length);
                rows += length;
            }
            let mut qkv = random.normals(rows * heads.qkv_columns());
            for row in qkv.chunks_exact_mut(heads.qkv_columns()) {
                row[..heads.heads * head_dim].iter_mut().for_each(|x| *x *= far);
            }
            let d_out = random.normals(rows * heads.heads * head_dim);
            let (want, log_want, d_want) = reference(&qkv, &d_out, &documents, heads);
            for isa in Isa::available() {
                for threads in [1, 3] {
                    let pool = Pool::new(threads);
                    let mut out = vec![f32::NAN; want.len()];
                    let mut log_sums = vec![f32::NAN; rows * heads.heads];
                    attend(isa, &pool, &qkv, &documents, heads, &mut out, &mut log_sums);
                    assert_close(&out, &want, 1e-5 * far);
                    assert_close(&log_sums, &log_want, 1e-5);
                    let mut d_qkv = vec![f32::NAN; qkv.len()];
                    let kept = Kept { d_out: &d_out, out: &out, log_sums: &log_sums };
                    attend_backward(isa, &pool, &qkv, &kept, &documents, heads, &mut d_qkv);
                    assert_close(&d_qkv, &d_want, 2e-5 * far);
                }
            }
        }
    }
}
