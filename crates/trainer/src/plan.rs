//! What a recipe will take on machines that need not be here: memory, time and money.
//!
//! Nothing is run. Parameters are counted in the [`Layout`] that training uses, memory is [`Memory::of`]'s, operations are
//! [`TokenCost::training_operations`]'s; the one thing that is assumed is the share of its peak that a device reaches, which a
//! run that was made can tell ([`crate::measured`]).

mod fleet;

pub use fleet::{Accelerator, Fleet, Precision};

use crate::{BatchSize, Conversations, Error, FinetuneRecipe, Model, Recipe, base};
use sai_decoder::training::{Layout, Memory, Recompute};
use sai_decoder::{Config, Lora, TokenCost};
use serde::Serialize;
use std::path::Path;

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
    /// How many are trained: all, or an adapter's.
    pub trained: u64,
    /// Operations of training on a token: six for each weight of a matrix, or four where an adapter is trained, and attention.
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
    /// Tokens of a step; where conversations differ in length, of one in the mean.
    pub batch_tokens: u64,
    /// What a step is made of.
    pub unit: BatchUnit,
    /// Sequences of a step, or conversations or pairs.
    pub sequences: u64,
    /// Those that the busiest device has.
    pub sequences_per_device: u64,
    /// Tokens a second, all devices together.
    pub tokens_per_second: f64,
    /// Steps of the run.
    pub steps: u64,
    /// Tokens of the run.
    pub tokens: u64,
    /// Seconds of a step.
    pub step_seconds: f64,
    /// Seconds before the first step, in which the starting model is asked about every pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_seconds: Option<f64>,
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

/// What a step is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchUnit {
    /// Sequences of as many tokens as the context has.
    Sequences,
    /// Conversations.
    Conversations,
    /// Pairs of a chosen and a rejected conversation.
    Pairs,
    /// Conversations, and sequences of documents that are read again.
    Replayed,
}

/// What a plan needs to know of a run.
struct Load<'r> {
    config: Config,
    lora: Option<&'r Lora>,
    unit: BatchUnit,
    /// Tokens of a unit, and pairs of a token and one that it attends to, in the mean.
    tokens: f64,
    attended: f64,
    /// Units of a step.
    units: f64,
    steps: u64,
    /// Units that the run reads; of pairs how many the reference is asked about.
    read: u64,
    /// Rows of a pass at most, and of one unit.
    rows: usize,
    longest: usize,
    recompute: bool,
}

/// Plans `recipe`, which messages call `path`.
///
/// A step takes as long as the device with the most sequences; what devices send is assumed to hide behind backward.
///
/// # Errors
/// The shape of the model contradicts itself, there are more devices than sequences in a step, or a figure of the fleet
/// makes no sense.
pub fn plan(recipe: &Recipe, path: &Path, fleet: Fleet) -> Result<Plan, Error> {
    let config = match &recipe.model {
        Model::Shape(shape) => shape.config(recipe.context, path)?,
        Model::From { from } => base::open(from, recipe.context)?.0,
    };
    let context = recipe.context as f64;
    let load = Load {
        config,
        lora: None,
        unit: BatchUnit::Sequences,
        tokens: context,
        attended: context * (context + 1.0) / 2.0,
        units: recipe.sequences() as f64,
        steps: recipe.steps,
        read: 0,
        rows: recipe.micro_batch * recipe.context,
        longest: recipe.context,
        recompute: recipe.recompute,
    };
    load.plan(path, fleet)
}

/// Plans a fine-tuning on `conversations`, which were read with `recipe`, from a model described by `config`. Otherwise as
/// [`plan`]; a step has the mean of the conversations' tokens.
///
/// # Errors
/// As [`plan`].
pub fn plan_finetune(
    recipe: &FinetuneRecipe,
    path: &Path,
    config: &Config,
    conversations: &Conversations,
    fleet: Fleet,
) -> Result<Plan, Error> {
    let pairs = recipe.dpo.is_some();
    let (tokens, attended) = conversations.mean_work();
    let answered = match recipe.batch {
        BatchSize::Conversations(n) => n as f64,
        BatchSize::Tokens(most) => (most as f64 / tokens).floor().max(1.0),
    };
    // Sequences of documents that are read again are longer.
    let (context, replayed) = (recipe.context as f64, recipe.replayed() as f64);
    let mean =
        |of_one: f64, of_sequence: f64| (answered * of_one + replayed * of_sequence) / (answered + replayed);
    let load = Load {
        config: config.clone(),
        lora: recipe.lora.as_ref(),
        unit: match (pairs, &recipe.replay) {
            (true, _) => BatchUnit::Pairs,
            (false, None) => BatchUnit::Conversations,
            (false, Some(_)) => BatchUnit::Replayed,
        },
        tokens: mean(tokens, context),
        attended: mean(attended, context * (context + 1.0) / 2.0),
        units: answered + replayed,
        steps: conversations.steps(),
        read: if pairs { conversations.read_in_run().len() as u64 } else { 0 },
        rows: recipe.rows(),
        longest: recipe.rows() / recipe.micro_batch.max(1),
        recompute: recipe.recompute,
    };
    load.plan(path, fleet)
}

impl Load<'_> {
    fn plan(self, path: &Path, fleet: Fleet) -> Result<Plan, Error> {
        let wrong = |fact: String| Err(Error::Recipe { path: path.to_owned(), place: String::new(), fact });
        let (units, count) = (self.units as u64, fleet.count as u64);
        if count == 0 || count > units {
            return wrong(format!(
                "a step has {units} {} of {:.0} tokens, which {count} devices cannot share; give 1 to {units} devices, or \
                 a larger step",
                self.unit.name(),
                self.tokens
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
        let config = &self.config;
        // Of a frozen matrix backward computes one product, and not two.
        let frozen = if self.lora.is_some() { 2.0 / 3.0 } else { 1.0 };
        let whole = |attended| TokenCost::training_operations(config, self.tokens, attended) / self.tokens;
        let operations_per_token = whole(self.attended) * frozen;

        let units_per_device = units.div_ceil(count);
        let rows = self
            .rows
            .min(usize::try_from(units_per_device).unwrap_or(usize::MAX).saturating_mul(self.longest));
        let [kept, recomputed] = [Recompute::SwigluAndNorms, Recompute::Layers].map(|recompute| {
            let memory = match self.lora {
                Some(lora) => Memory::of_adapter(config, lora, rows, recompute),
                None => Memory::of(config, rows, recompute),
            };
            in_precision(memory, fleet.precision)
        });
        let memory = [Sharding::None, Sharding::Zero1, Sharding::Zero2, Sharding::Zero3]
            .map(|sharding| shard(sharding, &kept, recomputed.activations, count));

        let speed = fleet.share * fleet.peak();
        let step_seconds = units_per_device as f64 * self.tokens * operations_per_token / speed;
        // Forward is a third of training.
        let forward = self.tokens * whole(self.attended) / 3.0;
        let reference_seconds = (self.read > 0).then(|| self.read.div_ceil(count) as f64 * forward / speed);
        let seconds = self.steps as f64 * step_seconds + reference_seconds.unwrap_or(0.0);
        let device_hours = seconds / 3600.0 * count as f64;
        let batch_tokens = (units as f64 * self.tokens).round();
        let others = (count - 1) as f64 / count as f64;
        Ok(Plan {
            parameters: parameters(&Layout::of(config)?),
            trained: self.lora.map_or(config.parameters(), |lora| lora.parameters(config)),
            operations_per_token,
            attention_per_token: operations_per_token - whole(0.0) * frozen,
            activations: kept.activations,
            activations_recomputed: recomputed.activations,
            memory,
            recompute: self.recompute,
            batch_tokens: batch_tokens as u64,
            unit: self.unit,
            sequences: units,
            sequences_per_device: units_per_device,
            tokens_per_second: batch_tokens / step_seconds,
            steps: self.steps,
            tokens: (batch_tokens as u64).saturating_mul(self.steps),
            step_seconds,
            reference_seconds,
            seconds,
            device_hours,
            cost: fleet.price.map(|price| price * device_hours),
            sent_per_step: 2.0 * kept.gradients as f64 * others,
            fleet,
        })
    }
}

impl BatchUnit {
    /// As a person reads it.
    pub fn name(self) -> &'static str {
        match self {
            BatchUnit::Sequences => "sequences",
            BatchUnit::Conversations => "conversations",
            BatchUnit::Pairs => "pairs",
            BatchUnit::Replayed => "conversations and sequences",
        }
    }
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
            // The copy in f32 is of what is trained.
            optimiser: f32.optimiser + f32.gradients,
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
