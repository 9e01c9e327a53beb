//! The product of a tile with AVX2: eight outputs in a register, in two registers a tile.
//!
//! A step is a load that broadcasts four activations, a multiplication and an addition.

use super::{Group, Layout, RUN, STEP, STEPS, TILE, ask_ahead};
use crate::cpu::activations::ROWS;
use crate::cpu::quants::{Quants, Scaling};
use crate::cpu::sink::Sink;
use std::arch::x86_64::*;
use std::ops::Range;

/// Outputs of a register.
pub(super) const LANES: usize = 8;

/// Sums of a row: a register for each half of the tile's outputs.
pub(super) type Sums = [__m256; TILE / LANES];

/// Multiplies the rows of a block with one tile.
///
/// # Safety
/// No other task may use these outputs of `sink` meanwhile; `tile` has a block for each `GROUPS` groups of `x`,
/// which is (groups, rows) with at most [`ROWS`] rows; and AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
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
            add_row::<B>(tile, x, &mut sums);
            sink.put_tile(rows.start, outputs, floats(&sums));
        } else {
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            let sums = &mut sums[..rows.len()];
            add_rows::<B>(tile, x, sums);
            sink.put_tile(rows.start, outputs, floats(sums));
        }
    }
}

/// Registers as the floats that they are.
pub(super) fn floats(sums: &[Sums]) -> &[[f32; TILE]] {
    // SAFETY: two registers of eight floats are sixteen floats, and any bits are floats.
    unsafe { std::slice::from_raw_parts(sums.as_ptr().cast(), sums.len()) }
}

/// One row: bound by memory.
///
/// # Safety
/// As [`product`], with one row.
#[inline(always)]
unsafe fn add_row<B: Quants>(tile: &[u8], x: &[Group], sums: &mut [Sums; 1]) {
    for (b, block) in tile.chunks_exact(Layout::<B>::BLOCK).enumerate() {
        let head = block.as_ptr();
        for g in 0..B::GROUPS {
            // SAFETY: the layout of a block, and a group of the row for each of a block's.
            unsafe {
                let scales = head.add(Layout::<B>::HEAD + g * Layout::<B>::GROUP);
                ask_ahead::<B>(scales);
                for lanes in 0..TILE / LANES {
                    let q = unpack::<B>(scales.add(Layout::<B>::SCALES + lanes * LANES * STEP));
                    add_half_tile::<B>(head, scales, &q, lanes, x.as_ptr().add(b * B::GROUPS + g), sums);
                }
            }
        }
    }
}

/// Many rows: bound by multiplications.
///
/// # Safety
/// As [`product`], with a row of `sums` for each row of `x`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_rows<B: Quants>(tile: &[u8], x: &[Group], sums: &mut [Sums]) {
    let rows = sums.len();
    let mut x = x.as_ptr();
    for block in tile.chunks_exact(Layout::<B>::BLOCK) {
        let head = block.as_ptr();
        for g in 0..B::GROUPS {
            // SAFETY: the layout of a block, and a group of every row for each of a block's.
            unsafe {
                let scales = head.add(Layout::<B>::HEAD + g * Layout::<B>::GROUP);
                let planes = scales.add(Layout::<B>::SCALES);
                if depth::<B>(STEPS) == STEPS && B::HALVES == 1 {
                    let q = [unpack::<B>(planes), unpack::<B>(planes.add(LANES * STEP))];
                    add_tile::<B>(head, scales, &q, x, sums);
                } else {
                    // Sums that must be widened on the way take registers of their own.
                    for lanes in 0..TILE / LANES {
                        let q = unpack::<B>(planes.add(lanes * LANES * STEP));
                        add_half_tile::<B>(head, scales, &q, lanes, x, sums);
                    }
                }
                x = x.add(rows);
            }
        }
    }
}

/// Rows that go through each stage together: the processor's scheduler holds too few instructions to find by itself
/// what it could do at once.
const TOGETHER: usize = 4;

/// Adds a group's products for all rows. A load of activations serves both halves of the tile, and a load of weights
/// several rows.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_tile<B: Quants>(
    head: *const u8,
    scales: *const u8,
    q: &[[__m256i; STEPS]; 2],
    x: *const Group,
    sums: &mut [Sums],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let (low_scale, low_min) = widen_scales::<B>(head, scales, 0, 0);
        let (high_scale, high_min) = widen_scales::<B>(head, scales, 1, 0);
        let (scale, min) = ([low_scale, high_scale], [low_min, high_min]);
        let (together, rest) = sums.as_chunks_mut::<TOGETHER>();
        for (i, sums) in together.iter_mut().enumerate() {
            let x = x.add(i * TOGETHER);
            let mut pairs = [[_mm256_setzero_si256(); 2]; TOGETHER];
            for s in 0..STEPS {
                for r in 0..TOGETHER {
                    let x = step(&(*x.add(r)).quants, s);
                    for lanes in 0..2 {
                        let products = _mm256_maddubs_epi16(q[lanes][s], x);
                        pairs[r][lanes] = _mm256_add_epi16(pairs[r][lanes], products);
                    }
                }
            }
            for r in 0..TOGETHER {
                for lanes in 0..2 {
                    let integers = _mm256_madd_epi16(pairs[r][lanes], ones);
                    add::<B>(integers, &*x.add(r), 0, scale[lanes], min[lanes], &mut sums[r][lanes]);
                }
            }
        }
        for (r, sums) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
            let x = x.add(together.len() * TOGETHER + r);
            for lanes in 0..2 {
                add_lanes::<B, 1>(&q[lanes], 0, scale[lanes], min[lanes], lanes, x, sums);
            }
        }
    }
}

/// Adds a group's products for all rows and half of the tile's outputs.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_half_tile<B: Quants>(
    head: *const u8,
    scales: *const u8,
    q: &[__m256i; STEPS],
    lanes: usize,
    x: *const Group,
    sums: &mut [Sums],
) {
    // SAFETY: the caller's promise.
    unsafe {
        if B::SIGNED {
            return add_signed::<B>(head, scales, q, lanes, x, sums);
        }
        for half in 0..B::HALVES {
            let (scale, min) = widen_scales::<B>(head, scales, lanes, half);
            let (together, rest) = sums.as_chunks_mut::<TOGETHER>();
            for (i, sums) in together.iter_mut().enumerate() {
                add_lanes::<B, TOGETHER>(q, half, scale, min, lanes, x.add(i * TOGETHER), sums);
            }
            for (r, sums) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                let x = x.add(together.len() * TOGETHER + r);
                add_lanes::<B, 1>(q, half, scale, min, lanes, x, sums);
            }
        }
    }
}

/// Adds the products of a group, or of half of one, for `R` rows and half of the tile's outputs.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_lanes<B: Quants, const R: usize>(
    q: &[__m256i; STEPS],
    half: usize,
    scale: __m256,
    min: __m256,
    lanes: usize,
    x: *const Group,
    sums: &mut [Sums; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let steps = STEPS / B::HALVES;
        let mut integers = [_mm256_setzero_si256(); R];
        for r in 0..R {
            integers[r] = dot::<B>(q, &(*x.add(r)).quants, half * steps, steps);
        }
        for r in 0..R {
            add::<B>(integers[r], &*x.add(r), half, scale, min, &mut sums[r][lanes]);
        }
    }
}

/// Adds what the integers of a group, or of half of one, stand for.
///
/// # Safety
/// AVX2 and FMA.
#[inline(always)]
pub(super) unsafe fn add<B: Quants>(
    integers: __m256i,
    x: &Group,
    half: usize,
    scale: __m256,
    min: __m256,
    sum: &mut __m256,
) {
    // SAFETY: the caller has the instructions.
    unsafe {
        let products = _mm256_mul_ps(_mm256_cvtepi32_ps(integers), _mm256_broadcast_ss(&x.scale));
        let x_sum = if B::HALVES == 1 { &x.sum } else { &x.halves[half] };
        *sum = _mm256_fmadd_ps(products, scale, *sum);
        *sum = _mm256_fnmadd_ps(min, _mm256_broadcast_ss(x_sum), *sum);
    }
}

/// How many steps' products fit into 16 bits: each adds two of at most `LARGEST · 127`.
const fn depth<B: Quants>(steps: usize) -> usize {
    let fits = (i16::MAX as i32 / (2 * 127 * B::LARGEST)) as usize;
    let depth = 1 << fits.ilog2();
    if depth < steps { depth } else { steps }
}

/// `Σ q·x` over `steps` steps from `from`, for each output.
///
/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn dot<B: Quants>(q: &[__m256i; STEPS], x: &[i8; 32], from: usize, steps: usize) -> __m256i {
    let depth = depth::<B>(steps);
    // SAFETY: the caller has AVX2.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut integers = _mm256_setzero_si256();
        for run in (from..from + steps).step_by(depth) {
            let mut pairs = _mm256_maddubs_epi16(q[run], step(x, run));
            for s in run + 1..run + depth {
                pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(q[s], step(x, s)));
            }
            integers = _mm256_add_epi32(integers, _mm256_madd_epi16(pairs, ones));
        }
        integers
    }
}

/// Adds a group's products with signed integers: |q| times x with the sign of q, of which a pair of products fills
/// 16 bits. Half of the group at a time, for |q| takes registers too.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_signed<B: Quants>(
    head: *const u8,
    scales: *const u8,
    q: &[__m256i; STEPS],
    lanes: usize,
    x: *const Group,
    sums: &mut [Sums],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (scale, _) = widen_scales::<B>(head, scales, lanes, 0);
        for half in 0..2 {
            let q = &q[half * STEPS / 2..][..STEPS / 2];
            let mut size = [_mm256_setzero_si256(); STEPS / 2];
            for s in 0..STEPS / 2 {
                size[s] = _mm256_abs_epi8(q[s]);
            }
            let (together, rest) = sums.as_chunks_mut::<2>();
            for (i, sums) in together.iter_mut().enumerate() {
                add_signed_half::<2>(q, &size, half, scale, lanes, x.add(2 * i), sums);
            }
            for (r, sums) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                let x = x.add(2 * together.len() + r);
                add_signed_half::<1>(q, &size, half, scale, lanes, x, sums);
            }
        }
    }
}

/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn add_signed_half<const R: usize>(
    q: &[__m256i],
    size: &[__m256i; STEPS / 2],
    half: usize,
    scale: __m256,
    lanes: usize,
    x: *const Group,
    sums: &mut [Sums; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut integers = [_mm256_setzero_si256(); R];
        for s in 0..STEPS / 2 {
            for r in 0..R {
                let x = _mm256_sign_epi8(step(&(*x.add(r)).quants, half * STEPS / 2 + s), q[s]);
                let pairs = _mm256_maddubs_epi16(size[s], x);
                integers[r] = _mm256_add_epi32(integers[r], _mm256_madd_epi16(pairs, ones));
            }
        }
        for r in 0..R {
            let x_scale = _mm256_broadcast_ss(&(*x.add(r)).scale);
            let products = _mm256_mul_ps(_mm256_cvtepi32_ps(integers[r]), x_scale);
            sums[r][lanes] = _mm256_fmadd_ps(products, scale, sums[r][lanes]);
        }
    }
}

/// Four activations, in every lane.
///
/// # Safety
/// AVX2.
#[inline(always)]
pub(super) unsafe fn step(x: &[i8; 32], s: usize) -> __m256i {
    let [a, b, c, d] = x.as_chunks::<STEP>().0[s];
    // SAFETY: the caller has AVX2.
    unsafe { _mm256_set1_epi32(i32::from_le_bytes([a as u8, b as u8, c as u8, d as u8])) }
}

/// The integers of eight outputs of a group, step after step.
///
/// # Safety
/// `planes` are those of a group, from the eight outputs' bytes of the first run; AVX2.
#[inline(always)]
pub(super) unsafe fn unpack<B: Quants>(planes: *const u8) -> [__m256i; STEPS] {
    let (low, high) = (B::BITS[0] as usize, B::BITS[1] as usize);
    // SAFETY: run `s % width` of a plane of `width`.
    unsafe {
        let mut q = [_mm256_setzero_si256(); STEPS];
        for s in 0..STEPS {
            q[s] = _mm256_loadu_si256(planes.add(s % low * RUN).cast());
            if low < 8 {
                q[s] = _mm256_and_si256(shift_right(q[s], low * (s / low)), _mm256_set1_epi8((1 << low) - 1));
            }
            if high > 0 {
                // The bits are kept first and moved then, so that none comes from the byte beside.
                let at = high * (s / high);
                let mask = ((1u8 << high) - 1) << at;
                let bits = _mm256_loadu_si256(planes.add(Layout::<B>::UPPER + s % high * RUN).cast());
                let bits = _mm256_and_si256(bits, _mm256_set1_epi8(mask as i8));
                let bits = if at > low { shift_right(bits, at - low) } else { shift_left(bits, low - at) };
                q[s] = _mm256_or_si256(q[s], bits);
            }
        }
        q
    }
}

/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn shift_right(x: __m256i, bits: usize) -> __m256i {
    // SAFETY: the caller has AVX2.
    unsafe { _mm256_srl_epi16(x, _mm_cvtsi32_si128(bits as i32)) }
}

/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn shift_left(x: __m256i, bits: usize) -> __m256i {
    // SAFETY: the caller has AVX2.
    unsafe { _mm256_sll_epi16(x, _mm_cvtsi32_si128(bits as i32)) }
}

/// Scales and minima of eight outputs, for one half of a group's columns.
///
/// # Safety
/// `head` and `scales` are those of a block and a group of it; AVX2 and F16C.
#[inline(always)]
pub(super) unsafe fn widen_scales<B: Quants>(
    head: *const u8,
    scales: *const u8,
    lanes: usize,
    half: usize,
) -> (__m256, __m256) {
    // SAFETY: the caller's promise, and the layout of scales.
    unsafe {
        match B::SCALING {
            Scaling::Offset(offset) => {
                let d = halves(scales, lanes);
                (d, _mm256_mul_ps(d, _mm256_set1_ps(f32::from(offset))))
            }
            Scaling::Min => {
                let m = halves(scales.add(2 * TILE), lanes);
                (halves(scales, lanes), _mm256_xor_ps(m, _mm256_set1_ps(-0.0)))
            }
            Scaling::ScaledMin => {
                let (scale, min) = if B::HALVES == 1 {
                    (bytes(scales, lanes), bytes(scales.add(TILE), lanes))
                } else {
                    let (both, mask) = (bytes(scales.add(TILE * half), lanes), _mm_set1_epi8(15));
                    (_mm_and_si128(both, mask), _mm_and_si128(_mm_srli_epi16::<4>(both), mask))
                };
                let scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(scale));
                let min = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(min));
                let (d, dmin) = (halves(head, lanes), halves(head.add(2 * TILE), lanes));
                (_mm256_mul_ps(d, scale), _mm256_mul_ps(dmin, min))
            }
            Scaling::ScaledOffset(offset) => {
                let scale = _mm256_cvtepi8_epi32(bytes(scales.add(TILE * half), lanes));
                let scale = _mm256_mul_ps(halves(head, lanes), _mm256_cvtepi32_ps(scale));
                (scale, _mm256_mul_ps(scale, _mm256_set1_ps(f32::from(offset))))
            }
        }
    }
}

/// Eight outputs of sixteen halves, widened.
///
/// # Safety
/// `at` has sixteen halves; AVX2 and F16C.
#[inline(always)]
unsafe fn halves(at: *const u8, lanes: usize) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.add(2 * LANES * lanes).cast())) }
}

/// Eight outputs of sixteen bytes.
///
/// # Safety
/// `at` has sixteen bytes.
#[inline(always)]
unsafe fn bytes(at: *const u8, lanes: usize) -> __m128i {
    // SAFETY: the caller's promise.
    unsafe { _mm_loadl_epi64(at.add(LANES * lanes).cast()) }
}
