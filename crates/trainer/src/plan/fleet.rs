//! Devices that a run may be planned for.

use serde::Serialize;

/// A device as its maker describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accelerator {
    /// What it is asked for by.
    pub name: String,
    /// Operations a second on bfloat16 with sums in f32, without sparsity; 0 where it has none worth using.
    pub bf16_flops: f64,
    /// The same on f32.
    pub f32_flops: f64,
    /// Bytes of its memory.
    pub memory: u64,
}

/// Published peaks, from NVIDIA's data sheets: name, TFLOP/s dense in bf16 and in f32, GB. Those of data centres are in
/// their SXM form where there is one.
const PUBLISHED: [(&str, f64, f64, u64); 8] = [
    ("a100-40g", 312.0, 19.5, 40),
    ("a100-80g", 312.0, 19.5, 80),
    ("h100", 989.4, 66.9, 80),
    ("h200", 989.4, 66.9, 141),
    ("b200", 2250.0, 75.0, 180),
    ("l40s", 362.0, 91.6, 48),
    ("rtx3090", 71.0, 35.6, 24),
    ("rtx4090", 165.2, 82.6, 24),
];

impl Accelerator {
    /// The devices whose figures are known.
    pub fn published() -> impl Iterator<Item = Accelerator> {
        PUBLISHED.iter().map(|&(name, bf16, f32, gb)| Accelerator {
            name: name.to_owned(),
            bf16_flops: bf16 * 1e12,
            f32_flops: f32 * 1e12,
            memory: gb * 1_000_000_000,
        })
    }

    /// One of them.
    pub fn named(name: &str) -> Option<Accelerator> {
        Accelerator::published().find(|known| known.name == name)
    }
}

/// In what numbers a model is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All in f32, as sai trains on the processor.
    F32,
    /// Weights, gradients and activations in bfloat16, AdamW's moments and a copy of the weights in f32: 16 bytes a
    /// parameter. Micikevicius et al. 2018.
    Bf16,
}

/// The devices of a run, and what is known of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fleet {
    /// What each is.
    pub device: Accelerator,
    /// How many there are: a rank on each.
    pub count: usize,
    /// In what numbers they compute.
    pub precision: Precision,
    /// The share of its peak that each reaches in whole steps.
    pub share: f64,
    /// What an hour of one costs, in any currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
}

impl Fleet {
    /// Operations a second that a device reaches at most.
    pub fn peak(&self) -> f64 {
        match self.precision {
            Precision::F32 => self.device.f32_flops,
            Precision::Bf16 => self.device.bf16_flops,
        }
    }
}
