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

/// Adding and subtracting this rounds a number below 2²² to the nearest whole one, ties to even.
const ROUNDER: f32 = 12_582_912.0; // 1.5 · 2²³

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

    /// To the nearest whole number; for numbers below 2²².
    #[inline(always)]
    pub(super) fn round(self) -> Lanes {
        self + Lanes::splat(ROUNDER) - Lanes::splat(ROUNDER)
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
        // Held to the range first: rounding is only right for small numbers.
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

    /// Zero for what is not finite.
    #[inline(always)]
    fn finite(self) -> Lanes {
        Lanes::splat(f32::MAX).where_above(self, self, Lanes::ZERO)
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

    /// Σ x² of each group.
    #[inline(always)]
    pub(super) fn squares(&self) -> Lanes {
        let mut sum = Lanes::ZERO;
        for x in self.x {
            sum = sum + x * x;
        }
        sum
    }

    /// Importances into the weights of errors; `mean` is that of `x²` in the block of each group.
    ///
    /// Large weights count more, by as much as their squares exceed the mean: with equal errors for all, the search would
    /// cut off the few large ones for the sake of the many small, and models suffer from that more than the sum of
    /// squares tells.
    #[inline(always)]
    pub(super) fn weigh(&mut self, mean: Lanes) {
        // In units of the mean, so that sums are neither tiny nor huge; a block of zeros has no unit.
        let unit = Lanes::splat(0.5) / mean;
        let unit = unit.finite();
        let most = Lanes::splat(0.5);
        for i in 0..N {
            self.w[i] = self.w[i] * (self.x[i] * self.x[i] * unit + most);
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

/// Stored integers, side by side, as bytes one group after another.
#[inline(always)]
pub(super) fn unpick<const N: usize>(q: &[Lanes; N], out: &mut [u8]) {
    let mut side_by_side = [[0u8; 8]; N];
    for i in 0..N {
        side_by_side[i] = q[i].bytes();
    }
    for lane in 0..8 {
        let out = &mut out[lane * N..][..N];
        for i in 0..N {
            out[i] = side_by_side[i][lane];
        }
    }
}
