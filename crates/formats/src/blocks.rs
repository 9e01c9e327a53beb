//! Layouts of quantised blocks, as GGUF files store them (and as ggml defines them).
//!
//! Every struct is plain old data of alignment 1, so that file bytes can be viewed as blocks at any offset with
//! `bytemuck::try_cast_slice`. Halves are kept as little-endian byte pairs; [`half`] reads one.
//!
//! In the prose below `q[i]` is the stored integer of element `i`, before scale and offset.

use bytemuck::{Pod, Zeroable};

/// Elements in a block of the simple types (`Q4_0` … `Q8_0`).
pub const SIMPLE: usize = 32;
/// Elements in a block of the `K` types.
pub const SUPER: usize = 256;

/// Reads a half-precision number from its two little-endian bytes.
#[inline]
pub fn half(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32()
}

/// `x = d * q`, `q` in -128..=127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ8_0 {
    /// Scale, f16.
    pub d: [u8; 2],
    /// One signed byte an element.
    pub qs: [i8; 32],
}

/// `x = d * (q - 8)`, `q` in 0..=15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_0 {
    /// Scale, f16.
    pub d: [u8; 2],
    /// Byte `i` holds `q[i]` in its low four bits and `q[i + 16]` in its high four.
    pub qs: [u8; 16],
}

/// `x = d * q + m`, `q` in 0..=15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_1 {
    /// Scale, f16.
    pub d: [u8; 2],
    /// Minimum, f16.
    pub m: [u8; 2],
    /// As in [`BlockQ4_0`].
    pub qs: [u8; 16],
}

/// `x = d * (q - 16)`, `q` in 0..=31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_0 {
    /// Scale, f16.
    pub d: [u8; 2],
    /// Little-endian u32; bit `i` is the fifth bit of `q[i]`.
    pub qh: [u8; 4],
    /// The low four bits, as in [`BlockQ4_0`].
    pub qs: [u8; 16],
}

/// `x = d * q + m`, `q` in 0..=31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_1 {
    /// Scale, f16.
    pub d: [u8; 2],
    /// Minimum, f16.
    pub m: [u8; 2],
    /// As in [`BlockQ5_0`].
    pub qh: [u8; 4],
    /// The low four bits, as in [`BlockQ4_0`].
    pub qs: [u8; 16],
}

/// `x = d * scale * q - dmin * min`, `q` in 0..=3, a scale and a minimum for every 16 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ2K {
    /// For each group of 16: the scale in the low four bits, the minimum in the high four.
    pub scales: [u8; 16],
    /// Each run of 32 bytes holds 128 elements: element `32 * k + i` of them in bits `2k` of byte `i`.
    pub qs: [u8; 64],
    /// Scale of the scales, f16.
    pub d: [u8; 2],
    /// Scale of the minima, f16.
    pub dmin: [u8; 2],
}

/// `x = d * (scale - 32) * (q - 4)`, `q` in 0..=7, a scale for every 16 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ3K {
    /// Bit `k` of byte `i` is the third bit of `q[32 * k + i]`.
    pub hmask: [u8; 32],
    /// The low two bits, as in [`BlockQ2K`].
    pub qs: [u8; 64],
    /// Sixteen six-bit scales; [`scales_q3k`] unpacks them.
    pub scales: [u8; 12],
    /// Scale of the scales, f16.
    pub d: [u8; 2],
}

/// `x = d * scale * q - dmin * min`, `q` in 0..=15, a scale and a minimum for every 32 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4K {
    /// Scale of the scales, f16.
    pub d: [u8; 2],
    /// Scale of the minima, f16.
    pub dmin: [u8; 2],
    /// Eight six-bit scales and eight six-bit minima; [`scales_q4k`] unpacks them.
    pub scales: [u8; 12],
    /// Each run of 32 bytes holds 64 elements: the first 32 in the low four bits, the next 32 in the high four.
    pub qs: [u8; 128],
}

/// `x = d * scale * q - dmin * min`, `q` in 0..=31, a scale and a minimum for every 32 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5K {
    /// Scale of the scales, f16.
    pub d: [u8; 2],
    /// Scale of the minima, f16.
    pub dmin: [u8; 2],
    /// As in [`BlockQ4K`].
    pub scales: [u8; 12],
    /// Bit `k` of byte `i` is the fifth bit of `q[32 * k + i]`.
    pub qh: [u8; 32],
    /// The low four bits, as in [`BlockQ4K`].
    pub qs: [u8; 128],
}

/// `x = d * scale * (q - 32)`, `q` in 0..=63, a signed scale for every 16 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ6K {
    /// Each run of 64 bytes holds the low four bits of 128 elements: the first 64 in the low halves of the
    /// bytes, the next 64 in the high halves.
    pub ql: [u8; 128],
    /// Each run of 32 bytes holds the upper two bits of 128 elements, as in [`BlockQ2K::qs`].
    pub qh: [u8; 64],
    /// Scales.
    pub scales: [i8; 16],
    /// Scale of the scales, f16.
    pub d: [u8; 2],
}

/// The sixteen scales of a [`BlockQ3K`], offset removed: each in -32..=31.
///
/// The low four bits of scales 0–7 are the low halves of bytes 0–7, those of scales 8–15 the high halves; the
/// upper two bits of scale `4k + i` are bits `2k` of byte `8 + i`.
#[inline]
pub fn scales_q3k(packed: &[u8; 12]) -> [i8; 16] {
    std::array::from_fn(|i| {
        let low = if i < 8 { packed[i] & 15 } else { packed[i - 8] >> 4 };
        let high = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
        (low | high << 4) as i8 - 32
    })
}

/// The eight scales and eight minima of a [`BlockQ4K`] or [`BlockQ5K`], each in 0..=63.
///
/// Scales and minima 0–3 are the low six bits of bytes 0–3 and 4–7. Those of 4–7 have their low four bits in
/// the halves of bytes 8–11, and their upper two in the top bits of bytes 0–3 and 4–7.
#[inline]
pub fn scales_q4k(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let scale = |i: usize| match i {
        0..4 => packed[i] & 63,
        _ => packed[i + 4] & 15 | packed[i - 4] >> 6 << 4,
    };
    let min = |i: usize| match i {
        0..4 => packed[i + 4] & 63,
        _ => packed[i + 4] >> 4 | packed[i] >> 6 << 4,
    };
    (std::array::from_fn(scale), std::array::from_fn(min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn structs_have_the_sizes_that_files_have() {
        fn same<B: Pod>(dtype: DType) {
            assert_eq!(size_of::<B>(), dtype.block_bytes(), "{dtype}");
            assert_eq!(align_of::<B>(), 1, "{dtype}");
        }
        same::<BlockQ8_0>(DType::Q8_0);
        same::<BlockQ4_0>(DType::Q4_0);
        same::<BlockQ4_1>(DType::Q4_1);
        same::<BlockQ5_0>(DType::Q5_0);
        same::<BlockQ5_1>(DType::Q5_1);
        same::<BlockQ2K>(DType::Q2_K);
        same::<BlockQ3K>(DType::Q3_K);
        same::<BlockQ4K>(DType::Q4_K);
        same::<BlockQ5K>(DType::Q5_K);
        same::<BlockQ6K>(DType::Q6_K);
    }
}
