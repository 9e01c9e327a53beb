//! GGUF metadata as a [`Config`]. Keys are those of the format's specification, under the architecture's name; what they
//! leave unsaid is in the family's row, or shows in which tensors there are.

use super::to_gguf::LLAMA3;
use crate::family::{FAMILIES, Family, PositionKind, Turning, Windows};
use crate::rope::yarn_attention_factor;
use crate::weights::{GGUF_LONG_DIVISORS, GGUF_ROPE_DIVISORS, Names};
use crate::{Config, Error, LayerConfig, Norm, Positions, Rope, RopeScaling};
use sai_formats::gguf::{Gguf, Metadata};
use sai_kernels::NormKind;
use std::path::PathBuf;

/// Gives a tensor's values by its name, where there is one.
type Values<'a> = dyn Fn(&str) -> Result<Option<Vec<f32>>, Error> + 'a;

pub(super) fn read(gguf: &Gguf) -> Result<Config, Error> {
    let shape = |name: &str| gguf.tensors.get(name).map(|tensor| tensor.shape.clone());
    let values = |name: &str| gguf.tensors.get(name).map(|tensor| tensor.to_f32()).transpose();
    describe(&gguf.metadata, &shape, &|name| Ok(values(name)?))
}

/// The description that metadata give, of a file whose tensors have these shapes and, where asked for, values.
pub(super) fn describe(
    metadata: &Metadata,
    shape: &dyn Fn(&str) -> Option<Vec<usize>>,
    values: &Values<'_>,
) -> Result<Config, Error> {
    let path = metadata.path();
    let wrong = |fact: String| Error::Config { path: PathBuf::from(path), fact };
    let architecture =
        metadata.str("general.architecture")?.ok_or_else(|| metadata.missing("general.architecture"))?;
    let Some(family) = Family::of_architecture(architecture) else {
        let mut known: Vec<&str> = FAMILIES.iter().filter_map(|family| Some(family.gguf?.0)).collect();
        known.dedup();
        return Err(wrong(format!(
            "architecture `{}` is not one that sai runs ({})",
            architecture.escape_debug(),
            known.join(", ")
        )));
    };
    let facts = Facts { metadata, architecture, family, values };
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
    let num_layers = facts.required("block_count")?;
    let context_length = facts.required("context_length")?;
    let windows = facts.windows(num_layers, context_length)?;
    let (ropes, local) = facts.ropes(head_dim, context_length)?;
    let attention_scale = facts.attention_scale(hidden_size, num_heads, head_dim, num_layers)?;
    let names = Names::Gguf;
    let has = |name: String| shape(&name).is_some();
    let layer = |i: usize| LayerConfig {
        rope: facts.turns(i, &windows).then_some(match local {
            Some(local) if windows[i].is_some() => local,
            _ => 0,
        }),
        window: windows[i],
        attention_scale,
    };
    let eps = match family.norm {
        NormKind::Rms => "attention.layer_norm_rms_epsilon",
        NormKind::Layer => "attention.layer_norm_epsilon",
    };
    let float = |name: &str| Ok::<_, Error>(facts.float(name)?.map(|x| x as f32));
    let config = Config {
        architecture: architecture.to_owned(),
        vocab_size: match shape(&names.embedding()) {
            Some(embedding) => embedding.first().copied().unwrap_or(0),
            None => facts.required("vocab_size")?,
        },
        hidden_size,
        embedding_size: hidden_size,
        intermediate_size: facts.required("feed_forward_length")?,
        num_layers,
        num_heads,
        num_kv_heads: facts.optional("attention.head_count_kv")?.unwrap_or(num_heads),
        head_dim,
        norm: Norm {
            kind: family.norm,
            bias: has(names.bias(0, "attn_norm")),
            eps: float(eps)?.unwrap_or(1e-5),
        },
        norm_place: family.place,
        qk_norm: match (shape(&names.weight(0, "attn_q_norm")), family.qk_norm) {
            (None, _) => None,
            (Some(_), Some(norm)) => Some(norm),
            (Some(_), None) => {
                let fact = "norms queries and keys, which llama.cpp does not do for";
                return Err(wrong(format!("{fact} `{architecture}`")));
            }
        },
        final_norm: true,
        parallel: metadata.bool(&facts.key("use_parallel_residual"))?.unwrap_or(family.parallel),
        positions: match family.positions {
            PositionKind::Rotary => Positions::Rotary,
            PositionKind::Sinusoidal(offset) => Positions::Sinusoidal { offset },
            PositionKind::Alibi if !has(names.top("position_embd", "weight")) => {
                Positions::Alibi { max_bias: float("attention.max_alibi_bias")?.unwrap_or(8.0) }
            }
            PositionKind::Learned(offset) => Positions::Learned { offset },
            PositionKind::Alibi => Positions::Learned { offset: 0 },
        },
        layers: (0..windows.len()).map(layer).collect(),
        ropes,
        activation: family.activation,
        gated: family.gated,
        context_length,
        tie_word_embeddings: !has(names.head()),
        qkv_bias: has(names.bias(0, "attn_q")) || has(names.bias(0, "attn_qkv")),
        attention_out_bias: has(names.bias(0, "attn_output")),
        mlp_bias: has(names.bias(0, "ffn_down")),
        qkv_clip: float("attention.clamp_kqv")?.filter(|&clip| clip != 0.0),
        embedding_scale: match float("embedding_scale")? {
            Some(scale) if scale != 0.0 => scale,
            _ if family.embedding_by_root => (hidden_size as f64).sqrt() as f32,
            _ => 1.0,
        },
        residual_scale: float("residual_scale")?.filter(|&scale| scale != 0.0).unwrap_or(1.0),
        // A divisor.
        logit_scale: match facts.float("logit_scale")?.filter(|&scale| scale != 0.0) {
            Some(scale) => (1.0 / scale) as f32,
            None => 1.0,
        },
        attention_soft_cap: float("attn_logit_softcapping")?.filter(|&cap| cap != 0.0),
        logit_soft_cap: float("final_logit_softcapping")?.filter(|&cap| cap != 0.0),
    };
    config.checked(path)
}

struct Facts<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
    family: &'a Family,
    values: &'a Values<'a>,
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

    /// The window of each layer, by llama.cpp's pattern of the family.
    fn windows(&self, num_layers: usize, context_length: usize) -> Result<Vec<Option<usize>>, Error> {
        let width = self.optional("attention.sliding_window")?.filter(|&width| width > 0);
        let layers = 0..num_layers.min(1 << 16);
        // What llama.cpp takes where a file does not say it: Gemma 2 has one, and of EXAONE 4 the model of 64 layers alone.
        let width = match (self.family.window, self.family.turning) {
            (Windows::AllBut(2), _) => Some(width.unwrap_or(4096)),
            (Windows::AllBut(_), Turning::Windowed) if num_layers == 64 => Some(width.unwrap_or(4096)),
            (Windows::AllBut(_), Turning::Windowed) => None,
            _ => width,
        };
        Ok(match (width, self.family.window) {
            (None, _) | (_, Windows::None) => vec![None; layers.len()],
            (Some(width), Windows::AllBut(every)) => {
                layers.map(|i| (!(i + 1).is_multiple_of(every)).then_some(width)).collect()
            }
            (Some(width), _) => vec![Some(width).filter(|&width| width < context_length); layers.len()],
        })
    }

    /// Whether a layer turns its queries and keys.
    fn turns(&self, layer: usize, windows: &[Option<usize>]) -> bool {
        let rotary = self.family.positions == PositionKind::Rotary;
        rotary
            && match self.family.turning {
                Turning::All => true,
                Turning::Windowed => windows[layer].is_some() || windows.iter().all(Option::is_none),
                Turning::AllBut(every) => !(layer + 1).is_multiple_of(every),
            }
    }

    fn attention_scale(
        &self,
        hidden_size: usize,
        num_heads: usize,
        head_dim: usize,
        num_layers: usize,
    ) -> Result<f32, Error> {
        if let Some(scale) = self.float("attention.scale")?.filter(|&scale| scale != 0.0) {
            return Ok(scale as f32);
        }
        // The 27B models of Gemma 2 and 3 are known by their layers.
        let of_width = self.family.embedding_by_root
            && num_layers == if self.family.qk_norm.is_some() { 62 } else { 46 };
        Ok(Config::plain_scale(match of_width {
            true => hidden_size.checked_div(num_heads).unwrap_or(1),
            false => head_dim,
        }))
    }

    /// The ropes, and which of them is that of layers with a window, where that is another than the first.
    fn ropes(&self, head_dim: usize, context_length: usize) -> Result<(Vec<Rope>, Option<usize>), Error> {
        let (PositionKind::Rotary, Some((_, style))) = (self.family.positions, self.family.gguf) else {
            return Ok((Vec::new(), None));
        };
        let mut rope = Rope {
            theta: self.float("rope.freq_base")?.unwrap_or(10_000.0),
            dim: self.optional("rope.dimension_count")?.unwrap_or(head_dim),
            style,
            scaling: self.scaling(context_length)?,
        };
        if let Some(scaling) = llama3(self.metadata, &rope)? {
            rope.scaling = scaling;
        }
        let Some(theta) = self.family.local_theta else { return Ok((vec![rope], None)) };
        let theta = self.float("rope.freq_base_swa")?.unwrap_or(theta);
        let local = Rope { theta, scaling: RopeScaling::None, ..rope.clone() };
        Ok((vec![rope, local], Some(1)))
    }

    fn scaling(&self, context_length: usize) -> Result<RopeScaling, Error> {
        if let Some(divisors) = (self.values)(GGUF_ROPE_DIVISORS)? {
            return Ok(RopeScaling::Divisors(divisors));
        }
        let [short, long] = GGUF_LONG_DIVISORS;
        if let (Some(short), Some(long)) = ((self.values)(short)?, (self.values)(long)?) {
            return Ok(RopeScaling::Long {
                short,
                long,
                original_context: self
                    .optional("rope.scaling.original_context_length")?
                    .unwrap_or(context_length),
                attention_factor: self.float("rope.scaling.attn_factor")?.unwrap_or(1.0),
            });
        }
        // Files of before 2023-10 carry a linear factor under a key of its own.
        let old = self.float("rope.scale_linear")?.filter(|&factor| factor != 1.0);
        let kind = self.metadata.str(&self.key("rope.scaling.type"))?;
        let factor = self.float("rope.scaling.factor")?.or(old).unwrap_or(1.0);
        match kind {
            None | Some("none") => Ok(match old {
                Some(factor) => RopeScaling::Linear { factor },
                None => RopeScaling::None,
            }),
            Some("linear") => Ok(RopeScaling::Linear { factor }),
            Some("yarn") => Ok(RopeScaling::Yarn {
                factor,
                original_context: match self.optional("rope.scaling.original_context_length")? {
                    Some(length) => length as f64,
                    None => self.required("context_length")? as f64,
                },
                beta_fast: self.float("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
                beta_slow: self.float("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
                truncate: true,
                attention_factor: self.float("rope.scaling.attn_factor")?.unwrap_or(1.0)
                    * yarn_attention_factor(factor, None, None),
            }),
            Some(other) => Err(Error::Config {
                path: PathBuf::from(self.metadata.path()),
                fact: format!(
                    "rotary scaling `{}` is not one that sai knows (none, linear, yarn)",
                    other.escape_debug()
                ),
            }),
        }
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
