//! Activations as signed bytes, for products with quantised weights.
//!
//! Each run of 32 columns has its own scale, the largest magnitude over 127, so that a byte carries
//! the run's values to half a step. The sums of 16 columns undo the offsets that most block types
//! give their weights: `Σ (q − z) x = Σ q x − z Σ x`.
//!
//! Rows lie in blocks, and within a block group after group: a product walks a tile of weights and a block
//! of rows from front to back, and finds what a group of columns needs of each row side by side.

use super::disjoint::Disjoint;
use super::isa::Isa;
use super::pool::Pool;
use std::ops::Range;

/// Columns that share a scale.
pub(crate) const GROUP: usize = 32;

/// Rows of a block: enough to pay for unpacking a tile, few enough that a block of them stays in the
/// second-level cache.
pub(crate) const ROWS: usize = 32;

/// What one group of columns of one row has become: `x[i] ≈ scale · quants[i]`. A line of the cache holds it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) quants: [i8; GROUP],
    pub(crate) scale: f32,
    /// `scale · Σ quants`.
    pub(crate) sum: f32,
    /// The same of each 16 columns.
    pub(crate) halves: [f32; 2],
    /// `−MOVED · Σ quants` of each 16 columns and of all: where integer sums begin whose weights were moved up.
    pub(crate) half_starts: [i32; 2],
    pub(crate) start: i32,
}

/// How far VNNI's forms move weights up that have a zero point, so that they are unsigned: as far as signed bytes need.
pub(crate) const MOVED: u8 = 128;

impl Group {
    /// Sets what follows from the sums of the lower and the upper sixteen integers.
    #[inline(always)]
    fn set_sums(&mut self, low: i32, high: i32, scale: f32) {
        (self.scale, self.sum) = (scale, (low + high) as f32 * scale);
        self.halves = [low as f32 * scale, high as f32 * scale];
        self.half_starts = [low, high].map(|sum| -i32::from(MOVED) * sum);
        self.start = -i32::from(MOVED) * (low + high);
    }
}

/// Quantised rows.
#[derive(Default)]
pub(crate) struct Activations {
    rows: usize,
    /// Groups of a row.
    groups: usize,
    /// (blocks, groups, rows of the block); every block has [`ROWS`] rows, but for the last.
    values: Vec<Group>,
}

impl Activations {
    /// Groups of a row.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The blocks: the rows of each, and their groups, (groups, rows).
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (Range<usize>, &[Group])> {
        let rows = (0..self.rows).step_by(ROWS).map(|first| first..(first + ROWS).min(self.rows));
        rows.zip(self.values.chunks((ROWS * self.groups).max(1)))
    }

    /// Quantises `x`, (rows, columns) with whole groups in a row.
    pub(crate) fn quantize(&mut self, isa: Isa, pool: &Pool, x: &[f32], columns: usize) {
        (self.rows, self.groups) = (x.len() / columns, columns / GROUP);
        self.values.resize(x.len() / GROUP, Group::default());
        let (rows, groups) = (self.rows, self.groups);
        let values = Disjoint::new(&mut self.values);
        pool.run_chunks(rows, ROWS, &|rows| {
            // SAFETY: the chunks of rows do not overlap.
            let values = unsafe { values.part(rows.start * groups..rows.end * groups) };
            let x = &x[rows.start * columns..rows.end * columns];
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` is only ever one that this processor has.
                Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => unsafe { avx2::block(x, groups, values) },
                _ => block(x, groups, values),
            }
        });
    }

    /// The group `group` of row `row`.
    #[cfg(test)]
    pub(crate) fn get(&self, row: usize, group: usize) -> &Group {
        let (rows, block) = self.blocks().nth(row / ROWS).unwrap();
        &block[group * rows.len() + row % ROWS]
    }
}

/// Quantises a block of rows, `x` (rows, columns), into `values` (groups, rows).
fn block(x: &[f32], groups: usize, values: &mut [Group]) {
    let rows = values.len() / groups;
    for (row, x) in x.chunks_exact(groups * GROUP).enumerate() {
        for (g, x) in x.as_chunks::<GROUP>().0.iter().enumerate() {
            values[g * rows + row] = group(x);
        }
    }
}

fn group(x: &[f32; GROUP]) -> Group {
    /// Adding 1.5 · 2²³ leaves the nearest integer, ties to even, in the low bits of a float.
    const ROUND: f32 = 12_582_912.0;
    let mut largest = [0.0f32; 8];
    for i in 0..GROUP {
        largest[i % 8] = largest[i % 8].max(x[i].abs());
    }
    let largest = largest.into_iter().fold(0.0, f32::max);
    let scale = largest / 127.0;
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let mut integers = [0i32; GROUP];
    for i in 0..GROUP {
        integers[i] = (x[i] * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
    }
    let mut quants = [0i8; GROUP];
    for i in 0..GROUP {
        quants[i] = integers[i] as i8;
    }
    let (low, high) = integers.split_at(GROUP / 2);
    let (low, high) = (low.iter().sum::<i32>(), high.iter().sum::<i32>());
    let mut group = Group { quants, ..Group::default() };
    group.set_sums(low, high, scale);
    group
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{GROUP, Group};
    use std::arch::x86_64::*;

    /// As [`super::block`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn block(x: &[f32], groups: usize, values: &mut [Group]) {
        let rows = values.len() / groups;
        for (row, x) in x.chunks_exact(groups * GROUP).enumerate() {
            for (g, x) in x.as_chunks::<GROUP>().0.iter().enumerate() {
                group(x, &mut values[g * rows + row]);
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn group(x: &[f32; GROUP], out: &mut Group) {
        // SAFETY: four registers of eight floats.
        let x = unsafe {
            let x = x.as_ptr();
            [
                _mm256_loadu_ps(x),
                _mm256_loadu_ps(x.add(8)),
                _mm256_loadu_ps(x.add(16)),
                _mm256_loadu_ps(x.add(24)),
            ]
        };
        let sign = _mm256_set1_ps(-0.0);
        let largest = _mm256_max_ps(
            _mm256_max_ps(_mm256_andnot_ps(sign, x[0]), _mm256_andnot_ps(sign, x[1])),
            _mm256_max_ps(_mm256_andnot_ps(sign, x[2]), _mm256_andnot_ps(sign, x[3])),
        );
        let largest = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps::<1>(largest));
        let largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
        let largest = _mm_cvtss_f32(_mm_max_ss(largest, _mm_movehdup_ps(largest)));
        let scale = largest / 127.0;
        let inverse = _mm256_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });

        let mut integers = [_mm256_setzero_si256(); 4];
        for i in 0..4 {
            integers[i] = _mm256_cvtps_epi32(_mm256_mul_ps(x[i], inverse));
        }
        // Packing works within halves of a register, and the last step puts its fours in order.
        let low = _mm256_packs_epi32(integers[0], integers[1]);
        let high = _mm256_packs_epi32(integers[2], integers[3]);
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let quants = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        // SAFETY: a register of 32 bytes.
        unsafe { _mm256_storeu_si256(out.quants.as_mut_ptr().cast(), quants) };

        // Four sums of eight bytes each: of the bytes made unsigned, less what that added.
        let sums = _mm256_sad_epu8(_mm256_xor_si256(quants, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
        let (low, high) = (_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let low = _mm_cvtsi128_si32(_mm_add_epi64(low, _mm_unpackhi_epi64(low, low))) - 16 * 128;
        let high = _mm_cvtsi128_si32(_mm_add_epi64(high, _mm_unpackhi_epi64(high, high))) - 16 * 128;
        out.set_sums(low, high, scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::Random;

    /// A group, as the module's first lines define it.
    fn reference(x: &[f32]) -> Group {
        let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let quant = |x: &f32| (x * (127.0 / largest)).round_ties_even() as i8;
        let quants = if largest > 0.0 { std::array::from_fn(|i| quant(&x[i])) } else { [0; GROUP] };
        let scale = largest / 127.0;
        let count = |part: &[i8]| part.iter().map(|&q| i32::from(q)).sum::<i32>();
        let (all, low, high) = (count(&quants), count(&quants[..16]), count(&quants[16..]));
        Group {
            quants,
            scale,
            sum: all as f32 * scale,
            halves: [low as f32 * scale, high as f32 * scale],
            half_starts: [-128 * low, -128 * high],
            start: -128 * all,
        }
    }

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(5);
        for (rows, columns) in [(1, 32), (3, 64), (2, 2048), (31, 96), (32, 64), (70, 576)] {
            let mut x = random.normals(rows * columns);
            x[..GROUP].fill(0.0);
            for isa in Isa::available() {
                let mut got = Activations::default();
                got.quantize(isa, &Pool::new(2), &x, columns);
                assert_eq!((got.rows, got.groups()), (rows, columns / GROUP));
                assert_eq!(got.blocks().map(|(rows, _)| rows.len()).sum::<usize>(), rows);
                for (i, x) in x.chunks(GROUP).enumerate() {
                    let (row, group) = (i / got.groups(), i % got.groups());
                    assert_eq!(*got.get(row, group), reference(x));
                }
            }
        }
    }
}
