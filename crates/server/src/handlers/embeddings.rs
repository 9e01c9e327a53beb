//! `/v1/embeddings`.

use super::completions::{check_count, tokens};
use super::{App, blocking};
use crate::error::ApiError;
use crate::job::{Job, Told};
use crate::wire::{
    EmbeddingBody, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EmbeddingVector, Prompt,
};
use crate::{body, error};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sai_generation::Pooling;
use std::sync::Arc;

/// Texts as vectors.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "embeddings", request_body = EmbeddingRequest,
    responses(
        (status = 200, body = EmbeddingResponse),
        (status = 400, description = "A field is wrong", body = error::ErrorBody),
        (status = 404, description = "There is no such model", body = error::ErrorBody),
        (status = 429, description = "More is asked than can be answered soon", body = error::ErrorBody),
    )
)]
pub(crate) async fn embeddings(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let asked: EmbeddingRequest = body::read(&headers, body, &app.limits).await?;
    let as_text = match asked.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            return Err(ApiError::field("encoding_format", format!("is `{other}`; give float or base64")));
        }
    };
    let pooling = match asked.pooling.as_deref() {
        None => app.pooling,
        Some("mean") => Pooling::Mean,
        Some("last") => Pooling::Last,
        Some(other) => return Err(ApiError::field("pooling", format!("is `{other}`; give mean or last"))),
    };
    let texts = asked.input.into_list();
    check_count(texts.len(), "input")?;
    let (loaded, permit) = app.begin(asked.model.as_deref(), texts.len()).await?;
    let width = loaded.model.decoder.config().hidden_size;
    if let Some(dimensions) = asked.dimensions.filter(|&dimensions| dimensions != width) {
        return Err(ApiError::field(
            "dimensions",
            format!("is {dimensions}; the model's vectors have {width}"),
        ));
    }
    let (of, several) = (Arc::clone(&loaded), texts.len() > 1);
    let lists = blocking(move || {
        let of_text = |(i, text): (usize, Prompt)| {
            let field = if several { format!("input[{i}]") } else { "input".to_owned() };
            let tokens = tokens(&of, text, true, &field)?;
            match tokens.len() > of.model.context {
                true => Err(ApiError::too_long(tokens.len(), of.model.context).about(&field)),
                false => Ok(tokens),
            }
        };
        texts.into_iter().enumerate().map(of_text).collect::<Result<Vec<Vec<u32>>, ApiError>>()
    })
    .await?;
    let prompt_tokens = lists.iter().map(Vec::len).sum();
    let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); lists.len()];
    let mut job = Job::new(Arc::clone(&loaded), Arc::clone(&app), permit);
    lists.into_iter().for_each(|tokens| job.embed(tokens, pooling));
    while let Some(told) = job.next().await? {
        if let Told::Embedding(i, embedding) = told {
            vectors[i] = embedding.vector;
        }
    }
    let body_of = |(index, vector): (usize, Vec<f32>)| {
        let embedding = match as_text {
            false => EmbeddingVector::Floats(vector),
            true => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                EmbeddingVector::Base64(STANDARD.encode(bytes))
            }
        };
        EmbeddingBody { object: "embedding", index, embedding }
    };
    Ok(body::json(&EmbeddingResponse {
        object: "list",
        data: vectors.into_iter().enumerate().map(body_of).collect(),
        model: loaded.name.clone(),
        pooling: if pooling == Pooling::Mean { "mean" } else { "last" },
        usage: EmbeddingUsage { prompt_tokens, total_tokens: prompt_tokens },
    }))
}
