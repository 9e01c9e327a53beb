//! What training takes, said before it begins.

use super::pass::Recompute;
use crate::{Config, Lora};
use sai_kernels::Training;

/// Bytes of logits that exist at a time.
const LOGITS_BYTES: usize = 32 << 20;

/// What training takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Parameters.
    pub parameters: u64,
    /// Their gradients.
    pub gradients: u64,
    /// AdamW's two moments.
    pub optimiser: u64,
    /// Activations, with the part of the logits that exists at a time.
    pub activations: u64,
    /// What the device's operations take besides, where [`Memory::on`] was asked.
    pub scratch: u64,
}

impl Memory {
    /// For passes of `rows` rows, where all parameters are trained.
    pub fn of(config: &Config, rows: usize, recompute: Recompute) -> Memory {
        Memory::with(config, config.parameters(), 0, rows, recompute)
    }

    /// The same, where an adapter is trained.
    pub fn of_adapter(config: &Config, lora: &Lora, rows: usize, recompute: Recompute) -> Memory {
        let adapter = lora.parameters(config);
        let mut memory = Memory::with(config, adapter, lora.rank, rows, recompute);
        memory.parameters = memory.parameters.saturating_add(adapter.saturating_mul(4));
        memory
    }

    /// The same, with the scratch of a device's operations for documents of up to `longest` rows.
    pub fn on<D: Training>(self, device: &D, config: &Config, longest: usize) -> Memory {
        Memory { scratch: device.scratch(config.heads(), longest), ..self }
    }

    fn with(config: &Config, trained: u64, rank: usize, rows: usize, recompute: Recompute) -> Memory {
        let shapes = Shapes::of(config, rank, rows, recompute);
        let kept: u64 = shapes.kept.iter().sum::<usize>() as u64 * shapes.kept_layers as u64;
        let stream = (config.num_layers as u64 + 1) * config.hidden_size as u64;
        let work = shapes.work.iter().sum::<usize>() as u64;
        let values = (kept + stream + work).saturating_mul(rows as u64);
        let logits = shapes.logits_rows as u64 * config.vocab_size as u64;
        Memory {
            parameters: config.parameters().saturating_mul(4),
            gradients: trained.saturating_mul(4),
            optimiser: trained.saturating_mul(8),
            activations: values.saturating_add(logits).saturating_mul(4),
            scratch: 0,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        [self.parameters, self.gradients, self.optimiser, self.activations, self.scratch]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Columns of the buffers of a [`super::Pass`].
pub(super) struct Shapes {
    /// Of what is kept of a layer, in the order of its fields.
    pub(super) kept: [usize; 6],
    pub(super) kept_layers: usize,
    /// Of what is written and read within a layer, likewise.
    pub(super) work: [usize; 9],
    pub(super) logits_rows: usize,
}

impl Shapes {
    pub(super) fn of(c: &Config, rank: usize, rows: usize, recompute: Recompute) -> Shapes {
        let (d, f, qkv) = (c.hidden_size, c.intermediate_size, c.heads().qkv_columns());
        let queries = c.num_heads * c.head_dim;
        Shapes {
            kept: [if c.qk_norm.is_some() { qkv } else { 0 }, qkv, queries, c.num_heads, d, 2 * f],
            kept_layers: if recompute == Recompute::Layers { 1 } else { c.num_layers },
            work: [c.ropes.first().map_or(0, |rope| rope.dim), d, f, d, d, d, queries, qkv, rank],
            logits_rows: (LOGITS_BYTES / 4 / c.vocab_size).clamp(1, rows.max(1)),
        }
    }
}
