//! Models from the Hub: its protocol, through `hf-hub`, into the cache that all of Hugging Face's tools share.
//!
//! One request asks what the repository holds; a file that the cache has is never fetched again. A download
//! that was cut goes on where it stopped, in this run or the next, and what arrives is held to the size and
//! the checksum that the Hub promised. Without a network the cached copy is taken, and the screen says so.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use indicatif::ProgressBar;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::choose::{self, Choice, Wanted};
use crate::ui::{Size, Thousands, Ui};

/// How often a cut download is taken up again before the command gives up, without a byte in between.
const TRIES: u32 = 5;

/// The pause before the first of them; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// `owner/name`, with an optional `@revision` and an optional `:file.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubId {
    repo: String,
    revision: String,
    file: Option<String>,
}

impl HubId {
    /// Reads an id; `None` where `text` cannot be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
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

    fn at(&self, revision: &str) -> Repo {
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
struct Settings {
    endpoint: String,
    cache: Cache,
    token: Option<String>,
    offline: bool,
}

impl Settings {
    fn from_env() -> anyhow::Result<Self> {
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
pub(super) fn cache_folder() -> anyhow::Result<PathBuf> {
    Ok(Settings::from_env()?.cache.path().clone())
}

/// A file of a repository, as the Hub lists it.
#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

/// The local path of the model `id`: a GGUF file or a Hugging Face folder, fetched where the cache lacks it.
/// Where a vocabulary is wanted and lies in files of its own, the folder may hold these alone.
pub(super) fn fetch(id: &HubId, wanted: Wanted, ui: &Ui) -> anyhow::Result<PathBuf> {
    let settings = Settings::from_env()?;
    if settings.offline {
        return cached(id, wanted, &settings.cache)?.ok_or_else(|| {
            anyhow!(
                "{id}: HF_HUB_OFFLINE is set and {} holds no whole copy; unset it, or give --model a local file",
                settings.cache.path().display()
            )
        });
    }
    let api = ApiBuilder::from_cache(settings.cache.clone())
        .with_endpoint(settings.endpoint.clone())
        .with_token(settings.token.clone())
        .with_user_agent("sai", env!("CARGO_PKG_VERSION"))
        .with_progress(false)
        .build()
        .context("the Hub's client does not start")?;
    let listing = match listing(&api, id) {
        Ok(listing) => listing,
        Err(error) if is_unreachable(&error) => {
            let why = describe(&error);
            if let Some(path) = cached(id, wanted, &settings.cache)? {
                ui.note(format_args!(
                    "{id}: the Hub cannot be reached ({why}); taking the copy in the cache"
                ));
                return Ok(path);
            }
            bail!(
                "{id}: the Hub at {} cannot be reached ({why}) and {} holds no whole copy; check the network, or \
                 give --model a local file",
                settings.endpoint,
                settings.cache.path().display()
            );
        }
        Err(error) => return Err(refused(id, &settings, None, &error)),
    };
    if !is_commit(&listing.sha) {
        bail!(
            "{id}: {} answered with `{}` where a commit belongs; is HF_ENDPOINT right?",
            settings.endpoint,
            listing.sha
        );
    }

    let download = Download { id, settings: &settings, api: &api, listing: &listing, ui };
    let names: Vec<String> = listing.siblings.iter().map(|s| s.rfilename.clone()).collect();
    let choice = choose::choose(&names, id.file.as_deref(), wanted)
        .map_err(|why| anyhow!("{id}: the repository {why}"))?;
    let path = match choice {
        Choice::Gguf(name) => {
            download.all(std::slice::from_ref(&name))?;
            download.path(&name)
        }
        Choice::Folder(mut files) => {
            if let Some(at) = files.iter().position(|name| name == choose::INDEX) {
                files.swap_remove(at);
                download.all(&[choose::INDEX.to_owned()])?;
                let index = std::fs::read_to_string(download.path(choose::INDEX))?;
                files.extend(choose::shards(&index).map_err(|why| anyhow!("{id}: the repository {why}"))?);
            }
            download.all(&files)?;
            download.folder()
        }
    };
    // Written last: a revision that the cache knows by name is whole.
    let known = settings.cache.repo(id.at(&id.revision));
    known
        .create_ref(&listing.sha)
        .with_context(|| format!("{}: cannot be written", settings.cache.path().display()))?;
    Ok(path)
}

/// The copy of `id` in the cache, if a whole one is there.
fn cached(id: &HubId, wanted: Wanted, cache: &Cache) -> anyhow::Result<Option<PathBuf>> {
    let repo = id.at(&id.revision);
    let reference = cache.path().join(repo.folder_name()).join("refs").join(&id.revision);
    let commit = match std::fs::read_to_string(reference) {
        Ok(commit) => commit.trim().to_owned(),
        Err(_) => id.revision.clone(),
    };
    if !is_commit(&commit) {
        return Ok(None);
    }
    let folder = cache.repo(repo).pointer_path(&commit);
    let mut names = Vec::new();
    list_into(&folder, "", 0, &mut names);
    match choose::choose(&names, id.file.as_deref(), wanted) {
        Ok(Choice::Gguf(name)) => Ok(Some(folder.join(name))),
        Ok(Choice::Folder(files)) => {
            if files.iter().any(|name| name == choose::INDEX) {
                let index = std::fs::read_to_string(folder.join(choose::INDEX))?;
                let shards = choose::shards(&index).map_err(|why| anyhow!("{id}: the cached copy {why}"))?;
                if !shards.iter().all(|shard| folder.join(shard).is_file()) {
                    return Ok(None);
                }
            }
            Ok(Some(folder))
        }
        Err(_) => Ok(None),
    }
}

/// The names of the files under `folder`, a few folders deep; a link to a blob that is gone does not count.
fn list_into(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if path.is_file() {
            names.push(format!("{prefix}{name}"));
        } else if path.is_dir() && depth < 3 {
            list_into(&path, &format!("{prefix}{name}/"), depth + 1, names);
        }
    }
}

fn listing(api: &Api, id: &HubId) -> Result<Listing, ApiError> {
    let request = api.repo(id.at(&id.revision)).info_request().query("blobs", "true");
    let mut response = request.call().map_err(Box::new)?;
    let text = response.body_mut().read_to_string().map_err(Box::new)?;
    serde_json::from_str(&text)
        .map_err(|e| ApiError::IoError(std::io::Error::new(std::io::ErrorKind::InvalidData, e)))
}

/// The download of one commit of one repository.
struct Download<'a> {
    id: &'a HubId,
    settings: &'a Settings,
    api: &'a Api,
    listing: &'a Listing,
    ui: &'a Ui,
}

impl Download<'_> {
    fn folder(&self) -> PathBuf {
        self.settings.cache.repo(self.id.at(&self.listing.sha)).pointer_path(&self.listing.sha)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Brings the files that the cache lacks.
    fn all(&self, names: &[String]) -> anyhow::Result<()> {
        let missing: Vec<&String> = names.iter().filter(|name| !self.path(name).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let size_of =
            |name: &str| self.listing.siblings.iter().find(|s| s.rfilename == name).and_then(|s| s.size);
        let total =
            missing.iter().map(|name| size_of(name)).try_fold(0u64, |sum, size| sum.checked_add(size?));
        let total = total.map(|bytes| format!(", {}", Size(bytes))).unwrap_or_default();
        let files = if missing.len() == 1 { missing[0].clone() } else { format!("{} files", missing.len()) };
        self.ui.note(format_args!("fetching {files}{total} of {} from {}", self.id, self.settings.endpoint));
        missing.into_iter().try_for_each(|name| self.file(name))
    }

    fn file(&self, name: &str) -> anyhow::Result<()> {
        let repo = self.api.repo(self.id.at(&self.listing.sha));
        let (mut tries, mut wait) = (0, FIRST_WAIT);
        loop {
            let (bar, arrived) = (self.ui.bytes_bar(0, name), Rc::new(Cell::new(0)));
            let outcome =
                self.attempt(&repo, name, Bar { bar: bar.clone(), arrived: arrived.clone(), first: true });
            bar.finish_and_clear();
            let error = match outcome {
                Ok(()) => return Ok(()),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Api(error)) => error,
            };
            if !is_unreachable(&error) {
                return Err(refused(self.id, self.settings, Some(name), &error));
            }
            if arrived.get() > 0 {
                (tries, wait) = (0, FIRST_WAIT);
            }
            tries += 1;
            if tries >= TRIES {
                bail!(
                    "{}: {name}: the download was cut ({}); run the command again and it goes on where it stopped",
                    self.id,
                    describe(&error)
                );
            }
            self.ui.note(format_args!("{name}: the connection was lost ({}); going on", describe(&error)));
            std::thread::sleep(wait);
            wait *= 2;
        }
    }

    /// One try at one file; what arrived stays beside its place for the next.
    fn attempt(&self, repo: &ApiRepo, name: &str, bar: Bar) -> Result<(), Failure> {
        let promised = self.api.metadata(&repo.url(name))?;
        let etag = promised.etag().trim_start_matches("W/").to_owned();
        if etag.is_empty() || !etag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(anyhow!("{}: {name}: the Hub sent the unusable ETag `{etag}`", self.id).into());
        }
        let (size, pointer) = (promised.size() as u64, self.path(name));
        let blob = self.settings.cache.repo(self.id.at(&self.listing.sha)).blob_path(&etag);
        // The same bytes under another commit, as after an edit of the repository's README.
        if std::fs::metadata(&blob).is_ok_and(|blob| blob.len() == size) {
            return Ok(
                link(&blob, &pointer).with_context(|| format!("{}: cannot be made", pointer.display()))?
            );
        }
        // More than the whole cannot be gone on with.
        let part = blob.with_extension("part");
        if std::fs::metadata(&part).is_ok_and(|part| part.len() >= size) {
            std::fs::remove_file(&part).with_context(|| format!("{}: cannot be removed", part.display()))?;
        }
        repo.download_with_progress(name, bar)?;
        if let Err(wrong) = verify(&pointer, size, &etag, self.ui) {
            let _ = std::fs::remove_file(&pointer);
            let _ = std::fs::remove_file(&blob);
            return Err(wrong.context(format!("{}: {name}", self.id)).into());
        }
        Ok(())
    }
}

/// Why a try failed: by the Hub, which may be worth another, or for good.
enum Failure {
    Api(ApiError),
    Other(anyhow::Error),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Holds what arrived to its promised size and, where the ETag is one, its sha256.
fn verify(path: &Path, size: u64, etag: &str, ui: &Ui) -> anyhow::Result<()> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let found = file.metadata()?.len();
    if found != size {
        bail!("{} bytes arrived of {}; fetch it again", Thousands(found), Thousands(size));
    }
    if etag.len() != 64 || !etag.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(());
    }
    let bar = ui.bytes_bar(size, "checking");
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if !found.eq_ignore_ascii_case(etag) {
        bail!("what arrived has sha256 {found}, the Hub promised {etag}; fetch it again");
    }
    Ok(())
}

/// Puts `blob` at `pointer`, as a link that survives a move of the whole cache.
fn link(blob: &Path, pointer: &Path) -> std::io::Result<()> {
    if let Some(parent) = pointer.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // A link whose blob was removed.
    if pointer.symlink_metadata().is_ok() {
        std::fs::remove_file(pointer)?;
    }
    #[cfg(unix)]
    {
        let same = blob.components().zip(pointer.components()).take_while(|(a, b)| a == b).count();
        let up = pointer.components().count().saturating_sub(same + 1);
        let mut target: PathBuf = std::iter::repeat_n("..", up).collect();
        target.extend(blob.components().skip(same));
        std::os::unix::fs::symlink(target, pointer)
    }
    #[cfg(not(unix))]
    {
        std::fs::copy(blob, pointer).map(drop)
    }
}

/// Our bar for `hf-hub`, and the bytes that came over this connection.
struct Bar {
    bar: ProgressBar,
    arrived: Rc<Cell<u64>>,
    first: bool,
}

impl hf_hub::api::Progress for Bar {
    fn init(&mut self, size: usize, _filename: &str) {
        self.bar.set_length(size as u64);
        self.first = true;
    }

    fn update(&mut self, size: usize) {
        self.bar.inc(size as u64);
        // The first report is what an earlier try had brought.
        if std::mem::take(&mut self.first) {
            self.bar.reset_eta();
        } else {
            self.arrived.set(self.arrived.get() + size as u64);
        }
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the Hub did not answer, or not now: what another try or the cache may mend.
fn is_unreachable(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(_) => status(error).is_none_or(|status| status >= 500 || status == 429),
        ApiError::IoError(io) => !matches!(
            io.kind(),
            std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::ReadOnlyFilesystem
                | std::io::ErrorKind::InvalidData
        ),
        ApiError::TooManyRetries(inner) => is_unreachable(inner),
        _ => false,
    }
}

/// The reason alone, without the client's own prefix.
fn describe(error: &ApiError) -> String {
    match error {
        ApiError::RequestError(error) => match &**error {
            ureq::Error::StatusCode(status) => format!("status {status}"),
            ureq::Error::HostNotFound => "its name does not resolve".to_owned(),
            ureq::Error::Io(io) => io.to_string(),
            other => other.to_string(),
        },
        ApiError::IoError(io) => io.to_string(),
        other => other.to_string(),
    }
}

/// The words for a request that the Hub refused.
fn refused(id: &HubId, settings: &Settings, file: Option<&str>, error: &ApiError) -> anyhow::Error {
    let endpoint = &settings.endpoint;
    let page = format!("{endpoint}/{}", id.repo);
    match (status(error), file) {
        (Some(401 | 403), Some(_)) if settings.token.is_none() => {
            anyhow!(
                "{id}: its files are for people who accepted the licence; accept it at {page} and set HF_TOKEN"
            )
        }
        (Some(401 | 403), Some(_)) => {
            anyhow!(
                "{id}: HF_TOKEN may not read its files; accept the licence at {page} with the token's account"
            )
        }
        (Some(401 | 403), None) if settings.token.is_some() => {
            anyhow!("{id}: the Hub refuses HF_TOKEN; make a new one at {endpoint}/settings/tokens")
        }
        (Some(401 | 403), None) => {
            anyhow!(
                "{id}: the Hub has no such public model; check the id, or set HF_TOKEN if the model is private"
            )
        }
        (Some(404), None) if id.revision != "main" => {
            anyhow!("{id}: the Hub has no such model or revision; check both at {endpoint}")
        }
        (Some(404), None) => {
            anyhow!("{id}: no such file or folder here, and no such model at {endpoint}; check the id")
        }
        (Some(status), file) => {
            let what = file.map(|file| format!(" {file}:")).unwrap_or_default();
            anyhow!("{id}:{what} the Hub at {endpoint} answered with status {status}")
        }
        (None, file) => {
            let what = file.map(|file| format!(" {file}:")).unwrap_or_default();
            anyhow!("{id}:{what} {}", describe(error))
        }
    }
}

/// Whether `text` is the name of a commit, and so safe as the name of a folder.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
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
    fn a_commit_is_forty_digits() {
        assert!(is_commit(&"0a".repeat(20)));
        assert!(!is_commit("main"));
        assert!(!is_commit(&"..".repeat(20)));
    }
}
