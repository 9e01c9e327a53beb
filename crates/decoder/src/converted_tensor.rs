//! A decoder's tensors in the other container's form: other names, and in GGUF's `llama` other rows.
//!
//! Hugging Face keeps the two halves of a head apart, component `i` turning with `i + dim / 2`; GGUF's `llama` puts
//! the components that turn together beside each other. So the rows of queries and keys, and their biases, change
//! places on the way and back, whole and unrounded. Vectors (norms, biases) are F32 in GGUF, because llama.cpp
//! multiplies no other type into its activations; on the way back they take the type of the matrix they belong to
//! where that holds every value exactly, which is the type that they came from unless [`KEPT_TYPES`] names another.

use crate::unused_tensors::judge;
use crate::weights::{GGUF_ROPE_DIVISORS, Names};
use crate::{Config, Error, RopeStyle, WeightDelta};
use sai_formats::{Container, DType, Tensor, TensorSpec, Tensors};

/// Metadata key of sai's own: vectors whose type in Hugging Face's form is not their matrix's, as `name=F32`.
pub const KEPT_TYPES: &str = "sai.vector_types";

/// Which rows of a tensor change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Stay,
    /// From halves to pairs, in heads of so many rows.
    ToPairs(usize),
    /// From pairs to halves.
    ToHalves(usize),
}

/// A tensor on its way to the other form, made when it is asked for so that only one is in memory.
#[derive(Clone, Debug)]
pub struct ConvertedTensor {
    /// What it will be.
    pub spec: TensorSpec,
    source: Tensor,
    rows: Rows,
    /// What is added to it.
    change: Option<WeightDelta>,
}

impl ConvertedTensor {
    /// The tensor as it is.
    pub fn unchanged(source: &Tensor) -> ConvertedTensor {
        let Tensor { name, dtype, shape, .. } = source.clone();
        ConvertedTensor {
            spec: TensorSpec { name, dtype, shape },
            source: source.clone(),
            rows: Rows::Stay,
            change: None,
        }
    }

    /// The tensor with a change, in `dtype` or its own type.
    pub(crate) fn changed(
        source: &Tensor,
        dtype: Option<DType>,
        change: Option<WeightDelta>,
    ) -> Result<ConvertedTensor, Error> {
        if !source.dtype.is_float() {
            return Err(not_float(source));
        }
        let mut converted = ConvertedTensor { change, ..ConvertedTensor::unchanged(source) };
        converted.spec.dtype = dtype.unwrap_or(source.dtype);
        Ok(converted)
    }

    /// Lets the source's pages leave memory, once the tensor was made and used.
    pub fn release(&self) {
        self.source.data.release();
    }

    /// Its bytes in the new form. They are borrowed from the source where nothing changes.
    ///
    /// # Errors
    /// A value is too large for the type that was asked for.
    pub fn tensor(&self) -> Result<Tensor, Error> {
        let TensorSpec { name, dtype, shape } = self.spec.clone();
        let source = match self.rows {
            Rows::Stay => self.source.clone(),
            Rows::ToPairs(head_dim) => reordered(&self.source, head_dim, |i| i % 2 * (head_dim / 2) + i / 2),
            Rows::ToHalves(head_dim) => {
                let half = head_dim / 2;
                reordered(&self.source, head_dim, |i| i % half * 2 + i / half)
            }
        };
        let source = match &self.change {
            Some(change) => change.merged(&source)?,
            None => source,
        };
        Ok(Tensor { name, dtype, shape, data: source.to_floats(dtype)?, ..source })
    }
}

/// The tensor with row `i` of each head taken from row `from(i)`. A bias counts as rows of one element.
fn reordered(tensor: &Tensor, head_dim: usize, from: impl Fn(usize) -> usize) -> Tensor {
    let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
    let bytes = tensor.data.len() / rows;
    let mut data = Vec::with_capacity(tensor.data.len());
    for row in 0..rows {
        let at = row / head_dim * head_dim + from(row % head_dim);
        data.extend_from_slice(&tensor.data[at * bytes..(at + 1) * bytes]);
    }
    Tensor { data: data.into(), ..tensor.clone() }
}

/// A tensor of the model, under both names.
struct Entry {
    gguf: String,
    hugging_face: String,
    shape: Vec<usize>,
    /// Whether its rows are those of heads that turn.
    turns: bool,
    /// The matrix whose type a vector takes, under both names.
    matrix: Option<[String; 2]>,
}

/// Every tensor that a model of this description has, in the order of its forward pass.
fn entries(c: &Config) -> Vec<Entry> {
    let (d, f) = (c.hidden_size, c.intermediate_size);
    let (queries, keys) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
    let (ours, theirs) = (Names::Gguf, Names::HuggingFace);
    let top = |name: fn(Names) -> String, shape: &[usize], matrix: Option<[String; 2]>| Entry {
        gguf: name(ours),
        hugging_face: name(theirs),
        shape: shape.to_vec(),
        turns: false,
        matrix,
    };
    let mut all = vec![top(Names::embedding, &[c.vocab_size, d], None)];
    for layer in 0..c.num_layers {
        let linear = [
            ("attn_q", queries, d, c.qkv_bias),
            ("attn_k", keys, d, c.qkv_bias),
            ("attn_v", keys, d, c.qkv_bias),
            ("attn_output", d, queries, c.attention_out_bias),
            ("ffn_gate", f, d, c.mlp_bias),
            ("ffn_up", f, d, c.mlp_bias),
            ("ffn_down", d, f, c.mlp_bias),
        ];
        let norm = |name: &str, beside: &str| Entry {
            gguf: ours.weight(layer, name),
            hugging_face: theirs.weight(layer, name),
            shape: vec![d],
            turns: false,
            matrix: Some([ours.weight(layer, beside), theirs.weight(layer, beside)]),
        };
        all.push(norm("attn_norm", "attn_q"));
        for (name, outputs, inputs, bias) in linear {
            if name == "ffn_gate" {
                all.push(norm("ffn_norm", "ffn_gate"));
            }
            let turns = matches!(name, "attn_q" | "attn_k");
            let weight = [ours.weight(layer, name), theirs.weight(layer, name)];
            if bias {
                all.push(Entry {
                    gguf: ours.bias(layer, name),
                    hugging_face: theirs.bias(layer, name),
                    shape: vec![outputs],
                    turns,
                    matrix: Some(weight.clone()),
                });
            }
            let [gguf, hugging_face] = weight;
            all.push(Entry { gguf, hugging_face, shape: vec![outputs, inputs], turns, matrix: None });
        }
    }
    all.push(top(Names::final_norm, &[d], Some([ours.embedding(), theirs.embedding()])));
    if !c.tie_word_embeddings {
        all.push(top(Names::head, &[c.vocab_size, d], None));
    }
    all
}

/// What a model's files hold besides the tensors of its description: a line for people about what is left out.
///
/// # Errors
/// A tensor that would change what the model computes, or weights that another program quantised.
pub fn unused_tensors(config: &Config, container: &Container) -> Result<Vec<String>, Error> {
    unused(config, container.tensors(), &entries(config), Names::of(container))
}

fn unused(config: &Config, tensors: &Tensors, all: &[Entry], names: Names) -> Result<Vec<String>, Error> {
    // A tied head may be there a second time.
    let head = Some(names.head()).filter(|_| config.tie_word_embeddings);
    let known = all.iter().map(|entry| match names {
        Names::HuggingFace => entry.hugging_face.as_str(),
        Names::Gguf => entry.gguf.as_str(),
    });
    judge(tensors, known.chain(head.as_deref()), config.num_layers)
}

/// A model's tensors in GGUF's form, and what [`KEPT_TYPES`] has to say of them.
pub struct ToGguf {
    /// The tensors, in the order of the forward pass.
    pub tensors: Vec<ConvertedTensor>,
    /// Entries of [`KEPT_TYPES`]; mostly none.
    pub kept_types: Vec<String>,
}

/// The tensors of a Hugging Face folder in GGUF's form. `dtype` is for matrices; vectors are F32.
///
/// # Errors
/// A tensor is missing, of another shape or type than the description needs, or has no place in it.
pub fn to_gguf(config: &Config, tensors: &Tensors, dtype: Option<DType>) -> Result<ToGguf, Error> {
    let rows = match config.gguf_style() {
        RopeStyle::Pairs => Rows::ToPairs(config.head_dim),
        RopeStyle::Halves => Rows::Stay,
    };
    let all = entries(config);
    unused(config, tensors, &all, Names::HuggingFace)?;
    let mut converted = Vec::with_capacity(all.len() + 1);
    let mut kept_types = Vec::new();
    for entry in &all {
        let source = find(tensors, &entry.hugging_face, &entry.shape)?;
        if !source.dtype.is_float() {
            return Err(not_float(source));
        }
        if let Some([_, matrix]) = &entry.matrix
            && tensors.get(matrix).is_some_and(|matrix| matrix.dtype != source.dtype)
        {
            kept_types.push(format!("{}={}", entry.gguf, source.dtype));
        }
        let to = if entry.matrix.is_some() { DType::F32 } else { dtype.unwrap_or(source.dtype) };
        converted.push(ConvertedTensor {
            spec: TensorSpec { name: entry.gguf.clone(), dtype: to, shape: entry.shape.clone() },
            source: source.clone(),
            rows: if entry.turns { rows } else { Rows::Stay },
            change: None,
        });
    }
    if let Some(divisors) = config.rope.divisors() {
        let data: Vec<u8> = divisors.iter().flat_map(|x| x.to_le_bytes()).collect();
        converted.push(ConvertedTensor::unchanged(&Tensor {
            name: GGUF_ROPE_DIVISORS.to_owned(),
            dtype: DType::F32,
            shape: vec![divisors.len()],
            data: data.into(),
            file: tensors.path().into(),
        }));
    }
    // A type that was asked for is everything's, there and back.
    if dtype.is_some() {
        kept_types.clear();
    }
    Ok(ToGguf { tensors: converted, kept_types })
}

/// The tensors of a GGUF file in Hugging Face's form. `dtype` is for all of them; without one, matrices stay as they
/// are and vectors take their matrix's type where it holds them exactly, or the one that `kept_types` says.
///
/// # Errors
/// A tensor is missing, of another shape than the description needs, quantised while no `dtype` is given, or has no
/// place in the description.
pub fn to_hugging_face(
    config: &Config,
    tensors: &Tensors,
    dtype: Option<DType>,
    kept_types: &[&str],
) -> Result<Vec<ConvertedTensor>, Error> {
    let rows = match config.rope.style {
        RopeStyle::Pairs => Rows::ToHalves(config.head_dim),
        RopeStyle::Halves => Rows::Stay,
    };
    let all = entries(config);
    unused(config, tensors, &all, Names::Gguf)?;
    let kept = |name: &str| {
        let said = kept_types.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        said.and_then(DType::from_name).filter(|dtype| dtype.is_float())
    };
    let mut converted = Vec::with_capacity(all.len());
    for entry in &all {
        let source = find(tensors, &entry.gguf, &entry.shape)?;
        if !source.dtype.is_known() {
            return Err(not_float(source));
        }
        let to = match (dtype, &entry.matrix) {
            (Some(dtype), _) => dtype,
            (None, None) => source.dtype,
            (None, Some([matrix, _])) => {
                let natural = tensors.get(matrix).map_or(source.dtype, |matrix| matrix.dtype);
                let wanted = kept(&entry.gguf).unwrap_or(natural);
                if holds(source, wanted)? { wanted } else { source.dtype }
            }
        };
        if !to.is_float() {
            return Err(not_float(source));
        }
        converted.push(ConvertedTensor {
            spec: TensorSpec { name: entry.hugging_face.clone(), dtype: to, shape: entry.shape.clone() },
            source: source.clone(),
            rows: if entry.turns { rows } else { Rows::Stay },
            change: None,
        });
    }
    Ok(converted)
}

/// Whether a type holds every value of a tensor exactly.
fn holds(tensor: &Tensor, dtype: DType) -> Result<bool, Error> {
    if tensor.dtype == dtype {
        return Ok(true);
    }
    if !dtype.is_float() {
        return Ok(false);
    }
    let Ok(data) = tensor.to_floats(dtype) else { return Ok(false) };
    let back = Tensor { dtype, data, ..tensor.clone() }.to_f32()?;
    Ok(tensor.to_f32()?.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()))
}

fn find<'t>(tensors: &'t Tensors, name: &str, shape: &[usize]) -> Result<&'t Tensor, Error> {
    let tensor = tensors.get(name).ok_or_else(|| Error::MissingTensor {
        path: tensors.path().to_path_buf(),
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

/// A tensor that must be expanded first; or cannot be, where sai does not know its type.
fn not_float(tensor: &Tensor) -> Error {
    if !tensor.dtype.is_known()
        && let Err(unknown) = tensor.to_f32()
    {
        return unknown.into();
    }
    Error::NotFloat {
        path: tensor.file.to_path_buf(),
        tensor: tensor.name.escape_debug().to_string(),
        dtype: tensor.dtype,
    }
}
