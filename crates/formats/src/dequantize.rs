//! Blocks into numbers: plain Rust, bit-equal to the reference of the `gguf` Python package.
//!
//! Bit equality fixes the order of operations. Each type multiplies its scales out first (`d * scale`), then
//! multiplies by the stored integer, then adds or subtracts the minimum, each step rounded to f32.

use bytemuck::Pod;
use half::slice::HalfFloatSliceExt;

use crate::blocks::*;
use crate::{DType, Error};

/// Turns the blocks in `bytes` into numbers.
///
/// Blocks are independent, so any run of whole blocks may be handed to any thread.
///
/// # Errors
/// `bytes` are not exactly the blocks of `out.len()` elements, or `dtype` is one that sai does not compute with.
pub fn dequantize(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    if !dtype.is_known() {
        return Err(Error::Unsupported { dtype });
    }
    if dtype.bytes_for(out.len()) != Some(bytes.len()) {
        return Err(Error::Length { dtype, bytes: bytes.len(), elements: out.len() });
    }
    match dtype {
        DType::F32 => f32_values(bytes, out),
        DType::F16 => f16_values(bytes, out),
        DType::BF16 => bf16_values(bytes, out),
        DType::Q8_0 => each(bytes, out, q8_0),
        DType::Q4_0 => each(bytes, out, q4_0),
        DType::Q4_1 => each(bytes, out, q4_1),
        DType::Q5_0 => each(bytes, out, q5_0),
        DType::Q5_1 => each(bytes, out, q5_1),
        DType::Q2_K => each(bytes, out, q2_k),
        DType::Q3_K => each(bytes, out, q3_k),
        DType::Q4_K => each(bytes, out, q4_k),
        DType::Q5_K => each(bytes, out, q5_k),
        DType::Q6_K => each(bytes, out, q6_k),
        DType::Other(_) => return Err(Error::Unsupported { dtype }),
    }
    Ok(())
}

/// The numbers of the blocks in `bytes`: where those are f32 already, as they lie, and else in `room`, from
/// [`dequantize`].
///
/// # Errors
/// As `dequantize`, for the whole blocks that `elements` fill.
pub fn numbers<'a>(
    dtype: DType,
    bytes: &'a [u8],
    elements: usize,
    room: &'a mut Vec<f32>,
) -> Result<&'a [f32], Error> {
    if dtype == DType::F32
        && cfg!(target_endian = "little")
        && let Ok(values) = bytemuck::try_cast_slice(bytes)
        && values.len() == elements
    {
        return Ok(values);
    }
    room.resize(elements, 0.0);
    dequantize(dtype, bytes, room)?;
    Ok(room)
}

/// Runs `block` over all blocks. Lengths were checked by the caller.
fn each<B: Pod, const N: usize>(bytes: &[u8], out: &mut [f32], block: fn(&B, &mut [f32; N])) {
    let blocks = bytes.chunks_exact(size_of::<B>());
    for (bytes, out) in blocks.zip(out.as_chunks_mut::<N>().0) {
        block(bytemuck::from_bytes(bytes), out);
    }
}

fn f32_values(bytes: &[u8], out: &mut [f32]) {
    for (bytes, x) in bytes.as_chunks().0.iter().zip(out) {
        *x = f32::from_le_bytes(*bytes);
    }
}

fn f16_values(bytes: &[u8], out: &mut [f32]) {
    // The bytes may be unaligned for `f16`, and `half` converts eight at a time where the machine can.
    let mut halves = [half::f16::ZERO; 64];
    for (bytes, out) in bytes.chunks(2 * halves.len()).zip(out.chunks_mut(halves.len())) {
        let halves = &mut halves[..out.len()];
        for (bytes, half) in bytes.as_chunks().0.iter().zip(&mut *halves) {
            *half = half::f16::from_le_bytes(*bytes);
        }
        halves.convert_to_f32_slice(out);
    }
}

fn bf16_values(bytes: &[u8], out: &mut [f32]) {
    for (bytes, x) in bytes.as_chunks().0.iter().zip(out) {
        *x = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    }
}

/// Dequantises one block.
#[inline]
pub fn q8_0(block: &BlockQ8_0, out: &mut [f32; SIMPLE]) {
    let d = half(block.d);
    for (x, q) in out.iter_mut().zip(&block.qs) {
        *x = f32::from(*q) * d;
    }
}

/// Dequantises one block.
#[inline]
pub fn q4_0(block: &BlockQ4_0, out: &mut [f32; SIMPLE]) {
    let d = half(block.d);
    for i in 0..16 {
        out[i] = d * f32::from((block.qs[i] & 15) as i8 - 8);
        out[i + 16] = d * f32::from((block.qs[i] >> 4) as i8 - 8);
    }
}

/// Dequantises one block.
#[inline]
pub fn q4_1(block: &BlockQ4_1, out: &mut [f32; SIMPLE]) {
    let (d, m) = (half(block.d), half(block.m));
    for i in 0..16 {
        out[i] = d * f32::from(block.qs[i] & 15) + m;
        out[i + 16] = d * f32::from(block.qs[i] >> 4) + m;
    }
}

/// The five-bit integers of a `Q5_0` or `Q5_1` block, in order.
#[inline]
fn five_bits(qs: &[u8; 16], qh: [u8; 4]) -> [u8; SIMPLE] {
    let high = u32::from_le_bytes(qh);
    let mut q = [0; SIMPLE];
    for i in 0..16 {
        q[i] = (qs[i] & 15) | ((high >> i & 1) << 4) as u8;
        q[i + 16] = (qs[i] >> 4) | ((high >> (i + 16) & 1) << 4) as u8;
    }
    q
}

/// Dequantises one block.
#[inline]
pub fn q5_0(block: &BlockQ5_0, out: &mut [f32; SIMPLE]) {
    let d = half(block.d);
    for (x, q) in out.iter_mut().zip(five_bits(&block.qs, block.qh)) {
        *x = d * f32::from(q as i8 - 16);
    }
}

/// Dequantises one block.
#[inline]
pub fn q5_1(block: &BlockQ5_1, out: &mut [f32; SIMPLE]) {
    let (d, m) = (half(block.d), half(block.m));
    for (x, q) in out.iter_mut().zip(five_bits(&block.qs, block.qh)) {
        *x = d * f32::from(q) + m;
    }
}

/// Dequantises one block.
#[inline]
pub fn q2_k(block: &BlockQ2K, out: &mut [f32; SUPER]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(block.scales[group] & 15);
        let min = dmin * f32::from(block.scales[group] >> 4);
        let qs = &block.qs[group / 8 * 32 + group % 2 * 16..][..16];
        let shift = group / 2 % 4 * 2;
        for (x, q) in out.iter_mut().zip(qs) {
            *x = scale * f32::from(q >> shift & 3) - min;
        }
    }
}

/// Dequantises one block.
#[inline]
pub fn q3_k(block: &BlockQ3K, out: &mut [f32; SUPER]) {
    let d = half(block.d);
    let scales = scales_q3k(&block.scales);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(scales[group]);
        let qs = &block.qs[group / 8 * 32 + group % 2 * 16..][..16];
        let masks = &block.hmask[group % 2 * 16..][..16];
        let (shift, bit) = (group / 2 % 4 * 2, group / 2);
        for ((x, q), mask) in out.iter_mut().zip(qs).zip(masks) {
            let q = (q >> shift & 3) | (mask >> bit & 1) << 2;
            *x = scale * f32::from(q as i8 - 4);
        }
    }
}

/// Dequantises one block.
#[inline]
pub fn q4_k(block: &BlockQ4K, out: &mut [f32; SUPER]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    let (scales, mins) = scales_q4k(&block.scales);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = (d * f32::from(scales[group]), dmin * f32::from(mins[group]));
        let qs = &block.qs[group / 2 * 32..][..32];
        let shift = group % 2 * 4;
        for (x, q) in out.iter_mut().zip(qs) {
            *x = scale * f32::from(q >> shift & 15) - min;
        }
    }
}

/// Dequantises one block.
#[inline]
pub fn q5_k(block: &BlockQ5K, out: &mut [f32; SUPER]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    let (scales, mins) = scales_q4k(&block.scales);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = (d * f32::from(scales[group]), dmin * f32::from(mins[group]));
        let qs = &block.qs[group / 2 * 32..][..32];
        let shift = group % 2 * 4;
        for ((x, q), high) in out.iter_mut().zip(qs).zip(&block.qh) {
            let q = (q >> shift & 15) | (high >> group & 1) << 4;
            *x = scale * f32::from(q) - min;
        }
    }
}

/// Dequantises one block.
#[inline]
pub fn q6_k(block: &BlockQ6K, out: &mut [f32; SUPER]) {
    let d = half(block.d);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(block.scales[group]);
        // Of the eight groups of each half, the first four take the low bits of 64 bytes, the rest the high.
        let (half, group) = (group / 8, group % 8);
        let low = &block.ql[half * 64 + group % 4 * 16..][..16];
        let high = &block.qh[half * 32 + group % 2 * 16..][..16];
        let (low_shift, high_shift) = (group / 4 * 4, group / 2 * 2);
        for ((x, low), high) in out.iter_mut().zip(low).zip(high) {
            let q = (low >> low_shift & 15) | (high >> high_shift & 3) << 4;
            *x = scale * f32::from(q as i8 - 32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_agree() {
        let mut out = [0.0; 32];
        for (bytes, elements) in [(17, 32), (19, 32), (18, 31), (36, 32), (0, 32), (18, 0)] {
            let error = dequantize(DType::Q4_0, &vec![0; bytes], &mut out[..elements]).unwrap_err();
            assert!(matches!(error, Error::Length { .. }), "{error}");
        }
        assert!(dequantize(DType::Q4_0, &[], &mut []).is_ok());
        let foreign = DType::from_name("IQ4_XS").unwrap();
        assert!(matches!(dequantize(foreign, &[], &mut []), Err(Error::Unsupported { .. })));
    }
}
