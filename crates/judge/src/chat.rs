//! One question to one model, whoever it is: what is asked, what comes back, and the trait that contestants and judges share.

use crate::Error;
use sai_generation::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::AtomicBool;

/// What is asked of a model.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The conversation; the last turn is the one to answer.
    pub messages: Vec<Message>,
    /// Tokens of the answer at most.
    pub max_tokens: usize,
    /// 0 takes the likeliest tokens.
    pub temperature: f32,
    /// Of what is drawn by chance.
    pub seed: u64,
    /// The JSON schema of the answer, for a service that can hold itself to one.
    pub schema: Option<Value>,
}

/// How an answer ended that gave a reason which is not known: with a text it is one, without there is none.
pub(crate) fn unknown_finish(text: &str) -> Finish {
    if text.trim().is_empty() { Finish::Filtered } else { Finish::Stop }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// By itself.
    Stop,
    /// It reached its limit of tokens: what there is of it is a part.
    Length,
    /// The service held it back.
    Filtered,
    /// It could not be asked: the prompt does not fit, or the service refuses this one. The text says why.
    Refused,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Its text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens that were read, where the service says so.
    #[serde(default)]
    pub prompt_tokens: Option<u64>,
    /// Tokens that were made, where the service says so.
    #[serde(default)]
    pub completion_tokens: Option<u64>,
    /// Seconds that it took, waiting for a turn not counted.
    #[serde(default)]
    pub seconds: f64,
    /// The service's whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
}

impl Reply {
    /// A reply of a text alone, as from a file.
    pub fn plain(text: impl Into<String>) -> Reply {
        Reply {
            text: text.into(),
            finish: Finish::Stop,
            prompt_tokens: None,
            completion_tokens: None,
            seconds: 0.0,
            raw: None,
        }
    }
}

/// Tokens of one answer or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Those that were read.
    pub prompt_tokens: u64,
    /// Those that were made.
    pub completion_tokens: u64,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum ChatError {
    /// None can be had of this model, whatever is asked: the run ends.
    Fatal(Error),
    /// It failed as often as may be tried. The same command asks again.
    Failed(String),
    /// It was told to stop.
    Stopped,
}

/// Whom prompts and answers are put to: a model on the engine, or a service.
pub trait ChatModel: Sync {
    /// What it is called.
    fn name(&self) -> &str;

    /// What tells it from others: its weights, or its address and name. Never a key.
    fn identity(&self) -> String;

    /// Asks once, and waits for the answer. Several threads may ask at a time.
    ///
    /// # Errors
    /// There is no reply; one that refuses this request alone is a [`Reply`] with [`Finish::Refused`].
    fn ask(&self, request: &ChatRequest, stop: &AtomicBool) -> Result<Reply, ChatError>;

    /// Seconds that so many tokens take to read and to write, one request by itself.
    fn seconds(&self, prompt_tokens: f64, completion_tokens: f64) -> f64;

    /// Whether a price is paid for its tokens.
    fn is_paid(&self) -> bool;

    /// Tokens of answers that came and were of no use, since this was last asked for: they are paid for too.
    fn take_unread(&self) -> Usage {
        Usage::default()
    }
}
