//! Fetching files: tries, what an earlier one had brought, and holding what arrives to its promise.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hf_hub::api::sync::{Api, ApiError, ApiRepo};
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};

use super::Listing;
use super::id::{HubId, Settings};
use super::refusal::{describe, is_unreachable, refused};
use crate::ui::{Size, Thousands, Ui};

/// How often a cut download is taken up again before the command gives up, without a byte in between.
const TRIES: u32 = 5;

/// The pause before the first of them; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The download of one commit of one repository.
pub(super) struct Download<'a> {
    pub(super) id: &'a HubId,
    pub(super) settings: &'a Settings,
    pub(super) api: &'a Api,
    pub(super) listing: &'a Listing,
    pub(super) ui: &'a Ui,
}

impl Download<'_> {
    pub(super) fn folder(&self) -> PathBuf {
        self.settings.cache.repo(self.id.at(&self.listing.sha)).pointer_path(&self.listing.sha)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Brings the files that the cache lacks.
    pub(super) fn all(&self, names: &[String]) -> anyhow::Result<()> {
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
