//! The search for a group's scale, or scale and offset: weighted least squares.
//!
//! Where the integers `q` are given, the best scale has a closed form; where the scale is given, the best integers are
//! the nearest ones. From a few starting scales the two are done in turn, and what leaves the least error is kept.

use super::lanes::{Groups, Lanes};

/// The scales of `x ≈ scale · q`, `q` from `lo` to `hi`.
///
/// Each of `starts` says on which number the weight of largest magnitude is laid; the best is then refined so many
/// `rounds`.
#[inline(always)]
pub(super) fn scales<const N: usize>(
    groups: &Groups<N>,
    (lo, hi): (f32, f32),
    starts: &[f32],
    rounds: usize,
) -> Lanes {
    let mut peak = Lanes::ZERO;
    for &x in &groups.x {
        peak = x.abs().where_above(peak.abs(), x, peak);
    }
    let unit = peak.inverse();
    let (mut best, mut found) = (Lanes::ZERO, Lanes::ZERO);
    for step in 0..starts.len() + rounds {
        let inverse = match starts.get(step) {
            Some(&start) => unit * Lanes::splat(start),
            None => found.inverse(),
        };
        let (xq, qq) = products(groups, inverse, lo, hi);
        // Under the best scale for these integers the error is lower than that of zeros by this.
        let gain = xq * xq / qq;
        found = gain.where_above(best, xq / qq, found);
        best = gain.where_above(best, gain, best);
    }
    found
}

/// Σ w·x·q and Σ w·q² for the integers that a scale's inverse gives.
#[inline(always)]
pub(super) fn products<const N: usize>(
    groups: &Groups<N>,
    inverse: Lanes,
    lo: f32,
    hi: f32,
) -> (Lanes, Lanes) {
    let (mut xq, mut qq) = (Lanes::ZERO, Lanes::ZERO);
    for i in 0..N {
        let q = (groups.x[i] * inverse).integers(lo, hi);
        let wq = groups.w[i] * q;
        xq = xq + wq * groups.x[i];
        qq = qq + wq * q;
    }
    (xq, qq)
}

/// `x ≈ scale · q + offset`.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) scale: Lanes,
    pub(super) offset: Lanes,
}

/// The lines of groups whose integers are 0 to `top`; with `sunk`, offsets above zero are not to be had.
///
/// Each of `starts` says on which number the span from the least to the largest weight is laid; the best is then
/// refined so many `rounds`.
#[inline(always)]
pub(super) fn lines<const N: usize>(
    groups: &Groups<N>,
    totals: &Totals,
    (top, sunk): (f32, bool),
    starts: &[f32],
    rounds: usize,
) -> Line {
    let (mut low, mut high) = (groups.x[0], groups.x[0]);
    for &x in &groups.x {
        low = low.min(x);
        high = high.max(x);
    }
    if sunk {
        low = low.min(Lanes::ZERO);
        high = high.max(Lanes::ZERO);
    }
    let unit = (high - low).inverse();

    // A flat line through the mean, unless something is found that is better.
    let mean = totals.x / totals.weight;
    let mut found = Line { scale: Lanes::ZERO, offset: if sunk { mean.min(Lanes::ZERO) } else { mean } };
    let mut best = found.gain(totals, &Sums::NONE);
    for step in 0..starts.len() + rounds {
        let (inverse, offset) = match starts.get(step) {
            Some(&start) => (unit * Lanes::splat(start), low),
            None => (found.scale.inverse(), found.offset),
        };
        let sums = Sums::of(groups, inverse, offset, top);
        let line = Line::through(totals, &sums, sunk);
        let gain = line.gain(totals, &sums);
        found.scale = gain.where_above(best, line.scale, found.scale);
        found.offset = gain.where_above(best, line.offset, found.offset);
        best = gain.where_above(best, gain, best);
    }
    found
}

/// Σ w and Σ w·x of a group.
#[derive(Clone, Copy)]
pub(super) struct Totals {
    pub(super) weight: Lanes,
    pub(super) x: Lanes,
}

impl Totals {
    #[inline(always)]
    pub(super) fn of<const N: usize>(groups: &Groups<N>) -> Totals {
        let mut totals = Totals { weight: Lanes::ZERO, x: Lanes::ZERO };
        for i in 0..N {
            totals.weight = totals.weight + groups.w[i];
            totals.x = totals.x + groups.w[i] * groups.x[i];
        }
        totals
    }
}

/// Σ w·q, Σ w·q² and Σ w·x·q of a group.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) q: Lanes,
    pub(super) qq: Lanes,
    pub(super) xq: Lanes,
}

impl Sums {
    pub(super) const NONE: Sums = Sums { q: Lanes::ZERO, qq: Lanes::ZERO, xq: Lanes::ZERO };

    /// For the integers that a scale's inverse gives above `offset`.
    #[inline(always)]
    pub(super) fn of<const N: usize>(groups: &Groups<N>, inverse: Lanes, offset: Lanes, top: f32) -> Sums {
        let mut sums = Sums::NONE;
        for i in 0..N {
            let (x, w) = (groups.x[i], groups.w[i]);
            let q = ((x - offset) * inverse).integers(0.0, top);
            let wq = w * q;
            sums.q = sums.q + wq;
            sums.qq = sums.qq + wq * q;
            sums.xq = sums.xq + wq * x;
        }
        sums
    }
}

impl Line {
    /// The line of least squares through given integers.
    #[inline(always)]
    pub(super) fn through(totals: &Totals, sums: &Sums, sunk: bool) -> Line {
        let spread = totals.weight * sums.qq - sums.q * sums.q;
        let over = spread.inverse();
        let scale = (totals.weight * sums.xq - totals.x * sums.q) * over;
        let offset = (sums.qq * totals.x - sums.q * sums.xq) * over;
        if !sunk {
            return Line { scale, offset };
        }
        // Through zero where the best line passes above it, or where all integers are the same.
        let from_zero = sums.xq * sums.qq.inverse();
        let scale = over.where_above(Lanes::ZERO, scale, from_zero);
        Line { scale: offset.where_above(Lanes::ZERO, from_zero, scale), offset: offset.min(Lanes::ZERO) }
    }

    /// How far the squared error is below that of zeros.
    #[inline(always)]
    pub(super) fn gain(&self, totals: &Totals, sums: &Sums) -> Lanes {
        let (s, o) = (self.scale, self.offset);
        let two = Lanes::splat(2.0);
        s * (two * (sums.xq - o * sums.q) - s * sums.qq) + o * (two * totals.x - o * totals.weight)
    }
}
