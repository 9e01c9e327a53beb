//! How a product's operands are laid out before it: in groups of lines (rows of `a`, columns of `b`), filled up with
//! zeros to whole groups.

use super::product::LINE;
use crate::cpu::element::Element;
use crate::cpu::isa::Isa;
use crate::cpu::vector::prefetch;

/// Steps that are asked for ahead of their use: further than the processor guesses by itself, for a step is on another
/// page than the last.
const AHEAD: usize = 8;

/// Lines that lie beside each other, step after step: `out[(g · depth + k) · width + i] = values[k · step + g · width + i]`.
/// Reads whole steps, so that few pages are open at a time.
pub(super) fn across(values: &[f32], step: usize, count: usize, width: usize, depth: usize, out: &mut [f32]) {
    let groups = count.div_ceil(width);
    if !count.is_multiple_of(width) {
        out[(groups - 1) * width * depth..groups * width * depth].fill(0.0);
    }
    for k in 0..depth {
        let line = &values[k * step..k * step + count];
        for i in (0..count).step_by(LINE) {
            prefetch(values.as_ptr().wrapping_add((k + AHEAD) * step + i));
        }
        match width {
            6 => spread::<6>(line, k, depth, out),
            16 => spread::<16>(line, k, depth, out),
            12 => spread::<12>(line, k, depth, out),
            32 => spread::<32>(line, k, depth, out),
            4 => spread::<4>(line, k, depth, out),
            _ => spread::<8>(line, k, depth, out),
        }
    }
}

#[inline(always)]
fn spread<const W: usize>(line: &[f32], k: usize, depth: usize, out: &mut [f32]) {
    let (whole, rest) = line.as_chunks::<W>();
    for (g, values) in whole.iter().enumerate() {
        let at = (g * depth + k) * W;
        out[at..at + W].copy_from_slice(values);
    }
    let at = (whole.len() * depth + k) * W;
    if !rest.is_empty() {
        out[at..at + rest.len()].copy_from_slice(rest);
    }
}

/// Lines that stay as they are, one after another: `out[i · depth + k] = values[i · line + k]`, and zeros after them.
pub(super) fn beside(values: &[f32], line: usize, count: usize, depth: usize, out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(depth).enumerate() {
        match i < count {
            true => out.copy_from_slice(&values[i * line..i * line + depth]),
            false => out.fill(0.0),
        }
    }
}

/// Lines turned, and widened: `out[(g · depth + k) · width + i] = values[(g · width + i) · line + k]`.
pub(in crate::cpu) fn turned<T: Element>(
    isa: Isa,
    values: &[T],
    line: usize,
    count: usize,
    width: usize,
    depth: usize,
    out: &mut [f32],
) {
    for (g, out) in out.chunks_exact_mut(width * depth).enumerate() {
        let values = &values[g * width * line..];
        let lines = width.min(count - g * width);
        if lines < width {
            out.fill(0.0);
        }
        let whole = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => {
                // SAFETY: an `Isa` is only ever one that this processor has.
                unsafe { avx2::turn(values, line, lines / 4 * 4, width, depth / 8, out) };
                (lines / 4 * 4, depth / 8 * 8)
            }
            #[cfg(target_arch = "aarch64")]
            _ => {
                // SAFETY: every aarch64 has NEON.
                unsafe { neon::turn(values, line, lines / 4 * 4, width, depth / 4 * 4, out) };
                (lines / 4 * 4, depth / 4 * 4)
            }
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Baseline => (0, 0),
        };
        for i in 0..lines {
            let first = if i < whole.0 { whole.1 } else { 0 };
            for k in first..depth {
                out[k * width + i] = values[i * line + k].widen();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use crate::cpu::element::Element;
    use crate::cpu::vector::Vector;
    use std::arch::x86_64::*;

    /// Turns squares of eight lines and eight steps; at the end, where lines are no multiple of eight, of four lines.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn turn<T: Element>(
        values: &[T],
        line: usize,
        lines: usize,
        width: usize,
        steps: usize,
        out: &mut [f32],
    ) {
        for i in (0..lines).step_by(8) {
            let height = (lines - i).min(8);
            for k in (0..8 * steps).step_by(8) {
                let mut rows = [_mm256_setzero_ps(); 8];
                for (j, row) in rows[..height].iter_mut().enumerate() {
                    let from = &values[(i + j) * line + k..][..8];
                    // SAFETY: eight values.
                    *row = unsafe { __m256::widen(from.as_ptr()) };
                }
                for (j, column) in transposed(rows).into_iter().enumerate() {
                    let to = &mut out[(k + j) * width + i..][..height];
                    // SAFETY: eight values, or four.
                    unsafe {
                        match height {
                            8 => _mm256_storeu_ps(to.as_mut_ptr(), column),
                            _ => _mm_storeu_ps(to.as_mut_ptr(), _mm256_castps256_ps128(column)),
                        }
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn transposed(r: [__m256; 8]) -> [__m256; 8] {
        let pairs = [
            _mm256_unpacklo_ps(r[0], r[1]),
            _mm256_unpackhi_ps(r[0], r[1]),
            _mm256_unpacklo_ps(r[2], r[3]),
            _mm256_unpackhi_ps(r[2], r[3]),
            _mm256_unpacklo_ps(r[4], r[5]),
            _mm256_unpackhi_ps(r[4], r[5]),
            _mm256_unpacklo_ps(r[6], r[7]),
            _mm256_unpackhi_ps(r[6], r[7]),
        ];
        let fours = [
            _mm256_shuffle_ps::<0x44>(pairs[0], pairs[2]),
            _mm256_shuffle_ps::<0xEE>(pairs[0], pairs[2]),
            _mm256_shuffle_ps::<0x44>(pairs[1], pairs[3]),
            _mm256_shuffle_ps::<0xEE>(pairs[1], pairs[3]),
            _mm256_shuffle_ps::<0x44>(pairs[4], pairs[6]),
            _mm256_shuffle_ps::<0xEE>(pairs[4], pairs[6]),
            _mm256_shuffle_ps::<0x44>(pairs[5], pairs[7]),
            _mm256_shuffle_ps::<0xEE>(pairs[5], pairs[7]),
        ];
        [
            _mm256_permute2f128_ps::<0x20>(fours[0], fours[4]),
            _mm256_permute2f128_ps::<0x20>(fours[1], fours[5]),
            _mm256_permute2f128_ps::<0x20>(fours[2], fours[6]),
            _mm256_permute2f128_ps::<0x20>(fours[3], fours[7]),
            _mm256_permute2f128_ps::<0x31>(fours[0], fours[4]),
            _mm256_permute2f128_ps::<0x31>(fours[1], fours[5]),
            _mm256_permute2f128_ps::<0x31>(fours[2], fours[6]),
            _mm256_permute2f128_ps::<0x31>(fours[3], fours[7]),
        ]
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use crate::cpu::element::Element;
    use crate::cpu::vector::Vector;
    use std::arch::aarch64::*;

    /// Turns squares of four lines and four steps.
    #[target_feature(enable = "neon")]
    pub(super) fn turn<T: Element>(
        values: &[T],
        line: usize,
        lines: usize,
        width: usize,
        depth: usize,
        out: &mut [f32],
    ) {
        for i in (0..lines).step_by(4) {
            for k in (0..depth).step_by(4) {
                let rows = std::array::from_fn(|j| {
                    let from = &values[(i + j) * line + k..][..4];
                    // SAFETY: four values.
                    unsafe { float32x4_t::widen(from.as_ptr()) }
                });
                for (j, column) in transposed(rows).into_iter().enumerate() {
                    let to = &mut out[(k + j) * width + i..][..4];
                    // SAFETY: four values.
                    unsafe { column.store(to.as_mut_ptr()) };
                }
            }
        }
    }

    #[target_feature(enable = "neon")]
    fn transposed(r: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let pairs =
            [vtrn1q_f32(r[0], r[1]), vtrn2q_f32(r[0], r[1]), vtrn1q_f32(r[2], r[3]), vtrn2q_f32(r[2], r[3])]
                .map(|pair| vreinterpretq_f64_f32(pair));
        [
            vtrn1q_f64(pairs[0], pairs[2]),
            vtrn1q_f64(pairs[1], pairs[3]),
            vtrn2q_f64(pairs[0], pairs[2]),
            vtrn2q_f64(pairs[1], pairs[3]),
        ]
        .map(|column| vreinterpretq_f32_f64(column))
    }
}
