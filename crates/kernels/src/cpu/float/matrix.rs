//! Many rows with float weights, in packed panels (Goto & van de Geijn 2008): a panel of outputs is widened and turned
//! once, and all rows pass by it in groups, whose sums stay in registers. Bound by multiply-adds.
//!
//! Where the processor multiplies pairs of bf16, weights of that type stay so, and rows are rounded to it: twice as many
//! products an instruction.

use super::PANEL;
use crate::cpu::disjoint::Disjoint;
use crate::cpu::element::Element;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::sink::Sink;
use crate::cpu::training::pack::turned;
use crate::cpu::training::product::tile;
use crate::cpu::vector::Vector;
use half::{bf16, f16};
use sai_formats::DType;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::ops::Range;

/// Steps of the inner dimension that are summed in registers at most: a panel of them stays in the second-level cache.
const DEPTH: usize = 1024;

thread_local! {
    /// A panel of weights, and rows being rounded.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// What a product is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Avx2,
    Avx512,
    /// A step is two columns.
    Avx512Pairs,
}

impl Form {
    /// The fastest for weights of a type, `columns` of them a row.
    pub(super) fn of(isa: Isa, dtype: DType, columns: usize) -> Option<Form> {
        match isa {
            Isa::Baseline => None,
            Isa::Avx2 | Isa::AvxVnni => Some(Form::Avx2),
            Isa::Avx512Vnni => {
                let pairs = dtype == DType::BF16 && columns.is_multiple_of(2);
                let pairs = pairs && is_x86_feature_detected!("avx512bf16");
                Some(if pairs { Form::Avx512Pairs } else { Form::Avx512 })
            }
        }
    }

    /// Rows of a group.
    fn group(self) -> usize {
        if self == Form::Avx2 { 6 } else { 12 }
    }

    /// Outputs of a panel.
    fn panel(self) -> usize {
        if self == Form::Avx2 { PANEL / 2 } else { PANEL }
    }

    /// Steps of so many columns.
    fn steps(self, columns: usize) -> usize {
        if self == Form::Avx512Pairs { columns / 2 } else { columns }
    }
}

/// Even parts of the inner dimension.
fn parts(steps: usize) -> impl Iterator<Item = Range<usize>> {
    let depth = steps.div_ceil(steps.div_ceil(DEPTH));
    (0..steps).step_by(depth).map(move |start| start..(start + depth).min(steps))
}

/// Rows packed for products, for every thread.
#[derive(Default)]
pub(crate) struct Rows {
    count: usize,
    /// (parts, groups of rows, steps of the part, rows of a group), the last group filled up with zeros.
    singles: Vec<f32>,
    /// The same of pairs, as bits.
    pairs: Vec<f32>,
}

impl Rows {
    /// Packs `x`, (rows, columns), as products with weights of these types need it.
    pub(crate) fn pack(
        &mut self,
        isa: Isa,
        pool: &Pool,
        x: &[f32],
        columns: usize,
        dtypes: impl Iterator<Item = DType>,
    ) {
        self.count = x.len() / columns;
        let mut packed = [false; 2];
        for form in dtypes.filter_map(|dtype| Form::of(isa, dtype, columns)) {
            if !std::mem::replace(&mut packed[usize::from(form == Form::Avx512Pairs)], true) {
                self.pack_for(form, isa, pool, x, columns);
            }
        }
    }

    fn pack_for(&mut self, form: Form, isa: Isa, pool: &Pool, x: &[f32], columns: usize) {
        let (rows, group, steps) = (self.count, form.group(), form.steps(columns));
        let groups = rows.div_ceil(group);
        let out = if form == Form::Avx512Pairs { &mut self.pairs } else { &mut self.singles };
        out.resize(groups * group * steps, 0.0);
        let out = Disjoint::new(out);
        pool.run(groups, &|g| {
            let lines = group.min(rows - g * group);
            let x = &x[g * group * columns..][..lines * columns];
            ROOM.with_borrow_mut(|room| {
                let x = if form == Form::Avx512Pairs {
                    room.resize(room.len().max(lines * steps), 0.0);
                    let rounded = &mut room[..lines * steps];
                    // SAFETY: this form is only chosen where the processor has it.
                    unsafe { round(x, rounded) };
                    &*rounded
                } else {
                    x
                };
                for part in parts(steps) {
                    let at = (groups * part.start + g * part.len()) * group;
                    // SAFETY: a part of a group is packed once.
                    let out = unsafe { out.part(at..at + group * part.len()) };
                    turned(isa, &x[part.start..], steps, lines, group, part.len(), out);
                }
            });
        });
    }
}

/// Rounds an even number of values to pairs of bf16, the first of each in the lower half.
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(x: &[f32], pairs: &mut [f32]) {
    let (whole, rest) = x.as_chunks::<16>();
    let (out, out_rest) = pairs.as_chunks_mut::<8>();
    for (x, out) in whole.iter().zip(out) {
        // SAFETY: sixteen floats, which become eight pairs.
        unsafe {
            let rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(x.as_ptr()));
            _mm256_storeu_ps(out.as_mut_ptr(), std::mem::transmute::<__m256bh, __m256>(rounded));
        }
    }
    for ([low, high], out) in rest.as_chunks::<2>().0.iter().zip(out_rest) {
        let [low, high] = [low, high].map(|x| u32::from(bf16::from_f32(*x).to_bits()));
        *out = f32::from_bits(high << 16 | low);
    }
}

/// Multiplies packed rows with the outputs whose bytes are `weights`, the first of them number `first`.
///
/// # Safety
/// No other task may use these outputs in `sink` meanwhile; the processor has the form, and `x` was packed for it.
pub(super) unsafe fn product(
    form: Form,
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
        match (form, dtype) {
            (Form::Avx512Pairs, _) => typed::<f32>(form, isa, weights, x, columns / 2, first, sink),
            (_, DType::F16) => typed::<f16>(form, isa, weights, x, columns, first, sink),
            (_, DType::BF16) => typed::<bf16>(form, isa, weights, x, columns, first, sink),
            _ => typed::<f32>(form, isa, weights, x, columns, first, sink),
        }
    }
}

/// # Safety
/// As [`product`].
unsafe fn typed<T: Element + bytemuck::Pod>(
    form: Form,
    isa: Isa,
    weights: &[u8],
    x: &Rows,
    steps: usize,
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
    let (group, panel) = (form.group(), form.panel());
    let pass: Pass = match form {
        Form::Avx2 => avx2,
        Form::Avx512 => avx512,
        Form::Avx512Pairs => avx512_pairs,
    };
    let outputs = weights.len() / steps;
    let groups = x.count.div_ceil(group);
    ROOM.with_borrow_mut(|room| {
        room.resize(room.len().max(panel * steps.min(DEPTH)), 0.0);
        for part in parts(steps) {
            // Later parts are added to what the first has set.
            let sink = if part.start == 0 { sink } else { &Sink { bias: None, add: true, ..*sink } };
            let rows = if form == Form::Avx512Pairs { &x.pairs } else { &x.singles };
            let rows = &rows[groups * group * part.start..][..groups * group * part.len()];
            for o in (0..outputs).step_by(panel) {
                let width = panel.min(outputs - o);
                let packed = &mut room[..panel * part.len()];
                turned(isa, &weights[o * steps + part.start..], steps, width, panel, part.len(), packed);
                // SAFETY: the caller's promise.
                unsafe { pass(packed, rows, part.len(), x.count, first + o..first + o + width, sink) };
            }
        }
    });
}

/// As [`pass`], for registers of one kind.
type Pass = unsafe fn(&[f32], &[f32], usize, usize, Range<usize>, &Sink<'_>);

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
    unsafe { pass::<__m256, 6, 2>(panel, rows, depth, count, outputs, sink) }
}

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
    unsafe { pass::<__m512, 12, 2>(panel, rows, depth, count, outputs, sink) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn avx512_pairs(
    panel: &[f32],
    rows: &[f32],
    depth: usize,
    count: usize,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe { pass::<Pairs, 12, 2>(panel, rows, depth, count, outputs, sink) }
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

/// Sixteen pairs of bf16, or sixteen sums of products of such.
#[derive(Clone, Copy)]
struct Pairs(__m512);

impl Vector for Pairs {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        Pairs(unsafe { __m512::splat(value) })
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Pairs(unsafe { __m512::load(at) })
    }

    #[inline(always)]
    unsafe fn widen<T: Element>(at: *const T) -> Self {
        // SAFETY: the caller's promise.
        Pairs(unsafe { __m512::widen(at) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.store(at) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Pairs(unsafe { self.0.add(other.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Pairs(unsafe { self.0.max(other.0) })
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.largest() }
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.total() }
    }

    #[inline(always)]
    unsafe fn multiply(self, factor: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.multiply_add(factor, Self::splat(0.0)) }
    }

    /// Adds both products of each pair.
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the caller's promise; any bits are pairs.
        unsafe {
            let a = std::mem::transmute::<__m512, __m512bh>(self.0);
            let b = std::mem::transmute::<__m512, __m512bh>(factor.0);
            Pairs(_mm512_dpbf16_ps(sum.0, a, b))
        }
    }
}
