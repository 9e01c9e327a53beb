//! The Hub's protocol over HTTP: what a repository holds, what a file is, and its bytes; and requests that bring something,
//! which [`push`](super::push) makes.
//!
//! Redirects are followed here and not by the HTTP library, for two reasons: a file's facts are in the headers of the hop
//! before the storage, and a token is for the host that it was given for and no other.

use std::io::Read;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Body, SendBody};

use super::id::{HubId, Settings};

/// Redirects that are followed for one request.
const HOPS: usize = 10;
/// Longest wait for a connection, and for the beginning of an answer.
const CONNECT: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(60);
/// Longest wait for the answer to something that was sent: a storage puts large files together before it answers.
const DONE: Duration = Duration::from_secs(600);
/// Longest list of a repository's files.
const LONGEST_LISTING: u64 = 64 << 20;
/// Longest explanation of a refusal that is read.
const LONGEST_REASON: u64 = 64 << 10;

/// Why a request gave nothing.
#[derive(Debug)]
pub(super) enum RequestError {
    /// There is no connection, or it was cut; the reason.
    Connection(String),
    /// The server at `host` refused, or could not. `with_token` says whether it was shown one.
    /// `reason` is its own word for why.
    Status {
        status: u16,
        host: String,
        retry_after: Option<String>,
        with_token: bool,
        reason: Option<String>,
    },
    /// A web page came where the Hub's answer belongs, from this host.
    WebPage { host: String },
    /// An answer of `host` lacks a header that the Hub's answers have.
    MissingHeader { name: &'static str, host: String },
    /// An answer that makes no sense, in words.
    Nonsense(String),
}

/// A file of a repository, as the list of it says.
#[derive(Deserialize, Serialize)]
pub(super) struct Sibling {
    pub(super) rfilename: String,
    pub(super) size: Option<u64>,
}

/// What a repository holds at one commit.
#[derive(Deserialize, Serialize)]
pub(super) struct Listing {
    pub(super) sha: String,
    #[serde(default)]
    pub(super) siblings: Vec<Sibling>,
}

/// What the Hub promises of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileFacts {
    /// Its checksum, or another name of its contents.
    pub(super) etag: String,
    /// Bytes; `None` where the server does not say.
    pub(super) size: Option<u64>,
}

/// Asks one Hub.
pub(super) struct Client<'a> {
    agent: ureq::Agent,
    settings: &'a Settings,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        let roots = settings.certificates.as_deref().map_or(RootCerts::WebPki, RootCerts::new_with_certs);
        let config = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("sai/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), settings }
    }

    /// Where the Hub is.
    pub(super) fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// What the repository holds at the revision of `id`.
    pub(super) fn listing(&self, id: &HubId) -> Result<Listing, RequestError> {
        let (endpoint, revision) = (&self.settings.endpoint, escaped(&id.revision, false));
        let of = id.repo_type.name();
        let url = format!("{endpoint}/api/{of}s/{}/revision/{revision}?blobs=true", id.repo);
        let (mut response, hop) = self.get(&url, None, |_| false)?;
        let body = response.body_mut().with_config().limit(LONGEST_LISTING).read_to_string();
        let text = body.map_err(connection)?;
        serde_json::from_str(&text).map_err(|error| match is_page(response.headers(), &text) {
            true => RequestError::WebPage { host: hop.host() },
            false => RequestError::Nonsense(format!("{} sent no list of files: {error}", hop.host())),
        })
    }

    /// What the Hub says of the file `name` at `commit`.
    pub(super) fn facts(&self, id: &HubId, commit: &str, name: &str) -> Result<FileFacts, RequestError> {
        // The hop to the storage says what it leads to; others lead to another Hub or to a new name.
        let leads_to_storage = |headers: &HeaderMap| {
            let has = |name: &str| headers.contains_key(name);
            has("x-linked-etag") || (has("etag") && has("x-repo-commit"))
        };
        let (response, hop) = self.get(&self.url(id, commit, name), Some("bytes=0-0"), leads_to_storage)?;
        let headers = response.headers();
        let missing = |name: &'static str| match is_page(headers, "") {
            true => RequestError::WebPage { host: hop.host() },
            false => RequestError::MissingHeader { name, host: hop.host() },
        };
        text(headers, "x-repo-commit").ok_or_else(|| missing("X-Repo-Commit"))?;
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
        let etag = etag.ok_or_else(|| missing("ETag"))?;
        let etag = etag.trim_start_matches("W/").replace('"', "");
        let redirects = response.status().is_redirection();
        let size = match text(headers, "x-linked-size").and_then(|size| size.parse().ok()) {
            Some(size) => Some(size),
            None if redirects => {
                let (stored, _) = self.follow(hop.to(headers)?, Some("bytes=0-0"), |_| false)?;
                size(&stored)
            }
            None => size(&response),
        };
        Ok(FileFacts { etag, size })
    }

    /// The bytes of the file `name` at `commit`, from `start` on; or all of them, where the server gives no part of a
    /// file. Where they begin, and the bytes.
    pub(super) fn bytes(
        &self,
        id: &HubId,
        commit: &str,
        name: &str,
        start: u64,
    ) -> Result<(u64, impl Read + use<>), RequestError> {
        let range = format!("bytes={start}-");
        let (response, _) = self.get(&self.url(id, commit, name), Some(&range), |_| false)?;
        let start = if response.status() == StatusCode::PARTIAL_CONTENT { start } else { 0 };
        Ok((start, response.into_body().into_reader()))
    }

    fn url(&self, id: &HubId, commit: &str, name: &str) -> String {
        let (endpoint, prefix) = (&self.settings.endpoint, id.repo_type.prefix());
        format!("{endpoint}/{prefix}{}/resolve/{commit}/{}", id.repo, escaped(name, true))
    }

    fn get(
        &self,
        url: &str,
        range: Option<&str>,
        stop: impl Fn(&HeaderMap) -> bool,
    ) -> Result<(Response<Body>, Hop), RequestError> {
        let hop = Hop { with_token: self.settings.token.is_some(), url: address(url)? };
        self.follow(hop, range, stop)
    }

    /// Follows redirects to the first answer that is none, or that leads to another host and is what `stop` waits for.
    fn follow(
        &self,
        mut hop: Hop,
        range: Option<&str>,
        stop: impl Fn(&HeaderMap) -> bool,
    ) -> Result<(Response<Body>, Hop), RequestError> {
        for _ in 0..HOPS {
            let mut request = self.agent.get(&hop.url);
            if let Some(range) = range {
                request = request.header(header::RANGE, range);
            }
            if let Some(token) = self.settings.token.as_ref().filter(|_| hop.with_token) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.secret));
            }
            let response = request.call().map_err(connection)?;
            let status = response.status();
            if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                let next = hop.to(response.headers())?;
                if !hop.is_relative(response.headers()) && stop(response.headers()) {
                    return Ok((response, hop));
                }
                hop = next;
            } else if status.is_success() {
                return Ok((response, hop));
            } else {
                return Err(status_error(response, &hop));
            }
        }
        Err(RequestError::Nonsense(format!("{} redirects more than {HOPS} times", hop.host())))
    }

    /// The answer to a GET of an address of the Hub.
    pub(super) fn read(&self, url: &str) -> Result<String, RequestError> {
        let (response, hop) = self.get(url, None, |_| false)?;
        body(response, &hop)
    }

    /// The answer to a POST of `content`, whose media type is `kind`. Only an address of the Hub that the person named is
    /// shown the token, and redirects are followed within that host alone.
    pub(super) fn post(&self, url: &str, kind: &str, content: &[u8]) -> Result<String, RequestError> {
        let (url, hub) = (address(url)?, address(&self.settings.endpoint)?);
        let ours = url.authority() == hub.authority() && url.scheme() == hub.scheme();
        self.post_from(Hop { with_token: self.settings.token.is_some() && ours, url }, kind, content)
    }

    /// As [`post`](Self::post), without the token, to an address that is a key by itself.
    pub(super) fn post_untold(&self, url: &str, kind: &str, content: &[u8]) -> Result<String, RequestError> {
        self.post_from(Hop { with_token: false, url: address(url)? }, kind, content)
    }

    fn post_from(&self, mut hop: Hop, kind: &str, content: &[u8]) -> Result<String, RequestError> {
        for _ in 0..HOPS {
            let mut request = self.agent.post(&hop.url).header(header::CONTENT_TYPE, kind);
            if kind == LFS {
                request = request.header(header::ACCEPT, LFS);
            }
            if let Some(token) = self.settings.token.as_ref().filter(|_| hop.with_token) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.secret));
            }
            let request = request.config().timeout_recv_response(Some(DONE)).build();
            let response = request.send(content).map_err(connection)?;
            if matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                let next = hop.to(response.headers())?;
                if next.url.authority() != hop.url.authority() || next.url.scheme() != hop.url.scheme() {
                    return Err(RequestError::Nonsense(format!(
                        "{} redirects to {}, and what is sent goes to one host alone; set HF_ENDPOINT to that one",
                        hop.host(),
                        next.host()
                    )));
                }
                hop = next;
            } else if response.status().is_success() {
                return body(response, &hop);
            } else {
                return Err(status_error(response, &hop));
            }
        }
        Err(RequestError::Nonsense(format!("{} redirects more than {HOPS} times", hop.host())))
    }

    /// Puts `length` bytes at an address that the Hub gave for them, without the token. The ETag of the answer.
    pub(super) fn put(
        &self,
        url: &str,
        headers: &[(String, String)],
        length: u64,
        content: &mut dyn Read,
    ) -> Result<Option<String>, RequestError> {
        let hop = Hop { with_token: false, url: address(url)? };
        let mut request = self.agent.put(&hop.url).header(header::CONTENT_LENGTH, length);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.config().timeout_recv_response(Some(DONE)).build();
        let response = request.send(SendBody::from_reader(content)).map_err(connection)?;
        match response.status().is_success() {
            true => Ok(text(response.headers(), "etag").map(str::to_owned)),
            false => Err(status_error(response, &hop)),
        }
    }
}

/// The media type of Git LFS, in which it is asked and answers.
pub(super) const LFS: &str = "application/vnd.git-lfs+json";

fn address(url: &str) -> Result<Uri, RequestError> {
    // What follows may be the key to a storage.
    let shown = url.split('?').next().unwrap_or_default();
    let uri: Option<Uri> = url.parse().ok().filter(|uri: &Uri| uri.authority().is_some());
    uri.ok_or_else(|| RequestError::Nonsense(format!("{shown} is no address")))
}

/// The text of an answer.
fn body(mut response: Response<Body>, hop: &Hop) -> Result<String, RequestError> {
    let text = response.body_mut().with_config().limit(LONGEST_LISTING).read_to_string();
    let text = text.map_err(connection)?;
    match is_page(response.headers(), &text) {
        true => Err(RequestError::WebPage { host: hop.host() }),
        false => Ok(text),
    }
}

/// What a refusal says.
fn status_error(mut response: Response<Body>, hop: &Hop) -> RequestError {
    let said = response.body_mut().with_config().limit(LONGEST_REASON).read_to_string().unwrap_or_default();
    let headers = response.headers();
    let reason = text(headers, "x-error-message").map(str::to_owned).or_else(|| {
        let json: serde_json::Value = serde_json::from_str(&said).ok()?;
        let fields = ["/error", "/message", "/errors/0/message"];
        fields.into_iter().find_map(|field| json.pointer(field)?.as_str()).map(str::to_owned)
    });
    RequestError::Status {
        status: response.status().as_u16(),
        host: hop.host(),
        retry_after: text(headers, "retry-after").map(str::to_owned),
        with_token: hop.with_token,
        reason: reason.filter(|reason| !reason.trim().is_empty()),
    }
}

/// A request on its way.
#[derive(Debug)]
struct Hop {
    url: Uri,
    /// Whether the token goes along: only to the host that the person named.
    with_token: bool,
}

impl Hop {
    fn host(&self) -> String {
        self.url.authority().map_or_else(String::new, |host| host.as_str().to_owned())
    }

    /// Where a redirect leads.
    fn to(&self, headers: &HeaderMap) -> Result<Hop, RequestError> {
        let broken = || RequestError::Nonsense(format!("{} redirects to no address", self.host()));
        let location = text(headers, "location").ok_or_else(broken)?;
        let here = (self.url.scheme_str().unwrap_or("https"), self.host());
        let address = if location.starts_with("//") {
            format!("{}:{location}", here.0)
        } else if location.starts_with('/') {
            format!("{}://{}{location}", here.0, here.1)
        } else if location.contains("://") {
            location.to_owned()
        } else {
            let folder = self.url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{}://{}{folder}/{location}", here.0, here.1)
        };
        let url: Uri = address.parse().map_err(|_| broken())?;
        let same = url.authority() == self.url.authority() && url.scheme() == self.url.scheme();
        Ok(Hop { with_token: self.with_token && same, url })
    }

    fn is_relative(&self, headers: &HeaderMap) -> bool {
        text(headers, "location")
            .is_some_and(|location| !location.contains("://") && !location.starts_with("//"))
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

/// Bytes of the whole file that an answer is of, or a part of.
fn size(response: &Response<Body>) -> Option<u64> {
    let headers = response.headers();
    match text(headers, "content-range") {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => text(headers, "content-length")?.parse().ok(),
    }
}

fn is_page(headers: &HeaderMap, body: &str) -> bool {
    let html = text(headers, "content-type").is_some_and(|kind| kind.starts_with("text/html"));
    html || body.trim_start().starts_with('<')
}

fn connection(error: ureq::Error) -> RequestError {
    RequestError::Connection(match error {
        ureq::Error::HostNotFound => "its name does not resolve".to_owned(),
        ureq::Error::Io(io) => certified(io.to_string()),
        other => certified(other.to_string()),
    })
}

/// Says the way out where a certificate is not known.
fn certified(error: String) -> String {
    match error.contains("certificate") {
        true => {
            format!("{error}; where a proxy has a certificate of its own, SSL_CERT_FILE names the file of it")
        }
        false => error,
    }
}

/// A name as it stands in an address; `folders` keeps its slashes.
pub(super) fn escaped(name: &str, folders: bool) -> String {
    let keep =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (folders && byte == b'/');
    name.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(from: &str, location: &str) -> Option<(String, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert("location", location.parse().expect("a header"));
        let hop = Hop { url: from.parse().expect("an address"), with_token: true };
        hop.to(&headers).ok().map(|next| (next.url.to_string(), next.with_token))
    }

    #[test]
    fn a_token_stays_with_its_host() {
        for (location, url, token) in [
            ("/b?c=1", "https://hub.example/b?c=1", true),
            ("b", "https://hub.example/a/b", true),
            ("https://hub.example/b", "https://hub.example/b", true),
            ("https://other.example/b", "https://other.example/b", false),
            ("//other.example/b", "https://other.example/b", false),
            ("http://hub.example/b", "http://hub.example/b", false),
            ("https://hub.example:8443/b", "https://hub.example:8443/b", false),
        ] {
            assert_eq!(led("https://hub.example/a/x", location), Some((url.to_owned(), token)), "{location}");
        }
        assert_eq!(led("https://hub.example/a", "https://"), None);
    }

    #[test]
    fn names_are_escaped_for_addresses() {
        assert_eq!(escaped("a b/c#1.gguf", true), "a%20b/c%231.gguf");
        assert_eq!(escaped("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(escaped("한", true), "%ED%95%9C");
    }
}
