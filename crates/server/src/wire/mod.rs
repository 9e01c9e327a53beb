//! The API's types: what comes in and what goes out, by the names of OpenAI's API where it has them.
//!
//! Fields that a request does not have and those that are `null` are the same. Fields that are not listed are passed over.

mod chat;
mod common;
mod completions;
mod embeddings;
mod responses;
mod tokens;

pub use chat::*;
pub use common::*;
pub use completions::*;
pub use embeddings::*;
pub use responses::*;
pub use tokens::*;
