//! # decoder: the model
//!
//! In: a model's files, opened by `formats`. Out: logits for any rows of any sequences.
//!
//! A [`Config`] describes a relative of LLaMA by facts: widths, heads, norms, how positions turn. It is read
//! from `config.json` or from GGUF metadata and checked as a whole, so that what follows can rely on it.
//! [`Decoder::load`] binds it to its tensors, under either naming, and refuses any that is missing or of another
//! shape. [`Decoder::forward`] is the paper's equations over a [`sai_kernels::Device`], once: prefill, decoding,
//! scoring and many users at once are the same call with other rows.
//!
//! A [`KvCache`] keeps what attention needs of earlier tokens, in pages that sequences can share:
//! [`fork`](KvCache::fork) costs nothing until one side writes, [`truncate`](KvCache::truncate) takes back,
//! [`free`](KvCache::free) gives up.
//!
//! A [`Plan`] turns a model's tensors into other types, and an [`Imatrix`], which a [`ActivationRecorder`] makes while the model
//! reads a text, says which errors matter.
//!
//! [`training`] is the same model with gradients, in f32. A [`Lora`] says which matrices small ones are trained in place of;
//! [`merge`] puts an adapter of that kind, sai's or [`peft`'s](PeftAdapter), into the model's own.
//!
//! This room has no SIMD (`kernels` does) and no threads but those that a plan is written with, knows no text (`tokenizer` does), and chooses no token
//! (`generation` does). It never prints.

mod activation_recorder;
mod batch;
mod config;
mod converted_tensor;
mod error;
mod forward;
mod imatrix;
mod kv_cache;
mod lora;
mod memory;
mod model;
mod quantize;
mod rope;
pub mod training;
mod unused_tensors;
mod weights;
mod work;

pub use activation_recorder::ActivationRecorder;
pub use batch::{Batch, LogitRows};
pub use config::Config;
pub use converted_tensor::{ConvertedTensor, KEPT_TYPES, ToGguf, to_gguf, to_hugging_face, unused_tensors};
pub use error::Error;
pub use forward::RunState;
pub use imatrix::Imatrix;
pub use kv_cache::{KvCache, Sequence};
pub use lora::{Lora, PeftAdapter, Target, WeightDelta, merge};
pub use memory::Memory;
pub use model::{Decoder, Layer, Linear};
pub use quantize::{Mix, Plan, PlannedTensor};
pub use rope::{Rope, RopeScaling};
pub use sai_kernels::{CacheType, Cpu, Device, Limits, RopeStyle};
pub use work::TokenCost;
