//! A [`Config`] as GGUF metadata, under the keys that llama.cpp reads. What was written is read again, and held against what
//! was to be said: a fact that llama.cpp has no key for is refused, and not lost.

use super::gguf::describe;
use crate::converted_tensor::entries;
use crate::family::Family;
use crate::rope::yarn_attention_factor;
use crate::weights::{GGUF_LONG_DIVISORS, GGUF_ROPE_DIVISORS};
use crate::{Config, Error, Positions, Rope, RopeScaling};
use sai_formats::gguf::{Array, Metadata, Value};
use sai_kernels::{NormKind, RopeStyle};
use std::collections::HashMap;
use std::path::Path;

/// Metadata key of sai's own: factor, low and high frequency factor and original context of LLaMA 3's scaling, of
/// which GGUF has the resulting divisors only.
pub(super) const LLAMA3: &str = "sai.rope.llama3";
/// Architectures for which llama.cpp reads divisors of frequencies.
const WITH_DIVISORS: [&str; 3] = ["llama", "exaone", "exaone4"];

/// Architectures of which llama.cpp takes all heads together to be as wide as the residual stream.
const AS_WIDE_AS_THE_STREAM: [&str; 2] = ["exaone4", "olmo2"];

type Entries = Vec<(String, Value)>;

impl Config {
    /// The architecture that this model is in GGUF, where llama.cpp has it: `qwen2` for a LLaMA of which only queries, keys
    /// and values have biases.
    pub fn gguf_architecture(&self) -> Option<&'static str> {
        let (name, _) = self.family().gguf?;
        Some(match name {
            "llama" | "qwen2" if self.qkv_bias && !self.attention_out_bias => "qwen2",
            "llama" | "qwen2" => "llama",
            other => other,
        })
    }

    /// How the heads of that architecture lie.
    pub(crate) fn gguf_style(&self) -> RopeStyle {
        let family = self.gguf_architecture().and_then(Family::of_architecture);
        family.and_then(|family| family.gguf).map_or(RopeStyle::Halves, |(_, style)| style)
    }

    /// Metadata that describes the model, `general.architecture` first; `path` is what messages call it.
    ///
    /// # Errors
    /// llama.cpp does not have the family, or has no key for one of the model's facts.
    pub fn to_gguf(&self, path: &Path) -> Result<Entries, Error> {
        let wrong = |fact: String| Err(Error::Config { path: path.to_path_buf(), fact });
        let Some(architecture) = self.gguf_architecture() else {
            return wrong(format!(
                "llama.cpp has no architecture for `{}`; keep the folder",
                self.architecture
            ));
        };
        let heads = self.num_heads * self.head_dim;
        if heads != self.hidden_size && AS_WIDE_AS_THE_STREAM.contains(&architecture) {
            let fact = format!("has heads of {heads} together in layers of {}", self.hidden_size);
            return wrong(format!("{fact}, which llama.cpp does not know for `{architecture}`"));
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
        ] {
            put(name, number(value));
        }
        put(
            match self.norm.kind {
                NormKind::Rms => "attention.layer_norm_rms_epsilon",
                NormKind::Layer => "attention.layer_norm_epsilon",
            },
            Value::F32(self.norm.eps),
        );
        if self.family().parallel {
            put("use_parallel_residual", Value::Bool(self.parallel));
        }
        if let Some(window) = self.layers.iter().find_map(|layer| layer.window) {
            put("attention.sliding_window", number(window));
        }
        if let Positions::Alibi { max_bias } = self.positions {
            put("attention.max_alibi_bias", Value::F32(max_bias));
        }
        let scale = self.layers[0].attention_scale;
        for (name, value, plain) in [
            ("attention.clamp_kqv", self.qkv_clip, None),
            ("attn_logit_softcapping", self.attention_soft_cap, None),
            ("final_logit_softcapping", self.logit_soft_cap, None),
            ("residual_scale", Some(self.residual_scale), Some(1.0)),
            ("logit_scale", Some(1.0 / self.logit_scale), Some(1.0)),
        ] {
            if let Some(value) = value.filter(|&value| Some(value) != plain) {
                put(name, Value::F32(value));
            }
        }
        if !self.family().embedding_by_root && self.embedding_scale != 1.0 {
            put("embedding_scale", Value::F32(self.embedding_scale));
        }
        // llama.cpp reads it of Granite alone.
        if architecture == "granite" && scale != Config::plain_scale(self.head_dim) {
            put("attention.scale", Value::F32(scale));
        }
        if let Some(rope) = self.ropes.first() {
            put("rope.dimension_count", number(rope.dim));
            put("rope.freq_base", Value::F32(rope.theta as f32));
            if let Some(fact) = put_scaling(rope, &mut put) {
                return wrong(fact);
            }
        }
        if let Some(Rope { scaling: scaling @ RopeScaling::Llama3 { .. }, .. }) = self.ropes.first()
            && let &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } =
                scaling
        {
            if !WITH_DIVISORS.contains(&architecture) {
                return wrong(format!(
                    "has LLaMA 3's rotary scaling, which llama.cpp does not know for `{architecture}`"
                ));
            }
            let facts = [factor, low_freq_factor, high_freq_factor, original_context].map(|x| x as f32);
            out.push((LLAMA3.to_owned(), Value::Array(Array::from_f32s(&facts))));
        }
        match self.lost(&out, path)? {
            None => Ok(out),
            Some(fact) => wrong(format!("has {fact}, which llama.cpp does not know for `{architecture}`")),
        }
    }

    /// The first fact that these metadata do not give back.
    fn lost(&self, metadata: &Entries, path: &Path) -> Result<Option<String>, Error> {
        let metadata = Metadata::new(path, metadata.clone())?;
        let shapes: HashMap<String, Vec<usize>> =
            entries(self).into_iter().map(|entry| (entry.gguf, entry.shape)).collect();
        let divisors = |name: &str| {
            let rope = self.ropes.first()?;
            match (&rope.scaling, name) {
                (RopeScaling::Long { short, .. }, name) if name == GGUF_LONG_DIVISORS[0] => {
                    Some(short.clone())
                }
                (RopeScaling::Long { long, .. }, name) if name == GGUF_LONG_DIVISORS[1] => Some(long.clone()),
                (_, GGUF_ROPE_DIVISORS) => rope.divisors(),
                _ => None,
            }
        };
        let back = describe(&metadata, &|name| shapes.get(name).cloned(), &|name| Ok(divisors(name)))?;
        Ok(self.difference(&back))
    }
}

fn number(value: usize) -> Value {
    // A description that was checked has no larger ones.
    Value::U32(u32::try_from(value).unwrap_or(u32::MAX))
}

/// Says how a rope is stretched; returns what cannot be said.
fn put_scaling(rope: &Rope, put: &mut impl FnMut(&str, Value)) -> Option<String> {
    let mut kind = |kind: &str, factor: f64| {
        put("rope.scaling.type", Value::String(kind.to_owned()));
        put("rope.scaling.factor", Value::F32(factor as f32));
    };
    match &rope.scaling {
        RopeScaling::None | RopeScaling::Divisors(_) | RopeScaling::Llama3 { .. } => {}
        &RopeScaling::Linear { factor } => kind("linear", factor),
        RopeScaling::Long { original_context, attention_factor, .. } => {
            put("rope.scaling.original_context_length", number(*original_context));
            put("rope.scaling.attn_factor", Value::F32(*attention_factor as f32));
        }
        &RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, truncate, attention_factor } => {
            if !truncate {
                return Some(
                    "has YaRN scaling with `truncate` off, which llama.cpp has no key for".to_owned(),
                );
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
    None
}
