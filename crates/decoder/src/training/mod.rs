//! # training: the model's own pass, there and back
//!
//! In: packed rows of tokens with the borders of their documents, and what each row should have said. Out: gradients
//! of every parameter, or the rows' log-likelihoods alone.
//!
//! A [`Model`] is a [`Layout`] of named tensors in one arena of parameters, and an arena of gradients beside it; a
//! [`Moments`] is the third that AdamW needs. A [`Pass`] holds all activations, made before the first step, so that
//! [`Memory`] can say beforehand what a run takes. The pass is written once over [`sai_kernels::Training`]:
//! [`Model::forward_backward`] reads like the forward of [`crate::Decoder`], and then upside down.
//!
//! ```
//! use sai_decoder::{Config, Cpu, training::{AdamW, Model, Moments, Packed, Pass, Recompute}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let text = r#"{"model_type": "llama", "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24,
//! #   "num_hidden_layers": 1, "num_attention_heads": 2, "tie_word_embeddings": true}"#;
//! let config = Config::from_json(text, "config.json".as_ref())?;
//! let mut model = Model::new(Cpu::new(2), config, 42)?;
//! let mut moments = Moments::new(&model, 0..model.layout.len())?;
//! let mut pass = Pass::new(&model, 8, Recompute::SwigluAndNorms)?;
//! // Two documents of four tokens; the last token of each has no successor.
//! let (tokens, targets) = ([1, 2, 3, 4, 5, 6, 7, 8], [2, 3, 4, 0, 6, 7, 8, 0]);
//! let weights = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
//! let packed = Packed { tokens: &tokens, targets: &targets, weights: &weights, documents: &[0..4, 4..8] };
//! let before = model.forward_backward(&mut pass, &packed, 1.0 / 6.0, 0.0)?;
//! let clip = (1.0 / model.gradient_norm()).min(1.0);
//! model.step(&mut moments, &AdamW::default(), 1e-2, clip);
//! let after = model.forward_backward(&mut pass, &packed, 1.0 / 6.0, 0.0)?;
//! assert!(after.loss < before.loss);
//! # Ok(())
//! # }
//! ```
//!
//! Trained are the facts of LLaMA, Mistral without a window, Qwen2 and Qwen3: RMSNorm before, norms of queries and keys,
//! rotary positions alike in all layers, SwiGLU, biases. A model with another is refused by its name ([`Layout::of`]).
//!
//! A model made by [`Model::adapt`] trains an [`Adapter`] in place of its parameters; all else is said and done the same.
//! A loss that is not a sum of the rows' own, as of preferences, goes through [`Model::forward_weigh_backward`].
//!
//! The same seed, rows and settings give the same bits; on the CPU on any number of threads.

mod adapter;
mod backward;
mod init;
mod layout;
mod memory;
mod model;
mod pass;
mod products;

pub use adapter::Adapter;
pub use layout::{Layout, ParameterInfo};
pub use memory::Memory;
pub use model::{AdamW, Model, Moments};
pub use pass::{Packed, Pass, PassStats, Recompute};
pub use sai_kernels::{LossSums, Training};
