//! `Q3_K` and `Q6_K`: sixteen groups of sixteen weights, each with a signed integer scale, under one half.

use super::half::Half;
use super::lanes::{Groups, Lanes, lanes_stay_lanes, unpick};
use super::search::{products, scales};
use super::{FromRun, Run};
use crate::blocks::*;

/// Weights of a group.
const GROUP: usize = 16;

/// What a type can store, and where its search begins.
struct Kind {
    /// The least and the largest integer of a weight.
    q: (f32, f32),
    /// The least and the largest integer of a group's scale.
    scale: (f32, f32),
    /// Where the weight of largest magnitude is laid.
    starts: &'static [f32],
}

const THREE: Kind =
    Kind { q: (-4.0, 3.0), scale: (-32.0, 31.0), starts: &[-5.2, -4.8, -4.4, -4.0, -3.6, -3.2, -2.7] };
const SIX: Kind =
    Kind { q: (-32.0, 31.0), scale: (-128.0, 127.0), starts: &[-33.0, -32.0, -31.0, 31.6, 30.6] };

impl FromRun for BlockQ3K {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let (d, scales, q) = fit(run, &THREE);
        let mut block = BlockQ3K { hmask: [0; 32], qs: [0; 64], scales: [0; 12], d: d.bytes };
        for (i, q) in q.as_chunks::<32>().0.iter().enumerate() {
            for (at, q) in q.iter().enumerate() {
                let q = q.wrapping_add(4);
                block.qs[i / 4 * 32 + at] |= (q & 3) << (i % 4 * 2);
                block.hmask[at] |= (q >> 2 & 1) << i;
            }
        }
        for (i, scale) in scales.into_iter().enumerate() {
            let scale = scale.wrapping_add(32);
            block.scales[i % 8] |= (scale & 15) << (i / 8 * 4);
            block.scales[8 + i % 4] |= (scale >> 4 & 3) << (i / 4 * 2);
        }
        block
    }
}

impl FromRun for BlockQ6K {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let (d, scales, q) = fit(run, &SIX);
        let mut block = BlockQ6K { ql: [0; 128], qh: [0; 64], scales: scales.map(|s| s as i8), d: d.bytes };
        for (i, q) in q.as_chunks::<32>().0.iter().enumerate() {
            let (half, part) = (i / 4, i % 4);
            for (at, q) in q.iter().enumerate() {
                let q = q.wrapping_add(32);
                block.ql[half * 64 + part % 2 * 32 + at] |= (q & 15) << (part / 2 * 4);
                block.qh[half * 32 + at] |= (q >> 4 & 3) << (part * 2);
            }
        }
        block
    }
}

/// The half, the groups' scales, and the weights' integers; bytes in two's complement.
#[inline(always)]
fn fit(run: &Run<'_>, kind: &Kind) -> (Half, [u8; 16], [u8; SUPER]) {
    let groups: [Groups<GROUP>; 2] = run.super_block();
    let mut free = [scales(&groups[0], kind.q, kind.starts, 1), scales(&groups[1], kind.q, kind.starts, 1)];
    let wider = |a: f32, b: &f32| if b.abs() > a.abs() { *b } else { a };
    let peak = free.iter().flat_map(|scales| &scales.0).fold(0.0, wider);

    // The largest scale on the integer that lies furthest out; then half and scales are fitted to each other.
    let mut d = Half::nearest(peak / kind.scale.0);
    let mut best = (f32::NEG_INFINITY, d, [Lanes::ZERO; 2]);
    for _ in 0..2 {
        let mut whole = [Lanes::ZERO; 2];
        let (mut gain, mut along, mut across) = (0.0, 0.0, 0.0);
        for i in 0..2 {
            let near = nearby(&groups[i], d.value, free[i], kind);
            whole[i] = near.scale;
            gain += near.gain.sum();
            along += (near.scale * near.xq).sum();
            across += (near.scale * near.scale * near.qq).sum();
            free[i] = near.xq * near.qq.inverse();
        }
        if gain > best.0 {
            best = (gain, d, whole);
        }
        if across <= 0.0 {
            break;
        }
        d = Half::nearest(along / across);
    }

    let (_, d, whole) = best;
    let (mut scales, mut integers) = ([0; 16], [0; SUPER]);
    for i in 0..2 {
        let inverse = (whole[i] * Lanes::splat(d.value)).inverse();
        let mut q = [Lanes::ZERO; GROUP];
        for (q, x) in q.iter_mut().zip(&groups[i].x) {
            lanes_stay_lanes();
            *q = (*x * inverse).integers(kind.q.0, kind.q.1);
        }
        unpick(&q, &mut integers[128 * i..]);
        scales[8 * i..][..8].copy_from_slice(&whole[i].bytes());
    }
    (d, scales, integers)
}

/// Integer scales, what they gain over zeros, and the sums of their integers.
struct Near {
    scale: Lanes,
    gain: Lanes,
    xq: Lanes,
    qq: Lanes,
}

/// The best of the integer scales next to `free / d`.
#[inline(always)]
fn nearby(groups: &Groups<GROUP>, d: f32, free: Lanes, kind: &Kind) -> Near {
    let d = Lanes::splat(d);
    let middle = (free * d.inverse()).integers(kind.scale.0, kind.scale.1);
    let mut best = Near { scale: Lanes::ZERO, gain: Lanes::ZERO, xq: Lanes::ZERO, qq: Lanes::ZERO };
    for step in [0.0, -1.0, 1.0] {
        let scale = (middle + Lanes::splat(step)).integers(kind.scale.0, kind.scale.1);
        let stored = scale * d;
        let (xq, qq) = products(groups, stored.inverse(), kind.q.0, kind.q.1);
        let gain = stored * (Lanes::splat(2.0) * xq - stored * qq);
        best.scale = gain.where_above(best.gain, scale, best.scale);
        best.xq = gain.where_above(best.gain, xq, best.xq);
        best.qq = gain.where_above(best.gain, qq, best.qq);
        best.gain = gain.where_above(best.gain, gain, best.gain);
    }
    best
}
