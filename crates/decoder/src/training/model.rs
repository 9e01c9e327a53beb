//! Parameters, gradients and moments, and a step.

use super::adapter::Adapter;
use super::init;
use super::layout::{Layout, ParameterInfo};
use crate::{Config, Error};
use sai_formats::{DType, Tensor, TensorSpec, Tensors, safetensors};
use sai_kernels::{AdamWStep, Training};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// Values that are read and written at a time.
const PIECE: usize = 1 << 18;

/// A model that is being trained.
pub struct Model<D: Training> {
    /// Where it runs.
    pub device: D,
    /// What it is.
    pub config: Config,
    /// Which tensor lies where in the arena of parameters.
    pub layout: Layout,
    /// One row of [`Layout::len`] values.
    pub parameters: D::Buffer,
    /// What is trained instead of these, if anything.
    pub adapter: Option<Adapter<D>>,
    /// One row of gradients of what is trained, which passes add to and a step sets to zero.
    pub gradients: D::Buffer,
    /// Radians a position, (rope_dim / 2).
    pub(super) inv_freq: Vec<f32>,
}

/// What AdamW is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of that mean.
    pub eps: f64,
    /// Decay of matrices, times the rate, a step.
    pub decay: f64,
}

impl Default for AdamW {
    /// As language models are mostly trained.
    fn default() -> AdamW {
        AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, decay: 0.1 }
    }
}

/// AdamW's moments of some of the values that are trained: all, or the share of a rank.
pub struct Moments<D: Training> {
    /// The parameters that these are of.
    pub range: Range<usize>,
    /// Means of gradients.
    pub first: D::Buffer,
    /// Means of their squares.
    pub second: D::Buffer,
    /// Steps made so far.
    pub steps: u64,
}

impl<D: Training> Moments<D> {
    /// Moments of the parameters in `range`, all zero.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(model: &Model<D>, range: Range<usize>) -> Result<Moments<D>, Error> {
        let [first, second] = [(); 2].map(|()| model.device.zeros(1, range.len()));
        Ok(Moments { range, first: first?, second: second?, steps: 0 })
    }
}

impl<D: Training> Model<D> {
    /// A model to be trained from nothing: normal values of deviation 0.02, residual projections smaller. The same for
    /// the same seed wherever logarithms and cosines round alike.
    ///
    /// # Errors
    /// [`Layout::of`]'s, or not enough memory.
    pub fn new(device: D, config: Config, seed: u64) -> Result<Model<D>, Error> {
        let mut model = Model::empty(device, config)?;
        for tensor in model.layout.tensors() {
            let values = init::values(tensor, model.config.num_layers, seed);
            model.device.write(&mut model.parameters, tensor.view.start, &values);
        }
        Ok(model)
    }

    /// A model to be trained on, from a Hugging Face folder's tensors in any type.
    ///
    /// # Errors
    /// [`Layout::of`]'s, a tensor that is missing or of another shape, or not enough memory.
    pub fn load(device: D, config: Config, tensors: &Tensors) -> Result<Model<D>, Error> {
        let mut model = Model::empty(device, config)?;
        load_tensors(&model.device, model.layout.tensors(), &mut model.parameters, tensors)?;
        Ok(model)
    }

    fn empty(device: D, config: Config) -> Result<Model<D>, Error> {
        let layout = Layout::of(&config)?;
        let gradients = device.zeros(1, layout.len())?;
        Model::with(device, config, layout, None, gradients)
    }

    /// A model of zeros.
    pub(super) fn with(
        device: D,
        config: Config,
        layout: Layout,
        adapter: Option<Adapter<D>>,
        gradients: D::Buffer,
    ) -> Result<Model<D>, Error> {
        let parameters = device.zeros(1, layout.len())?;
        let inv_freq = config.ropes.first().map_or_else(Vec::new, |rope| rope.inv_freq());
        Ok(Model { device, config, layout, parameters, adapter, gradients, inv_freq })
    }

    /// How many values are trained: the adapter's, or else all of the model's.
    pub fn trained(&self) -> usize {
        match &self.adapter {
            Some(adapter) => adapter.tensors.last().map_or(0, |last| last.view.range().end),
            None => self.layout.len(),
        }
    }

    /// Writes the parameters to a safetensors file in `dtype`, a float type, whole or not at all.
    ///
    /// # Errors
    /// A value that `dtype` cannot hold, or the disk refuses.
    pub fn save(&self, path: &Path, dtype: DType) -> Result<(), Error> {
        save_tensors(&self.device, self.layout.tensors(), &self.parameters, path, dtype)
    }

    /// The root of the sum of all gradients' squares.
    pub fn gradient_norm(&self) -> f64 {
        self.device.square_sum(&self.gradients, 0..self.trained()).sqrt()
    }

    /// One step of AdamW for the parameters that `moments` are of, with their gradients times `gradient_scale`; these
    /// gradients become zero.
    pub fn step(&mut self, moments: &mut Moments<D>, adamw: &AdamW, rate: f64, gradient_scale: f64) {
        moments.steps += 1;
        let step = AdamWStep {
            step: moments.steps,
            rate,
            beta1: adamw.beta1,
            beta2: adamw.beta2,
            eps: adamw.eps,
            decay: adamw.decay,
            // An adapter has matrices only.
            decayed: self.adapter.as_ref().map_or(self.layout.decayed(), |_| self.trained()),
            gradient_scale,
        };
        let Moments { range, first, second, .. } = moments;
        let gradients = &mut self.gradients;
        let parameters = match &mut self.adapter {
            Some(adapter) => &mut adapter.parameters,
            None => &mut self.parameters,
        };
        self.device.adamw(&step, range.clone(), parameters, gradients, first, second);
    }

    /// Forgets all gradients, as after a batch whose loss makes no sense.
    pub fn clear_gradients(&mut self) {
        self.device.clear(&mut self.gradients, 1);
    }
}

/// Sets an arena's values to those of a file's tensors.
pub(super) fn load_tensors<D: Training>(
    device: &D,
    placed: &[ParameterInfo],
    arena: &mut D::Buffer,
    tensors: &Tensors,
) -> Result<(), Error> {
    for placed in placed {
        let tensor = tensors.get(&placed.name).ok_or_else(|| Error::MissingTensor {
            path: tensors.path().to_path_buf(),
            tensor: placed.name.clone(),
        })?;
        if tensor.shape != placed.shape {
            return Err(Error::Shape {
                file: tensor.file.to_path_buf(),
                tensor: placed.name.clone(),
                found: tensor.shape.clone(),
                expected: placed.shape.clone(),
            });
        }
        device.write(arena, placed.view.start, &tensor.to_f32()?);
        tensor.data.release();
    }
    Ok(())
}

/// Writes an arena's tensors to a safetensors file, a piece at a time: a run that just fits into memory must be able to
/// save.
pub(super) fn save_tensors<D: Training>(
    device: &D,
    all: &[ParameterInfo],
    arena: &D::Buffer,
    path: &Path,
    dtype: DType,
) -> Result<(), Error> {
    let by_name: HashMap<&str, &ParameterInfo> =
        all.iter().map(|placed| (placed.name.as_str(), placed)).collect();
    let spec =
        |placed: &ParameterInfo| TensorSpec { name: placed.name.clone(), dtype, shape: placed.shape.clone() };
    let text = [("format".to_owned(), "pt".to_owned())];
    let mut writer = safetensors::create(path, &text, all.iter().map(spec).collect())?;
    let mut values = vec![0.0f32; PIECE];
    while let Some(spec) = writer.next_tensor() {
        let placed = by_name
            .get(spec.name.as_str())
            .ok_or_else(|| Error::MissingTensor { path: path.to_path_buf(), tensor: spec.name.clone() })?;
        let range = placed.view.range();
        for start in range.clone().step_by(PIECE) {
            let values = &mut values[..PIECE.min(range.end - start)];
            device.read(arena, start, values);
            let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            let piece = Tensor {
                name: placed.name.clone(),
                dtype: DType::F32,
                shape: vec![values.len()],
                data: data.into(),
                file: path.into(),
            };
            writer.write(&piece.to_floats(dtype)?)?;
        }
    }
    Ok(writer.finish()?)
}
