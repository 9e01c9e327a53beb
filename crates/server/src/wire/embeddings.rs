//! `/v1/embeddings`.

use super::Prompts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Texts as vectors.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    /// A model's name; the first model where it is left out.
    pub model: Option<String>,
    /// One or more texts, or their ids.
    pub input: Prompts,
    /// `float`, or `base64`: little-endian floats of 32 bits.
    pub encoding_format: Option<String>,
    /// Not taken but where it is the model's own: a vector's components are not in the order of their weight.
    pub dimensions: Option<usize>,
    /// `mean` of all tokens' states, or that of the `last` token.
    pub pooling: Option<String>,
}

/// Vectors.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmbeddingResponse {
    /// `list`.
    pub object: &'static str,
    /// One for each text, in order.
    pub data: Vec<EmbeddingBody>,
    /// The model's name.
    pub model: String,
    /// How states became vectors: `mean` or `last`.
    pub pooling: &'static str,
    /// What it took.
    pub usage: EmbeddingUsage,
}

/// A vector of length 1.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmbeddingBody {
    /// `embedding`.
    pub object: &'static str,
    /// The text's number, from 0.
    pub index: usize,
    /// Its components, or they in base64.
    pub embedding: EmbeddingVector,
}

/// A vector's components.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EmbeddingVector {
    /// As numbers.
    Floats(Vec<f32>),
    /// In base64.
    Base64(String),
}

/// Tokens of the texts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Of all.
    pub prompt_tokens: usize,
    /// The same.
    pub total_tokens: usize,
}
