use super::*;
use crate::cpu::testing::{Random, assert_close};
use crate::device::{CacheShape, CacheType};

/// One query against a whole history of (position, head) keys and values.
fn reference(query: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
    let scale = 1.0 / (query.len() as f64).sqrt();
    let scores: Vec<f64> = keys
        .iter()
        .map(|k| k.iter().zip(query).map(|(&k, &q)| f64::from(k) * f64::from(q)).sum::<f64>() * scale)
        .collect();
    let highest = scores.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    (0..query.len())
        .map(|i| (weights.iter().zip(values).map(|(w, v)| w * f64::from(v[i])).sum::<f64>() / sum) as f32)
        .collect()
}

fn check(heads: Heads, lengths: &[(usize, usize)], dtype: CacheType, tolerance: f32) {
    let mut random = Random::new(heads.head_dim as u64);
    let (dim, columns) = (heads.head_dim, heads.qkv_columns());
    let pages_each = lengths.iter().map(|(a, b)| (a + b).div_ceil(PAGE)).max().unwrap();
    let shape = CacheShape {
        layers: 2,
        kv_heads: heads.kv_heads,
        head_dim: dim,
        pages: pages_each * lengths.len(),
        dtype,
    };
    let mut cache = Cache::new(shape).unwrap();
    // Pages of the sequences interleave, so that an order mistake shows.
    let pages: Vec<Vec<u32>> = (0..lengths.len())
        .map(|s| (0..pages_each).map(|p| (p * lengths.len() + s) as u32).collect())
        .collect();
    let histories: Vec<Vec<f32>> =
        lengths.iter().map(|(old, new)| random.normals((old + new) * columns)).collect();
    for ((history, pages), (old, _)) in histories.iter().zip(&pages).zip(lengths) {
        let span = Span { first_row: 0, rows: *old, position: 0, pages };
        cache.append(&Pool::new(2), 1, history, heads, &[span]);
    }
    let mut rows = Vec::new();
    let mut spans = Vec::new();
    for ((history, pages), &(old, new)) in histories.iter().zip(&pages).zip(lengths) {
        spans.push(Span { first_row: rows.len() / columns, rows: new, position: old, pages });
        rows.extend_from_slice(&history[old * columns..]);
    }
    cache.append(&Pool::new(2), 1, &rows, heads, &spans);

    let mut want = Vec::new();
    for (history, &(old, new)) in histories.iter().zip(lengths) {
        let at = |p: usize, head: usize| &history[p * columns + head * dim..][..dim];
        for p in old..old + new {
            for head in 0..heads.heads {
                let kv = head / (heads.heads / heads.kv_heads);
                let keys: Vec<_> = (0..=p).map(|p| at(p, heads.heads + kv)).collect();
                let values: Vec<_> = (0..=p).map(|p| at(p, heads.heads + heads.kv_heads + kv)).collect();
                want.extend(reference(at(p, head), &keys, &values));
            }
        }
    }
    for isa in Isa::available() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            let mut out = vec![f32::NAN; want.len()];
            attend(isa, &pool, &rows, &cache, 1, heads, &spans, &mut out);
            assert_close(&out, &want, tolerance);
        }
    }
}

#[test]
fn every_path_is_the_reference() {
    for (heads, kv_heads, head_dim) in [(1, 1, 1), (9, 3, 64), (4, 4, 48), (6, 2, 17), (2, 1, 128)] {
        let heads = Heads { heads, kv_heads, head_dim };
        for lengths in [
            vec![(0, 1)],
            vec![(31, 1)],
            vec![(32, 1), (0, 33)],
            vec![(300, 1), (5, 1), (64, 40)],
            vec![(600, 1)],
        ] {
            check(heads, &lengths, CacheType::F32, 2e-6);
            check(heads, &lengths, CacheType::F16, 4e-3);
            check(heads, &lengths, CacheType::Q8_0, 3e-2);
        }
    }
}

/// Rows attend to the same bits alone and together, on any number of threads.
fn check_alone(heads: Heads, dtype: CacheType) {
    let mut random = Random::new(3);
    let (length, columns) = (700usize, heads.qkv_columns());
    let pages: Vec<u32> = (0..length.div_ceil(PAGE) as u32).rev().collect();
    let Heads { kv_heads, head_dim, .. } = heads;
    let shape = CacheShape { layers: 1, kv_heads, head_dim, pages: pages.len(), dtype };
    let mut cache = Cache::new(shape).unwrap();
    let qkv = random.normals(length * columns);
    let whole = Span { first_row: 0, rows: length, position: 0, pages: &pages };
    cache.append(&Pool::new(2), 0, &qkv, heads, &[whole]);
    for isa in Isa::available() {
        let attend = |threads, first: usize, rows: usize| {
            let mut out = vec![0.0; rows * heads.heads * heads.head_dim];
            let qkv = &qkv[first * columns..(first + rows) * columns];
            let span = Span { first_row: 0, rows, position: first, pages: &pages };
            super::attend(isa, &Pool::new(threads), qkv, &cache, 0, heads, &[span], &mut out);
            out
        };
        let together = attend(1, 0, length);
        for (threads, first, rows) in [(1, 699, 1), (2, 699, 1), (4, 690, 5), (3, 31, 2), (2, 100, 300)] {
            let width = heads.heads * heads.head_dim;
            assert_eq!(attend(threads, first, rows), together[first * width..(first + rows) * width]);
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    for dtype in [CacheType::F16, CacheType::F32, CacheType::Q8_0] {
        check_alone(Heads { heads: 6, kv_heads: 2, head_dim: 64 }, dtype);
        check_alone(Heads { heads: 2, kv_heads: 2, head_dim: 40 }, dtype);
    }
}
