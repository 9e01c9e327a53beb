//! Scalar building blocks, written so that a loop over them compiles to whole vectors.
//!
//! `FMA` says whether the caller is compiled for an instruction set with fused multiply-add; without
//! one `f32::mul_add` would be a library call.

/// `a * b + c`, fused where the instruction set can.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `eˣ` to within two units in the last place, for finite `x`; saturates at `e^±87`.
///
/// Cody–Waite reduction by ln 2 in two parts, then the Taylor series on ±(ln 2)/2, where degree 7
/// leaves less than half a unit.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    /// Adding 1.5 · 2²³ leaves the nearest integer in the low bits; subtracting it again, in a float.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;

    let x = x.clamp(-87.0, 87.0);
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN_2_LOW, fma::<FMA>(n, -LN_2_HIGH, x));
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = fma::<FMA>(p, r, coefficient);
    }
    // The low bits of `shifted` hold the integer n in ±126, so this builds 2ⁿ from its exponent bits.
    p * f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23)
}

/// `Σ a[i] · b[i]` over the shorter of the two, in 32 partial sums.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [0.0f32; 32];
    let (a_chunks, a_rest) = a.as_chunks::<32>();
    let (b_chunks, b_rest) = b.as_chunks::<32>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..32 {
            sums[i] = fma::<FMA>(a[i], b[i], sums[i]);
        }
    }
    let (a_eights, a_rest) = a_rest.as_chunks::<8>();
    let (b_eights, b_rest) = b_rest.as_chunks::<8>();
    for (a, b) in a_eights.iter().zip(b_eights) {
        for i in 0..8 {
            sums[i] = fma::<FMA>(a[i], b[i], sums[i]);
        }
    }
    let tail: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sum_lanes(sums) + tail
}

/// Adds 32 partial sums pairwise.
#[inline(always)]
pub(crate) fn sum_lanes(mut sums: [f32; 32]) -> f32 {
    for width in [16, 8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

/// The largest of 32 values.
#[inline(always)]
pub(crate) fn max_lanes(mut values: [f32; 32]) -> f32 {
    for width in [16, 8, 4, 2, 1] {
        for i in 0..width {
            // One instruction, where `f32::max` also looks for NaN.
            values[i] = if values[i] > values[i + width] { values[i] } else { values[i + width] };
        }
    }
    values[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_double_precision() {
        let mut worst = 0.0f64;
        for i in -86_000..=86_000 {
            let x = i as f32 * 1e-3;
            let want = f64::from(x).exp();
            for got in [exp::<false>(x), exp::<true>(x)] {
                worst = worst.max(((f64::from(got) - want) / want).abs());
            }
        }
        assert!(worst < 2.5e-7, "{worst:e}");
        assert_eq!(exp::<true>(0.0), 1.0);
        assert!(exp::<true>(-1e30) < 1e-37 && exp::<true>(f32::NEG_INFINITY) < 1e-37);
        assert!(exp::<true>(1e30).is_finite());
    }

    #[test]
    fn dot_on_every_length() {
        for n in 0..131 {
            let a: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..n).map(|i| (i % 5) as f32 - 2.0).collect();
            let want: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot::<true>(&a, &b), want);
            assert_eq!(dot::<false>(&a, &b), want);
        }
    }
}
