//! The simple types: a scale for 32 weights, or a scale and a minimum. A run is eight blocks side by side.
//!
//! Blocks are made in loops: a closure for `array::from_fn` would be compiled without this machine's instructions.

use super::half::{Half, halves};
use super::lanes::{Lanes, ROUNDER, TINY, lanes_stay_lanes, unpick};
use super::search::{Totals, lines, scales};
use super::{FromRun, Run};
use crate::blocks::*;
use bytemuck::Zeroable;

/// Where the weight of largest magnitude is laid, for scales of four bits. Here and below a fourth and a fifth start take
/// less than a hundredth off the squared error of a trained model.
const FOUR: [f32; 3] = [-8.5, -8.0, -7.0];
/// For scales of five bits.
const FIVE: [f32; 3] = [-16.4, -16.0, -15.0];
/// Where the span of four-bit weights ends.
const SPAN_FOUR: [f32; 3] = [15.0, 15.4, 14.5];
/// Where the span of five-bit weights ends.
const SPAN_FIVE: [f32; 3] = [31.0, 31.5, 30.5];

/// Nothing is searched here, where the error is least of all: the largest weight gets the largest integer, as everywhere.
/// A search would save 4 % of the squared error and take longer than reading and writing do.
impl FromRun for [BlockQ8_0; 8] {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let mut blocks = Self::zeroed();
        for (block, x) in blocks.iter_mut().zip(run.x.as_chunks::<SIMPLE>().0) {
            // Bits of positive floats are in the order of their values, and integers have their maximum in any order.
            let peak = x.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max);
            let d = Half::nearest(f32::from_bits(peak) / 127.0);
            let inverse = if d.value > TINY { 1.0 / d.value } else { 0.0 };
            block.d = d.bytes;
            for (q, x) in block.qs.iter_mut().zip(x) {
                let whole = (x * inverse).clamp(-127.0, 127.0) + ROUNDER;
                *q = whole.to_bits() as i8;
            }
        }
        blocks
    }
}

impl FromRun for [BlockQ4_0; 8] {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let (d, q) = symmetric(run, (-8.0, 7.0), 8.0, &FOUR, 1);
        let mut blocks = Self::zeroed();
        for i in 0..8 {
            blocks[i] = BlockQ4_0 { d: d[i].bytes, qs: nibbles(&q[i]) };
        }
        blocks
    }
}

impl FromRun for [BlockQ5_0; 8] {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let (d, q) = symmetric(run, (-16.0, 15.0), 16.0, &FIVE, 1);
        let mut blocks = Self::zeroed();
        for i in 0..8 {
            blocks[i] = BlockQ5_0 { d: d[i].bytes, qh: fifth_bits(&q[i]), qs: nibbles(&q[i]) };
        }
        blocks
    }
}

impl FromRun for [BlockQ4_1; 8] {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let (d, m, q) = affine(run, 15.0, &SPAN_FOUR, 1);
        let mut blocks = Self::zeroed();
        for i in 0..8 {
            blocks[i] = BlockQ4_1 { d: d[i].bytes, m: m[i].bytes, qs: nibbles(&q[i]) };
        }
        blocks
    }
}

impl FromRun for [BlockQ5_1; 8] {
    #[inline(always)]
    fn from_run(run: &Run<'_>) -> Self {
        let (d, m, q) = affine(run, 31.0, &SPAN_FIVE, 1);
        let mut blocks = Self::zeroed();
        for i in 0..8 {
            let (qh, qs) = (fifth_bits(&q[i]), nibbles(&q[i]));
            blocks[i] = BlockQ5_1 { d: d[i].bytes, m: m[i].bytes, qh, qs };
        }
        blocks
    }
}

/// Scales as they are stored, and the integers that are nearest under them, `shift` added.
#[inline(always)]
fn symmetric(
    run: &Run<'_>,
    (lo, hi): (f32, f32),
    shift: f32,
    starts: &[f32],
    rounds: usize,
) -> ([Half; 8], [[u8; SIMPLE]; 8]) {
    let [groups] = &run.super_block::<SIMPLE, 1>();
    let (stored, d) = halves(scales(groups, (lo, hi), starts, rounds));
    let inverse = d.inverse();
    let mut q = [Lanes::ZERO; SIMPLE];
    for (q, x) in q.iter_mut().zip(&groups.x) {
        lanes_stay_lanes();
        *q = (*x * inverse).integers(lo, hi) + Lanes::splat(shift);
    }
    (stored, bytes(&q))
}

/// Scales and minima as they are stored, and the integers that are nearest under them.
#[inline(always)]
fn affine(
    run: &Run<'_>,
    top: f32,
    starts: &[f32],
    rounds: usize,
) -> ([Half; 8], [Half; 8], [[u8; SIMPLE]; 8]) {
    let [groups] = &run.super_block::<SIMPLE, 1>();
    let line = lines(groups, &Totals::of(groups), (top, false), starts, rounds);
    let ((stored, d), (stored_min, m)) = (halves(line.scale), halves(line.offset));
    let inverse = d.inverse();
    let mut q = [Lanes::ZERO; SIMPLE];
    for (q, x) in q.iter_mut().zip(&groups.x) {
        lanes_stay_lanes();
        *q = ((*x - m) * inverse).integers(0.0, top);
    }
    (stored, stored_min, bytes(&q))
}

#[inline(always)]
fn bytes(q: &[Lanes; SIMPLE]) -> [[u8; SIMPLE]; 8] {
    let mut out = [[0; SIMPLE]; 8];
    unpick(q, out.as_flattened_mut());
    out
}

/// The low four bits, as [`BlockQ4_0::qs`] has them.
#[inline(always)]
fn nibbles(q: &[u8; SIMPLE]) -> [u8; 16] {
    let mut out = [0; 16];
    for i in 0..16 {
        out[i] = q[i] & 15 | q[i + 16] << 4;
    }
    out
}

/// The fifth bits, as [`BlockQ5_0::qh`] has them.
#[inline(always)]
fn fifth_bits(q: &[u8; SIMPLE]) -> [u8; 4] {
    let mut out = 0u32;
    for (i, q) in q.iter().enumerate() {
        out |= u32::from(q >> 4 & 1) << i;
    }
    out.to_le_bytes()
}
