//! Bodies in and out: JSON within limits, with the path of what is wrong in it.

use crate::error::ApiError;
use crate::options::Limits;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a request's body as JSON.
///
/// # Errors
/// It is not said to be JSON, too long, too slow, or not of the form of `T`: then with the field's path.
pub(crate) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<T, ApiError> {
    // A page of another site can send text without asking, and JSON only after it has asked.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "the body must be JSON: send the header `Content-Type: application/json`";
        return Err(ApiError::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let collected = tokio::time::timeout(limits.body_time, Limited::new(body, limits.body_bytes).collect());
    let bytes = match collected.await {
        Err(_) => {
            let message = format!("the body did not arrive within {} s", limits.body_time.as_secs());
            return Err(ApiError::refused(StatusCode::REQUEST_TIMEOUT, message));
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is longer than {} bytes", limits.body_bytes);
            return Err(ApiError::refused(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Err(error)) => return Err(ApiError::bad_request(format!("the body cannot be read: {error}"))),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    parse(&bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, fact) = (error.path().to_string(), error.inner().to_string());
        match error.inner().classify() {
            serde_json::error::Category::Data if path != "." => {
                ApiError::field(path, format!("is wrong: {fact}"))
            }
            serde_json::error::Category::Data => ApiError::bad_request(fact),
            _ => ApiError::bad_request(format!("the body is not JSON: {fact}")),
        }
    })?;
    json.end().map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))?;
    Ok(value)
}

/// A value as a body of JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    struct Asked {
        #[serde(default)]
        _list: Vec<u32>,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let error = parse::<Asked>(br#"{"_list": [1, "two"]}"#).unwrap_err();
        assert_eq!(error.error.param.as_deref(), Some("_list[1]"));
        assert!(parse::<Asked>(br#"{"unknown": 1}"#).is_ok());
    }

    #[test]
    fn broken_text_is_an_error_and_not_a_panic() {
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        // What is passed over is walked through without a stack.
        let deep_field = [&b"{\"x\":"[..], &deep, b"}"].concat();
        for bytes in [&b"{\"_list\": \xff}"[..], b"{", b"", b"{} {}", b"\"\\ud800\"", &deep] {
            assert_eq!(parse::<Asked>(bytes).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
        assert!(parse::<Asked>(&deep_field).is_ok());
    }
}
