//! `/tokenize`, `/detokenize` and `/tokenizer_info`.

use super::{App, blocking};
use crate::conversation::Conversation;
use crate::error::ApiError;
use crate::wire::{
    DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse, TokenizerInfoResponse,
};
use crate::{body, error};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;

/// The tokens of a text, or of a conversation.
#[utoipa::path(
    post, path = "/tokenize", tag = "tokens", request_body = TokenizeRequest,
    responses((status = 200, body = TokenizeResponse), (status = 400, description = "A field is wrong", body = error::ErrorBody))
)]
pub(crate) async fn tokenize(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let asked: TokenizeRequest = body::read(&headers, body, &app.limits).await?;
    let loaded = app.registry.get(asked.model.as_deref()).await?;
    let response = blocking(move || {
        let model = &loaded.model;
        let tokens = match (&asked.prompt, &asked.messages) {
            (Some(text), None) if asked.add_special_tokens.unwrap_or(true) => model.encode_text(text),
            (Some(text), None) => model.tokenizer.encode(text),
            (None, Some(messages)) => {
                let add_generation_prompt = asked.add_generation_prompt.unwrap_or(true);
                Conversation { messages, add_generation_prompt, ..Conversation::default() }
                    .prompt(&loaded)?
                    .tokens
            }
            _ => return Err(ApiError::field("prompt", "or `messages`: give one of them")),
        };
        let text = |&token: &u32| model.tokenizer.decode_with_special(&[token]);
        let token_strs = asked.return_token_strs.unwrap_or(false).then(|| tokens.iter().map(text).collect());
        Ok(TokenizeResponse { count: tokens.len(), max_model_len: model.context, tokens, token_strs })
    });
    Ok(body::json(&response.await?))
}

/// The text of tokens.
#[utoipa::path(
    post, path = "/detokenize", tag = "tokens", request_body = DetokenizeRequest,
    responses((status = 200, body = DetokenizeResponse), (status = 400, description = "A field is wrong", body = error::ErrorBody))
)]
pub(crate) async fn detokenize(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let asked: DetokenizeRequest = body::read(&headers, body, &app.limits).await?;
    let loaded = app.registry.get(asked.model.as_deref()).await?;
    let tokenizer = &loaded.model.tokenizer;
    let size = tokenizer.vocab_size();
    if let Some(at) = asked.tokens.iter().position(|&token| token as usize >= size) {
        let fact = format!("is {}; the vocabulary has 0 to {}", asked.tokens[at], size - 1);
        return Err(ApiError::field(format!("tokens[{at}]"), fact));
    }
    Ok(body::json(&DetokenizeResponse { prompt: tokenizer.decode_with_special(&asked.tokens) }))
}

/// What is to be known of the first model's vocabulary.
#[utoipa::path(get, path = "/tokenizer_info", tag = "tokens", responses((status = 200, body = TokenizerInfoResponse)))]
pub(crate) async fn tokenizer_info(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let loaded = app.registry.get(None).await?;
    let (model, tokenizer) = (&loaded.model, &loaded.model.tokenizer);
    let text = |token: Option<u32>| token.map(|token| tokenizer.decode_with_special(&[token]));
    Ok(body::json(&TokenizerInfoResponse {
        tokenizer_class: "PreTrainedTokenizerFast".to_owned(),
        vocab_size: tokenizer.vocab_size(),
        model_max_length: model.context,
        bos_token: text(tokenizer.bos()),
        eos_token: text(tokenizer.eos().first().copied()),
        pad_token: text(tokenizer.pad()),
        unk_token: text(tokenizer.unk()),
        add_bos_token: tokenizer.add_bos(),
        chat_template: model.template.as_ref().and_then(|template| template.source()).map(str::to_owned),
    }))
}
