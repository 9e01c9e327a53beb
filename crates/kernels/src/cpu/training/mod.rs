//! Training on the CPU: each operation's backward beside its forward.

mod adamw;
mod attention;
mod loss;
mod low_rank;
mod norm;
pub(super) mod pack;
pub(super) mod product;
mod softmax;
mod swiglu;

use super::disjoint::Disjoint;
use super::{Buffer, Cpu, SMALL, layer_norm, pages, rms_norm, rope};
use crate::device::{Heads, NormKind, RopeStyle};
use crate::training::{AdamWStep, LossSums, LowRank, Training, View};
use crate::{Error, training};
use product::{Onto, Strided};
use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};

/// Columns whose sums over rows a task takes.
const COLUMNS: usize = 64;

impl Cpu {
    /// Room for packed matrices, kept between products.
    fn packed(&self) -> MutexGuard<'_, Vec<f32>> {
        // Scratch: whatever a panic left in it is overwritten before it is read.
        self.packed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`product::product`], for the rows of `x` and of `out`.
    fn product(
        &self,
        size: [usize; 3],
        a: Strided<'_>,
        b: Strided<'_>,
        onto: Onto<'_>,
        bias: Option<&[f32]>,
        c: &mut [f32],
    ) {
        assert_eq!(c.len(), size[0] * size[1], "a product of another shape");
        self.product_within(size, a, b, onto, bias, c, size[1]);
    }

    /// The same, with rows of the product `stride` apart.
    fn product_within(
        &self,
        size: [usize; 3],
        a: Strided<'_>,
        b: Strided<'_>,
        onto: Onto<'_>,
        bias: Option<&[f32]>,
        c: &mut [f32],
        stride: usize,
    ) {
        if size[0] > 0 && size[1] > 0 {
            product::product(self.isa, &self.pool, &mut self.packed(), size, a, b, onto, bias, c, stride);
        }
    }

    /// Adds to `sums`, of `columns`, what `add` makes of each row, a few columns to a task, row after row.
    fn over_columns(
        &self,
        columns: usize,
        sums: &mut [f32],
        add: &(dyn Fn(Range<usize>, &Disjoint<'_, f32>) + Sync),
    ) {
        let sums = Disjoint::new(sums);
        self.pool.run_chunks(columns, COLUMNS, &|some| add(some, &sums));
    }
}

/// The values of a tensor.
fn of(buffer: &Buffer, view: View) -> &[f32] {
    &buffer.values[view.range()]
}

/// The columns of queries, and those of keys.
fn normed_columns(heads: Heads) -> [Range<usize>; 2] {
    let (queries, keys) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
    [0..queries, queries..queries + keys]
}

impl Training for Cpu {
    fn zeros(&self, rows: usize, columns: usize) -> Result<Buffer, Error> {
        let length = rows.checked_mul(columns);
        let bytes = (rows as u64).saturating_mul(columns as u64).saturating_mul(4);
        let length = length.ok_or(Error::Memory { bytes })?;
        let mut values = Vec::new();
        values.try_reserve_exact(length).map_err(|_| Error::Memory { bytes })?;
        pages::ask_for_large(&mut values);
        values.resize(length, 0.0);
        Ok(Buffer { rows, columns, values })
    }

    fn scratch(&self, heads: Heads, longest: usize) -> u64 {
        let threads = self.pool.threads();
        let attention = (attention::room(self.isa, heads, longest) as u64).saturating_mul(threads as u64);
        attention.saturating_add(product::room(threads) as u64).saturating_mul(4)
    }

    fn clear(&self, buffer: &mut Buffer, rows: usize) {
        buffer.shape(rows, buffer.columns);
        let length = buffer.values.len();
        let values = Disjoint::new(&mut buffer.values);
        // SAFETY: the chunks do not overlap.
        self.pool.run_chunks(length, SMALL, &|range| unsafe { values.part(range) }.fill(0.0));
    }

    fn read(&self, buffer: &Buffer, at: usize, values: &mut [f32]) {
        values.copy_from_slice(&buffer.values[at..at + values.len()]);
    }

    fn write(&self, buffer: &mut Buffer, at: usize, values: &[f32]) {
        buffer.values[at..at + values.len()].copy_from_slice(values);
    }

    fn look_up(&self, parameters: &Buffer, table: View, tokens: &[u32], out: &mut Buffer) {
        let n = table.columns;
        assert_eq!(out.columns, n, "rows of another shape");
        out.shape(tokens.len(), n);
        let rows = of(parameters, table);
        for (&token, out) in tokens.iter().zip(out.values.chunks_exact_mut(n)) {
            out.copy_from_slice(&rows[token as usize * n..(token as usize + 1) * n]);
        }
    }

    fn look_up_backward(&self, d_out: &Buffer, tokens: &[u32], table: View, gradients: &mut Buffer) {
        let n = table.columns;
        assert_eq!((d_out.rows, d_out.columns), (tokens.len(), n), "rows of another shape");
        self.over_columns(n, &mut gradients.values[table.range()], &|some, sums| {
            for (&token, d_out) in tokens.iter().zip(d_out.values.chunks_exact(n)) {
                let at = token as usize * n;
                // SAFETY: the tasks' columns do not overlap.
                let sums = unsafe { sums.part(at + some.start..at + some.end) };
                sums.iter_mut().zip(&d_out[some.clone()]).for_each(|(sum, d)| *sum += d);
            }
        });
    }

    fn norm(&self, x: &Buffer, parameters: &Buffer, gain: View, eps: f32, out: &mut Buffer) {
        assert_eq!(gain.columns, x.columns, "a gain of another length");
        out.shape(x.rows, x.columns);
        let gain = of(parameters, gain);
        self.rows(x, out, &|x, out| rms_norm::rms_norm(self.isa, x, gain, eps, out));
    }

    fn norm_backward(
        &self,
        d_out: &Buffer,
        x: &Buffer,
        parameters: &Buffer,
        gain: View,
        eps: f32,
        d_x: &mut Buffer,
        gradients: Option<&mut Buffer>,
    ) {
        assert_eq!(gain.columns, x.columns, "a gain of another length");
        let d_gain = gradients.map(|gradients| &mut gradients.values[gain.range()]);
        let gain = of(parameters, gain);
        norm::backward(self.isa, &self.pool, &d_out.values, &x.values, gain, eps, &mut d_x.values, d_gain);
    }

    fn norm_heads(
        &self,
        qkv: &Buffer,
        parameters: &Buffer,
        gains: [View; 2],
        heads: Heads,
        eps: f32,
        out: &mut Buffer,
    ) {
        assert_eq!(qkv.columns, heads.qkv_columns(), "heads of another shape");
        out.shape(qkv.rows, qkv.columns);
        self.each_row(out, &|row, out| {
            out.copy_from_slice(&qkv.values[row * qkv.columns..(row + 1) * qkv.columns]);
            for (columns, gain) in normed_columns(heads).into_iter().zip(gains) {
                let gain = of(parameters, gain);
                layer_norm::in_place(self.isa, NormKind::Rms, &mut out[columns], gain, None, eps);
            }
        });
    }

    fn norm_heads_backward(
        &self,
        d_qkv: &mut Buffer,
        qkv: &Buffer,
        parameters: &Buffer,
        gains: [View; 2],
        heads: Heads,
        eps: f32,
        mut gradients: Option<&mut Buffer>,
    ) {
        for (columns, gain) in normed_columns(heads).into_iter().zip(gains) {
            let d_gain = gradients.as_deref_mut().map(|gradients| &mut gradients.values[gain.range()]);
            let part = norm::Part { row: qkv.columns, columns };
            let gain = of(parameters, gain);
            let (d, x) = (&mut d_qkv.values, &qkv.values);
            norm::backward_within(self.isa, &self.pool, d, x, part, gain, eps, d_gain);
        }
    }

    fn project(
        &self,
        x: &Buffer,
        parameters: &Buffer,
        w: View,
        bias: Option<View>,
        residual: Option<&Buffer>,
        out: &mut Buffer,
    ) {
        assert_eq!((x.columns, out.columns), (w.columns, w.rows), "a product of another shape");
        out.shape(x.rows, w.rows);
        let onto = residual.map_or(Onto::Zero, |residual| Onto::Matrix(&residual.values));
        let (a, b) = (Strided::rows(&x.values, w.columns), Strided::columns(of(parameters, w), w.columns));
        let bias = bias.map(|bias| of(parameters, bias));
        self.product([x.rows, w.rows, w.columns], a, b, onto, bias, &mut out.values);
    }

    fn project_backward(&self, d_out: &Buffer, parameters: &Buffer, w: View, d_x: &mut Buffer) {
        assert_eq!((d_out.columns, d_x.columns), (w.rows, w.columns), "a product of another shape");
        d_x.shape(d_out.rows, w.columns);
        let (a, b) = (Strided::rows(&d_out.values, w.rows), Strided::rows(of(parameters, w), w.columns));
        self.product([d_out.rows, w.columns, w.rows], a, b, Onto::Zero, None, &mut d_x.values);
    }

    fn project_gradient(
        &self,
        d_out: &Buffer,
        x: &Buffer,
        w: View,
        bias: Option<View>,
        gradients: &mut Buffer,
    ) {
        assert_eq!((d_out.columns, x.columns), (w.rows, w.columns), "a product of another shape");
        assert_eq!(d_out.rows, x.rows, "rows of another product");
        if d_out.rows == 0 {
            return;
        }
        let (a, b) = (Strided::columns(&d_out.values, w.rows), Strided::rows(&x.values, w.columns));
        let d_w = &mut gradients.values[w.range()];
        self.product([w.rows, w.columns, d_out.rows], a, b, Onto::There, None, d_w);
        if let Some(bias) = bias {
            let n = w.rows;
            self.over_columns(n, &mut gradients.values[bias.range()], &|some, sums| {
                // SAFETY: the tasks' columns do not overlap.
                let sums = unsafe { sums.part(some.clone()) };
                for d_out in d_out.values.chunks_exact(n) {
                    sums.iter_mut().zip(&d_out[some.clone()]).for_each(|(sum, d)| *sum += d);
                }
            });
        }
    }

    fn adapt(&self, x: &Buffer, adapters: &Buffer, change: &LowRank, low: &mut Buffer, out: &mut Buffer) {
        low_rank::forward(self, x, adapters, change, low, out);
    }

    fn adapt_backward(
        &self,
        d_out: &Buffer,
        adapters: &Buffer,
        change: &LowRank,
        low: &mut Buffer,
        d_x: &mut Buffer,
    ) {
        low_rank::backward(self, d_out, adapters, change, low, d_x);
    }

    fn adapt_gradient(
        &self,
        d_out: &Buffer,
        x: &Buffer,
        adapters: &Buffer,
        change: &LowRank,
        low: &mut Buffer,
        gradients: &mut Buffer,
    ) {
        low_rank::gradient(self, d_out, x, adapters, change, low, gradients);
    }

    fn rope_backward(&self, d_qkv: &mut Buffer, angles: &Buffer, heads: Heads, style: RopeStyle) {
        let (rows, columns) = (d_qkv.rows, d_qkv.columns);
        let values = Disjoint::new(&mut d_qkv.values);
        self.pool.run_chunks(rows, SMALL.div_ceil(columns), &|rows| {
            // Turning by the opposite angle.
            let mut back = vec![0.0; angles.columns];
            for row in rows {
                back.copy_from_slice(&angles.values[row * angles.columns..(row + 1) * angles.columns]);
                back[angles.columns / 2..].iter_mut().for_each(|sine| *sine = -*sine);
                // SAFETY: each row is turned once.
                let d_qkv = unsafe { values.part(row * columns..(row + 1) * columns) };
                rope::rope_row(self.isa, d_qkv, &back, heads, style);
            }
        });
    }

    fn attend_documents(
        &self,
        qkv: &Buffer,
        documents: &[Range<usize>],
        heads: Heads,
        out: &mut Buffer,
        log_sums: &mut Buffer,
    ) {
        attention::check(documents, qkv.rows);
        assert_eq!(qkv.columns, heads.qkv_columns(), "heads of another shape");
        out.shape(qkv.rows, heads.heads * heads.head_dim);
        log_sums.shape(qkv.rows, heads.heads);
        let (out, log_sums) = (&mut out.values, &mut log_sums.values);
        attention::attend(self.isa, &self.pool, &qkv.values, documents, heads, out, log_sums);
    }

    fn attend_documents_backward(
        &self,
        d_out: &Buffer,
        qkv: &Buffer,
        out: &Buffer,
        log_sums: &Buffer,
        documents: &[Range<usize>],
        heads: Heads,
        d_qkv: &mut Buffer,
    ) {
        attention::check(documents, qkv.rows);
        assert_eq!(qkv.columns, heads.qkv_columns(), "heads of another shape");
        assert_eq!((d_out.rows, d_out.columns), (out.rows, out.columns), "outputs of another shape");
        assert_eq!((out.rows, log_sums.rows), (qkv.rows, qkv.rows), "rows of another pass");
        d_qkv.shape(qkv.rows, qkv.columns);
        let kept = attention::Kept { d_out: &d_out.values, out: &out.values, log_sums: &log_sums.values };
        let qkv = &qkv.values;
        attention::attend_backward(self.isa, &self.pool, qkv, &kept, documents, heads, &mut d_qkv.values);
    }

    fn swiglu_backward(&self, gate_up: &mut Buffer, hidden: &mut Buffer) {
        let (rows, columns) = (hidden.rows, hidden.columns);
        assert_eq!((gate_up.rows, gate_up.columns), (rows, 2 * columns), "gates of another shape");
        let (gate_up, hidden) = (Disjoint::new(&mut gate_up.values), Disjoint::new(&mut hidden.values));
        self.pool.run_chunks(rows, SMALL.div_ceil(columns), &|rows| {
            // SAFETY: the chunks of rows do not overlap.
            let (gate_up, hidden) = unsafe {
                let both = rows.start * 2 * columns..rows.end * 2 * columns;
                (gate_up.part(both), hidden.part(rows.start * columns..rows.end * columns))
            };
            swiglu::backward(self.isa, gate_up, hidden, columns);
        });
    }

    fn scatter_rows(&self, x: &Buffer, rows: &[usize], total: usize, out: &mut Buffer) {
        assert_eq!((x.rows, x.columns), (rows.len(), out.columns), "rows of another shape");
        self.clear(out, total);
        for (&row, x) in rows.iter().zip(x.values.chunks_exact(x.columns)) {
            out.values[row * x.len()..(row + 1) * x.len()].copy_from_slice(x);
        }
    }

    fn log_likelihoods(
        &self,
        x: &Buffer,
        parameters: &Buffer,
        head: View,
        targets: &[u32],
        logits: &mut Buffer,
        out: &mut Vec<f32>,
    ) {
        let (vocab, n) = (head.rows, head.columns);
        let w = Strided::columns(of(parameters, head), n);
        let chunk = logits.values.len() / vocab;
        out.clear();
        out.resize(targets.len(), 0.0);
        for (at, targets) in targets.chunks(chunk).enumerate().map(|(i, targets)| (i * chunk, targets)) {
            let rows = targets.len();
            let x = Strided::rows(&x.values[at * n..(at + rows) * n], n);
            let logits = &mut logits.values[..rows * vocab];
            self.product([rows, vocab, n], x, w, Onto::Zero, None, logits);
            loss::log_likelihoods(self.isa, &self.pool, logits, vocab, targets, &mut out[at..at + rows]);
        }
    }

    fn loss_backward(
        &self,
        x: &mut Buffer,
        parameters: &Buffer,
        head: View,
        targets: &[u32],
        weights: &[f32],
        scale: f32,
        z: f32,
        logits: &mut Buffer,
        gradients: Option<&mut Buffer>,
    ) -> LossSums {
        assert_eq!([x.rows, weights.len()], [targets.len(); 2], "rows without targets");
        let (vocab, n) = (head.rows, head.columns);
        let w = of(parameters, head);
        let mut d_w = gradients.map(|gradients| &mut gradients.values[head.range()]);
        let chunk = logits.values.len() / vocab;
        let mut sums = training::LossSums::default();
        for start in (0..targets.len()).step_by(chunk) {
            let some = start..(start + chunk).min(targets.len());
            let rows = some.len();
            let x = &mut x.values[some.start * n..some.end * n];
            let logits = &mut logits.values[..rows * vocab];
            let turned = Strided::columns(w, n);
            self.product([rows, vocab, n], Strided::rows(x, n), turned, Onto::Zero, None, logits);
            let (targets, weights) = (&targets[some.clone()], &weights[some]);
            let more = loss::backward(self.isa, &self.pool, logits, vocab, targets, weights, scale, z);
            sums.loss += more.loss;
            sums.log_sum_squares += more.log_sum_squares;
            if let Some(d_w) = d_w.as_deref_mut() {
                let d_logits = Strided::columns(logits, vocab);
                self.product([vocab, n, rows], d_logits, Strided::rows(x, n), Onto::There, None, d_w);
            }
            let d_logits = Strided::rows(logits, vocab);
            self.product([rows, n, vocab], d_logits, Strided::rows(w, n), Onto::Zero, None, x);
        }
        sums
    }

    fn square_sum(&self, buffer: &Buffer, range: Range<usize>) -> f64 {
        adamw::square_sum(self.isa, &self.pool, &buffer.values[range])
    }

    fn adamw(
        &self,
        step: &AdamWStep,
        range: Range<usize>,
        parameters: &mut Buffer,
        gradients: &mut Buffer,
        first: &mut Buffer,
        second: &mut Buffer,
    ) {
        let (p, g) = (&mut parameters.values[range.clone()], &mut gradients.values[range.clone()]);
        adamw::adamw(self.isa, &self.pool, step, range.start, p, g, &mut first.values, &mut second.values);
    }
}
