//! Products with weights in F32, F16 and BF16, accumulated in f32.
//!
//! One row of activations widens the weights on the way and is bound by memory. Several rows multiply with packed panels
//! of outputs; where there is no form of our own for that, with the `gemm` crate.

#[cfg(target_arch = "x86_64")]
mod dot;
#[cfg(target_arch = "x86_64")]
mod matrix;

use super::isa::Isa;
use super::math;
use super::sink::Sink;
use half::slice::HalfFloatSliceExt;
use sai_formats::DType;

#[cfg(target_arch = "x86_64")]
pub(crate) use matrix::Rows;

/// Rows of activations from which a matrix product beats dot products.
pub(crate) const GEMM_ROWS: usize = if cfg!(target_arch = "x86_64") { 8 } else { 4 };
/// Outputs that tasks are best a multiple of.
pub(crate) const PANEL: usize = 32;
/// Weights widened at a time, on the stack.
const WIDEN: usize = 512;

/// Rows as they lie: the `gemm` crate packs them itself.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Default)]
pub(crate) struct Rows;

#[cfg(not(target_arch = "x86_64"))]
impl Rows {
    pub(crate) fn pack(&mut self, _: Isa, _: &super::pool::Pool, _: &[f32], _: usize) {}
}

/// Multiplies `x` (rows, columns) with the outputs whose bytes are `weights`, the first of them number `first`. From
/// [`GEMM_ROWS`] on `packed` must hold the rows too.
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
    let rows = x.len() / columns;
    #[cfg(not(target_arch = "x86_64"))]
    let _ = packed;
    // SAFETY: the caller's promise is passed on; an `Isa` is only ever one that this processor has.
    unsafe {
        if rows >= GEMM_ROWS {
            #[cfg(target_arch = "x86_64")]
            if let Some(form) = matrix::Form::of(isa) {
                return matrix::product(form, isa, dtype, weights, packed, columns, first, sink);
            }
            return library(dtype, weights, x, columns, first, sink);
        }
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => {
                dots(dot::dot, dtype, weights, x, columns, first, sink);
            }
            _ => dots(plain_dot, dtype, weights, x, columns, first, sink),
        }
    }
}

/// Writes the values of little-endian weights of a float type; `out` is as long as they are many.
fn widen(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F16 => match bytemuck::try_cast_slice::<u8, half::f16>(bytes) {
            Ok(halves) => halves.convert_to_f32_slice(out),
            Err(_) => {
                for (out, &bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *out = half::f16::from_le_bytes(bytes).to_f32();
                }
            }
        },
        DType::BF16 => {
            for (out, &[low, high]) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_bits(u32::from_le_bytes([0, 0, low, high]));
            }
        }
        _ => {
            for (out, &bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(bytes);
            }
        }
    }
}

/// Single precision is used where it lies, if it lies as floats must.
fn single(dtype: DType, weights: &[u8]) -> Option<&[f32]> {
    if dtype != DType::F32 || cfg!(target_endian = "big") {
        return None;
    }
    bytemuck::try_cast_slice(weights).ok()
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

/// One output with one row in plain Rust.
fn plain_dot(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
    let bytes = dtype.block_bytes();
    let mut wide = [0.0f32; WIDEN];
    let mut sum = 0.0;
    for (weights, x) in weights.chunks(WIDEN * bytes).zip(x.chunks(WIDEN)) {
        widen(dtype, weights, &mut wide[..x.len()]);
        sum += math::dot::<false>(&wide[..x.len()], x);
    }
    sum
}

/// # Safety
/// As [`product`].
unsafe fn library(dtype: DType, weights: &[u8], x: &[f32], columns: usize, first: usize, sink: &Sink<'_>) {
    let rows = x.len() / columns;
    let outputs = weights.len() / (columns * dtype.block_bytes());
    let mut wide = Vec::new();
    let wide = match single(dtype, weights) {
        Some(floats) => floats,
        None => {
            wide.resize(outputs * columns, 0.0);
            widen(dtype, weights, &mut wide);
            &wide
        }
    };
    let mut products = vec![0.0f32; rows * outputs];
    // SAFETY: `products` is (rows, outputs), `x` (rows, columns) and `wide` (outputs, columns), all
    // row-major, and the strides say so; the last is read as its transpose.
    unsafe {
        gemm::gemm(
            rows,
            outputs,
            columns,
            products.as_mut_ptr(),
            1,
            outputs as isize,
            false,
            x.as_ptr(),
            1,
            columns as isize,
            wide.as_ptr(),
            columns as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    for (row, products) in products.chunks_exact(outputs).enumerate() {
        // SAFETY: the caller's promise.
        unsafe { sink.put(row, first, products) };
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
