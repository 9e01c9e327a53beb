//! What attention and the loss do with a row of scores.

use crate::cpu::math::{exp, max_lanes, sum_lanes};

/// Values that are computed side by side.
pub(super) const LANES: usize = 32;

/// The largest value, or `least`.
#[inline(always)]
pub(super) fn largest(row: &[f32], least: f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut most = [least; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            most[i] = if chunk[i] > most[i] { chunk[i] } else { most[i] };
        }
    }
    rest.iter().fold(max_lanes(most), |a, &b| if b > a { b } else { a })
}

/// Replaces each value by `e^(value − shift)`; returns their sum.
#[inline(always)]
pub(super) fn exponentials<const FMA: bool>(row: &mut [f32], shift: f32) -> f32 {
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            chunk[i] = exp::<FMA>(chunk[i] - shift);
            sums[i] += chunk[i];
        }
    }
    let mut sum = sum_lanes(sums);
    for value in rest {
        *value = exp::<FMA>(*value - shift);
        sum += *value;
    }
    sum
}
