//! `c = a · b` in f32: packed panels, and tiles of sums that stay in registers. Goto & van de Geijn 2008.
//!
//! `b` is packed once for all threads in panels of `NR` columns, `a` by each task in groups of `MR` rows; a panel then
//! stays in the first-level cache while the rows of a block pass by it from the second. The sum of an element is
//! taken in the order of the inner dimension, in parts that its length alone decides, however the work is shared out: the same
//! bits on any number of threads. Bound by multiply-adds.

use super::pack::{across, beside, turned};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::vector::{Baseline, Vector, prefetch, prefetch_far};
use std::cell::RefCell;
use std::ops::Range;

/// Most of the inner dimension of a tile: a panel's share and a group's are then within the first-level cache.
const DEPTH: usize = 256;
/// Most of it that is packed at a time: what is summed of a block stays in the second-level cache meanwhile.
const PACKED_DEPTH: usize = 3 * DEPTH;
/// Panels whose sums are completed before others': with the block of `a` within the second-level cache.
const NEAR: usize = 8;
/// Columns of `b` that are packed at a time, a multiple of every panel.
const WIDTH: usize = 4096;
/// Panels that a task packs at most.
const PACKED_PANELS: usize = 8;
/// Tasks that a thread has at least, so that the threads end together.
const SHARES: usize = 4;
/// Most columns of a tile.
const WIDEST: usize = 32;
/// Values of a line of the caches.
pub(super) const LINE: usize = 16;
/// Rows of `a` in a block at most: with [`PACKED_DEPTH`] half of a second-level cache, a multiple of every group.
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
    /// A matrix that lies as the product does.
    Matrix(&'a [f32]),
}

/// Sets `c`, (m, n) with rows `stride` apart, to `onto + a · b`, plus `bias` in every row; `a` is (m, k), `b` (k, n).
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
    stride: usize,
) {
    assert!(a.holds(m, k) && b.holds(k, n) && k > 0, "matrices that do not fit");
    assert!(n <= stride && (m - 1) * stride + n <= c.len(), "a product that does not fit");
    assert!(bias.is_none_or(|bias| bias.len() == n), "a bias of another width");
    if let Onto::Matrix(base) = onto {
        assert_eq!(base.len(), c.len(), "a sum of another shape");
    }
    let (group, panel) = sizes(isa);
    let depth = k.div_ceil(k.div_ceil(PACKED_DEPTH));
    // As many blocks for each thread, whose groups differ by one at most.
    let groups = m.div_ceil(group);
    let blocks = m.div_ceil(BLOCK).max(SHARES * pool.threads()).next_multiple_of(pool.threads());
    let block = |i: usize| (groups * i / blocks * group)..(groups * (i + 1) / blocks * group).min(m);
    let c = Disjoint::new(c);
    for columns in ranges(n, WIDTH) {
        let panels = columns.len().div_ceil(panel);
        for inner in ranges(k, depth) {
            let first = inner.start == 0;
            let packed = aligned(packed, panels * panel * inner.len());
            let parts = Disjoint::new(packed);
            let share = panels.div_ceil(SHARES * pool.threads()).min(PACKED_PANELS);
            pool.run_chunks(panels, share, &|some| {
                let each = panel * inner.len();
                // SAFETY: each panel is packed once.
                let out = unsafe { parts.part(some.start * each..some.end * each) };
                let from = columns.start + some.start * panel;
                let count = (some.len() * panel).min(columns.end - from);
                let values = &b.values[from * b.column + inner.start * b.row..];
                match b.column {
                    1 => across(values, b.row, count, panel, inner.len(), out),
                    line => turned(isa, values, line, count, panel, inner.len(), out),
                }
            });
            let store = Store {
                c: &c,
                stride,
                onto: if first { onto } else { Onto::There },
                bias: bias.filter(|_| first),
            };
            let task = Task {
                a,
                m,
                inner: inner.clone(),
                columns: columns.clone(),
                packed: &*packed,
                store: &store,
            };
            pool.run(blocks, &|i| {
                let rows = block(i);
                if rows.is_empty() {
                    return;
                }
                BLOCK_OF_A.with_borrow_mut(|room| {
                    room.resize(room.len().max(BLOCK * PACKED_DEPTH), 0.0);
                    match isa {
                        #[cfg(target_arch = "x86_64")]
                        // SAFETY: an `Isa` is only ever one that this processor has; tasks' rows do not overlap.
                        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(&task, rows, room) },
                        #[cfg(target_arch = "x86_64")]
                        // SAFETY: likewise.
                        Isa::Avx512Vnni => unsafe { avx512(&task, rows, room) },
                        // SAFETY: every processor has these registers; tasks' rows do not overlap.
                        _ => unsafe {
                            rows_of::<Baseline, { BASELINE.0 }, { BASELINE.1 }>(&task, rows, room);
                        },
                    }
                });
            });
        }
    }
}

/// So many values of a room that grows, from the start of a line on, so that no register's load takes two lines.
pub(super) fn aligned(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    let wanted = room.len().max(length + LINE);
    // What grows by itself takes up to twice as much.
    room.reserve_exact(wanted - room.len());
    room.resize(wanted, 0.0);
    let skipped = room.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    &mut room[skipped..skipped + length]
}

thread_local! {
    /// A block of `a`, packed.
    static BLOCK_OF_A: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Values that packed operands take at most, for so many threads.
pub(super) fn room(threads: usize) -> usize {
    (WIDTH + threads * BLOCK) * PACKED_DEPTH + LINE
}

/// Rows of the tile of sums, and registers of its columns, where they are [`Baseline`]: NEON has 32 registers, and SSE2
/// sixteen.
pub(in crate::cpu) const BASELINE: (usize, usize) =
    if cfg!(target_arch = "aarch64") { (6, 4) } else { (4, 2) };

/// Rows and columns of the tile of sums.
pub(in crate::cpu) fn sizes(isa: Isa) -> (usize, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => (6, 16),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => (12, 32),
        _ => (BASELINE.0, BASELINE.1 * Baseline::LANES),
    }
}

fn ranges(length: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(most).map(move |start| start..(start + most).min(length))
}

struct Task<'a> {
    a: Strided<'a>,
    m: usize,
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
unsafe fn avx2(task: &Task<'_>, rows: Range<usize>, room: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { rows_of::<std::arch::x86_64::__m256, 6, 2>(task, rows, room) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(task: &Task<'_>, rows: Range<usize>, room: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { rows_of::<std::arch::x86_64::__m512, 12, 2>(task, rows, room) }
}

/// The products of some rows with all packed panels.
///
/// # Safety
/// `V` is of an instruction set that the processor has, and no other task uses these rows of `c`.
#[inline(always)]
unsafe fn rows_of<V: Vector, const MR: usize, const NV: usize>(
    task: &Task<'_>,
    rows: Range<usize>,
    room: &mut [f32],
) {
    let panel = NV * V::LANES;
    let (a, depth) = (task.a, task.inner.len());
    // Rows stay rows where they lie so; where columns do, a group's steps lie one after another.
    let values = &a.values[rows.start * a.row + task.inner.start * a.column..];
    let (row, step) = if a.column == 1 { (depth, 1) } else { (1, MR) };
    let room = &mut room[..rows.len().next_multiple_of(MR) * depth];
    match a.column {
        1 => beside(values, a.row, rows.len(), depth, room),
        step => across(values, step, rows.len(), MR, depth, room),
    }
    let part = depth.div_ceil(depth.div_ceil(DEPTH));
    let tiles = depth.div_ceil(part) * task.columns.len().div_ceil(panel) * rows.len().div_ceil(MR);
    let mut next = Next::of(task, rows.end..(rows.end + rows.len()).min(task.m), tiles);
    for columns in ranges(task.columns.len(), NEAR * panel) {
        for inner in ranges(depth, part) {
            for column in columns.clone().step_by(panel) {
                let b = &task.packed[column * depth + inner.start * panel..][..inner.len() * panel];
                let width = panel.min(columns.end - column);
                let column = task.columns.start + column;
                for (i, first) in rows.clone().step_by(MR).enumerate() {
                    let group = &room[i * MR * depth + inner.start * step..];
                    let height = MR.min(rows.end - first);
                    next.ask();
                    // SAFETY: both are packed for all steps; the caller's promise.
                    unsafe {
                        task.store.ask(first, column, height, width);
                        let (a, b) = (group.as_ptr(), b.as_ptr());
                        let sums = tile::<V, MR, NV>(inner.len(), a, row, step, b, panel);
                        task.store.put(first, column, height, width, inner.start == 0, sums);
                    }
                }
            }
        }
    }
}

/// The rows of `a` that the thread will most likely be given next, asked for a little with each tile, so that packing
/// them does not wait for memory.
struct Next<'a> {
    a: &'a [f32],
    line: usize,
    stride: usize,
    /// Of a line, in values, and how much of this one has been asked for.
    length: usize,
    at: usize,
    lines: usize,
    /// With each tile.
    share: usize,
}

impl<'a> Next<'a> {
    fn of(task: &Task<'a>, rows: Range<usize>, tiles: usize) -> Self {
        let (a, inner) = (task.a, &task.inner);
        let first = rows.start * a.row + inner.start * a.column;
        let (lines, length, stride) = match a.column {
            1 => (rows.len(), inner.len(), a.row),
            step => (inner.len(), rows.len(), step),
        };
        let share = (lines * length.div_ceil(LINE)).div_ceil(tiles);
        Next { a: a.values, line: first, stride, length, at: 0, lines, share }
    }

    #[inline(always)]
    fn ask(&mut self) {
        for _ in 0..self.share {
            if self.lines == 0 {
                return;
            }
            prefetch_far(self.a.as_ptr().wrapping_add(self.line + self.at));
            self.at += LINE;
            if self.at >= self.length {
                (self.at, self.line, self.lines) = (0, self.line + self.stride, self.lines - 1);
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
pub(in crate::cpu) unsafe fn tile<V: Vector, const MR: usize, const NV: usize>(
    depth: usize,
    a: *const f32,
    row: usize,
    step: usize,
    b: *const f32,
    stride: usize,
) -> [[V; NV]; MR] {
    const UNROLLED: usize = 4;
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; MR];
        let (mut a, mut b) = (a, b);
        for _ in 0..depth / UNROLLED {
            for i in 0..UNROLLED {
                outer(&mut sums, a.add(i * step), row, b.add(i * stride));
            }
            (a, b) = (a.add(UNROLLED * step), b.add(UNROLLED * stride));
        }
        for i in 0..depth % UNROLLED {
            outer(&mut sums, a.add(i * step), row, b.add(i * stride));
        }
        sums
    }
}

/// Adds the products of `MR` values of `a`, `row` apart, with a row of `b`.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn outer<V: Vector, const MR: usize, const NV: usize>(
    sums: &mut [[V; NV]; MR],
    a: *const f32,
    row: usize,
    b: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
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
        begin: bool,
        sums: [[V; NV]; MR],
    ) {
        // The first part of a sum begins it; others are added.
        let (onto, bias) = if begin { (self.onto, self.bias) } else { (Onto::There, None) };
        let at = first * self.stride + column;
        if height == MR && width == NV * V::LANES {
            // SAFETY: a whole tile lies within `c`, and within the matrix and the bias, which are as large.
            unsafe {
                let c = self.c.start().add(at);
                let mut added = [V::splat(0.0); NV];
                if let Some(values) = bias {
                    for j in 0..NV {
                        added[j] = V::load(values.as_ptr().add(column + j * V::LANES));
                    }
                }
                match onto {
                    Onto::Zero => {
                        for i in 0..MR {
                            for j in 0..NV {
                                sums[i][j].add(added[j]).store(c.add(i * self.stride + j * V::LANES));
                            }
                        }
                    }
                    Onto::There => add_tile(sums, added, c, c, self.stride),
                    Onto::Matrix(base) => add_tile(sums, added, base.as_ptr().add(at), c, self.stride),
                }
            }
            return;
        }
        // All of them, for what is indexed by a variable does not stay in registers.
        let mut all = [[0.0f32; WIDEST]; MR];
        for i in 0..MR {
            for j in 0..NV {
                // SAFETY: no tile is wider.
                unsafe { sums[i][j].store(all[i].as_mut_ptr().add(j * V::LANES)) };
            }
        }
        for (i, values) in all.iter().enumerate().take(height) {
            let at = at + i * self.stride;
            // SAFETY: the caller's promise.
            let out = unsafe { self.c.part(at..at + width) };
            for j in 0..width {
                let base = match onto {
                    Onto::Zero => 0.0,
                    Onto::There => out[j],
                    Onto::Matrix(base) => base[at + j],
                };
                out[j] = base + (values[j] + bias.map_or(0.0, |bias| bias[column + j]));
            }
        }
    }

    /// Asks for the rows of a tile ahead of its sums.
    #[inline(always)]
    fn ask(&self, first: usize, column: usize, height: usize, width: usize) {
        for i in 0..height {
            for j in (0..width).step_by(LINE) {
                prefetch(self.c.start().wrapping_add((first + i) * self.stride + column + j));
            }
        }
    }
}

/// `c = base + (sums + bias)`, for a whole tile whose rows are `stride` apart.
///
/// # Safety
/// All of the tile may be read from `base` and written to `c`; the processor has the instruction set of `V`.
#[inline(always)]
unsafe fn add_tile<V: Vector, const MR: usize, const NV: usize>(
    sums: [[V; NV]; MR],
    bias: [V; NV],
    base: *const f32,
    c: *mut f32,
    stride: usize,
) {
    for i in 0..MR {
        for j in 0..NV {
            let at = i * stride + j * V::LANES;
            // SAFETY: the caller's promise.
            unsafe { V::load(base.add(at)).add(sums[i][j].add(bias[j])).store(c.add(at)) };
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
                            product(isa, &pool, &mut packed, size, a, b, onto, Some(&bias), &mut c, n);
                            assert_close(&c, &want, 1e-4);
                            let mut set = vec![f32::NAN; m * n];
                            product(isa, &pool, &mut packed, size, a, b, Onto::Zero, None, &mut set, n);
                            assert_close(&set, &plain, 1e-4);
                            let mut sum = base.clone();
                            product(
                                isa,
                                &pool,
                                &mut packed,
                                size,
                                a,
                                b,
                                Onto::There,
                                Some(&bias),
                                &mut sum,
                                n,
                            );
                            assert_close(&sum, &want, 1e-4);
                            all.push([c, set, sum]);
                        }
                        assert!(all[0] == all[1], "{isa:?}: other bits on other threads");
                    }
                }
            }
        }
    }

    /// Columns of a wider matrix; those beside them stay.
    #[test]
    fn products_within_others_are_the_reference() {
        let mut random = Random::new(33);
        let size @ [m, n, k] = [29, 37, 5];
        let (stride, first) = (n + 11, 4);
        let (a, b, before) = (random.normals(m * k), random.normals(k * n), random.normals(m * stride));
        let (a, b) = (Strided::rows(&a, k), Strided::rows(&b, n));
        let sums = reference(size, a, b, |i, j| before[i * stride + first + j]);
        let mut want = before.clone();
        for (row, sums) in want.chunks_exact_mut(stride).zip(sums.chunks_exact(n)) {
            row[first..first + n].copy_from_slice(sums);
        }
        for isa in Isa::available() {
            let (pool, mut c) = (Pool::new(2), before.clone());
            product(isa, &pool, &mut Vec::new(), size, a, b, Onto::There, None, &mut c[first..], stride);
            assert_close(&c, &want, 1e-5);
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
        product(Isa::detect(), &Pool::new(2), &mut Vec::new(), size, a, b, Onto::Zero, None, &mut c, n);
        assert_close(&c, &reference(size, a, b, |_, _| 0.0), 1e-5);
    }
}
