//! What a model takes of memory, known before it is loaded.

use crate::{Config, RunState};
use sai_kernels::{CacheShape, CacheType, PAGE};

/// Bytes that a model needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The file's tensors; mapped, but all of them are read for every token.
    pub weights: u64,
    /// Keys and values of a full context.
    pub kv_cache: u64,
    /// Activations of the largest pass.
    pub activations: u64,
}

impl Memory {
    /// For `weights` bytes of tensors and a cache of `positions` tokens.
    pub fn of(config: &Config, weights: u64, positions: usize, dtype: CacheType) -> Memory {
        Memory {
            weights,
            kv_cache: cache_shape(config, positions, dtype).bytes(),
            activations: RunState::<sai_kernels::Cpu>::bytes(config),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv_cache).saturating_add(self.activations)
    }
}

/// Storage for `positions` tokens, in whole pages.
pub(crate) fn cache_shape(config: &Config, positions: usize, dtype: CacheType) -> CacheShape {
    CacheShape {
        layers: config.num_layers,
        kv_heads: config.num_kv_heads,
        head_dim: config.head_dim,
        pages: positions.div_ceil(PAGE),
        dtype,
    }
}
