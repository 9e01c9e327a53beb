//! Every block type against what the `gguf` Python package makes of the same bytes, bit for bit.

mod common;

use sai_formats::{DType, Tensors, blocks, dequantize, safetensors};

fn golden() -> Tensors {
    safetensors::open(&common::fixture("dequantize.safetensors")).unwrap()
}

fn pair(golden: &Tensors, dtype: DType) -> (Vec<u8>, Vec<f32>) {
    let blocks = golden.get(&format!("{dtype}.blocks")).unwrap();
    let values = golden.get(&format!("{dtype}.values")).unwrap();
    (blocks.data.to_vec(), values.data.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
}

#[track_caller]
fn assert_same_bits(dtype: DType, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{dtype}");
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{dtype}[{i}]: {a:e} instead of {b:e}");
    }
}

#[test]
fn every_type_is_bit_equal() {
    let golden = golden();
    for dtype in DType::KNOWN {
        let (bytes, expected) = pair(&golden, dtype);
        let mut out = vec![f32::NAN; expected.len()];
        dequantize(dtype, &bytes, &mut out).unwrap();
        assert_same_bits(dtype, &out, &expected);
    }
}

#[test]
fn alignment_and_length_do_not_matter() {
    let golden = golden();
    for dtype in DType::KNOWN {
        let (bytes, expected) = pair(&golden, dtype);
        for blocks in [0, 1, 3, 7, 15] {
            let mut shifted = vec![0xff];
            shifted.extend(&bytes[..blocks * dtype.block_bytes()]);
            let mut out = vec![f32::NAN; blocks * dtype.block_len()];
            dequantize(dtype, &shifted[1..], &mut out).unwrap();
            assert_same_bits(dtype, &out, &expected[..out.len()]);
        }
    }
}

#[test]
fn single_blocks_view_the_bytes() {
    let (bytes, expected) = pair(&golden(), DType::Q4_K);
    let viewed: &[blocks::BlockQ4K] = bytemuck::try_cast_slice(&bytes).unwrap();
    for (block, expected) in viewed.iter().zip(expected.chunks(blocks::SUPER)) {
        let mut out = [0.0; blocks::SUPER];
        sai_formats::q4_k(block, &mut out);
        assert_same_bits(DType::Q4_K, &out, expected);
    }
}
