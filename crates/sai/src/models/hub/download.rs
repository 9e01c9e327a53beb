//! Fetching files: tries, what an earlier one had brought, and holding what arrives to its promise.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;
use sai_generation::Config;
use sha2::{Digest, Sha256};

use super::cache::{CachedRepository, link};
use super::client::{Client, Listing, RequestError};
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
    pub(super) client: &'a Client<'a>,
    pub(super) listing: &'a Listing,
    pub(super) ui: &'a Ui,
}

impl Download<'_> {
    fn repository(&self) -> CachedRepository {
        self.settings.cache.repository(self.id.repo_type, &self.id.repo)
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.repository().snapshot(&self.listing.sha)
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
        let sizes = missing.iter().map(|name| self.listed_size(name));
        let total = sizes.into_iter().try_fold(0u64, |sum, size| sum.checked_add(size?));
        let total = total.map(|bytes| format!(", {}", Size(bytes))).unwrap_or_default();
        let files = if missing.len() == 1 { missing[0].clone() } else { format!("{} files", missing.len()) };
        self.ui.note(format_args!("fetching {files}{total} of {} from {}", self.id, self.settings.endpoint));
        let weights = missing.iter().any(|name| name.ends_with(".safetensors"));
        for name in missing {
            self.file(name)?;
            if weights && name == "config.json" {
                self.warn_of_family(name);
            }
        }
        Ok(())
    }

    /// Says before gigabytes come that sai does not run what they are of. They come all the same: one may want to see them.
    fn warn_of_family(&self, config: &str) {
        let Ok(text) = fs::read_to_string(self.path(config)) else { return };
        if let Err(error) = Config::from_json(&text, Path::new(config)) {
            self.ui.warn(format_args!(
                "{}: sai cannot run this model ({error}); Ctrl-C ends the download",
                self.id
            ));
        }
    }

    /// Bytes of a file by the repository's list.
    fn listed_size(&self, name: &str) -> Option<u64> {
        self.listing.siblings.iter().find(|file| file.rfilename == name)?.size
    }

    fn file(&self, name: &str) -> anyhow::Result<()> {
        let (mut tries, mut wait) = (0, FIRST_WAIT);
        loop {
            let (bar, mut arrived) = (self.ui.bytes_bar(0, name), 0);
            let outcome = self.attempt(name, &bar, &mut arrived);
            bar.finish_and_clear();
            let error = match outcome {
                Ok(()) => return Ok(()),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Hub(error)) => error,
            };
            if !is_unreachable(&error) {
                return Err(refused(self.id, self.settings, Some(name), &error));
            }
            if arrived > 0 {
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

    /// One try at one file; what arrived stays beside its place for the next. Counts the bytes that came.
    fn attempt(&self, name: &str, bar: &ProgressBar, arrived: &mut u64) -> Result<(), Failure> {
        let facts = self.client.facts(self.id, &self.listing.sha, name)?;
        let etag = facts.etag;
        if etag.is_empty() || !etag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(anyhow!("{}: {name}: the Hub sent the unusable ETag `{etag}`", self.id).into());
        }
        let size = facts.size.or_else(|| self.listed_size(name)).ok_or_else(|| {
            RequestError::MissingHeader { name: "Content-Length", host: self.settings.endpoint.clone() }
        })?;
        let (blob, pointer) = (self.repository().blob(&etag), self.path(name));
        let _lock = lock(&blob.with_extension("lock"), self.ui)?;
        // The same bytes under another commit, as after an edit of the repository's README; or another process brought
        // them while this one waited.
        if !fs::metadata(&blob).is_ok_and(|blob| blob.len() == size) {
            let part = blob.with_extension("part");
            self.fetch(name, &part, size, bar, arrived)?;
            if let Err(wrong) = verify(&part, size, &etag, self.ui) {
                let _ = fs::remove_file(&part);
                return Err(wrong.context(format!("{}: {name}", self.id)).into());
            }
            fs::rename(&part, &blob).with_context(|| format!("{}: cannot be made", blob.display()))?;
        }
        Ok(link(&blob, &pointer).with_context(|| format!("{}: cannot be made", pointer.display()))?)
    }

    /// Brings the bytes that `part` lacks.
    fn fetch(
        &self,
        name: &str,
        part: &Path,
        size: u64,
        bar: &ProgressBar,
        arrived: &mut u64,
    ) -> Result<(), Failure> {
        let broken = || format!("{}: cannot be written", part.display());
        // More than the whole cannot be gone on with.
        let have = fs::metadata(part).map_or(0, |part| part.len());
        let have = if have < size { have } else { 0 };
        let (start, mut bytes) = self.client.bytes(self.id, &self.listing.sha, name, have)?;
        let options = OpenOptions::new().create(true).write(true).truncate(false).open(part);
        let mut file: File = options.with_context(broken)?;
        file.set_len(start).with_context(broken)?;
        file.seek(SeekFrom::End(0)).with_context(broken)?;
        bar.set_length(size);
        bar.set_position(start);
        bar.reset_eta();
        let (mut block, mut whole) = (vec![0; 1 << 18], start);
        loop {
            let read = bytes.read(&mut block).map_err(|e| RequestError::Connection(e.to_string()))?;
            if read == 0 {
                break;
            }
            file.write_all(&block[..read]).with_context(broken)?;
            bar.inc(read as u64);
            (*arrived, whole) = (*arrived + read as u64, whole + read as u64);
        }
        if whole < size {
            return Err(RequestError::Connection("it closed early".to_owned()).into());
        }
        Ok(file.sync_all().with_context(broken)?)
    }
}

/// Waits until no other process fetches the same bytes. The lock ends with the file.
fn lock(path: &Path, ui: &Ui) -> anyhow::Result<File> {
    let lock = || -> std::io::Result<File> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = File::create(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                ui.note("waiting for another process that fetches the same file");
                file.lock()?;
            }
            // Disks that know no locks, as some of a network, are used without.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(file)
    };
    lock().with_context(|| format!("{}: cannot be locked", path.display()))
}

/// Why a try failed: by the Hub, which may be worth another, or for good.
enum Failure {
    Hub(RequestError),
    Other(anyhow::Error),
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Hub(error)
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
