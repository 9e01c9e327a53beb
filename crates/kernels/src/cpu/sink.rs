//! Where products go.

use super::disjoint::Disjoint;
use super::tile::TILE;
use std::ops::Range;

/// Columns of a row-major (rows, `stride`) matrix, which a task has to itself.
pub(crate) struct Sink<'a> {
    pub(crate) out: &'a Disjoint<'a, f32>,
    pub(crate) stride: usize,
    /// Added to every row, `stride` long.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether to add to what is there.
    pub(crate) add: bool,
}

impl Sink<'_> {
    /// Stores products for outputs `first..` of a row.
    ///
    /// # Safety
    /// No other task may use these outputs of this row meanwhile.
    pub(crate) unsafe fn put(&self, row: usize, first: usize, values: &[f32]) {
        let at = row * self.stride + first;
        // SAFETY: the caller's promise.
        let out = unsafe { self.out.part(at..at + values.len()) };
        for (i, (out, &value)) in out.iter_mut().zip(values).enumerate() {
            let value = value + self.bias.map_or(0.0, |bias| bias[first + i]);
            *out = if self.add { *out + value } else { value };
        }
    }

    /// Stores a tile's products for consecutive rows from `row`; fewer than a tile's outputs where it is the last.
    ///
    /// # Safety
    /// No other task may use these outputs of these rows meanwhile.
    pub(crate) unsafe fn put_tile(&self, row: usize, outputs: Range<usize>, sums: &[[f32; TILE]]) {
        let mut bias = [0.0; TILE];
        if let Some(all) = self.bias {
            bias[..outputs.len()].copy_from_slice(&all[outputs.clone()]);
        }
        for (i, sums) in sums.iter().enumerate() {
            let at = (row + i) * self.stride + outputs.start;
            // SAFETY: the caller's promise.
            let out = unsafe { self.out.part(at..at + outputs.len()) };
            // A whole tile's length is known to the compiler, which then needs no loop.
            match <&mut [f32; TILE]>::try_from(out) {
                Ok(out) if self.add => (0..TILE).for_each(|i| out[i] += sums[i] + bias[i]),
                Ok(out) => (0..TILE).for_each(|i| out[i] = sums[i] + bias[i]),
                // SAFETY: the caller's promise.
                Err(_) => unsafe { self.put(row + i, outputs.start, &sums[..outputs.len()]) },
            }
        }
    }
}
