//! Block types as integers with scales: what a product with bytes needs of a weight.
//!
//! Every block type of GGUF is `w = scale · q − min` over groups of 32 columns, with small integers
//! `q`, and one scale and minimum for the group or for each half of it. The offset that a type
//! subtracts from its integers (8 for `Q4_0`) is folded into `min`. So one product serves them all,
//! and a new type is one more implementation here. [`sai_formats::blocks`] says how the bits lie.

use bytemuck::Pod;
use sai_formats::blocks::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    scales_q3k, scales_q4k,
};

/// Scales and minima of a block's groups: one each a group, or two, as [`Quants::HALVES`] says.
pub(crate) struct Scales {
    pub(crate) scale: [f32; 16],
    pub(crate) min: [f32; 16],
}

/// A block type as integers.
pub(crate) trait Quants: Pod + Sync {
    /// Groups of 32 columns in a block.
    const GROUPS: usize;
    /// Scales of a group: 1, or 2 for one of each 16 columns.
    const HALVES: usize = 1;
    /// The integers are signed bytes, of which [`Quants::quants`] gives the bit patterns. Such a type
    /// has no minima. All others are unsigned.
    const SIGNED: bool = false;
    /// The largest integer's magnitude.
    const LARGEST: i32;

    /// `F16C` says whether the caller is compiled for that instruction set.
    fn scales<const F16C: bool>(&self) -> Scales;
    /// The integers of group `i`.
    fn quants(&self, i: usize) -> [u8; 32];
}

/// Half precision to single.
#[inline(always)]
fn widen<const F16C: bool>(bytes: [u8; 2]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if F16C {
        use std::arch::x86_64::{_mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtss_f32};
        // SAFETY: `F16C` is set only by callers compiled for it.
        return unsafe {
            _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(u16::from_le_bytes(bytes)))))
        };
    }
    sai_formats::blocks::half(bytes)
}

#[inline(always)]
fn one(scale: f32, min: f32) -> Scales {
    let mut scales = Scales { scale: [0.0; 16], min: [0.0; 16] };
    (scales.scale[0], scales.min[0]) = (scale, min);
    scales
}

#[inline(always)]
fn nibbles(qs: &[u8; 16]) -> [u8; 32] {
    let mut q = [0; 32];
    for i in 0..16 {
        q[i] = qs[i] & 15;
        q[i + 16] = qs[i] >> 4;
    }
    q
}

/// Nibbles with a fifth bit from bit `i` of `qh` for integer `i`.
#[inline(always)]
fn fives(qs: &[u8; 16], qh: [u8; 4]) -> [u8; 32] {
    let mut q = nibbles(qs);
    for i in 0..32 {
        let bit = qh[i / 8] & (1 << (i % 8));
        q[i] |= if bit != 0 { 16 } else { 0 };
    }
    q
}

impl Quants for BlockQ8_0 {
    const GROUPS: usize = 1;
    const SIGNED: bool = true;
    const LARGEST: i32 = 128;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        one(widen::<F16C>(self.d), 0.0)
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        bytemuck::cast(self.qs)
    }
}

impl Quants for BlockQ4_0 {
    const GROUPS: usize = 1;
    const LARGEST: i32 = 15;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        let d = widen::<F16C>(self.d);
        one(d, 8.0 * d)
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        nibbles(&self.qs)
    }
}

impl Quants for BlockQ4_1 {
    const GROUPS: usize = 1;
    const LARGEST: i32 = 15;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        one(widen::<F16C>(self.d), -widen::<F16C>(self.m))
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        nibbles(&self.qs)
    }
}

impl Quants for BlockQ5_0 {
    const GROUPS: usize = 1;
    const LARGEST: i32 = 31;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        let d = widen::<F16C>(self.d);
        one(d, 16.0 * d)
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        fives(&self.qs, self.qh)
    }
}

impl Quants for BlockQ5_1 {
    const GROUPS: usize = 1;
    const LARGEST: i32 = 31;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        one(widen::<F16C>(self.d), -widen::<F16C>(self.m))
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        fives(&self.qs, self.qh)
    }
}

impl Quants for BlockQ2K {
    const GROUPS: usize = 8;
    const HALVES: usize = 2;
    const LARGEST: i32 = 3;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        let (d, dmin) = (widen::<F16C>(self.d), widen::<F16C>(self.dmin));
        let mut scales = Scales { scale: [0.0; 16], min: [0.0; 16] };
        for i in 0..16 {
            scales.scale[i] = d * f32::from(self.scales[i] & 15);
            scales.min[i] = dmin * f32::from(self.scales[i] >> 4);
        }
        scales
    }

    #[inline(always)]
    fn quants(&self, i: usize) -> [u8; 32] {
        let (run, shift) = (32 * (i / 4), 2 * (i % 4));
        let mut q = [0; 32];
        for j in 0..32 {
            q[j] = (self.qs[run + j] >> shift) & 3;
        }
        q
    }
}

impl Quants for BlockQ3K {
    const GROUPS: usize = 8;
    const HALVES: usize = 2;
    const LARGEST: i32 = 7;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        let d = widen::<F16C>(self.d);
        let packed = scales_q3k(&self.scales);
        let mut scales = Scales { scale: [0.0; 16], min: [0.0; 16] };
        for i in 0..16 {
            scales.scale[i] = d * f32::from(packed[i]);
            scales.min[i] = 4.0 * scales.scale[i];
        }
        scales
    }

    #[inline(always)]
    fn quants(&self, i: usize) -> [u8; 32] {
        let (run, shift) = (32 * (i / 4), 2 * (i % 4));
        let mut q = [0; 32];
        for j in 0..32 {
            q[j] = (self.qs[run + j] >> shift) & 3 | ((self.hmask[j] >> i) & 1) << 2;
        }
        q
    }
}

/// Scales of `Q4_K` and `Q5_K`.
#[inline(always)]
fn sixes<const F16C: bool>(d: [u8; 2], dmin: [u8; 2], packed: &[u8; 12]) -> Scales {
    let (d, dmin) = (widen::<F16C>(d), widen::<F16C>(dmin));
    let (scale, min) = scales_q4k(packed);
    let mut scales = Scales { scale: [0.0; 16], min: [0.0; 16] };
    for i in 0..8 {
        scales.scale[i] = d * f32::from(scale[i]);
        scales.min[i] = dmin * f32::from(min[i]);
    }
    scales
}

impl Quants for BlockQ4K {
    const GROUPS: usize = 8;
    const LARGEST: i32 = 15;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        sixes::<F16C>(self.d, self.dmin, &self.scales)
    }

    #[inline(always)]
    fn quants(&self, i: usize) -> [u8; 32] {
        let (run, shift) = (32 * (i / 2), 4 * (i % 2));
        let mut q = [0; 32];
        for j in 0..32 {
            q[j] = (self.qs[run + j] >> shift) & 15;
        }
        q
    }
}

impl Quants for BlockQ5K {
    const GROUPS: usize = 8;
    const LARGEST: i32 = 31;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        sixes::<F16C>(self.d, self.dmin, &self.scales)
    }

    #[inline(always)]
    fn quants(&self, i: usize) -> [u8; 32] {
        let (run, shift) = (32 * (i / 2), 4 * (i % 2));
        let mut q = [0; 32];
        for j in 0..32 {
            q[j] = (self.qs[run + j] >> shift) & 15 | ((self.qh[j] >> i) & 1) << 4;
        }
        q
    }
}

impl Quants for BlockQ6K {
    const GROUPS: usize = 8;
    const HALVES: usize = 2;
    const LARGEST: i32 = 63;

    #[inline(always)]
    fn scales<const F16C: bool>(&self) -> Scales {
        let d = widen::<F16C>(self.d);
        let mut scales = Scales { scale: [0.0; 16], min: [0.0; 16] };
        for i in 0..16 {
            scales.scale[i] = d * f32::from(self.scales[i]);
            scales.min[i] = 32.0 * scales.scale[i];
        }
        scales
    }

    #[inline(always)]
    fn quants(&self, i: usize) -> [u8; 32] {
        // Of each 128 columns the low bits of groups 0 and 1 are low nibbles, of 2 and 3 high ones.
        let (half, within) = (i / 4, i % 4);
        let (low_run, low_shift) = (64 * half + 32 * (within % 2), 4 * (within / 2));
        let (high_run, high_shift) = (32 * half, 2 * within);
        let mut q = [0; 32];
        for j in 0..32 {
            q[j] =
                (self.ql[low_run + j] >> low_shift) & 15 | ((self.qh[high_run + j] >> high_shift) & 3) << 4;
        }
        q
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::Random;
    use sai_formats::{DType, dequantize};

    /// Scale times integer minus minimum is what the format says the weight is.
    fn check<B: Quants>(dtype: DType) {
        let mut random = Random::new(7);
        for _ in 0..50 {
            let mut bytes: Vec<u8> = (0..size_of::<B>()).map(|_| random.bits() as u8).collect();
            // Exponents that a quantiser writes, no infinities: every f16 field gets a small one.
            for at in f16_fields(dtype) {
                bytes[at + 1] = bytes[at + 1] & 0x83 | 0x20;
            }
            let block: B = bytemuck::pod_read_unaligned(&bytes);
            let mut want = vec![0.0; B::GROUPS * 32];
            dequantize(dtype, &bytes, &mut want).unwrap();
            let scales = block.scales::<false>();
            for (i, want) in want.chunks(32).enumerate() {
                for (j, q) in block.quants(i).into_iter().enumerate() {
                    let q = if B::SIGNED { i32::from(q as i8) } else { i32::from(q) };
                    assert!(q.abs() <= B::LARGEST);
                    let s = i * B::HALVES + j / (32 / B::HALVES);
                    let got = scales.scale[s] * q as f32 - scales.min[s];
                    let size = scales.scale[s].abs() * B::LARGEST as f32 + scales.min[s].abs();
                    assert!((got - want[j]).abs() <= 1e-6 * size, "{dtype} {i} {j}: {got} {}", want[j]);
                }
            }
        }
    }

    fn f16_fields(dtype: DType) -> &'static [usize] {
        match dtype {
            DType::Q4_1 | DType::Q5_1 | DType::Q4_K | DType::Q5_K => &[0, 2],
            DType::Q2_K => &[80, 82],
            DType::Q3_K => &[108],
            DType::Q6_K => &[208],
            _ => &[0],
        }
    }

    #[test]
    fn integers_and_scales_are_the_weights() {
        check::<BlockQ8_0>(DType::Q8_0);
        check::<BlockQ4_0>(DType::Q4_0);
        check::<BlockQ4_1>(DType::Q4_1);
        check::<BlockQ5_0>(DType::Q5_0);
        check::<BlockQ5_1>(DType::Q5_1);
        check::<BlockQ2K>(DType::Q2_K);
        check::<BlockQ3K>(DType::Q3_K);
        check::<BlockQ4K>(DType::Q4_K);
        check::<BlockQ5K>(DType::Q5_K);
        check::<BlockQ6K>(DType::Q6_K);
    }
}
