//! Products with weights in F32, F16 and BF16, accumulated in f32.
//!
//! One row of activations widens the weights on the way and is bound by memory. Several rows widen a
//! panel of outputs and multiply with the `gemm` crate, which reaches the level of vendor libraries.

use super::isa::Isa;
use super::math;
use super::sink::Sink;
use half::slice::HalfFloatSliceExt;
use sai_formats::DType;

/// Rows of activations from which a matrix product beats dot products.
const GEMM_ROWS: usize = 4;
/// Weights widened at a time, on the stack.
const WIDEN: usize = 512;

/// Multiplies `x` (rows, columns) with the outputs whose bytes are `weights`, the first of them number `first`.
///
/// # Safety
/// No other task may use these outputs in `sink` meanwhile.
pub(crate) unsafe fn product(
    isa: Isa,
    dtype: DType,
    weights: &[u8],
    x: &[f32],
    columns: usize,
    first: usize,
    sink: &Sink<'_>,
) {
    let rows = x.len() / columns;
    // SAFETY: the caller's promise is passed on; an `Isa` is only ever one that this processor has.
    unsafe {
        match isa {
            _ if rows >= GEMM_ROWS => matrix(dtype, weights, x, columns, first, sink),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(dtype, weights, x, columns, first, sink),
            Isa::Baseline => dots::<false>(dtype, weights, x, columns, first, sink),
        }
    }
}

/// Eight halves at a time; `bytes` and `out` are as long as each other.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
    let (eights, rest) = out.as_chunks_mut::<8>();
    let (halves, rest_halves) = bytes.as_chunks::<16>();
    for (out, halves) in eights.iter_mut().zip(halves) {
        // SAFETY: sixteen bytes in, eight floats out.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(halves.as_ptr().cast())));
        };
    }
    widen(DType::F16, rest_halves, rest);
}

/// Writes the values of little-endian weights of a float type; `out` is as long as they are many.
#[inline(always)]
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2(dtype: DType, weights: &[u8], x: &[f32], columns: usize, first: usize, sink: &Sink<'_>) {
    // SAFETY: the caller's promise.
    unsafe { dots::<true>(dtype, weights, x, columns, first, sink) }
}

#[inline(always)]
unsafe fn dots<const FMA: bool>(
    dtype: DType,
    weights: &[u8],
    x: &[f32],
    columns: usize,
    first: usize,
    sink: &Sink<'_>,
) {
    let bytes = dtype.block_bytes();
    let mut wide = [0.0f32; WIDEN];
    for (o, weights) in weights.chunks_exact(columns * bytes).enumerate() {
        let mut sums = [0.0f32; GEMM_ROWS];
        for (i, weights) in weights.chunks(WIDEN * bytes).enumerate() {
            let wide = &mut wide[..weights.len() / bytes];
            let weights = match single(dtype, weights) {
                Some(floats) => floats,
                #[cfg(target_arch = "x86_64")]
                None if FMA && dtype == DType::F16 => {
                    // SAFETY: `FMA` is set only by the caller that is compiled for these sets.
                    unsafe { widen_f16(weights, wide) };
                    &*wide
                }
                None => {
                    widen(dtype, weights, wide);
                    &*wide
                }
            };
            for (sum, x) in sums.iter_mut().zip(x.chunks_exact(columns)) {
                *sum += math::dot::<FMA>(weights, &x[i * WIDEN..]);
            }
        }
        for (row, &sum) in sums[..x.len() / columns].iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { sink.put(row, first + o, &[sum]) };
        }
    }
}

/// # Safety
/// As [`product`].
unsafe fn matrix(dtype: DType, weights: &[u8], x: &[f32], columns: usize, first: usize, sink: &Sink<'_>) {
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
            for (rows, outputs, columns) in
                [(1, 1, 1), (1, 3, 17), (2, 5, 513), (3, 17, 200), (4, 9, 33), (17, 65, 1030)]
            {
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
                            unsafe { product(isa, dtype, &shifted[shift..], &x, columns, 0, &sink) };
                        }
                        assert_close(&out, &want, 1e-4);
                    }
                }
            }
        }
    }
}
