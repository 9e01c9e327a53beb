//! A [`Config`] as GGUF metadata, under the keys that llama.cpp reads.

use crate::rope::yarn_attention_factor;
use crate::{Config, Error, RopeScaling};
use sai_formats::gguf::{Array, Value};
use sai_kernels::RopeStyle;
use std::path::Path;

/// Metadata key of sai's own: factor, low and high frequency factor and original context of LLaMA 3's scaling, of
/// which GGUF has the resulting divisors only.
pub(super) const LLAMA3: &str = "sai.rope.llama3";

impl Config {
    /// The architecture that this model is in GGUF: `qwen2` where only queries, keys and values have biases.
    pub fn gguf_architecture(&self) -> &'static str {
        if self.qkv_bias && !self.attention_out_bias { "qwen2" } else { "llama" }
    }

    /// How the heads of that architecture lie.
    pub(crate) fn gguf_style(&self) -> RopeStyle {
        if self.gguf_architecture() == "llama" { RopeStyle::Pairs } else { RopeStyle::Halves }
    }

    /// Metadata that describes the model, `general.architecture` first; `path` is what messages call it.
    ///
    /// # Errors
    /// The model has what llama.cpp has no key for.
    pub fn to_gguf(&self, path: &Path) -> Result<Vec<(String, Value)>, Error> {
        let wrong = |fact: &str| Err(Error::Config { path: path.to_path_buf(), fact: fact.to_owned() });
        let architecture = self.gguf_architecture();
        if self.rope.dim != self.head_dim {
            return wrong("turns a part of each head, which llama.cpp does not do for this architecture");
        }
        if self.mlp_bias && architecture == "qwen2" || self.attention_out_bias && !self.qkv_bias {
            return wrong("has biases in places where neither of GGUF's `llama` and `qwen2` has them");
        }
        let mut out = vec![("general.architecture".to_owned(), Value::String(architecture.to_owned()))];
        let mut put = |name: &str, value: Value| out.push((format!("{architecture}.{name}"), value));
        for (name, value) in [
            ("vocab_size", self.vocab_size),
            ("context_length", self.context_length),
            ("embedding_length", self.hidden_size),
            ("block_count", self.num_layers),
            ("feed_forward_length", self.intermediate_size),
            ("attention.head_count", self.num_heads),
            ("attention.head_count_kv", self.num_kv_heads),
            ("attention.key_length", self.head_dim),
            ("attention.value_length", self.head_dim),
            ("rope.dimension_count", self.rope.dim),
        ] {
            // A description that was checked has no larger ones.
            put(name, Value::U32(u32::try_from(value).unwrap_or(u32::MAX)));
        }
        put("attention.layer_norm_rms_epsilon", Value::F32(self.rms_norm_eps));
        put("rope.freq_base", Value::F32(self.rope.theta as f32));
        let mut kind = |kind: &str, factor: f64| {
            put("rope.scaling.type", Value::String(kind.to_owned()));
            put("rope.scaling.factor", Value::F32(factor as f32));
        };
        match &self.rope.scaling {
            RopeScaling::None | RopeScaling::Divisors(_) => {}
            &RopeScaling::Linear { factor } => kind("linear", factor),
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                if architecture != "llama" {
                    return wrong("has LLaMA 3's rotary scaling, which llama.cpp knows for `llama` only");
                }
                let facts = [factor, low_freq_factor, high_freq_factor, original_context].map(|x| x as f32);
                out.push((LLAMA3.to_owned(), Value::Array(Array::from_f32s(&facts))));
            }
            &RopeScaling::Yarn {
                factor,
                original_context,
                beta_fast,
                beta_slow,
                truncate,
                attention_factor,
            } => {
                if !truncate {
                    return wrong("has YaRN scaling with `truncate` off, which llama.cpp has no key for");
                }
                kind("yarn", factor);
                put("rope.scaling.original_context_length", Value::U32(original_context as u32));
                put("rope.scaling.yarn_beta_fast", Value::F32(beta_fast as f32));
                put("rope.scaling.yarn_beta_slow", Value::F32(beta_slow as f32));
                // llama.cpp multiplies by the factor that follows from the scaling.
                let beside = attention_factor / yarn_attention_factor(factor, None, None);
                if (beside - 1.0).abs() > 1e-9 {
                    put("rope.scaling.attn_factor", Value::F32(beside as f32));
                }
            }
        }
        Ok(out)
    }
}
