//! Scales as half-precision numbers, the way blocks store them.

use super::lanes::Lanes;

/// The largest f16.
pub(super) const LARGEST: f32 = 65_504.0;
/// The least f16 above zero.
const LEAST: f32 = 1.0 / (1 << 24) as f32;
/// The least f16 with an exponent of its own.
const NORMAL: f32 = 1.0 / (1 << 14) as f32;

/// A stored half, and the number that reading it gives.
#[derive(Clone, Copy)]
pub(super) struct Half {
    pub(super) bytes: [u8; 2],
    pub(super) value: f32,
}

impl Half {
    /// The half nearest to `x`: beyond the largest, the largest; and zero only for zero, because a scale of zero
    /// would lose what a coarse one can hold.
    pub(super) fn nearest(x: f32) -> Half {
        let size = x.abs().min(LARGEST);
        let x = if size > 0.0 { size.max(LEAST).copysign(x) } else { 0.0 };
        let half = half::f16::from_f32(x);
        Half { bytes: half.to_le_bytes(), value: half.to_f32() }
    }
}

/// The nearest half in each lane, as [`Half::nearest`] has it.
#[inline(always)]
pub(super) fn halves(x: Lanes) -> ([Half; 8], Lanes) {
    // Of the two zeros, the one without a sign.
    let x = x + Lanes::ZERO;
    let size = x.abs().min(Lanes::splat(LARGEST));
    let size = size.where_above(Lanes::ZERO, size.max(Lanes::splat(LEAST)), Lanes::ZERO);
    // Below the least normal half, steps are as wide as those of f32 from a half to one.
    let small = size + Lanes::splat(0.5);
    let (mut stored, mut value) = ([Half { bytes: [0; 2], value: 0.0 }; 8], Lanes::ZERO);
    for (i, stored) in stored.iter_mut().enumerate() {
        let wide = size.0[i].to_bits();
        // To ten bits of fraction, ties to even; and the exponent of a half, whose bias is 112 less.
        let near = (wide + 0xfff + (wide >> 13 & 1)) & !0x1fff;
        let normal = size.0[i] >= NORMAL;
        let half = if normal { (near >> 13) - (112 << 10) } else { small.0[i].to_bits() - 0.5f32.to_bits() };
        let size = if normal { near } else { (small.0[i] - 0.5).to_bits() };
        let sign = x.0[i].to_bits() & 1 << 31;
        value.0[i] = f32::from_bits(size | sign);
        *stored = Half { bytes: ((half | sign >> 16) as u16).to_le_bytes(), value: value.0[i] };
    }
    (stored, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_round_to_halves_as_single_numbers_do() {
        // Every 977th f32: all exponents, both signs, ties and what lies beside them. And what is not finite is refused
        // before.
        let numbers = (0..=u32::MAX).step_by(977).map(f32::from_bits).filter(|x| x.is_finite());
        let halves_exactly =
            (0..=u16::MAX).map(|x| half::f16::from_bits(x).to_f32()).filter(|x| x.is_finite());
        let ties = halves_exactly.flat_map(|x| [x, f32::from_bits(x.to_bits() + 0x1000), x * 1.5]);
        let all: Vec<f32> = numbers.chain(ties).collect();
        for eight in all.as_chunks::<8>().0 {
            let (stored, value) = halves(Lanes(*eight));
            for (i, &x) in eight.iter().enumerate() {
                let expected = Half::nearest(x);
                assert_eq!(
                    (stored[i].bytes, value.0[i].to_bits()),
                    (expected.bytes, expected.value.to_bits()),
                    "{x:e}"
                );
            }
        }
    }
}
