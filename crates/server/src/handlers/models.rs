//! `/v1/models`.

use super::App;
use crate::error::{self, ApiError};
use crate::registry::About;
use crate::{body, wire};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use wire::{ModelCard, ModelList};

fn card(about: About, created: u64) -> ModelCard {
    ModelCard {
        id: about.name,
        object: "model",
        created,
        owned_by: "sai",
        parent: about.parent,
        max_model_len: about.context,
    }
}

/// The models that may be asked for.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = ModelList)))]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Response {
    let created = app.registry.created;
    let data = app.registry.list().into_iter().map(|about| card(about, created)).collect();
    body::json(&ModelList { object: "list", data })
}

/// One of them.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "models", params(("model" = String, Path, description = "A model's name")),
    responses((status = 200, body = ModelCard), (status = 404, description = "There is no such model", body = error::ErrorBody))
)]
pub(crate) async fn one(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let created = app.registry.created;
    let all = app.registry.list();
    match all.into_iter().find(|about| about.name == name) {
        Some(about) => Ok(body::json(&card(about, created))),
        None => {
            let error = ApiError::refused(StatusCode::NOT_FOUND, format!("there is no model `{name}`"));
            Err(error.about("model").code("model_not_found"))
        }
    }
}
