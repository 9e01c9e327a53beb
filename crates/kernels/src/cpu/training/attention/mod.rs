//! Causal attention within documents, forward and backward, a tile of scores at a time. Dao 2023.
//!
//! A task takes a head of a document (backward: a key–value head, whose gradients its queries share) and copies its rows
//! together, filled up with zeros to whole blocks, so that no tile has an edge. Products below the diagonal only are
//! computed. Bound by multiply-adds.

mod backward;
mod forward;
#[cfg(test)]
mod tests;

use super::pack;
use super::product::{BASELINE, LINE, aligned, sizes};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::vector::{Baseline, Vector};
use crate::device::Heads;
use backward::backward;
use forward::forward;
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

/// Stores a tile, or adds it.
///
/// # Safety
/// `MR` rows of the tile's width may be used from `to` on, `stride` apart; as [`super::product::tile`].
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
