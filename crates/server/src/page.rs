//! The page at `/`: `web/dist`, as part of the program, under a strict policy.

use std::io::Write;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// A file of the page, as it was built.
struct PageFile {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[PageFile] = &[
    PageFile {
        path: "/",
        content_type: "text/html; charset=utf-8",
        bytes: include_bytes!("../../../web/dist/index.html"),
    },
    PageFile { path: "/main.js", content_type: SCRIPT, bytes: include_bytes!("../../../web/dist/main.js") },
    PageFile {
        path: "/highlight.js",
        content_type: SCRIPT,
        bytes: include_bytes!("../../../web/dist/highlight.js"),
    },
    PageFile {
        path: "/formulas.js",
        content_type: SCRIPT,
        bytes: include_bytes!("../../../web/dist/formulas.js"),
    },
    PageFile {
        path: "/style.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../../web/dist/style.css"),
    },
    PageFile {
        path: "/icon.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../../../web/dist/icon.svg"),
    },
    PageFile {
        path: "/licenses.txt",
        content_type: "text/plain; charset=utf-8",
        bytes: include_bytes!("../../../web/dist/licenses.txt"),
    },
];

/// A file as it goes out.
struct Served {
    file: &'static PageFile,
    gzip: Vec<u8>,
    etag: HeaderValue,
}

/// Made with the first request: some ten milliseconds.
static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| FILES.iter().map(Served::new).collect());

impl Served {
    fn new(file: &'static PageFile) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail; a file that could not be compressed would go out empty, which a test would see.
        let gzip = gzip.write_all(file.bytes).and_then(|()| gzip.finish()).unwrap_or_default();
        let digest: String =
            Sha256::digest(file.bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        // The mark of weakness says that both encodings are the same to a reader.
        let etag = HeaderValue::try_from(format!("W/\"{digest}\""))
            .unwrap_or_else(|_| HeaderValue::from_static("W/\"0\""));
        Self { file, gzip, etag }
    }

    fn answer(&'static self, asked: &HeaderMap) -> Response {
        let unchanged = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let fixed =
            [(header::ETAG, self.etag.clone()), (header::VARY, HeaderValue::from_static("accept-encoding"))];
        if unchanged
            .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == self.etag || tag.trim() == "*"))
        {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        let kind = [(header::CONTENT_TYPE, self.file.content_type)];
        if takes_gzip(asked) {
            (fixed, kind, [(header::CONTENT_ENCODING, "gzip")], self.gzip.as_slice()).into_response()
        } else {
            (fixed, kind, self.file.bytes).into_response()
        }
    }
}

/// Whether `Accept-Encoding` names gzip, and not with a weight of 0.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        named && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Scripts and styles are the page's own, nothing is loaded from elsewhere, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page, or 404.
pub(crate) async fn file(uri: Uri, asked: HeaderMap) -> Response {
    let path = if uri.path() == "/index.html" { "/" } else { uri.path() };
    let mut response = match SERVED.iter().find(|served| served.file.path == path) {
        Some(served) => served.answer(&asked),
        None => {
            let message = format!("there is no {path} here; /openapi.json says what there is");
            return crate::ApiError::refused(StatusCode::NOT_FOUND, message).into_response();
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Kept, and asked after each time: a new build is seen at once.
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn get(path: &'static str, headers: &[(HeaderName, &str)]) -> Response {
        let mut asked = HeaderMap::new();
        for (name, value) in headers {
            asked.insert(name, HeaderValue::from_str(value).expect("a header"));
        }
        futures_util::FutureExt::now_or_never(file(Uri::from_static(path), asked)).expect("is there at once")
    }

    fn body(response: Response) -> Vec<u8> {
        let whole = axum::body::to_bytes(response.into_body(), 1 << 20);
        futures_util::FutureExt::now_or_never(whole).expect("is there at once").expect("is small").to_vec()
    }

    #[test]
    fn every_file_that_was_built_is_served_under_the_policy() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("web/dist")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .map(|name| if name == "index.html" { "/".to_owned() } else { format!("/{name}") })
            .collect();
        names.sort();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        served.sort_unstable();
        assert_eq!(names, served);
        for file in FILES {
            let response = get(file.path, &[]);
            assert_eq!(response.status(), StatusCode::OK);
            let policy =
                response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("a policy").to_owned();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], file.content_type);
            assert_eq!(body(response), file.bytes);
        }
        assert_eq!(get("/nothing.js", &[]).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_page_is_small_on_its_way_and_sent_once() {
        let gzip = [(header::ACCEPT_ENCODING, "br;q=1, gzip;q=0.5")];
        let mut sent = 0;
        for file in FILES {
            let response = get(file.path, &gzip);
            assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
            let tag = response.headers()[header::ETAG].to_str().expect("a tag").to_owned();
            let packed = body(response);
            sent += packed.len();
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("is gzip");
            assert_eq!(bytes, file.bytes);
            let again = get(file.path, &[(header::IF_NONE_MATCH, &tag)]);
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            assert!(body(again).is_empty());
        }
        assert!(sent < 400_000, "{sent} bytes");
        let plain = get("/main.js", &[(header::ACCEPT_ENCODING, "gzip;q=0, identity")]);
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    }
}
