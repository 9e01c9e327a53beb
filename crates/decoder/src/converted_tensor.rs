//! A decoder's tensors in the other container's form: other names, and where the two differ other rows, another order of
//! dimensions, gains with their 1 or without ([`Change`]).
//!
//! Hugging Face keeps the two halves of a head apart, component `i` turning with `i + dim / 2`; GGUF's `llama` puts
//! the components that turn together beside each other. So the rows of queries and keys, and their biases, change
//! places on the way and back, whole and unrounded. Vectors (norms, biases) are F32 in GGUF, because llama.cpp
//! multiplies no other type into its activations; on the way back they take the type of the matrix they belong to
//! where that holds every value exactly, which is the type that they came from unless [`KEPT_TYPES`] names another.

use crate::form::{Change, not_float};
use crate::unused_tensors::judge;
use crate::weights::{GGUF_LONG_DIVISORS, GGUF_ROPE_DIVISORS, Names};
use crate::{Config, Error, NormPlace, RopeScaling, WeightDelta};
use sai_formats::{Container, DType, Tensor, TensorSpec, Tensors};

/// Metadata key of sai's own: vectors whose type in Hugging Face's form is not their matrix's, as `name=F32`.
pub const KEPT_TYPES: &str = "sai.vector_types";

/// A tensor on its way to the other form, made when it is asked for so that only one is in memory.
#[derive(Clone, Debug)]
pub struct ConvertedTensor {
    /// What it will be.
    pub spec: TensorSpec,
    source: Tensor,
    change: Change,
    /// What is added to it.
    delta: Option<WeightDelta>,
}

impl ConvertedTensor {
    /// The tensor as it is.
    pub fn unchanged(source: &Tensor) -> ConvertedTensor {
        let Tensor { name, dtype, shape, .. } = source.clone();
        ConvertedTensor {
            spec: TensorSpec { name, dtype, shape },
            source: source.clone(),
            change: Change::None,
            delta: None,
        }
    }

    /// The tensor with a change, in `dtype` or its own type.
    pub(crate) fn changed(
        source: &Tensor,
        dtype: Option<DType>,
        delta: Option<WeightDelta>,
    ) -> Result<ConvertedTensor, Error> {
        if !source.dtype.is_float() {
            return Err(not_float(source));
        }
        let mut converted = ConvertedTensor { delta, ..ConvertedTensor::unchanged(source) };
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
        let source = match (self.change, self.source.dtype.is_float()) {
            // Blocks lie along rows, and cannot be turned.
            (Change::Transpose, false) => self.change.made(&expanded(&self.source)?)?,
            (change, _) => change.made(&self.source)?,
        };
        let source = match &self.delta {
            Some(delta) => delta.merged(&source)?,
            None => source,
        };
        Ok(Tensor { name, dtype, shape, data: source.to_floats(dtype)?, ..source })
    }
}

/// The tensor in f32.
fn expanded(tensor: &Tensor) -> Result<Tensor, Error> {
    let data: Vec<u8> = tensor.to_f32()?.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(Tensor { dtype: DType::F32, data: data.into(), ..tensor.clone() })
}

/// A tensor of the model, under both names.
pub(crate) struct Entry {
    pub(crate) gguf: String,
    pub(crate) hugging_face: String,
    /// As the pass wants it, and GGUF has it.
    pub(crate) shape: Vec<usize>,
    /// From a folder's form to GGUF's of this style.
    pub(crate) change: Change,
    /// The matrix whose type a vector takes, under both names.
    pub(crate) matrix: Option<[String; 2]>,
}

/// Every tensor that a model of this description has, in the order of its forward pass.
pub(crate) fn entries(c: &Config) -> Vec<Entry> {
    entries_by(c, Names::folder(c.family()), None)
}

/// The same, under the names that `theirs` gives, and fused where `gguf`, if there is one, has them fused.
fn entries_by(c: &Config, theirs: Names, gguf: Option<&Tensors>) -> Vec<Entry> {
    let (d, f) = (c.hidden_size, c.intermediate_size);
    let queries = c.num_heads * c.head_dim;
    let ours = Names::Gguf;
    let turned = c.ropes.first().map_or(0, |rope| rope.dim);
    let pairs = Change::to_style(c.gguf_style(), c.head_dim, turned);
    let fused = match gguf {
        Some(_) => [ours.fuses_qkv(gguf, c), ours.fuses_gate_up(gguf, c)],
        None => [theirs.fuses_qkv(None, c), theirs.fuses_gate_up(None, c)],
    };
    let beside = [ours.embedding(), theirs.embedding()];
    let top = |name: &str, kind: &str, shape: &[usize], matrix: Option<[String; 2]>| {
        let norm = if name == "output_norm" && kind == "weight" { "norm" } else { name };
        Entry {
            gguf: ours.top(name, kind),
            hugging_face: theirs.top(name, kind),
            shape: shape.to_vec(),
            change: if norm == "norm" { Change::from_folder(c, norm, false) } else { Change::None },
            matrix,
        }
    };
    let mut all = vec![top("token_embd", "weight", &[c.vocab_size, c.embedding_size], None)];
    if let Some(rows) = c.position_rows() {
        all.push(top("position_embd", "weight", &[rows, d], Some(beside.clone())));
    }
    if c.embedding_size != d {
        all.push(top("project_in", "weight", &[d, c.embedding_size], None));
    }
    let (qkv, gate_up) = (c.qkv_projections(fused[0]), c.gate_up_projections(fused[1]));
    let (first, first_up) = (qkv[0].0, gate_up[0].0);
    let [before, after] = c.norms();
    let before = before || c.norm_place == NormPlace::AfterSum;
    let after = after && c.norm_place != NormPlace::AfterSum;
    for layer in 0..c.num_layers {
        let mut vector = |name: &str, kind: &str, n: usize, change: Change, beside: &str| {
            all.push(Entry {
                gguf: ours.layer(layer, name, kind),
                hugging_face: theirs.layer(layer, name, kind),
                shape: vec![n],
                change,
                matrix: Some([ours.weight(layer, beside), theirs.weight(layer, beside)]),
            });
        };
        let mut norm = |is: bool, name: &str, beside: &str| {
            if is {
                vector(name, "weight", d, Change::from_folder(c, "norm", false), beside);
            }
            if is && c.norm.bias {
                vector(name, "bias", d, Change::None, beside);
            }
        };
        norm(before, "attn_norm", first);
        norm(after, "post_attention_norm", "attn_output");
        norm(before, "ffn_norm", first_up);
        norm(after, "post_ffw_norm", "ffn_down");
        if let Some([q, k]) = c.qk_norm_lengths() {
            let change = Change::from_folder(c, "norm", false);
            vector("attn_q_norm", "weight", q, change, first);
            vector("attn_k_norm", "weight", k, change, if fused[0] { first } else { "attn_k" });
        }
        let of_qkv = qkv.iter().map(|&(name, n)| (name, n, d, c.qkv_bias));
        let of_up = gate_up.iter().map(|&(name, n)| (name, n, d, c.mlp_bias));
        let out = [("attn_output", d, queries, c.attention_out_bias)];
        for (name, outputs, inputs, bias) in
            of_qkv.chain(out).chain(of_up).chain([("ffn_down", d, f, c.mlp_bias)])
        {
            let turns = matches!(name, "attn_q" | "attn_k");
            let change = |matrix| if turns { pairs } else { Change::from_folder(c, name, matrix) };
            if bias {
                all.push(Entry {
                    gguf: ours.bias(layer, name),
                    hugging_face: theirs.bias(layer, name),
                    shape: vec![outputs],
                    change: change(false),
                    matrix: Some([ours.weight(layer, name), theirs.weight(layer, name)]),
                });
            }
            all.push(Entry {
                gguf: ours.weight(layer, name),
                hugging_face: theirs.weight(layer, name),
                shape: vec![outputs, inputs],
                change: change(true),
                matrix: None,
            });
        }
    }
    if c.final_norm {
        all.push(top("output_norm", "weight", &[d], Some(beside.clone())));
        if c.norm.bias {
            all.push(top("output_norm", "bias", &[d], Some(beside)));
        }
    }
    if c.embedding_size != d {
        all.push(top("project_out", "weight", &[c.embedding_size, d], None));
    }
    if !c.tie_word_embeddings {
        all.push(Entry {
            gguf: ours.head(),
            hugging_face: theirs.head(),
            shape: vec![c.vocab_size, c.embedding_size],
            change: Change::None,
            matrix: None,
        });
    }
    all
}

/// What a model's files hold besides the tensors of its description: a line for people about what is left out.
///
/// # Errors
/// A tensor that would change what the model computes, or weights that another program quantised.
pub fn unused_tensors(config: &Config, container: &Container) -> Result<Vec<String>, Error> {
    let tensors = container.tensors();
    let all = match Names::of(container, config) {
        Names::Gguf => entries_by(config, Names::folder(config.family()), Some(tensors)),
        names => entries_by(config, names, None),
    };
    unused(config, tensors, &all, Names::of(container, config))
}

fn unused(config: &Config, tensors: &Tensors, all: &[Entry], names: Names) -> Result<Vec<String>, Error> {
    // A tied head may be there a second time.
    let head = Some(names.head()).filter(|_| config.tie_word_embeddings);
    let known = all.iter().map(|entry| match names {
        Names::HuggingFace(_) => entry.hugging_face.as_str(),
        Names::Gguf => entry.gguf.as_str(),
    });
    judge(tensors, known.chain(head.as_deref()), names, config.num_layers)
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
    let names = Names::in_folder(config.family(), tensors);
    let all = entries_by(config, names, None);
    unused(config, tensors, &all, names)?;
    let mut converted = Vec::with_capacity(all.len() + 1);
    let mut kept_types = Vec::new();
    for entry in &all {
        let source = find(tensors, &entry.hugging_face, &entry.change.stored_shape(&entry.shape))?;
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
            change: entry.change,
            delta: None,
        });
    }
    for (name, divisors) in divisors(config) {
        let data: Vec<u8> = divisors.iter().flat_map(|x| x.to_le_bytes()).collect();
        converted.push(ConvertedTensor::unchanged(&Tensor {
            name: name.to_owned(),
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

/// What GGUF divides frequencies by, as tensors of their own.
fn divisors(config: &Config) -> Vec<(&'static str, Vec<f32>)> {
    let Some(rope) = config.ropes.first() else { return Vec::new() };
    match &rope.scaling {
        RopeScaling::Long { short, long, .. } => {
            GGUF_LONG_DIVISORS.into_iter().zip([short.clone(), long.clone()]).collect()
        }
        _ => rope.divisors().map(|divisors| (GGUF_ROPE_DIVISORS, divisors)).into_iter().collect(),
    }
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
    let all = entries_by(config, Names::folder(config.family()), Some(tensors));
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
                if holds(&entry.change.opposite().made(source)?, wanted)? { wanted } else { source.dtype }
            }
        };
        if !to.is_float() {
            return Err(not_float(source));
        }
        converted.push(ConvertedTensor {
            spec: TensorSpec {
                name: entry.hugging_face.clone(),
                dtype: to,
                shape: entry.change.stored_shape(&entry.shape),
            },
            source: source.clone(),
            change: entry.change.opposite(),
            delta: None,
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
