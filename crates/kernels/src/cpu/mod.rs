//! The CPU: SIMD chosen at run time, one persistent pool of threads.

mod activation;
mod activations;
mod attention;
mod cache;
mod disjoint;
mod element;
mod float;
mod isa;
mod layer_norm;
mod limits;
mod linear;
mod math;
mod matrix;
mod pages;
mod pointwise;
mod pool;
mod quants;
mod rms_norm;
mod rope;
mod sink;
#[cfg(test)]
mod testing;
mod tile;
mod training;
mod vector;

pub use cache::Cache;
pub use limits::Limits;
pub use matrix::{Matrix, Table};

use crate::Error;
use crate::device::{Activation, Attention, CacheShape, Device, Heads, NormKind, Pointwise, RopeStyle, Span};
use disjoint::Disjoint;
use isa::Isa;
use pool::Pool;
use sai_formats::Tensor;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values below which an element-wise operation is not worth a parallel region.
const SMALL: usize = 32 * 1024;
/// Cosines and sines of a task.
const ANGLES: usize = 1024;

/// The processor that this program runs on.
pub struct Cpu {
    isa: Isa,
    pool: Pool,
    /// Room for rows as products need them.
    scratch: Mutex<linear::Scratch>,
    /// Room for packed matrices of floats, likewise.
    packed: Mutex<Vec<f32>>,
}

/// Activations, row-major.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Buffer {
    /// Rows in use.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All rows, one after another.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All rows, to be changed: what ranks that train together sum.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    fn shape(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.values.resize(rows * columns, 0.0);
    }
}

impl Cpu {
    /// The processor with `threads` threads; 0 means one per available core.
    pub fn new(threads: usize) -> Cpu {
        Cpu::of(Isa::detect(), threads)
    }

    /// The same with one of [`Cpu::instruction_sets`], so that they can be measured beside each other; nothing for others.
    pub fn with_instruction_set(name: &str, threads: usize) -> Option<Cpu> {
        let isa = Isa::available().into_iter().find(|isa| isa.name() == name)?;
        Some(Cpu::of(isa, threads))
    }

    fn of(isa: Isa, threads: usize) -> Cpu {
        Cpu { isa, pool: Pool::new(threads), scratch: Mutex::default(), packed: Mutex::default() }
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instruction sets that this processor has and kernels are made for, plainest first; the last is taken.
    pub fn instruction_sets() -> Vec<&'static str> {
        Isa::available().into_iter().map(Isa::name).collect()
    }

    /// Measures what this machine can do at most with these threads; takes about a second and 256 MiB.
    pub fn limits(&self) -> Limits {
        limits::measure(self.isa, &self.pool)
    }

    fn scratch(&self) -> MutexGuard<'_, linear::Scratch> {
        // Whatever a panic left in it is overwritten before it is read.
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `each` with the rows of `x` and of `out`, in parallel where they are many.
    fn rows(&self, x: &Buffer, out: &mut Buffer, each: &(dyn Fn(&[f32], &mut [f32]) + Sync)) {
        let (rows, wide, columns) = (x.rows, x.columns, out.columns);
        let out = Disjoint::new(&mut out.values);
        self.pool.run_chunks(rows, SMALL.div_ceil(wide), &|rows| {
            // SAFETY: the chunks of rows do not overlap.
            let out = unsafe { out.part(rows.start * columns..rows.end * columns) };
            each(&x.values[rows.start * wide..rows.end * wide], out);
        });
    }

    /// Calls `each` with the number of each row of `x` and the row, in parallel where they are many.
    fn each_row(&self, x: &mut Buffer, each: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        let (rows, columns) = (x.rows, x.columns);
        let values = Disjoint::new(&mut x.values);
        self.pool.run_chunks(rows, SMALL.div_ceil(columns), &|rows| {
            for row in rows {
                // SAFETY: each row is given once.
                each(row, unsafe { values.part(row * columns..(row + 1) * columns) });
            }
        });
    }
}

impl Device for Cpu {
    type Buffer = Buffer;
    type Matrix = Matrix;
    type Table = Table;
    type Cache = Cache;

    fn describe(&self) -> String {
        let threads = self.threads();
        format!("CPU, {threads} thread{}, {}", if threads == 1 { "" } else { "s" }, self.isa.name())
    }

    fn buffer(&self, rows: usize, columns: usize) -> Buffer {
        Buffer { rows: 0, columns, values: Vec::with_capacity(rows * columns) }
    }

    fn upload(&self, values: &[f32]) -> Buffer {
        Buffer { rows: 1, columns: values.len(), values: values.to_vec() }
    }

    fn download(&self, buffer: &Buffer, values: &mut Vec<f32>) {
        values.clone_from(&buffer.values);
    }

    fn values<'b>(&self, buffer: &'b Buffer, _: &'b mut Vec<f32>) -> &'b [f32] {
        &buffer.values
    }

    fn matrix(&self, parts: &[&Tensor]) -> Result<Matrix, Error> {
        Matrix::new(self.isa, &self.pool, parts)
    }

    fn table(&self, tensor: &Tensor) -> Result<Table, Error> {
        Table::new(tensor)
    }

    fn cache(&self, shape: CacheShape) -> Result<Cache, Error> {
        Cache::new(shape)
    }

    fn copy_page(&self, cache: &mut Cache, from: u32, to: u32) {
        cache.copy_page(from, to);
    }

    fn page_bytes(&self, cache: &Cache) -> usize {
        cache.page_bytes()
    }

    fn read_page(&self, cache: &Cache, page: u32, bytes: &mut Vec<u8>) {
        cache.read_page(page, bytes);
    }

    fn write_page(&self, cache: &mut Cache, page: u32, bytes: &[u8]) {
        cache.write_page(page, bytes);
    }

    fn embed(&self, table: &Table, tokens: &[u32], out: &mut Buffer) {
        out.shape(tokens.len(), table.columns());
        for (&token, row) in tokens.iter().zip(out.values.chunks_exact_mut(table.columns())) {
            table.row(token as usize, row);
        }
    }

    fn rms_norm(&self, x: &Buffer, gain: &Buffer, eps: f32, out: &mut Buffer) {
        out.shape(x.rows, x.columns);
        self.rows(x, out, &|x, out| rms_norm::rms_norm(self.isa, x, &gain.values, eps, out));
    }

    fn layer_norm(&self, x: &Buffer, gain: &Buffer, bias: Option<&Buffer>, eps: f32, out: &mut Buffer) {
        out.shape(x.rows, x.columns);
        let bias = bias.map(|bias| &bias.values[..]);
        self.rows(x, out, &|x, out| layer_norm::layer_norm(self.isa, x, &gain.values, bias, eps, out));
    }

    fn norm_columns(
        &self,
        x: &mut Buffer,
        columns: Range<usize>,
        kind: NormKind,
        gain: &Buffer,
        bias: Option<&Buffer>,
        eps: f32,
    ) {
        assert!(columns.len().is_multiple_of(gain.columns), "columns that the gain does not divide");
        let bias = bias.map(|bias| &bias.values[..]);
        self.each_row(x, &|_, row| {
            layer_norm::in_place(self.isa, kind, &mut row[columns.clone()], &gain.values, bias, eps);
        });
    }

    fn add_rows(&self, table: &Table, rows: &[u32], x: &mut Buffer) {
        assert_eq!((x.rows, x.columns), (rows.len(), table.columns()), "rows of another shape");
        let mut row = vec![0.0; x.columns];
        for (&number, x) in rows.iter().zip(x.values.chunks_exact_mut(table.columns())) {
            table.row(number as usize, &mut row);
            x.iter_mut().zip(&row).for_each(|(x, row)| *x += row);
        }
    }

    fn add_scaled(&self, x: &Buffer, factor: f32, out: &mut Buffer) {
        assert_eq!((x.rows, x.columns), (out.rows, out.columns), "a sum of another shape");
        self.each_row(out, &|row, out| {
            let x = &x.values[row * x.columns..(row + 1) * x.columns];
            out.iter_mut().zip(x).for_each(|(out, x)| *out += factor * x);
        });
    }

    fn pointwise(&self, x: &mut Buffer, f: Pointwise) {
        let values = Disjoint::new(&mut x.values);
        self.pool.run_chunks(x.rows * x.columns, SMALL, &|range| {
            // SAFETY: the chunks do not overlap.
            pointwise::pointwise(self.isa, f, unsafe { values.part(range) });
        });
    }

    fn linear(&self, x: &Buffer, w: &Matrix, bias: Option<&Buffer>, out: &mut Buffer) {
        linear::linear(self.isa, &self.pool, &mut self.scratch(), x, w, bias, false, out);
    }

    fn linear_add(&self, x: &Buffer, w: &Matrix, bias: Option<&Buffer>, out: &mut Buffer) {
        linear::linear(self.isa, &self.pool, &mut self.scratch(), x, w, bias, true, out);
    }

    fn rope_angles(&self, positions: &[u32], inv_freq: &[&[f32]], scale: f32, out: &mut Buffer) {
        out.shape(positions.len(), 2 * inv_freq.first().map_or(0, |row| row.len()));
        let columns = out.columns;
        let angles = Disjoint::new(&mut out.values);
        self.pool.run_chunks(positions.len(), ANGLES.div_ceil(columns.max(1)), &|rows| {
            // SAFETY: the chunks of rows do not overlap.
            let angles = unsafe { angles.part(rows.start * columns..rows.end * columns) };
            rope::rope_angles(&positions[rows.clone()], &inv_freq[rows], scale, angles);
        });
    }

    fn rope(&self, qkv: &mut Buffer, angles: &Buffer, heads: Heads, style: RopeStyle) {
        self.each_row(qkv, &|row, qkv| {
            let angles = &angles.values[row * angles.columns..(row + 1) * angles.columns];
            rope::rope_row(self.isa, qkv, angles, heads, style);
        });
    }

    fn append(&self, cache: &mut Cache, layer: usize, qkv: &Buffer, heads: Heads, spans: &[Span<'_>]) {
        cache.append(&self.pool, layer, &qkv.values, heads, spans);
    }

    fn attend(
        &self,
        qkv: &Buffer,
        cache: &Cache,
        layer: usize,
        attention: &Attention<'_>,
        spans: &[Span<'_>],
        out: &mut Buffer,
    ) {
        let Heads { heads, head_dim, .. } = attention.heads;
        out.shape(qkv.rows, heads * head_dim);
        attention::attend(self.isa, &self.pool, &qkv.values, cache, layer, attention, spans, &mut out.values);
    }

    fn activate(&self, x: &Buffer, f: Activation, gated: bool, out: &mut Buffer) {
        let columns = if gated { x.columns / 2 } else { x.columns };
        out.shape(x.rows, columns);
        self.rows(x, out, &|x, out| activation::activate(self.isa, f, gated, x, columns, out));
    }

    fn select_rows(&self, x: &Buffer, rows: &[usize], out: &mut Buffer) {
        out.shape(rows.len(), x.columns);
        for (&row, out) in rows.iter().zip(out.values.chunks_exact_mut(x.columns)) {
            out.copy_from_slice(&x.values[row * x.columns..(row + 1) * x.columns]);
        }
    }
}
