//! `/tokenize`, `/detokenize` and `/tokenizer_info`, in vLLM's shapes.

use super::ChatMessage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text, or a conversation, to be made tokens of.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct TokenizeRequest {
    /// A model's name; the first model where it is left out.
    pub model: Option<String>,
    /// A text.
    pub prompt: Option<String>,
    /// Or a conversation, as the model's template writes it.
    pub messages: Option<Vec<ChatMessage>>,
    /// Whether BOS opens the text where the model wants one; so where it is left out, but for conversations.
    pub add_special_tokens: Option<bool>,
    /// Whether a conversation ends with the opening of an answer; so where it is left out.
    pub add_generation_prompt: Option<bool>,
    /// Whether the tokens' texts are told too.
    pub return_token_strs: Option<bool>,
}

/// Tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokenizeResponse {
    /// How many.
    pub count: usize,
    /// Tokens that the model's context holds.
    pub max_model_len: usize,
    /// Their ids.
    pub tokens: Vec<u32>,
    /// Their texts, if wanted.
    pub token_strs: Option<Vec<String>>,
}

/// Ids to be made a text of.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct DetokenizeRequest {
    /// A model's name; the first model where it is left out.
    pub model: Option<String>,
    /// The ids.
    pub tokens: Vec<u32>,
}

/// A text; special tokens are written as they are spelled.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DetokenizeResponse {
    /// The text.
    pub prompt: String,
}

/// What is to be known of a model's vocabulary.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokenizerInfoResponse {
    /// What kind of vocabulary it is.
    pub tokenizer_class: String,
    /// Tokens.
    pub vocab_size: usize,
    /// Tokens that the model's context holds.
    pub model_max_length: usize,
    /// The text of the token that opens a text, if there is one.
    pub bos_token: Option<String>,
    /// The text of the token that ends one.
    pub eos_token: Option<String>,
    /// The text of the token that fills up.
    pub pad_token: Option<String>,
    /// The text of the token for what is unknown.
    pub unk_token: Option<String>,
    /// Whether BOS opens every text.
    pub add_bos_token: bool,
    /// How conversations are written, as a Jinja template.
    pub chat_template: Option<String>,
}
