//! Scales as half-precision numbers, the way blocks store them.

use super::lanes::Lanes;

/// The largest f16.
pub(super) const LARGEST: f32 = 65_504.0;
/// The least f16 above zero.
const LEAST: f32 = 1.0 / (1 << 24) as f32;

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

/// The nearest half in each lane.
#[inline(always)]
pub(super) fn halves(x: Lanes) -> ([Half; 8], Lanes) {
    let halves = x.0.map(Half::nearest);
    (halves, Lanes(halves.map(|half| half.value)))
}
