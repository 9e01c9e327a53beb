//! The page at `/`: files that are part of the program, under a strict policy.

use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// A file of the page.
pub(crate) struct PageFile {
    /// Where it is: `/`, `/page.js`.
    pub(crate) path: &'static str,
    /// What it is.
    pub(crate) content_type: &'static str,
    /// Its bytes.
    pub(crate) bytes: &'static [u8],
}

/// All of them; `web/dist`, built, goes here with `include_bytes!`.
pub(crate) const FILES: &[PageFile] = &[];

/// Scripts and styles are the page's own, nothing is loaded from elsewhere, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is said where there is no page.
const NO_PAGE: &str =
    "sai serve: an API as OpenAI's clients speak it, under /v1; its description is /openapi.json\n";

/// A file of the page, or 404.
pub(crate) async fn file(uri: Uri) -> Response {
    let mut response = match FILES.iter().find(|file| file.path == uri.path()) {
        Some(file) => ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response(),
        None if uri.path() == "/" => NO_PAGE.into_response(),
        None => {
            let message = format!("there is no {} here; /openapi.json says what there is", uri.path());
            return crate::ApiError::refused(StatusCode::NOT_FOUND, message).into_response();
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
