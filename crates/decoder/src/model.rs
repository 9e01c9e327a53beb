//! The decoder as plain structures.

use crate::{Config, Error, Memory, weights};
use sai_formats::Container;
use sai_kernels::{CacheType, Device};

/// A decoder of the LLaMA family on a device.
pub struct Decoder<D: Device> {
    /// Where it runs.
    pub device: D,
    /// What it is.
    pub config: Config,
    /// Token embedding, (vocab_size, hidden_size).
    pub embedding: D::Table,
    /// The blocks, first to last.
    pub layers: Vec<Layer<D>>,
    /// Gain of the norm before the head, (hidden_size).
    pub final_norm: D::Buffer,
    /// (vocab_size, hidden_size); of the same tensor as the embedding where the model ties them.
    pub head: D::Matrix,
    /// Radians a position, (rope_dim / 2).
    pub inv_freq: Vec<f32>,
}

/// One block.
pub struct Layer<D: Device> {
    /// Gain of the norm before attention, (hidden_size).
    pub attention_norm: D::Buffer,
    /// Queries, keys and values: ((heads + 2 · kv_heads) · head_dim, hidden_size).
    pub qkv: Linear<D>,
    /// (hidden_size, heads · head_dim).
    pub attention_out: Linear<D>,
    /// Gain of the norm before the feed-forward layer, (hidden_size).
    pub ffn_norm: D::Buffer,
    /// Gate and up: (2 · intermediate_size, hidden_size).
    pub gate_up: Linear<D>,
    /// (hidden_size, intermediate_size).
    pub ffn_down: Linear<D>,
}

/// A projection.
pub struct Linear<D: Device> {
    /// (outputs, inputs).
    pub weight: D::Matrix,
    /// (outputs), where the model has one.
    pub bias: Option<D::Buffer>,
}

impl<D: Device> Decoder<D> {
    /// Binds the tensors of an opened model to its description.
    ///
    /// # Errors
    /// A tensor is missing, or of a shape or type that contradicts the description.
    pub fn load(device: D, config: Config, container: &Container) -> Result<Decoder<D>, Error> {
        weights::load(device, config, container)
    }

    /// What this model, with a cache of `positions` tokens, takes of memory.
    pub fn memory(config: &Config, container: &Container, positions: usize, dtype: CacheType) -> Memory {
        Memory::of(config, container.tensors().total_bytes(), positions, dtype)
    }
}
