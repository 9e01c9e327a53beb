//! `/v1/chat/completions`.

use super::{Object, StreamOptions, Strings, StructuredOutputs, UsageBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A conversation to be answered.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// A model's name; the first model where it is left out.
    pub model: Option<String>,
    /// The conversation; at least one message.
    pub messages: Vec<ChatMessage>,
    /// Answers that are wanted, 1 to 128.
    pub n: Option<usize>,
    /// Of the random numbers; without one they are others each time.
    pub seed: Option<i64>,
    /// Strings that end an answer, and are no part of it; at most 16.
    pub stop: Option<Strings>,
    /// Tokens of an answer at most. The older name.
    pub max_tokens: Option<usize>,
    /// Tokens of an answer at most; what the context has room for where it is left out.
    pub max_completion_tokens: Option<usize>,
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
    /// Whether log-probabilities of the answer's tokens are told.
    pub logprobs: Option<bool>,
    /// How many of the likeliest tokens are told at each place, 0 to 20; wants `logprobs`.
    pub top_logprobs: Option<usize>,
    /// Whether the answer is streamed.
    pub stream: Option<bool>,
    /// Wants `stream`.
    pub stream_options: Option<StreamOptions>,
    /// Whether the last message, an assistant's, is continued, in place of an answer to it.
    pub continue_final_message: Option<bool>,
    /// Whether the prompt ends with the opening of an answer; as it does where this is left out.
    pub add_generation_prompt: Option<bool>,
    /// Whether the answer is led by the message that it continues.
    pub echo: Option<bool>,
    /// Functions that may be called.
    pub tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required`, or `{"type": "function", "function": {"name": …}}`.
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    /// Whether several calls may come at once; so where it is left out.
    pub parallel_tool_calls: Option<bool>,
    /// `{"type": "text" | "json_object" | "json_schema", "json_schema": {"schema": …}}`.
    pub response_format: Option<ResponseFormat>,
    /// What the answer must be a text of.
    pub structured_outputs: Option<StructuredOutputs>,
    /// Variables of the model's template, such as `enable_thinking`.
    #[schema(value_type = Option<Object>)]
    pub chat_template_kwargs: Option<Object>,
    /// Requests of another salt, or of none, share no cache with this one.
    pub cache_salt: Option<String>,
    /// Not taken: give `tools`.
    #[schema(value_type = Option<Object>)]
    pub functions: Option<Value>,
}

/// A message.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Text, or parts `{"type": "text", "text": …}`.
    #[schema(value_type = Option<Object>)]
    pub content: Option<Value>,
    /// What an assistant thought.
    pub reasoning_content: Option<String>,
    /// Calls that an assistant made.
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a tool answers.
    pub tool_call_id: Option<String>,
    /// Who it is from.
    pub name: Option<String>,
}

/// A call in a message.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ToolCall {
    /// Its name among calls.
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

fn function() -> String {
    "function".to_owned()
}

/// A function and what it is called with.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// An object of JSON, as text.
    #[schema(value_type = Option<String>)]
    pub arguments: Option<Value>,
}

/// A function that may be called.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Tool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is.
    pub function: Function,
}

/// A function.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON schema of its arguments.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether calls keep to the schema; they do where a call is required, whatever is said.
    #[serde(skip_serializing)]
    pub strict: Option<bool>,
}

/// The form of an answer.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `json_schema`.
    pub json_schema: Option<JsonSchema>,
}

/// A schema with its name.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct JsonSchema {
    /// Its name.
    pub name: Option<String>,
    /// The schema.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Taken and not needed: a schema is always kept to.
    pub strict: Option<bool>,
}

/// An answered conversation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatResponse {
    /// Its name.
    pub id: String,
    /// `chat.completion`.
    pub object: &'static str,
    /// When, in seconds of Unix time.
    pub created: u64,
    /// The model's name.
    pub model: String,
    /// As many as `n`.
    pub choices: Vec<ChatChoice>,
    /// What it took.
    pub usage: UsageBody,
}

/// An answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatChoice {
    /// Its number, from 0.
    pub index: usize,
    /// What is said.
    pub message: AnswerMessage,
    /// Log-probabilities, if wanted.
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: &'static str,
}

/// An answer's message.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: &'static str,
    /// What is said; null beside calls without words.
    pub content: Option<String>,
    /// What was thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// What is to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<CallBody>>,
    /// Null: this server refuses nothing in an answer's place.
    pub refusal: Option<String>,
}

/// A call of an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallBody {
    /// Its number, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Its name among calls.
    pub id: String,
    /// `function`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is called.
    pub function: CalledFunction,
}

/// A function and its arguments.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CalledFunction {
    /// Its name.
    pub name: String,
    /// An object of JSON, as text.
    pub arguments: String,
}

/// Log-probabilities of an answer's tokens.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct ChatLogprobs {
    /// One for each token.
    pub content: Vec<TokenLogprob>,
}

/// A token, how likely it was, and what was likely in its place.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokenLogprob {
    /// Its text.
    pub token: String,
    /// Under the model itself, before temperature and penalties.
    pub logprob: f64,
    /// Its bytes, which may be a part of a character.
    pub bytes: Vec<u8>,
    /// The likeliest, in order.
    pub top_logprobs: Vec<TopLogprob>,
}

/// A token and how likely it was.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// Natural log of its probability.
    pub logprob: f64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatChunk {
    /// The answer's name.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: &'static str,
    /// When, in seconds of Unix time.
    pub created: u64,
    /// The model's name.
    pub model: String,
    /// One, or none beside the usage.
    pub choices: Vec<ChunkChoice>,
    /// Null but in the last chunk; left out where it is not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<UsageBody>>,
}

/// What a piece adds to an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChunkChoice {
    /// The answer's number.
    pub index: usize,
    /// What is added.
    pub delta: Delta,
    /// Of the tokens since the last piece.
    pub logprobs: Option<ChatLogprobs>,
    /// In the answer's last piece.
    pub finish_reason: Option<&'static str>,
}

/// What is added.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Delta {
    /// `assistant`, in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What was thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// What is to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<CallBody>>,
}
