//! A model's weights in other types: which tensor gets which, and the file of them.
//!
//! In: a model's metadata and tensors as GGUF has them. Out: a GGUF of a [`Mix`], written a piece of a tensor at a
//! time by as many threads as are wanted. The blocks themselves are `formats`' business; that values deserve more
//! bits than queries is decided here.

mod mix;
mod write;

pub use mix::Mix;

use crate::{Config, ConvertedTensor, Error, Imatrix};
use mix::{Facts, choose};
use sai_formats::gguf::Value;
use sai_formats::{DType, TensorSpec};

/// The version of the block layouts, which GGUF files of blocks name.
const QUANTIZATION_VERSION: u32 = 2;

/// What becomes of each tensor of a model.
#[derive(Debug)]
pub struct Plan<'m> {
    tensors: Vec<PlannedTensor<'m>>,
    metadata: Vec<(String, Value)>,
}

/// What becomes of a tensor.
#[derive(Debug)]
pub struct PlannedTensor<'m> {
    source: &'m ConvertedTensor,
    /// The type that it will have.
    pub dtype: DType,
    /// The type that the mix has for it, where its rows do not divide into blocks of that.
    pub wanted: Option<DType>,
    /// For each column, how much its errors matter.
    importance: Option<Vec<f32>>,
}

impl PlannedTensor<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.source.spec.name
    }

    /// Row-major, outermost dimension first.
    pub fn shape(&self) -> &[usize] {
        &self.source.spec.shape
    }

    /// The type that it has.
    pub fn from(&self) -> DType {
        self.source.spec.dtype
    }

    /// Whether it was quantised before, to another type: its errors will add up.
    pub fn is_requantized(&self) -> bool {
        !self.from().is_float() && !self.dtype.is_float() && self.from() != self.dtype
    }

    fn spec(&self) -> TensorSpec {
        TensorSpec { dtype: self.dtype, ..self.source.spec.clone() }
    }
}

impl<'m> Plan<'m> {
    /// Finds for every tensor the type that it gets in `mix`. Vectors and norms stay as they are.
    ///
    /// # Errors
    /// An importance matrix that is not this model's.
    pub fn new(
        config: &Config,
        metadata: &[(String, Value)],
        tensors: &'m [ConvertedTensor],
        mix: Mix,
        imatrix: Option<&Imatrix>,
    ) -> Result<Plan<'m>, Error> {
        let facts = Facts {
            layers: config.num_layers,
            group: config.num_heads / config.num_kv_heads.max(1),
            tied: config.tie_word_embeddings,
            weighed: imatrix.is_some(),
        };
        if let Some(imatrix) = imatrix {
            imatrix.check(tensors.iter().map(|moved| &moved.spec))?;
        }
        let plan = |source: &'m ConvertedTensor| {
            let TensorSpec { name, dtype, shape } = &source.spec;
            if shape.len() < 2
                || !name.ends_with(".weight")
                || name.ends_with("_norm.weight")
                || name == "position_embd.weight"
            {
                return PlannedTensor { source, dtype: *dtype, wanted: None, importance: None };
            }
            let columns = shape.last().copied().unwrap_or(1);
            let (wanted, given) = choose(mix, name, columns, facts);
            PlannedTensor {
                source,
                dtype: given,
                wanted: (wanted != given).then_some(wanted),
                importance: imatrix.and_then(|imatrix| imatrix.importance(name)),
            }
        };
        let tensors = tensors.iter().map(plan).collect();
        Ok(Plan { tensors, metadata: described(metadata, mix, imatrix) })
    }

    /// The tensors, in the order of the file.
    pub fn tensors(&self) -> &[PlannedTensor<'m>] {
        &self.tensors
    }

    /// The bytes of all tensors as they are.
    pub fn bytes_before(&self) -> u64 {
        self.tensors.iter().filter_map(|t| t.source.spec.bytes()).map(|bytes| bytes as u64).sum()
    }

    /// The bytes of all tensors as they will be.
    pub fn bytes_after(&self) -> u64 {
        self.tensors.iter().filter_map(|t| t.spec().bytes()).map(|bytes| bytes as u64).sum()
    }

    /// How many weights there are.
    pub fn weights(&self) -> u64 {
        self.tensors.iter().map(|t| t.shape().iter().map(|d| *d as u64).product::<u64>()).sum()
    }

    /// How many tensors get each type, most common first.
    pub fn types(&self) -> Vec<(DType, usize)> {
        let mut counts: Vec<(DType, usize)> = Vec::new();
        for tensor in &self.tensors {
            match counts.iter_mut().find(|(dtype, _)| *dtype == tensor.dtype) {
                Some((_, count)) => *count += 1,
                None => counts.push((tensor.dtype, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

/// The metadata with what it says of the types brought up to date.
fn described(metadata: &[(String, Value)], mix: Mix, imatrix: Option<&Imatrix>) -> Vec<(String, Value)> {
    let mut facts = vec![
        ("general.quantization_version", Value::U32(QUANTIZATION_VERSION)),
        ("general.file_type", Value::U32(mix.file_type())),
    ];
    if let Some(imatrix) = imatrix {
        facts.push(("quantize.imatrix.file", Value::String(imatrix.path().display().to_string())));
        if let Some(dataset) = imatrix.datasets().first() {
            facts.push(("quantize.imatrix.dataset", Value::String(dataset.clone())));
        }
        facts.push(("quantize.imatrix.entries_count", Value::U32(imatrix.len() as u32)));
        facts.push(("quantize.imatrix.chunks_count", Value::U32(imatrix.chunks())));
    }
    let stale = |key: &str| key.starts_with("quantize.imatrix.") || facts.iter().any(|(new, _)| *new == key);
    let kept = metadata.iter().filter(|(key, _)| !stale(key)).cloned();
    // The architecture comes first, where every reader expects it.
    let mut all: Vec<(String, Value)> = kept.collect();
    let at = usize::from(!all.is_empty());
    all.splice(at..at, facts.into_iter().map(|(key, value)| (key.to_owned(), value)));
    all
}
