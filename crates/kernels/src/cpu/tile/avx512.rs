//! The product of a tile with AVX-512 and VNNI: a register holds a step of all sixteen outputs, and one instruction
//! multiplies it with four activations and adds the products to 32-bit sums.
//!
//! Of what a group takes for a row, eight are those multiplications, and two or three scale their sum and need the same
//! units: at most 80 or 73 % of the processor's products of bytes.

use super::{Group, Layout, RUN, STEPS, TILE, ask_ahead};
use crate::cpu::activations::{MOVED, ROWS};
use crate::cpu::quants::{Quants, Scaling};
use crate::cpu::sink::Sink;
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows that go through each stage together: more chains of sums than a multiplication takes cycles.
const TOGETHER: usize = 8;

/// Multiplies the rows of a block with one tile.
///
/// # Safety
/// No other task may use these outputs of `sink` meanwhile; `tile` has a block for each `GROUPS` groups of `x`,
/// which is (groups, rows) with at most [`ROWS`] rows; and AVX-512 F, BW and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
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
            // With one row known to the compiler its sum stays in a register.
            let mut sums = [_mm512_setzero_ps(); 1];
            add_tile::<B>(tile, x, &mut sums);
            sink.put_tile(rows.start, outputs, floats(&sums));
        } else {
            let mut sums = [_mm512_setzero_ps(); ROWS];
            let sums = &mut sums[..rows.len()];
            add_rows::<B>(tile, x, sums);
            sink.put_tile(rows.start, outputs, floats(sums));
        }
    }
}

/// Registers as the floats that they are.
fn floats(sums: &[__m512]) -> &[[f32; TILE]] {
    // SAFETY: a register is sixteen floats, and any bits are floats.
    unsafe { std::slice::from_raw_parts(sums.as_ptr().cast(), sums.len()) }
}

/// # Safety
/// As [`add_tile`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_rows<B: Quants>(tile: &[u8], x: &[Group], sums: &mut [__m512]) {
    // SAFETY: the caller's promise.
    unsafe { add_tile::<B>(tile, x, sums) }
}

/// # Safety
/// As [`product`], with a sum for each row of `x`.
#[inline(always)]
unsafe fn add_tile<B: Quants>(tile: &[u8], x: &[Group], sums: &mut [__m512]) {
    let rows = sums.len();
    let mut x = x.as_ptr();
    for block in tile.chunks_exact(Layout::<B>::BLOCK) {
        let head = block.as_ptr();
        for g in 0..B::GROUPS {
            // SAFETY: the layout of a block, and a group of every row for each of a block's.
            unsafe {
                let scales = head.add(Layout::<B>::HEAD + g * Layout::<B>::GROUP);
                ask_ahead::<B>(scales);
                let weights = Weights::unpack::<B>(head, scales);
                let (together, rest) = sums.as_chunks_mut::<TOGETHER>();
                for (i, sums) in together.iter_mut().enumerate() {
                    let x = x.add(i * TOGETHER);
                    for r in 0..TOGETHER {
                        // The same rows' next group; past the end, what is not read.
                        _mm_prefetch::<_MM_HINT_T0>(x.wrapping_add(rows + r).cast());
                    }
                    add_group::<B, TOGETHER>(&weights, x, sums);
                }
                for (r, sums) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                    add_group::<B, 1>(&weights, x.add(together.len() * TOGETHER + r), sums);
                }
                x = x.add(rows);
            }
        }
    }
}

/// A group of a tile in registers. Types of one scale a group use the first of each two.
struct Weights {
    /// Step after step, as unsigned bytes.
    q: [__m512i; STEPS],
    scale: [__m512; 2],
    min: [__m512; 2],
}

/// Whether a type's integers have a zero point. It is subtracted from the integer sums, which begin with it.
const fn has_zero<B: Quants>() -> bool {
    matches!(B::SCALING, Scaling::Offset(_) | Scaling::ScaledOffset(_))
}

/// Adds the products of a group for `R` rows.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_group<B: Quants, const R: usize>(weights: &Weights, x: *const Group, sums: &mut [__m512; R]) {
    // SAFETY: the caller's promise.
    unsafe {
        let steps = STEPS / B::HALVES;
        let mut products = [_mm512_setzero_ps(); R];
        for half in 0..B::HALVES {
            let mut integers = [_mm512_setzero_si512(); R];
            if has_zero::<B>() {
                for r in 0..R {
                    let x = &*x.add(r);
                    let start = if B::HALVES == 1 { x.start } else { x.half_starts[half] };
                    integers[r] = _mm512_set1_epi32(start);
                }
            }
            for s in half * steps..(half + 1) * steps {
                for r in 0..R {
                    let x = _mm512_set1_epi32((*x.add(r)).quants.as_ptr().cast::<i32>().add(s).read());
                    integers[r] = _mm512_dpbusd_epi32(integers[r], weights.q[s], x);
                }
            }
            for r in 0..R {
                let floats = _mm512_cvtepi32_ps(integers[r]);
                products[r] = match half {
                    0 => _mm512_mul_ps(floats, weights.scale[half]),
                    _ => _mm512_fmadd_ps(floats, weights.scale[half], products[r]),
                };
            }
        }
        for r in 0..R {
            let x = &*x.add(r);
            sums[r] = _mm512_fmadd_ps(products[r], _mm512_set1_ps(x.scale), sums[r]);
            if !has_zero::<B>() {
                for half in 0..B::HALVES {
                    let x_sum = if B::HALVES == 1 { x.sum } else { x.halves[half] };
                    sums[r] = _mm512_fnmadd_ps(weights.min[half], _mm512_set1_ps(x_sum), sums[r]);
                }
            }
        }
    }
}

impl Weights {
    /// # Safety
    /// `head` and `scales` are those of a block and a group of it; AVX-512 F and BW.
    #[inline(always)]
    unsafe fn unpack<B: Quants>(head: *const u8, scales: *const u8) -> Weights {
        // SAFETY: the caller's promise, and the layout of a block.
        unsafe {
            let q = unpack::<B>(scales.add(Layout::<B>::SCALES));
            let (mut scale, mut min) = ([_mm512_setzero_ps(); 2], [_mm512_setzero_ps(); 2]);
            for half in 0..B::HALVES {
                (scale[half], min[half]) = widen_scales::<B>(head, scales, half);
            }
            Weights { q, scale, min }
        }
    }
}

/// How many bits a type's integers are moved up: with a zero point, to the top of their byte, where it is [`MOVED`].
const fn moved_up<B: Quants>() -> i32 {
    if has_zero::<B>() { 8 - (B::BITS[0] + B::BITS[1]) as i32 } else { 0 }
}

/// The integers of a group, step after step, as unsigned ones; moved up by [`moved_up`].
///
/// # Safety
/// `planes` are those of a group; AVX-512 F and BW.
#[inline(always)]
unsafe fn unpack<B: Quants>(planes: *const u8) -> [__m512i; STEPS] {
    let (low, high) = (B::BITS[0] as usize, B::BITS[1] as usize);
    let up = moved_up::<B>();
    // SAFETY: run `s % width` of a plane of `width`.
    unsafe {
        let mut q = [_mm512_setzero_si512(); STEPS];
        for s in 0..STEPS {
            q[s] = _mm512_loadu_si512(planes.add(s % low * RUN).cast());
            if low < 8 {
                let mask = ((1u8 << low) - 1) << up;
                let bits = shift(q[s], up - (low * (s / low)) as i32);
                q[s] = _mm512_and_si512(bits, _mm512_set1_epi8(mask as i8));
            }
            if high > 0 {
                // The bits are kept first and moved then, so that none comes from the byte beside.
                let at = high * (s / high);
                let mask = ((1u8 << high) - 1) << at;
                let bits = _mm512_loadu_si512(planes.add(Layout::<B>::UPPER + s % high * RUN).cast());
                let bits = _mm512_and_si512(bits, _mm512_set1_epi8(mask as i8));
                q[s] = _mm512_or_si512(q[s], shift(bits, up + low as i32 - at as i32));
            }
            if B::SIGNED {
                q[s] = _mm512_xor_si512(q[s], _mm512_set1_epi8(MOVED as i8));
            }
        }
        q
    }
}

/// Moves 16-bit lanes up, or down by a negative number of bits.
///
/// # Safety
/// AVX-512 F and BW.
#[inline(always)]
unsafe fn shift(x: __m512i, bits: i32) -> __m512i {
    // SAFETY: the caller has the instructions.
    unsafe {
        match bits {
            0 => x,
            1.. => _mm512_sll_epi16(x, _mm_cvtsi32_si128(bits)),
            _ => _mm512_srl_epi16(x, _mm_cvtsi32_si128(-bits)),
        }
    }
}

/// Scales of integers that were moved up, and minima of the outputs, for one half of a group's columns; no minima where there
/// is a zero point.
///
/// # Safety
/// `head` and `scales` are those of a block and a group of it; AVX-512 F.
#[inline(always)]
unsafe fn widen_scales<B: Quants>(head: *const u8, scales: *const u8, half: usize) -> (__m512, __m512) {
    // SAFETY: the caller's promise, and the layout of scales.
    unsafe {
        let down = _mm512_set1_ps(1.0 / (1 << moved_up::<B>()) as f32);
        match B::SCALING {
            Scaling::Offset(_) => (_mm512_mul_ps(halves(scales), down), _mm512_setzero_ps()),
            Scaling::Min => {
                (halves(scales), _mm512_sub_ps(_mm512_setzero_ps(), halves(scales.add(2 * TILE))))
            }
            Scaling::ScaledMin => {
                let (scale, min) = if B::HALVES == 1 {
                    (bytes(scales), bytes(scales.add(TILE)))
                } else {
                    let both = bytes(scales.add(TILE * half));
                    (_mm512_and_si512(both, _mm512_set1_epi32(15)), _mm512_srli_epi32::<4>(both))
                };
                let (d, dmin) = (halves(head), halves(head.add(2 * TILE)));
                (_mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)), _mm512_mul_ps(dmin, _mm512_cvtepi32_ps(min)))
            }
            Scaling::ScaledOffset(_) => {
                let scale = _mm512_cvtepi8_epi32(_mm_loadu_si128(scales.add(TILE * half).cast()));
                let d = _mm512_mul_ps(halves(head), down);
                (_mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)), _mm512_setzero_ps())
            }
        }
    }
}

/// Sixteen halves, widened.
///
/// # Safety
/// `at` has sixteen halves; AVX-512 F.
#[inline(always)]
unsafe fn halves(at: *const u8) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
}

/// Sixteen unsigned bytes, widened.
///
/// # Safety
/// `at` has sixteen bytes; AVX-512 F.
#[inline(always)]
unsafe fn bytes(at: *const u8) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast())) }
}
