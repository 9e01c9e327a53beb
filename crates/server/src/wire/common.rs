//! What several endpoints have in common.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One string or a list.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum Strings {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Strings {
    /// As a list.
    pub fn into_list(self) -> Vec<String> {
        match self {
            Strings::One(one) => vec![one],
            Strings::Many(many) => many,
        }
    }
}

/// How a stream is told.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Whether one more chunk with the usage comes before the end.
    pub include_usage: Option<bool>,
}

/// What an answer must be a text of, by vLLM's name; one of these.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct StructuredOutputs {
    /// JSON that this schema allows.
    pub json: Option<Value>,
    /// Any JSON object.
    pub json_object: Option<bool>,
    /// A text that this regular expression matches as a whole.
    pub regex: Option<String>,
    /// One of these.
    pub choice: Option<Vec<String>>,
    /// A text of this grammar, in llguidance's form of Lark's.
    pub grammar: Option<String>,
}

/// Tokens that a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageBody {
    /// Of the prompt, which is counted once whatever `n` is.
    pub prompt_tokens: usize,
    /// Of all answers.
    pub completion_tokens: usize,
    /// Of both.
    pub total_tokens: usize,
    /// Of the prompt.
    pub prompt_tokens_details: PromptDetails,
}

/// Tokens of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromptDetails {
    /// Those that were computed before, for this text or another that begins as it does.
    pub cached_tokens: usize,
}

impl UsageBody {
    /// Of counts.
    pub(crate) fn new(prompt_tokens: usize, cached_tokens: usize, completion_tokens: usize) -> UsageBody {
        UsageBody {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails { cached_tokens },
        }
    }
}

/// The models.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// Each.
    pub data: Vec<ModelCard>,
}

/// A model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelCard {
    /// Its name in requests.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// When the server was started, in seconds of Unix time.
    pub created: u64,
    /// `sai`.
    pub owned_by: &'static str,
    /// The model that it is an adapter of.
    pub parent: Option<String>,
    /// Tokens that a prompt and its answer may have, where the model is open.
    pub max_model_len: Option<usize>,
}

/// An object of JSON.
pub type Object = Map<String, Value>;
