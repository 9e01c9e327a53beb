//! `/v1/responses`, without a memory: each request brings the whole conversation.

use super::{JsonSchema, Object, ResponseFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What is to be answered.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct ResponsesRequest {
    /// A model's name; the first model where it is left out.
    pub model: Option<String>,
    /// A text, or messages, calls and what came of them.
    #[schema(value_type = Object)]
    pub input: Value,
    /// What the model is told first.
    pub instructions: Option<String>,
    /// Tokens of the answer at most.
    pub max_output_tokens: Option<usize>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// Whether the answer is streamed, as events.
    pub stream: Option<bool>,
    /// Functions that may be called.
    pub tools: Option<Vec<ResponsesTool>>,
    /// `none`, `auto`, `required`, or `{"type": "function", "name": …}`.
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    /// Whether several calls may come at once; so where it is left out.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub text: Option<ResponsesText>,
    /// Not taken: nothing is kept.
    pub previous_response_id: Option<String>,
    /// Not taken where it is true: nothing is done behind the client's back.
    pub background: Option<bool>,
    /// Not taken: nothing is kept.
    #[schema(value_type = Option<Object>)]
    pub conversation: Option<Value>,
    /// Variables of the model's template, such as `enable_thinking`.
    #[schema(value_type = Option<Object>)]
    pub chat_template_kwargs: Option<Object>,
    /// Requests of another salt, or of none, share no cache with this one.
    pub cache_salt: Option<String>,
    /// What comes back as it is.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Object>,
}

/// A function that may be called.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ResponsesTool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// A JSON schema of its arguments.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
}

/// The form of an answer.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ResponsesText {
    /// `{"type": "text" | "json_object" | "json_schema", "schema": …}`.
    pub format: Option<ResponsesFormat>,
}

/// The form of an answer, flat.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ResponsesFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The schema's name.
    pub name: Option<String>,
    /// The schema.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
}

impl ResponsesFormat {
    /// As of chats.
    pub(crate) fn nested(&self) -> ResponseFormat {
        let json_schema = JsonSchema { name: self.name.clone(), schema: self.schema.clone(), strict: None };
        ResponseFormat { kind: self.kind.clone(), json_schema: Some(json_schema) }
    }
}

/// An answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ResponsesResponse {
    /// Its name.
    pub id: String,
    /// `response`.
    pub object: &'static str,
    /// When, in seconds of Unix time.
    pub created_at: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub status: &'static str,
    /// The model's name.
    pub model: String,
    /// What was thought, said and is to be called.
    #[schema(value_type = Vec<Object>)]
    pub output: Vec<Value>,
    /// Why it is not complete.
    #[schema(value_type = Option<Object>)]
    pub incomplete_details: Option<Value>,
    /// Null: what fails has a status of its own.
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// As it was asked.
    pub instructions: Option<String>,
    /// As it was asked.
    #[schema(value_type = Object)]
    pub metadata: Object,
    /// As it was asked.
    pub parallel_tool_calls: bool,
    /// As it was asked.
    #[schema(value_type = Object)]
    pub tool_choice: Value,
    /// As they were asked.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Value>,
    /// As it was asked.
    pub temperature: Option<f32>,
    /// As it was asked.
    pub top_p: Option<f32>,
    /// As it was asked.
    pub max_output_tokens: Option<usize>,
    /// False: nothing is kept.
    pub store: bool,
    /// What it took, at the end.
    pub usage: Option<ResponsesUsage>,
}

/// Tokens that an answer took.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ResponsesUsage {
    /// Of the prompt.
    pub input_tokens: usize,
    /// Of the prompt.
    pub input_tokens_details: super::PromptDetails,
    /// Of the answer.
    pub output_tokens: usize,
    /// Of the answer.
    pub output_tokens_details: OutputDetails,
    /// Of both.
    pub total_tokens: usize,
}

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct OutputDetails {
    /// Not told apart: 0.
    pub reasoning_tokens: usize,
}
