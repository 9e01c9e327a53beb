//! Keys and values of all layers, in pages of [`PAGE`] positions.

use crate::Error;
use crate::device::{CacheShape, CacheType, Heads, PAGE, Span};
use half::f16;

/// The values of one side, in the cache's precision.
pub(crate) enum Store {
    F16(Vec<f16>),
    F32(Vec<f32>),
}

impl Store {
    /// Zeroed memory, which the operating system hands out only as it is first written.
    fn new(dtype: CacheType, length: usize) -> Result<Store, Error> {
        let refused = |()| Error::CacheTooLarge { bytes: length as u64 * dtype.bytes() as u64 };
        Ok(match dtype {
            CacheType::F16 => Store::F16(bytemuck::allocation::try_zeroed_vec(length).map_err(refused)?),
            CacheType::F32 => Store::F32(bytemuck::allocation::try_zeroed_vec(length).map_err(refused)?),
        })
    }

    #[inline]
    fn set(&mut self, at: usize, value: f32) {
        match self {
            Store::F16(halves) => halves[at] = f16::from_f32(value),
            Store::F32(floats) => floats[at] = value,
        }
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) {
        match self {
            Store::F16(halves) => halves.copy_within(from..from + length, to),
            Store::F32(floats) => floats.copy_within(from..from + length, to),
        }
    }
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
        let side = usize::try_from(bytes / 2 / shape.dtype.bytes() as u64)
            .map_err(|_| Error::CacheTooLarge { bytes })?;
        Ok(Cache { shape, keys: Store::new(shape.dtype, side)?, values: Store::new(shape.dtype, side)? })
    }

    /// Where a head's page begins, on either side.
    pub(crate) fn page_start(&self, layer: usize, page: usize, kv_head: usize) -> usize {
        let CacheShape { kv_heads, head_dim, pages, .. } = self.shape;
        debug_assert!(page < pages && kv_head < kv_heads);
        ((layer * pages + page) * kv_heads + kv_head) * head_dim * PAGE
    }

    pub(crate) fn append(&mut self, layer: usize, qkv: &[f32], heads: Heads, spans: &[Span<'_>]) {
        let Heads { heads: query_heads, kv_heads, head_dim } = heads;
        let columns = heads.qkv_columns();
        for span in spans {
            for i in 0..span.rows {
                let (page, offset) = span.slot(i);
                let row = &qkv[(span.first_row + i) * columns..][..columns];
                for kv_head in 0..kv_heads {
                    let start = self.page_start(layer, page, kv_head);
                    let key = &row[(query_heads + kv_head) * head_dim..][..head_dim];
                    let value = &row[(query_heads + kv_heads + kv_head) * head_dim..][..head_dim];
                    for d in 0..head_dim {
                        self.keys.set(start + d * PAGE + offset, key[d]);
                        self.values.set(start + offset * head_dim + d, value[d]);
                    }
                }
            }
        }
    }

    pub(crate) fn copy_page(&mut self, from: u32, to: u32) {
        let length = self.shape.kv_heads * self.shape.head_dim * PAGE;
        for layer in 0..self.shape.layers {
            let from = self.page_start(layer, from as usize, 0);
            let to = self.page_start(layer, to as usize, 0);
            self.keys.copy(from, to, length);
            self.values.copy(from, to, length);
        }
    }
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
        let heads = Heads { heads: 2, kv_heads: 2, head_dim: 4 };
        let shape = CacheShape { layers: 2, kv_heads: 2, head_dim: 4, pages: 3, dtype: CacheType::F32 };
        let mut cache = Cache::new(shape).unwrap();
        let qkv: Vec<f32> = (0..heads.qkv_columns()).map(|i| i as f32).collect();
        for layer in 0..2 {
            cache.append(layer, &qkv, heads, &[Span { first_row: 0, rows: 1, position: 5, pages: &[1] }]);
        }
        cache.copy_page(1, 2);
        let (Store::F32(keys), Store::F32(values)) = (&cache.keys, &cache.values) else { unreachable!() };
        for layer in 0..2 {
            for side in [keys, values] {
                let page = |p| &side[cache.page_start(layer, p, 0)..][..2 * 4 * PAGE];
                assert_eq!(page(1), page(2));
                assert!(page(1).iter().any(|&x| x != 0.0));
            }
        }
    }
}
