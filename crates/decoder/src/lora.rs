//! Low-rank adapters: small matrices that are trained in place of a model's own. Hu et al. 2021.
//!
//! A matrix `w` becomes `w + alpha / rank · b · a`, with `a` of (rank, inputs) and `b` of (outputs, rank). At rest an
//! adapter is a folder as the `peft` library writes it: `adapter_config.json` and `adapter_model.safetensors`.

mod merge;
mod peft;

pub use merge::merge;
pub use peft::{PeftAdapter, WeightDelta};

use crate::{Config, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What PEFT's names begin with.
const PREFIX: &str = "base_model.model.";

/// Which matrices are adapted, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lora {
    /// Columns of `b` and rows of `a`.
    pub rank: usize,
    /// The change is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Matrices of every layer, each once.
    pub targets: Vec<Target>,
}

/// A matrix that every layer has, by Hugging Face's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// Queries.
    #[serde(rename = "q_proj")]
    Query,
    /// Keys.
    #[serde(rename = "k_proj")]
    Key,
    /// Values.
    #[serde(rename = "v_proj")]
    Value,
    /// What attention writes into the residual stream.
    #[serde(rename = "o_proj")]
    Output,
    /// SwiGLU's gate.
    #[serde(rename = "gate_proj")]
    Gate,
    /// What the gate multiplies.
    #[serde(rename = "up_proj")]
    Up,
    /// What SwiGLU writes into the residual stream.
    #[serde(rename = "down_proj")]
    Down,
}

/// One of an adapter's two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factor {
    /// (rank, inputs)
    A,
    /// (outputs, rank)
    B,
}

impl Target {
    /// All of them: what PEFT calls `all-linear`, and what Dettmers et al. 2023 found to be needed to learn as much as full
    /// training does.
    pub const ALL: [Target; 7] =
        [Target::Query, Target::Key, Target::Value, Target::Output, Target::Gate, Target::Up, Target::Down];

    /// As `target_modules` has it: `q_proj`.
    pub fn name(self) -> &'static str {
        match self {
            Target::Query => "q_proj",
            Target::Key => "k_proj",
            Target::Value => "v_proj",
            Target::Output => "o_proj",
            Target::Gate => "gate_proj",
            Target::Up => "up_proj",
            Target::Down => "down_proj",
        }
    }

    /// Its module in a layer: `model.layers.0.self_attn.q_proj`.
    pub(crate) fn module(self, layer: usize) -> String {
        let block = match self {
            Target::Query | Target::Key | Target::Value | Target::Output => "self_attn",
            Target::Gate | Target::Up | Target::Down => "mlp",
        };
        format!("model.layers.{layer}.{block}.{}", self.name())
    }

    /// PEFT's name of a factor's tensor.
    pub(crate) fn tensor(self, layer: usize, factor: Factor) -> String {
        let factor = match factor {
            Factor::A => "lora_A",
            Factor::B => "lora_B",
        };
        format!("{PREFIX}{}.{factor}.weight", self.module(layer))
    }

    /// (outputs, inputs)
    fn size(self, c: &Config) -> [usize; 2] {
        let (d, f) = (c.hidden_size, c.intermediate_size);
        let (queries, keys) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
        match self {
            Target::Query => [queries, d],
            Target::Key | Target::Value => [keys, d],
            Target::Output => [d, queries],
            Target::Gate | Target::Up => [f, d],
            Target::Down => [d, f],
        }
    }
}

impl Lora {
    /// What the change is multiplied by.
    pub fn scale(&self) -> f32 {
        (self.alpha / self.rank as f64) as f32
    }

    /// Values that are trained.
    pub fn parameters(&self, config: &Config) -> u64 {
        let each = |target: &Target| target.size(config).iter().map(|&n| n as u64).sum::<u64>();
        let sum: u64 = self.targets.iter().map(each).sum();
        sum.saturating_mul(self.rank as u64).saturating_mul(config.num_layers as u64)
    }

    /// Holds the numbers against the model.
    pub(crate) fn check(&self, config: &Config) -> Result<(), Error> {
        let wrong = |fact: String| Err(Error::Training { fact });
        let width = config.hidden_size;
        if self.rank == 0 || self.rank > width {
            let rank = self.rank;
            return wrong(format!("an adapter of rank {rank}; it is to be 1 to the model's width, {width}"));
        }
        if !self.scale().is_finite() || self.alpha <= 0.0 {
            return wrong(format!("an adapter with alpha {}; it is to be above 0", self.alpha));
        }
        for (i, target) in self.targets.iter().enumerate() {
            if self.targets[..i].contains(target) {
                return wrong(format!("an adapter that names `{}` twice", target.name()));
            }
        }
        match self.targets.is_empty() {
            true => wrong("an adapter of no matrices; name at least one, as q_proj".to_owned()),
            false => Ok(()),
        }
    }

    /// `adapter_config.json`, as PEFT reads it. `base` is a folder or a Hub id of the model that is adapted.
    pub fn to_peft(&self, base: Option<&str>) -> Map<String, Value> {
        let targets: Vec<&str> = self.targets.iter().map(|target| target.name()).collect();
        let alpha = match self.alpha {
            whole if whole.fract() == 0.0 && whole < 1e15 => json!(whole as u64),
            alpha => json!(alpha),
        };
        let fields = [
            ("base_model_name_or_path", json!(base)),
            ("bias", json!("none")),
            ("fan_in_fan_out", json!(false)),
            ("inference_mode", json!(true)),
            ("init_lora_weights", json!(true)),
            ("lora_alpha", alpha),
            ("lora_dropout", json!(0.0)),
            ("peft_type", json!("LORA")),
            ("r", json!(self.rank)),
            ("target_modules", json!(targets)),
            ("task_type", json!("CAUSAL_LM")),
            ("use_dora", json!(false)),
            ("use_rslora", json!(false)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
