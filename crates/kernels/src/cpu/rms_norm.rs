//! `y = x / √(mean(x²) + eps) · gain`, per row. Zhang & Sennrich 2019.

use super::isa::Isa;
use super::math;

/// Normalises each row of `x` (rows, `gain.len()`) into `y` of the same shape.
pub(crate) fn rms_norm(isa: Isa, x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(x, gain, eps, y) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(x, gain, eps, y) },
        _ => rows::<{ Isa::BASELINE_FMA }>(x, gain, eps, y),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) {
    rows::<true>(x, gain, eps, y);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) {
    rows::<true>(x, gain, eps, y);
}

#[inline(always)]
fn rows<const FMA: bool>(x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) {
    let n = gain.len();
    for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
        let scale = 1.0 / (math::dot::<FMA>(x, x) / n as f32 + eps).sqrt();
        for i in 0..n {
            y[i] = x[i] * scale * gain[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    fn reference(x: &[f32], gain: &[f32], eps: f32) -> Vec<f32> {
        let square: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
        let rms = (square / x.len() as f64 + f64::from(eps)).sqrt();
        x.iter().zip(gain).map(|(&x, &g)| (f64::from(x) / rms * f64::from(g)) as f32).collect()
    }

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(1);
        for n in [1, 3, 15, 16, 17, 576, 2048, 2049] {
            let (x, gain) = (random.normals(3 * n), random.normals(n));
            let want: Vec<f32> = x.chunks(n).flat_map(|row| reference(row, &gain, 1e-5)).collect();
            for isa in Isa::available() {
                let mut y = vec![0.0; 3 * n];
                rms_norm(isa, &x, &gain, 1e-5, &mut y);
                assert_close(&y, &want, 1e-6);
            }
        }
    }
}
