//! A tensor's values in one of the plain float types.

use half::{bf16, f16};

use crate::error::TensorProblem;
use crate::{Bytes, DType, Error, Tensor, dequantize};

/// Elements that are turned at a time; a multiple of every block.
const CHUNK: usize = 1 << 14;

impl Tensor {
    /// The bytes of all elements as `to`, which is F32, F16 or BF16, rounded to the nearest; the tensor's own bytes,
    /// shared, where it is of that type already.
    ///
    /// # Errors
    /// The tensor's type is not one that sai computes with, `to` is no plain float type, or a finite element is past
    /// the largest that `to` can hold.
    pub fn to_floats(&self, to: DType) -> Result<Bytes, Error> {
        if self.dtype == to {
            return Ok(self.data.clone());
        }
        if !to.is_float() {
            return Err(Error::Unsupported { dtype: to });
        }
        let largest = match to {
            // Up to half a step past the largest, numbers round down to it.
            DType::F16 => 65_520.0,
            DType::BF16 => f32::from_bits(0x7f7f_8000),
            _ => f32::INFINITY,
        };
        let elements = self.checked_elements()?;
        let mut out = vec![0u8; elements.saturating_mul(to.block_bytes())];
        let mut values = vec![0.0f32; CHUNK.min(elements)];
        let chunk_bytes = CHUNK / self.dtype.block_len() * self.dtype.block_bytes();
        let pieces = self.data.chunks(chunk_bytes.max(1)).zip(out.chunks_mut(CHUNK * to.block_bytes()));
        for (bytes, out) in pieces {
            let values = &mut values[..out.len() / to.block_bytes()];
            dequantize(self.dtype, bytes, values)?;
            if let Some(x) = values.iter().find(|x| x.is_finite() && x.abs() >= largest) {
                let problem = TensorProblem::TooLarge { value: *x, dtype: to };
                return Err(Error::tensor(&self.file, &self.name, problem));
            }
            write(values, to, out);
        }
        Ok(out.into())
    }
}

/// Values as bytes of a plain float type.
fn write(values: &[f32], to: DType, out: &mut [u8]) {
    match to {
        DType::F32 => {
            out.as_chunks_mut().0.iter_mut().zip(values).for_each(|(out, x)| *out = x.to_le_bytes());
        }
        DType::F16 => {
            let halves = out.as_chunks_mut().0.iter_mut().zip(values);
            halves.for_each(|(out, x)| *out = f16::from_f32(*x).to_le_bytes());
        }
        _ => {
            let halves = out.as_chunks_mut().0.iter_mut().zip(values);
            halves.for_each(|(out, x)| *out = bf16::from_f32(*x).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tensor(dtype: DType, shape: &[usize], data: Vec<u8>) -> Tensor {
        Tensor {
            name: "t".into(),
            dtype,
            shape: shape.into(),
            data: data.into(),
            file: Path::new("f").into(),
        }
    }

    fn f32s(values: &[f32]) -> Tensor {
        tensor(DType::F32, &[values.len()], values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    #[test]
    fn every_half_survives_f32() {
        for to in [DType::F16, DType::BF16] {
            let halves: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
            let stored = tensor(to, &[1 << 16], halves.clone());
            let wide = tensor(DType::F32, &[1 << 16], stored.to_floats(DType::F32).unwrap().to_vec());
            let back = wide.to_floats(to).unwrap();
            let values = wide.to_f32().unwrap();
            for ((a, b), x) in halves.chunks(2).zip(back.chunks(2)).zip(values) {
                assert!(a == b || x.is_nan(), "{to} {x}");
            }
        }
    }

    #[test]
    fn rounds_to_the_nearest_and_refuses_what_is_too_large() {
        let near = f32s(&[1.0 + 1.0 / 4096.0, -65_519.9, f32::INFINITY, 3.0e38]);
        let first: Vec<u8> = f32s(&[1.0 + 1.0 / 4096.0, -65_519.9]).to_floats(DType::F16).unwrap().to_vec();
        assert_eq!(first, [0x00, 0x3c, 0xff, 0xfb]);
        let error = near.to_floats(DType::F16).unwrap_err().to_string();
        assert!(error.contains("tensor `t`") && error.contains("F16"), "{error}");
        assert!(near.to_floats(DType::BF16).is_ok());
        assert!(f32s(&[f32::MAX]).to_floats(DType::BF16).is_err());
        assert!(near.to_floats(DType::Q4_0).is_err());
    }

    #[test]
    fn blocks_are_expanded_in_pieces() {
        let blocks = CHUNK / 32 + 3;
        let data: Vec<u8> = (0..blocks).flat_map(|i| [&[0, 0x3c][..], &[i as u8; 16]].concat()).collect();
        let q4 = tensor(DType::Q4_0, &[blocks, 32], data);
        let wide: Vec<u8> = q4.to_f32().unwrap().iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(q4.to_floats(DType::F32).unwrap()[..], wide[..]);
        assert_eq!(q4.to_floats(DType::F16).unwrap().len(), blocks * 64);
    }
}
