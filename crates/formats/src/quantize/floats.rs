//! Plain floats: rounded to the nearest, ties to even.

use half::slice::HalfFloatSliceExt;

pub(super) fn f32_bytes(values: &[f32], out: &mut [u8]) {
    for (x, bytes) in values.iter().zip(out.as_chunks_mut().0) {
        *bytes = x.to_le_bytes();
    }
}

pub(super) fn f16_bytes(values: &[f32], out: &mut [u8]) {
    // The bytes may be unaligned for `f16`, and `half` converts eight at a time where the machine can.
    let mut halves = [half::f16::ZERO; 64];
    for (values, out) in values.chunks(halves.len()).zip(out.chunks_mut(2 * halves.len())) {
        let halves = &mut halves[..values.len()];
        halves.convert_from_f32_slice(values);
        for (half, bytes) in halves.iter().zip(out.as_chunks_mut().0) {
            *bytes = half.to_le_bytes();
        }
    }
}

#[inline(always)]
pub(super) fn bf16_bytes(values: &[f32], out: &mut [u8]) {
    for (x, bytes) in values.iter().zip(out.as_chunks_mut().0) {
        // Half of the last kept place, less a bit where that is even; values are finite.
        let bits = x.to_bits();
        *bytes = (((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16).to_le_bytes();
    }
}
