//! A device that watches: what goes into each matrix, on the way to an [`Imatrix`].

use crate::Imatrix;
use crate::imatrix::{Entry, gguf_name};
use sai_formats::Tensor;
use sai_kernels::{
    Activation, Attention, CacheShape, Device, Error, Heads, NormKind, Pointwise, RopeStyle, Span,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Passes everything on to another device, and sums the squares of each matrix's inputs.
pub struct ActivationRecorder<D> {
    inner: D,
    stacks: Mutex<Vec<Stack>>,
}

/// The tensors of one matrix, by name, and what all of them are multiplied with.
struct Stack {
    names: Vec<String>,
    sums: Arc<Mutex<Sums>>,
}

/// A matrix with the sums of its inputs, which the tensors stacked in it share.
pub struct RecordedMatrix<M> {
    inner: M,
    sums: Arc<Mutex<Sums>>,
}

#[derive(Default)]
struct Sums {
    /// For each column; in double precision, because there may be millions of rows.
    squares: Vec<f64>,
    rows: u64,
    /// Room for a copy of the inputs.
    values: Vec<f32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Sums are whole between rows, whatever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Device> ActivationRecorder<D> {
    /// Watches what goes through `inner`.
    pub fn new(inner: D) -> ActivationRecorder<D> {
        ActivationRecorder { inner, stacks: Mutex::default() }
    }

    /// What was seen so far, in `chunks` chunks of at most `chunk_size` tokens of `datasets`.
    pub fn imatrix(&self, datasets: Vec<String>, chunks: u32, chunk_size: u32) -> Imatrix {
        let mut entries = BTreeMap::new();
        for stack in lock(&self.stacks).iter() {
            let sums = lock(&stack.sums);
            // A head that no logits were asked of saw nothing.
            if sums.rows > 0 {
                let squares: Vec<f32> = sums.squares.iter().map(|sum| *sum as f32).collect();
                for name in &stack.names {
                    let entry = Entry { sums: squares.clone(), count: sums.rows as f32 };
                    entries.insert(gguf_name(name), entry);
                }
            }
        }
        Imatrix::new(datasets, chunks, chunk_size, entries)
    }

    fn record(&self, x: &D::Buffer, w: &RecordedMatrix<D::Matrix>) {
        let mut sums = lock(&w.sums);
        let Sums { squares, rows, values } = &mut *sums;
        self.inner.download(x, values);
        for row in values.chunks_exact(squares.len()) {
            for (sum, x) in squares.iter_mut().zip(row) {
                *sum += f64::from(x * x);
            }
            *rows += 1;
        }
    }
}

impl<D: Device> Device for ActivationRecorder<D> {
    type Buffer = D::Buffer;
    type Matrix = RecordedMatrix<D::Matrix>;
    type Table = D::Table;
    type Cache = D::Cache;

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn buffer(&self, rows: usize, columns: usize) -> D::Buffer {
        self.inner.buffer(rows, columns)
    }

    fn upload(&self, values: &[f32]) -> D::Buffer {
        self.inner.upload(values)
    }

    fn download(&self, buffer: &D::Buffer, values: &mut Vec<f32>) {
        self.inner.download(buffer, values);
    }

    fn values<'b>(&self, buffer: &'b D::Buffer, room: &'b mut Vec<f32>) -> &'b [f32] {
        self.inner.values(buffer, room)
    }

    fn matrix(&self, parts: &[&Tensor]) -> Result<RecordedMatrix<D::Matrix>, Error> {
        let inner = self.inner.matrix(parts)?;
        let columns = parts.first().map_or(1, |part| part.columns()).max(1);
        let sums = Arc::new(Mutex::new(Sums { squares: vec![0.0; columns], ..Sums::default() }));
        let names = parts.iter().map(|part| part.name.clone()).collect();
        lock(&self.stacks).push(Stack { names, sums: Arc::clone(&sums) });
        Ok(RecordedMatrix { inner, sums })
    }

    fn table(&self, tensor: &Tensor) -> Result<D::Table, Error> {
        self.inner.table(tensor)
    }

    fn cache(&self, shape: CacheShape) -> Result<D::Cache, Error> {
        self.inner.cache(shape)
    }

    fn copy_page(&self, cache: &mut D::Cache, from: u32, to: u32) {
        self.inner.copy_page(cache, from, to);
    }

    fn page_bytes(&self, cache: &D::Cache) -> usize {
        self.inner.page_bytes(cache)
    }

    fn read_page(&self, cache: &D::Cache, page: u32, bytes: &mut Vec<u8>) {
        self.inner.read_page(cache, page, bytes);
    }

    fn write_page(&self, cache: &mut D::Cache, page: u32, bytes: &[u8]) {
        self.inner.write_page(cache, page, bytes);
    }

    fn embed(&self, table: &D::Table, tokens: &[u32], out: &mut D::Buffer) {
        self.inner.embed(table, tokens, out);
    }

    fn rms_norm(&self, x: &D::Buffer, gain: &D::Buffer, eps: f32, out: &mut D::Buffer) {
        self.inner.rms_norm(x, gain, eps, out);
    }

    fn layer_norm(
        &self,
        x: &D::Buffer,
        gain: &D::Buffer,
        bias: Option<&D::Buffer>,
        eps: f32,
        out: &mut D::Buffer,
    ) {
        self.inner.layer_norm(x, gain, bias, eps, out);
    }

    fn norm_columns(
        &self,
        x: &mut D::Buffer,
        columns: Range<usize>,
        kind: NormKind,
        gain: &D::Buffer,
        bias: Option<&D::Buffer>,
        eps: f32,
    ) {
        self.inner.norm_columns(x, columns, kind, gain, bias, eps);
    }

    fn add_rows(&self, table: &D::Table, rows: &[u32], x: &mut D::Buffer) {
        self.inner.add_rows(table, rows, x);
    }

    fn add_scaled(&self, x: &D::Buffer, factor: f32, out: &mut D::Buffer) {
        self.inner.add_scaled(x, factor, out);
    }

    fn pointwise(&self, x: &mut D::Buffer, f: Pointwise) {
        self.inner.pointwise(x, f);
    }

    fn linear(
        &self,
        x: &D::Buffer,
        w: &RecordedMatrix<D::Matrix>,
        bias: Option<&D::Buffer>,
        out: &mut D::Buffer,
    ) {
        self.record(x, w);
        self.inner.linear(x, &w.inner, bias, out);
    }

    fn linear_add(
        &self,
        x: &D::Buffer,
        w: &RecordedMatrix<D::Matrix>,
        bias: Option<&D::Buffer>,
        out: &mut D::Buffer,
    ) {
        self.record(x, w);
        self.inner.linear_add(x, &w.inner, bias, out);
    }

    fn rope_angles(&self, positions: &[u32], inv_freq: &[&[f32]], scale: f32, out: &mut D::Buffer) {
        self.inner.rope_angles(positions, inv_freq, scale, out);
    }

    fn rope(&self, qkv: &mut D::Buffer, angles: &D::Buffer, heads: Heads, style: RopeStyle) {
        self.inner.rope(qkv, angles, heads, style);
    }

    fn append(&self, cache: &mut D::Cache, layer: usize, qkv: &D::Buffer, heads: Heads, spans: &[Span<'_>]) {
        self.inner.append(cache, layer, qkv, heads, spans);
    }

    fn attend(
        &self,
        qkv: &D::Buffer,
        cache: &D::Cache,
        layer: usize,
        attention: &Attention<'_>,
        spans: &[Span<'_>],
        out: &mut D::Buffer,
    ) {
        self.inner.attend(qkv, cache, layer, attention, spans, out);
    }

    fn activate(&self, x: &D::Buffer, f: Activation, gated: bool, out: &mut D::Buffer) {
        self.inner.activate(x, f, gated, out);
    }

    fn select_rows(&self, x: &D::Buffer, rows: &[usize], out: &mut D::Buffer) {
        self.inner.select_rows(x, rows, out);
    }
}
