//! # generation: from a model's files to text
//!
//! In: where a model is, and what a person wrote. Out: an answer as it comes, or the likelihood of a given text.
//!
//! [`Model::open`] brings together what the rooms below know apart: weights from `decoder`, a vocabulary and a
//! chat template from `tokenizer`, read from a GGUF file or a Hugging Face folder, held against each other and
//! against the memory that there is.
//!
//! Tokens go through the model in one place, the [`Engine`]: it takes any number of texts to continue and to score, fills each pass
//! with rows of as many as fit, and shares what texts begin with alike. It reads file by file as its nouns: what can be asked
//! (`request.rs`), which requests run and which of their rows come next (`schedule.rs`), beginnings of texts that are
//! computed already (`pages.rs`), one pass (`pass.rs`), an answer as it grows (`answer.rs`). [`Engine::step`] computes on the
//! caller's thread; an [`EngineHandle`] is the way to one on a thread of its own.
//!
//! A [`Session`] is one running text: an engine with one request at a time, so that a prompt that begins as the last one
//! ended costs only what is new. [`Sampling`] says how the next token
//! is chosen, with the definitions of `transformers` in the order of 42dot's example, and [`Draft`] how several are
//! guessed so that one pass checks them together; a [`Constraint`] says which may be chosen at all, by a JSON schema, a regular
//! expression or a grammar. [`score`], [`cross_entropy`] and [`perplexity`] judge a text instead of making
//! one, and a [`Bench`] how fast a model is; [`imatrix()`] watches a model read. The last two drive a [`Runner`], which an
//! engine stands on too: a decoder with its cache, on whichever device the model was opened.
//!
//! Whoever calls hears of every step through a closure and can stop at any; the text that reaches them is whole
//! syllables, with stop strings already taken out, wherever the borders of tokens lie. A request gets the same bits alone and
//! among others, but for models with weights in F32, F16 and BF16: fewer than 8 rows of a pass are multiplied with those as
//! dot products and more in panels, whose sums are rounded in another order (`kernels`, `cpu/float/mod.rs` says why).
//!
//! This room never prints, and reads no clock but to time its own work. Random choices come from a seed.

mod answer;
mod bench;
mod constraint;
pub mod convert;
mod draft;
mod engine;
mod error;
mod generation_config;
mod handle;
mod imatrix;
mod model;
mod pages;
mod pass;
mod prompt;
mod prompt_cache;
mod replies;
mod request;
mod sampling;
mod schedule;
mod scoring;
mod session;
mod stop;
mod vocabulary;

pub use bench::{Bench, BenchModel, BenchReport, RandomModel, Spread};
pub use constraint::{Constraint, Grammar, GrammarCompiler};
pub use draft::Draft;
pub use engine::{Engine, EngineOptions, EngineStats};
pub use error::Error;
pub use generation_config::GenerationConfig;
pub use handle::{EngineHandle, Listener, Stream, StreamEvent, Ticket};
pub use imatrix::imatrix;
pub use model::{DEFAULT_CONTEXT, LoadOptions, Model};
pub use prompt::ChatPrompt;
pub use prompt_cache::check_prompt_cache_target;
pub use replies::{Turn, answer, chat_replies, continuation};
pub use request::{
    Completion, Embedding, Event, FinishReason, Output, Pooling, Request, RequestId, ScoreRequest, Scores,
    Step, Timings, Usage,
};
pub use sai_decoder::{
    CacheType, Config, Error as DecoderError, Imatrix, LoadedDecoder, Memory, Mix, Plan, Runner,
};
pub use sai_formats::{Source, gguf::Override};
pub use sai_tokenizer::{
    ChatTemplate, DateTime, Message, SpecialTokens, TemplateError, TemplateInput, Tokenizer,
};
pub use sampling::{Candidate, SampledToken, Sampler, Sampling, processors};
pub use scoring::{CrossEntropy, Perplexity, cross_entropy, perplexity, score};
pub use session::Session;
pub use vocabulary::{open_tokenizer, open_tokenizer_with};
