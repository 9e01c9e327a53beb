//! How the server is: `/health`, `/ready`, `/metrics`.

use super::App;
use crate::body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Whether the server answers at all.
#[utoipa::path(get, path = "/health", tag = "state", responses((status = 200, description = "It does")))]
pub(crate) async fn health() -> Response {
    body::json(&json!({ "status": "ok" }))
}

/// Whether the server takes requests: a model is open, and it is not about to end.
#[utoipa::path(
    get, path = "/ready", tag = "state",
    responses((status = 200, description = "It does"), (status = 503, description = "Not now"))
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let status = match app.draining.load(Ordering::SeqCst) {
        true => "draining",
        false => "ready",
    };
    let code = if status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, body::json(&json!({ "status": status }))).into_response()
}

/// What is counted, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "state", responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app.metrics.text(&app.admission, &app.registry.open_models());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
