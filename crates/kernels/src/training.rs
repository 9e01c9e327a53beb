//! The operations that training asks of a machine besides those of [`Device`]: each forward over an arena of
//! parameters, and beside it its backward.

use crate::{Device, Error, Heads, RopeStyle};
use std::ops::Range;

/// Where a tensor lies in an arena of parameters, and so in the arenas of its gradients and moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its first value.
    pub start: usize,
    /// Outputs of a matrix; 1 for a vector.
    pub rows: usize,
    /// Inputs of a matrix, or the length of a vector.
    pub columns: usize,
}

impl View {
    /// The values it covers.
    pub fn range(self) -> Range<usize> {
        self.start..self.start + self.rows * self.columns
    }
}

/// A change to some columns of a product: `scale · (x · aᵀ) · bᵀ` is added to them. Hu et al. 2021.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowRank {
    /// (rank, inputs)
    pub a: View,
    /// (outputs, rank)
    pub b: View,
    /// The product's column that the first output is added to.
    pub column: usize,
    /// What the change is multiplied by.
    pub scale: f32,
}

/// What a batch's rows cost, summed over the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSums {
    /// `Σ weight · −ln p(target)`.
    pub loss: f64,
    /// `Σ weight · (ln Σ eˡᵒᵍⁱᵗ)²`, what a z-loss multiplies. Chowdhery et al. 2022.
    pub log_sum_squares: f64,
}

/// What one step of AdamW needs to know. Loshchilov & Hutter 2019, in PyTorch's arrangement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Which step this is, the first being 1.
    pub step: u64,
    /// Learning rate.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of that mean.
    pub eps: f64,
    /// Share of a decayed parameter that goes, times the rate.
    pub decay: f64,
    /// Parameters before this one are decayed, others are not.
    pub decayed: usize,
    /// What gradients are multiplied by first: 1, or less to clip them.
    pub gradient_scale: f64,
}

/// A machine that can train a decoder.
///
/// Parameters are one buffer, gradients another of the same length; a [`View`] says where in both a tensor lies.
/// Activations are row-major (rows, columns), a row being a token; a *document* is a range of rows that attend to
/// one another and to no others. All is f32 with sums in f32. An operation sets its output's shape, within the room
/// that [`Training::zeros`] gave it. Names `d_…` hold the loss's gradient by what they name.
/// Shapes that do not fit are a defect of the caller and panic.
///
/// The same inputs give the same bits; the CPU gives them on any number of threads.
pub trait Training: Device {
    /// A buffer of zeros.
    ///
    /// # Errors
    /// The machine has not so much memory.
    fn zeros(&self, rows: usize, columns: usize) -> Result<Self::Buffer, Error>;
    /// Bytes that operations take besides the buffers, at most, for heads of this shape and documents of up to `longest`
    /// rows.
    fn scratch(&self, heads: Heads, longest: usize) -> u64;
    /// Makes a buffer so many rows of zeros.
    fn clear(&self, buffer: &mut Self::Buffer, rows: usize);
    /// Copies the values from number `at` on out.
    fn read(&self, buffer: &Self::Buffer, at: usize, values: &mut [f32]);
    /// Sets the values from number `at` on.
    fn write(&self, buffer: &mut Self::Buffer, at: usize, values: &[f32]);

    /// Row `i` of `out`, (tokens, table's columns), becomes row `tokens[i]` of `table`.
    fn look_up(&self, parameters: &Self::Buffer, table: View, tokens: &[u32], out: &mut Self::Buffer);
    /// Adds each row of `d_out` to the gradient of the table's row that it came from.
    fn look_up_backward(
        &self,
        d_out: &Self::Buffer,
        tokens: &[u32],
        table: View,
        gradients: &mut Self::Buffer,
    );

    /// As [`Device::rms_norm`]: `x` and `out` are (rows, n), the gain has n values.
    fn norm(&self, x: &Self::Buffer, parameters: &Self::Buffer, gain: View, eps: f32, out: &mut Self::Buffer);
    /// Adds to `d_x`, of the shape of `d_out` and `x`, and to the gain's gradient where that is wanted.
    fn norm_backward(
        &self,
        d_out: &Self::Buffer,
        x: &Self::Buffer,
        parameters: &Self::Buffer,
        gain: View,
        eps: f32,
        d_x: &mut Self::Buffer,
        gradients: Option<&mut Self::Buffer>,
    );

    /// `out` is `qkv` with the queries' and the keys' columns normed, each as many at a time as its gain has values; all
    /// are (rows, (heads + 2 · kv_heads) · head_dim).
    fn norm_heads(
        &self,
        qkv: &Self::Buffer,
        parameters: &Self::Buffer,
        gains: [View; 2],
        heads: Heads,
        eps: f32,
        out: &mut Self::Buffer,
    );
    /// Replaces the gradient of what [`Training::norm_heads`] made by that of `qkv`, and adds to the gains' gradients where
    /// those are wanted.
    fn norm_heads_backward(
        &self,
        d_qkv: &mut Self::Buffer,
        qkv: &Self::Buffer,
        parameters: &Self::Buffer,
        gains: [View; 2],
        heads: Heads,
        eps: f32,
        gradients: Option<&mut Self::Buffer>,
    );

    /// `out = x · wᵀ`, plus `bias`, plus `residual` of the shape of `out`: `x` is (rows, inputs), `w` (outputs, inputs), `out`
    /// (rows, outputs).
    fn project(
        &self,
        x: &Self::Buffer,
        parameters: &Self::Buffer,
        w: View,
        bias: Option<View>,
        residual: Option<&Self::Buffer>,
        out: &mut Self::Buffer,
    );
    /// `d_x = d_out · w`: (rows, inputs) from (rows, outputs).
    fn project_backward(
        &self,
        d_out: &Self::Buffer,
        parameters: &Self::Buffer,
        w: View,
        d_x: &mut Self::Buffer,
    );
    /// Adds `d_outᵀ · x` to the gradient of `w`, and the sum of the rows of `d_out` to the bias's.
    fn project_gradient(
        &self,
        d_out: &Self::Buffer,
        x: &Self::Buffer,
        w: View,
        bias: Option<View>,
        gradients: &mut Self::Buffer,
    );

    /// Adds the change to `out`, a product of `x`. `low` is room for (rows, rank).
    fn adapt(
        &self,
        x: &Self::Buffer,
        adapters: &Self::Buffer,
        change: &LowRank,
        low: &mut Self::Buffer,
        out: &mut Self::Buffer,
    );
    /// Adds to `d_x` what the change makes of `d_out`.
    fn adapt_backward(
        &self,
        d_out: &Self::Buffer,
        adapters: &Self::Buffer,
        change: &LowRank,
        low: &mut Self::Buffer,
        d_x: &mut Self::Buffer,
    );
    /// Adds to the gradients of the change's two matrices.
    fn adapt_gradient(
        &self,
        d_out: &Self::Buffer,
        x: &Self::Buffer,
        adapters: &Self::Buffer,
        change: &LowRank,
        low: &mut Self::Buffer,
        gradients: &mut Self::Buffer,
    );

    /// Undoes the turn of [`Device::rope`] in the queries' and keys' columns of `d_qkv`; the scale in `angles` stays a factor.
    fn rope_backward(&self, d_qkv: &mut Self::Buffer, angles: &Self::Buffer, heads: Heads, style: RopeStyle);

    /// Causal attention within each document, softmax(q · k / √head_dim) · v, from `qkv`, (rows, (heads + 2 · kv_heads) ·
    /// head_dim), to `out`, (rows, heads · head_dim). The documents follow one another and cover all rows. Keeps of each row and head
    /// `ln Σ e^(q · k / √head_dim)` in `log_sums`, (rows, heads), and never a matrix of scores. Dao 2023.
    fn attend_documents(
        &self,
        qkv: &Self::Buffer,
        documents: &[Range<usize>],
        heads: Heads,
        out: &mut Self::Buffer,
        log_sums: &mut Self::Buffer,
    );
    /// Sets `d_qkv`, given what the forward took, made and kept.
    fn attend_documents_backward(
        &self,
        d_out: &Self::Buffer,
        qkv: &Self::Buffer,
        out: &Self::Buffer,
        log_sums: &Self::Buffer,
        documents: &[Range<usize>],
        heads: Heads,
        d_qkv: &mut Self::Buffer,
    );

    /// Replaces `gate_up` by its gradient, and the gradient of `hidden = silu(gate) · up` by `hidden` itself, which
    /// the product before it needs once more.
    fn swiglu_backward(&self, gate_up: &mut Self::Buffer, hidden: &mut Self::Buffer);

    /// `out`, of `total` rows, is zero but for the rows with these numbers, which are those of `x` in order: the
    /// backward of [`Device::select_rows`].
    fn scatter_rows(&self, x: &Self::Buffer, rows: &[usize], total: usize, out: &mut Self::Buffer);

    /// `ln p(target)` of each row of `x`, (targets, head's columns), under the head's softmax. `logits` is room, as many rows of which are
    /// computed at a time as it was made for.
    fn log_likelihoods(
        &self,
        x: &Self::Buffer,
        parameters: &Self::Buffer,
        head: View,
        targets: &[u32],
        logits: &mut Self::Buffer,
        out: &mut Vec<f32>,
    );
    /// The loss `scale · Σ weight · (−ln p(target) + z · (ln Σ eˡᵒᵍⁱᵗ)²)` forward and backward at once: `x` becomes its
    /// gradient, the head's gradient is added to where that is wanted, and the sums are returned without `scale` and `z`.
    /// `logits` is room, as with [`Training::log_likelihoods`].
    fn loss_backward(
        &self,
        x: &mut Self::Buffer,
        parameters: &Self::Buffer,
        head: View,
        targets: &[u32],
        weights: &[f32],
        scale: f32,
        z: f32,
        logits: &mut Self::Buffer,
        gradients: Option<&mut Self::Buffer>,
    ) -> LossSums;

    /// The sum of the squares of the values in `range`.
    fn square_sum(&self, buffer: &Self::Buffer, range: Range<usize>) -> f64;
    /// One step for the parameters in `range`, whose gradients are set to zero on the way. `first` and `second` hold the
    /// moments of these parameters and no others.
    fn adamw(
        &self,
        step: &AdamWStep,
        range: Range<usize>,
        parameters: &mut Self::Buffer,
        gradients: &mut Self::Buffer,
        first: &mut Self::Buffer,
        second: &mut Self::Buffer,
    );
}
