//! An adapter in training: the only parameters that have gradients and moments.

use super::init::adapter_values;
use super::layout::{Layout, ParameterInfo};
use super::model::{Model, load_tensors, save_tensors};
use crate::lora::Factor;
use crate::{Config, Error, Lora};
use sai_formats::Tensors;
use sai_kernels::Training;
use std::path::Path;

/// Changes of low rank to a model whose own parameters stay as they are.
pub struct Adapter<D: Training> {
    /// Which matrices it changes, and how.
    pub lora: Lora,
    /// Its tensors by PEFT's names, layer after layer.
    pub tensors: Vec<ParameterInfo>,
    /// One row of all their values.
    pub parameters: D::Buffer,
}

impl<D: Training> Model<D> {
    /// A model with an adapter to be trained, which changes nothing yet, from a Hugging Face folder's tensors in any type.
    /// The adapter begins the same for the same seed.
    ///
    /// # Errors
    /// [`Model::load`]'s; or a rank of 0 or above the model's width, an alpha that is not above 0, no targets, or one named
    /// twice.
    pub fn adapt(
        device: D,
        config: Config,
        tensors: &Tensors,
        lora: Lora,
        seed: u64,
    ) -> Result<Model<D>, Error> {
        lora.check(&config)?;
        let mut layout = Layout::of(&config)?;
        let placed = layout.adapt(&lora);
        let length = placed.last().map_or(0, |last| last.view.range().end);
        let mut parameters = device.zeros(1, length)?;
        for tensor in &placed {
            let factor = if tensor.name.ends_with(".lora_A.weight") { Factor::A } else { Factor::B };
            device.write(&mut parameters, tensor.view.start, &adapter_values(tensor, factor, seed));
        }
        let gradients = device.zeros(1, length)?;
        let adapter = Adapter { lora, tensors: placed, parameters };
        let mut model = Model::with(device, config, layout, Some(adapter), gradients)?;
        load_tensors(&model.device, model.layout.tensors(), &mut model.parameters, tensors)?;
        Ok(model)
    }

    /// The adapter's rank; 0 where there is none.
    pub(super) fn rank(&self) -> usize {
        self.adapter.as_ref().map_or(0, |adapter| adapter.lora.rank)
    }
}

impl<D: Training> Adapter<D> {
    /// Sets the values to those of an `adapter_model.safetensors`.
    ///
    /// # Errors
    /// A tensor is missing or of another shape.
    pub fn load(&mut self, device: &D, tensors: &Tensors) -> Result<(), Error> {
        load_tensors(device, &self.tensors, &mut self.parameters, tensors)
    }

    /// Writes `adapter_model.safetensors` in f32, whole or not at all.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn save(&self, device: &D, path: &Path) -> Result<(), Error> {
        save_tensors(device, &self.tensors, &self.parameters, path, sai_formats::DType::F32)
    }
}
