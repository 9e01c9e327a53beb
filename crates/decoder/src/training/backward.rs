//! The pass upside down: from the loss back to every gradient that is wanted. The chain rule.

use super::layout::LayerViews;
use super::model::Model;
use super::pass::{Kept, Packed, Pass, PassStats, TokenCost};
use super::products::Products;
use sai_kernels::{LossSums, Training};

impl<D: Training> Model<D> {
    /// After a forward, from the loss back to every gradient that is wanted.
    pub(super) fn backward(
        &mut self,
        pass: &mut Pass<D>,
        packed: &Packed<'_>,
        wanted: &[usize],
        scale: f32,
        z: f32,
        done: &mut PassStats<'_, D>,
    ) -> LossSums {
        let sums = self.loss_backward(pass, packed, wanted, scale, z);
        let (embedding, head, frozen) = (self.layout.embedding, self.layout.head, self.adapter.is_some());
        if head != embedding && !frozen {
            done(&self.device, &mut self.gradients, head.range());
        }
        for i in (0..self.layout.layers.len()).rev() {
            let layer = self.layout.layers[i];
            let Pass { x, kept, work, .. } = pass;
            // The last layer's are still there.
            if kept.len() == 1 && i + 1 < self.layout.layers.len() {
                self.up_to_gates(&layer, packed, &x[i], &mut kept[0], work);
            }
            let at = i.min(kept.len() - 1);
            self.layer_backward(&layer, packed, &x[i], &mut kept[at], work);
            if !frozen {
                done(&self.device, &mut self.gradients, self.layout.matrices(i));
            }
        }
        let trained = self.trained();
        let (d, g) = (&self.device, &mut self.gradients);
        if frozen {
            done(d, g, 0..trained);
            return sums;
        }
        d.look_up_backward(&pass.work.d_x, packed.tokens, embedding, g);
        done(d, g, embedding.range());
        done(d, g, self.layout.vectors());
        sums
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
        let (head, gain, eps) = (self.layout.head, self.layout.final_norm, self.config.norm.eps);
        let layers = self.config.num_layers;
        let (products, g) = self.products_and_gradients();
        let Products { device: d, parameters: p, .. } = products;
        let Pass { x, work: w, logits, .. } = pass;
        let targets: Vec<u32> = wanted.iter().map(|&row| packed.targets[row]).collect();
        let weights: Vec<f32> = wanted.iter().map(|&row| packed.weights[row]).collect();
        d.select_rows(&x[layers], wanted, &mut w.selected);
        d.norm(&w.selected, p, gain, eps, &mut w.normed);
        let of_head = products.unless_frozen(g);
        let sums = d.loss_backward(&mut w.normed, p, head, &targets, &weights, scale, z, logits, of_head);
        d.clear(&mut w.d_selected, wanted.len());
        d.norm_backward(&w.normed, &w.selected, p, gain, eps, &mut w.d_selected, products.unless_frozen(g));
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
        work: &mut TokenCost<D>,
    ) {
        let (heads, eps, style) = (self.config.heads(), self.config.norm.eps, self.config.ropes[0].style);
        let (products, g) = self.products_and_gradients();
        let Products { device: d, parameters: p, .. } = products;
        let w = work;

        let down = &layer.ffn_down;
        products.backward(&w.d_x, down, &mut w.low, &mut w.hidden);
        d.swiglu_backward(&mut kept.gate_up, &mut w.hidden);
        products.gradient(&w.d_x, &w.hidden, down, &mut w.low, g);
        let d_gate_up = &kept.gate_up;
        d.norm(&kept.middle, p, layer.ffn_norm, eps, &mut w.normed);
        products.gradient(d_gate_up, &w.normed, &layer.gate_up, &mut w.low, g);
        products.backward(d_gate_up, &layer.gate_up, &mut w.low, &mut w.normed);
        let of_norm = products.unless_frozen(g);
        d.norm_backward(&w.normed, &kept.middle, p, layer.ffn_norm, eps, &mut w.d_x, of_norm);

        products.backward(&w.d_x, &layer.attention_out, &mut w.low, &mut w.d_attended);
        products.gradient(&w.d_x, &kept.attended, &layer.attention_out, &mut w.low, g);
        d.attend_documents_backward(
            &w.d_attended,
            &kept.qkv,
            &kept.attended,
            &kept.log_sums,
            packed.documents,
            heads,
            &mut w.d_qkv,
        );
        d.rope_backward(&mut w.d_qkv, &w.angles, heads, style);
        if let Some(gains) = layer.qk_norm {
            let of_norm = products.unless_frozen(g);
            d.norm_heads_backward(&mut w.d_qkv, &kept.projected, p, gains, heads, eps, of_norm);
        }
        d.norm(x, p, layer.attention_norm, eps, &mut w.normed);
        products.gradient(&w.d_qkv, &w.normed, &layer.qkv, &mut w.low, g);
        products.backward(&w.d_qkv, &layer.qkv, &mut w.low, &mut w.normed);
        let of_norm = products.unless_frozen(g);
        d.norm_backward(&w.normed, x, p, layer.attention_norm, eps, &mut w.d_x, of_norm);
    }
}
