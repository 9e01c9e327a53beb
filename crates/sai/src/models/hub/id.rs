//! What a repository of the Hub is called, and where this machine keeps and looks for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ureq::tls::{Certificate, PemItem, parse_pem};

use super::cache::Cache;

/// What a repository is of, which decides its addresses and its place in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::models) enum RepoType {
    Model,
    Dataset,
}

impl RepoType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        }
    }

    /// What stands before the id in the address of a page or a file.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }
}

/// `owner/name`, with an optional `@revision` and an optional `:file.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::models) struct HubId {
    pub(in crate::models) repo_type: RepoType,
    pub(in crate::models) repo: String,
    pub(in crate::models) revision: String,
    pub(in crate::models) file: Option<String>,
}

impl HubId {
    /// Reads an id; `None` where `text` cannot be one.
    pub(in crate::models) fn parse(text: &str) -> Option<Self> {
        let (rest, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(Some(file.to_owned()).filter(|file| !file.is_empty())?)),
            None => (text, None),
        };
        let (repo, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let (owner, name) = repo.split_once('/')?;
        let word = |w: &str| {
            !w.is_empty()
                && !w.starts_with(['.', '-'])
                && w.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        let good = word(owner) && word(name) && revision.split('/').all(word);
        let (repo, revision) = (repo.to_owned(), revision.to_owned());
        good.then_some(Self { repo_type: RepoType::Model, repo, revision, file })
    }

    /// Reads the id of a dataset, `owner/name` with an optional `@revision`; `None` where `text` cannot be one.
    pub(in crate::models) fn parse_dataset(text: &str) -> Option<Self> {
        let id = Self::parse(text).filter(|id| id.file.is_none())?;
        Some(Self { repo_type: RepoType::Dataset, ..id })
    }
}

/// What an address of a browser, or of a tool that writes its host before an id, is for sai.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::models) enum Pasted {
    /// A model of the Hub.
    Model(HubId),
    /// An address that is none of a model; the reason and the way out.
    Other(String),
}

impl Pasted {
    /// Reads an address; `None` where `text` is none.
    pub(in crate::models) fn parse(text: &str) -> Option<Self> {
        let endpoint = endpoint();
        let own_host = endpoint.split_once("://").map_or("", |(_, host)| host);
        let (scheme, rest) =
            text.trim().split_once("://").map_or((None, text.trim()), |(s, rest)| (Some(s), rest));
        if scheme == Some("hf") {
            return Some(Self::of_path(rest));
        }
        let hosts = ["huggingface.co/", "www.huggingface.co/", "hf.co/"];
        let path = hosts
            .iter()
            .find_map(|host| rest.strip_prefix(host))
            .or_else(|| rest.strip_prefix(own_host)?.strip_prefix('/').filter(|_| scheme.is_some()));
        match (path, scheme) {
            (Some(path), _) => Some(Self::of_path(path)),
            (None, None) => None,
            (None, Some(_)) => Some(Self::Other(
                "it is no address of the Hub; download the file, and give its path".to_owned(),
            )),
        }
    }

    /// `owner/name`, and what may follow it: `:FILE`, `/tree/REVISION`, `/resolve/REVISION/FILE`, `/blob/REVISION/FILE`.
    fn of_path(path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
        let parts: Vec<String> = path.split('/').map(unescaped).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let wrong = || Self::Other("it names no model of the Hub; give owner/name".to_owned());
        let id = match parts[..] {
            ["datasets" | "spaces" | "collections" | "papers", ..] => {
                return Self::Other("it is no address of a model; give a model's, or owner/name".to_owned());
            }
            [owner, name] => format!("{owner}/{name}"),
            [owner, name, "tree", revision] => format!("{owner}/{name}@{revision}"),
            [owner, name, "resolve" | "blob" | "raw", revision, ref file @ ..] => {
                let file = file.join("/");
                // Any other file is one of those that make up the model.
                let file = if file.to_ascii_lowercase().ends_with(".gguf") {
                    format!(":{file}")
                } else {
                    String::new()
                };
                format!("{owner}/{name}@{revision}{file}")
            }
            [owner, name, "tree", _, ..] => {
                return Self::Other(format!(
                    "it is a folder of a repository, and sai takes a repository's own files; give {owner}/{name}"
                ));
            }
            [owner, name, "discussions" | "commits" | "settings" | "discussion", ..] => {
                format!("{owner}/{name}")
            }
            _ => return wrong(),
        };
        HubId::parse(&id).map_or_else(wrong, Self::Model)
    }
}

/// A part of an address with its escapes (`%2F`) read; what is none stays.
fn unescaped(part: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), part.as_bytes());
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| byte == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                out.push(value);
                rest = &tail[2..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What names a file of certificates to Hugging Face's tools.
const CERTIFICATES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// The certificates of a file.
fn certificates(file: &str) -> anyhow::Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(file).with_context(|| format!("{file}: the certificates cannot be read"))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        bail!("{file}: holds no certificate in PEM; SSL_CERT_FILE names a file of them");
    }
    Ok(found)
}

/// The certificates that the environment names, where it does.
pub(crate) fn trusted_certificates() -> anyhow::Result<Option<Vec<Certificate<'static>>>> {
    CERTIFICATES.into_iter().find_map(set).map(|file| certificates(&file)).transpose()
}

/// Where the Hub is, without a slash at the end.
fn endpoint() -> String {
    let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    endpoint.trim().trim_end_matches('/').to_owned()
}

impl std::fmt::Display for HubId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.repo)?;
        if self.revision != "main" {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// What the environment says about the Hub, with the names that all of Hugging Face's tools read.
pub(super) struct Settings {
    pub(super) endpoint: String,
    pub(super) cache: Cache,
    pub(super) token: Option<Token>,
    pub(super) offline: bool,
    /// Certificates to trust in place of those that browsers do, as where a company's proxy has its own.
    pub(super) certificates: Option<Vec<Certificate<'static>>>,
}

/// What says who asks.
pub(super) struct Token {
    pub(super) secret: String,
    /// Where it was found, in words: `HF_TOKEN`.
    pub(super) origin: String,
}

impl Token {
    /// The token that a place holds; none where it is empty. Line ends and spaces are of the editor that wrote it.
    fn new(secret: &str, origin: String) -> anyhow::Result<Option<Self>> {
        let secret: String = secret.chars().filter(|c| !matches!(c, '\r' | '\n' | '\u{feff}')).collect();
        let secret = secret.trim().to_owned();
        if secret.is_empty() {
            return Ok(None);
        }
        if !secret.chars().all(|c| c.is_ascii_graphic()) {
            bail!("{origin}: holds characters that no token of the Hub has; copy it again");
        }
        Ok(Some(Self { secret, origin }))
    }

    /// The first token of the environment, else that of the file that `hf auth login` writes.
    fn find(file: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            let said = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
            if let Some(token) = said.map(|said| Self::new(&said, name.to_owned())).transpose()?.flatten() {
                return Ok(Some(token));
            }
        }
        let Some(file) = file else { return Ok(None) };
        let Ok(bytes) = std::fs::read(&file) else { return Ok(None) };
        Self::new(&String::from_utf8_lossy(&bytes), format!("the token in {}", file.display()))
    }
}

impl Settings {
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let folders = Folders::from_env()?;
        let endpoint = endpoint();
        if !(endpoint.starts_with("https://") || endpoint.starts_with("http://")) {
            bail!("HF_ENDPOINT is `{endpoint}`; it begins with https://, as in https://{endpoint}");
        }
        Ok(Self {
            endpoint,
            cache: folders.cache,
            token: Token::find(folders.token)?,
            offline: is_offline(),
            certificates: trusted_certificates()?,
        })
    }
}

/// Whether the Hub is not to be asked.
pub(in crate::models) fn is_offline() -> bool {
    let yes = |v: String| matches!(v.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
    set("HF_HUB_OFFLINE").is_some_and(yes)
}

/// The value of a variable of the environment that is set and not empty.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Where this machine keeps what belongs to the Hub.
struct Folders {
    cache: Cache,
    /// The file of the token, if it can be anywhere.
    token: Option<PathBuf>,
}

impl Folders {
    fn from_env() -> anyhow::Result<Self> {
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            cache
                .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
                .map(|c| c.join("huggingface"))
        });
        let cache = set("HF_HUB_CACHE").map(PathBuf::from).or_else(|| home.as_ref().map(|h| h.join("hub")));
        let Some(cache) = cache else {
            bail!(
                "neither HF_HOME nor HOME is set; set HF_HOME to the folder that shall hold models of the Hub"
            );
        };
        // The links from snapshots to blobs are relative to absolute paths.
        let folder = std::path::absolute(&cache).with_context(|| cache.display().to_string())?;
        let token = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| home.map(|home| home.join("token")));
        Ok(Self { cache: Cache { folder }, token })
    }
}

/// The folder that holds models of the Hub, shared by all of Hugging Face's tools; whether or not it is there yet.
pub(in crate::models) fn cache_folder() -> anyhow::Result<PathBuf> {
    Ok(Folders::from_env()?.cache.folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_whole() {
        let id = HubId::parse("a/b@v1:m.gguf").expect("an id");
        assert_eq!(
            (id.repo.as_str(), id.revision.as_str(), id.file.as_deref()),
            ("a/b", "v1", Some("m.gguf"))
        );
        assert_eq!(id.to_string(), "a/b@v1");
        assert_eq!(HubId::parse("a/b").expect("an id").revision, "main");
        assert!(HubId::parse("a/b@refs/pr/1").is_some());
        for bad in ["", "a", "a/", "/b", "a/b/c", "a/../b", "../a", "a/b@", "a/b:", "a b/c", "한/글"] {
            assert!(HubId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_address_that_was_pasted_is_its_model() {
        let model = |text: &str| match Pasted::parse(text) {
            Some(Pasted::Model(id)) => (id.repo, id.revision, id.file.unwrap_or_default()),
            other => panic!("{text}: {other:?}"),
        };
        for (text, revision, file) in [
            ("https://huggingface.co/owner/name", "main", ""),
            ("https://huggingface.co/owner/name/", "main", ""),
            ("http://www.huggingface.co/owner/name?library=transformers", "main", ""),
            ("huggingface.co/owner/name", "main", ""),
            ("hf.co/owner/name:Q4_K_M", "main", "Q4_K_M"),
            ("https://hf.co/owner/name", "main", ""),
            ("hf://owner/name@v1", "v1", ""),
            ("https://huggingface.co/owner/name/tree/main", "main", ""),
            ("https://huggingface.co/owner/name/tree/refs%2Fpr%2F1", "refs/pr/1", ""),
            ("https://huggingface.co/owner/name/resolve/main/x.gguf?download=true", "main", "x.gguf"),
            ("https://huggingface.co/owner/name/blob/v1/q4/a%20b.gguf", "v1", "q4/a b.gguf"),
            ("https://huggingface.co/owner/name/blob/main/config.json", "main", ""),
            ("https://huggingface.co/owner/name/discussions/3", "main", ""),
        ] {
            let wanted = ("owner/name".to_owned(), revision.to_owned(), file.to_owned());
            assert_eq!(model(text), wanted, "{text}");
        }
        for (text, fact) in [
            ("https://huggingface.co/datasets/owner/name", "no address of a model"),
            ("https://huggingface.co/gpt2", "owner/name"),
            ("https://example.com/m.gguf", "no address of the Hub"),
            ("https://huggingface.co/owner/name/tree/main/sub", "a folder of a repository"),
            ("https://huggingface.co/../../etc", "owner/name"),
        ] {
            let Some(Pasted::Other(why)) = Pasted::parse(text) else { panic!("{text}") };
            assert!(why.contains(fact), "{text}: {why}");
        }
        for text in ["owner/name", "m.gguf", "/a/hf.co/b", "./huggingface.co/a/b"] {
            assert_eq!(Pasted::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_read_without_what_editors_add() {
        let token = |text: &str| Token::new(text, "HF_TOKEN".to_owned()).map(|token| token.map(|t| t.secret));
        assert_eq!(token("\u{feff} hf_a\r\n").ok().flatten().as_deref(), Some("hf_a"));
        assert_eq!(token(" \r\n").ok(), Some(None));
        assert!(token("hf_한").is_err_and(|e| e.to_string().starts_with("HF_TOKEN: ")));
    }
}
