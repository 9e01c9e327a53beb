//! From tokens to the loss and back to every parameter's gradient. Touvron et al. 2023, section 2, and the chain rule.

use super::layout::LayerViews;
use super::model::Model;
use crate::{Config, Error};
use sai_kernels::{LossSums, Training};
use std::ops::Range;

/// Bytes of logits that exist at a time.
const LOGITS_BYTES: usize = 48 << 20;

/// Rows of tokens, documents side by side.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The token of each row.
    pub tokens: &'a [u32],
    /// The token that should follow each; of no matter where the weight is 0.
    pub targets: &'a [u32],
    /// What each row's loss counts; 0 for those that are not trained on, which the head then passes over.
    pub weights: &'a [f32],
    /// The rows of each document, one after another, all rows together. A row attends to its document's rows up to
    /// itself, and its position is counted from the document's first.
    pub documents: &'a [Range<usize>],
}

/// What backward computes again instead of keeping it from forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// What costs next to nothing: outputs of norms and of SwiGLU.
    #[default]
    SwigluAndNorms,
    /// All of a layer but its input: a third more arithmetic, for memory of a single layer. Chen et al. 2016.
    Layers,
}

/// What training takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Parameters.
    pub parameters: u64,
    /// Their gradients.
    pub gradients: u64,
    /// AdamW's two moments.
    pub optimiser: u64,
    /// Activations, with the part of the logits that exists at a time; a device needs a few MB of scratch besides.
    pub activations: u64,
}

impl Memory {
    /// For passes of `rows` rows.
    pub fn of(config: &Config, rows: usize, recompute: Recompute) -> Memory {
        let parameters = config.parameters().saturating_mul(4);
        let shapes = Shapes::of(config, rows, recompute);
        let kept: u64 = shapes.kept.iter().sum::<usize>() as u64 * shapes.kept_layers as u64;
        let stream = (config.num_layers as u64 + 1) * config.hidden_size as u64;
        let work = shapes.work.iter().sum::<usize>() as u64;
        let values = (kept + stream + work).saturating_mul(rows as u64);
        let logits = shapes.logits_rows as u64 * config.vocab_size as u64;
        Memory {
            parameters,
            gradients: parameters,
            optimiser: parameters.saturating_mul(2),
            activations: values.saturating_add(logits).saturating_mul(4),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        [self.parameters, self.gradients, self.optimiser, self.activations]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Columns of the buffers of a [`Pass`].
struct Shapes {
    /// Of [`Kept`], in its order.
    kept: [usize; 5],
    kept_layers: usize,
    /// Of [`Work`], in its order.
    work: [usize; 8],
    logits_rows: usize,
}

impl Shapes {
    fn of(c: &Config, rows: usize, recompute: Recompute) -> Shapes {
        let (d, f, qkv) = (c.hidden_size, c.intermediate_size, c.heads().qkv_columns());
        let queries = c.num_heads * c.head_dim;
        Shapes {
            kept: [qkv, queries, c.num_heads, d, 2 * f],
            kept_layers: if recompute == Recompute::Layers { 1 } else { c.num_layers },
            work: [c.rope.dim, d, f, d, d, d, queries, qkv],
            logits_rows: (LOGITS_BYTES / 4 / c.vocab_size).clamp(1, rows.max(1)),
        }
    }
}

/// All activations of a pass and back, made once.
pub struct Pass<D: Training> {
    rows: usize,
    /// Residual stream before each layer, and after the last: (rows, hidden_size).
    x: Vec<D::Buffer>,
    /// Of each layer, or of one where layers are recomputed.
    kept: Vec<Kept<D>>,
    work: Work<D>,
    /// As many rows as are computed at a time, (rows, vocab_size).
    logits: D::Buffer,
}

/// What forward keeps of a layer for backward.
struct Kept<D: Training> {
    /// After the turn, (rows, (heads + 2 · kv_heads) · head_dim).
    qkv: D::Buffer,
    /// (rows, heads · head_dim)
    attended: D::Buffer,
    /// (rows, heads)
    log_sums: D::Buffer,
    /// Residual stream between attention and the feed-forward layer, (rows, hidden_size).
    middle: D::Buffer,
    /// (rows, 2 · intermediate_size); its gradient in backward.
    gate_up: D::Buffer,
}

/// What is written and read within a layer.
struct Work<D: Training> {
    /// Cosines and sines, (rows, rope_dim).
    angles: D::Buffer,
    /// A norm's output, then its gradient: (rows, hidden_size).
    normed: D::Buffer,
    /// SwiGLU's output, or its gradient: (rows, intermediate_size).
    hidden: D::Buffer,
    /// Gradient of the residual stream, (rows, hidden_size).
    d_x: D::Buffer,
    /// The rows that have a target, (such rows, hidden_size).
    selected: D::Buffer,
    /// Their gradient.
    d_selected: D::Buffer,
    /// (rows, heads · head_dim)
    d_attended: D::Buffer,
    /// (rows, (heads + 2 · kv_heads) · head_dim)
    d_qkv: D::Buffer,
}

impl<D: Training> Pass<D> {
    /// Room for passes of at most `rows` rows over `model`; all that a run of them takes.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(model: &Model<D>, rows: usize, recompute: Recompute) -> Result<Pass<D>, Error> {
        let (device, c) = (&model.device, &model.config);
        let shapes = Shapes::of(c, rows, recompute);
        let room = |columns: usize| device.zeros(rows, columns);
        let kept = || -> Result<Kept<D>, Error> {
            let [qkv, attended, log_sums, middle, gate_up] = shapes.kept.map(room);
            Ok(Kept {
                qkv: qkv?,
                attended: attended?,
                log_sums: log_sums?,
                middle: middle?,
                gate_up: gate_up?,
            })
        };
        let [angles, normed, hidden, d_x, selected, d_selected, d_attended, d_qkv] = shapes.work.map(room);
        Ok(Pass {
            rows,
            x: (0..=c.num_layers).map(|_| room(c.hidden_size)).collect::<Result<_, _>>()?,
            kept: (0..shapes.kept_layers).map(|_| kept()).collect::<Result<_, _>>()?,
            work: Work {
                angles: angles?,
                normed: normed?,
                hidden: hidden?,
                d_x: d_x?,
                selected: selected?,
                d_selected: d_selected?,
                d_attended: d_attended?,
                d_qkv: d_qkv?,
            },
            logits: device.zeros(shapes.logits_rows, c.vocab_size)?,
        })
    }

    /// Rows that a pass has at most.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl<D: Training> Model<D> {
    /// Adds to the gradients those of `scale · Σ weight · (−ln p(target) + z · (ln Σ eˡᵒᵍⁱᵗ)²)` over the rows, and
    /// returns the sums without `scale` and `z`. Called for one micro-batch after another, with a scale that suits the
    /// whole batch, it accumulates.
    ///
    /// # Errors
    /// Rows that do not fit together, a token that is no row of the embedding, or more rows than `pass` has room for;
    /// nothing is computed then.
    pub fn forward_backward(
        &mut self,
        pass: &mut Pass<D>,
        packed: &Packed<'_>,
        scale: f32,
        z: f32,
    ) -> Result<LossSums, Error> {
        self.forward_backward_in_parts(pass, packed, scale, z, &mut |_, _, _| {})
    }

    /// As [`Model::forward_backward`]. Calls `done` with each range of the gradients to which this pass adds no more, so that
    /// they can be sent off while those of earlier layers are computed: those of [`Layout::in_backward`], in its order.
    ///
    /// [`Layout::in_backward`]: super::Layout::in_backward
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn forward_backward_in_parts(
        &mut self,
        pass: &mut Pass<D>,
        packed: &Packed<'_>,
        scale: f32,
        z: f32,
        done: &mut dyn FnMut(&D, &mut D::Buffer, Range<usize>),
    ) -> Result<LossSums, Error> {
        let wanted = self.check(pass, packed)?;
        self.forward(pass, packed);
        let sums = self.loss_backward(pass, packed, &wanted, scale, z);
        let (embedding, head) = (self.layout.embedding, self.layout.head);
        if head != embedding {
            done(&self.device, &mut self.gradients, head.range());
        }
        for i in (0..self.layout.layers.len()).rev() {
            let layer = self.layout.layers[i];
            let Pass { x, kept, work, .. } = pass;
            if kept.len() == 1 {
                self.attention(&layer, packed, &x[i], &mut kept[0], work);
            }
            let at = i.min(kept.len() - 1);
            self.layer_backward(&layer, packed, &x[i], &mut kept[at], work);
            done(&self.device, &mut self.gradients, self.layout.matrices(i));
        }
        let (d, g) = (&self.device, &mut self.gradients);
        d.look_up_backward(&pass.work.d_x, packed.tokens, embedding, g);
        done(d, g, embedding.range());
        done(d, g, self.layout.vectors());
        Ok(sums)
    }

    /// `ln p(target)` of each row, and 0 for rows of weight 0. No gradients.
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn log_likelihoods(&self, pass: &mut Pass<D>, packed: &Packed<'_>) -> Result<Vec<f32>, Error> {
        let wanted = self.check(pass, packed)?;
        self.forward(pass, packed);
        let (d, c) = (&self.device, &self.config);
        let Pass { x, work, logits, .. } = pass;
        d.select_rows(&x[c.num_layers], &wanted, &mut work.selected);
        d.norm(&work.selected, &self.parameters, self.layout.final_norm, c.rms_norm_eps, &mut work.normed);
        let targets: Vec<u32> = wanted.iter().map(|&row| packed.targets[row]).collect();
        let (head, mut found) = (self.layout.head, Vec::new());
        d.log_likelihoods(&work.normed, &self.parameters, head, &targets, logits, &mut found);
        let mut all = vec![0.0; packed.tokens.len()];
        wanted.iter().zip(found).for_each(|(&row, found)| all[row] = found);
        Ok(all)
    }

    /// The residual stream before each layer and after the last, and what backward needs of each.
    fn forward(&self, pass: &mut Pass<D>, packed: &Packed<'_>) {
        let (d, c) = (&self.device, &self.config);
        let positions: Vec<u32> =
            packed.documents.iter().flat_map(|rows| 0..rows.len()).map(|p| p as u32).collect();
        let Pass { x, kept, work, .. } = pass;
        d.rope_angles(&positions, &self.inv_freq, c.rope.attention_factor(), &mut work.angles);
        d.look_up(&self.parameters, self.layout.embedding, packed.tokens, &mut x[0]);
        for (i, layer) in self.layout.layers.iter().enumerate() {
            let at = i.min(kept.len() - 1);
            let kept = &mut kept[at];
            let (before, after) = x.split_at_mut(i + 1);
            self.attention(layer, packed, &before[i], kept, work);
            d.swiglu(&kept.gate_up, &mut work.hidden);
            let down = &layer.ffn_down;
            let residual = Some(&kept.middle);
            d.project(&work.hidden, &self.parameters, down.weight, down.bias, residual, &mut after[0]);
        }
    }

    /// A layer up to its gates and ups: all that backward needs of it.
    fn attention(
        &self,
        layer: &LayerViews,
        packed: &Packed<'_>,
        x: &D::Buffer,
        kept: &mut Kept<D>,
        work: &mut Work<D>,
    ) {
        let (d, c, p) = (&self.device, &self.config, &self.parameters);
        let (heads, eps) = (c.heads(), c.rms_norm_eps);
        d.norm(x, p, layer.attention_norm, eps, &mut work.normed);
        d.project(&work.normed, p, layer.qkv.weight, layer.qkv.bias, None, &mut kept.qkv);
        d.rope(&mut kept.qkv, &work.angles, heads, c.rope.style);
        d.attend_documents(&kept.qkv, packed.documents, heads, &mut kept.attended, &mut kept.log_sums);
        let out = &layer.attention_out;
        d.project(&kept.attended, p, out.weight, out.bias, Some(x), &mut kept.middle);
        d.norm(&kept.middle, p, layer.ffn_norm, eps, &mut work.normed);
        let gate_up = &layer.gate_up;
        d.project(&work.normed, p, gate_up.weight, gate_up.bias, None, &mut kept.gate_up);
    }

    /// The head there and back: sets the gradient of the residual stream.
    fn loss_backward(
        &mut self,
        pass: &mut Pass<D>,
        packed: &Packed<'_>,
        wanted: &[usize],
        scale: f32,
        z: f32,
    ) -> LossSums {
        let (d, c, p, g) = (&self.device, &self.config, &self.parameters, &mut self.gradients);
        let (head, gain, eps) = (self.layout.head, self.layout.final_norm, c.rms_norm_eps);
        let Pass { x, work: w, logits, .. } = pass;
        let targets: Vec<u32> = wanted.iter().map(|&row| packed.targets[row]).collect();
        let weights: Vec<f32> = wanted.iter().map(|&row| packed.weights[row]).collect();
        d.select_rows(&x[c.num_layers], wanted, &mut w.selected);
        d.norm(&w.selected, p, gain, eps, &mut w.normed);
        let sums = d.loss_backward(&mut w.normed, p, head, &targets, &weights, scale, z, logits, g);
        d.clear(&mut w.d_selected, wanted.len());
        d.norm_backward(&w.normed, &w.selected, p, gain, eps, &mut w.d_selected, g);
        d.scatter_rows(&w.d_selected, wanted, packed.tokens.len(), &mut w.d_x);
        sums
    }

    /// A layer upside down: from the gradient of its output in `work.d_x` to that of its input.
    fn layer_backward(
        &mut self,
        layer: &LayerViews,
        packed: &Packed<'_>,
        x: &D::Buffer,
        kept: &mut Kept<D>,
        work: &mut Work<D>,
    ) {
        let (d, c, p, g) = (&self.device, &self.config, &self.parameters, &mut self.gradients);
        let (heads, eps, w) = (c.heads(), c.rms_norm_eps, work);

        let down = &layer.ffn_down;
        d.project_backward(&w.d_x, p, down.weight, &mut w.hidden);
        d.swiglu_backward(&mut kept.gate_up, &mut w.hidden);
        d.project_gradient(&w.d_x, &w.hidden, down.weight, down.bias, g);
        let (d_gate_up, gate_up) = (&kept.gate_up, &layer.gate_up);
        d.norm(&kept.middle, p, layer.ffn_norm, eps, &mut w.normed);
        d.project_gradient(d_gate_up, &w.normed, gate_up.weight, gate_up.bias, g);
        d.project_backward(d_gate_up, p, gate_up.weight, &mut w.normed);
        d.norm_backward(&w.normed, &kept.middle, p, layer.ffn_norm, eps, &mut w.d_x, g);

        let out = &layer.attention_out;
        d.project_backward(&w.d_x, p, out.weight, &mut w.d_attended);
        d.project_gradient(&w.d_x, &kept.attended, out.weight, out.bias, g);
        d.attend_documents_backward(
            &w.d_attended,
            &kept.qkv,
            &kept.attended,
            &kept.log_sums,
            packed.documents,
            heads,
            &mut w.d_qkv,
        );
        d.rope_backward(&mut w.d_qkv, &w.angles, heads, c.rope.style);
        d.norm(x, p, layer.attention_norm, eps, &mut w.normed);
        d.project_gradient(&w.d_qkv, &w.normed, layer.qkv.weight, layer.qkv.bias, g);
        d.project_backward(&w.d_qkv, p, layer.qkv.weight, &mut w.normed);
        d.norm_backward(&w.normed, x, p, layer.attention_norm, eps, &mut w.d_x, g);
    }

    /// Holds the rows against each other and the pass; returns those that have a target.
    fn check(&self, pass: &Pass<D>, packed: &Packed<'_>) -> Result<Vec<usize>, Error> {
        let wrong = |fact: String| Err(Error::Training { fact });
        let (rows, vocab_size) = (packed.tokens.len(), self.config.vocab_size);
        if rows > pass.rows {
            return wrong(format!("{rows} rows in a pass that was made for {}", pass.rows));
        }
        if packed.targets.len() != rows || packed.weights.len() != rows {
            let (targets, weights) = (packed.targets.len(), packed.weights.len());
            return wrong(format!("{rows} rows with {targets} targets and {weights} weights"));
        }
        let mut end = 0;
        for document in packed.documents {
            if document.start != end || document.end <= end {
                return wrong(format!("a document of rows {document:?} after row {end}"));
            }
            end = document.end;
        }
        if end != rows {
            return wrong(format!("documents of {end} rows where there are {rows}"));
        }
        let wanted: Vec<usize> = (0..rows).filter(|&row| packed.weights[row] != 0.0).collect();
        let targets = wanted.iter().map(|&row| &packed.targets[row]);
        match packed.tokens.iter().chain(targets).find(|&&token| token as usize >= vocab_size) {
            Some(&token) => Err(Error::TokenOutOfRange { token, vocab_size }),
            None => Ok(wanted),
        }
    }
}
