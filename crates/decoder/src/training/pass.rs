//! From tokens to the loss, and what backward needs of the way there. Touvron et al. 2023, section 2.

use super::layout::LayerViews;
use super::memory::Shapes;
use super::model::Model;
use crate::Error;
use sai_kernels::{Activation, Device, LossSums, Training};
use std::ops::Range;

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

/// Hears of a range of the gradients that is final.
pub type PassStats<'d, D> = dyn FnMut(&D, &mut <D as Device>::Buffer, Range<usize>) + 'd;

/// What backward computes again instead of keeping it from forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// What costs next to nothing: outputs of norms and of SwiGLU.
    #[default]
    SwigluAndNorms,
    /// All of a layer but its input: a third more arithmetic, for memory of a single layer. Chen et al. 2016.
    Layers,
}

/// All activations of a pass and back, made once.
pub struct Pass<D: Training> {
    rows: usize,
    /// Residual stream before each layer, and after the last: (rows, hidden_size).
    pub(super) x: Vec<D::Buffer>,
    /// Of each layer, or of one where layers are recomputed.
    pub(super) kept: Vec<Kept<D>>,
    pub(super) work: TokenCost<D>,
    /// As many rows as are computed at a time, (rows, vocab_size).
    pub(super) logits: D::Buffer,
}

/// What forward keeps of a layer for backward.
pub(super) struct Kept<D: Training> {
    /// Before the norms of queries and keys, where the model has them: (rows, (heads + 2 · kv_heads) · head_dim).
    pub(super) projected: D::Buffer,
    /// After the turn, (rows, (heads + 2 · kv_heads) · head_dim).
    pub(super) qkv: D::Buffer,
    /// (rows, heads · head_dim)
    pub(super) attended: D::Buffer,
    /// (rows, heads)
    pub(super) log_sums: D::Buffer,
    /// Residual stream between attention and the feed-forward layer, (rows, hidden_size).
    pub(super) middle: D::Buffer,
    /// (rows, 2 · intermediate_size); its gradient in backward.
    pub(super) gate_up: D::Buffer,
}

/// What is written and read within a layer.
pub(super) struct TokenCost<D: Training> {
    /// Cosines and sines, (rows, rope_dim).
    pub(super) angles: D::Buffer,
    /// A norm's output, then its gradient: (rows, hidden_size).
    pub(super) normed: D::Buffer,
    /// SwiGLU's output, or its gradient: (rows, intermediate_size).
    pub(super) hidden: D::Buffer,
    /// Gradient of the residual stream, (rows, hidden_size).
    pub(super) d_x: D::Buffer,
    /// The rows that have a target, (such rows, hidden_size).
    pub(super) selected: D::Buffer,
    /// Their gradient.
    pub(super) d_selected: D::Buffer,
    /// (rows, heads · head_dim)
    pub(super) d_attended: D::Buffer,
    /// (rows, (heads + 2 · kv_heads) · head_dim)
    pub(super) d_qkv: D::Buffer,
    /// Within a change of low rank, (rows, rank).
    pub(super) low: D::Buffer,
}

impl<D: Training> Pass<D> {
    /// Room for passes of at most `rows` rows over `model`; all that a run of them takes.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(model: &Model<D>, rows: usize, recompute: Recompute) -> Result<Pass<D>, Error> {
        let (device, c) = (&model.device, &model.config);
        let shapes = Shapes::of(c, model.rank(), rows, recompute);
        let room = |columns: usize| device.zeros(rows, columns);
        let kept = || -> Result<Kept<D>, Error> {
            let [projected, qkv, attended, log_sums, middle, gate_up] = shapes.kept.map(room);
            Ok(Kept {
                projected: projected?,
                qkv: qkv?,
                attended: attended?,
                log_sums: log_sums?,
                middle: middle?,
                gate_up: gate_up?,
            })
        };
        let [angles, normed, hidden, d_x, selected, d_selected, d_attended, d_qkv, low] =
            shapes.work.map(room);
        Ok(Pass {
            rows,
            x: (0..=c.num_layers).map(|_| room(c.hidden_size)).collect::<Result<_, _>>()?,
            kept: (0..shapes.kept_layers).map(|_| kept()).collect::<Result<_, _>>()?,
            work: TokenCost {
                angles: angles?,
                normed: normed?,
                hidden: hidden?,
                d_x: d_x?,
                selected: selected?,
                d_selected: d_selected?,
                d_attended: d_attended?,
                d_qkv: d_qkv?,
                low: low?,
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
    /// they can be sent off while those of earlier layers are computed: those of [`Layout::in_backward`], in its order, or all of
    /// an adapter's at once.
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
        done: &mut PassStats<'_, D>,
    ) -> Result<LossSums, Error> {
        let wanted = self.check(pass, packed)?;
        self.forward(pass, packed);
        Ok(self.backward(pass, packed, &wanted, scale, z, done))
    }

    /// As [`Model::forward_backward`], for a loss whose gradient by a row's log-likelihood follows from all rows'
    /// log-likelihoods: `weigh` is given `ln p(target)` of each row and 0 for rows of weight 0, and returns the weights
    /// that the others have in place of `packed`'s. The layers' forward is computed once, the head's twice. `done` as with
    /// [`Model::forward_backward_in_parts`].
    ///
    /// # Errors
    /// Likewise; or `weigh` returns another number of weights.
    pub fn forward_weigh_backward(
        &mut self,
        pass: &mut Pass<D>,
        packed: &Packed<'_>,
        scale: f32,
        weigh: &mut dyn FnMut(&[f32]) -> Vec<f32>,
        done: &mut PassStats<'_, D>,
    ) -> Result<LossSums, Error> {
        let wanted = self.check(pass, packed)?;
        self.forward(pass, packed);
        let weights = weigh(&self.likelihoods(pass, packed, &wanted));
        if weights.len() != packed.weights.len() {
            let fact = format!("{} weights for {} rows", weights.len(), packed.weights.len());
            return Err(Error::Training { fact });
        }
        let packed = Packed { weights: &weights, ..*packed };
        Ok(self.backward(pass, &packed, &wanted, scale, 0.0, done))
    }

    /// `ln p(target)` of each row, and 0 for rows of weight 0. No gradients.
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn log_likelihoods(&self, pass: &mut Pass<D>, packed: &Packed<'_>) -> Result<Vec<f32>, Error> {
        let wanted = self.check(pass, packed)?;
        self.forward(pass, packed);
        Ok(self.likelihoods(pass, packed, &wanted))
    }

    /// After a forward, `ln p(target)` of the wanted rows, and 0 of others.
    fn likelihoods(&self, pass: &mut Pass<D>, packed: &Packed<'_>, wanted: &[usize]) -> Vec<f32> {
        let (d, c) = (&self.device, &self.config);
        let Pass { x, work, logits, .. } = pass;
        d.select_rows(&x[c.num_layers], wanted, &mut work.selected);
        d.norm(&work.selected, &self.parameters, self.layout.final_norm, c.norm.eps, &mut work.normed);
        let targets: Vec<u32> = wanted.iter().map(|&row| packed.targets[row]).collect();
        let (head, mut found) = (self.layout.head, Vec::new());
        d.log_likelihoods(&work.normed, &self.parameters, head, &targets, logits, &mut found);
        let mut all = vec![0.0; packed.tokens.len()];
        wanted.iter().zip(found).for_each(|(&row, found)| all[row] = found);
        all
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

    /// The residual stream before each layer and after the last, and what backward needs of each.
    fn forward(&self, pass: &mut Pass<D>, packed: &Packed<'_>) {
        let (d, c) = (&self.device, &self.config);
        let positions: Vec<u32> =
            packed.documents.iter().flat_map(|rows| 0..rows.len()).map(|p| p as u32).collect();
        let Pass { x, kept, work, .. } = pass;
        let inv_freq = vec![&self.inv_freq[..]; positions.len()];
        d.rope_angles(&positions, &inv_freq, c.ropes[0].attention_factor(), &mut work.angles);
        d.look_up(&self.parameters, self.layout.embedding, packed.tokens, &mut x[0]);
        for (i, layer) in self.layout.layers.iter().enumerate() {
            let at = i.min(kept.len() - 1);
            let kept = &mut kept[at];
            let (before, after) = x.split_at_mut(i + 1);
            self.up_to_gates(layer, packed, &before[i], kept, work);
            let TokenCost { hidden, low, .. } = &mut *work;
            d.activate(&kept.gate_up, Activation::Silu, true, hidden);
            self.products().forward(hidden, &layer.ffn_down, Some(&kept.middle), low, &mut after[0]);
        }
    }

    /// A layer up to its gates and ups: all that backward needs of it.
    pub(super) fn up_to_gates(
        &self,
        layer: &LayerViews,
        packed: &Packed<'_>,
        x: &D::Buffer,
        kept: &mut Kept<D>,
        work: &mut TokenCost<D>,
    ) {
        let (d, c, p, products) = (&self.device, &self.config, &self.parameters, self.products());
        let (heads, eps) = (c.heads(), c.norm.eps);
        d.norm(x, p, layer.attention_norm, eps, &mut work.normed);
        match layer.qk_norm {
            None => products.forward(&work.normed, &layer.qkv, None, &mut work.low, &mut kept.qkv),
            Some(gains) => {
                products.forward(&work.normed, &layer.qkv, None, &mut work.low, &mut kept.projected);
                d.norm_heads(&kept.projected, p, gains, heads, eps, &mut kept.qkv);
            }
        }
        d.rope(&mut kept.qkv, &work.angles, heads, c.ropes[0].style);
        d.attend_documents(&kept.qkv, packed.documents, heads, &mut kept.attended, &mut kept.log_sums);
        products.forward(&kept.attended, &layer.attention_out, Some(x), &mut work.low, &mut kept.middle);
        d.norm(&kept.middle, p, layer.ffn_norm, eps, &mut work.normed);
        products.forward(&work.normed, &layer.gate_up, None, &mut work.low, &mut kept.gate_up);
    }
}
