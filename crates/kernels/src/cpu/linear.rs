//! `y = x · wᵀ + b` for a matrix of any types, its outputs shared out among the threads.

use super::activations::Activations;
use super::disjoint::Disjoint;
use super::isa::Isa;
use super::matrix::{Matrix, Weights};
use super::pool::Pool;
use super::sink::Sink;
use super::tile::TILE;
use super::{Buffer, float};
use std::ops::Range;

/// Rows as products need them, kept between calls.
#[derive(Default)]
pub(crate) struct Scratch {
    quantized: Activations,
    packed: float::Rows,
}

/// Multiplies the rows of `x`; sets or, where `add` is true, adds to `out`.
pub(crate) fn linear(
    isa: Isa,
    pool: &Pool,
    scratch: &mut Scratch,
    x: &Buffer,
    w: &Matrix,
    bias: Option<&Buffer>,
    add: bool,
    out: &mut Buffer,
) {
    assert_eq!(x.columns, w.inputs(), "activations of another width than the matrix");
    if add {
        assert_eq!((out.rows, out.columns), (x.rows, w.outputs()), "a sum of another shape");
    } else {
        out.shape(x.rows, w.outputs());
    }
    if x.rows == 0 {
        return;
    }
    if w.parts.iter().any(|part| matches!(part.weights, Weights::Tiles(_))) {
        scratch.quantized.quantize(isa, pool, &x.values, x.columns);
    }
    let floats = w.parts.iter().any(|part| matches!(part.weights, Weights::Floats { .. }));
    if floats && x.rows >= float::PACKED_ROWS {
        scratch.packed.pack(isa, pool, &x.values, x.columns);
    }
    let Scratch { quantized, packed } = &*scratch;

    let out_values = Disjoint::new(&mut out.values);
    let sink = Sink { out: &out_values, stride: w.outputs(), bias: bias.map(|b| &b.values[..]), add };
    let tasks = cut(w, pool.threads(), x.rows);
    pool.run(tasks.len(), &|i| {
        let (part, outputs) = &tasks[i];
        let part = &w.parts[*part];
        let first = part.outputs.start;
        // SAFETY: the tasks' outputs do not overlap.
        unsafe {
            match &part.weights {
                Weights::Tiles(tiles) => {
                    let tile = outputs.start / TILE..outputs.end.div_ceil(TILE);
                    tiles.product(tile, quantized, first, &sink);
                }
                Weights::Floats { dtype, data } => {
                    let row_bytes = x.columns * dtype.block_bytes();
                    let bytes = &data[outputs.start * row_bytes..outputs.end * row_bytes];
                    let first = first + outputs.start;
                    float::product(isa, *dtype, bytes, &x.values, packed, x.columns, first, &sink);
                }
            }
        }
    });
}

/// Cuts a matrix into tasks of a part and some of the part's outputs: enough of them that the threads end
/// together, whole tiles, and for few rows no smaller than what outweighs handing a task out.
fn cut(w: &Matrix, threads: usize, rows: usize) -> Vec<(usize, Range<usize>)> {
    const SMALLEST: usize = 16 * 1024;
    /// Tasks of a thread.
    const TASKS: usize = 4;
    let mut tasks = Vec::new();
    for (i, part) in w.parts.iter().enumerate() {
        let even = w.outputs().div_ceil(threads * TASKS);
        let unit = if matches!(part.weights, Weights::Floats { .. }) { float::PANEL } else { TILE };
        let grain = even.max(SMALLEST.div_ceil(w.inputs() * rows)).next_multiple_of(unit);
        let outputs = part.outputs.len();
        for start in (0..outputs).step_by(grain) {
            tasks.push((i, start..(start + grain).min(outputs)));
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::matrix::Table;
    use crate::cpu::testing::{Random, assert_close, tensor};
    use sai_formats::DType;

    #[test]
    fn parts_of_different_types_stand_side_by_side() {
        let mut random = Random::new(17);
        let columns = 64;
        let floats: Vec<u8> = random.normals(5 * columns).iter().flat_map(|x| x.to_le_bytes()).collect();
        // Q8_0 with a scale of 2⁻¹⁰.
        let bytes: Vec<u8> = (0..11 * columns / 32)
            .flat_map(|_| {
                [
                    half::f16::from_f32(1.0 / 1024.0).to_le_bytes().to_vec(),
                    (0..32).map(|_| random.bits() as u8).collect(),
                ]
                .concat()
            })
            .collect();
        let (a, b) =
            (tensor("a", DType::F32, &[5, columns], floats), tensor("b", DType::Q8_0, &[11, columns], bytes));
        let w = Matrix::new(Isa::detect(), &Pool::new(2), &[&a, &b]).unwrap();
        assert_eq!((w.outputs(), w.inputs()), (16, columns));

        let mut rows = vec![vec![0.0; columns]; 16];
        for (i, row) in rows.iter_mut().enumerate() {
            let (part, i) = if i < 5 { (&a, i) } else { (&b, i - 5) };
            Table::new(part).unwrap().row(i, row);
        }
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            for count in [1, 6, 9] {
                let x = Buffer { rows: count, columns, values: random.normals(count * columns) };
                let bias = Buffer { rows: 1, columns: 16, values: random.normals(16) };
                let mut out = Buffer::default();
                let mut scratch = Scratch::default();
                linear(Isa::detect(), &pool, &mut scratch, &x, &w, Some(&bias), false, &mut out);
                linear(Isa::detect(), &pool, &mut scratch, &x, &w, None, true, &mut out);
                let want: Vec<f32> = x
                    .values
                    .chunks(columns)
                    .flat_map(|x| {
                        rows.iter()
                            .zip(&bias.values)
                            .map(|(w, b)| 2.0 * x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>() + b)
                            .collect::<Vec<_>>()
                    })
                    .collect();
                // Bytes for activations cost the quantised outputs, and them alone, some precision.
                assert_close(&out.values, &want, 0.05);
                let mut float_columns: Vec<f32> = Vec::new();
                let mut want_float: Vec<f32> = Vec::new();
                for row in 0..count {
                    float_columns.extend(&out.values[row * 16..][..5]);
                    want_float.extend(&want[row * 16..][..5]);
                }
                assert_close(&float_columns, &want_float, 1e-5);
            }
        }
    }
}
