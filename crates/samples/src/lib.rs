//! # samples: what a small model is made from
//!
//! In: a [`SampleRecipe`], and the documents and conversations that it names. Out: a folder of documents to train on,
//! of conversations to learn to answer from, and of both that are held out.
//!
//! [`sample`](fn@sample) reads each file once and draws evenly, each text as likely as any other, without knowing how
//! many there will be: [`DocumentSampler`] is that drawing, and the trainer of vocabularies uses it too. What is drawn
//! is cleaned as plainly as a small model needs it (markup of technical documentation, a share of prose); the cleaning
//! of raw web text is a room of its own.
//!
//! Beside what is drawn stands text made by rule: [`Rules`] are a small grammar of topics, of which conversations and
//! short documents follow, number by number, from a seed. Nothing can fail while they are made: what could not be filled
//! in is refused with its line when the rules are read.
//!
//! Which texts are drawn, made and held out depends on the seed and the files, and not on the number of threads. This
//! room prints nothing and knows nothing of tokens.

mod draw;
mod error;
mod random;
pub mod rules;
mod sample;

pub use draw::{DocumentSampler, SampleSize, SampledDocuments};
pub use error::Error;
pub use rules::Rules;
pub use sample::{
    Clean, ConversationCheck, Conversations, Count, Documents, Progress, RulesShare, SampleRecipe, Sampled,
    sample,
};
