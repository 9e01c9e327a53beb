//! `y = x · wᵀ + b` for a matrix of any types, its outputs shared out among the threads.

use super::activations::Activations;
use super::disjoint::Disjoint;
use super::isa::Isa;
use super::pool::Pool;
use super::product::{self, PANEL, Sink};
use super::quants::Quants;
use super::{Buffer, float};
use crate::Error;
use sai_formats::blocks::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};
use sai_formats::{Bytes, DType, Tensor, dequantize};
use std::ops::Range;

/// A weight matrix (outputs, inputs) over the bytes of its file: tensors of the same width, one after another.
pub struct Matrix {
    parts: Vec<Part>,
    outputs: usize,
    inputs: usize,
}

struct Part {
    dtype: DType,
    /// Outputs of the whole matrix that these are.
    outputs: Range<usize>,
    row_bytes: usize,
    data: Bytes,
}

impl Matrix {
    pub(crate) fn new(tensors: &[&Tensor]) -> Result<Matrix, Error> {
        let mut parts = Vec::with_capacity(tensors.len());
        let (mut outputs, mut inputs) = (0, 0);
        for tensor in tensors {
            let wrong = |fact: String| Error::Weight {
                file: tensor.file.to_path_buf(),
                tensor: tensor.name.clone(),
                fact,
            };
            let &[rows, columns] = &tensor.shape[..] else {
                return Err(wrong(format!("has shape {:?} where a matrix is needed", tensor.shape)));
            };
            if matches!(tensor.dtype, DType::Other(_)) {
                return Err(wrong(format!("is of type {}, which sai cannot multiply", tensor.dtype)));
            }
            if rows == 0 || columns == 0 {
                return Err(wrong(format!("has shape {:?}, without elements", tensor.shape)));
            }
            if !parts.is_empty() && columns != inputs {
                return Err(wrong(format!("has {columns} columns where {inputs} are needed")));
            }
            let row_bytes = tensor.dtype.bytes_for(columns).ok_or_else(|| {
                wrong(format!(
                    "has rows of {columns}, not a multiple of the {} of a {} block",
                    tensor.dtype.block_len(),
                    tensor.dtype
                ))
            })?;
            if row_bytes.checked_mul(rows) != Some(tensor.data.len()) {
                return Err(wrong(format!(
                    "has {} bytes, which its shape {:?} contradicts",
                    tensor.data.len(),
                    tensor.shape
                )));
            }
            parts.push(Part {
                dtype: tensor.dtype,
                outputs: outputs..outputs + rows,
                row_bytes,
                data: tensor.data.clone(),
            });
            (outputs, inputs) = (outputs + rows, columns);
        }
        Ok(Matrix { parts, outputs, inputs })
    }

    /// Rows of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Writes the values of one row.
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) {
        let part = self.parts.iter().find(|p| p.outputs.contains(&row)).expect("a row of the matrix");
        let start = (row - part.outputs.start) * part.row_bytes;
        dequantize(part.dtype, &part.data[start..start + part.row_bytes], out)
            .expect("checked in Matrix::new");
    }
}

/// Multiplies the rows of `x`; sets or, where `add` is true, adds to `out`.
pub(crate) fn linear(
    isa: Isa,
    pool: &Pool,
    quantized: &mut Activations,
    x: &Buffer,
    w: &Matrix,
    bias: Option<&Buffer>,
    add: bool,
    out: &mut Buffer,
) {
    assert_eq!(x.columns, w.inputs, "activations of another width than the matrix");
    if add {
        assert_eq!((out.rows, out.columns), (x.rows, w.outputs), "a sum of another shape");
    } else {
        out.shape(x.rows, w.outputs);
    }
    if x.rows == 0 {
        return;
    }
    if w.parts.iter().any(|part| !part.dtype.is_float()) {
        quantized.quantize(isa, pool, &x.values, x.columns);
    }
    let quantized = &*quantized;

    let out_values = Disjoint::new(&mut out.values);
    let sink = Sink { out: &out_values, stride: w.outputs, bias: bias.map(|b| &b.values[..]), add };
    let tasks = cut(w, pool.threads(), x.rows);
    pool.run(tasks.len(), &|i| {
        let (part, outputs) = &tasks[i];
        let part = &w.parts[*part];
        let within = outputs.start - part.outputs.start..outputs.end - part.outputs.start;
        let bytes = &part.data[within.start * part.row_bytes..within.end * part.row_bytes];
        // SAFETY: the tasks' outputs do not overlap.
        unsafe {
            match part.dtype {
                DType::F32 | DType::F16 | DType::BF16 => {
                    float::product(isa, part.dtype, bytes, &x.values, x.columns, outputs.start, &sink);
                }
                DType::Q8_0 => blocks::<BlockQ8_0>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q4_0 => blocks::<BlockQ4_0>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q4_1 => blocks::<BlockQ4_1>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q5_0 => blocks::<BlockQ5_0>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q5_1 => blocks::<BlockQ5_1>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q2_K => blocks::<BlockQ2K>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q3_K => blocks::<BlockQ3K>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q4_K => blocks::<BlockQ4K>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q5_K => blocks::<BlockQ5K>(isa, bytes, quantized, outputs.start, &sink),
                DType::Q6_K => blocks::<BlockQ6K>(isa, bytes, quantized, outputs.start, &sink),
                DType::Other(_) => unreachable!("refused in Matrix::new"),
            }
        }
    });
}

/// File bytes as blocks, which have an alignment of one.
///
/// # Safety
/// As [`product::product`].
unsafe fn blocks<B: Quants>(isa: Isa, bytes: &[u8], x: &Activations, first: usize, sink: &Sink<'_>) {
    // SAFETY: the caller's promise.
    unsafe { product::product::<B>(isa, bytemuck::cast_slice(bytes), x, first, sink) };
}

/// Cuts a matrix into tasks of a part and some of its outputs: enough of them that the threads end
/// together, whole panels, and for few rows no smaller than what outweighs handing a task out.
fn cut(w: &Matrix, threads: usize, rows: usize) -> Vec<(usize, Range<usize>)> {
    const TASKS_A_THREAD: usize = 8;
    const SMALLEST: usize = 16 * 1024;
    let grain = if threads == 1 && rows < PANEL {
        w.outputs
    } else {
        let even = w.outputs.div_ceil(threads * TASKS_A_THREAD);
        even.max(SMALLEST.div_ceil(w.inputs * rows)).next_multiple_of(PANEL)
    };
    let mut tasks = Vec::new();
    for (i, part) in w.parts.iter().enumerate() {
        for start in part.outputs.clone().step_by(grain) {
            tasks.push((i, start..(start + grain).min(part.outputs.end)));
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    fn tensor(name: &str, dtype: DType, shape: &[usize], data: Vec<u8>) -> Tensor {
        Tensor {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            data: Bytes::from_vec(data),
            file: std::path::Path::new("test.gguf").into(),
        }
    }

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
        let w = Matrix::new(&[&a, &b]).unwrap();
        assert_eq!((w.outputs(), w.inputs()), (16, columns));

        let mut rows = vec![vec![0.0; columns]; 16];
        rows.iter_mut().enumerate().for_each(|(i, row)| w.row(i, row));
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            for count in [1, 6] {
                let x = Buffer { rows: count, columns, values: random.normals(count * columns) };
                let bias = Buffer { rows: 1, columns: 16, values: random.normals(16) };
                let mut out = Buffer::default();
                let mut scratch = Activations::default();
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

    #[test]
    fn weights_that_do_not_fit_are_errors_that_name_them() {
        let good = tensor("good", DType::F32, &[1, 2], vec![0; 8]);
        for (bad, fact) in [
            (tensor("w", DType::F32, &[2], vec![0; 8]), "matrix"),
            (tensor("w", DType::F32, &[2, 3], vec![0; 24]), "3 columns"),
            (tensor("w", DType::F32, &[2, 2], vec![0; 15]), "15 bytes"),
            (tensor("w", DType::Q8_0, &[1, 2], vec![0; 34]), "multiple"),
            (tensor("w", DType::F32, &[0, 2], vec![]), "without elements"),
            (tensor("w", DType::F32, &[usize::MAX, 2], vec![0; 8]), "8 bytes"),
        ] {
            let error = Matrix::new(&[&good, &bad]).err().unwrap().to_string();
            assert!(error.contains("test.gguf") && error.contains("`w`") && error.contains(fact), "{error}");
        }
    }
}
