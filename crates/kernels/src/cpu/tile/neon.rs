//! The product of a tile with NEON: four outputs in a register, in four registers a tile.
//!
//! Where the processor has the dot product instructions (Armv8.2, all since about 2018), one of them multiplies a
//! step of four outputs with four activations and adds the products to 32-bit sums. Where it lacks them, products
//! and the first sum are of 16 bits, which two steps fit into.

use super::{Group, Layout, RUN, STEP, STEPS, TILE};
use crate::cpu::activations::ROWS;
use crate::cpu::quants::{Quants, Scaling};
use crate::cpu::sink::Sink;
use crate::cpu::vector::Vector;
use half::f16;
use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

/// Outputs of a register.
const LANES: usize = 4;

/// Registers of a tile's outputs.
const WIDE: usize = TILE / LANES;

/// Rows that go through each stage together: chains of sums that do not wait for one another.
const TOGETHER: usize = 4;

/// Sums of a row.
type Sums = [float32x4_t; WIDE];

/// Multiplies the rows of a block with one tile.
///
/// # Safety
/// No other task may use these outputs of `sink` meanwhile; and `tile` has a block for each `GROUPS` groups of `x`,
/// which is (groups, rows) with at most [`ROWS`] rows.
#[target_feature(enable = "neon")]
pub(super) unsafe fn product<B: Quants>(
    tile: &[u8],
    x: &[Group],
    rows: Range<usize>,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe { put_tile::<B, false>(tile, x, rows, outputs, sink) }
}

/// As [`product`].
///
/// # Safety
/// As [`product`], and the dot product instructions.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn product_dotprod<B: Quants>(
    tile: &[u8],
    x: &[Group],
    rows: Range<usize>,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe { put_tile::<B, true>(tile, x, rows, outputs, sink) }
}

/// # Safety
/// As [`product`], and the dot product instructions if `DOTPROD`.
#[inline(always)]
unsafe fn put_tile<B: Quants, const DOTPROD: bool>(
    tile: &[u8],
    x: &[Group],
    rows: Range<usize>,
    outputs: Range<usize>,
    sink: &Sink<'_>,
) {
    // SAFETY: the caller's promise, and four registers of four floats are sixteen floats.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); WIDE]; ROWS];
        let sums = &mut sums[..rows.len()];
        add_tile::<B, DOTPROD>(tile, x, sums);
        let floats: &[[f32; TILE]] = std::slice::from_raw_parts(sums.as_ptr().cast(), sums.len());
        sink.put_tile(rows.start, outputs, floats);
    }
}

/// # Safety
/// As [`put_tile`], with a row of `sums` for each row of `x`.
#[inline(always)]
unsafe fn add_tile<B: Quants, const DOTPROD: bool>(tile: &[u8], x: &[Group], sums: &mut [Sums]) {
    let rows = sums.len();
    let mut x = x.as_ptr();
    for block in tile.chunks_exact(Layout::<B>::BLOCK) {
        let head = block.as_ptr();
        for g in 0..B::GROUPS {
            // SAFETY: the layout of a block, and a group of every row for each of a block's.
            unsafe {
                let scales = head.add(Layout::<B>::HEAD + g * Layout::<B>::GROUP);
                for lanes in 0..WIDE {
                    let q = unpack::<B>(scales.add(Layout::<B>::SCALES + lanes * LANES * STEP));
                    for half in 0..B::HALVES {
                        let scales = widen_scales::<B>(head, scales, lanes, half);
                        let (together, rest) = sums.as_chunks_mut::<TOGETHER>();
                        for (i, sums) in together.iter_mut().enumerate() {
                            let x = x.add(i * TOGETHER);
                            add_half::<B, DOTPROD, TOGETHER>(&q, half, scales, lanes, x, sums);
                        }
                        for (r, sums) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                            let x = x.add(together.len() * TOGETHER + r);
                            add_half::<B, DOTPROD, 1>(&q, half, scales, lanes, x, sums);
                        }
                    }
                }
                x = x.add(rows);
            }
        }
    }
}

/// Adds the products of a group, or of half of one, for `R` rows and four outputs.
///
/// # Safety
/// As [`put_tile`].
#[inline(always)]
unsafe fn add_half<B: Quants, const DOTPROD: bool, const R: usize>(
    q: &[int8x16_t; STEPS],
    half: usize,
    (scale, min): (float32x4_t, float32x4_t),
    lanes: usize,
    x: *const Group,
    sums: &mut [Sums; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let steps = STEPS / B::HALVES;
        let steps = half * steps..(half + 1) * steps;
        let mut integers = [vdupq_n_s32(0); R];
        for r in 0..R {
            let x = &(*x.add(r)).quants;
            integers[r] = if DOTPROD { dot(q, x, steps.clone()) } else { dot_pairs(q, x, steps.clone()) };
        }
        for r in 0..R {
            let x = &*x.add(r);
            let products = vmulq_n_f32(vcvtq_f32_s32(integers[r]), x.scale);
            sums[r][lanes] = vfmaq_f32(sums[r][lanes], products, scale);
            if !B::SIGNED {
                let x_sum = if B::HALVES == 1 { x.sum } else { x.halves[half] };
                sums[r][lanes] = vfmsq_n_f32(sums[r][lanes], min, x_sum);
            }
        }
    }
}

/// `Σ q·x` over some steps, for each output. Unsigned weights are below 128, and so are signed ones too.
///
/// # Safety
/// The dot product instructions.
#[inline(always)]
unsafe fn dot(q: &[int8x16_t; STEPS], x: &[i8; 32], steps: Range<usize>) -> int32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = vdupq_n_s32(0);
        for s in steps {
            let x = four(x, s);
            // The intrinsic for it, `vdotq_s32`, is not yet stable.
            asm!(
                "sdot {sum:v}.4s, {q:v}.16b, {x:v}.16b",
                sum = inout(vreg) sum, q = in(vreg) q[s], x = in(vreg) x,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
}

/// As [`dot`], without its instructions: two steps add four products of at most `128 · 127`, of which two fall
/// into each sum of 16 bits.
///
/// # Safety
/// NEON.
#[inline(always)]
unsafe fn dot_pairs(q: &[int8x16_t; STEPS], x: &[i8; 32], steps: Range<usize>) -> int32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut low, mut high) = (vdupq_n_s32(0), vdupq_n_s32(0));
        for s in steps.step_by(2) {
            let (a, b) = (four(x, s), four(x, s + 1));
            let pairs = vmull_s8(vget_low_s8(q[s]), vget_low_s8(a));
            low = vpadalq_s16(low, vmlal_s8(pairs, vget_low_s8(q[s + 1]), vget_low_s8(b)));
            let pairs = vmull_high_s8(q[s], a);
            high = vpadalq_s16(high, vmlal_high_s8(pairs, q[s + 1], b));
        }
        vpaddq_s32(low, high)
    }
}

/// Four activations, for every output.
///
/// # Safety
/// NEON.
#[inline(always)]
unsafe fn four(x: &[i8; 32], s: usize) -> int8x16_t {
    // SAFETY: four of 32 bytes.
    unsafe { vreinterpretq_s8_s32(vdupq_n_s32(x.as_ptr().cast::<i32>().add(s).read_unaligned())) }
}

/// The integers of four outputs of a group, step after step.
///
/// # Safety
/// `planes` are those of a group, from the four outputs' bytes of the first run; NEON.
#[inline(always)]
unsafe fn unpack<B: Quants>(planes: *const u8) -> [int8x16_t; STEPS] {
    let (low, high) = (B::BITS[0] as usize, B::BITS[1] as usize);
    // SAFETY: run `s % width` of a plane of `width`.
    unsafe {
        let mut q = [vdupq_n_s8(0); STEPS];
        for s in 0..STEPS {
            let mut bits = vld1q_u8(planes.add(s % low * RUN));
            if low < 8 {
                bits = vandq_u8(shift_right(bits, low * (s / low)), vdupq_n_u8((1 << low) - 1));
            }
            if high > 0 {
                let upper =
                    shift_right(vld1q_u8(planes.add(Layout::<B>::UPPER + s % high * RUN)), high * (s / high));
                let upper = vandq_u8(upper, vdupq_n_u8((1 << high) - 1));
                bits = vorrq_u8(bits, vshlq_u8(upper, vdupq_n_s8(low as i8)));
            }
            q[s] = vreinterpretq_s8_u8(bits);
        }
        q
    }
}

/// # Safety
/// NEON.
#[inline(always)]
unsafe fn shift_right(x: uint8x16_t, bits: usize) -> uint8x16_t {
    // SAFETY: the caller's promise. A shift by a negative number is one to the right.
    unsafe { vshlq_u8(x, vdupq_n_s8(-(bits as i8))) }
}

/// Scales and minima of four outputs, for one half of a group's columns.
///
/// # Safety
/// `head` and `scales` are those of a block and a group of it; NEON.
#[inline(always)]
unsafe fn widen_scales<B: Quants>(
    head: *const u8,
    scales: *const u8,
    lanes: usize,
    half: usize,
) -> (float32x4_t, float32x4_t) {
    // SAFETY: the caller's promise, and the layout of scales.
    unsafe {
        match B::SCALING {
            Scaling::Offset(offset) => {
                let d = halves(scales, lanes);
                (d, vmulq_n_f32(d, f32::from(offset)))
            }
            Scaling::Min => (halves(scales, lanes), vnegq_f32(halves(scales.add(2 * TILE), lanes))),
            Scaling::ScaledMin => {
                let (scale, min) = if B::HALVES == 1 {
                    (bytes(scales, lanes), bytes(scales.add(TILE), lanes))
                } else {
                    let both = bytes(scales.add(TILE * half), lanes);
                    (vandq_u32(both, vdupq_n_u32(15)), vshrq_n_u32::<4>(both))
                };
                let (d, dmin) = (halves(head, lanes), halves(head.add(2 * TILE), lanes));
                (vmulq_f32(d, vcvtq_f32_u32(scale)), vmulq_f32(dmin, vcvtq_f32_u32(min)))
            }
            Scaling::ScaledOffset(offset) => {
                // As signed bytes: moved to the top of their lanes, and down again with their sign.
                let scale = vreinterpretq_s32_u32(bytes(scales.add(TILE * half), lanes));
                let scale = vshrq_n_s32::<24>(vshlq_n_s32::<24>(scale));
                let scale = vmulq_f32(halves(head, lanes), vcvtq_f32_s32(scale));
                (scale, vmulq_n_f32(scale, f32::from(offset)))
            }
        }
    }
}

/// Four outputs of sixteen halves, widened.
///
/// # Safety
/// `at` has sixteen halves; NEON.
#[inline(always)]
unsafe fn halves(at: *const u8, lanes: usize) -> float32x4_t {
    // SAFETY: the caller's promise.
    unsafe { float32x4_t::widen(at.add(2 * LANES * lanes).cast::<f16>()) }
}

/// Four outputs of sixteen unsigned bytes, widened.
///
/// # Safety
/// `at` has sixteen bytes; NEON.
#[inline(always)]
unsafe fn bytes(at: *const u8, lanes: usize) -> uint32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        let four = at.add(LANES * lanes).cast::<u32>().read_unaligned();
        let bytes = vreinterpret_u8_u32(vdup_n_u32(four));
        vmovl_u16(vget_low_u16(vmovl_u8(bytes)))
    }
}
