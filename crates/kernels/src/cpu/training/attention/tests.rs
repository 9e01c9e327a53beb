//! Both passes against their definition, on every instruction set of the machine.

use super::*;
use crate::cpu::testing::{Random, assert_close};

/// Attention by its definition, and its gradients by the chain rule, in f64.
fn reference(
    qkv: &[f32],
    d_out: &[f32],
    documents: &[Range<usize>],
    heads: Heads,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (columns, dim) = (heads.qkv_columns(), heads.head_dim);
    let wide = heads.heads * dim;
    let (mut out, mut d_qkv) = (vec![0.0; qkv.len() / columns * wide], vec![0.0f64; qkv.len()]);
    let mut log_sums = Vec::new();
    let at = |row: usize, head: usize, c: usize| row * columns + head * dim + c;
    let x = |i: usize| f64::from(qkv[i]);
    let scale = 1.0 / (dim as f64).sqrt();
    for document in documents {
        for (row, head) in document.clone().flat_map(|row| (0..heads.heads).map(move |h| (row, h))) {
            let key = heads.heads + head * heads.kv_heads / heads.heads;
            let value = key + heads.kv_heads;
            let keys = document.start..row + 1;
            let scores: Vec<f64> = keys
                .clone()
                .map(|k| (0..dim).map(|c| x(at(row, head, c)) * x(at(k, key, c))).sum::<f64>() * scale)
                .collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let total: f64 = weights.iter().sum();
            log_sums.push((most + total.ln()) as f32);
            let d = |c: usize| f64::from(d_out[row * wide + head * dim + c]);
            let d_p: Vec<f64> =
                keys.clone().map(|k| (0..dim).map(|c| d(c) * x(at(k, value, c))).sum()).collect();
            let mean: f64 = weights.iter().zip(&d_p).map(|(w, d)| w / total * d).sum();
            for (j, k) in keys.enumerate() {
                let p = weights[j] / total;
                let d_s = p * (d_p[j] - mean) * scale;
                for c in 0..dim {
                    out[row * wide + head * dim + c] += (p * x(at(k, value, c))) as f32;
                    d_qkv[at(k, value, c)] += p * d(c);
                    d_qkv[at(row, head, c)] += d_s * x(at(k, key, c));
                    d_qkv[at(k, key, c)] += d_s * x(at(row, head, c));
                }
            }
        }
    }
    (out, log_sums, d_qkv.into_iter().map(|x| x as f32).collect())
}

#[test]
fn every_path_is_the_reference() {
    let mut random = Random::new(41);
    // The last has scores whose exponentials are beyond f32.
    for (heads, kv_heads, head_dim, lengths, far) in [
        (1, 1, 1, vec![1], 1.0),
        (3, 1, 6, vec![1, 3, 17], 1.0),
        (4, 2, 17, vec![97, 2], 1.0),
        (2, 2, 64, vec![200], 1.0),
        (2, 1, 40, vec![500, 7], 1.0),
        (2, 1, 40, vec![500, 7], 60.0),
    ] {
        let heads = Heads { heads, kv_heads, head_dim };
        let mut documents = Vec::new();
        let mut rows = 0;
        for length in lengths {
            documents.push(rows..rows + length);
            rows += length;
        }
        let mut qkv = random.normals(rows * heads.qkv_columns());
        for row in qkv.chunks_exact_mut(heads.qkv_columns()) {
            row[..heads.heads * head_dim].iter_mut().for_each(|x| *x *= far);
        }
        let d_out = random.normals(rows * heads.heads * head_dim);
        let (want, log_want, d_want) = reference(&qkv, &d_out, &documents, heads);
        for isa in Isa::available() {
            for threads in [1, 3] {
                let pool = Pool::new(threads);
                let mut out = vec![f32::NAN; want.len()];
                let mut log_sums = vec![f32::NAN; rows * heads.heads];
                attend(isa, &pool, &qkv, &documents, heads, &mut out, &mut log_sums);
                assert_close(&out, &want, 1e-5 * far);
                assert_close(&log_sums, &log_want, 1e-5);
                let mut d_qkv = vec![f32::NAN; qkv.len()];
                let kept = Kept { d_out: &d_out, out: &out, log_sums: &log_sums };
                attend_backward(isa, &pool, &qkv, &kept, &documents, heads, &mut d_qkv);
                assert_close(&d_qkv, &d_want, 2e-5 * far);
            }
        }
    }
}
