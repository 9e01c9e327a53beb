//! # decoder: the model
//!
//! In: a model's files, opened by `formats`. Out: logits for any rows of any sequences.
//!
//! A [`Config`] describes a decoder by facts: widths, heads, norms and where they stand, how positions count, what bends
//! the feed-forward layer. It is read from `config.json` or from GGUF metadata, to which a row for each family adds what
//! they leave unsaid (`family.rs`), and checked as a whole, so that what follows can rely on it.
//! [`Decoder::load`] binds it to its tensors, under either naming, and refuses any that is missing or of another
//! shape. [`Decoder::forward`] is the paper's equations over a [`sai_kernels::Device`], once: prefill, decoding,
//! scoring and many users at once are the same call with other rows.
//!
//! A [`KvCache`] keeps what attention needs of earlier tokens, in [`Pages`] that sequences can share:
//! [`fork`](Pages::fork) costs nothing until one side writes, [`truncate`](Pages::truncate) takes back,
//! [`free`](Pages::free) gives up, and [`keep`](Pages::keep) saves a page for whoever may begin with it later. A [`Runner`] is a
//! decoder with its cache and activations, on a device that those above need not know.
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
mod family;
mod form;
mod forward;
mod imatrix;
mod kv_cache;
mod lora;
mod memory;
mod model;
mod pages;
mod quantize;
mod rope;
mod runner;
pub mod training;
mod unused_tensors;
mod weights;
mod work;

pub use activation_recorder::ActivationRecorder;
pub use batch::{Batch, LogitRows};
pub use config::{Config, LayerConfig, Norm, NormPlace, Positions, QkNorm};
pub use converted_tensor::{ConvertedTensor, KEPT_TYPES, ToGguf, to_gguf, to_hugging_face, unused_tensors};
pub use error::Error;
pub use forward::RunState;
pub use imatrix::Imatrix;
pub use kv_cache::KvCache;
pub use lora::{Lora, PeftAdapter, Target, WeightDelta, merge};
pub use memory::Memory;
pub use model::{Decoder, Layer, Linear, NormWeights, Place};
pub use pages::{Extended, Pages, Sequence};
pub use quantize::{Mix, Plan, PlannedTensor};
pub use rope::{Rope, RopeScaling};
pub use runner::{DecoderRunner, LoadedDecoder, Runner, load};
pub use sai_kernels::{Activation, CacheType, Cpu, Device, Limits, NormKind, RopeStyle};
pub use work::TokenCost;
