//! What a model of the Hub is called, and where this machine keeps and looks for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hf_hub::{Cache, Repo, RepoType};

/// `owner/name`, with an optional `@revision` and an optional `:file.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::models) struct HubId {
    pub(super) repo: String,
    pub(super) revision: String,
    pub(super) file: Option<String>,
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
        good.then(|| Self { repo: repo.to_owned(), revision: revision.to_owned(), file })
    }

    pub(super) fn at(&self, revision: &str) -> Repo {
        Repo::with_revision(self.repo.clone(), RepoType::Model, revision.to_owned())
    }
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
    pub(super) token: Option<String>,
    pub(super) offline: bool,
}

impl Settings {
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            cache
                .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
                .map(|c| c.join("huggingface"))
        });
        let Some(cache) =
            set("HF_HUB_CACHE").map(PathBuf::from).or_else(|| home.as_ref().map(|h| h.join("hub")))
        else {
            bail!(
                "neither HF_HOME nor HOME is set; set HF_HOME to the folder that shall hold models of the Hub"
            );
        };
        // The links from snapshots to blobs are relative to absolute paths.
        let cache = Cache::new(std::path::absolute(&cache).with_context(|| cache.display().to_string())?);
        let token_file = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| home.map(|h| h.join("token")));
        let token = set("HF_TOKEN")
            .or_else(|| std::fs::read_to_string(token_file?).ok())
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        let yes = |v: String| matches!(v.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Ok(Self {
            endpoint: endpoint.trim().trim_end_matches('/').to_owned(),
            cache,
            token,
            offline: set("HF_HUB_OFFLINE").is_some_and(yes),
        })
    }
}

/// The folder that holds models of the Hub, shared by all of Hugging Face's tools; whether or not it is there yet.
pub(in crate::models) fn cache_folder() -> anyhow::Result<PathBuf> {
    Ok(Settings::from_env()?.cache.path().clone())
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
}
