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
/// is not of plain floats, or has NaN or infinities in it.
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
    let factors = adapter.changes.iter().flat_map(|change| [&change.a, &change.b]);
    if let Some(name) = not_finite(factors.collect())? {
        return Err(wrong(format!(
            "tensor `{name}` {NOT_FINITE}; train the adapter again, with a lower rate"
        )));
    }
    if let Some(name) = not_finite(tensors.iter().collect())? {
        let path = tensors.path().to_owned();
        let fact = format!("tensor `{name}` {NOT_FINITE}; fetch or make the model again");
        return Err(Error::Adapter { path, fact });
    }
    match changes.keys().min() {
        None => Ok(moved),
        Some(weight) => Err(wrong(format!(
            "changes `{}`, which {} has not; it was made for another model",
            weight.escape_debug(),
            tensors.path().display()
        ))),
    }
}

const NOT_FINITE: &str = "has values that are no finite numbers (NaN or infinity)";

/// The name of a tensor with NaN or an infinity in it.
fn not_finite(tensors: Vec<&Tensor>) -> Result<Option<String>, Error> {
    let found = tensors.par_iter().find_map_first(|tensor| {
        let values = tensor.to_f32();
        tensor.data.release();
        match values {
            Ok(values) if values.iter().all(|value| value.is_finite()) => None,
            Ok(_) => Some(Ok(tensor.name.escape_debug().to_string())),
            Err(error) => Some(Err(error)),
        }
    });
    Ok(found.transpose()?)
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
