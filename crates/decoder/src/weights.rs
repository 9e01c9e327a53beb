//! Tensors by the names that the two kinds of file give them, held to the shapes that the configuration needs, in the form
//! that the pass wants.

use crate::family::{Family, Naming};
use crate::form::Change;
use crate::model::{NormWeights, Place};
use crate::{Config, Decoder, Error, Layer, Linear, NormPlace, Positions};
use sai_formats::{Container, DType, Tensor, Tensors};
use sai_kernels::Device;

/// In GGUF files of LLaMA 3: a divisor for each rotary frequency.
pub(crate) const GGUF_ROPE_DIVISORS: &str = "rope_freqs.weight";
/// In GGUF files with LongRoPE: those of short texts and of long ones.
pub(crate) const GGUF_LONG_DIVISORS: [&str; 2] = ["rope_factors_short.weight", "rope_factors_long.weight"];

/// How a kind of file names a decoder's tensors.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    HuggingFace(&'static Naming),
    Gguf,
}

impl Names {
    /// Those that this container's files use.
    pub(crate) fn of(container: &Container, config: &Config) -> Names {
        match container {
            Container::Gguf(_) => Names::Gguf,
            Container::Safetensors(tensors) => Names::in_folder(config.family(), tensors),
        }
    }

    /// Those of a folder: of the names that its family may have, the ones that are there.
    pub(crate) fn in_folder(family: &Family, tensors: &Tensors) -> Names {
        let namings = || family.folder.iter().map(|naming| Names::HuggingFace(naming));
        let has = |name: String| tensors.get(&name).is_some();
        let whole = namings().find(|names| has(names.embedding()) && has(names.head()));
        let tied = || namings().find(|names| has(names.embedding()));
        whole.or_else(tied).unwrap_or(Names::folder(family))
    }

    /// Those that a folder of this family is written with.
    pub(crate) fn folder(family: &Family) -> Names {
        Names::HuggingFace(family.folder[0])
    }

    pub(crate) fn embedding(self) -> String {
        self.top("token_embd", "weight")
    }

    pub(crate) fn head(self) -> String {
        match self {
            Names::HuggingFace(naming) => format!("{}.weight", naming.head),
            Names::Gguf => "output.weight".to_owned(),
        }
    }

    /// What is there once, by its GGUF name; `kind` is `weight` or `bias`.
    pub(crate) fn top(self, name: &str, kind: &str) -> String {
        match self {
            Names::Gguf => format!("{name}.{kind}"),
            Names::HuggingFace(naming) => {
                let theirs =
                    naming.top.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs);
                format!("{}{theirs}.{kind}", naming.prefix)
            }
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

    /// A layer's tensor by its GGUF name; `kind` is `weight` or `bias`.
    pub(crate) fn layer(self, layer: usize, name: &str, kind: &str) -> String {
        match self {
            Names::Gguf => format!("blk.{layer}.{name}.{kind}"),
            Names::HuggingFace(naming) => {
                let theirs =
                    naming.layer.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs);
                format!("{}{}{layer}.{theirs}.{kind}", naming.prefix, naming.layers)
            }
        }
    }

    /// Whether a tensor is of what a model has beside its decoder, whose prefix then is its own: eyes.
    pub(crate) fn is_beside(self, name: &str) -> bool {
        match self {
            Names::Gguf => false,
            Names::HuggingFace(naming) => {
                naming.prefix.contains("language_model") && !name.starts_with(naming.prefix)
            }
        }
    }

    /// The number of the layer that a tensor is of.
    pub(crate) fn layer_of(self, name: &str) -> Option<usize> {
        let rest = match self {
            Names::Gguf => name.strip_prefix("blk.")?,
            Names::HuggingFace(naming) => name.strip_prefix(naming.prefix)?.strip_prefix(naming.layers)?,
        };
        rest.split('.').next()?.parse().ok()
    }

    /// GGUF's name of a weight, from this kind of file's; `None` for names that it does not give.
    pub(crate) fn to_gguf(self, name: &str) -> Option<String> {
        let Names::HuggingFace(naming) = self else { return Some(name.to_owned()) };
        if name == self.head() {
            return Some(Names::Gguf.head());
        }
        let rest = name.strip_prefix(naming.prefix)?.strip_suffix(".weight")?;
        if let Some((ours, _)) = naming.top.iter().find(|(_, theirs)| *theirs == rest) {
            return Some(Names::Gguf.top(ours, "weight"));
        }
        let (layer, theirs) = rest.strip_prefix(naming.layers)?.split_once('.')?;
        let (ours, _) = naming.layer.iter().find(|(_, name)| *name == theirs)?;
        Some(Names::Gguf.weight(layer.parse().ok()?, ours))
    }

    /// Whether the file has the queries, keys and values of a layer in one tensor.
    pub(crate) fn fuses_qkv(self, tensors: Option<&Tensors>, config: &Config) -> bool {
        self.has("attn_qkv", tensors, config)
    }

    /// Whether the file has gates and ups in one tensor.
    pub(crate) fn fuses_gate_up(self, tensors: Option<&Tensors>, config: &Config) -> bool {
        config.gated && !self.has("ffn_gate", tensors, config)
    }

    /// Whether a layer has such a tensor: as the file shows, or, without one, as the family's folders have it.
    fn has(self, name: &str, tensors: Option<&Tensors>, config: &Config) -> bool {
        let naming = match (self, tensors) {
            (Names::Gguf, Some(tensors)) => return tensors.get(&self.weight(0, name)).is_some(),
            (Names::Gguf, None) => config.family().folder[0],
            (Names::HuggingFace(naming), _) => naming,
        };
        naming.layer.iter().any(|(ours, _)| *ours == name)
    }
}

/// Binds a model's tensors to its description.
pub(crate) fn load<D: Device>(device: D, config: Config, container: &Container) -> Result<Decoder<D>, Error> {
    let names = Names::of(container, &config);
    let source = Source { device: &device, tensors: container.tensors(), names, config: &config };
    let c = &config;
    let (d, f, e) = (c.hidden_size, c.intermediate_size, c.embedding_size);
    let queries = c.num_heads * c.head_dim;
    let [before, after] = c.norms();
    let fused =
        [names.fuses_qkv(Some(container.tensors()), c), names.fuses_gate_up(Some(container.tensors()), c)];

    let embedding_name = names.embedding();
    let embedding = device.table(&source.tensor(&embedding_name, &[c.vocab_size, e], Change::None)?)?;
    let project = |name| match e == d {
        true => Ok(None),
        false => {
            let shape = if name == "project_in" { [d, e] } else { [e, d] };
            let weight = source.matrix(&[(names.top(name, "weight"), shape, Change::None)])?;
            Ok::<_, Error>(Some(Linear { weight, bias: None }))
        }
    };
    let layers = (0..c.num_layers)
        .map(|layer| {
            let linear = |parts: &[(&str, usize)], inputs, bias| source.linear(layer, parts, inputs, bias);
            let norm = |is: bool, name: &str| match is {
                true => source.norm(|kind| names.layer(layer, name, kind), d, c.norm.bias).map(Some),
                false => Ok(None),
            };
            let qk_norm = match c.qk_norm_lengths() {
                None => None,
                Some([q, k]) => {
                    let one = |name: &str, n| source.norm(|kind| names.layer(layer, name, kind), n, false);
                    Some([one("attn_q_norm", q)?, one("attn_k_norm", k)?])
                }
            };
            // What is normed after the sum goes by the names of norms before.
            let [post_attention, post_ffw] = match c.norm_place {
                NormPlace::AfterSum => ["attn_norm", "ffn_norm"],
                _ => ["post_attention_norm", "post_ffw_norm"],
            };
            Ok(Layer {
                attention_norm: norm(before, "attn_norm")?,
                qkv: linear(&c.qkv_projections(fused[0]), d, c.qkv_bias)?,
                qk_norm,
                attention_out: linear(&[("attn_output", d)], queries, c.attention_out_bias)?,
                attention_post_norm: norm(after, post_attention)?,
                ffn_norm: norm(before, "ffn_norm")?,
                gate_up: linear(&c.gate_up_projections(fused[1]), d, c.mlp_bias)?,
                ffn_down: linear(&[("ffn_down", d)], f, c.mlp_bias)?,
                ffn_post_norm: norm(after, post_ffw)?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let final_norm = match c.final_norm {
        true => Some(source.norm(|kind| names.top("output_norm", kind), d, c.norm.bias)?),
        false => None,
    };
    let head = if c.tie_word_embeddings { embedding_name } else { names.head() };
    let head = source.matrix(&[(head, [c.vocab_size, e], Change::None)])?;
    Ok(Decoder {
        embedding,
        project_in: project("project_in")?,
        places: source.places()?,
        layers,
        final_norm,
        project_out: project("project_out")?,
        head,
        inv_freq: c.ropes.iter().map(|rope| [rope.inv_freq(), rope.long_inv_freq()]).collect(),
        slopes: c.slopes(),
        config,
        device,
    })
}

struct Source<'a, D> {
    device: &'a D,
    tensors: &'a Tensors,
    names: Names,
    config: &'a Config,
}

/// A tensor by name, with its shape as the pass wants it and what makes that of it.
type Wanted = (String, [usize; 2], Change);

impl<D: Device> Source<'_, D> {
    /// A tensor as the pass wants it.
    fn tensor(&self, name: &str, shape: &[usize], change: Change) -> Result<Tensor, Error> {
        let tensor = self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            path: self.tensors.path().to_path_buf(),
            tensor: name.to_owned(),
        })?;
        let stored = change.stored_shape(shape);
        if tensor.shape != stored {
            return Err(Error::Shape {
                file: tensor.file.to_path_buf(),
                tensor: name.to_owned(),
                found: tensor.shape.clone(),
                expected: stored,
            });
        }
        let made = change.made(tensor)?;
        if change != Change::None {
            // It was copied; the file's pages are not needed again.
            tensor.data.release();
        }
        Ok(made)
    }

    /// How this file's tensor of a layer differs from what the pass wants.
    fn change(&self, name: &str, matrix: bool) -> Change {
        match self.names {
            Names::Gguf => Change::None,
            Names::HuggingFace(_) => Change::from_folder(self.config, name, matrix),
        }
    }

    fn norm(
        &self,
        name: impl Fn(&str) -> String,
        length: usize,
        bias: bool,
    ) -> Result<NormWeights<D>, Error> {
        let change = self.change("norm", false);
        let gain = self.tensor(&name("weight"), &[length], change)?.to_f32()?;
        let bias = match bias {
            true => Some(self.device.upload(&self.tensor(&name("bias"), &[length], Change::None)?.to_f32()?)),
            false => None,
        };
        Ok(NormWeights { gain: self.device.upload(&gain), bias })
    }

    fn matrix(&self, parts: &[Wanted]) -> Result<D::Matrix, Error> {
        let tensors = parts
            .iter()
            .map(|(name, shape, change)| self.tensor(name, shape, *change))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.device.matrix(&tensors.iter().collect::<Vec<_>>())?)
    }

    /// Projections of a layer from the same inputs, by their GGUF names and outputs.
    fn linear(
        &self,
        layer: usize,
        parts: &[(&str, usize)],
        inputs: usize,
        bias: bool,
    ) -> Result<Linear<D>, Error> {
        let weights: Vec<Wanted> = parts
            .iter()
            .map(|&(name, outputs)| {
                (self.names.weight(layer, name), [outputs, inputs], self.change(name, true))
            })
            .collect();
        let bias = match bias {
            false => None,
            true => {
                let mut values = Vec::new();
                for &(name, outputs) in parts {
                    let change = self.change(name, false);
                    values.extend(self.tensor(&self.names.bias(layer, name), &[outputs], change)?.to_f32()?);
                }
                Some(self.device.upload(&values))
            }
        };
        Ok(Linear { weight: self.matrix(&weights)?, bias })
    }

    /// The table of positions that is added to the embedding.
    fn places(&self) -> Result<Option<Place<D>>, Error> {
        let c = self.config;
        let (table, offset) = match c.positions {
            Positions::Rotary | Positions::Alibi { .. } => return Ok(None),
            Positions::Learned { offset } => {
                let name = self.names.top("position_embd", "weight");
                (self.tensor(&name, &[c.context_length + offset, c.hidden_size], Change::None)?, offset)
            }
            Positions::Sinusoidal { offset } => {
                (self.sines(c.context_length + offset, c.hidden_size), offset)
            }
        };
        Ok(Some(Place { table: self.device.table(&table)?, offset }))
    }

    /// A row of sines and then cosines for each number, as tensor2tensor had it; one more 0 where the width is odd.
    fn sines(&self, rows: usize, width: usize) -> Tensor {
        let half = width / 2;
        let step = -(10_000f64.ln()) / (half as f64 - 1.0);
        let frequencies: Vec<f32> = (0..half).map(|i| (i as f64 * step).exp() as f32).collect();
        let mut data = Vec::with_capacity(4 * rows * width);
        for row in 0..rows {
            // The product is rounded to f32 first, as the reference does.
            let angles = || frequencies.iter().map(|f| f64::from(row as f32 * f));
            let zero = (width % 2 == 1).then_some(0.0);
            for x in angles().map(f64::sin).chain(angles().map(f64::cos)).chain(zero) {
                data.extend_from_slice(&(x as f32).to_le_bytes());
            }
        }
        Tensor {
            name: "positions".to_owned(),
            dtype: DType::F32,
            shape: vec![rows, width],
            data: data.into(),
            file: self.tensors.path().into(),
        }
    }
}

impl Config {
    /// What each head's scores lose a position; empty without ALiBi. Between powers of two of heads, every second slope of
    /// the next comes first.
    fn slopes(&self) -> Vec<f32> {
        let Positions::Alibi { max_bias } = self.positions else { return Vec::new() };
        let power = self.num_heads.next_power_of_two();
        let slope = |i: usize| (-(i as f64) * f64::from(max_bias) / power as f64).exp2() as f32;
        match power == self.num_heads {
            true => (1..=power).map(slope).collect(),
            false => {
                let (even, odd) = ((2..=power).step_by(2), (1..=power).step_by(2));
                even.chain(odd).take(self.num_heads).map(slope).collect()
            }
        }
    }
}
