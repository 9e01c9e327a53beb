//! The facts held against each other.

use crate::{Config, Error, Positions, Rope, RopeScaling};
use std::path::{Path, PathBuf};

/// Widths past which a description is taken for damage: far above any model, far below overflow.
const LARGEST_WIDTH: usize = 1 << 24;
const LARGEST_LAYERS: usize = 1 << 12;
/// Rows of a table of sines, which is made in memory.
const MOST_SINES: usize = 1 << 20;

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

impl Config {
    /// Holds the facts against each other; `path` is the file that stated them.
    pub(super) fn checked(self, path: &Path) -> Result<Config, Error> {
        let wrong = |fact: String| Err(Error::Config { path: PathBuf::from(path), fact });
        for (name, value, most) in [
            ("vocab_size", self.vocab_size, LARGEST_WIDTH),
            ("hidden_size", self.hidden_size, LARGEST_WIDTH),
            ("word_embed_proj_dim", self.embedding_size, LARGEST_WIDTH),
            ("intermediate_size", self.intermediate_size, LARGEST_WIDTH),
            ("num_hidden_layers", self.num_layers, LARGEST_LAYERS),
            ("num_attention_heads", self.num_heads, LARGEST_WIDTH),
            ("num_key_value_heads", self.num_kv_heads, LARGEST_WIDTH),
            ("head_dim", self.head_dim, LARGEST_WIDTH),
            ("max_position_embeddings", self.context_length, 1 << 32),
        ] {
            if value == 0 || value > most {
                return wrong(format!("`{name}` is {value}, outside of 1 to {most}; the file is damaged"));
            }
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            return wrong(format!(
                "{} attention heads cannot share {} key and value heads evenly",
                self.num_heads, self.num_kv_heads
            ));
        }
        if self.num_heads * self.head_dim > LARGEST_WIDTH {
            return wrong(format!("{} heads of {} are too wide", self.num_heads, self.head_dim));
        }
        if !(self.norm.eps.is_finite() && self.norm.eps >= 0.0) {
            return wrong(format!("the epsilon of its norms is {}", self.norm.eps));
        }
        for rope in &self.ropes {
            if let Some(fact) = rope.contradiction(self.head_dim) {
                return wrong(fact);
            }
        }
        if self.layers.len() != self.num_layers {
            return wrong(format!("it describes {} of its {} layers", self.layers.len(), self.num_layers));
        }
        let rows = self.context_length;
        if matches!(self.positions, Positions::Sinusoidal { .. })
            && (rows > MOST_SINES || self.hidden_size < 4)
        {
            return wrong(format!("{rows} rows of sines, {} wide, make no sense", self.hidden_size));
        }
        let scales = [self.embedding_scale, self.residual_scale, self.logit_scale];
        let of_layers = self.layers.iter().map(|layer| layer.attention_scale);
        if let Some(scale) = scales.into_iter().chain(of_layers).find(|scale| !scale.is_finite()) {
            return wrong(format!("something is to be multiplied by {scale}"));
        }
        for (name, cap) in [
            ("attn_logit_softcapping", self.attention_soft_cap),
            ("final_logit_softcapping", self.logit_soft_cap),
            ("clip_qkv", self.qkv_clip),
        ] {
            if let Some(cap) = cap.filter(|&cap| !positive(f64::from(cap))) {
                return wrong(format!("`{name}` is {cap}; it is to be above 0"));
            }
        }
        if self.layers.iter().any(|layer| layer.window == Some(0)) {
            return wrong("`sliding_window` is 0; a token sees itself at least".to_owned());
        }
        Ok(self)
    }
}

impl Rope {
    /// What makes no sense in it, for heads of this length.
    fn contradiction(&self, head_dim: usize) -> Option<String> {
        if self.dim == 0 || !self.dim.is_multiple_of(2) || self.dim > head_dim {
            return Some(format!(
                "rotary embedding turns {} components of a head of {head_dim}; it takes an even number of them",
                self.dim
            ));
        }
        if !positive(self.theta) || self.theta == 1.0 {
            return Some(format!("`rope_theta` is {}", self.theta));
        }
        let half = self.dim / 2;
        let list = |factors: &[f32]| factors.len() == half && factors.iter().all(|&x| positive(f64::from(x)));
        let sound = match &self.scaling {
            RopeScaling::None => true,
            RopeScaling::Linear { factor } => positive(*factor),
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                positive(factor)
                    && positive(low_freq_factor)
                    && high_freq_factor > low_freq_factor
                    && positive(original_context)
            }
            &RopeScaling::Yarn {
                factor, original_context, beta_fast, beta_slow, attention_factor, ..
            } => [factor, original_context, beta_fast, beta_slow, attention_factor].into_iter().all(positive),
            RopeScaling::Long { short, long, original_context, attention_factor } => {
                list(short) && list(long) && *original_context > 0 && positive(*attention_factor)
            }
            RopeScaling::Divisors(divisors) => list(divisors),
        };
        (!sound).then(|| format!("the rotary scaling makes no sense: {:?}", self.scaling))
    }
}
