//! Quantised weights repacked into tiles of sixteen outputs, and their product with quantised activations.
//!
//! `y[r] = Σ over groups of x_scale · (scale · Σ q·x) − min · Σ x`, in integers within a group of 32 columns.
//!
//! In a file an output's blocks lie one after another, so that a product sums across a register and meets one
//! scale at a time. A tile has sixteen outputs side by side: a 32-bit lane of a register holds four columns of one
//! output, one instruction multiplies a step of four activations with eight or sixteen outputs, each lane sums its own
//! output, and sixteen scales are read at once. A file's bytes and a tile's are about as many.
//!
//! A tile is a run of blocks, and a block is
//!
//! ```text
//! K types only: d of each output, in half precision; and dmin where the type has one      32 or 64 bytes
//! for each group of 32 columns
//!     scales: d (and m), or the K types' integers, see `Scaling`                          32 or 64 bytes
//!     the lower plane of the integers, then the upper                                     64 bytes a bit
//! ```
//!
//! A plane of `w` bits is `w` runs of 64 bytes, four columns of each output; step `s` (columns 4s to 4s + 3, of
//! eight steps) is in run `s % w`, shifted up by `w · (s / w)` bits.
//!
//! One product serves one row of activations and many: a tile's group is unpacked into registers and
//! multiplied with every row of a block. So prefill and decoding of the same tokens agree bit for bit. One row is
//! bound by memory, and many by multiplications.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(not(target_arch = "aarch64"))]
mod plain;

use super::activations::{Activations, GROUP, Group};
use super::disjoint::Disjoint;
use super::isa::Isa;
use super::pool::Pool;
use super::quants::{Quants, Scaling};
use super::sink::Sink;
use memmap2::MmapMut;
use std::io;
use std::ops::Range;

/// Outputs of a tile.
pub(crate) const TILE: usize = 16;
/// Columns that a lane holds.
const STEP: usize = 4;
/// Steps of a group.
const STEPS: usize = GROUP / STEP;
/// One step of every output.
const RUN: usize = TILE * STEP;

/// How far ahead weights are asked for. The processor's own prefetching alone reads a fifth less for one row, and with AVX-512
/// eight rows took 1.7 times as long, sixty-four 1.25 times.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 2048;

/// Asks for the group that comes [`AHEAD`] bytes after the one at `scales`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask_ahead<B: Quants>(scales: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in (0..Layout::<B>::GROUP).step_by(64) {
        // SAFETY: a prefetch reads nothing that the program sees; past the end it asks for what is not read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(scales.wrapping_add(AHEAD + line).cast()) };
    }
}

/// The sizes of a block type's tiles.
struct Layout<B>(std::marker::PhantomData<B>);

impl<B: Quants> Layout<B> {
    /// Halves of the whole block, for each output.
    const HEAD: usize = match B::SCALING {
        Scaling::Offset(_) | Scaling::Min => 0,
        Scaling::ScaledMin => 4 * TILE,
        Scaling::ScaledOffset(_) => 2 * TILE,
    };
    /// Scales of a group. Two scales and two minima, of four bits each, share two bytes.
    const SCALES: usize = match B::SCALING {
        Scaling::Offset(_) | Scaling::ScaledMin | Scaling::ScaledOffset(_) => 2 * TILE,
        Scaling::Min => 4 * TILE,
    };
    const UPPER: usize = RUN * B::BITS[0] as usize;
    const GROUP: usize = Self::SCALES + RUN * (B::BITS[0] + B::BITS[1]) as usize;
    const BLOCK: usize = Self::HEAD + B::GROUPS * Self::GROUP;
}

/// Tiles of a matrix, over memory of their own.
pub(crate) struct Tiles {
    memory: MmapMut,
    tile_bytes: usize,
    outputs: usize,
    /// Groups of a row.
    groups: usize,
    /// Multiplies one tile with one block of rows: the form of `isa` for the block type.
    product: Product,
}

/// A product of one tile with a block of rows: the tile, (groups, rows), the numbers of those rows and of the tile's
/// outputs in the sink.
///
/// # Safety
/// The processor has the form's instructions; the tile is of the form's block type and has as many groups as `x`,
/// which has at most [`super::activations::ROWS`] rows; no other task may use these outputs of the sink meanwhile.
type Product = unsafe fn(&[u8], &[Group], Range<usize>, Range<usize>, &Sink<'_>);

impl Tiles {
    /// Repacks a matrix of `outputs` rows of blocks. Outputs that the last tile lacks have scales of zero.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub(crate) fn pack<B: Quants>(isa: Isa, pool: &Pool, weights: &[B], outputs: usize) -> io::Result<Tiles> {
        let blocks = weights.len() / outputs;
        let tile_bytes = blocks * Layout::<B>::BLOCK;
        let tiles = outputs.div_ceil(TILE);
        let mut memory = MmapMut::map_anon(tile_bytes.saturating_mul(tiles))?;
        // Large pages spare a walk of the page table each 4 KiB. Advice only: without them it is slower.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        {
            let memory = Disjoint::new(&mut memory);
            pool.run(tiles, &|t| {
                // SAFETY: tiles do not overlap.
                let tile = unsafe { memory.part(t * tile_bytes..(t + 1) * tile_bytes) };
                let rows = &weights[t * TILE * blocks..((t + 1) * TILE * blocks).min(weights.len())];
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: an `Isa` is only ever one that this processor has.
                    Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => unsafe { pack_avx2(rows, blocks, tile) },
                    _ => pack(rows, blocks, tile),
                }
            });
        }
        let product: Product = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::product::<B>,
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => avx_vnni::product::<B>,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => avx512::product::<B>,
            #[cfg(target_arch = "aarch64")]
            Isa::Baseline => neon::product::<B>,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDotprod => neon::product_dotprod::<B>,
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Baseline => plain::product::<B>,
        };
        Ok(Tiles { memory, tile_bytes, outputs, groups: blocks * B::GROUPS, product })
    }

    /// Multiplies all rows of `x` with some of the tiles, where output 0 of tile 0 is output `first` of `sink`.
    ///
    /// # Safety
    /// No other task may use these tiles' outputs in `sink` meanwhile.
    pub(crate) unsafe fn product(&self, tiles: Range<usize>, x: &Activations, first: usize, sink: &Sink<'_>) {
        assert_eq!(self.groups, x.groups(), "activations of another width");
        for (rows, x) in x.blocks() {
            for t in tiles.clone() {
                let tile = &self.memory[t * self.tile_bytes..(t + 1) * self.tile_bytes];
                let outputs = first + t * TILE..first + self.outputs.min((t + 1) * TILE);
                // SAFETY: an `Isa` is only ever one that this processor has; the form is the one for the
                // type that was packed, and the widths are equal; the caller's promise.
                unsafe { (self.product)(tile, x, rows.clone(), outputs, sink) };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pack_avx2<B: Quants>(weights: &[B], blocks: usize, tile: &mut [u8]) {
    pack(weights, blocks, tile);
}

/// Packs up to sixteen rows of blocks.
#[inline(always)]
fn pack<B: Quants>(weights: &[B], blocks: usize, tile: &mut [u8]) {
    for (b, block) in tile.chunks_exact_mut(Layout::<B>::BLOCK).enumerate() {
        let (head, groups) = block.split_at_mut(Layout::<B>::HEAD);
        for (o, row) in weights.chunks_exact(blocks).enumerate() {
            pack_scales(&row[b], o, head, groups);
        }
        for (g, group) in groups.chunks_exact_mut(Layout::<B>::GROUP).enumerate() {
            let mut steps = [[0u8; RUN]; STEPS];
            for (o, row) in weights.chunks_exact(blocks).enumerate() {
                for (step, four) in steps.iter_mut().zip(row[b].quants(g).as_chunks::<STEP>().0) {
                    step.as_chunks_mut::<STEP>().0[o] = *four;
                }
            }
            let (lower, upper) = group[Layout::<B>::SCALES..].split_at_mut(Layout::<B>::UPPER);
            pack_plane(&steps, 0, B::BITS[0] as usize, lower);
            pack_plane(&steps, B::BITS[0], B::BITS[1] as usize, upper);
        }
    }
}

/// Writes what a block says of its scales to where output `o` has them.
#[inline(always)]
fn pack_scales<B: Quants>(block: &B, o: usize, head: &mut [u8], groups: &mut [u8]) {
    let halves = block.halves();
    let steps = block.steps();
    for (i, half) in head.chunks_exact_mut(2 * TILE).zip(halves) {
        i[2 * o..2 * o + 2].copy_from_slice(&half);
    }
    for (g, group) in groups.chunks_exact_mut(Layout::<B>::GROUP).enumerate() {
        match B::SCALING {
            Scaling::Offset(_) | Scaling::Min => {
                for (run, half) in group[..Layout::<B>::SCALES].chunks_exact_mut(2 * TILE).zip(halves) {
                    run[2 * o..2 * o + 2].copy_from_slice(&half);
                }
            }
            Scaling::ScaledMin if B::HALVES == 1 => {
                (group[o], group[TILE + o]) = (steps.scale[g], steps.min[g]);
            }
            Scaling::ScaledMin => {
                for half in 0..2 {
                    group[half * TILE + o] = steps.scale[2 * g + half] | steps.min[2 * g + half] << 4;
                }
            }
            Scaling::ScaledOffset(_) => {
                for half in 0..2 {
                    group[half * TILE + o] = steps.scale[2 * g + half];
                }
            }
        }
    }
}

/// Puts `width` bits from bit `from` of every integer into their plane.
#[inline(always)]
fn pack_plane(steps: &[[u8; RUN]; STEPS], from: u32, width: usize, plane: &mut [u8]) {
    if width == 0 {
        return;
    }
    plane.fill(0);
    let mask = (0xFFu16 >> (8 - width)) as u8;
    for (s, step) in steps.iter().enumerate() {
        let run = &mut plane[(s % width) * RUN..][..RUN];
        let shift = width * (s / width);
        for (byte, q) in run.iter_mut().zip(step) {
            *byte |= ((q >> from) & mask) << shift;
        }
    }
}

#[cfg(test)]
mod tests;
