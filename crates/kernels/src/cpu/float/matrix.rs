//! Many rows with float weights, in packed panels (Goto & van de Geijn 2008): a panel of outputs is widened and turned
//! once, and all rows pass by it in groups, whose sums stay in registers. Bound by multiply-adds.

use super::PANEL;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::element::Element;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::sink::Sink;
use crate::cpu::training::pack::turned;
use crate::cpu::training::product::{BASELINE, sizes, tile};
use crate::cpu::vector::{Baseline, Vector};
use half::{bf16, f16};
use sai_formats::DType;
use std::cell::RefCell;
use std::ops::Range;

/// Columns that are summed in registers at most: a panel of them stays in the second-level cache.
const DEPTH: usize = 1024;

thread_local! {
    /// A panel of weights.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Even parts of the inner dimension.
fn parts(columns: usize) -> impl Iterator<Item = Range<usize>> {
    let depth = columns.div_ceil(columns.div_ceil(DEPTH));
    (0..columns).step_by(depth).map(move |start| start..(start + depth).min(columns))
}

/// Rows packed for products, for every thread.
#[derive(Default)]
pub(crate) struct Rows {
    count: usize,
    /// (parts, groups of rows, columns of the part, rows of a group), the last group filled up with zeros.
    values: Vec<f32>,
}

impl Rows {
    /// Packs `x`, (rows, columns), where products need it.
    pub(crate) fn pack(&mut self, isa: Isa, pool: &Pool, x: &[f32], columns: usize) {
        self.count = x.len() / columns;
        let (rows, (group, _)) = (self.count, sizes(isa));
        let groups = rows.div_ceil(group);
        self.values.resize(groups * group * columns, 0.0);
        let out = Disjoint::new(&mut self.values);
        pool.run(groups, &|g| {
            let lines = group.min(rows - g * group);
            let x = &x[g * group * columns..][..lines * columns];
            for part in parts(columns) {
                let at = (groups * part.start + g * part.len()) * group;
                // SAFETY: a part of a group is packed once.
                let out = unsafe { out.part(at..at + group * part.len()) };
                turned(isa, &x[part.start..], columns, lines, group, part.len(), out);
            }
        });
    }
}

/// Multiplies packed rows with the outputs whose bytes are `weights`, the first of them number `first`.
///
/// # Safety
/// No other task may use these outputs in `sink` meanwhile; `x` was packed for this instruction set.
pub(super) unsafe fn product(
    isa: Isa,
    dtype: DType,
    weights: &[u8],
    x: &Rows,
    columns: usize,
    first: usize,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match dtype {
            DType::F16 => typed::<f16>(isa, weights, x, columns, first, sink),
            DType::BF16 => typed::<bf16>(isa, weights, x, columns, first, sink),
            _ => typed::<f32>(isa, weights, x, columns, first, sink),
        }
    }
}

/// # Safety
/// As [`product`].
unsafe fn typed<T: Element + bytemuck::Pod>(
    isa: Isa,
    weights: &[u8],
    x: &Rows,
    columns: usize,
    first: usize,
    sink: &Sink<'_>,
) {
    let copied;
    let weights: &[T] = match bytemuck::try_cast_slice(weights) {
        Ok(weights) => weights,
        // A file may place its tensors at any byte.
        Err(_) => {
            copied = bytemuck::pod_collect_to_vec::<u8, T>(weights);
            &copied
        }
    };
    let (group, panel) = sizes(isa);
    let pass: Pass = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => avx2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => avx512,
        _ => pass::<Baseline, { BASELINE.0 }, { BASELINE.1 }>,
    };
    let outputs = weights.len() / columns;
    let groups = x.count.div_ceil(group);
    ROOM.with_borrow_mut(|room| {
        room.resize(room.len().max(panel * columns.min(DEPTH)), 0.0);
        for part in parts(columns) {
            // Later parts are added to what the first has set.
            let sink = if part.start == 0 { sink } else { &Sink { bias: None, add: true, ..*sink } };
            let rows = &x.values[groups * group * part.start..][..groups * group * part.len()];
            for o in (0..outputs).step_by(panel) {
                let width = panel.min(outputs - o);
                let packed = &mut room[..panel * part.len()];
                turned(isa, &weights[o * columns + part.start..], columns, width, panel, part.len(), packed);
                // SAFETY: the caller's promise.
                unsafe { pass(packed, rows, part.len(), x.count, first + o..first + o + width, sink) };
            }
        }
    });
}

/// As [`pass`], for registers of one kind.
type Pass = unsafe fn(&[f32], &[f32], usize, usize, Range<usize>, &Sink<'_>);

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(
    panel: &[f32],
    rows: &[f32],
    depth: usize,
    count: usize,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe { pass::<std::arch::x86_64::__m256, 6, 2>(panel, rows, depth, count, outputs, sink) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(
    panel: &[f32],
    rows: &[f32],
    depth: usize,
    count: usize,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe { pass::<std::arch::x86_64::__m512, 12, 2>(panel, rows, depth, count, outputs, sink) }
}

/// All rows by one panel: `panel` is (depth, outputs), `rows` (groups, depth, rows of a group).
///
/// # Safety
/// As [`product`], and the instruction set of `V`.
#[inline(always)]
unsafe fn pass<V: Vector, const MR: usize, const NV: usize>(
    panel: &[f32],
    rows: &[f32],
    depth: usize,
    count: usize,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    let width = NV * V::LANES;
    for (g, rows) in rows.chunks_exact(MR * depth).enumerate() {
        // SAFETY: panel and rows are as long as that; a row of sums is at most [`PANEL`] floats.
        unsafe {
            let sums = tile::<V, MR, NV>(depth, rows.as_ptr(), 1, MR, panel.as_ptr(), width);
            for i in 0..MR.min(count - g * MR) {
                let mut products = [0.0f32; PANEL];
                for j in 0..NV {
                    sums[i][j].store(products.as_mut_ptr().add(j * V::LANES));
                }
                sink.put(g * MR + i, outputs.start, &products[..outputs.len()]);
            }
        }
    }
}
