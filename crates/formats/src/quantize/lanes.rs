//! Eight groups at once: the arithmetic of the searches.
//!
//! A search treats every group alike, so eight groups lie side by side, one in each lane, and each step of the search
//! is one operation on all eight. Lanes never mix, so that what a group becomes does not depend on its neighbours;
//! and sums and products are not fused, so that every instruction set gives the same bits.

use std::ops::{Add, Div, Mul, Sub};

/// One number for each of eight groups.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(super) struct Lanes(pub(super) [f32; 8]);

/// Added to a number below 2²², this rounds it to the nearest whole one, ties to even, and brings the low bits of that
/// to where integers have theirs.
pub(super) const ROUNDER: f32 = 12_582_912.0; // 1.5 · 2²³

impl Lanes {
    pub(super) const ZERO: Lanes = Lanes([0.0; 8]);

    #[inline(always)]
    pub(super) fn splat(x: f32) -> Lanes {
        Lanes([x; 8])
    }

    #[inline(always)]
    fn zip(self, other: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
        let mut out = self;
        for i in 0..8 {
            out.0[i] = f(self.0[i], other.0[i]);
        }
        out
    }

    /// To the nearest whole number, ties to even.
    #[inline(always)]
    pub(super) fn round(self) -> Lanes {
        Lanes(self.0.map(f32::round_ties_even))
    }

    #[inline(always)]
    pub(super) fn max(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    pub(super) fn min(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    /// Whole numbers from `lo` to `hi`, the nearest ones.
    #[inline(always)]
    pub(super) fn integers(self, lo: f32, hi: f32) -> Lanes {
        self.max(Lanes::splat(lo)).min(Lanes::splat(hi)).round()
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Lanes {
        self.zip(self, |x, _| x.abs())
    }

    /// In each lane, `then` where `self > other`, and else `otherwise`.
    #[inline(always)]
    pub(super) fn where_above(self, other: Lanes, then: Lanes, otherwise: Lanes) -> Lanes {
        let mut out = otherwise;
        for i in 0..8 {
            out.0[i] = if self.0[i] > other.0[i] { then.0[i] } else { otherwise.0[i] };
        }
        out
    }

    /// The inverse, and 0 for what is too small to have one that is a use.
    #[inline(always)]
    pub(super) fn inverse(self) -> Lanes {
        let inverse = Lanes::splat(1.0) / self;
        self.abs().where_above(Lanes::splat(TINY), inverse, Lanes::ZERO)
    }

    #[inline(always)]
    fn sqrt(self) -> Lanes {
        Lanes(self.0.map(f32::sqrt))
    }

    /// The low byte of each whole number, two's complement.
    #[inline(always)]
    pub(super) fn bytes(self) -> [u8; 8] {
        let shifted = self + Lanes::splat(ROUNDER);
        shifted.0.map(|x| x.to_bits() as u8)
    }

    /// The sum over the lanes.
    #[inline(always)]
    pub(super) fn sum(self) -> f32 {
        self.0.iter().sum()
    }
}

/// Numbers smaller than this are zero to every block type: half of the least f16 is 2⁻²⁵.
pub(super) const TINY: f32 = 1.0 / (1u64 << 30) as f32;

impl Add for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn add(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn sub(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn mul(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a * b)
    }
}

impl Div for Lanes {
    type Output = Lanes;
    #[inline(always)]
    fn div(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a / b)
    }
}

/// Eight groups of `N` neighbouring weights, side by side: `x[i]` holds the `i`-th of each.
#[derive(Clone, Copy)]
pub(super) struct Groups<const N: usize> {
    /// The weights.
    pub(super) x: [Lanes; N],
    /// How much a unit of squared error of each matters; not negative.
    pub(super) w: [Lanes; N],
}

impl<const N: usize> Groups<N> {
    pub(super) const EMPTY: Groups<N> = Groups { x: [Lanes::ZERO; N], w: [Lanes::ZERO; N] };

    /// From groups that lie one after another. `w` are importances; where there are none, all are alike.
    #[inline(always)]
    pub(super) fn of(x: &[f32], importance: Option<&[f32]>) -> Groups<N> {
        let w = match importance {
            Some(importance) => side_by_side(importance),
            None => [Lanes::splat(1.0); N],
        };
        Groups { x: side_by_side(x), w }
    }

    /// Importances into the weights of errors: times one and the size of `x` in units of its group's root mean square.
    ///
    /// Large weights count more, but not by much. Were all alike, the search would cut off the few large ones for the sake
    /// of the many small; were it by their squares, the many would pay for the few.
    #[inline(always)]
    pub(super) fn weigh(&mut self) {
        let mut mean = Lanes::ZERO;
        for x in self.x {
            mean = mean + x * x;
        }
        let root = (mean * Lanes::splat(1.0 / N as f32)).sqrt();
        // A group of zeros has no unit, and needs none.
        let unit = root.inverse();
        for i in 0..N {
            self.w[i] = self.w[i] * (self.x[i].abs() * unit + Lanes::splat(1.0));
        }
    }
}

/// `N` numbers of each of eight groups that lie one after another.
#[inline(always)]
fn side_by_side<const N: usize>(x: &[f32]) -> [Lanes; N] {
    let mut out = [Lanes::ZERO; N];
    for lane in 0..8 {
        let x = &x[lane * N..][..N];
        for i in 0..N {
            out[i].0[lane] = x[i];
        }
    }
    out
}

/// Stored integers, side by side, as bytes one group after another; `N` is a multiple of four.
#[inline(always)]
pub(super) fn unpick<const N: usize>(q: &[Lanes; N], out: &mut [u8]) {
    // Four neighbours of each group are put into one number, and that is moved to its place.
    for (i, four) in q.as_chunks::<4>().0.iter().enumerate() {
        let mut packed = [0u32; 8];
        for (byte, q) in four.iter().enumerate() {
            for (packed, x) in packed.iter_mut().zip((*q + Lanes::splat(ROUNDER)).0) {
                *packed |= (x.to_bits() & 0xff) << (8 * byte);
            }
        }
        for (lane, packed) in packed.into_iter().enumerate() {
            out[lane * N + 4 * i..][..4].copy_from_slice(&packed.to_le_bytes());
        }
    }
}
