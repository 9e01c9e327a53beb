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
        // Chosen before dividing: where a quotient is chosen the compiler branches around each lane's division.
        Lanes::splat(1.0) / self.abs().where_above(Lanes::splat(TINY), self, Lanes::splat(f32::INFINITY))
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

    /// From groups that lie one after another, and importances that lie with them; where there are none, all are alike.
    ///
    /// An importance is made the weight of an error: times one and the size of `x` in units of its group's root mean
    /// square. Large weights count more, but not by much. Were all alike, the search would cut off the few large ones for
    /// the sake of the many small; were it by their squares, the many would pay for the few.
    #[inline(always)]
    pub(super) fn fill(&mut self, x: &[f32], importance: Option<&[f32]>) {
        side_by_side(x, &mut self.x);
        let mut mean = Lanes::ZERO;
        for &x in &self.x {
            mean = mean + x * x;
        }
        let root = (mean * Lanes::splat(1.0 / N as f32)).sqrt();
        // A group of zeros has no unit, and needs none.
        let unit = root.inverse();
        for i in 0..N {
            lanes_stay_lanes();
            self.w[i] = self.x[i].abs() * unit + Lanes::splat(1.0);
        }
        if let Some(importance) = importance {
            let mut rows = [Lanes::ZERO; N];
            side_by_side(importance, &mut rows);
            for (w, row) in self.w.iter_mut().zip(&rows) {
                lanes_stay_lanes();
                *w = *row * *w;
            }
        }
    }
}

/// Keeps the compiler from taking eight turns of a loop at once: it would exchange rows with lanes before and after.
#[inline(always)]
pub(super) fn lanes_stay_lanes() {
    std::hint::black_box(());
}

/// `N` numbers of each of eight groups that lie one after another; `N` is a multiple of eight.
///
/// Never inlined, as [`one_after_another`]: what the compiler makes of both is good apart, and poor where it mixes the exchange
/// with the arithmetic before or after it.
#[inline(never)]
fn side_by_side<const N: usize>(x: &[f32], out: &mut [Lanes; N]) {
    for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut square = [[0.0; 8]; 8];
        for (lane, row) in square.iter_mut().enumerate() {
            row.copy_from_slice(&x[lane * N + 8 * i..][..8]);
        }
        *out = transposed(&square).map(Lanes);
    }
}

/// Stored integers, side by side, as bytes one group after another; `N` is 16 or 32.
#[inline(always)]
pub(super) fn unpick<const N: usize>(q: &[Lanes; N], out: &mut [u8]) {
    // Four neighbours of each group are put into one number, and that is moved to its place.
    let mut packed = [[0u32; 8]; 8];
    for (packed, four) in packed.iter_mut().zip(q.as_chunks::<4>().0) {
        lanes_stay_lanes();
        let shifted = four.map(|q| q + Lanes::splat(ROUNDER));
        for (lane, packed) in packed.iter_mut().enumerate() {
            let [a, b, c, d] = shifted.map(|q| q.0[lane].to_bits() & 0xff);
            *packed = a | b << 8 | c << 16 | d << 24;
        }
    }
    one_after_another(&packed, N, out);
}

/// The first `bytes` of each lane.
#[inline(never)]
fn one_after_another(packed: &[[u32; 8]; 8], bytes: usize, out: &mut [u8]) {
    for (row, out) in transposed(packed).iter().zip(out.chunks_exact_mut(bytes)) {
        out.copy_from_slice(&bytemuck::bytes_of(row)[..bytes]);
    }
}

/// Rows become columns, in three steps of exchanges between pairs of rows that are each an instruction or two.
#[inline(always)]
fn transposed<T: Copy + Default>(rows: &[[T; 8]; 8]) -> [[T; 8]; 8] {
    let ones = exchanged(rows, 1, [0, 8, 2, 10, 4, 12, 6, 14]);
    let twos = exchanged(&ones, 2, [0, 1, 8, 9, 4, 5, 12, 13]);
    exchanged(&twos, 4, [0, 1, 2, 3, 8, 9, 10, 11])
}

/// Of each pair of rows that lie `apart`, the places `first` of both become the upper row, and the places `apart` further
/// on the lower one. Places from eight on are those of the second row.
#[inline(always)]
fn exchanged<T: Copy + Default>(rows: &[[T; 8]; 8], apart: usize, first: [usize; 8]) -> [[T; 8]; 8] {
    let mut out = [[T::default(); 8]; 8];
    for upper in 0..8 {
        if upper & apart != 0 {
            continue;
        }
        let lower = upper + apart;
        let at = |place: usize| if place < 8 { rows[upper][place] } else { rows[lower][place - 8] };
        for i in 0..8 {
            out[upper][i] = at(first[i]);
            out[lower][i] = at(first[i] + apart);
        }
    }
    out
}
