//! What two descriptions disagree on, in words; but for the family's name, and how heads lie.

use crate::{Config, Rope};

impl Config {
    /// The first of this description's facts that another does not have.
    pub(super) fn difference(&self, other: &Config) -> Option<String> {
        let (a, b) = (self, other);
        let near = |a: f32, b: f32| (a - b).abs() <= 1e-6 * a.abs();
        let scales = |c: &Config| [c.embedding_scale, c.residual_scale, c.logit_scale];
        let windows = |c: &Config| c.layers.iter().map(|layer| layer.window).collect::<Vec<_>>();
        let turns = |c: &Config| c.layers.iter().map(|layer| layer.rope).collect::<Vec<_>>();
        let widths = |c: &Config| {
            [
                c.vocab_size,
                c.hidden_size,
                c.intermediate_size,
                c.num_layers,
                c.num_heads,
                c.num_kv_heads,
                c.head_dim,
                c.context_length,
            ]
        };
        let attention_scales_agree =
            a.layers.iter().zip(&b.layers).all(|(a, b)| near(a.attention_scale, b.attention_scale));
        let ropes_agree =
            a.ropes.len() == b.ropes.len() && a.ropes.iter().zip(&b.ropes).all(|(a, b)| a.turns_like(b));
        let facts = [
            (widths(a) != widths(b), "widths of its own"),
            (a.embedding_size != b.embedding_size, "an embedding of another width than its layers"),
            (a.norm != b.norm, "other norms"),
            (a.norm_place != b.norm_place || a.final_norm != b.final_norm, "norms in other places"),
            (a.qk_norm != b.qk_norm, "other norms of queries and keys"),
            (a.parallel != b.parallel, "attention and feed-forward layer in another order"),
            (a.positions != b.positions, "other positions"),
            (windows(a) != windows(b), "sliding windows in these layers"),
            (turns(a) != turns(b), "other layers that turn positions"),
            (!ropes_agree, "positions that turn otherwise"),
            (!attention_scales_agree, "a scale of attention of its own"),
            (a.activation != b.activation || a.gated != b.gated, "another feed-forward layer"),
            (a.tie_word_embeddings != b.tie_word_embeddings, "a head of its own"),
            (
                [a.qkv_bias, a.attention_out_bias, a.mlp_bias]
                    != [b.qkv_bias, b.attention_out_bias, b.mlp_bias],
                "biases in these places",
            ),
            (a.qkv_clip != b.qkv_clip, "clipped queries, keys and values"),
            (
                scales(a).into_iter().zip(scales(b)).any(|(a, b)| !near(a, b)),
                "scales of embedding, residual or logits",
            ),
            (
                a.attention_soft_cap != b.attention_soft_cap || a.logit_soft_cap != b.logit_soft_cap,
                "soft caps",
            ),
        ];
        facts.into_iter().find_map(|(differ, fact)| differ.then(|| fact.to_owned()))
    }
}

impl Rope {
    /// Whether positions turn alike, but for rounding to f32.
    fn turns_like(&self, other: &Rope) -> bool {
        let near = |a: &[f32], b: &[f32]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2e-4 * a.abs())
        };
        self.dim == other.dim
            && self.switch() == other.switch()
            && near(&self.inv_freq(), &other.inv_freq())
            && near(&self.long_inv_freq(), &other.long_inv_freq())
            && near(&[self.attention_factor()], &[other.attention_factor()])
    }
}
