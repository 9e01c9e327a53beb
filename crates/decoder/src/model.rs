//! The decoder as plain structures.

use crate::{Config, Error, Memory, weights};
use sai_formats::Container;
use sai_kernels::{CacheType, Device};

/// A decoder on a device.
pub struct Decoder<D: Device> {
    /// Where it runs.
    pub device: D,
    /// What it is.
    pub config: Config,
    /// Token embedding, (vocab_size, embedding_size).
    pub embedding: D::Table,
    /// From there into the residual stream, (hidden_size, embedding_size), where the widths differ.
    pub project_in: Option<Linear<D>>,
    /// What is added for a token's position, where the model adds such rows.
    pub places: Option<Place<D>>,
    /// The blocks, first to last.
    pub layers: Vec<Layer<D>>,
    /// The norm before the head.
    pub final_norm: Option<NormWeights<D>>,
    /// Out of the residual stream, (embedding_size, hidden_size), where the widths differ.
    pub project_out: Option<Linear<D>>,
    /// (vocab_size, embedding_size); of the same tensor as the embedding where the model ties them.
    pub head: D::Matrix,
    /// Of each rope radians a position, (rope_dim / 2), in sequences up to its switch and beyond.
    pub inv_freq: Vec<[Vec<f32>; 2]>,
    /// ALiBi's slope of each head, or none.
    pub slopes: Vec<f32>,
}

/// One block. Norms that it has not are none.
pub struct Layer<D: Device> {
    /// Before attention, (hidden_size).
    pub attention_norm: Option<NormWeights<D>>,
    /// Queries, keys and values: ((heads + 2 · kv_heads) · head_dim, hidden_size).
    pub qkv: Linear<D>,
    /// Of queries and of keys: of a head, or of all heads.
    pub qk_norm: Option<[NormWeights<D>; 2]>,
    /// (hidden_size, heads · head_dim).
    pub attention_out: Linear<D>,
    /// After attention, (hidden_size).
    pub attention_post_norm: Option<NormWeights<D>>,
    /// Before the feed-forward layer, (hidden_size).
    pub ffn_norm: Option<NormWeights<D>>,
    /// Gate and up, (2 · intermediate_size, hidden_size), or up alone.
    pub gate_up: Linear<D>,
    /// (hidden_size, intermediate_size).
    pub ffn_down: Linear<D>,
    /// After the feed-forward layer, (hidden_size).
    pub ffn_post_norm: Option<NormWeights<D>>,
}

/// A projection.
pub struct Linear<D: Device> {
    /// (outputs, inputs).
    pub weight: D::Matrix,
    /// (outputs), where the model has one.
    pub bias: Option<D::Buffer>,
}

/// A norm's parameters.
pub struct NormWeights<D: Device> {
    /// What each component is multiplied by.
    pub gain: D::Buffer,
    /// What is added to it, where the model has one.
    pub bias: Option<D::Buffer>,
}

/// Rows for positions.
pub struct Place<D: Device> {
    /// (rows, hidden_size).
    pub table: D::Table,
    /// The row of position 0.
    pub offset: usize,
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
