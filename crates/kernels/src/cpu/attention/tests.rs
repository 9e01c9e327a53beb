use super::*;
use crate::cpu::testing::{Random, assert_close};
use crate::device::{CacheShape, CacheType};

/// One query of a head against a whole history of (position, head) keys and values.
fn reference(
    query: &[f32],
    keys: &[&[f32]],
    values: &[&[f32]],
    attention: &Attention<'_>,
    head: usize,
) -> Vec<f32> {
    let own = keys.len() - 1;
    let score = |(position, k): (usize, &&[f32])| {
        let dot: f64 = k.iter().zip(query).map(|(&k, &q)| f64::from(k) * f64::from(q)).sum();
        let scaled = dot * f64::from(attention.scale);
        let capped =
            attention.soft_cap.map_or(scaled, |cap| f64::from(cap) * (scaled / f64::from(cap)).tanh());
        let slope = attention.slopes.get(head).copied().unwrap_or(0.0);
        let seen = attention.window.is_none_or(|window| own - position < window);
        if seen { capped - f64::from(slope) * (own - position) as f64 } else { f64::NEG_INFINITY }
    };
    let scores: Vec<f64> = keys.iter().enumerate().map(score).collect();
    let highest = scores.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    (0..query.len())
        .map(|i| (weights.iter().zip(values).map(|(w, v)| w * f64::from(v[i])).sum::<f64>() / sum) as f32)
        .collect()
}

fn check(attention: &Attention<'_>, lengths: &[(usize, usize)], dtype: CacheType, tolerance: f32) {
    let heads = attention.heads;
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
                want.extend(reference(at(p, head), &keys, &values, attention, head));
            }
        }
    }
    for isa in Isa::available() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            let mut out = vec![f32::NAN; want.len()];
            attend(isa, &pool, &rows, &cache, 1, attention, &spans, &mut out);
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
            let plain = Attention::plain(heads);
            check(&plain, &lengths, CacheType::F32, 2e-6);
            check(&plain, &lengths, CacheType::F16, 4e-3);
            check(&plain, &lengths, CacheType::Q8_0, 3e-2);
        }
    }
}

/// Windows that end within a page and a chunk, on their borders, and before the text begins.
#[test]
fn windows_caps_and_slopes_are_the_reference() {
    for (heads, kv_heads, head_dim) in [(4, 2, 48), (3, 3, 17), (9, 1, 64)] {
        let plain = Attention::plain(Heads { heads, kv_heads, head_dim });
        let slopes: Vec<f32> = (1..=heads).map(|i| 0.5f32.powi(i as i32)).collect();
        for lengths in [vec![(0, 1)], vec![(300, 1), (5, 1), (64, 40)], vec![(700, 1)], vec![(0, 300)]] {
            for window in [1, 5, 32, 33, 128, 250, 4096] {
                check(&Attention { window: Some(window), ..plain }, &lengths, CacheType::F32, 2e-6);
            }
            check(&Attention { scale: 0.7, ..plain }, &lengths, CacheType::F32, 2e-5);
            check(&Attention { scale: 3.0, soft_cap: Some(5.0), ..plain }, &lengths, CacheType::F32, 2e-5);
            check(&Attention { slopes: &slopes, ..plain }, &lengths, CacheType::F32, 1e-5);
            let all = Attention { soft_cap: Some(2.0), window: Some(70), slopes: &slopes, ..plain };
            check(&all, &lengths, CacheType::F32, 1e-5);
        }
    }
}

/// Rows attend to the same bits alone and together, on any number of threads.
fn check_alone(attention: &Attention<'_>, dtype: CacheType) {
    let heads = attention.heads;
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
            super::attend(isa, &Pool::new(threads), qkv, &cache, 0, attention, &[span], &mut out);
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
        let plain = Attention::plain(Heads { heads: 6, kv_heads: 2, head_dim: 64 });
        check_alone(&plain, dtype);
        check_alone(&Attention { window: Some(150), ..plain }, dtype);
        check_alone(
            &Attention { soft_cap: Some(3.0), slopes: &[0.5, 0.2, 0.1, 0.05, 0.02, 0.01], ..plain },
            dtype,
        );
        check_alone(&Attention::plain(Heads { heads: 2, kv_heads: 2, head_dim: 40 }), dtype);
    }
}
