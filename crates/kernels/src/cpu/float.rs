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
pub(crate) const GEMM_ROWS: usize = 4;
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
            Isa::Avx2 | Isa::AvxVnni => dots(x86::dot_avx2, dtype, weights, x, columns, first, sink),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => dots(x86::dot_avx512, dtype, weights, x, columns, first, sink),
            _ => dots(dot, dtype, weights, x, columns, first, sink),
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
fn dot(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
    let bytes = dtype.block_bytes();
    let mut wide = [0.0f32; WIDEN];
    let mut sum = 0.0;
    for (weights, x) in weights.chunks(WIDEN * bytes).zip(x.chunks(WIDEN)) {
        widen(dtype, weights, &mut wide[..x.len()]);
        sum += math::dot::<false>(&wide[..x.len()], x);
    }
    sum
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::cpu::element::Element;
    use crate::cpu::vector::Vector;
    use half::{bf16, f16};
    use sai_formats::DType;
    use std::arch::x86_64::{__m256, __m512};

    /// Sums in turn, which hide the latency of an addition.
    const CHAINS: usize = 4;
    /// Values ahead of those that are multiplied which are asked for: the processor's own prefetching alone reads less.
    const AHEAD: usize = 2048;

    /// As [`super::dot`]. Bound by memory.
    ///
    /// # Safety
    /// As many weights as `x` has values; AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn dot_avx2(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { dot::<__m256>(dtype, weights, x) }
    }

    /// As [`super::dot`]. Bound by memory.
    ///
    /// # Safety
    /// As many weights as `x` has values; AVX2, FMA, F16C and AVX-512 F.
    #[target_feature(enable = "avx2,fma,f16c,avx512f")]
    pub(super) unsafe fn dot_avx512(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { dot::<__m512>(dtype, weights, x) }
    }

    /// # Safety
    /// As many weights as `x` has values, and the instruction set of `V`.
    #[inline(always)]
    unsafe fn dot<V: Vector>(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
        // SAFETY: the caller's promise.
        unsafe {
            match dtype {
                DType::F16 => sum::<V, f16>(weights, x),
                DType::BF16 => sum::<V, bf16>(weights, x),
                _ => sum::<V, f32>(weights, x),
            }
        }
    }

    /// # Safety
    /// As [`dot`].
    #[inline(always)]
    unsafe fn sum<V: Vector, T: Element>(weights: &[u8], x: &[f32]) -> f32 {
        assert_eq!(weights.len(), size_of_val(x) / size_of::<f32>() * size_of::<T>());
        let weights: *const T = weights.as_ptr().cast();
        let step = CHAINS * V::LANES;
        let whole = x.len() / step * step;
        // SAFETY: below the length of both; asking reads nothing that the program sees.
        let chains = unsafe {
            let mut sums = [V::splat(0.0); CHAINS];
            for at in (0..whole).step_by(step) {
                for line in (0..step * size_of::<T>()).step_by(64) {
                    V::prefetch(weights.wrapping_add(at).wrapping_byte_add(AHEAD + line).cast());
                }
                for i in 0..CHAINS {
                    let at = at + i * V::LANES;
                    let x = V::load(x.as_ptr().add(at));
                    sums[i] = V::widen(weights.add(at)).multiply_add(x, sums[i]);
                }
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3]))
        };
        let mut lanes = [0.0f32; 16];
        // SAFETY: a register has at most sixteen floats.
        unsafe { chains.store(lanes.as_mut_ptr()) };
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        let mut sum = lanes[0];
        for i in whole..x.len() {
            // SAFETY: below the length; a file may place its tensors at any byte.
            sum += unsafe { weights.add(i).read_unaligned() }.widen() * x[i];
        }
        sum
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
