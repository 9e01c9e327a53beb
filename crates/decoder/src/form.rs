//! What makes a tensor of one form of file that of another, and back: rows that change places, a matrix turned, a gain that is
//! one more than what is stored. Values are kept bit for bit, gains but for that one.

use crate::{Config, Error, RopeStyle};
use sai_formats::{DType, Tensor};

/// A change, which its opposite takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// Rows of heads, from halves to pairs: so many in a head, of which so many turn.
    ToPairs(usize, usize),
    /// From pairs to halves.
    ToHalves(usize, usize),
    /// (inputs, outputs) to (outputs, inputs).
    Transpose,
    /// Rows of query, key and value head by head, of so many rows a head, to all queries, all keys, all values.
    ToBlocks(usize),
    /// Back.
    ToInterleaved(usize),
    /// 1 is added.
    PlusOne,
    /// 1 is taken away.
    MinusOne,
}

impl Change {
    /// From a folder's tensor to what the pass wants, by GGUF's name of the tensor, or `norm`.
    pub(crate) fn from_folder(config: &Config, name: &str, matrix: bool) -> Change {
        let form = config.family().form;
        match name {
            "norm" if form.gain_plus_one => Change::PlusOne,
            "norm" => Change::None,
            "attn_qkv" if form.interleaved => Change::ToBlocks(config.head_dim),
            _ if form.transposed && matrix => Change::Transpose,
            _ => Change::None,
        }
    }

    /// From what the pass wants of a head that turns in halves to what GGUF's files of this style hold.
    pub(crate) fn to_style(style: RopeStyle, head_dim: usize, turned: usize) -> Change {
        match style {
            RopeStyle::Pairs => Change::ToPairs(head_dim, turned),
            RopeStyle::Halves => Change::None,
        }
    }

    /// What takes it back.
    pub(crate) fn opposite(self) -> Change {
        match self {
            Change::None => Change::None,
            Change::ToPairs(rows, turned) => Change::ToHalves(rows, turned),
            Change::ToHalves(rows, turned) => Change::ToPairs(rows, turned),
            Change::Transpose => Change::Transpose,
            Change::ToBlocks(rows) => Change::ToInterleaved(rows),
            Change::ToInterleaved(rows) => Change::ToBlocks(rows),
            Change::PlusOne => Change::MinusOne,
            Change::MinusOne => Change::PlusOne,
        }
    }

    /// The shape before it, by the one after.
    pub(crate) fn stored_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Change::Transpose => shape.iter().rev().copied().collect(),
            _ => shape.to_vec(),
        }
    }

    /// The tensor after it. Its bytes are the same ones where nothing changes.
    ///
    /// # Errors
    /// Its type has no rows of single values, where those are needed.
    pub(crate) fn made(self, tensor: &Tensor) -> Result<Tensor, Error> {
        let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
        match self {
            Change::None => Ok(tensor.clone()),
            Change::ToPairs(head, turned) => Ok(reordered(tensor, rows, |row| {
                let i = row % head;
                row - i + if i < turned { i % 2 * (turned / 2) + i / 2 } else { i }
            })),
            Change::ToHalves(head, turned) => Ok(reordered(tensor, rows, |row| {
                let (i, half) = (row % head, turned / 2);
                row - i + if i < turned { i % half * 2 + i / half } else { i }
            })),
            Change::ToBlocks(head) => Ok(reordered(tensor, rows, |row| {
                let heads = rows / (3 * head);
                let (part, of, i) = (row / (heads * head), row / head % heads, row % head);
                (of * 3 + part) * head + i
            })),
            Change::ToInterleaved(head) => Ok(reordered(tensor, rows, |row| {
                let heads = rows / (3 * head);
                let (of, part, i) = (row / (3 * head), row / head % 3, row % head);
                (part * heads + of) * head + i
            })),
            Change::Transpose => transposed(tensor),
            Change::PlusOne => added(tensor, 1.0),
            Change::MinusOne => added(tensor, -1.0),
        }
    }
}

/// The tensor with row `i` taken from row `from(i)`. A bias counts as rows of one element.
fn reordered(tensor: &Tensor, rows: usize, from: impl Fn(usize) -> usize) -> Tensor {
    let bytes = tensor.data.len() / rows;
    let mut data = Vec::with_capacity(tensor.data.len());
    for row in 0..rows {
        let at = from(row);
        data.extend_from_slice(&tensor.data[at * bytes..(at + 1) * bytes]);
    }
    Tensor { data: data.into(), ..tensor.clone() }
}

/// Columns that are turned together, so that a line of memory is not fetched for each of its values.
const STRIP: usize = 32;

fn transposed(tensor: &Tensor) -> Result<Tensor, Error> {
    let [rows, columns] = tensor.shape[..] else { return Ok(tensor.clone()) };
    if !tensor.dtype.is_float() {
        return Err(not_float(tensor));
    }
    let size = tensor.dtype.block_bytes();
    let mut data = vec![0u8; tensor.data.len()];
    for first in (0..columns).step_by(STRIP) {
        for row in 0..rows {
            for column in first..(first + STRIP).min(columns) {
                let (from, to) = ((row * columns + column) * size, (column * rows + row) * size);
                data[to..to + size].copy_from_slice(&tensor.data[from..from + size]);
            }
        }
    }
    Ok(Tensor { shape: vec![columns, rows], data: data.into(), ..tensor.clone() })
}

/// In f32, which holds what a shorter type's sum would round away.
fn added(tensor: &Tensor, one: f32) -> Result<Tensor, Error> {
    let data: Vec<u8> = tensor.to_f32()?.iter().flat_map(|x| (x + one).to_le_bytes()).collect();
    Ok(Tensor { dtype: DType::F32, data: data.into(), ..tensor.clone() })
}

/// A tensor that must be expanded first; or cannot be, where sai does not know its type.
pub(crate) fn not_float(tensor: &Tensor) -> Error {
    if !tensor.dtype.is_known()
        && let Err(unknown) = tensor.to_f32()
    {
        return unknown.into();
    }
    Error::NotFloat {
        path: tensor.file.to_path_buf(),
        tensor: tensor.name.escape_debug().to_string(),
        dtype: tensor.dtype,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_taken_back() {
        let rows: Vec<f32> = (0..36 * 5).map(|i| i as f32).collect();
        let tensor = Tensor {
            name: "t".to_owned(),
            dtype: DType::F32,
            shape: vec![36, 5],
            data: rows.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>().into(),
            file: std::path::Path::new("m").into(),
        };
        for change in [
            Change::None,
            Change::ToPairs(12, 12),
            Change::ToPairs(12, 8),
            Change::Transpose,
            Change::ToBlocks(4),
            Change::PlusOne,
        ] {
            let there = change.made(&tensor).unwrap();
            assert_eq!(change.stored_shape(&there.shape), tensor.shape);
            let back = change.opposite().made(&there).unwrap();
            assert_eq!((back.shape, &back.data[..]), (tensor.shape.clone(), &tensor.data[..]), "{change:?}");
        }
        // Head 1's keys, of three heads of four rows: third quarter of the interleaved rows, fifth block of the others.
        let blocks = Change::ToBlocks(4).made(&tensor).unwrap().to_f32().unwrap();
        assert_eq!(blocks[(12 + 4) * 5], rows[(12 + 4) * 5]);
        assert_eq!(blocks[4 * 5], rows[12 * 5]);
    }
}
