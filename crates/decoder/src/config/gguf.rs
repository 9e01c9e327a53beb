//! GGUF metadata as a [`Config`]. Keys are those of the format's specification, under the architecture's name.

use super::to_gguf::LLAMA3;
use crate::rope::yarn_attention_factor;
use crate::weights::{GGUF_ROPE_DIVISORS, Names};
use crate::{Config, Error, Rope, RopeScaling};
use sai_formats::gguf::{Gguf, Metadata};
use sai_kernels::RopeStyle;
use std::path::PathBuf;

/// Architectures that are of the family, and how each lays out what it turns. `llama`'s converter reorders
/// queries and keys into pairs.
const ARCHITECTURES: [(&str, RopeStyle); 2] = [("llama", RopeStyle::Pairs), ("qwen2", RopeStyle::Halves)];

pub(super) fn read(gguf: &Gguf) -> Result<Config, Error> {
    let metadata = &gguf.metadata;
    let path = metadata.path();
    let wrong = |fact: String| Error::Config { path: PathBuf::from(path), fact };
    let architecture =
        metadata.str("general.architecture")?.ok_or_else(|| metadata.missing("general.architecture"))?;
    let Some(&(_, style)) = ARCHITECTURES.iter().find(|(name, _)| *name == architecture) else {
        return Err(wrong(format!(
            "architecture `{}` is not one that sai runs ({})",
            architecture.escape_debug(),
            ARCHITECTURES.map(|(name, _)| name).join(", ")
        )));
    };
    let facts = Facts { metadata, architecture };
    if facts.optional("expert_count")?.unwrap_or(0) > 0 {
        return Err(wrong("it is a mixture of experts, which sai does not run".to_owned()));
    }

    let hidden_size = facts.required("embedding_length")?;
    let num_heads = facts.required("attention.head_count")?;
    let head_dim = match facts.optional("attention.key_length")? {
        Some(dim) => dim,
        None => hidden_size.checked_div(num_heads).unwrap_or(0),
    };
    if facts.optional("attention.value_length")?.is_some_and(|dim| dim != head_dim) {
        return Err(wrong("its value heads are of another length than its key heads".to_owned()));
    }
    let dim = facts.optional("rope.dimension_count")?.unwrap_or(head_dim);
    let has = |tensor: String| gguf.tensors.get(&tensor).is_some();
    let names = Names::Gguf;
    let mut rope = Rope {
        theta: facts.float("rope.freq_base")?.unwrap_or(10_000.0),
        dim,
        style,
        scaling: scaling(gguf, &facts)?,
    };
    if let Some(scaling) = llama3(metadata, &rope)? {
        rope.scaling = scaling;
    }
    let config = Config {
        architecture: architecture.to_owned(),
        vocab_size: match gguf.tensors.get(&names.embedding()) {
            Some(embedding) => embedding.rows(),
            None => facts.required("vocab_size")?,
        },
        hidden_size,
        intermediate_size: facts.required("feed_forward_length")?,
        num_layers: facts.required("block_count")?,
        num_heads,
        num_kv_heads: facts.optional("attention.head_count_kv")?.unwrap_or(num_heads),
        head_dim,
        rms_norm_eps: facts.float("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5) as f32,
        rope,
        context_length: facts.required("context_length")?,
        tie_word_embeddings: !has(names.head()),
        qkv_bias: has(names.bias(0, "attn_q")),
        attention_out_bias: has(names.bias(0, "attn_output")),
        mlp_bias: has(names.bias(0, "ffn_down")),
    };
    config.checked(path)
}

struct Facts<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl Facts<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn optional(&self, name: &str) -> Result<Option<usize>, Error> {
        Ok(self.metadata.u32(&self.key(name))?.map(|n| n as usize))
    }

    fn required(&self, name: &str) -> Result<usize, Error> {
        Ok(self.optional(name)?.ok_or_else(|| self.metadata.missing(&self.key(name)))?)
    }

    fn float(&self, name: &str) -> Result<Option<f64>, Error> {
        Ok(self.metadata.f32(&self.key(name))?.map(f64::from))
    }
}

/// LLaMA 3's scaling where a file of sai's says which, so that frequencies are computed as from `config.json` and not
/// from divisors that were rounded; only where the file's divisors agree to the bit.
fn llama3(metadata: &Metadata, rope: &Rope) -> Result<Option<RopeScaling>, Error> {
    let RopeScaling::Divisors(divisors) = &rope.scaling else { return Ok(None) };
    let Some(facts) = metadata.f32s(LLAMA3)? else { return Ok(None) };
    let &[factor, low_freq_factor, high_freq_factor, original_context] = &facts[..] else { return Ok(None) };
    let scaling = RopeScaling::Llama3 {
        factor: f64::from(factor),
        low_freq_factor: f64::from(low_freq_factor),
        high_freq_factor: f64::from(high_freq_factor),
        original_context: f64::from(original_context),
    };
    Ok(rope.is_llama3(&scaling, divisors).then_some(scaling))
}

fn scaling(gguf: &Gguf, facts: &Facts<'_>) -> Result<RopeScaling, Error> {
    if let Some(divisors) = gguf.tensors.get(GGUF_ROPE_DIVISORS) {
        return Ok(RopeScaling::Divisors(divisors.to_f32()?));
    }
    // Files of before 2023-10 carry a linear factor under a key of its own.
    let old = facts.float("rope.scale_linear")?.filter(|&factor| factor != 1.0);
    let kind = facts.metadata.str(&facts.key("rope.scaling.type"))?;
    let factor = facts.float("rope.scaling.factor")?.or(old).unwrap_or(1.0);
    match kind {
        None | Some("none") => Ok(match old {
            Some(factor) => RopeScaling::Linear { factor },
            None => RopeScaling::None,
        }),
        Some("linear") => Ok(RopeScaling::Linear { factor }),
        Some("yarn") => Ok(RopeScaling::Yarn {
            factor,
            original_context: match facts.optional("rope.scaling.original_context_length")? {
                Some(length) => length as f64,
                None => facts.required("context_length")? as f64,
            },
            beta_fast: facts.float("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: facts.float("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            truncate: true,
            attention_factor: facts.float("rope.scaling.attn_factor")?.unwrap_or(1.0)
                * yarn_attention_factor(factor, None, None),
        }),
        Some(other) => Err(Error::Config {
            path: PathBuf::from(facts.metadata.path()),
            fact: format!(
                "rotary scaling `{}` is not one that sai knows (none, linear, yarn)",
                other.escape_debug()
            ),
        }),
    }
}
