//! The product of a tile in plain Rust: the specification, and what processors without a form of their own run.

use super::{Group, Layout, RUN, STEP, STEPS, TILE};
use crate::cpu::activations::ROWS;
use crate::cpu::quants::{Quants, Scaling};
use crate::cpu::sink::Sink;
use sai_formats::blocks::half;
use std::ops::Range;

/// Multiplies the rows of a block with one tile.
///
/// # Safety
/// No other task may use these outputs of `sink` meanwhile.
pub(super) unsafe fn product<B: Quants>(
    tile: &[u8],
    x: &[Group],
    rows: Range<usize>,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    let mut sums = [[0.0f32; TILE]; ROWS];
    let sums = &mut sums[..rows.len()];
    let mut x = x.chunks_exact(rows.len());
    for block in tile.chunks_exact(Layout::<B>::BLOCK) {
        let (head, groups) = block.split_at(Layout::<B>::HEAD);
        for group in groups.chunks_exact(Layout::<B>::GROUP) {
            let Some(x) = x.next() else { return };
            add_group::<B>(head, group, x, sums);
        }
    }
    // SAFETY: the caller's promise.
    unsafe { sink.put_tile(rows.start, outputs, sums) };
}

/// Adds a group's products with each row to the row's sums.
fn add_group<B: Quants>(head: &[u8], group: &[u8], x: &[Group], sums: &mut [[f32; TILE]]) {
    let (scales, planes) = group.split_at(Layout::<B>::SCALES);
    let steps = unpack::<B>(planes);
    let (scale, min) = widen_scales::<B>(head, scales);
    for (x, sums) in x.iter().zip(sums) {
        let width = STEPS / B::HALVES;
        for half in 0..B::HALVES {
            let mut integers = [0i32; TILE];
            for s in half * width..(half + 1) * width {
                for o in 0..TILE {
                    for c in 0..STEP {
                        let q = steps[s][o * STEP + c];
                        let q = if B::SIGNED { i32::from(q as i8) } else { i32::from(q) };
                        integers[o] += q * i32::from(x.quants[s * STEP + c]);
                    }
                }
            }
            let x_sum = if B::HALVES == 1 { x.sum } else { x.halves[half] };
            for o in 0..TILE {
                sums[o] += integers[o] as f32 * x.scale * scale[half][o];
                if !B::SIGNED {
                    sums[o] -= min[half][o] * x_sum;
                }
            }
        }
    }
}

/// A group's integers, step after step.
fn unpack<B: Quants>(planes: &[u8]) -> [[u8; RUN]; STEPS] {
    let (lower, upper) = planes.split_at(Layout::<B>::UPPER);
    let bits = |plane: &[u8], width: usize, s: usize, i: usize| match width {
        0 => 0,
        _ => plane[(s % width) * RUN + i] >> (width * (s / width)) & (0xFFu16 >> (8 - width)) as u8,
    };
    std::array::from_fn(|s| {
        std::array::from_fn(|i| {
            bits(lower, B::BITS[0] as usize, s, i)
                | bits(upper, B::BITS[1] as usize, s, i).unbounded_shl(B::BITS[0])
        })
    })
}

/// Scales and minima of a group's halves.
fn widen_scales<B: Quants>(head: &[u8], scales: &[u8]) -> ([[f32; TILE]; 2], [[f32; TILE]; 2]) {
    let at = |bytes: &[u8], o: usize| half([bytes[2 * o], bytes[2 * o + 1]]);
    let (mut scale, mut min) = ([[0.0; TILE]; 2], [[0.0; TILE]; 2]);
    for h in 0..B::HALVES {
        for o in 0..TILE {
            (scale[h][o], min[h][o]) = match B::SCALING {
                Scaling::Offset(offset) => (at(scales, o), at(scales, o) * f32::from(offset)),
                Scaling::Min => (at(scales, o), -at(&scales[2 * TILE..], o)),
                Scaling::ScaledMin => {
                    let (step, low) = match B::HALVES {
                        1 => (scales[o], scales[TILE + o]),
                        _ => (scales[h * TILE + o] & 15, scales[h * TILE + o] >> 4),
                    };
                    (at(head, o) * f32::from(step), at(&head[2 * TILE..], o) * f32::from(low))
                }
                Scaling::ScaledOffset(offset) => {
                    let scale = at(head, o) * f32::from(scales[h * TILE + o] as i8);
                    (scale, scale * f32::from(offset))
                }
            };
        }
    }
    (scale, min)
}
