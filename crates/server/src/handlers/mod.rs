//! The endpoints.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod logprobs;
pub(crate) mod models;
pub(crate) mod responses;
mod sse;
pub(crate) mod state;
pub(crate) mod tokens;

use crate::admission::{Admission, Permit};
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::options::Limits;
use crate::registry::{Loaded, Registry};
use sai_generation::FinishReason;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

/// What all endpoints share.
pub(crate) struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) pooling: sai_generation::Pooling,
    /// No request is taken any more.
    pub(crate) draining: AtomicBool,
}

impl App {
    /// The model that is asked for, and places for so many answers.
    pub(crate) async fn begin(
        &self,
        model: Option<&str>,
        answers: usize,
    ) -> Result<(Arc<Loaded>, Arc<Permit>), ApiError> {
        let permit = Arc::new(self.admission.admit(answers)?);
        let loaded = self.registry.get(model).await;
        if let Err(ApiError { error, .. }) = &loaded
            && error.code == Some("model_unavailable")
        {
            tracing::warn!(fact = error.message, "model not opened");
        }
        Ok((loaded?, permit))
    }
}

/// Runs what takes long where waiting is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(ApiError::internal("the request could not be read")),
    }
}

/// Seconds of Unix time.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Why an answer ended, in OpenAI's words.
///
/// # Errors
/// It did not end as an answer does.
pub(crate) fn finish_reason(reason: FinishReason) -> Result<&'static str, ApiError> {
    match reason {
        FinishReason::Stop => Ok("stop"),
        FinishReason::Length | FinishReason::ContextFull => Ok("length"),
        FinishReason::Interrupted => Err(ApiError::internal("the answer was broken off")),
        FinishReason::ConstraintFailed => Err(ApiError::internal(
            "the grammar takes more work than it may at this place of the answer; make it simpler",
        )),
    }
}

/// How many tokens an answer may have: as many as are asked for, and as the context has room for.
///
/// # Errors
/// The prompt leaves no room.
pub(crate) fn room(loaded: &Loaded, prompt: usize, asked: Option<usize>) -> Result<usize, ApiError> {
    let context = loaded.model.context;
    if prompt == 0 {
        return Err(ApiError::bad_request(
            "the prompt is empty; the model needs at least one token to continue",
        ));
    }
    if prompt >= context {
        return Err(ApiError::too_long(prompt, context));
    }
    Ok(asked.unwrap_or(usize::MAX).min(context - prompt))
}
