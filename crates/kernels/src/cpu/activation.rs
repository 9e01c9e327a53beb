//! What a feed-forward layer bends its inputs with: `h = f(gate) · up`, or `h = f(x)` without a gate. Shazeer 2020.

use super::isa::Isa;
use super::math::{exp, fma};
use crate::device::Activation;

/// With a gate a row of `x` is `columns` gates and then `columns` ups, without one `columns` values; a row of `out` is
/// `columns` long.
pub(crate) fn activate(isa: Isa, f: Activation, gated: bool, x: &[f32], columns: usize, out: &mut [f32]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(f, gated, x, columns, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(f, gated, x, columns, out) },
        _ => all::<{ Isa::BASELINE_FMA }>(f, gated, x, columns, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(f: Activation, gated: bool, x: &[f32], columns: usize, out: &mut [f32]) {
    all::<true>(f, gated, x, columns, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(f: Activation, gated: bool, x: &[f32], columns: usize, out: &mut [f32]) {
    all::<true>(f, gated, x, columns, out);
}

#[inline(always)]
fn all<const FMA: bool>(f: Activation, gated: bool, x: &[f32], columns: usize, out: &mut [f32]) {
    match f {
        Activation::Silu => rows(gated, x, columns, out, silu::<FMA>),
        Activation::Gelu => rows(gated, x, columns, out, gelu::<FMA>),
        Activation::GeluTanh => rows(gated, x, columns, out, gelu_tanh::<FMA>),
        Activation::Relu => rows(gated, x, columns, out, |x| if x > 0.0 { x } else { 0.0 }),
    }
}

#[inline(always)]
fn rows(gated: bool, x: &[f32], columns: usize, out: &mut [f32], f: impl Fn(f32) -> f32) {
    if !gated {
        x.iter().zip(out).for_each(|(&x, out)| *out = f(x));
        return;
    }
    for (gate_up, out) in x.chunks_exact(2 * columns).zip(out.chunks_exact_mut(columns)) {
        let (gate, up) = gate_up.split_at(columns);
        for i in 0..columns {
            out[i] = f(gate[i]) * up[i];
        }
    }
}

#[inline(always)]
fn silu<const FMA: bool>(x: f32) -> f32 {
    x / (1.0 + exp::<FMA>(-x))
}

/// `x · ½ (1 + tanh u)` with `u = √(2/π) (x + 0.044715 x³)`, which is `x / (1 + e⁻²ᵘ)`.
#[inline(always)]
fn gelu_tanh<const FMA: bool>(x: f32) -> f32 {
    /// 2 √(2/π)
    const SLOPE: f32 = 1.595_769;
    x / (1.0 + exp::<FMA>(-SLOPE * x * fma::<FMA>(0.044_715 * x, x, 1.0)))
}

/// `x · Φ(x)`, where `Φ(x) = ½ erfc(−x / √2)`. The Chebyshev fit of erfc is that of Press et al. 1992, section 6.2, good
/// to 1.2 · 10⁻⁷ of the value.
#[inline(always)]
fn gelu<const FMA: bool>(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / fma::<FMA>(0.5, z, 1.0);
    let mut p = 0.170_872_77;
    for coefficient in [
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ] {
        p = fma::<FMA>(p, t, coefficient);
    }
    let tail = 0.5 * t * exp::<FMA>(fma::<FMA>(-z, z, p));
    x * if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    /// erf by its series, and 1 far out, in double precision.
    fn erf(x: f64) -> f64 {
        if x.abs() > 6.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn reference(f: Activation, x: f32) -> f32 {
        let x = f64::from(x);
        let y = match f {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }
            Activation::Relu => x.max(0.0),
        };
        y as f32
    }

    const ALL: [Activation; 4] = [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(2);
        for (f, n) in ALL.into_iter().flat_map(|f| [1, 3, 16, 17, 1536].map(|n| (f, n))) {
            let mut gate_up: Vec<f32> = random.normals(2 * 2 * n).iter().map(|x| 2.0 * x).collect();
            gate_up[0] = -200.0;
            let gated: Vec<f32> = gate_up
                .chunks(2 * n)
                .flat_map(|row| (0..n).map(|i| reference(f, row[i]) * row[n + i]).collect::<Vec<_>>())
                .collect();
            let plain: Vec<f32> = gate_up.iter().map(|&x| reference(f, x)).collect();
            for isa in Isa::available() {
                let mut out = vec![0.0; 2 * n];
                activate(isa, f, true, &gate_up, n, &mut out);
                assert_close(&out, &gated, 1e-6);
                let mut out = vec![0.0; 2 * 2 * n];
                activate(isa, f, false, &gate_up, 2 * n, &mut out);
                assert_close(&out, &plain, 1e-6);
            }
        }
    }

    #[test]
    fn the_two_forms_of_gelu_differ() {
        assert!((gelu::<false>(1.0) - 0.841_345).abs() < 1e-6);
        assert!((gelu_tanh::<false>(1.0) - 0.841_192).abs() < 1e-6);
    }
}
