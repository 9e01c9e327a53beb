//! # server: an HTTP API over the engine
//!
//! In: models by name, and how much to take on. Out: a server that OpenAI's clients speak to, for chats, completions,
//! responses and embeddings.
//!
//! A request goes one way. [`guard`](guard.rs) looks at its host, its origin and its key; `body.rs` reads its JSON within
//! limits; a handler (`handlers/`) holds each field to its range and writes the prompt (`conversation.rs`, `settings.rs`,
//! `tool_choice.rs`); `admission.rs` takes it on or says when to come again; a `Job` (`job.rs`) is the way to an engine of
//! `generation` and back, token by token; `reply/` takes the text apart into thoughts, words and calls of tools; and what goes out
//! is a type of [`wire`], as is what comes in, so that the description at `/openapi.json` is made from them.
//!
//! All that can be wrong with a request is found before the first byte of the answer. What fails later is an event with an error,
//! after which the stream ends without `[DONE]`.
//!
//! A job that is dropped takes its texts back from the engine before its next pass: a client that leaves costs no more than that.
//! Models are opened when they are first asked for and closed for others' room (`registry.rs`). A request's text is never logged.
//!
//! This room has no logic of models: which token comes next is `generation`'s business. It reads no environment and no files, and
//! never prints; it tells what it does by `tracing`.

mod admission;
mod body;
mod conversation;
mod error;
mod guard;
mod handlers;
mod job;
mod keys;
mod metrics;
mod openapi;
mod options;
mod page;
mod registry;
mod reply;
mod server;
mod settings;
mod tool_choice;
pub mod wire;

pub use error::{ApiError, ErrorBody, ErrorObject};
pub use keys::ApiKeys;
pub use options::{Limits, ModelEntry, OpenError, Opener, ServerOptions};
pub use server::Server;
