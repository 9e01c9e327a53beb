//! Weights as the CPU multiplies them: quantised ones repacked into tiles, floats where the file is mapped.

use super::isa::Isa;
use super::pool::Pool;
use super::tile::Tiles;
use crate::Error;
use sai_formats::blocks::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};
use sai_formats::{Bytes, DType, Tensor, dequantize};
use std::ops::Range;

/// A weight matrix (outputs, inputs): tensors of the same width, one after another.
pub struct Matrix {
    pub(crate) parts: Vec<Part>,
    outputs: usize,
    inputs: usize,
}

/// One tensor of a matrix.
pub(crate) struct Part {
    /// Outputs of the whole matrix that these are.
    pub(crate) outputs: Range<usize>,
    pub(crate) weights: Weights,
}

pub(crate) enum Weights {
    Tiles(Tiles),
    Floats { dtype: DType, data: Bytes },
}

impl Matrix {
    pub(crate) fn new(isa: Isa, pool: &Pool, tensors: &[&Tensor]) -> Result<Matrix, Error> {
        let mut parts = Vec::with_capacity(tensors.len());
        let (mut outputs, mut inputs) = (0, 0);
        for tensor in tensors {
            let shape = Shape::of(tensor)?;
            if !parts.is_empty() && shape.columns != inputs {
                return Err(wrong(
                    tensor,
                    format!("has {} columns where {inputs} are needed", shape.columns),
                ));
            }
            let weights = weights(isa, pool, tensor, shape.rows)?;
            parts.push(Part { outputs: outputs..outputs + shape.rows, weights });
            (outputs, inputs) = (outputs + shape.rows, shape.columns);
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
}

/// Rows to look up, such as the embeddings of tokens, over the bytes of their file.
pub struct Table {
    dtype: DType,
    columns: usize,
    row_bytes: usize,
    data: Bytes,
}

impl Table {
    pub(crate) fn new(tensor: &Tensor) -> Result<Table, Error> {
        let Shape { columns, row_bytes, .. } = Shape::of(tensor)?;
        Ok(Table { dtype: tensor.dtype, columns, row_bytes, data: tensor.data.clone() })
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Writes the values of one row.
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) {
        let bytes = &self.data[row * self.row_bytes..(row + 1) * self.row_bytes];
        dequantize(self.dtype, bytes, out).expect("checked in Table::new");
    }
}

/// What a tensor must be to be multiplied or looked up.
struct Shape {
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

impl Shape {
    fn of(tensor: &Tensor) -> Result<Shape, Error> {
        let &[rows, columns] = &tensor.shape[..] else {
            return Err(wrong(tensor, format!("has shape {:?} where a matrix is needed", tensor.shape)));
        };
        if matches!(tensor.dtype, DType::Other(_)) {
            return Err(wrong(tensor, format!("is of type {}, which sai cannot multiply", tensor.dtype)));
        }
        if rows == 0 || columns == 0 {
            return Err(wrong(tensor, format!("has shape {:?}, without elements", tensor.shape)));
        }
        let row_bytes = tensor.dtype.bytes_for(columns).ok_or_else(|| {
            let block = tensor.dtype.block_len();
            wrong(
                tensor,
                format!("has rows of {columns}, not a multiple of the {block} of a {} block", tensor.dtype),
            )
        })?;
        if row_bytes.checked_mul(rows) != Some(tensor.data.len()) {
            let bytes = tensor.data.len();
            return Err(wrong(
                tensor,
                format!("has {bytes} bytes, which its shape {:?} contradicts", tensor.shape),
            ));
        }
        Ok(Shape { rows, columns, row_bytes })
    }
}

fn wrong(tensor: &Tensor, fact: String) -> Error {
    Error::Weight { file: tensor.file.to_path_buf(), tensor: tensor.name.clone(), fact }
}

fn weights(isa: Isa, pool: &Pool, tensor: &Tensor, outputs: usize) -> Result<Weights, Error> {
    // Blocks have an alignment of one, so any bytes will do.
    let bytes = &tensor.data[..];
    let tiles = match tensor.dtype {
        DType::F32 | DType::F16 | DType::BF16 => {
            return Ok(Weights::Floats { dtype: tensor.dtype, data: tensor.data.clone() });
        }
        DType::Q8_0 => Tiles::pack::<BlockQ8_0>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q4_0 => Tiles::pack::<BlockQ4_0>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q4_1 => Tiles::pack::<BlockQ4_1>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q5_0 => Tiles::pack::<BlockQ5_0>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q5_1 => Tiles::pack::<BlockQ5_1>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q2_K => Tiles::pack::<BlockQ2K>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q3_K => Tiles::pack::<BlockQ3K>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q4_K => Tiles::pack::<BlockQ4K>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q5_K => Tiles::pack::<BlockQ5K>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Q6_K => Tiles::pack::<BlockQ6K>(isa, pool, bytemuck::cast_slice(bytes), outputs),
        DType::Other(_) => unreachable!("refused in Shape::of"),
    };
    // The tiles are all that is needed of it from here on; a file's pages need not stay.
    tensor.data.release();
    let refused = |_| {
        wrong(tensor, format!("needs {} bytes of memory to be repacked, which cannot be had", bytes.len()))
    };
    Ok(Weights::Tiles(tiles.map_err(refused)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::tensor;

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
            let error = Matrix::new(Isa::detect(), &Pool::new(1), &[&good, &bad]).err().unwrap().to_string();
            assert!(error.contains("test.gguf") && error.contains("`w`") && error.contains(fact), "{error}");
        }
    }
}
