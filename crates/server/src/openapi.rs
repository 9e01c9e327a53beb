//! `/openapi.json`: the API's description, made from its types.

use crate::handlers::{chat, completions, embeddings, models, responses, state, tokens};
use crate::wire::{ChatChunk, CompletionResponse};
use crate::{ErrorBody, body};
use axum::response::Response;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sai serve",
        description = "Chats, completions, responses and embeddings of compact language models, as OpenAI's clients speak them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        chat::chat,
        completions::completions,
        responses::responses,
        embeddings::embeddings,
        models::list,
        models::one,
        tokens::tokenize,
        tokens::detokenize,
        tokens::tokenizer_info,
        state::health,
        state::ready,
        state::metrics
    ),
    components(schemas(ErrorBody, ChatChunk, CompletionResponse))
)]
struct Api;

/// The description, of OpenAPI 3.1.
pub(crate) async fn openapi() -> Response {
    let mut api = Api::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    api.components.get_or_insert_default().add_security_scheme("key", bearer);
    body::json(&api)
}
