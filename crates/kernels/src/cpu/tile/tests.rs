use super::*;
use crate::cpu::testing::Random;
use sai_formats::blocks::*;
use sai_formats::{DType, dequantize};

/// In double precision from the dequantised weights and activations; also the size of the terms.
fn reference(weights: &[f32], x: &Activations, row: usize) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for (i, &w) in weights.iter().enumerate() {
        let x = x.get(row, i / GROUP);
        let term = f64::from(w) * f64::from(x.quants[i % GROUP]) * f64::from(x.scale);
        sum = (sum.0 + term, sum.1 + term.abs());
    }
    sum
}

/// Random blocks of `dtype`, whose halves are of a size that a quantiser writes.
fn blocks<B: Quants>(random: &mut Random, n: usize) -> (Vec<u8>, Vec<B>) {
    let mut bytes: Vec<u8> = (0..n * size_of::<B>()).map(|_| random.bits() as u8).collect();
    for block in bytes.chunks_exact_mut(size_of::<B>()) {
        // Any f16 field may be at either end; small exponents keep the sums in range.
        for at in [1, 3, block.len() - 1, block.len() - 3] {
            block[at] = block[at] & 0x83 | 0x20;
        }
    }
    let blocks = bytes.chunks_exact(size_of::<B>()).map(bytemuck::pod_read_unaligned).collect();
    (bytes, blocks)
}

fn check<B: Quants>(dtype: DType) {
    let mut random = Random::new(11);
    let pool = Pool::new(2);
    let shapes =
        [(1, 1, 8), (1, 17, 16), (2, 3, 8), (3, 16, 8), (5, 9, 24), (32, 15, 8), (33, 33, 8), (70, 18, 16)];
    for (rows, outputs, groups) in shapes {
        let columns = groups * GROUP;
        let (bytes, weights) = blocks::<B>(&mut random, outputs * groups / B::GROUPS);
        let mut floats = vec![0.0; outputs * columns];
        dequantize(dtype, &bytes, &mut floats).unwrap();

        // The largest bytes of either sign, so that a sum that overflows 16 bits shows.
        let values: Vec<f32> = match random.bits() % 3 {
            0 => vec![1.0; rows * columns],
            1 => vec![-1.0; rows * columns],
            _ => random.normals(rows * columns),
        };
        for isa in Isa::available() {
            let mut x = Activations::default();
            x.quantize(isa, &pool, &values, columns);
            let bias = random.normals(outputs + 2);
            let mut out = vec![0.5; rows * (outputs + 2)];
            {
                let out = Disjoint::new(&mut out);
                let sink = Sink { out: &out, stride: outputs + 2, bias: Some(&bias), add: true };
                let tiles = Tiles::pack(isa, &pool, &weights, outputs).unwrap();
                // SAFETY: a single task.
                unsafe { tiles.product(0..outputs.div_ceil(TILE), &x, 1, &sink) };
            }
            for row in 0..rows {
                assert_eq!(out[row * (outputs + 2)], 0.5);
                assert_eq!(out[(row + 1) * (outputs + 2) - 1], 0.5);
                for o in 0..outputs {
                    let (want, size) = reference(&floats[o * columns..][..columns], &x, row);
                    let want = want + f64::from(bias[o + 1]) + 0.5;
                    let got = f64::from(out[row * (outputs + 2) + 1 + o]);
                    let bound = 4e-6 * size + 1e-6;
                    assert!((got - want).abs() <= bound, "{dtype} {isa:?} {rows} {outputs}: {got} {want}");
                }
            }
        }
    }
}

#[test]
fn every_path_is_the_reference() {
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

/// One row and many go the same way, so that decoding continues exactly what prefill began.
fn check_alone<B: Quants>() {
    let mut random = Random::new(12);
    let pool = Pool::new(1);
    let (rows, outputs, columns) = (37, 20, 512);
    let (_, weights) = blocks::<B>(&mut random, outputs * columns / (GROUP * B::GROUPS));
    let values = random.normals(rows * columns);
    for isa in Isa::available() {
        let tiles = Tiles::pack(isa, &pool, &weights, outputs).unwrap();
        let product = |values: &[f32]| {
            let mut x = Activations::default();
            x.quantize(isa, &pool, values, columns);
            let mut out = vec![0.0; values.len() / columns * outputs];
            let out_parts = Disjoint::new(&mut out);
            let sink = Sink { out: &out_parts, stride: outputs, bias: None, add: false };
            // SAFETY: a single task.
            unsafe { tiles.product(0..2, &x, 0, &sink) };
            out
        };
        let together = product(&values);
        let alone: Vec<f32> = values.chunks(columns).flat_map(product).collect();
        assert_eq!(together, alone);
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    check_alone::<BlockQ8_0>();
    check_alone::<BlockQ4_0>();
    check_alone::<BlockQ4_1>();
    check_alone::<BlockQ5_1>();
    check_alone::<BlockQ2K>();
    check_alone::<BlockQ3K>();
    check_alone::<BlockQ4K>();
    check_alone::<BlockQ6K>();
}
