//! One row of activations with float weights, which are widened on the way. Bound by memory.

use crate::cpu::element::Element;
use crate::cpu::vector::Vector;
use half::{bf16, f16};
use sai_formats::DType;
use std::arch::x86_64::{__m256, __m512};

/// Sums in turn, which hide the latency of an addition.
const CHAINS: usize = 4;
/// Values ahead of those that are multiplied which are asked for: the processor's own prefetching alone reads less.
const AHEAD: usize = 2048;

/// As [`super::plain_dot`]. Bound by memory.
///
/// # Safety
/// As many weights as `x` has values; AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn dot_avx2(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { dot::<__m256>(dtype, weights, x) }
}

/// As [`super::plain_dot`]. Bound by memory.
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
    let mut sum = unsafe {
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
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).total()
    };
    for i in whole..x.len() {
        // SAFETY: below the length; a file may place its tensors at any byte.
        sum += unsafe { weights.add(i).read_unaligned() }.widen() * x[i];
    }
    sum
}
