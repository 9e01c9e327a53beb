//! Products of quantised weights with quantised activations, in integers within a group of 32 columns.
//!
//! `y[r] = Σ over groups of x_scale · (scale · Σ q·x − min · Σ x)`. One row of activations reads the
//! blocks as they lie in the file; it is bound by memory. Several rows unpack a panel of eight outputs
//! once and use it for all of them; they are bound by multiplications.

use super::activations::{Activations, GROUP, Row};
use super::disjoint::Disjoint;
use super::isa::Isa;
use super::quants::Quants;

/// Outputs that a panel holds: the 32-bit lanes of an AVX2 register.
pub(crate) const PANEL: usize = 8;

/// Rows of activations from which unpacking a panel pays.
const PANEL_ROWS: usize = 3;

/// Where products go: columns of a row-major (rows, `stride`) matrix, which this task has to itself.
pub(crate) struct Sink<'a> {
    pub(crate) out: &'a Disjoint<'a, f32>,
    pub(crate) stride: usize,
    /// Added to every row, `stride` long.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether to add to what is there.
    pub(crate) add: bool,
}

impl Sink<'_> {
    /// Stores products for outputs `first..` of a row.
    ///
    /// # Safety
    /// No other task may use these outputs of this row meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, row: usize, first: usize, values: &[f32]) {
        let at = row * self.stride + first;
        // SAFETY: the caller's promise.
        let out = unsafe { self.out.part(at..at + values.len()) };
        for (i, (out, &value)) in out.iter_mut().zip(values).enumerate() {
            let value = value + self.bias.map_or(0.0, |bias| bias[first + i]);
            *out = if self.add { *out + value } else { value };
        }
    }
}

/// Multiplies all rows of `x` with the outputs whose blocks are `weights`, the first of them number `first`.
///
/// # Safety
/// No other task may use these outputs in `sink` meanwhile.
pub(crate) unsafe fn product<B: Quants>(
    isa: Isa,
    weights: &[B],
    x: &Activations,
    first: usize,
    sink: &Sink<'_>,
) {
    let blocks = x.columns / (B::GROUPS * GROUP);
    // SAFETY: the caller's promise is passed on; an `Isa` is only ever one that this processor has.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 if x.rows >= PANEL_ROWS => avx2::panels(weights, blocks, x, first, sink),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::rows(weights, blocks, x, first, sink),
            Isa::Baseline => baseline(weights, blocks, x, first, sink),
        }
    }
}

/// # Safety
/// As [`product`].
unsafe fn baseline<B: Quants>(weights: &[B], blocks: usize, x: &Activations, first: usize, sink: &Sink<'_>) {
    for (o, weights) in weights.chunks_exact(blocks).enumerate() {
        for row in 0..x.rows {
            // SAFETY: the caller's promise.
            unsafe { sink.put(row, first + o, &[dot(weights, x.row(row))]) };
        }
    }
}

/// The product as the module's first lines define it, in plain Rust.
fn dot<B: Quants>(weights: &[B], x: Row<'_>) -> f32 {
    let width = GROUP / B::HALVES;
    let mut sum = 0.0;
    for (b, block) in weights.iter().enumerate() {
        let scales = block.scales::<false>();
        for i in 0..B::GROUPS {
            let group = b * B::GROUPS + i;
            let quants = block.quants(i);
            let x_quants = &x.quants[group * GROUP..][..GROUP];
            let x_sums = &x.sums[2 * group..][..2];
            for half in 0..B::HALVES {
                let span = half * width..(half + 1) * width;
                let integer: i32 = quants[span.clone()]
                    .iter()
                    .zip(&x_quants[span])
                    .map(|(&q, &x)| {
                        (if B::SIGNED { i32::from(q as i8) } else { i32::from(q) }) * i32::from(x)
                    })
                    .sum();
                let s = i * B::HALVES + half;
                let x_sum = if B::HALVES == 1 { x_sums[0] + x_sums[1] } else { x_sums[half] };
                sum += x.scales[group] * scales.scale[s] * integer as f32 - scales.min[s] * x_sum;
            }
        }
    }
    sum
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::*;
    use std::arch::x86_64::*;

    /// Rows of activations that share a load of a panel's step.
    const ROWS: usize = 4;
    /// Four columns of eight outputs: one register.
    const STEP: usize = 4;
    const STEPS: usize = GROUP / STEP;

    /// Few rows of activations: each output's blocks against each row.
    ///
    /// # Safety
    /// As [`product`](super::product), and AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn rows<B: Quants>(
        weights: &[B],
        blocks: usize,
        x: &Activations,
        first: usize,
        sink: &Sink<'_>,
    ) {
        for (o, weights) in weights.chunks_exact(blocks).enumerate() {
            for row in 0..x.rows {
                let sum = dot(weights, x.row(row));
                // SAFETY: the caller's promise.
                unsafe { sink.put(row, first + o, &[sum]) };
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    fn dot<B: Quants>(weights: &[B], x: Row<'_>) -> f32 {
        let ones = _mm256_set1_epi16(1);
        // Two chains, taken in turn, hide the latency of the fused multiply-add.
        let (mut sum, mut other) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        let mut mins = 0.0f32;
        let x_groups = x.quants.as_chunks::<GROUP>().0;
        let x_sums = x.sums.as_chunks::<2>().0;
        for (b, block) in weights.iter().enumerate() {
            let from = b * B::GROUPS;
            let (x_groups, x_scales) = (&x_groups[from..from + B::GROUPS], &x.scales[from..from + B::GROUPS]);
            let x_sums = &x_sums[from..from + B::GROUPS];
            let scales = block.scales::<true>();
            for i in 0..B::GROUPS {
                let quants = block.quants(i);
                // SAFETY: both are 32 bytes.
                let (q, x) = unsafe {
                    (
                        _mm256_loadu_si256(quants.as_ptr().cast()),
                        _mm256_loadu_si256(x_groups[i].as_ptr().cast()),
                    )
                };
                let pairs = if B::SIGNED {
                    _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q))
                } else {
                    _mm256_maddubs_epi16(q, x)
                };
                let integers = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
                let scale = if B::HALVES == 1 {
                    _mm256_set1_ps(scales.scale[i] * x_scales[i])
                } else {
                    _mm256_set_m128(
                        _mm_set1_ps(scales.scale[2 * i + 1] * x_scales[i]),
                        _mm_set1_ps(scales.scale[2 * i] * x_scales[i]),
                    )
                };
                (sum, other) = (other, _mm256_fmadd_ps(integers, scale, sum));
                if B::HALVES == 2 {
                    mins += scales.min[2 * i] * x_sums[i][0] + scales.min[2 * i + 1] * x_sums[i][1];
                } else if !B::SIGNED {
                    mins += scales.min[i] * (x_sums[i][0] + x_sums[i][1]);
                }
            }
        }
        total(_mm256_add_ps(sum, other)) - mins
    }

    #[target_feature(enable = "avx2")]
    fn total(x: __m256) -> f32 {
        let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
    }

    /// Eight outputs of one group of columns, interleaved so that a register holds four columns of each.
    #[repr(C, align(32))]
    #[derive(Clone, Copy)]
    struct Tile {
        quants: [[u8; PANEL * STEP]; STEPS],
        scale: [[f32; PANEL]; 2],
        min: [[f32; PANEL]; 2],
    }

    const EMPTY: Tile =
        Tile { quants: [[0; PANEL * STEP]; STEPS], scale: [[0.0; PANEL]; 2], min: [[0.0; PANEL]; 2] };

    /// Many rows of activations: panels of eight outputs, each unpacked once.
    ///
    /// # Safety
    /// As [`product`](super::product), and AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn panels<B: Quants>(
        weights: &[B],
        blocks: usize,
        x: &Activations,
        first: usize,
        sink: &Sink<'_>,
    ) {
        let mut panel = vec![EMPTY; blocks * B::GROUPS];
        for (p, weights) in weights.chunks(PANEL * blocks).enumerate() {
            let outputs = weights.len() / blocks;
            unpack(weights, blocks, &mut panel);
            let first = first + p * PANEL;
            let mut row = 0;
            while row < x.rows {
                // SAFETY: the caller's promise, for both.
                unsafe {
                    if row + ROWS <= x.rows {
                        multiply::<B, ROWS>(&panel, x, row, outputs, first, sink);
                        row += ROWS;
                    } else {
                        multiply::<B, 1>(&panel, x, row, outputs, first, sink);
                        row += 1;
                    }
                }
            }
        }
    }

    /// Fills the tiles of a panel; outputs that the panel lacks keep scales of zero.
    #[target_feature(enable = "avx2,fma,f16c")]
    fn unpack<B: Quants>(weights: &[B], blocks: usize, panel: &mut [Tile]) {
        if weights.len() < PANEL * blocks {
            panel.fill(EMPTY);
        }
        for (o, weights) in weights.chunks_exact(blocks).enumerate() {
            for (block, tiles) in weights.iter().zip(panel.chunks_exact_mut(B::GROUPS)) {
                let scales = block.scales::<true>();
                for (i, tile) in tiles.iter_mut().enumerate() {
                    let quants = block.quants(i);
                    for (step, four) in quants.as_chunks::<STEP>().0.iter().enumerate() {
                        tile.quants[step].as_chunks_mut::<STEP>().0[o] = *four;
                    }
                    for half in 0..B::HALVES {
                        tile.scale[half][o] = scales.scale[i * B::HALVES + half];
                        tile.min[half][o] = scales.min[i * B::HALVES + half];
                    }
                }
            }
        }
    }

    /// `R` rows of activations from `row` against a panel.
    ///
    /// # Safety
    /// As [`product`](super::product), and AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn multiply<B: Quants, const R: usize>(
        panel: &[Tile],
        x: &Activations,
        row: usize,
        outputs: usize,
        first: usize,
        sink: &Sink<'_>,
    ) {
        let ones = _mm256_set1_epi16(1);
        let rows: [Row<'_>; R] = std::array::from_fn(|r| x.row(row + r));
        assert!(rows.iter().all(|row| row.scales.len() == panel.len()), "activations of another width");
        let mut sums = [_mm256_setzero_ps(); R];
        for (group, tile) in panel.iter().enumerate() {
            for half in 0..B::HALVES {
                let steps = STEPS / B::HALVES;
                // SAFETY: a row has a scale, two sums and 32 bytes for each tile, by the assertion above; and
                // the tile's arrays are eight floats each.
                unsafe {
                    let x = rows.map(|row| row.quants.as_ptr().add(group * GROUP));
                    let integers = integers::<B, R>(&tile.quants, x, half * steps, steps, ones);
                    let scale = _mm256_loadu_ps(tile.scale[half].as_ptr());
                    let min = _mm256_loadu_ps(tile.min[half].as_ptr());
                    for r in 0..R {
                        let x_scale = _mm256_set1_ps(*rows[r].scales.as_ptr().add(group));
                        let integers = _mm256_cvtepi32_ps(integers[r]);
                        sums[r] = _mm256_fmadd_ps(integers, _mm256_mul_ps(scale, x_scale), sums[r]);
                        if !B::SIGNED {
                            let x_sums = rows[r].sums.as_ptr().add(2 * group);
                            let x_sum =
                                if B::HALVES == 1 { *x_sums + *x_sums.add(1) } else { *x_sums.add(half) };
                            sums[r] = _mm256_fnmadd_ps(min, _mm256_set1_ps(x_sum), sums[r]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            let mut values = [0.0f32; PANEL];
            // SAFETY: eight floats; and the caller's promise.
            unsafe {
                _mm256_storeu_ps(values.as_mut_ptr(), sums[r]);
                sink.put(row + r, first, &values[..outputs]);
            }
        }
    }

    /// `Σ q·x` over `steps` steps from `from`, for each of the eight outputs.
    ///
    /// Sixteen bits hold the sums of as many steps as the type's largest integer allows; a step adds
    /// two products of at most `LARGEST · 127` to a lane.
    ///
    /// # Safety
    /// Each of `x` points to 32 bytes; and AVX2, FMA and F16C.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn integers<B: Quants, const R: usize>(
        quants: &[[u8; PANEL * STEP]; STEPS],
        x: [*const i8; R],
        from: usize,
        steps: usize,
        ones: __m256i,
    ) -> [__m256i; R] {
        let depth = const {
            let fits = i16::MAX as i32 / (2 * 127 * B::LARGEST);
            if fits >= 8 {
                8
            } else if fits >= 4 {
                4
            } else if fits >= 2 {
                2
            } else {
                1
            }
        };
        let mut integers = [_mm256_setzero_si256(); R];
        for run in (from..from + steps).step_by(depth.min(steps)) {
            let mut pairs = [_mm256_setzero_si256(); R];
            for step in run..run + depth.min(steps) {
                // SAFETY: 32 bytes.
                let q = unsafe { _mm256_loadu_si256(quants[step].as_ptr().cast()) };
                for r in 0..R {
                    // SAFETY: step `step` is bytes 4 · step to 4 · step + 3 of 32.
                    let x =
                        _mm256_set1_epi32(unsafe { x[r].add(step * STEP).cast::<i32>().read_unaligned() });
                    let products = if B::SIGNED {
                        _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q))
                    } else {
                        _mm256_maddubs_epi16(q, x)
                    };
                    pairs[r] = _mm256_add_epi16(pairs[r], products);
                }
            }
            for r in 0..R {
                integers[r] = _mm256_add_epi32(integers[r], _mm256_madd_epi16(pairs[r], ones));
            }
        }
        integers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::pool::Pool;
    use crate::cpu::testing::Random;
    use sai_formats::blocks::*;
    use sai_formats::{DType, dequantize};

    /// In double precision from the dequantised weights and activations; also the size of the terms.
    fn reference(weights: &[f32], x: Row<'_>) -> (f64, f64) {
        let mut sum = (0.0, 0.0);
        for (i, &w) in weights.iter().enumerate() {
            let term = f64::from(w) * f64::from(x.quants[i]) * f64::from(x.scales[i / GROUP]);
            sum = (sum.0 + term, sum.1 + term.abs());
        }
        sum
    }

    fn check<B: Quants>(dtype: DType) {
        let mut random = Random::new(11);
        for (rows, outputs, groups) in [(1, 1, 8), (1, 17, 16), (2, 3, 8), (3, 8, 8), (5, 9, 24), (17, 33, 8)]
        {
            let columns = groups * GROUP;
            let blocks = columns / (B::GROUPS * GROUP);
            let mut bytes: Vec<u8> =
                (0..outputs * blocks * size_of::<B>()).map(|_| random.bits() as u8).collect();
            for block in bytes.chunks_exact_mut(size_of::<B>()) {
                // Any f16 field may be at either end; small exponents keep the sums in range.
                for at in [1, 3, block.len() - 1, block.len() - 3] {
                    block[at] = block[at] & 0x83 | 0x20;
                }
            }
            let weights: Vec<B> =
                bytes.chunks_exact(size_of::<B>()).map(bytemuck::pod_read_unaligned).collect();
            let mut floats = vec![0.0; outputs * columns];
            dequantize(dtype, &bytes, &mut floats).unwrap();

            // The largest bytes of either sign, so that a sum that overflows 16 bits shows.
            let values: Vec<f32> = match random.bits() % 3 {
                0 => vec![1.0; rows * columns],
                1 => vec![-1.0; rows * columns],
                _ => random.normals(rows * columns),
            };
            let pool = Pool::new(1);
            for isa in Isa::available() {
                let mut x = Activations::default();
                x.quantize(isa, &pool, &values, columns);
                let bias = random.normals(outputs + 2);
                let mut out = vec![0.5; rows * (outputs + 2)];
                {
                    let out = Disjoint::new(&mut out);
                    let sink = Sink { out: &out, stride: outputs + 2, bias: Some(&bias), add: true };
                    // SAFETY: a single task.
                    unsafe { product(isa, &weights, &x, 1, &sink) };
                }
                for row in 0..rows {
                    assert_eq!(out[row * (outputs + 2)], 0.5);
                    assert_eq!(out[(row + 1) * (outputs + 2) - 1], 0.5);
                    for o in 0..outputs {
                        let (want, size) = reference(&floats[o * columns..][..columns], x.row(row));
                        let want = want + f64::from(bias[o + 1]) + 0.5;
                        let got = f64::from(out[row * (outputs + 2) + 1 + o]);
                        let bound = 4e-6 * size + 1e-6;
                        assert!(
                            (got - want).abs() <= bound,
                            "{dtype} {isa:?} {rows} {outputs}: {got} {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_is_the_reference() {
        check::<BlockQ8_0>(DType::Q8_0);
        check::<BlockQ4_0>(DType::Q4_0);
        check::<BlockQ4_1>(DType::Q4_1);
        check::<BlockQ5_0>(DType::Q5_0);
        check::<BlockQ5_1>(DType::Q5_1);
        check::<BlockQ2K>(DType::Q2_K);
        check::<BlockQ3K>(DType::Q3_K);
        check::<BlockQ4K>(DType::Q4_K);
        check::<BlockQ5K>(DType::Q5_K);
        check::<BlockQ6K>(DType::Q6_K);
    }
}
