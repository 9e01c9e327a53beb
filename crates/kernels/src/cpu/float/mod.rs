//! Products with weights in F32, F16 and BF16, accumulated in f32.
//!
//! One row of activations widens the weights on the way and is bound by memory. Several rows multiply with packed panels
//! of outputs.
//!
//! The two add up in different orders, so that a row rounds differently among few rows and among many: the one place where
//! a token's bits depend on its neighbours in a pass. The panels' order for few rows too, by turning weights a few columns at
//! a time, was measured: one row took 2.4 times as long in f32, 2 in f16 and 3.8 in bf16. Among few rows, and among many, a row's
//! bits are always the same.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod dot;
mod matrix;
#[cfg(not(target_arch = "aarch64"))]
mod plain;

use super::isa::Isa;
use super::sink::Sink;
use sai_formats::DType;

pub(crate) use matrix::Rows;

/// Rows of activations from which packed panels beat dot products.
pub(crate) const PACKED_ROWS: usize = 8;
/// Outputs that tasks are best a multiple of.
pub(crate) const PANEL: usize = 32;

/// Multiplies `x` (rows, columns) with the outputs whose bytes are `weights`, the first of them number `first`. From
/// [`PACKED_ROWS`] on `packed` must hold the rows too.
///
/// # Safety
/// No other task may use these outputs in `sink` meanwhile.
pub(crate) unsafe fn product(
    isa: Isa,
    dtype: DType,
    weights: &[u8],
    x: &[f32],
    packed: &Rows,
    columns: usize,
    first: usize,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise is passed on; an `Isa` is only ever one that this processor has.
    unsafe {
        if x.len() / columns >= PACKED_ROWS {
            return matrix::product(isa, dtype, weights, packed, columns, first, sink);
        }
        match isa {
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Baseline => dots(plain::dot, dtype, weights, x, columns, first, sink),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => dots(dot::dot, dtype, weights, x, columns, first, sink),
        }
    }
}

/// Each output with each row.
///
/// # Safety
/// As [`product`], and `dot` may be called on this processor.
#[inline(always)]
unsafe fn dots(
    dot: unsafe fn(DType, &[u8], &[f32]) -> f32,
    dtype: DType,
    weights: &[u8],
    x: &[f32],
    columns: usize,
    first: usize,
    sink: &Sink<'_>,
) {
    for (o, weights) in weights.chunks_exact(columns * dtype.block_bytes()).enumerate() {
        for (row, x) in x.chunks_exact(columns).enumerate() {
            // SAFETY: the caller's promise.
            unsafe { sink.put(row, first + o, &[dot(dtype, weights, x)]) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::disjoint::Disjoint;
    use crate::cpu::pool::Pool;
    use crate::cpu::testing::{Random, assert_close};

    fn stored(dtype: DType, value: f32) -> (Vec<u8>, f32) {
        match dtype {
            DType::F16 => {
                let half = half::f16::from_f32(value);
                (half.to_le_bytes().to_vec(), half.to_f32())
            }
            DType::BF16 => {
                let half = half::bf16::from_f32(value);
                (half.to_le_bytes().to_vec(), half.to_f32())
            }
            _ => (value.to_le_bytes().to_vec(), value),
        }
    }

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(13);
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            for (rows, outputs, columns) in [
                (1, 1, 1),
                (1, 3, 17),
                (2, 5, 513),
                (3, 17, 200),
                (4, 9, 33),
                (8, 31, 16),
                (9, 33, 3),
                (13, 40, 2050),
                (17, 65, 1030),
            ] {
                let x = random.normals(rows * columns);
                let (bytes, values): (Vec<_>, Vec<_>) =
                    random.normals(outputs * columns).into_iter().map(|w| stored(dtype, w)).unzip();
                let bytes = bytes.concat();
                let mut want = Vec::new();
                for x in x.chunks(columns) {
                    for w in values.chunks(columns) {
                        want.push(
                            x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>() as f32
                        );
                    }
                }
                // A file may place its tensors at any byte.
                for shift in 0..2 {
                    let shifted = [vec![0; shift], bytes.clone()].concat();
                    for isa in Isa::available() {
                        let mut out = vec![0.0; rows * outputs];
                        {
                            let out = Disjoint::new(&mut out);
                            let sink = Sink { out: &out, stride: outputs, bias: None, add: false };
                            // SAFETY: a single task.
                            unsafe {
                                let mut rows = Rows::default();
                                rows.pack(isa, &Pool::new(2), &x, columns);
                                product(isa, dtype, &shifted[shift..], &x, &rows, columns, 0, &sink);
                            }
                        }
                        assert_close(&out, &want, 1e-4);
                    }
                }
            }
        }
    }
}
