//! Block types as integers with scales: what a tile is packed from.
//!
//! Every block type of GGUF is small integers `q` in groups of 32 columns with a scale and an offset or minimum
//! for the group or for each half of it, which in the K types are themselves small integers times a half of
//! the block. So one packing and one product serve them all, and a new type is one more implementation
//! here. [`sai_formats::blocks`] says how the bits lie.

use bytemuck::Pod;
use sai_formats::blocks::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    scales_q3k, scales_q4k,
};

/// What a weight is, given its integer `q` and the scales of its block and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scaling {
    /// `d · (q − offset)`
    Offset(u8),
    /// `d · q + m`
    Min,
    /// `d · scale · q − dmin · min`
    ScaledMin,
    /// `d · scale · (q − offset)`, where scales are signed.
    ScaledOffset(u8),
}

/// The integers that scale a block's groups: one of each a group, or two, as [`Quants::HALVES`] says.
/// Signed ones as their bit patterns.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) scale: [u8; 16],
    pub(crate) min: [u8; 16],
}

/// A block type as integers.
pub(crate) trait Quants: Pod + Send + Sync {
    /// Groups of 32 columns in a block.
    const GROUPS: usize = 8;
    /// Scales of a group: 1, or 2 for one of each 16 columns.
    const HALVES: usize = 1;
    /// Bits of an integer: in the lower plane of a tile, and in the upper.
    const BITS: [u32; 2];
    /// The integers are signed, and [`Quants::quants`] gives their bit patterns.
    const SIGNED: bool = false;
    /// How integers become weights.
    const SCALING: Scaling;
    /// The largest integer's magnitude.
    #[cfg(any(target_arch = "x86_64", test))]
    const LARGEST: i32 = if Self::SIGNED { 128 } else { (1 << (Self::BITS[0] + Self::BITS[1])) - 1 };

    /// `d`, and `m` or `dmin` where the type has one, in half precision.
    fn halves(&self) -> [[u8; 2]; 2];
    /// Scales and minima of the groups of a K type.
    fn steps(&self) -> Steps {
        Steps::default()
    }
    /// The integers of group `i`.
    fn quants(&self, i: usize) -> [u8; 32];
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
    const BITS: [u32; 2] = [8, 0];
    const SIGNED: bool = true;
    const SCALING: Scaling = Scaling::Offset(0);

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, [0; 2]]
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        bytemuck::cast(self.qs)
    }
}

impl Quants for BlockQ4_0 {
    const GROUPS: usize = 1;
    const BITS: [u32; 2] = [4, 0];
    const SCALING: Scaling = Scaling::Offset(8);

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, [0; 2]]
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        nibbles(&self.qs)
    }
}

impl Quants for BlockQ4_1 {
    const GROUPS: usize = 1;
    const BITS: [u32; 2] = [4, 0];
    const SCALING: Scaling = Scaling::Min;

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, self.m]
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        nibbles(&self.qs)
    }
}

impl Quants for BlockQ5_0 {
    const GROUPS: usize = 1;
    const BITS: [u32; 2] = [4, 1];
    const SCALING: Scaling = Scaling::Offset(16);

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, [0; 2]]
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        fives(&self.qs, self.qh)
    }
}

impl Quants for BlockQ5_1 {
    const GROUPS: usize = 1;
    const BITS: [u32; 2] = [4, 1];
    const SCALING: Scaling = Scaling::Min;

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, self.m]
    }

    #[inline(always)]
    fn quants(&self, _: usize) -> [u8; 32] {
        fives(&self.qs, self.qh)
    }
}

impl Quants for BlockQ2K {
    const HALVES: usize = 2;
    const BITS: [u32; 2] = [2, 0];
    const SCALING: Scaling = Scaling::ScaledMin;

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, self.dmin]
    }

    #[inline(always)]
    fn steps(&self) -> Steps {
        Steps { scale: self.scales.map(|s| s & 15), min: self.scales.map(|s| s >> 4) }
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
    const HALVES: usize = 2;
    const BITS: [u32; 2] = [2, 1];
    const SCALING: Scaling = Scaling::ScaledOffset(4);

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, [0; 2]]
    }

    #[inline(always)]
    fn steps(&self) -> Steps {
        Steps { scale: scales_q3k(&self.scales).map(|s| s as u8), ..Steps::default() }
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

/// Scales and minima of `Q4_K` and `Q5_K`.
#[inline(always)]
fn sixes(packed: &[u8; 12]) -> Steps {
    let (scale, min) = scales_q4k(packed);
    let mut steps = Steps::default();
    steps.scale[..8].copy_from_slice(&scale);
    steps.min[..8].copy_from_slice(&min);
    steps
}

impl Quants for BlockQ4K {
    const BITS: [u32; 2] = [4, 0];
    const SCALING: Scaling = Scaling::ScaledMin;

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, self.dmin]
    }

    #[inline(always)]
    fn steps(&self) -> Steps {
        sixes(&self.scales)
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
    const BITS: [u32; 2] = [4, 1];
    const SCALING: Scaling = Scaling::ScaledMin;

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, self.dmin]
    }

    #[inline(always)]
    fn steps(&self) -> Steps {
        sixes(&self.scales)
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
    const HALVES: usize = 2;
    const BITS: [u32; 2] = [4, 2];
    const SCALING: Scaling = Scaling::ScaledOffset(32);

    #[inline(always)]
    fn halves(&self) -> [[u8; 2]; 2] {
        [self.d, [0; 2]]
    }

    #[inline(always)]
    fn steps(&self) -> Steps {
        Steps { scale: self.scales.map(|s| s as u8), ..Steps::default() }
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
    use sai_formats::blocks::half;
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
            let (halves, steps) = (block.halves().map(half), block.steps());
            for (i, want) in want.chunks(32).enumerate() {
                for (j, q) in block.quants(i).into_iter().enumerate() {
                    let q = if B::SIGNED { i32::from(q as i8) } else { i32::from(q) };
                    assert!(q.abs() <= B::LARGEST);
                    let s = i * B::HALVES + j / (32 / B::HALVES);
                    let (scale, min) = match B::SCALING {
                        Scaling::Offset(offset) => (halves[0], halves[0] * f32::from(offset)),
                        Scaling::Min => (halves[0], -halves[1]),
                        Scaling::ScaledMin => {
                            (halves[0] * f32::from(steps.scale[s]), halves[1] * f32::from(steps.min[s]))
                        }
                        Scaling::ScaledOffset(offset) => {
                            let scale = halves[0] * f32::from(steps.scale[s] as i8);
                            (scale, scale * f32::from(offset))
                        }
                    };
                    let got = scale * q as f32 - min;
                    let size = scale.abs() * B::LARGEST as f32 + min.abs();
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
