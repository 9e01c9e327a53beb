//! What a client is told when a request cannot be answered: OpenAI's error object, with the field's name.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// An error's body, as OpenAI's API has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorObject,
}

/// What is wrong with a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorObject {
    /// One line: the field, the fact, the way out.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field that is wrong, by its path: `messages[0].content`.
    pub param: Option<String>,
    /// A word for programs, such as `context_length_exceeded`.
    pub code: Option<&'static str>,
}

/// An [`ErrorObject`] with its status.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The status of the answer.
    pub status: StatusCode,
    /// Its body.
    pub error: ErrorObject,
    /// After how many seconds to try again.
    pub retry_after: Option<u64>,
}

const INVALID: &str = "invalid_request_error";

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> ApiError {
        let error = ErrorObject { message: message.into(), kind, param: None, code: None };
        ApiError { status, error, retry_after: None }
    }

    /// A request that is wrong as a whole: status 400.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, INVALID, message)
    }

    /// A field that is wrong: status 400. The message follows the field's name.
    pub fn field(param: impl Into<String>, fact: impl std::fmt::Display) -> ApiError {
        let param = param.into();
        let mut error = ApiError::bad_request(format!("`{param}` {fact}"));
        error.error.param = Some(param);
        error
    }

    /// A wrong request with a status of its own.
    pub fn refused(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError::new(status, INVALID, message)
    }

    /// No key, or none that is known: status 401.
    pub fn unauthorized(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "authentication_error", message).code("invalid_api_key")
    }

    /// More is asked than can be answered soon: status 429.
    pub fn busy(retry_after: u64) -> ApiError {
        let message =
            format!("the server has as many requests as it can answer soon; try again in {retry_after} s");
        let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        error.retry_after = Some(retry_after);
        error.code("rate_limit_exceeded")
    }

    /// The server cannot, for now: status 503.
    pub fn unavailable(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message)
    }

    /// The server failed: status 500.
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// The same with a word for programs.
    pub fn code(mut self, code: &'static str) -> ApiError {
        self.error.code = Some(code);
        self
    }

    /// The same with the name of the field that it is about.
    pub fn about(mut self, param: &str) -> ApiError {
        self.error.param = Some(param.to_owned());
        self
    }

    /// As the body of an answer, or of an event in a stream that has begun.
    pub fn body(&self) -> ErrorBody {
        ErrorBody { error: self.error.clone() }
    }
}

/// What the engine says of a request: most is the client's to put right.
impl From<sai_generation::Error> for ApiError {
    fn from(error: sai_generation::Error) -> ApiError {
        use sai_generation::Error;
        match error {
            Error::PromptTooLong { tokens, context } => ApiError::too_long(tokens, context),
            Error::EmptyPrompt | Error::Sampling { .. } | Error::Template(_) | Error::Grammar { .. } => {
                ApiError::bad_request(error.to_string())
            }
            Error::Decoder(inner @ sai_generation::DecoderError::TokenOutOfRange { .. }) => {
                ApiError::bad_request(inner.to_string())
            }
            Error::EngineStopped => ApiError::unavailable(error.to_string()).code(crate::job::ENGINE_STOPPED),
            _ => ApiError::internal(error.to_string()),
        }
    }
}

impl ApiError {
    /// A prompt that the context does not hold.
    pub fn too_long(tokens: usize, context: usize) -> ApiError {
        ApiError::bad_request(format!(
            "the prompt has {tokens} tokens and the model's context holds {context}; shorten it"
        ))
        .code("context_length_exceeded")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, crate::body::json(&self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
