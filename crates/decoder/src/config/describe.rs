//! A description in words, for people.

use super::{Config, NormPlace, Positions, QkNorm};
use sai_kernels::{Activation, NormKind};

impl Config {
    /// What the model is made of, fact by fact: a name and what it says, in the order of the pass. Facts that a model has not
    /// are left out.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let mut put = |name, value: String| out.push((name, value));
        if self.embedding_size != self.hidden_size {
            put("embedding width", self.embedding_size.to_string());
        }
        if self.embedding_scale != 1.0 {
            put("embedding scale", self.embedding_scale.to_string());
        }
        put("positions", self.positions_in_words());
        put("norm", self.norm_in_words());
        if let Some(norm) = self.qk_norm {
            let over = if norm == QkNorm::Heads { "each head" } else { "all heads of a row together" };
            put("query and key norm", format!("over {over}"));
        }
        let residual =
            if self.parallel { "attention and feed-forward layer in parallel" } else { "in sequence" };
        put(
            "residual",
            match self.residual_scale {
                1.0 => residual.to_owned(),
                scale => format!("{residual}, each × {scale}"),
            },
        );
        if let Some(windows) = self.windows_in_words() {
            put("attention window", windows);
        }
        let scales: Vec<f32> = self.layers.iter().map(|layer| layer.attention_scale).collect();
        if scales.iter().any(|&scale| scale != Config::plain_scale(self.head_dim)) {
            let by_layer = scales.iter().any(|scale| *scale != scales[0]);
            put(
                "attention scale",
                format!("{}{}", scales[0], if by_layer { ", other in other layers" } else { "" }),
            );
        }
        if let Some(cap) = self.attention_soft_cap {
            put("attention soft cap", cap.to_string());
        }
        if let Some(clip) = self.qkv_clip {
            put("query, key and value clip", format!("± {clip}"));
        }
        let activation = match self.activation {
            Activation::Silu => "SiLU",
            Activation::Gelu => "GELU",
            Activation::GeluTanh => "GELU by tanh",
            Activation::Relu => "ReLU",
        };
        put("feed-forward layer", format!("{activation}{}", if self.gated { ", gated" } else { "" }));
        let biases = [
            (self.qkv_bias, "query, key, value"),
            (self.attention_out_bias, "attention output"),
            (self.mlp_bias, "feed-forward layer"),
        ];
        let biases: Vec<&str> = biases.iter().filter_map(|(has, name)| has.then_some(*name)).collect();
        if !biases.is_empty() {
            put("biases", biases.join(", "));
        }
        put("head", if self.tie_word_embeddings { "the embedding" } else { "its own" }.to_owned());
        if self.logit_scale != 1.0 {
            put("logit scale", self.logit_scale.to_string());
        }
        if let Some(cap) = self.logit_soft_cap {
            put("logit soft cap", cap.to_string());
        }
        out
    }

    fn norm_in_words(&self) -> String {
        let kind = match self.norm.kind {
            NormKind::Rms => "RMSNorm",
            NormKind::Layer if self.norm.bias => "LayerNorm with bias",
            NormKind::Layer => "LayerNorm",
        };
        let place = match self.norm_place {
            NormPlace::Before => "before",
            NormPlace::After => "after",
            NormPlace::Both => "before and after",
            NormPlace::AfterSum => "after the sum",
        };
        format!("{kind}, {place}, epsilon {:e}", self.norm.eps)
    }

    fn positions_in_words(&self) -> String {
        match self.positions {
            Positions::Learned { .. } => "learned".to_owned(),
            Positions::Sinusoidal { .. } => "sinusoidal".to_owned(),
            Positions::Alibi { max_bias } => format!("ALiBi, up to {max_bias}"),
            Positions::Rotary => {
                let one = |rope: &crate::Rope| {
                    let part = match rope.dim == self.head_dim {
                        true => String::new(),
                        false => format!(", {} of {} components", rope.dim, self.head_dim),
                    };
                    format!("base {}, scaling {}{part}", rope.theta, rope.scaling.describe())
                };
                let ropes: Vec<String> = self.ropes.iter().map(one).collect();
                let still: Vec<usize> =
                    (0..self.num_layers).filter(|&layer| self.layers[layer].rope.is_none()).collect();
                let none = match still.is_empty() {
                    true => String::new(),
                    false => format!("; none in {} of {} layers", still.len(), self.num_layers),
                };
                format!("rotary, {}{none}", ropes.join("; with a window "))
            }
        }
    }

    fn windows_in_words(&self) -> Option<String> {
        let windows: Vec<usize> = self.layers.iter().filter_map(|layer| layer.window).collect();
        let width = windows.first()?;
        Some(match windows.len() == self.num_layers {
            true => format!("{width} positions"),
            false => format!("{width} positions in {} of {} layers", windows.len(), self.num_layers),
        })
    }
}
