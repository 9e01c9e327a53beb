//! Tensors by the names that the two kinds of file give them, held to the shapes that the configuration needs.

use crate::{Config, Decoder, Error, Layer, Linear};
use sai_formats::{Container, Tensor, Tensors};
use sai_kernels::Device;

/// In GGUF files of LLaMA 3: a divisor for each rotary frequency.
pub(crate) const GGUF_ROPE_DIVISORS: &str = "rope_freqs.weight";

/// How a kind of file names a decoder's tensors.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    HuggingFace,
    Gguf,
}

/// A layer's matrices: GGUF's name, Hugging Face's.
const LAYER_NAMES: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

impl Names {
    /// Those that this container's files use.
    pub(crate) fn of(container: &Container) -> Names {
        match container {
            Container::Gguf(_) => Names::Gguf,
            Container::Safetensors(_) => Names::HuggingFace,
        }
    }

    pub(crate) fn embedding(self) -> String {
        match self {
            Names::HuggingFace => "model.embed_tokens.weight".to_owned(),
            Names::Gguf => "token_embd.weight".to_owned(),
        }
    }

    pub(crate) fn final_norm(self) -> String {
        match self {
            Names::HuggingFace => "model.norm.weight".to_owned(),
            Names::Gguf => "output_norm.weight".to_owned(),
        }
    }

    pub(crate) fn head(self) -> String {
        match self {
            Names::HuggingFace => "lm_head.weight".to_owned(),
            Names::Gguf => "output.weight".to_owned(),
        }
    }

    /// A layer's weight by its GGUF name.
    pub(crate) fn weight(self, layer: usize, name: &str) -> String {
        self.layer(layer, name, "weight")
    }

    /// A layer's bias by its GGUF name.
    pub(crate) fn bias(self, layer: usize, name: &str) -> String {
        self.layer(layer, name, "bias")
    }

    /// GGUF's name of a weight, from this kind of file's; `None` for names that it does not give.
    pub(crate) fn to_gguf(self, name: &str) -> Option<String> {
        for top in [Names::embedding, Names::final_norm, Names::head] {
            if top(self) == name {
                return Some(top(Names::Gguf));
            }
        }
        LAYER_NAMES.iter().find_map(|(ours, theirs)| {
            let layer = match self {
                Names::Gguf => name.strip_prefix("blk.")?.strip_suffix(&format!(".{ours}.weight"))?,
                Names::HuggingFace => {
                    name.strip_prefix("model.layers.")?.strip_suffix(&format!(".{theirs}.weight"))?
                }
            };
            Some(Names::Gguf.weight(layer.parse().ok()?, ours))
        })
    }

    fn layer(self, layer: usize, name: &str, kind: &str) -> String {
        match self {
            Names::Gguf => format!("blk.{layer}.{name}.{kind}"),
            Names::HuggingFace => {
                let theirs =
                    LAYER_NAMES.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs);
                format!("model.layers.{layer}.{theirs}.{kind}")
            }
        }
    }
}

/// Binds a model's tensors to its description.
pub(crate) fn load<D: Device>(device: D, config: Config, container: &Container) -> Result<Decoder<D>, Error> {
    let names = Names::of(container);
    let source = Source { device: &device, tensors: container.tensors(), names };
    let c = &config;
    let (d, f) = (c.hidden_size, c.intermediate_size);
    let (queries, keys) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);

    let embedding_name = names.embedding();
    let embedding = device.table(source.tensor(&embedding_name, &[c.vocab_size, d])?)?;
    let layers = (0..c.num_layers)
        .map(|layer| {
            let linear = |parts: &[(&str, usize)], inputs, bias| source.linear(layer, parts, inputs, bias);
            Ok(Layer {
                attention_norm: source.vector(&names.weight(layer, "attn_norm"), d)?,
                qkv: linear(&[("attn_q", queries), ("attn_k", keys), ("attn_v", keys)], d, c.qkv_bias)?,
                attention_out: linear(&[("attn_output", d)], queries, c.attention_out_bias)?,
                ffn_norm: source.vector(&names.weight(layer, "ffn_norm"), d)?,
                gate_up: linear(&[("ffn_gate", f), ("ffn_up", f)], d, c.mlp_bias)?,
                ffn_down: linear(&[("ffn_down", d)], f, c.mlp_bias)?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let final_norm = source.vector(&names.final_norm(), d)?;
    let head = if c.tie_word_embeddings { embedding_name } else { names.head() };
    let head = source.matrix(&[(head, [c.vocab_size, d])])?;
    let inv_freq = c.rope.inv_freq();
    Ok(Decoder { embedding, layers, final_norm, head, inv_freq, config, device })
}

struct Source<'a, D> {
    device: &'a D,
    tensors: &'a Tensors,
    names: Names,
}

impl<D: Device> Source<'_, D> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Tensor, Error> {
        let tensor = self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            path: self.tensors.path().to_path_buf(),
            tensor: name.to_owned(),
        })?;
        if tensor.shape != shape {
            return Err(Error::Shape {
                file: tensor.file.to_path_buf(),
                tensor: name.to_owned(),
                found: tensor.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        Ok(tensor)
    }

    fn vector(&self, name: &str, length: usize) -> Result<D::Buffer, Error> {
        Ok(self.device.upload(&self.tensor(name, &[length])?.to_f32()?))
    }

    fn matrix(&self, parts: &[(String, [usize; 2])]) -> Result<D::Matrix, Error> {
        let tensors =
            parts.iter().map(|(name, shape)| self.tensor(name, shape)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.device.matrix(&tensors)?)
    }

    /// Projections of a layer from the same inputs, by their GGUF names and outputs.
    fn linear(
        &self,
        layer: usize,
        parts: &[(&str, usize)],
        inputs: usize,
        bias: bool,
    ) -> Result<Linear<D>, Error> {
        let weights: Vec<_> = parts
            .iter()
            .map(|&(name, outputs)| (self.names.weight(layer, name), [outputs, inputs]))
            .collect();
        let bias = match bias {
            false => None,
            true => {
                let mut values = Vec::new();
                for &(name, outputs) in parts {
                    values.extend(self.tensor(&self.names.bias(layer, name), &[outputs])?.to_f32()?);
                }
                Some(self.device.upload(&values))
            }
        };
        Ok(Linear { weight: self.matrix(&weights)?, bias })
    }
}
