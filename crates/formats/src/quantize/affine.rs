//! `Q2_K`, `Q4_K` and `Q5_K`: groups with an integer scale and an integer minimum each, under two halves.

use super::half::Half;
use super::lanes::{Groups, Lanes, lanes_stay_lanes, unpick};
use super::search::{Line, Sums, Totals, lines};
use super::{FromRun, Run};
use crate::blocks::*;

/// What a type can store, and where its search begins.
struct Kind {
    /// The largest integer of a weight.
    top: f32,
    /// The largest integer of a group's scale or minimum.
    most: f32,
    /// Where the span of a group's weights is laid.
    starts: &'static [f32],
    /// The neighbours that the last choice is among.
    last: &'static [(f32, f32)],
}

/// A scale and a minimum next to those that are nearest: scales alone, both apart, both together.
const STEPS: [(f32, f32); 9] = [
    (0.0, 0.0),
    (-1.0, 0.0),
    (1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (-1.0, -1.0),
    (1.0, 1.0),
    (-1.0, 1.0),
    (1.0, -1.0),
];

const TWO: Kind = Kind { top: 3.0, most: 15.0, starts: &[2.5, 2.8, 3.0, 3.2, 3.5, 3.8], last: &STEPS };
const FOUR: Kind =
    Kind { top: 15.0, most: 63.0, starts: &[14.2, 14.6, 15.0, 15.4, 15.8], last: STEPS.split_at(5).0 };
const FIVE: Kind =
    Kind { top: 31.0, most: 63.0, starts: &[30.2, 30.6, 31.0, 31.4, 31.8], last: STEPS.split_at(5).0 };

impl FromRun for BlockQ2K {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let groups = run.super_block::<16, 2>();
        let Fit { d, dmin, scales, mins, q } = fit(&groups, &TWO);
        let mut block = BlockQ2K { scales: [0; 16], qs: [0; 64], d: d.bytes, dmin: dmin.bytes };
        for i in 0..16 {
            block.scales[i] = scales[i] | mins[i] << 4;
        }
        for (i, q) in q.as_chunks::<32>().0.iter().enumerate() {
            for (at, q) in q.iter().enumerate() {
                block.qs[i / 4 * 32 + at] |= q << (i % 4 * 2);
            }
        }
        block
    }
}

impl FromRun for BlockQ4K {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let fit = fit(&run.super_block::<32, 1>(), &FOUR);
        BlockQ4K { d: fit.d.bytes, dmin: fit.dmin.bytes, scales: fit.pack_scales(), qs: fit.low_bits() }
    }
}

impl FromRun for BlockQ5K {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let fit = fit(&run.super_block::<32, 1>(), &FIVE);
        let mut qh = [0; 32];
        for (i, q) in fit.q.as_chunks::<32>().0.iter().enumerate() {
            for (qh, q) in qh.iter_mut().zip(q) {
                *qh |= (q >> 4 & 1) << i;
            }
        }
        BlockQ5K { d: fit.d.bytes, dmin: fit.dmin.bytes, scales: fit.pack_scales(), qh, qs: fit.low_bits() }
    }
}

/// A block's numbers, ready to be packed.
struct Fit {
    d: Half,
    dmin: Half,
    scales: [u8; 16],
    mins: [u8; 16],
    q: [u8; SUPER],
}

impl Fit {
    /// As [`scales_q4k`] reads them.
    #[inline(always)]
    fn pack_scales(&self) -> [u8; 12] {
        let mut packed = [0; 12];
        for i in 0..4 {
            let (scale, min) = (self.scales[i + 4], self.mins[i + 4]);
            packed[i] = self.scales[i] | scale >> 4 << 6;
            packed[i + 4] = self.mins[i] | min >> 4 << 6;
            packed[i + 8] = scale & 15 | min << 4;
        }
        packed
    }

    /// As [`BlockQ4K::qs`] has them.
    #[inline(always)]
    fn low_bits(&self) -> [u8; 128] {
        let mut qs = [0; 128];
        for (i, byte) in qs.iter_mut().enumerate() {
            let first = i / 32 * 64 + i % 32;
            *byte = self.q[first] & 15 | self.q[first + 32] << 4;
        }
        qs
    }
}

/// Fits `8 · SETS` groups of `N` weights under their two halves.
#[inline(always)]
fn fit<const N: usize, const SETS: usize>(groups: &[Groups<N>; SETS], kind: &Kind) -> Fit {
    let mut totals = [Totals { weight: Lanes::ZERO, x: Lanes::ZERO }; SETS];
    let mut free = [Line { scale: Lanes::ZERO, offset: Lanes::ZERO }; SETS];
    let (mut steepest, mut deepest) = (0.0f32, 0.0f32);
    for i in 0..SETS {
        totals[i] = Totals::of(&groups[i]);
        free[i] = lines(&groups[i], &totals[i], (kind.top, true), kind.starts, 1);
        steepest = free[i].scale.0.into_iter().fold(steepest, f32::max);
        deepest = free[i].offset.0.into_iter().fold(deepest, |deepest, offset| deepest.max(-offset));
    }

    let (mut d, mut dmin) = (Half::nearest(steepest / kind.most), Half::nearest(deepest / kind.most));
    let mut best = (f32::NEG_INFINITY, d, dmin, [Near::NONE; SETS]);
    for steps in [&STEPS[..3], &STEPS[..3], kind.last] {
        let mut near = [Near::NONE; SETS];
        let mut gain = 0.0;
        for i in 0..SETS {
            near[i] = nearby(&groups[i], &totals[i], (d.value, dmin.value), free[i], kind, steps);
            free[i] = Line::through(&totals[i], &near[i].sums, true);
            gain += near[i].gain.sum();
        }
        if gain > best.0 {
            best = (gain, d, dmin, near);
        }
        (d, dmin) = halves(&totals, &near, (d, dmin));
    }

    let (_, d, dmin, near) = best;
    let mut fit = Fit { d, dmin, scales: [0; 16], mins: [0; 16], q: [0; SUPER] };
    for i in 0..SETS {
        let inverse = (near[i].scale * Lanes::splat(d.value)).inverse();
        let offset = near[i].min * Lanes::splat(-dmin.value);
        let mut q = [Lanes::ZERO; N];
        for (q, x) in q.iter_mut().zip(&groups[i].x) {
            lanes_stay_lanes();
            *q = ((*x - offset) * inverse).integers(0.0, kind.top);
        }
        unpick(&q, &mut fit.q[8 * N * i..]);
        fit.scales[8 * i..][..8].copy_from_slice(&near[i].scale.bytes());
        fit.mins[8 * i..][..8].copy_from_slice(&near[i].min.bytes());
    }
    fit
}

/// The halves of least squares under given integers.
#[inline(always)]
fn halves<const SETS: usize>(
    totals: &[Totals; SETS],
    near: &[Near; SETS],
    (d, dmin): (Half, Half),
) -> (Half, Half) {
    // x ≈ d · (scale · q) − dmin · min, over all groups.
    let (mut a, mut b, mut c, mut p, mut r) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for (totals, near) in totals.iter().zip(near) {
        a += f64::from((near.scale * near.scale * near.sums.qq).sum());
        b += f64::from((near.scale * near.min * near.sums.q).sum());
        c += f64::from((near.min * near.min * totals.weight).sum());
        p += f64::from((near.scale * near.sums.xq).sum());
        r += f64::from((near.min * totals.x).sum());
    }
    let determinant = a * c - b * b;
    if determinant > 1e-9 * a * c {
        let (steep, deep) = ((p * c - b * r) / determinant, (b * p - a * r) / determinant);
        if steep > 0.0 && deep > 0.0 {
            return (Half::nearest(steep as f32), Half::nearest(deep as f32));
        }
    }
    if a > 0.0 && p > 0.0 && c == 0.0 { (Half::nearest((p / a) as f32), dmin) } else { (d, dmin) }
}

/// Integer scales and minima, what they gain over zeros, and the sums of their integers.
#[derive(Clone, Copy)]
struct Near {
    scale: Lanes,
    min: Lanes,
    gain: Lanes,
    sums: Sums,
}

impl Near {
    const NONE: Near = Near { scale: Lanes::ZERO, min: Lanes::ZERO, gain: Lanes::ZERO, sums: Sums::NONE };
}

/// The best of the integer scales and minima next to a free line.
#[inline(always)]
fn nearby<const N: usize>(
    groups: &Groups<N>,
    totals: &Totals,
    (d, dmin): (f32, f32),
    free: Line,
    kind: &Kind,
    steps: &[(f32, f32)],
) -> Near {
    let (d, dmin) = (Lanes::splat(d), Lanes::splat(dmin));
    let middle = (
        (free.scale * d.inverse()).integers(0.0, kind.most),
        ((Lanes::ZERO - free.offset) * dmin.inverse()).integers(0.0, kind.most),
    );
    let mut best = Near::NONE;
    for &(up, down) in steps {
        let scale = (middle.0 + Lanes::splat(up)).integers(0.0, kind.most);
        let min = (middle.1 + Lanes::splat(down)).integers(0.0, kind.most);
        let line = Line { scale: scale * d, offset: Lanes::ZERO - min * dmin };
        let sums = Sums::of(groups, line.scale.inverse(), line.offset, kind.top);
        let gain = line.gain(totals, &sums);
        let pick = |then, otherwise| gain.where_above(best.gain, then, otherwise);
        best = Near {
            scale: pick(scale, best.scale),
            min: pick(min, best.min),
            gain: pick(gain, best.gain),
            sums: Sums {
                q: pick(sums.q, best.sums.q),
                qq: pick(sums.qq, best.sums.qq),
                xq: pick(sums.xq, best.sums.xq),
            },
        };
    }
    best
}
