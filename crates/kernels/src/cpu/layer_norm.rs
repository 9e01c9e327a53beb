//! `y = (x − mean) / √(variance + eps) · gain + bias`, per row. Ba et al. 2016. And norms of parts of a row, in place.

use super::isa::Isa;
use super::math::{dot, sum_lanes};
use crate::device::NormKind;

/// Normalises each row of `x` (rows, `gain.len()`) into `y` of the same shape.
pub(crate) fn layer_norm(isa: Isa, x: &[f32], gain: &[f32], bias: Option<&[f32]>, eps: f32, y: &mut [f32]) {
    y.copy_from_slice(x);
    in_place(isa, NormKind::Layer, y, gain, bias, eps);
}

/// Normalises every `gain.len()` values of `x` by themselves.
pub(crate) fn in_place(
    isa: Isa,
    kind: NormKind,
    x: &mut [f32],
    gain: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(kind, x, gain, bias, eps) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(kind, x, gain, bias, eps) },
        _ => rows::<{ Isa::BASELINE_FMA }>(kind, x, gain, bias, eps),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(kind: NormKind, x: &mut [f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) {
    rows::<true>(kind, x, gain, bias, eps);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(kind: NormKind, x: &mut [f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) {
    rows::<true>(kind, x, gain, bias, eps);
}

#[inline(always)]
fn rows<const FMA: bool>(kind: NormKind, x: &mut [f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) {
    let n = gain.len();
    for x in x.chunks_exact_mut(n) {
        if kind == NormKind::Layer {
            let mean = sum(x) / n as f32;
            x.iter_mut().for_each(|x| *x -= mean);
        }
        let scale = 1.0 / (dot::<FMA>(x, x) / n as f32 + eps).sqrt();
        for i in 0..n {
            x[i] = x[i] * scale * gain[i];
        }
        if let Some(bias) = bias {
            x.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
        }
    }
}

#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; 32];
    let (chunks, rest) = x.as_chunks::<32>();
    for chunk in chunks {
        for i in 0..32 {
            sums[i] += chunk[i];
        }
    }
    sum_lanes(sums) + rest.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    fn reference(kind: NormKind, x: &[f32], gain: &[f32], bias: Option<&[f32]>, eps: f32) -> Vec<f32> {
        let n = x.len() as f64;
        let mean = match kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => x.iter().map(|&x| f64::from(x)).sum::<f64>() / n,
        };
        let square = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (square + f64::from(eps)).sqrt();
        let bias = |i: usize| bias.map_or(0.0, |bias| f64::from(bias[i]));
        let one =
            |(i, &x): (usize, &f32)| ((f64::from(x) - mean) * scale * f64::from(gain[i]) + bias(i)) as f32;
        x.iter().enumerate().map(one).collect()
    }

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(1);
        for n in [1, 3, 15, 16, 17, 64, 256, 576, 2049] {
            // A mean far from 0 is where the sum of squares alone would not do.
            let x: Vec<f32> = random.normals(3 * n).iter().map(|x| x + 3.0).collect();
            let (gain, bias) = (random.normals(n), random.normals(n));
            for (kind, bias) in
                [(NormKind::Rms, None), (NormKind::Layer, None), (NormKind::Layer, Some(&bias[..]))]
            {
                let want: Vec<f32> =
                    x.chunks(n).flat_map(|row| reference(kind, row, &gain, bias, 1e-5)).collect();
                for isa in Isa::available() {
                    let mut y = x.clone();
                    in_place(isa, kind, &mut y, &gain, bias, 1e-5);
                    assert_close(&y, &want, 4e-6);
                    if kind == NormKind::Layer {
                        let mut y = vec![0.0; 3 * n];
                        layer_norm(isa, &x, &gain, bias, 1e-5, &mut y);
                        assert_close(&y, &want, 4e-6);
                    }
                }
            }
        }
    }
}
