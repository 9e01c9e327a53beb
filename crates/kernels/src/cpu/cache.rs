//! Keys and values of all layers, in pages of [`PAGE`] positions.

use super::SMALL;
use super::disjoint::Disjoint;
use super::pool::Pool;
use crate::Error;
use crate::device::{CacheShape, CacheType, Heads, PAGE, Span};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// The values of one side, in the cache's precision.
pub(crate) enum Store {
    F16(Vec<f16>),
    F32(Vec<f32>),
    Q8_0 {
        quants: Vec<i8>,
        /// Of each page of a head: (groups of 32 components, [`PAGE`]).
        scales: Vec<f16>,
    },
}

/// How the components of a page lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// (head_dim, [`PAGE`])
    Keys,
    /// ([`PAGE`], head_dim)
    Values,
}

impl Side {
    /// Where component `d` of position `offset` is in a page.
    #[inline(always)]
    fn at(self, d: usize, offset: usize, head_dim: usize) -> usize {
        match self {
            Side::Keys => d * PAGE + offset,
            Side::Values => offset * head_dim + d,
        }
    }
}

impl Store {
    /// Zeroed memory for `heads` pages of a head, which the operating system hands out only as it is first written.
    fn new(shape: CacheShape, heads: usize) -> Result<Store, Error> {
        let refused = |()| Error::CacheTooLarge { bytes: shape.bytes() };
        let (length, scales) = (heads * PAGE * shape.head_dim, heads * PAGE * groups(shape.head_dim));
        Ok(match shape.dtype {
            CacheType::F16 => Store::F16(zeroed(length).map_err(refused)?),
            CacheType::F32 => Store::F32(zeroed(length).map_err(refused)?),
            CacheType::Q8_0 => Store::Q8_0 {
                quants: zeroed(length).map_err(refused)?,
                scales: zeroed(scales).map_err(refused)?,
            },
        })
    }

    /// The same values, to be written by several tasks.
    fn parts(&mut self) -> Parts<'_> {
        match self {
            Store::F16(halves) => Parts::F16(Disjoint::new(halves)),
            Store::F32(floats) => Parts::F32(Disjoint::new(floats)),
            Store::Q8_0 { quants, scales } => {
                Parts::Q8_0 { quants: Disjoint::new(quants), scales: Disjoint::new(scales) }
            }
        }
    }

    /// Copies `heads` pages of a head, of `page` values and `scales` scales each.
    fn copy(&mut self, from: usize, to: usize, heads: usize, page: usize, scales_a_page: usize) {
        fn within<T: Copy>(values: &mut [T], from: usize, to: usize, heads: usize, page: usize) {
            values.copy_within(from * page..(from + heads) * page, to * page);
        }
        match self {
            Store::F16(halves) => within(halves, from, to, heads, page),
            Store::F32(floats) => within(floats, from, to, heads, page),
            Store::Q8_0 { quants, scales } => {
                within(quants, from, to, heads, page);
                within(scales, from, to, heads, scales_a_page);
            }
        }
    }

    /// The bytes of `heads` pages of a head, of `page` values and `scales_a_page` scales each: values, then scales.
    fn bytes(&self, from: usize, heads: usize, page: usize, scales_a_page: usize) -> [&[u8]; 2] {
        let values = from * page..(from + heads) * page;
        match self {
            Store::F16(halves) => [bytemuck::cast_slice(&halves[values]), &[]],
            Store::F32(floats) => [bytemuck::cast_slice(&floats[values]), &[]],
            Store::Q8_0 { quants, scales } => [
                bytemuck::cast_slice(&quants[values]),
                bytemuck::cast_slice(&scales[from * scales_a_page..(from + heads) * scales_a_page]),
            ],
        }
    }

    /// As [`Store::bytes`], to be written.
    fn bytes_mut(&mut self, from: usize, heads: usize, page: usize, scales_a_page: usize) -> [&mut [u8]; 2] {
        let values = from * page..(from + heads) * page;
        match self {
            Store::F16(halves) => [bytemuck::cast_slice_mut(&mut halves[values]), &mut []],
            Store::F32(floats) => [bytemuck::cast_slice_mut(&mut floats[values]), &mut []],
            Store::Q8_0 { quants, scales } => [
                bytemuck::cast_slice_mut(&mut quants[values]),
                bytemuck::cast_slice_mut(&mut scales[from * scales_a_page..(from + heads) * scales_a_page]),
            ],
        }
    }
}

/// A [`Store`] that tasks write in parts.
enum Parts<'a> {
    F16(Disjoint<'a, f16>),
    F32(Disjoint<'a, f32>),
    Q8_0 { quants: Disjoint<'a, i8>, scales: Disjoint<'a, f16> },
}

impl Parts<'_> {
    /// Stores one head of some positions, from `offset` in page `page` of all heads' pages: `rows` are those heads.
    ///
    /// # Safety
    /// No other task writes to this page meanwhile.
    unsafe fn put<'h>(&self, side: Side, page: usize, offset: usize, rows: impl Iterator<Item = &'h [f32]>) {
        /// Components that are turned together.
        const TURNED: usize = 64;
        let rows: [&[f32]; PAGE] = fill(rows);
        let count = rows.iter().take_while(|row| !row.is_empty()).count();
        let (rows, dim) = (&rows[..count], rows[0].len());
        let whole = page * PAGE * dim..(page + 1) * PAGE * dim;
        match self {
            Parts::F16(halves) => {
                // SAFETY: the caller's promise.
                let page = unsafe { halves.part(whole) };
                // Rounded many at a time, which asks only once what the processor can do.
                if side == Side::Values {
                    for (row, page) in rows.iter().zip(page[offset * dim..].chunks_exact_mut(dim)) {
                        page.convert_from_f32_slice(row);
                    }
                    return;
                }
                let mut rounded = [[f16::ZERO; TURNED]; PAGE];
                for (first, page) in (0..dim).step_by(TURNED).zip(page.chunks_mut(TURNED * PAGE)) {
                    let width = TURNED.min(dim - first);
                    for (row, rounded) in rows.iter().zip(&mut rounded) {
                        rounded[..width].convert_from_f32_slice(&row[first..first + width]);
                    }
                    for (d, page) in page.as_chunks_mut::<PAGE>().0.iter_mut().enumerate() {
                        for (value, rounded) in page[offset..].iter_mut().zip(&rounded[..count]) {
                            *value = rounded[d];
                        }
                    }
                }
            }
            Parts::F32(floats) => {
                // SAFETY: the caller's promise.
                let page = unsafe { floats.part(whole) };
                for (j, row) in rows.iter().enumerate() {
                    for (d, &value) in row.iter().enumerate() {
                        page[side.at(d, offset + j, dim)] = value;
                    }
                }
            }
            Parts::Q8_0 { quants, scales } => {
                let groups = groups(dim);
                // SAFETY: the caller's promise.
                let (quants, scales) = unsafe {
                    (quants.part(whole), scales.part(page * groups * PAGE..(page + 1) * groups * PAGE))
                };
                for (j, row) in rows.iter().enumerate() {
                    for (g, group) in row.chunks(CacheType::GROUP).enumerate() {
                        let (scale, bytes) = quantize(group);
                        scales[g * PAGE + offset + j] = scale;
                        for (i, &byte) in bytes[..group.len()].iter().enumerate() {
                            quants[side.at(g * CacheType::GROUP + i, offset + j, dim)] = byte;
                        }
                    }
                }
            }
        }
    }
}

/// The first of an iterator's slices, and empty ones after them.
fn fill<'h>(rows: impl Iterator<Item = &'h [f32]>) -> [&'h [f32]; PAGE] {
    let mut filled: [&[f32]; PAGE] = [&[]; PAGE];
    filled.iter_mut().zip(rows).for_each(|(filled, row)| *filled = row);
    filled
}

/// A group as bytes with a scale.
fn quantize(group: &[f32]) -> (f16, [i8; CacheType::GROUP]) {
    /// Adding 1.5 · 2²³ leaves the nearest integer, ties to even, in the low bits of a float.
    const ROUND: f32 = 12_582_912.0;
    let largest = group.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    // The scale is rounded to what is stored before the values are divided by it, which may then be above 127 of it.
    let scale = f16::from_f32(largest / 127.0);
    let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
    let mut bytes = [0; CacheType::GROUP];
    for (byte, &value) in bytes.iter_mut().zip(group) {
        let integer = (value * inverse).clamp(-127.0, 127.0) + ROUND;
        *byte = (integer.to_bits() as i32 - ROUND.to_bits() as i32) as i8;
    }
    (scale, bytes)
}

/// Rows of a span that lie in one page.
struct Run {
    /// The first, of the batch.
    row: usize,
    rows: usize,
    page: usize,
    /// Where the first lies in the page.
    offset: usize,
}

/// The runs of all spans.
fn runs(spans: &[Span<'_>]) -> Vec<Run> {
    let mut runs = Vec::new();
    for span in spans {
        let mut done = 0;
        while done < span.rows {
            let (page, offset) = span.slot(done);
            let rows = (PAGE - offset).min(span.rows - done);
            runs.push(Run { row: span.first_row + done, rows, page, offset });
            done += rows;
        }
    }
    runs
}

fn zeroed<T: bytemuck::Zeroable>(length: usize) -> Result<Vec<T>, ()> {
    bytemuck::allocation::try_zeroed_vec(length)
}

/// Groups of a head that have a scale each.
pub(crate) fn groups(head_dim: usize) -> usize {
    head_dim.div_ceil(CacheType::GROUP)
}

/// The CPU's cache. A side is (layers, pages, kv_heads, one page of a head), where a page is
/// (head_dim, [`PAGE`]) for keys and ([`PAGE`], head_dim) for values; see the attention kernel.
pub struct Cache {
    pub(crate) shape: CacheShape,
    pub(crate) keys: Store,
    pub(crate) values: Store,
}

impl Cache {
    pub(crate) fn new(shape: CacheShape) -> Result<Cache, Error> {
        let bytes = shape.bytes();
        let heads = [shape.layers, shape.pages, shape.kv_heads, PAGE, shape.head_dim]
            .iter()
            .try_fold(1usize, |product, &n| product.checked_mul(n))
            .filter(|_| usize::try_from(bytes).is_ok_and(|bytes| bytes < isize::MAX as usize))
            .map(|_| shape.layers * shape.pages * shape.kv_heads)
            .ok_or(Error::CacheTooLarge { bytes })?;
        Ok(Cache { shape, keys: Store::new(shape, heads)?, values: Store::new(shape, heads)? })
    }

    /// The number of a head's page among the pages of all heads, on either side.
    pub(crate) fn page(&self, layer: usize, page: usize, kv_head: usize) -> usize {
        number(self.shape, layer, page, kv_head)
    }

    /// Stores the keys and values in `qkv` at the spans' positions.
    pub(crate) fn append(
        &mut self,
        pool: &Pool,
        layer: usize,
        qkv: &[f32],
        heads: Heads,
        spans: &[Span<'_>],
    ) {
        let Heads { heads: query_heads, kv_heads, head_dim } = heads;
        let columns = heads.qkv_columns();
        let runs = runs(spans);
        let shape = self.shape;
        let (keys, values) = (self.keys.parts(), self.values.parts());
        let store = |task: usize| {
            let (run, kv_head) = (&runs[task / kv_heads], task % kv_heads);
            let page = number(shape, layer, run.page, kv_head);
            let rows = &qkv[run.row * columns..(run.row + run.rows) * columns];
            for (side, parts, first) in
                [(Side::Keys, &keys, query_heads), (Side::Values, &values, query_heads + kv_heads)]
            {
                let at = (first + kv_head) * head_dim;
                let rows = rows.chunks_exact(columns).map(|row| &row[at..at + head_dim]);
                // SAFETY: a page of a head belongs to one sequence, whose rows in it are one run.
                unsafe { parts.put(side, page, run.offset, rows) };
            }
        };
        let tasks = runs.len() * kv_heads;
        if 2 * tasks * head_dim < SMALL {
            (0..tasks).for_each(store);
        } else {
            pool.run(tasks, &store);
        }
    }

    pub(crate) fn copy_page(&mut self, from: u32, to: u32) {
        let CacheShape { layers, kv_heads, head_dim, .. } = self.shape;
        for layer in 0..layers {
            let (from, to) = (self.page(layer, from as usize, 0), self.page(layer, to as usize, 0));
            for side in [&mut self.keys, &mut self.values] {
                side.copy(from, to, kv_heads, head_dim * PAGE, groups(head_dim) * PAGE);
            }
        }
    }

    /// Bytes of a page in all layers, on both sides.
    pub(crate) fn page_bytes(&self) -> usize {
        let CacheShape { layers, kv_heads, head_dim, dtype, .. } = self.shape;
        layers * kv_heads * PAGE * 2 * dtype.head_bytes(head_dim)
    }

    /// Replaces `bytes` by those of a page: layer after layer, keys and then values.
    pub(crate) fn read_page(&self, page: u32, bytes: &mut Vec<u8>) {
        let CacheShape { layers, kv_heads, head_dim, .. } = self.shape;
        bytes.clear();
        for layer in 0..layers {
            let from = self.page(layer, page as usize, 0);
            for side in [&self.keys, &self.values] {
                for part in side.bytes(from, kv_heads, head_dim * PAGE, groups(head_dim) * PAGE) {
                    bytes.extend_from_slice(part);
                }
            }
        }
    }

    /// Sets a page to what [`Cache::read_page`] gave.
    pub(crate) fn write_page(&mut self, page: u32, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.page_bytes(), "a page of another length");
        let CacheShape { layers, kv_heads, head_dim, .. } = self.shape;
        let mut rest = bytes;
        for layer in 0..layers {
            let to = self.page(layer, page as usize, 0);
            for side in [&mut self.keys, &mut self.values] {
                for part in side.bytes_mut(to, kv_heads, head_dim * PAGE, groups(head_dim) * PAGE) {
                    let (now, later) = rest.split_at(part.len());
                    part.copy_from_slice(now);
                    rest = later;
                }
            }
        }
    }
}

/// As [`Cache::page`].
fn number(
    CacheShape { kv_heads, pages, .. }: CacheShape,
    layer: usize,
    page: usize,
    kv_head: usize,
) -> usize {
    debug_assert!(page < pages && kv_head < kv_heads);
    (layer * pages + page) * kv_heads + kv_head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_size_is_an_error() {
        let shape = CacheShape {
            layers: 1 << 20,
            kv_heads: 1 << 10,
            head_dim: 1 << 10,
            pages: 1 << 20,
            dtype: CacheType::F16,
        };
        assert!(matches!(Cache::new(shape), Err(Error::CacheTooLarge { .. })));
    }

    #[test]
    fn a_copied_page_holds_the_same() {
        let heads = Heads { heads: 2, kv_heads: 2, head_dim: 40 };
        for dtype in [CacheType::F16, CacheType::F32, CacheType::Q8_0] {
            let shape = CacheShape { layers: 2, kv_heads: 2, head_dim: 40, pages: 3, dtype };
            let mut cache = Cache::new(shape).unwrap();
            let qkv: Vec<f32> = (0..heads.qkv_columns()).map(|i| i as f32).collect();
            for layer in 0..2 {
                let span = Span { first_row: 0, rows: 1, position: 5, pages: &[1] };
                cache.append(&Pool::new(1), layer, &qkv, heads, &[span]);
            }
            cache.copy_page(1, 2);
            let (mut bytes, mut again) = (Vec::new(), Vec::new());
            cache.read_page(2, &mut bytes);
            assert_eq!((bytes.len(), bytes.len() * 3), (cache.page_bytes(), shape.bytes() as usize));
            let mut other = Cache::new(shape).unwrap();
            other.write_page(0, &bytes);
            other.read_page(0, &mut again);
            assert!(again == bytes && bytes.iter().any(|&byte| byte != 0));
            other.read_page(1, &mut again);
            assert!(again.iter().all(|&byte| byte == 0), "another page was written");
            for layer in 0..2 {
                let at = |page| cache.page(layer, page, 0);
                for side in [&cache.keys, &cache.values] {
                    match side {
                        Store::F16(halves) => same(halves, at(1), at(2), 40 * PAGE),
                        Store::F32(floats) => same(floats, at(1), at(2), 40 * PAGE),
                        Store::Q8_0 { quants, scales } => {
                            same(quants, at(1), at(2), 40 * PAGE);
                            same(scales, at(1), at(2), groups(40) * PAGE);
                        }
                    }
                }
            }
        }
    }

    /// Both heads of two pages are equal, and hold something.
    fn same<T: Copy + Default + PartialEq + std::fmt::Debug>(values: &[T], a: usize, b: usize, page: usize) {
        assert_eq!(values[a * page..(a + 2) * page], values[b * page..(b + 2) * page]);
        assert!(values[a * page..(a + 2) * page].iter().any(|value| *value != T::default()));
    }
}
