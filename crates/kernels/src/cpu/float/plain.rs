//! One row of activations with float weights in plain Rust: the specification, and what processors without a form of their
//! own run.

use crate::cpu::math;
use half::slice::HalfFloatSliceExt;
use sai_formats::DType;

/// Weights widened at a time, on the stack.
const WIDEN: usize = 512;

/// One output with one row.
pub(super) fn dot(dtype: DType, weights: &[u8], x: &[f32]) -> f32 {
    let bytes = dtype.block_bytes();
    let mut wide = [0.0f32; WIDEN];
    let mut sum = 0.0;
    for (weights, x) in weights.chunks(WIDEN * bytes).zip(x.chunks(WIDEN)) {
        widen(dtype, weights, &mut wide[..x.len()]);
        sum += math::dot::<false>(&wide[..x.len()], x);
    }
    sum
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
