//! `c = a · b` in f32: packed panels, and tiles of sums that stay in registers. Goto & van de Geijn 2008.
//!
//! `b` is packed once for all threads in panels of `NR` columns, `a` by each task in groups of `MR` rows; a panel then
//! stays in the first-level cache while the rows of a block pass by it from the second. The sum of an element is
//! taken in the order of the inner dimension, in parts of at most [`DEPTH`], however the work is shared out: the same
//! bits on any number of threads. Bound by multiply-adds.

use super::vector::{Plain, Vector};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use std::cell::RefCell;
use std::ops::Range;

/// Most of the inner dimension at a time: a panel's share is then within the first-level cache.
const DEPTH: usize = 384;
/// Columns of `b` that are packed at a time, a multiple of every panel.
const WIDTH: usize = 4096;
/// Rows of `a` in a block at most: with [`DEPTH`] half of a second-level cache, a multiple of every group.
const BLOCK: usize = 96;

/// A matrix where it lies: element (i, j) is `values[i · row + j · column]`.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a> Strided<'a> {
    /// Row-major with so many columns.
    pub(crate) fn rows(values: &'a [f32], columns: usize) -> Self {
        Strided { values, row: columns, column: 1 }
    }

    /// The transpose of a row-major matrix with so many columns.
    pub(crate) fn columns(values: &'a [f32], columns: usize) -> Self {
        Strided { values, row: 1, column: columns }
    }

    /// Whether a matrix of this size lies within the values.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// What a product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Onto<'a> {
    /// Nothing.
    Zero,
    /// What is there.
    There,
    /// A matrix of the product's shape, row-major.
    Matrix(&'a [f32]),
}

/// Sets `c`, (m, n) row-major, to `onto + a · b`, plus `bias` in every row; `a` is (m, k), `b` (k, n).
pub(crate) fn product(
    isa: Isa,
    pool: &Pool,
    packed: &mut Vec<f32>,
    [m, n, k]: [usize; 3],
    a: Strided<'_>,
    b: Strided<'_>,
    onto: Onto<'_>,
    bias: Option<&[f32]>,
    c: &mut [f32],
) {
    assert!(a.holds(m, k) && b.holds(k, n) && c.len() == m * n && k > 0, "matrices that do not fit");
    assert!(bias.is_none_or(|bias| bias.len() == n), "a bias of another width");
    if let Onto::Matrix(base) = onto {
        assert_eq!(base.len(), c.len(), "a sum of another shape");
    }
    let (group, panel) = sizes(isa);
    let depth = k.div_ceil(k.div_ceil(DEPTH));
    // Blocks enough that the threads end together.
    let block = m.div_ceil(4 * pool.threads()).next_multiple_of(group).min(BLOCK);
    let c = Disjoint::new(c);
    for columns in ranges(n, WIDTH) {
        let panels = columns.len().div_ceil(panel);
        for inner in ranges(k, depth) {
            let first = inner.start == 0;
            packed.resize(packed.len().max(panels * panel * inner.len()), 0.0);
            let parts = Disjoint::new(packed);
            pool.run_chunks(panels, 8, &|some| {
                for i in some {
                    // SAFETY: each panel is packed once.
                    let out = unsafe { parts.part(i * panel * inner.len()..(i + 1) * panel * inner.len()) };
                    let from = columns.start + i * panel;
                    let count = panel.min(columns.end - from);
                    pack(isa, b.values, from * b.column, b.column, count, panel, &inner, b.row, out);
                }
            });
            let store = Store {
                c: &c,
                stride: n,
                onto: if first { onto } else { Onto::There },
                bias: bias.filter(|_| first),
            };
            let task =
                Task { a, inner: inner.clone(), columns: columns.clone(), packed: &*packed, store: &store };
            pool.run_chunks(m, block, &|rows| {
                BLOCK_OF_A.with_borrow_mut(|room| {
                    room.resize(room.len().max(BLOCK * DEPTH), 0.0);
                    match isa {
                        #[cfg(target_arch = "x86_64")]
                        // SAFETY: an `Isa` is only ever one that this processor has; tasks' rows do not overlap.
                        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(isa, &task, rows, room) },
                        #[cfg(target_arch = "x86_64")]
                        // SAFETY: likewise.
                        Isa::Avx512Vnni => unsafe { avx512(isa, &task, rows, room) },
                        // SAFETY: plain Rust; tasks' rows do not overlap.
                        _ => unsafe { rows_of::<Plain, 4, 2>(isa, &task, rows, room) },
                    }
                });
            });
        }
    }
}

thread_local! {
    /// A block of `a`, packed.
    static BLOCK_OF_A: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Rows and columns of the tile of sums.
pub(super) fn sizes(isa: Isa) -> (usize, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => (6, 16),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => (12, 32),
        _ => (4, 8),
    }
}

fn ranges(length: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(most).map(move |start| start..(start + most).min(length))
}

struct Task<'a> {
    a: Strided<'a>,
    inner: Range<usize>,
    columns: Range<usize>,
    packed: &'a [f32],
    store: &'a Store<'a>,
}

struct Store<'a> {
    c: &'a Disjoint<'a, f32>,
    stride: usize,
    onto: Onto<'a>,
    bias: Option<&'a [f32]>,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(isa: Isa, task: &Task<'_>, rows: Range<usize>, room: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { rows_of::<std::arch::x86_64::__m256, 6, 2>(isa, task, rows, room) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(isa: Isa, task: &Task<'_>, rows: Range<usize>, room: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { rows_of::<std::arch::x86_64::__m512, 12, 2>(isa, task, rows, room) }
}

/// The products of some rows with all packed panels.
///
/// # Safety
/// `V` is of an instruction set that the processor has, and no other task uses these rows of `c`.
#[inline(always)]
unsafe fn rows_of<V: Vector, const MR: usize, const NV: usize>(
    isa: Isa,
    task: &Task<'_>,
    rows: Range<usize>,
    room: &mut [f32],
) {
    let panel = NV * V::LANES;
    let (a, depth) = (task.a, task.inner.len());
    for (i, first) in rows.clone().step_by(MR).enumerate() {
        let out = &mut room[i * MR * depth..(i + 1) * MR * depth];
        let count = MR.min(rows.end - first);
        pack(isa, a.values, first * a.row, a.row, count, MR, &task.inner, a.column, out);
    }
    for (j, b) in task.packed.chunks_exact(panel * depth).enumerate() {
        let column = task.columns.start + j * panel;
        if column >= task.columns.end {
            break;
        }
        let width = panel.min(task.columns.end - column);
        for (i, first) in rows.clone().step_by(MR).enumerate() {
            let group = &room[i * MR * depth..(i + 1) * MR * depth];
            let height = MR.min(rows.end - first);
            // SAFETY: both are packed for `depth` steps; the caller's promise.
            unsafe {
                let sums = tile::<V, MR, NV>(depth, group.as_ptr(), 1, MR, b.as_ptr(), panel);
                task.store.put(first, column, height, width, sums);
            }
        }
    }
}

/// `MR` rows times `NV` registers of columns, over `depth` of the inner dimension: `a` has element (i, k) at
/// `i · row + k · step`, `b` element (k, j) at `k · stride + j`.
///
/// # Safety
/// All of these may be read, and the processor has the instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const MR: usize, const NV: usize>(
    depth: usize,
    a: *const f32,
    row: usize,
    step: usize,
    b: *const f32,
    stride: usize,
) -> [[V; NV]; MR] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; MR];
        for k in 0..depth {
            let (a, b) = (a.add(k * step), b.add(k * stride));
            let mut columns = [V::splat(0.0); NV];
            for j in 0..NV {
                columns[j] = V::load(b.add(j * V::LANES));
            }
            for i in 0..MR {
                let x = V::splat(*a.add(i * row));
                for j in 0..NV {
                    sums[i][j] = x.multiply_add(columns[j], sums[i][j]);
                }
            }
        }
        sums
    }
}

impl Store<'_> {
    /// # Safety
    /// No other task uses these rows of `c`, and the processor has the instruction set of `V`.
    #[inline(always)]
    unsafe fn put<V: Vector, const MR: usize, const NV: usize>(
        &self,
        first: usize,
        column: usize,
        height: usize,
        width: usize,
        sums: [[V; NV]; MR],
    ) {
        let whole = width == NV * V::LANES;
        for i in 0..MR {
            if i == height {
                break;
            }
            let at = (first + i) * self.stride + column;
            // SAFETY: the caller's promise.
            let out = unsafe { self.c.part(at..at + width) };
            let bias = self.bias.map(|bias| &bias[column..column + width]);
            let base = match self.onto {
                Onto::Matrix(base) => Some(&base[at..at + width]),
                _ => None,
            };
            let there = matches!(self.onto, Onto::There);
            if whole {
                for j in 0..NV {
                    let at = j * V::LANES;
                    // SAFETY: each slice has a whole tile's width.
                    unsafe {
                        let mut sum = sums[i][j];
                        if let Some(bias) = bias {
                            sum = V::load(bias.as_ptr().add(at)).add(sum);
                        }
                        if let Some(base) = base {
                            sum = V::load(base.as_ptr().add(at)).add(sum);
                        }
                        if there {
                            sum = V::load(out.as_ptr().add(at)).add(sum);
                        }
                        sum.store(out.as_mut_ptr().add(at));
                    }
                }
            } else {
                let mut values = [0.0f32; 64];
                for j in 0..NV {
                    // SAFETY: no tile is wider than 64.
                    unsafe { sums[i][j].store(values.as_mut_ptr().add(j * V::LANES)) };
                }
                for j in 0..width {
                    let mut sum = values[j];
                    sum += bias.map_or(0.0, |bias| bias[j]);
                    sum += base.map_or(0.0, |base| base[j]);
                    out[j] = if there { out[j] + sum } else { sum };
                }
            }
        }
    }
}

/// Writes lines `0..count` of a matrix side by side, step after step of the inner dimension, and zeros up to `width`
/// lines: `out[k · width + i] = values[start + i · line + inner[k] · step]`.
fn pack(
    isa: Isa,
    values: &[f32],
    start: usize,
    line: usize,
    count: usize,
    width: usize,
    inner: &Range<usize>,
    step: usize,
    out: &mut [f32],
) {
    let first = start + inner.start * step;
    let lines = &values[first..];
    if count == width && (line == 1 || step == 1) {
        match (isa, width) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` is only ever one that this processor has.
            (Isa::Avx2 | Isa::AvxVnni, 6) => unsafe { lay_avx2::<6>(lines, line, step, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            (Isa::Avx2 | Isa::AvxVnni, 16) => unsafe { lay_avx2::<16>(lines, line, step, out) },
            (_, 12) => lay::<12>(lines, line, step, out),
            (_, 32) => lay::<32>(lines, line, step, out),
            (_, 4) => lay::<4>(lines, line, step, out),
            _ => lay::<8>(lines, line, step, out),
        }
        return;
    }
    out.fill(0.0);
    for i in 0..count {
        for (out, k) in out.chunks_exact_mut(width).zip(inner.clone()) {
            out[i] = values[start + i * line + k * step];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn lay_avx2<const W: usize>(lines: &[f32], line: usize, step: usize, out: &mut [f32]) {
    lay::<W>(lines, line, step, out);
}

/// As [`pack`] for `W` whole lines: steps of them copied, or eight steps turned at a time so that each line is read whole.
#[inline(always)]
fn lay<const W: usize>(lines: &[f32], line: usize, step: usize, out: &mut [f32]) {
    let (outs, rest) = out.as_chunks_mut::<W>();
    assert!(rest.is_empty(), "panels of another width");
    if line == 1 {
        for (k, out) in outs.iter_mut().enumerate() {
            out.copy_from_slice(&lines[k * step..k * step + W]);
        }
        return;
    }
    let whole = outs.len() / 8 * 8;
    for k in (0..whole).step_by(8) {
        let mut square = [[0.0f32; 8]; W];
        for i in 0..W {
            square[i].copy_from_slice(&lines[i * line + k..i * line + k + 8]);
        }
        for (j, out) in outs[k..k + 8].iter_mut().enumerate() {
            for i in 0..W {
                out[i] = square[i][j];
            }
        }
    }
    for k in whole..outs.len() {
        for i in 0..W {
            outs[k][i] = lines[i * line + k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    fn reference(
        size: [usize; 3],
        a: Strided<'_>,
        b: Strided<'_>,
        start: impl Fn(usize, usize) -> f32,
    ) -> Vec<f32> {
        let [m, n, k] = size;
        let mut out = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let products = (0..k).map(|l| {
                    f64::from(a.values[i * a.row + l * a.column])
                        * f64::from(b.values[l * b.row + j * b.column])
                });
                out.push((products.sum::<f64>() + f64::from(start(i, j))) as f32);
            }
        }
        out
    }

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(31);
        for size @ [m, n, k] in
            [[1, 1, 1], [3, 17, 5], [7, 16, 8], [6, 33, 9], [97, 31, 385], [13, 65, 800], [200, 48, 24]]
        {
            let (a, b) = (random.normals(m * k), random.normals(k * n));
            let (base, bias) = (random.normals(m * n), random.normals(n));
            for a in [Strided::rows(&a, k), Strided::columns(&a, m)] {
                for b in [Strided::rows(&b, n), Strided::columns(&b, k)] {
                    let want = reference(size, a, b, |i, j| base[i * n + j] + bias[j]);
                    let plain = reference(size, a, b, |_, _| 0.0);
                    for isa in Isa::available() {
                        let mut all = Vec::new();
                        for threads in [1, 3] {
                            let (pool, mut packed) = (Pool::new(threads), Vec::new());
                            let mut c = vec![f32::NAN; m * n];
                            let onto = Onto::Matrix(&base);
                            product(isa, &pool, &mut packed, size, a, b, onto, Some(&bias), &mut c);
                            assert_close(&c, &want, 1e-4);
                            let mut set = vec![f32::NAN; m * n];
                            product(isa, &pool, &mut packed, size, a, b, Onto::Zero, None, &mut set);
                            assert_close(&set, &plain, 1e-4);
                            let mut sum = base.clone();
                            product(isa, &pool, &mut packed, size, a, b, Onto::There, Some(&bias), &mut sum);
                            assert_close(&sum, &want, 1e-4);
                            all.push([c, set, sum]);
                        }
                        assert!(all[0] == all[1], "{isa:?}: other bits on other threads");
                    }
                }
            }
        }
    }

    /// More columns than are packed at a time.
    #[test]
    fn wide_products_are_the_reference() {
        let mut random = Random::new(32);
        let size @ [m, n, k] = [5, WIDTH + 19, 3];
        let (a, b) = (random.normals(m * k), random.normals(k * n));
        let (a, b) = (Strided::rows(&a, k), Strided::columns(&b, k));
        let mut c = vec![0.0; m * n];
        product(Isa::detect(), &Pool::new(2), &mut Vec::new(), size, a, b, Onto::Zero, None, &mut c);
        assert_close(&c, &reference(size, a, b, |_, _| 0.0), 1e-5);
    }
}
