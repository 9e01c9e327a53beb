//! Where products go.

use super::disjoint::Disjoint;
use super::tile::TILE;

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
        let bias = self.bias.map(|bias| &bias[first..first + values.len()]);
        // A whole tile's length is known to the compiler, which then needs no loop.
        if let (Ok(out), Ok(values)) = (<&mut [f32; TILE]>::try_from(&mut *out), values.try_into()) {
            let bias = bias.and_then(|bias| bias.try_into().ok()).unwrap_or(&[0.0; TILE]);
            return put_tile(out, values, bias, self.add);
        }
        for (i, (out, &value)) in out.iter_mut().zip(values).enumerate() {
            let value = value + bias.map_or(0.0, |bias| bias[i]);
            *out = if self.add { *out + value } else { value };
        }
    }
}

#[inline(always)]
fn put_tile(out: &mut [f32; TILE], values: &[f32; TILE], bias: &[f32; TILE], add: bool) {
    for i in 0..TILE {
        let value = values[i] + bias[i];
        out[i] = if add { out[i] + value } else { value };
    }
}
