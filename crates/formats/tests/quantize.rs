//! Quantisers: how much of the numbers comes back, beside the `gguf` Python package's and on data that is hard.

mod common;

use proptest::prelude::*;
use sai_formats::{DType, Error, dequantize, quantize, safetensors};

const BLOCKS: [DType; 10] = [
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q2_K,
    DType::Q3_K,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
];

/// What reading the blocks of `values` gives.
#[track_caller]
fn round_trip(dtype: DType, values: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let mut bytes = vec![0xaa; dtype.bytes_for(values.len()).unwrap()];
    quantize(dtype, values, importance, &mut bytes).unwrap();
    read(dtype, &bytes, values.len())
}

fn read(dtype: DType, bytes: &[u8], elements: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; elements];
    dequantize(dtype, bytes, &mut out).unwrap();
    out
}

/// The squared error of each number of `back`.
fn squares(values: &[f32], back: &[f32]) -> Vec<f64> {
    values.iter().zip(back).map(|(a, b)| f64::from(a - b).powi(2)).collect()
}

fn squared_error(values: &[f32], back: &[f32]) -> f64 {
    squares(values, back).iter().sum()
}

/// What the searches make least: in each block errors weigh by `x²` plus the block's mean of it, and the weights of a
/// block have a mean of one.
fn weighted_error(values: &[f32], back: &[f32], block: usize) -> f64 {
    let mut sum = 0.0;
    for (values, errors) in values.chunks(block).zip(squares(values, back).chunks(block)) {
        let mean = values.iter().map(|x| f64::from(x * x)).sum::<f64>() / block as f64;
        let weigh = |(x, error): (&f32, &f64)| error * (1.0 + f64::from(x.abs()) / mean.sqrt().max(1e-30));
        sum += values.iter().zip(errors).map(weigh).sum::<f64>();
    }
    sum
}

/// Normal numbers: sums of twelve from SplitMix64.
fn normals(count: usize, mut state: u64) -> Vec<f32> {
    let mut uniform = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}

/// The squared error of normal numbers, relative to their squares, that each type stays below.
fn bound(dtype: DType) -> f64 {
    match dtype {
        DType::Q8_0 => 3.2e-5,
        DType::Q4_0 => 7.8e-3,
        DType::Q4_1 => 5.9e-3,
        DType::Q5_0 => 1.9e-3,
        DType::Q5_1 => 1.4e-3,
        DType::Q2_K => 8.0e-2,
        DType::Q3_K => 2.4e-2,
        DType::Q4_K => 5.9e-3,
        DType::Q5_K => 1.4e-3,
        DType::Q6_K => 3.4e-4,
        _ => 0.0,
    }
}

#[test]
fn error_is_no_more_than_the_reference_packages() {
    let golden = safetensors::open(&common::fixture("quantize.safetensors")).unwrap();
    let values = golden.get("values").unwrap();
    let (columns, all) = (values.columns(), values.to_f32().unwrap());
    for dtype in [DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1] {
        let theirs = read(dtype, &golden.get(&format!("{dtype}.blocks")).unwrap().data, all.len());
        let ours = round_trip(dtype, &all, None);
        for (i, row) in all.chunks(columns).enumerate() {
            let at = i * columns..(i + 1) * columns;
            let error = |back: &[f32]| weighted_error(row, &back[at.clone()], dtype.block_len());
            let (ours, theirs) = (error(&ours), error(&theirs));
            // Which way a half rounds is chance.
            let rounding = error(&vec![0.0; all.len()]) / f64::from(1 << 22);
            // Nothing is searched for eight bits: the same integers, but for those that lie between two.
            let most = if dtype == DType::Q8_0 { 1.02 * theirs } else { theirs };
            assert!(ours <= most + rounding, "{dtype}, row {i}: {ours:e} against {theirs:e}");
        }
    }
}

#[test]
fn halves_are_bit_equal_to_the_reference_packages() {
    let golden = safetensors::open(&common::fixture("quantize.safetensors")).unwrap();
    let values = golden.get("values").unwrap().to_f32().unwrap();
    for dtype in [DType::F16, DType::BF16] {
        let mut bytes = vec![0; 2 * values.len()];
        quantize(dtype, &values, None, &mut bytes).unwrap();
        assert!(bytes == golden.get(&format!("{dtype}.blocks")).unwrap().data[..], "{dtype}");
    }
}

#[test]
fn normal_numbers_come_back_within_bounds() {
    let values = normals(96 * 256, 1);
    let size: f64 = values.iter().map(|x| f64::from(x * x)).sum();
    for dtype in BLOCKS {
        for scale in [1.0, 1e-2, 3e3] {
            let scaled: Vec<f32> = values.iter().map(|x| x * scale).collect();
            let error = squared_error(&scaled, &round_trip(dtype, &scaled, None));
            let relative = error / size / f64::from(scale).powi(2);
            assert!(relative <= bound(dtype), "{dtype} at {scale}: {relative:e}");
        }
    }
}

#[test]
fn any_number_of_blocks() {
    let values = normals(19 * 256, 2);
    for dtype in BLOCKS {
        let whole = round_trip(dtype, &values, None);
        for blocks in [1, 2, 3, 7, 8, 9, 17, 18, 19] {
            let elements = blocks * dtype.block_len();
            // Every block is what it is among any others.
            assert_eq!(round_trip(dtype, &values[..elements], None), whole[..elements], "{dtype}, {blocks}");
        }
        assert!(quantize(dtype, &[], None, &mut []).is_ok());
    }
}

#[test]
fn plain_data_is_kept() {
    for dtype in BLOCKS {
        assert!(round_trip(dtype, &[0.0; 512], None).iter().all(|x| *x == 0.0), "{dtype}: zeros");
        assert!(round_trip(dtype, &[-0.0; 512], None).iter().all(|x| *x == 0.0), "{dtype}: negative zeros");
        for constant in [0.75, -0.75, 0.25, 60_000.0, -60_000.0] {
            for x in round_trip(dtype, &[constant; 512], None) {
                assert!((x / constant - 1.0).abs() <= 1.0 / 256.0, "{dtype}: {x} in place of {constant}");
            }
        }
        // Too small for any f16: zeros, or the least that there is.
        for x in round_trip(dtype, &[1e-20; 512], None) {
            assert!(x.abs() <= 2.0 * f32::from(half::f16::from_bits(1)), "{dtype}: {x}");
        }
    }
}

#[test]
fn one_large_weight_is_kept() {
    for dtype in BLOCKS {
        let mut values = normals(256, 3);
        values[100] = 900.0;
        let back = round_trip(dtype, &values, None);
        assert!((back[100] / 900.0 - 1.0).abs() < 0.05, "{dtype}: {}", back[100]);
    }
}

#[test]
fn importance_moves_the_error_to_where_it_matters_less() {
    let columns = 512;
    let values = normals(24 * columns, 4);
    let importance: Vec<f32> = (0..columns).map(|i| if i % 5 == 0 { 20.0 } else { 0.5 }).collect();
    let weighted = |back: &[f32]| -> f64 {
        let squares = values.iter().zip(back).map(|(a, b)| f64::from(a - b).powi(2));
        squares.enumerate().map(|(i, square)| square * f64::from(importance[i % columns])).sum()
    };
    for dtype in BLOCKS {
        let (with, without) =
            (round_trip(dtype, &values, Some(&importance)), round_trip(dtype, &values, None));
        // Eight bits have no choice.
        let share = if dtype == DType::Q8_0 { 1.0 } else { 0.95 };
        assert!(weighted(&with) <= share * weighted(&without), "{dtype}");
        // Only the proportions count, and a row without any importance is one like all others.
        let larger: Vec<f32> = importance.iter().map(|x| x * 1024.0).collect();
        assert_eq!(round_trip(dtype, &values, Some(&larger)), with, "{dtype}");
        assert_eq!(round_trip(dtype, &values, Some(&vec![0.0; columns])), without, "{dtype}");
    }
}

#[test]
fn what_a_type_cannot_hold_is_refused() {
    for dtype in DType::KNOWN {
        for wrong in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [0.5; 512];
            values[300] = wrong;
            let mut out = vec![0; dtype.bytes_for(512).unwrap()];
            match quantize(dtype, &values, None, &mut out).unwrap_err() {
                Error::CannotHold { element: 300, dtype: named, .. } => assert_eq!(named, dtype),
                error => panic!("{dtype}: {error}"),
            }
        }
        let far = quantize(dtype, &[65_505.0; 256], None, &mut vec![0; dtype.bytes_for(256).unwrap()]);
        assert_eq!(far.is_ok(), matches!(dtype, DType::F32 | DType::BF16), "{dtype}");
    }
    let mut out = [0; 34];
    let error = quantize(DType::Q8_0, &[f32::NAN; 32], None, &mut out).unwrap_err().to_string();
    assert_eq!(
        error,
        "element 0 is NaN, which Q8_0 cannot hold; the training that made it went wrong, or the file is damaged; \
         take another checkpoint"
    );
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let mut out = [0; 68];
    assert!(matches!(quantize(DType::Q8_0, &[0.0; 32], None, &mut out), Err(Error::Length { .. })));
    assert!(matches!(quantize(DType::Q8_0, &[0.0; 33], None, &mut out), Err(Error::Length { .. })));
    let foreign = DType::from_name("IQ4_NL").unwrap();
    assert!(matches!(quantize(foreign, &[0.0; 32], None, &mut out), Err(Error::Unsupported { .. })));
    for columns in [0, 48, 128] {
        let row = vec![1.0; columns];
        let error = quantize(DType::Q8_0, &[0.0; 64], Some(&row), &mut out).unwrap_err();
        assert!(matches!(error, Error::Importance { .. }), "{columns}: {error}");
    }
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        assert!(quantize(DType::Q8_0, &[0.0; 64], Some(&[wrong; 64]), &mut out).is_err(), "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any bits at all: refused, or turned into blocks that read as finite numbers of about the same size.
    #[test]
    fn any_bits(bits in prop::collection::vec(any::<u32>(), 256), exponent in 0u32..255, kind in 0..BLOCKS.len()) {
        let dtype = BLOCKS[kind];
        // Half of the cases are of one exponent, or of zeros among others, which random bits seldom are.
        let one = |b: &u32| f32::from_bits(if exponent % 2 == 0 { *b } else { b & 0x807f_ffff | exponent << 23 });
        let values: Vec<f32> = bits.iter().map(one).collect();
        let mut bytes = vec![0; dtype.bytes_for(256).unwrap()];
        let fits = values.iter().all(|x| x.abs() <= 65_504.0);
        prop_assert_eq!(quantize(dtype, &values, None, &mut bytes).is_ok(), fits);
        if fits {
            let largest = values.iter().fold(0f32, |a, x| a.max(x.abs()));
            for x in read(dtype, &bytes, 256) {
                prop_assert!(x.is_finite() && x.abs() <= 2.0 * largest + 1e-5, "{}: {} of {}", dtype, x, largest);
            }
        }
    }
}
