//! One row of activations with float weights, which are widened on the way. Bound by memory: registers of 512 bits and
//! asking ahead were measured, and are slower.

use crate::cpu::element::Element;
use crate::cpu::vector::Vector;
use half::{bf16, f16};
use sai_formats::DType;

/// What it computes with.
#[cfg(target_arch = "x86_64")]
type Register = std::arch::x86_64::__m256;
#[cfg(target_arch = "aarch64")]
type Register = std::arch::aarch64::float32x4_t;

/// Sums in turn, which hide the latency of an addition.
const CHAINS: usize = 32 / Register::LANES;

/// As [`super::plain::dot`].
///
/// # Safety
/// As many weights as `x` has values; on x86-64 AVX2, FMA and F16C.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,f16c"))]
pub(super) unsafe fn dot(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        match dtype {
            DType::F16 => sum::<Register, f16>(weights, x),
            DType::BF16 => sum::<Register, bf16>(weights, x),
            _ => sum::<Register, f32>(weights, x),
        }
    }
}

/// # Safety
/// As [`dot`], with the instruction set of `V`.
#[inline(always)]
unsafe fn sum<V: Vector, T: Element>(weights: &[u8], x: &[f32]) -> f32 {
    assert_eq!(weights.len(), x.len() * size_of::<T>());
    let weights: *const T = weights.as_ptr().cast();
    let step = CHAINS * V::LANES;
    let whole = x.len() / step * step;
    // SAFETY: below the length of both.
    let mut sum = unsafe {
        let mut sums = [V::splat(0.0); CHAINS];
        for at in (0..whole).step_by(step) {
            for i in 0..CHAINS {
                let at = at + i * V::LANES;
                let x = V::load(x.as_ptr().add(at));
                sums[i] = V::widen(weights.add(at)).multiply_add(x, sums[i]);
            }
        }
        let mut width = CHAINS;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                sums[i] = sums[2 * i].add(sums[2 * i + 1]);
            }
        }
        sums[0].total()
    };
    for i in whole..x.len() {
        // SAFETY: below the length; a file may place its tensors at any byte.
        sum += unsafe { weights.add(i).read_unaligned() }.widen() * x[i];
    }
    sum
}
