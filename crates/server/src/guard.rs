//! What every request passes: its name, the host it is for, the page it is from, whose key it has; and what is logged of it.

use crate::error::ApiError;
use crate::handlers::App;
use crate::keys::ApiKeys;
use crate::settings::new_id;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Letters of a request's name at most.
const LONGEST_ID: usize = 128;

/// Who may ask, and from where.
pub(crate) struct Guard {
    pub(crate) app: Arc<App>,
    pub(crate) keys: ApiKeys,
    pub(crate) hosts: Vec<String>,
    pub(crate) any_host: bool,
    pub(crate) origins: Vec<String>,
}

/// Lets a request through or says why not, and logs what came of it.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut log =
        Log { guard: &guard, id: &id, route: &route, method: &method, began, who: None, status: None };

    let passed = guard.check(&request, &route);
    let mut response = match passed {
        Ok(Passed::Preflight) => StatusCode::NO_CONTENT.into_response(),
        Ok(Passed::As(who)) => {
            log.who = who.map(str::to_owned);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    log.status = Some(response.status());
    drop(log);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    // Answers are nobody's to keep; the page says for itself how it is kept.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    guard.allow(origin, response.headers_mut());
    response
}

enum Passed<'g> {
    /// A browser asks whether it may ask.
    Preflight,
    /// By whose key.
    As(Option<&'g str>),
}

impl Guard {
    fn check(&self, request: &Request, route: &str) -> Result<Passed<'_>, ApiError> {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.any_host && !self.is_own(host) {
            // A page that has its name lead to this machine would be the server's own otherwise.
            let message = format!("this server is not called `{}`; see --allow-host", shown(host));
            return Err(ApiError::refused(StatusCode::FORBIDDEN, message));
        }
        if request.method() == Method::OPTIONS {
            // Browsers ask without a key.
            return Ok(Passed::Preflight);
        }
        if let Some(origin) = headers.get(header::ORIGIN)
            && !self.is_same(origin, host)
            && !self.is_allowed(origin)
        {
            let origin = shown(origin.to_str().unwrap_or_default());
            let message = format!("pages of `{origin}` may not ask this server; see --allow-origin");
            return Err(ApiError::refused(StatusCode::FORBIDDEN, message));
        }
        if self.keys.is_empty() || matches!(route, "/health" | "/ready" | "/" | "other") {
            return Ok(Passed::As(None));
        }
        let said =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = match said.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ => return Err(ApiError::unauthorized("give a key: the header `Authorization: Bearer KEY`")),
        };
        let owner =
            self.keys.owner(key).ok_or_else(|| ApiError::unauthorized("the key is not known here"))?;
        Ok(Passed::As(Some(owner)))
    }

    fn is_own(&self, host: &str) -> bool {
        let name = host_name(host);
        let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        loopback
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|h| h.eq_ignore_ascii_case(name))
    }

    /// Whether a page is this server's own.
    fn is_same(&self, origin: &HeaderValue, host: &str) -> bool {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
    }

    fn is_allowed(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    }

    /// Lets pages of allowed origins read the answer, whatever it is.
    fn allow(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if !self.origins.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = origin.filter(|origin| self.is_allowed(origin)) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-request-id"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "x-request-id, retry-after"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// A host without its port.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// What a client sent, in a message: short, and without what steers terminals.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The name that the client gave the request, if it is one, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let good = |id: &&str| {
        !id.is_empty()
            && id.len() <= LONGEST_ID
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    given.filter(good).map_or_else(|| new_id("req"), str::to_owned)
}

/// Writes the request down when it is answered, or its client has left before.
struct Log<'g> {
    guard: &'g Guard,
    id: &'g str,
    route: &'g str,
    method: &'g Method,
    began: Instant,
    who: Option<String>,
    status: Option<StatusCode>,
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let status = self.status.map(|status| status.as_u16());
        self.guard.app.metrics.answered(self.route, status, took);
        let (method, key) = (self.method.as_str(), self.who.as_deref().unwrap_or("-"));
        let ms = took.as_secs_f64() * 1e3;
        if let Some(status) = status {
            tracing::info!(id = self.id, method, route = self.route, status, key, ms, "request");
        } else {
            tracing::info!(id = self.id, method, route = self.route, key, ms, "client left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_without_its_port() {
        for (host, name) in [
            ("localhost:8042", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:8042", "::1"),
            ("evil.example:80", "evil.example"),
            ("", ""),
        ] {
            assert_eq!(host_name(host), name);
        }
    }
}
