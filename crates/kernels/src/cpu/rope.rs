//! Rotary position embedding. Su et al. 2021.

use super::isa::Isa;
use crate::device::{Heads, RopeStyle};

/// Writes for each position, with the frequencies that it has, as many cosines and then as many sines of
/// `position · inv_freq[i]`, times `scale` (YaRN's attention factor; else 1).
pub(crate) fn rope_angles(positions: &[u32], inv_freq: &[&[f32]], scale: f32, angles: &mut [f32]) {
    let half = inv_freq.first().map_or(0, |row| row.len());
    if half == 0 {
        return;
    }
    for ((&position, inv_freq), row) in positions.iter().zip(inv_freq).zip(angles.chunks_exact_mut(2 * half))
    {
        let (cosines, sines) = row.split_at_mut(half);
        for i in 0..half {
            // The product is rounded to f32 first, as the references do.
            let (sin, cos) = f64::from(position as f32 * inv_freq[i]).sin_cos();
            cosines[i] = cos as f32 * scale;
            sines[i] = sin as f32 * scale;
        }
    }
}

/// Turns the leading `2 · half` components of each query and key head of one row: the same bits on every instruction set.
pub(crate) fn rope_row(isa: Isa, qkv: &mut [f32], angles: &[f32], heads: Heads, style: RopeStyle) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(qkv, angles, heads, style) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(qkv, angles, heads, style) },
        _ => row(qkv, angles, heads, style),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(qkv: &mut [f32], angles: &[f32], heads: Heads, style: RopeStyle) {
    row(qkv, angles, heads, style);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(qkv: &mut [f32], angles: &[f32], heads: Heads, style: RopeStyle) {
    row(qkv, angles, heads, style);
}

#[inline(always)]
fn row(qkv: &mut [f32], angles: &[f32], heads: Heads, style: RopeStyle) {
    let half = angles.len() / 2;
    let (cosines, sines) = angles.split_at(half);
    let turned = (heads.heads + heads.kv_heads) * heads.head_dim;
    for head in qkv[..turned].chunks_exact_mut(heads.head_dim) {
        match style {
            RopeStyle::Halves => {
                let (low, high) = head[..2 * half].split_at_mut(half);
                for i in 0..half {
                    let (a, b) = (low[i], high[i]);
                    low[i] = a * cosines[i] - b * sines[i];
                    high[i] = b * cosines[i] + a * sines[i];
                }
            }
            RopeStyle::Pairs => {
                for (i, pair) in head[..2 * half].as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let [a, b] = *pair;
                    *pair = [a * cosines[i] - b * sines[i], b * cosines[i] + a * sines[i]];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    const HEADS: Heads = Heads { heads: 3, kv_heads: 1, head_dim: 6 };

    /// Turning is multiplying `a + ib` by `e^(iθ)`.
    #[test]
    fn pairs_turn_as_complex_numbers() {
        let mut random = Random::new(3);
        let inv_freq = [1.0, 0.25];
        let mut angles = vec![0.0; 4];
        rope_angles(&[7], &[&inv_freq], 1.0, &mut angles);
        let before = random.normals(HEADS.qkv_columns());
        for (style, place) in [(RopeStyle::Pairs, [(0, 1), (2, 3)]), (RopeStyle::Halves, [(0, 2), (1, 3)])] {
            let mut want = before.clone();
            for head in 0..4 {
                for (i, (a, b)) in place.into_iter().enumerate() {
                    let (a, b) = (head * 6 + a, head * 6 + b);
                    let (sin, cos) = (7.0 * inv_freq[i]).sin_cos();
                    want[a] = before[a] * cos - before[b] * sin;
                    want[b] = before[a] * sin + before[b] * cos;
                }
            }
            for isa in Isa::available() {
                let mut got = before.clone();
                rope_row(isa, &mut got, &angles, HEADS, style);
                assert_close(&got, &want, 1e-6);
                assert_eq!(got[4 * 6..], before[4 * 6..], "values do not turn");
            }
        }
    }

    #[test]
    fn the_scale_multiplies_both() {
        let mut angles = vec![0.0; 2];
        rope_angles(&[0], &[&[1.0]], 1.5, &mut angles);
        assert_eq!(angles, [1.5, 0.0]);
    }
}
