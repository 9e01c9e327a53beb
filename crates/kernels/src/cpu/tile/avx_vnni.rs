//! The product of a tile with AVX2 and its form of VNNI, for processors with that and no AVX-512: eight outputs in a
//! register, as with AVX2, but one instruction does what takes it three.

use super::avx2::{LANES, Sums, add, floats, step, unpack, widen_scales};
use super::{Group, Layout, STEP, STEPS, TILE, ask_ahead};
use crate::cpu::activations::{MOVED, ROWS};
use crate::cpu::quants::Quants;
use crate::cpu::sink::Sink;
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows that go through each stage together: about as many chains of sums as a multiplication takes cycles.
const TOGETHER: usize = 4;

/// Multiplies the rows of a block with one tile.
///
/// # Safety
/// No other task may use these outputs of `sink` meanwhile; `tile` has a block for each `GROUPS` groups of `x`,
/// which is (groups, rows) with at most [`ROWS`] rows; and AVX2, FMA, F16C and AVX-VNNI.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(super) unsafe fn product<B: Quants>(
    tile: &[u8],
    x: &[Group],
    rows: Range<usize>,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if rows.len() == 1 {
            // With one row known to the compiler its sums stay in registers.
            let mut sums = [[_mm256_setzero_ps(); 2]; 1];
            add_tile::<B>(tile, x, &mut sums);
            sink.put_tile(rows.start, outputs, floats(&sums));
        } else {
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            let sums = &mut sums[..rows.len()];
            add_rows::<B>(tile, x, sums);
            sink.put_tile(rows.start, outputs, floats(sums));
        }
    }
}

/// # Safety
/// As [`add_tile`].
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn add_rows<B: Quants>(tile: &[u8], x: &[Group], sums: &mut [Sums]) {
    // SAFETY: the caller's promise.
    unsafe { add_tile::<B>(tile, x, sums) }
}

/// # Safety
/// As [`product`], with a row of `sums` for each row of `x`.
#[inline(always)]
unsafe fn add_tile<B: Quants>(tile: &[u8], x: &[Group], sums: &mut [Sums]) {
    let rows = sums.len();
    let mut x = x.as_ptr();
    for block in tile.chunks_exact(Layout::<B>::BLOCK) {
        let head = block.as_ptr();
        for g in 0..B::GROUPS {
            // SAFETY: the layout of a block, and a group of every row for each of a block's.
            unsafe {
                let scales = head.add(Layout::<B>::HEAD + g * Layout::<B>::GROUP);
                if rows == 1 {
                    ask_ahead::<B>(scales);
                }
                for lanes in 0..TILE / LANES {
                    let mut q = unpack::<B>(scales.add(Layout::<B>::SCALES + lanes * LANES * STEP));
                    if B::SIGNED {
                        // A closure would not be compiled for these instructions.
                        for q in &mut q {
                            *q = _mm256_xor_si256(*q, _mm256_set1_epi8(MOVED as i8));
                        }
                    }
                    for half in 0..B::HALVES {
                        let (scale, mut min) = widen_scales::<B>(head, scales, lanes, half);
                        if B::SIGNED {
                            min = _mm256_mul_ps(scale, _mm256_set1_ps(f32::from(MOVED)));
                        }
                        let (together, rest) = sums.as_chunks_mut::<TOGETHER>();
                        for (i, sums) in together.iter_mut().enumerate() {
                            let x = x.add(i * TOGETHER);
                            add_half::<B, TOGETHER>(&q, half, (scale, min), lanes, x, sums);
                        }
                        for (r, sums) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                            let x = x.add(together.len() * TOGETHER + r);
                            add_half::<B, 1>(&q, half, (scale, min), lanes, x, sums);
                        }
                    }
                }
                x = x.add(rows);
            }
        }
    }
}

/// Adds the products of a group, or of half of one, for `R` rows and half of the tile's outputs.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_half<B: Quants, const R: usize>(
    q: &[__m256i; STEPS],
    half: usize,
    (scale, min): (__m256, __m256),
    lanes: usize,
    x: *const Group,
    sums: &mut [Sums; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let steps = STEPS / B::HALVES;
        let mut integers = [_mm256_setzero_si256(); R];
        for s in half * steps..(half + 1) * steps {
            for r in 0..R {
                integers[r] = _mm256_dpbusd_avx_epi32(integers[r], q[s], step(&(*x.add(r)).quants, s));
            }
        }
        for r in 0..R {
            add::<B>(integers[r], &*x.add(r), half, scale, min, &mut sums[r][lanes]);
        }
    }
}
