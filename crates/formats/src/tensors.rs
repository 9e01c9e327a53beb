//! The catalogue: tensors by name, with their shapes, types and bytes.

use std::path::Path;
use std::sync::Arc;

use crate::error::TensorProblem;
use crate::{Bytes, DType, Error, dequantize};

/// A tensor at rest: what it is called, how it is shaped, and where its bytes are.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// How its elements are stored.
    pub dtype: DType,
    /// Row-major, outermost dimension first: a weight is (out, in). Empty for a single number.
    pub shape: Vec<usize>,
    /// Its blocks, exactly as many as the shape needs.
    pub data: Bytes,
    /// The file that holds it.
    pub file: Arc<Path>,
}

impl Tensor {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        // Readers check that bytes and shape agree; for a tensor made by hand, saturation keeps this from
        // overflowing and `to_f32` finds the disagreement.
        self.shape.iter().fold(1, |n, d| n.saturating_mul(*d))
    }

    /// The number of rows: the product of all dimensions but the last. A vector is one row.
    pub fn rows(&self) -> usize {
        let outer = self.shape.len().saturating_sub(1);
        self.shape[..outer].iter().fold(1, |n, d| n.saturating_mul(*d))
    }

    /// The elements of a row: the last dimension.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The bytes of row `i`; `None` past the last row, and where rows do not fill whole blocks.
    pub fn row(&self, i: usize) -> Option<&[u8]> {
        let bytes = self.dtype.bytes_for(self.columns())?;
        if i >= self.rows() {
            return None;
        }
        let start = bytes.checked_mul(i)?;
        self.data.get(start..start.checked_add(bytes)?)
    }

    /// All elements as `f32`, row-major, in one thread.
    ///
    /// # Errors
    /// The type is not one that sai computes with, or the bytes disagree with the shape.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        let elements = self.checked_elements()?;
        let mut out = vec![0.0; elements];
        dequantize(self.dtype, &self.data, &mut out)?;
        Ok(out)
    }

    /// The elements of row `i` as `f32`, into `out` of [`columns`](Tensor::columns) elements. Rows are
    /// independent, so that threads can share a tensor's rows among them.
    ///
    /// # Errors
    /// The type is not one that sai computes with, there is no such row, or `out` has another length.
    pub fn row_to_f32(&self, i: usize, out: &mut [f32]) -> Result<(), Error> {
        self.checked_elements()?;
        let length = || Error::Length { dtype: self.dtype, bytes: self.data.len(), elements: out.len() };
        let row = self.row(i).filter(|_| out.len() == self.columns()).ok_or_else(length)?;
        dequantize(self.dtype, row, out)
    }

    /// The number of elements, held against the bytes and the type.
    pub(crate) fn checked_elements(&self) -> Result<usize, Error> {
        if !self.dtype.is_known() {
            return Err(Error::tensor(&self.file, &self.name, TensorProblem::CannotRun(self.dtype)));
        }
        let elements = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        match elements {
            Some(n) if self.dtype.bytes_for(n) == Some(self.data.len()) => Ok(n),
            _ => Err(Error::tensor(
                &self.file,
                &self.name,
                TensorProblem::Length {
                    shape: self.shape.iter().map(|d| *d as u64).collect(),
                    dtype: self.dtype,
                    bytes: self.data.len() as u64,
                },
            )),
        }
    }
}

/// The tensors of a model, over one GGUF file, one safetensors file or a folder of shards.
///
/// Iteration follows the order of the files.
#[derive(Clone, Debug)]
pub struct Tensors {
    path: Arc<Path>,
    tensors: Vec<Tensor>,
    /// Places in `tensors`, sorted by name.
    by_name: Vec<usize>,
}

impl Tensors {
    /// Makes a catalogue of tensors from anywhere; `path` is what messages call it.
    ///
    /// # Errors
    /// Two tensors have the same name.
    pub fn new(path: &Path, tensors: Vec<Tensor>) -> Result<Tensors, Error> {
        let mut by_name: Vec<usize> = (0..tensors.len()).collect();
        by_name.sort_by(|a, b| tensors[*a].name.cmp(&tensors[*b].name));
        for pair in by_name.windows(2) {
            let (first, second) = (&tensors[pair[0]], &tensors[pair[1]]);
            if first.name == second.name {
                if first.file == second.file {
                    return Err(Error::tensor(&second.file, &second.name, TensorProblem::Duplicate));
                }
                return Err(Error::InTwoShards {
                    path: second.file.to_path_buf(),
                    tensor: second.name.clone(),
                    other: first.file.to_path_buf(),
                });
            }
        }
        Ok(Tensors { path: path.into(), tensors, by_name })
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let found = self.by_name.binary_search_by(|i| self.tensors[*i].name.as_str().cmp(name));
        found.ok().map(|i| &self.tensors[self.by_name[i]])
    }

    /// All tensors, in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor> {
        self.tensors.iter()
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The bytes of all tensors together.
    pub fn total_bytes(&self) -> u64 {
        self.tensors.iter().map(|t| t.data.len() as u64).sum()
    }

    /// The file or folder that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<'a> IntoIterator for &'a Tensors {
    type Item = &'a Tensor;
    type IntoIter = std::slice::Iter<'a, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, dtype: DType, shape: &[usize], data: Vec<u8>) -> Tensor {
        Tensor {
            name: name.into(),
            dtype,
            shape: shape.into(),
            data: data.into(),
            file: Path::new("f").into(),
        }
    }

    #[test]
    fn finds_by_name_and_keeps_order() {
        let all = ["b", "a", "ab"].map(|n| tensor(n, DType::F32, &[1], vec![0; 4]));
        let tensors = Tensors::new(Path::new("f"), all.to_vec()).unwrap();
        assert_eq!(tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["b", "a", "ab"]);
        assert_eq!(tensors.get("ab").unwrap().name, "ab");
        assert!(tensors.get("c").is_none());
        assert_eq!(tensors.total_bytes(), 12);
        let twice = vec![all[0].clone(), all[1].clone(), all[0].clone()];
        assert_eq!(
            Tensors::new(Path::new("f"), twice).unwrap_err().to_string(),
            "f: tensor `b` is there twice; the file is damaged; fetch it again".replace("b` is", "b`: it is")
        );
    }

    #[test]
    fn rows_are_where_the_shape_says() {
        let bytes: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let t = tensor("t", DType::F32, &[3, 2], bytes.clone());
        assert_eq!((t.rows(), t.columns(), t.elements()), (3, 2, 6));
        assert_eq!(t.to_f32().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mut row = [0.0; 2];
        t.row_to_f32(2, &mut row).unwrap();
        assert_eq!(row, [5.0, 6.0]);
        assert!(t.row_to_f32(3, &mut row).is_err());
        assert!(t.row(3).is_none());
        assert_eq!(tensor("s", DType::F32, &[], vec![0; 4]).to_f32().unwrap(), [0.0]);
        for shape in [&[4, 2][..], &[usize::MAX, 4], &[usize::MAX, usize::MAX, 4]] {
            let wrong = tensor("w", DType::F32, shape, bytes.clone());
            let error = wrong.to_f32().unwrap_err().to_string();
            assert!(error.starts_with("f: tensor `w`: shape (") && error.contains("24 bytes"), "{error}");
        }
        let foreign = tensor("i", DType::from_name("I64").unwrap(), &[1], vec![0; 8]);
        assert!(foreign.to_f32().unwrap_err().to_string().contains("type I64, which sai cannot run"));
    }
}
