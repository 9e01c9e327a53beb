//! What a recipe will take on machines that need not be here: memory, time and money.
//!
//! Nothing is run. Parameters are counted in the [`Layout`] that training uses, memory is [`Memory::of`]'s, operations are
//! [`Work::training_operations`]'s; the one thing that is assumed is the share of its peak that a device reaches, which a
//! run that was made can tell ([`crate::measured`]).

use crate::{Error, Model, Recipe, base};
use sai_decoder::Work;
use sai_decoder::training::{Layout, Memory, Recompute};
use serde::Serialize;
use std::path::Path;

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

/// Parameters by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// The input embedding; also the head where the two are tied.
    pub embedding: u64,
    /// The head, where it is a matrix of its own.
    pub head: u64,
    /// Query, key, value and output.
    pub attention: u64,
    /// Gate, up and down.
    pub feed_forward: u64,
    /// Gains of the norms.
    pub norms: u64,
    /// All of them.
    pub total: u64,
}

/// Which parts of a run's memory ranks share out among them. Rajbhandari et al. 2020.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharding {
    /// None: each rank holds all.
    None,
    /// The optimiser's state, as sai does.
    Zero1,
    /// Gradients too.
    Zero2,
    /// Weights too, but for those of a layer at a time.
    Zero3,
}

/// Bytes of a device under a sharding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sharded {
    /// What is shared out.
    pub sharding: Sharding,
    /// Bytes of weights.
    pub weights: u64,
    /// Bytes of gradients.
    pub gradients: u64,
    /// Bytes of the optimiser's state.
    pub optimizer: u64,
    /// All, with activations kept.
    pub kept: u64,
    /// All, with activations computed again.
    pub recomputed: u64,
}

/// What a recipe takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What it runs on.
    pub fleet: Fleet,
    /// Parameters by part.
    pub parameters: Parameters,
    /// Operations of training on a token: six for each weight of a matrix, and attention.
    pub operations_per_token: f64,
    /// Of these attention's, where each sequence is one document; shorter ones take less.
    pub attention_per_token: f64,
    /// Bytes of activations that a device keeps for backward.
    pub activations: u64,
    /// The same where a layer's are computed again.
    pub activations_recomputed: u64,
    /// Bytes of a device under each sharding.
    pub memory: [Sharded; 4],
    /// Whether the recipe computes activations again.
    pub recompute: bool,
    /// Tokens of a step.
    pub batch_tokens: u64,
    /// Sequences of a step.
    pub sequences: u64,
    /// Sequences of a step that the busiest device has.
    pub sequences_per_device: u64,
    /// Tokens a second, all devices together.
    pub tokens_per_second: f64,
    /// Steps of the run.
    pub steps: u64,
    /// Tokens of the run.
    pub tokens: u64,
    /// Seconds of a step.
    pub step_seconds: f64,
    /// Seconds of the run, without validation and checkpoints.
    pub seconds: f64,
    /// Hours of all devices.
    pub device_hours: f64,
    /// Their price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Bytes that a device sends in a step: its gradients to where they are summed, and the weights that it stepped to all
    /// others.
    pub sent_per_step: f64,
}

/// Plans `recipe`, which messages call `path`.
///
/// A step takes as long as the device with the most sequences; what devices send is assumed to hide behind backward.
///
/// # Errors
/// The shape of the model contradicts itself, there are more devices than sequences in a step, or a figure of the fleet
/// makes no sense.
pub fn plan(recipe: &Recipe, path: &Path, fleet: Fleet) -> Result<Plan, Error> {
    let wrong = |fact: String| Err(Error::Recipe { path: path.to_owned(), place: String::new(), fact });
    let (sequences, count) = (recipe.sequences(), fleet.count as u64);
    if count == 0 || count > sequences {
        return wrong(format!(
            "a step has {sequences} sequences of {} tokens, which {count} devices cannot share; give 1 to {sequences} \
             devices, or another `batch_tokens`",
            recipe.context
        ));
    }
    if !(fleet.share > 0.0 && fleet.share <= 1.0) {
        return wrong(format!("a share of {} of the peak is not above 0 and at most 1", fleet.share));
    }
    if !(fleet.peak().is_finite() && fleet.peak() > 0.0) {
        return wrong(format!("{} has no peak for this precision", fleet.device.name));
    }
    if fleet.price.is_some_and(|price| !(price.is_finite() && price >= 0.0)) {
        return wrong("the price of an hour is no amount of money".to_owned());
    }
    let config = match &recipe.model {
        Model::Shape(shape) => shape.config(recipe.context, path)?,
        Model::From { from } => base::open(from, recipe.context)?.0,
    };
    let context = recipe.context as f64;
    let operations = |pairs| Work::training_operations(&config, context, pairs) / context;
    let operations_per_token = operations(context * (context + 1.0) / 2.0);

    let sequences_per_device = sequences.div_ceil(count);
    let rows = recipe.micro_batch.min(sequences_per_device as usize) * recipe.context;
    let [kept, recomputed] = [Recompute::SwigluAndNorms, Recompute::Layers]
        .map(|recompute| in_precision(Memory::of(&config, rows, recompute), fleet.precision));
    let memory = [Sharding::None, Sharding::Zero1, Sharding::Zero2, Sharding::Zero3]
        .map(|sharding| shard(sharding, &kept, recomputed.activations, count));

    let step_seconds =
        sequences_per_device as f64 * context * operations_per_token / (fleet.share * fleet.peak());
    let seconds = recipe.steps as f64 * step_seconds;
    let device_hours = seconds / 3600.0 * count as f64;
    let others = (count - 1) as f64 / count as f64;
    Ok(Plan {
        parameters: parameters(&Layout::of(&config)?),
        operations_per_token,
        attention_per_token: operations_per_token - operations(0.0),
        activations: kept.activations,
        activations_recomputed: recomputed.activations,
        memory,
        recompute: recipe.recompute,
        batch_tokens: recipe.batch_tokens,
        sequences,
        sequences_per_device,
        tokens_per_second: recipe.batch_tokens as f64 / step_seconds,
        steps: recipe.steps,
        tokens: recipe.tokens(),
        step_seconds,
        seconds,
        device_hours,
        cost: fleet.price.map(|price| price * device_hours),
        sent_per_step: (kept.gradients + kept.parameters) as f64 * others,
        fleet,
    })
}

fn parameters(layout: &Layout) -> Parameters {
    let mut found = Parameters { total: layout.len() as u64, ..Parameters::default() };
    for tensor in layout.tensors() {
        let part = match &tensor.name {
            name if name.contains("embed_tokens") => &mut found.embedding,
            name if name.contains("lm_head") => &mut found.head,
            name if name.contains("self_attn") => &mut found.attention,
            name if name.contains("mlp") => &mut found.feed_forward,
            _ => &mut found.norms,
        };
        *part += tensor.view.range().len() as u64;
    }
    found
}

/// What f32 takes, in another precision.
fn in_precision(f32: Memory, precision: Precision) -> Memory {
    match precision {
        Precision::F32 => f32,
        Precision::Bf16 => Memory {
            parameters: f32.parameters / 2,
            gradients: f32.gradients / 2,
            optimiser: f32.optimiser + f32.parameters,
            activations: f32.activations / 2,
            scratch: f32.scratch / 2,
        },
    }
}

fn shard(sharding: Sharding, whole: &Memory, recomputed: u64, ranks: u64) -> Sharded {
    let part = |bytes: u64, shared: bool| if shared { bytes.div_ceil(ranks) } else { bytes };
    let shared = |from: Sharding| sharding as u8 >= from as u8;
    let weights = part(whole.parameters, shared(Sharding::Zero3));
    let gradients = part(whole.gradients, shared(Sharding::Zero2));
    let optimizer = part(whole.optimiser, shared(Sharding::Zero1));
    let states = [weights, gradients, optimizer, whole.scratch].into_iter().fold(0, u64::saturating_add);
    Sharded {
        sharding,
        weights,
        gradients,
        optimizer,
        kept: states.saturating_add(whole.activations),
        recomputed: states.saturating_add(recomputed),
    }
}
