//! One function for every value by itself.

use super::isa::Isa;
use super::math::exp;
use crate::device::Pointwise;

/// Replaces each value by the function of it.
pub(crate) fn pointwise(isa: Isa, f: Pointwise, x: &mut [f32]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(f, x) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(f, x) },
        _ => all::<{ Isa::BASELINE_FMA }>(f, x),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(f: Pointwise, x: &mut [f32]) {
    all::<true>(f, x);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(f: Pointwise, x: &mut [f32]) {
    all::<true>(f, x);
}

#[inline(always)]
fn all<const FMA: bool>(f: Pointwise, x: &mut [f32]) {
    match f {
        Pointwise::Scale(factor) => x.iter_mut().for_each(|x| *x *= factor),
        Pointwise::SoftCap(cap) => x.iter_mut().for_each(|x| *x = soft_cap::<FMA>(*x, cap)),
        Pointwise::Clamp(limit) => x.iter_mut().for_each(|x| *x = x.clamp(-limit, limit)),
    }
}

/// `cap · tanh(x / cap)`.
#[inline(always)]
pub(crate) fn soft_cap<const FMA: bool>(x: f32, cap: f32) -> f32 {
    cap * tanh::<FMA>(x / cap)
}

/// By its series near 0, where `1 − 2 / (e²ˣ + 1)` would lose what it is made of.
#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    let far = 1.0 - 2.0 / (exp::<FMA>(2.0 * x) + 1.0);
    let s = x * x;
    let near = x * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))));
    if x.abs() < 0.25 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(9);
        let mut x: Vec<f32> = random.normals(1003).iter().map(|x| 20.0 * x).collect();
        x[..3].copy_from_slice(&[1e4, -1e4, 1e-3]);
        let cap = |x: &f32| (30.0 * (f64::from(*x) / 30.0).tanh()) as f32;
        for isa in Isa::available() {
            for (f, want) in [
                (Pointwise::Scale(0.22), x.iter().map(|x| x * 0.22).collect::<Vec<f32>>()),
                (Pointwise::SoftCap(30.0), x.iter().map(cap).collect()),
                (Pointwise::Clamp(8.0), x.iter().map(|x| x.clamp(-8.0, 8.0)).collect()),
            ] {
                let mut y = x.clone();
                pointwise(isa, f, &mut y);
                assert_close(&y, &want, 1e-6);
            }
        }
        assert!((tanh::<true>(1e-3) / 1e-3 - 1.0).abs() < 1e-6);
    }
}
