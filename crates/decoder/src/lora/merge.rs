//! A model with an adapter's changes in its own matrices.

use super::{PeftAdapter, WeightDelta};
use crate::converted_tensor::ConvertedTensor;
use crate::{Config, Error};
use rayon::prelude::*;
use sai_formats::{DType, Tensor, Tensors};
use std::collections::HashMap;

/// The tensors of a Hugging Face folder with an adapter merged into them, each in its own type or all in `dtype` (F32, F16
/// or BF16). All is held together before anything is computed.
///
/// # Errors
/// The adapter changes a matrix that the model has not, has in another shape or shares with its embedding; or a tensor
/// is not of plain floats.
pub fn merge(
    config: &Config,
    tensors: &Tensors,
    adapter: &PeftAdapter,
    dtype: Option<DType>,
) -> Result<Vec<ConvertedTensor>, Error> {
    let mut changes: HashMap<&str, &WeightDelta> =
        adapter.changes.iter().map(|change| (change.weight.as_str(), change)).collect();
    let wrong = |fact: String| Error::Adapter { path: adapter.path.clone(), fact };
    if config.tie_word_embeddings && changes.contains_key("lm_head.weight") {
        return Err(wrong(format!(
            "changes `lm_head`, which {} shares with its embedding; untie them first",
            tensors.path().display()
        )));
    }
    let moved = tensors
        .iter()
        .map(|tensor| {
            let change = changes.remove(tensor.name.as_str());
            if let Some(WeightDelta { a, b, weight, .. }) = change
                && tensor.shape != [b.rows(), a.columns()]
            {
                let (found, at, shape) = ([b.rows(), a.columns()], tensors.path().display(), &tensor.shape);
                let fact = format!("changes `{weight}` of {found:?}, which has shape {shape:?} in {at}");
                return Err(wrong(format!("{fact}; it was made for another model")));
            }
            ConvertedTensor::changed(tensor, dtype, change.cloned())
        })
        .collect::<Result<Vec<_>, Error>>()?;
    match changes.keys().min() {
        None => Ok(moved),
        Some(weight) => Err(wrong(format!(
            "changes `{}`, which {} has not; it was made for another model",
            weight.escape_debug(),
            tensors.path().display()
        ))),
    }
}

impl WeightDelta {
    /// The matrix with the change, in f32: `w + scale · (b · a)`.
    pub(crate) fn merged(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        let columns = self.a.columns();
        let (mut values, a, b) = (tensor.to_f32()?, self.a.to_f32()?, self.b.to_f32()?);
        let rank = self.a.rows();
        values.par_chunks_mut(columns.max(1)).zip(b.par_chunks(rank.max(1))).for_each(|(row, b)| {
            let mut sum = vec![0.0f32; columns];
            for (b, a) in b.iter().zip(a.chunks_exact(columns.max(1))) {
                sum.iter_mut().zip(a).for_each(|(sum, a)| *sum += b * a);
            }
            row.iter_mut().zip(sum).for_each(|(w, sum)| *w += self.scale * sum);
        });
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(Tensor { dtype: DType::F32, data: data.into(), ..tensor.clone() })
    }
}
