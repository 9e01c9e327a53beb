//! # generation: from a model's files to text
//!
//! In: where a model is, and what a person wrote. Out: an answer as it comes, or the likelihood of a given text.
//!
//! [`Model::open`] brings together what the rooms below know apart: weights from `decoder`, a vocabulary and a
//! chat template from `tokenizer`, read from a GGUF file or a Hugging Face folder, held against each other and
//! against the memory that there is. A [`Session`] is one running text over a model: it keeps what it has computed,
//! so that a prompt that begins as the last one ended costs only what is new. [`Sampling`] says how the next token
//! is chosen, with the definitions of `transformers` in the order of 42dot's example, and [`Draft`] how several are
//! guessed so that one pass checks them together. [`score`], [`cross_entropy`] and [`perplexity`] judge a text instead of making one, and
//! a [`Bench`] how fast a model is; [`imatrix()`] watches a model read.
//!
//! Whoever calls hears of every step through a closure and can stop at any; the text that reaches them is whole
//! syllables, with stop strings already taken out, wherever the borders of tokens lie.
//!
//! This room never prints, and reads no clock but to time its own work. Random choices come from a seed.

mod answer;
mod bench;
pub mod convert;
mod draft;
mod error;
mod generation_config;
mod imatrix;
mod model;
mod prompt;
mod prompt_cache;
mod replies;
mod sampling;
mod scoring;
mod session;
mod stop;
mod vocabulary;

pub use bench::{Bench, BenchModel, BenchReport, RandomModel, Spread};
pub use draft::Draft;
pub use error::Error;
pub use generation_config::GenerationConfig;
pub use imatrix::imatrix;
pub use model::{DEFAULT_CONTEXT, LoadOptions, Model};
pub use prompt::ChatPrompt;
pub use replies::{Turn, answer, chat_replies, continuation};
pub use sai_decoder::{CacheType, Config, Device, Imatrix, Memory, Mix, Plan};
pub use sai_formats::{Source, gguf::Override};
pub use sai_tokenizer::{ChatTemplate, DateTime, Message, TemplateError, Tokenizer};
pub use sampling::{Candidate, SampledToken, Sampler, Sampling, processors};
pub use scoring::{CrossEntropy, Perplexity, cross_entropy, perplexity, score};
pub use session::{Completion, Event, FinishReason, Request, Session, Step, Timings, Usage};
pub use vocabulary::{open_tokenizer, open_tokenizer_with};
