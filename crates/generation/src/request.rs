//! What can be asked of an engine, what it tells on the way, and what comes out.

use crate::{Candidate, Constraint, Draft, Sampling};
use serde::Serialize;
use std::time::Duration;

/// How to continue a text.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens of the answer at most.
    pub max_new_tokens: usize,
    /// Strings that end the answer, wherever they come; they are not part of it.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens each [`Step`] lists.
    pub candidates: usize,
    /// How tokens are guessed before they are chosen; the same tokens are chosen either way.
    pub draft: Draft,
    /// What the answer must be a text of.
    pub constraint: Option<Constraint>,
    /// Special tokens that are written into the text as they are spelled, and not passed over.
    pub shown_special: Vec<u32>,
    /// Beginnings are shared among requests of the same salt alone.
    pub cache_salt: Option<String>,
}

/// How to score a text.
#[derive(Clone, Debug, Default)]
pub struct ScoreRequest {
    /// The number of the first token that is scored; the text's first token has no score.
    pub first: usize,
    /// How many of the likeliest tokens are listed at each place.
    pub candidates: usize,
    /// Beginnings are shared among requests of the same salt alone.
    pub cache_salt: Option<String>,
}

/// How a text's hidden states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean over all tokens.
    #[default]
    Mean,
    /// That of the last token.
    Last,
}

/// A request's number in its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RequestId(pub(crate) u64);

/// What happens on the way.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many of the prompt's new tokens are computed.
    Prefill {
        /// Tokens computed.
        done: usize,
        /// Tokens to compute.
        total: usize,
    },
    /// A token was chosen.
    Step(&'a Step),
}

/// A chosen token and the text that became whole with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its id.
    pub token: u32,
    /// Text that can be shown now: whole characters, and no part of a stop string. Often one token's, sometimes
    /// none, sometimes more.
    pub text: String,
    /// Natural log of its probability under the model itself, whatever the sampling.
    pub logprob: f32,
    /// The likeliest tokens under the model itself, as many as [`Request::candidates`].
    pub raw: Vec<Candidate>,
    /// The likeliest tokens that the sampling left to choose from.
    pub processed: Vec<Candidate>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string came.
    Stop,
    /// It reached [`Request::max_new_tokens`].
    Length,
    /// Whoever listened broke off.
    Interrupted,
    /// The context is full.
    ContextFull,
    /// [`Request::constraint`] took more work than it may; the answer is not whole.
    ConstraintFailed,
}

/// What a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of those, tokens that were computed before, for this request's text or another that begins as it does.
    pub cached_tokens: usize,
    /// Tokens of the answer.
    pub completion_tokens: usize,
    /// Tokens that were guessed and computed before they were chosen.
    pub drafted_tokens: usize,
    /// Of those, tokens that were then chosen: passes that were saved.
    pub accepted_tokens: usize,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// From the call to the first pass that computes for it.
    pub queued: Duration,
    /// Computing the prompt's new tokens.
    pub prefill: Duration,
    /// From the call to the first token.
    pub time_to_first_token: Duration,
    /// Computing the tokens after the first.
    pub decode: Duration,
}

impl Timings {
    /// New prompt tokens a second.
    pub fn prefill_tok_s(&self, usage: &Usage) -> f64 {
        rate(usage.prompt_tokens - usage.cached_tokens, self.prefill)
    }

    /// Tokens a second after the first.
    pub fn decode_tok_s(&self, usage: &Usage) -> f64 {
        rate(usage.completion_tokens.saturating_sub(1), self.decode)
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<u32>,
    /// Its text.
    pub text: String,
    /// The token that ended it, where one did; it is no part of it.
    pub end: Option<Step>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What it took.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
}

/// The likelihood of a given text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Natural log of the probability of each scored token, given all before it.
    pub logprobs: Vec<f32>,
    /// For each of them, whether it is the likeliest, the first of several that are equally likely.
    pub greedy: Vec<bool>,
    /// For each of them, the likeliest tokens at its place, as many as [`ScoreRequest::candidates`].
    pub candidates: Vec<Vec<Candidate>>,
    /// What it took; the text is the prompt.
    pub usage: Usage,
}

/// A text as a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// (hidden_size); pooled after the model's final norm, and of length 1.
    pub vector: Vec<f32>,
    /// What it took; the text is the prompt.
    pub usage: Usage,
}

impl Scores {
    /// Adds a token by the logits of the row before it and the log of their sum.
    pub(crate) fn add(&mut self, token: u32, logits: &[f32], log_sum_exp: f32) {
        let token = token as usize;
        // A token that the model does not have is impossible.
        let logit = logits.get(token).copied().unwrap_or(f32::NEG_INFINITY);
        self.logprobs.push(logit - log_sum_exp);
        // Written so that no number at all is never the likeliest.
        let below = |(other, &value): (usize, &f32)| value < logit || (value == logit && other >= token);
        self.greedy.push(logits.iter().enumerate().all(below));
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Output {
    /// A text was continued.
    Completion(Completion),
    /// A text was scored.
    Scores(Scores),
    /// A text was embedded.
    Embedding(Embedding),
}
