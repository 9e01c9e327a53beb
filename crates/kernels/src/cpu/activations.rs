//! Activations as signed bytes, for products with quantised weights.
//!
//! Each run of 32 columns has its own scale, the largest magnitude over 127, so that a byte carries
//! the run's values to half a step. The sums of 16 columns undo the offsets that most block types
//! give their weights: `Σ (q − z) x = Σ q x − z Σ x`.

use super::disjoint::Disjoint;
use super::isa::Isa;
use super::pool::Pool;

/// Columns that share a scale.
pub(crate) const GROUP: usize = 32;

/// Quantised rows: `x[i] ≈ scales[i / 32] · quants[i]`.
#[derive(Default)]
pub(crate) struct Activations {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// (rows, columns)
    pub(crate) quants: Vec<i8>,
    /// (rows, columns / 32)
    pub(crate) scales: Vec<f32>,
    /// (rows, columns / 16): the sum of the quants, times their scale.
    pub(crate) sums: Vec<f32>,
}

/// One row of [`Activations`].
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) quants: &'a [i8],
    pub(crate) scales: &'a [f32],
    pub(crate) sums: &'a [f32],
}

impl Activations {
    /// Quantises `x`, (rows, columns) with whole groups in a row.
    pub(crate) fn quantize(&mut self, isa: Isa, pool: &Pool, x: &[f32], columns: usize) {
        let rows = x.len() / columns;
        (self.rows, self.columns) = (rows, columns);
        self.quants.resize(x.len(), 0);
        self.scales.resize(x.len() / GROUP, 0.0);
        self.sums.resize(x.len() / (GROUP / 2), 0.0);
        let quants = Disjoint::new(&mut self.quants);
        let scales = Disjoint::new(&mut self.scales);
        let sums = Disjoint::new(&mut self.sums);
        let grain = (32_768 / columns).max(1);
        pool.run_chunks(rows, grain, &|rows| {
            let (from, to) = (rows.start * columns, rows.end * columns);
            // SAFETY: the chunks of rows do not overlap.
            let (quants, scales, sums) = unsafe {
                (
                    quants.part(from..to),
                    scales.part(from / GROUP..to / GROUP),
                    sums.part(from / (GROUP / 2)..to / (GROUP / 2)),
                )
            };
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` is only ever one that this processor has.
                Isa::Avx2 => unsafe { avx2(&x[from..to], quants, scales, sums) },
                Isa::Baseline => groups(&x[from..to], quants, scales, sums),
            }
        });
    }

    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        let slice = |per: usize| row * self.columns / per..(row + 1) * self.columns / per;
        Row {
            quants: &self.quants[slice(1)],
            scales: &self.scales[slice(GROUP)],
            sums: &self.sums[slice(GROUP / 2)],
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(x: &[f32], quants: &mut [i8], scales: &mut [f32], sums: &mut [f32]) {
    groups(x, quants, scales, sums);
}

#[inline(always)]
fn groups(x: &[f32], quants: &mut [i8], scales: &mut [f32], sums: &mut [f32]) {
    /// Adding 1.5 · 2²³ leaves the nearest integer, ties to even, in the low bits of a float.
    const ROUND: f32 = 12_582_912.0;
    let groups = x.as_chunks::<GROUP>().0.iter().zip(quants.as_chunks_mut::<GROUP>().0);
    for (((x, quants), scale), sums) in groups.zip(scales).zip(sums.as_chunks_mut::<2>().0) {
        let mut largest = [0.0f32; 8];
        for i in 0..GROUP {
            largest[i % 8] = largest[i % 8].max(x[i].abs());
        }
        let largest = largest.into_iter().fold(0.0, f32::max);
        *scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut integers = [0i32; GROUP];
        for i in 0..GROUP {
            integers[i] = (x[i] * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
        }
        for i in 0..GROUP {
            quants[i] = integers[i] as i8;
        }
        let (low, high) = integers.split_at(GROUP / 2);
        *sums = [low.iter().sum::<i32>() as f32 * *scale, high.iter().sum::<i32>() as f32 * *scale];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::Random;

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(5);
        for (rows, columns) in [(1, 32), (3, 64), (2, 2048), (70, 576)] {
            let mut x = random.normals(rows * columns);
            x[..GROUP].fill(0.0);
            for isa in Isa::available() {
                let mut got = Activations::default();
                got.quantize(isa, &Pool::new(2), &x, columns);
                assert_eq!((got.rows, got.columns), (rows, columns));
                for (g, x) in x.chunks(GROUP).enumerate() {
                    let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    assert_eq!(got.scales[g], largest / 127.0);
                    let want: Vec<i8> =
                        x.iter()
                            .map(|x| {
                                if largest > 0.0 {
                                    (x * (127.0 / largest)).round_ties_even() as i8
                                } else {
                                    0
                                }
                            })
                            .collect();
                    assert_eq!(got.quants[g * GROUP..(g + 1) * GROUP], want);
                    for half in 0..2 {
                        let sum: i32 = want[half * 16..][..16].iter().map(|&q| i32::from(q)).sum();
                        assert_eq!(got.sums[2 * g + half], sum as f32 * got.scales[g]);
                    }
                }
            }
        }
    }
}
