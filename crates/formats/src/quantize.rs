//! Numbers into blocks: for each type the scales and integers of least weighted squared error that its search finds.
//!
//! The work is done in runs of 256 weights, eight or sixteen groups side by side ([`lanes`]). A run's blocks depend on
//! its own weights alone, so rows can be shared among threads in any way without a change of the result, and every
//! instruction set gives the same bytes.

mod affine;
mod floats;
mod half;
mod lanes;
mod search;
mod signed;
mod simple;

use bytemuck::Pod;

use crate::blocks::*;
use crate::{DType, Error};
use half::LARGEST;
use lanes::Groups;

/// Turns numbers into blocks of `dtype`.
///
/// `values` are whole rows. `importance`, one number for each column of a row, says how much squared error matters
/// there: the mean square of what the column is multiplied with. Without it all columns matter alike. Within a group of
/// weights that share a scale the error of a weight `x` counts in proportion to `|x|` plus the group's root mean square.
///
/// Rows are independent, so any run of whole rows may be handed to any thread.
///
/// # Errors
/// A value or an importance is not finite, or no number that the type can hold; `out` is not exactly the blocks of
/// `values`, the rows are not whole, or `dtype` is one that sai does not compute with.
pub fn quantize(
    dtype: DType,
    values: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), Error> {
    if !dtype.is_known() {
        return Err(Error::Unsupported { dtype });
    }
    if dtype.bytes_for(values.len()) != Some(out.len()) {
        return Err(Error::Length { dtype, bytes: out.len(), elements: values.len() });
    }
    let importance = match importance {
        Some(row) => Some(relative(dtype, row, values.len())?),
        None => None,
    };
    check(dtype, values)?;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked for the one feature that this copy is compiled with.
        unsafe { avx2(dtype, values, importance.as_deref(), out) };
        return Ok(());
    }
    blocks(dtype, values, importance.as_deref(), out);
    Ok(())
}

/// Importances with a mean of one, held to what makes sense.
fn relative(dtype: DType, row: &[f32], elements: usize) -> Result<Vec<f32>, Error> {
    if row.is_empty() || !elements.is_multiple_of(row.len()) {
        return Err(Error::Importance { columns: row.len(), elements });
    }
    if let Some(i) = row.iter().position(|x| !x.is_finite() || *x < 0.0) {
        return Err(Error::CannotHold { dtype, element: i, value: row[i] });
    }
    let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / row.len() as f64;
    if mean <= 0.0 {
        return Ok(vec![1.0; row.len()]);
    }
    // A column that was never used in the text could be used in another.
    Ok(row.iter().map(|x| (f64::from(*x) / mean) as f32 + LEAST_IMPORTANCE).collect())
}

/// What a column is worth at least, against a mean of one.
const LEAST_IMPORTANCE: f32 = 1e-3;

/// Refuses what is not finite, or beyond the reach of the type.
fn check(dtype: DType, values: &[f32]) -> Result<(), Error> {
    let limit = if matches!(dtype, DType::F32 | DType::BF16) { f32::MAX } else { LARGEST };
    // Bits of positive floats are in the order of their values, and of those that are not finite above all.
    let size = |x: &f32| (x.to_bits() & 0x7fff_ffff) as i32;
    let largest = values.iter().map(size).fold(0, i32::max);
    if largest <= limit.to_bits() as i32 {
        return Ok(());
    }
    let element = values.iter().position(|x| size(x) > limit.to_bits() as i32).unwrap_or(0);
    Err(Error::CannotHold { dtype, element, value: values[element] })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(dtype: DType, values: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    blocks(dtype, values, importance, out);
}

#[inline(always)]
fn blocks(dtype: DType, values: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    match dtype {
        DType::F32 => floats::f32_bytes(values, out),
        DType::F16 => floats::f16_bytes(values, out),
        DType::BF16 => floats::bf16_bytes(values, out),
        DType::Q8_0 => runs::<[BlockQ8_0; 8]>(values, importance, out),
        DType::Q4_0 => runs::<[BlockQ4_0; 8]>(values, importance, out),
        DType::Q4_1 => runs::<[BlockQ4_1; 8]>(values, importance, out),
        DType::Q5_0 => runs::<[BlockQ5_0; 8]>(values, importance, out),
        DType::Q5_1 => runs::<[BlockQ5_1; 8]>(values, importance, out),
        DType::Q2_K => runs::<BlockQ2K>(values, importance, out),
        DType::Q3_K => runs::<BlockQ3K>(values, importance, out),
        DType::Q4_K => runs::<BlockQ4K>(values, importance, out),
        DType::Q5_K => runs::<BlockQ5K>(values, importance, out),
        DType::Q6_K => runs::<BlockQ6K>(values, importance, out),
        // Refused before.
        DType::Other(_) => {}
    }
}

/// Weights of a run.
const RUN: usize = SUPER;

/// Neighbouring weights, and how much the column of each matters, where that is known; zeros fill the last run.
struct Run<'a> {
    x: &'a [f32; RUN],
    importance: Option<&'a [f32; RUN]>,
}

/// What a run becomes. A trait and not a function that is handed over, because such a one would be called where it was
/// compiled, and not be compiled anew with the instructions of [`avx2`].
trait FromRun: Pod {
    fn from_run(run: &Run<'_>) -> Self;
}

/// Takes the runs one after another; of the blocks of the last, which may be short, only those that are filled are
/// kept.
#[inline(always)]
fn runs<B: FromRun>(values: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (mut short, mut places) = ([0.0; RUN], [1.0; RUN]);
    let mut column = 0;
    for (values, out) in values.chunks(RUN).zip(out.chunks_mut(size_of::<B>())) {
        let x = match values.try_into() {
            Ok(x) => x,
            Err(_) => {
                short[..values.len()].copy_from_slice(values);
                &short
            }
        };
        if let Some(row) = importance {
            for place in &mut places[..values.len()] {
                *place = row[column];
                column = if column + 1 == row.len() { 0 } else { column + 1 };
            }
        }
        let blocks = B::from_run(&Run { x, importance: importance.map(|_| &places) });
        out.copy_from_slice(&bytemuck::bytes_of(&blocks)[..out.len()]);
    }
}

impl Run<'_> {
    /// The groups of a block that takes the whole run.
    #[inline(always)]
    fn super_block<const N: usize, const SETS: usize>(&self) -> [Groups<N>; SETS] {
        let mut sets = [Groups::EMPTY; SETS];
        for (i, set) in sets.iter_mut().enumerate() {
            let part = 8 * N * i..8 * N * (i + 1);
            set.fill(&self.x[part.clone()], self.importance.map(|importance| &importance[part]));
        }
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bytes() {
        let values: Vec<f32> = (0..19 * RUN as u32)
            .map(|i| (i.wrapping_mul(0x9E37_79B9) >> 8) as f32 / (1 << 24) as f32 - 0.4)
            .collect();
        let importance: Vec<f32> = (0..RUN).map(|i| 1.0 + (i % 7) as f32).collect();
        for dtype in DType::KNOWN {
            for importance in [None, Some(&importance[..])] {
                let mut chosen = vec![0; dtype.bytes_for(values.len()).unwrap()];
                let mut plain = chosen.clone();
                quantize(dtype, &values, importance, &mut chosen).unwrap();
                let relative = importance.map(|row| relative(dtype, row, values.len()).unwrap());
                blocks(dtype, &values, relative.as_deref(), &mut plain);
                assert!(chosen == plain, "{dtype}");
            }
        }
    }
}
