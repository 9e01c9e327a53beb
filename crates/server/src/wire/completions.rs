//! `/v1/completions`.

use super::{ResponseFormat, StreamOptions, Strings, StructuredOutputs, UsageBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A text to be continued.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// A model's name; the first model where it is left out.
    pub model: Option<String>,
    /// One or more texts, or their ids. Ids are taken as they are: no BOS is added.
    pub prompt: Prompts,
    /// Continuations of each that are wanted, 1 to 128.
    pub n: Option<usize>,
    /// Not taken but where it is as much as `n`.
    pub best_of: Option<usize>,
    /// Of the random numbers; without one they are others each time.
    pub seed: Option<i64>,
    /// Strings that end an answer, and are no part of it; at most 16.
    pub stop: Option<Strings>,
    /// Tokens of an answer at most, 16 where it is left out; 0 with `echo` tells of the prompt alone.
    pub max_tokens: Option<usize>,
    /// 0 to 2; 0 takes the likeliest token always.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// Tokens that are drawn from, at most; 0 or -1 is all.
    pub top_k: Option<i64>,
    /// 0 to 1: the least share of the likeliest token's probability.
    pub min_p: Option<f32>,
    /// More than 0; over 1, tokens of the prompt and the answer become less likely.
    pub repetition_penalty: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// What is added to the logits of tokens, by their ids; -100 to 100.
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// Log-probabilities of tokens, and so many of the likeliest at each place, 0 to 20; 0 still tells those of the tokens.
    pub logprobs: Option<usize>,
    /// Whether the prompt leads its continuation, with its log-probabilities where they are wanted.
    pub echo: Option<bool>,
    /// Not taken: the models continue texts, and do not fill gaps.
    pub suffix: Option<String>,
    /// Whether the answer is streamed.
    pub stream: Option<bool>,
    /// Wants `stream`.
    pub stream_options: Option<StreamOptions>,
    /// As of `/v1/chat/completions`.
    pub response_format: Option<ResponseFormat>,
    /// What an answer must be a text of.
    pub structured_outputs: Option<StructuredOutputs>,
    /// Whether BOS opens a text where the model wants one; so where it is left out.
    pub add_special_tokens: Option<bool>,
    /// Requests of another salt, or of none, share no cache with this one.
    pub cache_salt: Option<String>,
}

/// One or more texts, or their ids.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a string, a list of strings, a list of token ids, or a list of such lists"
)]
pub enum Prompts {
    /// A text.
    Text(String),
    /// The ids of a text.
    Tokens(Vec<u32>),
    /// Texts.
    Texts(Vec<String>),
    /// The ids of texts.
    TokenLists(Vec<Vec<u32>>),
}

impl Default for Prompts {
    fn default() -> Prompts {
        Prompts::Text(String::new())
    }
}

/// One of [`Prompts`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

impl Prompts {
    /// Each.
    pub(crate) fn into_list(self) -> Vec<Prompt> {
        match self {
            Prompts::Text(text) => vec![Prompt::Text(text)],
            Prompts::Tokens(tokens) => vec![Prompt::Tokens(tokens)],
            Prompts::Texts(texts) => texts.into_iter().map(Prompt::Text).collect(),
            Prompts::TokenLists(lists) => lists.into_iter().map(Prompt::Tokens).collect(),
        }
    }
}

/// Continued texts, or a piece of them in a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CompletionResponse {
    /// Its name.
    pub id: String,
    /// `text_completion`.
    pub object: &'static str,
    /// When, in seconds of Unix time.
    pub created: u64,
    /// The model's name.
    pub model: String,
    /// `n` of the first prompt, then those of the second.
    pub choices: Vec<CompletionChoice>,
    /// What it took; in a stream null but in the last chunk, and left out where it is not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<UsageBody>>,
}

/// A continued text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CompletionChoice {
    /// Its number, from 0.
    pub index: usize,
    /// Its text.
    pub text: String,
    /// Log-probabilities, if wanted.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop` or `length`; null before the last piece of a stream.
    pub finish_reason: Option<&'static str>,
}

/// Log-probabilities of tokens, of the prompt's too where it is echoed.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct CompletionLogprobs {
    /// Texts of the tokens; one that is no whole text is `bytes:\x…`.
    pub tokens: Vec<String>,
    /// Natural logs of their probabilities; null for a text's first.
    pub token_logprobs: Vec<Option<f64>>,
    /// The likeliest in each place, and the token itself.
    #[schema(value_type = Vec<Option<std::collections::BTreeMap<String, f64>>>)]
    pub top_logprobs: Option<Vec<Option<serde_json::Map<String, Value>>>>,
    /// Where each begins, in characters.
    pub text_offset: Vec<usize>,
}
