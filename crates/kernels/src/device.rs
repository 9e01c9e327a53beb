//! The operations that a decoder asks of a machine.

use crate::Error;
use sai_formats::Tensor;
use std::ops::Range;

/// What a feed-forward layer bends its inputs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e⁻ˣ)`.
    Silu,
    /// `x · Φ(x)`, with the normal distribution itself. Hendrycks & Gimpel 2016.
    Gelu,
    /// The same with tanh in place of the distribution.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

/// What a norm makes of a row before its gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// A root mean square of 1. Zhang & Sennrich 2019.
    Rms,
    /// A mean of 0 and a variance of 1. Ba et al. 2016.
    Layer,
}

/// A function of each value by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointwise {
    /// `x · factor`.
    Scale(f32),
    /// `cap · tanh(x / cap)`.
    SoftCap(f32),
    /// Within `± limit`.
    Clamp(f32),
}

/// How the halves of a rotated pair lie in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// Component `i` turns with component `i + rope_dim / 2`, as Hugging Face checkpoints are laid out.
    Halves,
    /// Component `2i` turns with component `2i + 1`, as in the paper and in GGUF files of `llama`.
    Pairs,
}

/// How keys and values are kept between tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// Half precision: half the memory, and the precision that the weights mostly have.
    #[default]
    F16,
    /// Single precision, for comparison with references.
    F32,
    /// Bytes with a scale for each 32 components of a head: half the memory of [`CacheType::F16`].
    Q8_0,
}

impl CacheType {
    /// Components that share a scale.
    pub(crate) const GROUP: usize = 32;

    /// Bytes of one head of one position.
    pub fn head_bytes(self, head_dim: usize) -> usize {
        match self {
            CacheType::F16 => head_dim.saturating_mul(2),
            CacheType::F32 => head_dim.saturating_mul(4),
            CacheType::Q8_0 => head_dim.saturating_add(2 * head_dim.div_ceil(Self::GROUP)),
        }
    }
}

/// Positions that one page of the cache holds, for one layer.
pub const PAGE: usize = 32;

/// The size of a device's key–value storage.
#[derive(Clone, Copy, Debug)]
pub struct CacheShape {
    /// Decoder layers.
    pub layers: usize,
    /// Key–value heads of a layer.
    pub kv_heads: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Pages of [`PAGE`] positions in each layer.
    pub pages: usize,
    /// Precision of what is stored.
    pub dtype: CacheType,
}

impl CacheShape {
    /// Bytes of keys and values together.
    pub fn bytes(&self) -> u64 {
        [self.layers, self.kv_heads, self.pages, PAGE, 2, self.dtype.head_bytes(self.head_dim)]
            .iter()
            .fold(1u64, |product, &n| product.saturating_mul(n as u64))
    }
}

/// How the heads of an attention layer lie in a row of `qkv`: first `heads` query heads, then
/// `kv_heads` key heads, then `kv_heads` value heads, each of `head_dim` components.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads; a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads, each shared by `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Components of a head.
    pub head_dim: usize,
}

impl Heads {
    /// Columns of `qkv`.
    pub fn qkv_columns(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

/// Attention of a layer: its heads, and what becomes of a score `q · k` before the softmax.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// How queries, keys and values lie.
    pub heads: Heads,
    /// What scores are multiplied by; mostly `1 / √head_dim`.
    pub scale: f32,
    /// Scores become `cap · tanh(score / cap)`, once scaled.
    pub soft_cap: Option<f32>,
    /// Positions that a row sees, its own the last; all before it where there is none.
    pub window: Option<usize>,
    /// For each query head, what a score loses for each position between key and query; empty without. Press et al. 2022.
    pub slopes: &'a [f32],
}

impl Attention<'_> {
    /// Scores over `√head_dim`, and nothing else.
    pub fn plain(heads: Heads) -> Attention<'static> {
        let scale = 1.0 / (heads.head_dim as f32).sqrt();
        Attention { heads, scale, soft_cap: None, window: None, slopes: &[] }
    }
}

/// Consecutive rows of a batch that continue one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The first row of the batch.
    pub first_row: usize,
    /// How many rows.
    pub rows: usize,
    /// Position of the first row in its sequence.
    pub position: usize,
    /// The sequence's pages in order, enough for `position + rows` positions.
    pub pages: &'a [u32],
}

impl Span<'_> {
    /// Page and offset in the page of the span's row `i`.
    pub fn slot(&self, i: usize) -> (usize, usize) {
        let position = self.position + i;
        (self.pages[position / PAGE] as usize, position % PAGE)
    }
}

/// A machine that can run a decoder.
///
/// Activations are row-major (rows, columns) in f32; a row is a token of the batch. Every operation
/// takes its number of rows from its input and sets that of its output. Shapes that do not fit are a
/// defect of the caller and panic; weights, which come from files, are checked in [`Device::matrix`].
pub trait Device: Send + Sync {
    /// Activations.
    type Buffer: Send + Sync;
    /// A weight matrix (outputs, inputs) in the layout that this device multiplies fastest.
    type Matrix: Send + Sync;
    /// Rows to look up by number.
    type Table: Send + Sync;
    /// Keys and values of all layers, in pages.
    type Cache: Send + Sync;

    /// What the device is, for people: `CPU, 2 threads, AVX2`.
    fn describe(&self) -> String;

    /// An empty buffer with room for `rows` rows of `columns`.
    fn buffer(&self, rows: usize, columns: usize) -> Self::Buffer;
    /// A buffer of one row with these values.
    fn upload(&self, values: &[f32]) -> Self::Buffer;
    /// Copies a buffer's values out, row after row.
    fn download(&self, buffer: &Self::Buffer, values: &mut Vec<f32>);
    /// A buffer's values where they lie, or in `room` where that is not this memory.
    fn values<'b>(&self, buffer: &'b Self::Buffer, room: &'b mut Vec<f32>) -> &'b [f32] {
        self.download(buffer, room);
        room
    }

    /// One matrix whose outputs are those of the tensors `parts`, one after another. The parts are of
    /// shape (outputs, inputs) with the same inputs, and each may have its own type.
    ///
    /// # Errors
    /// A part with a shape or type that cannot be multiplied.
    fn matrix(&self, parts: &[&Tensor]) -> Result<Self::Matrix, Error>;

    /// The rows of a tensor of shape (rows, columns), in any type, to be looked up.
    ///
    /// # Errors
    /// A shape or type that cannot be read.
    fn table(&self, tensor: &Tensor) -> Result<Self::Table, Error>;

    /// Storage for keys and values; memory is taken as pages are first written.
    ///
    /// # Errors
    /// A size that the machine cannot address or give.
    fn cache(&self, shape: CacheShape) -> Result<Self::Cache, Error>;
    /// Copies page `from` of every layer to page `to`.
    fn copy_page(&self, cache: &mut Self::Cache, from: u32, to: u32);
    /// Bytes of a page in all layers, as [`Device::read_page`] gives them.
    fn page_bytes(&self, cache: &Self::Cache) -> usize;
    /// Replaces `bytes` by what a page of every layer holds, in this device's own layout.
    fn read_page(&self, cache: &Self::Cache, page: u32, bytes: &mut Vec<u8>);
    /// Sets a page of every layer to what [`Device::read_page`] gave for a cache of the same shape but for its pages.
    fn write_page(&self, cache: &mut Self::Cache, page: u32, bytes: &[u8]);

    /// Row `i` of `out` becomes row `tokens[i]` of `table`.
    fn embed(&self, table: &Self::Table, tokens: &[u32], out: &mut Self::Buffer);
    /// Root-mean-square norm of each row, times `gain`. Zhang & Sennrich 2019.
    fn rms_norm(&self, x: &Self::Buffer, gain: &Self::Buffer, eps: f32, out: &mut Self::Buffer);
    /// Layer norm of each row, times `gain`, plus `bias`. Ba et al. 2016.
    fn layer_norm(
        &self,
        x: &Self::Buffer,
        gain: &Self::Buffer,
        bias: Option<&Self::Buffer>,
        eps: f32,
        out: &mut Self::Buffer,
    );
    /// Normalises these columns of each row in place, as many at a time as there are gains: heads of queries or keys, each
    /// by itself or all together.
    fn norm_columns(
        &self,
        x: &mut Self::Buffer,
        columns: Range<usize>,
        kind: NormKind,
        gain: &Self::Buffer,
        bias: Option<&Self::Buffer>,
        eps: f32,
    );
    /// Adds row `rows[i]` of `table` to row `i` of `x`.
    fn add_rows(&self, table: &Self::Table, rows: &[u32], x: &mut Self::Buffer);
    /// `out += factor · x`.
    fn add_scaled(&self, x: &Self::Buffer, factor: f32, out: &mut Self::Buffer);
    /// Replaces each value by the function of it.
    fn pointwise(&self, x: &mut Self::Buffer, f: Pointwise);
    /// `out = x · wᵀ + bias`.
    fn linear(&self, x: &Self::Buffer, w: &Self::Matrix, bias: Option<&Self::Buffer>, out: &mut Self::Buffer);
    /// `out += x · wᵀ + bias`.
    fn linear_add(
        &self,
        x: &Self::Buffer,
        w: &Self::Matrix,
        bias: Option<&Self::Buffer>,
        out: &mut Self::Buffer,
    );
    /// The turn of each row's position: `rope_dim / 2` cosines, then as many sines, of `position · inv_freq[i]`, all
    /// times `scale`. `inv_freq` has the frequencies of each row. Computed once a pass and used by every layer.
    fn rope_angles(&self, positions: &[u32], inv_freq: &[&[f32]], scale: f32, out: &mut Self::Buffer);
    /// Turns the first components of each query and key head in `qkv` by `angles`. Su et al. 2021.
    fn rope(&self, qkv: &mut Self::Buffer, angles: &Self::Buffer, heads: Heads, style: RopeStyle);
    /// Stores the keys and values in `qkv` at the spans' positions of `layer`.
    fn append(
        &self,
        cache: &mut Self::Cache,
        layer: usize,
        qkv: &Self::Buffer,
        heads: Heads,
        spans: &[Span<'_>],
    );
    /// Causal attention of each row's queries over its sequence, keys and values of the batch's own
    /// rows included: softmax(q · k · scale) · v. Ainslie et al. 2023 for the grouped heads.
    fn attend(
        &self,
        qkv: &Self::Buffer,
        cache: &Self::Cache,
        layer: usize,
        attention: &Attention<'_>,
        spans: &[Span<'_>],
        out: &mut Self::Buffer,
    );
    /// `out = f(gate) · up`, where a row of `x` is the gates and then the ups; or `out = f(x)` without a gate. Shazeer 2020.
    fn activate(&self, x: &Self::Buffer, f: Activation, gated: bool, out: &mut Self::Buffer);
    /// The rows of `x` with these numbers, in this order.
    fn select_rows(&self, x: &Self::Buffer, rows: &[usize], out: &mut Self::Buffer);
}
