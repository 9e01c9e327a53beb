//! What of the Hub is on this machine, and taking it away.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::cache::Cache;
use super::id::{RepoType, cache_folder};
use super::is_commit;
use crate::models::remove::{Removal, bytes_of};

/// A repository in the cache.
pub(in crate::models) struct LocalRepository {
    /// `owner/name`.
    pub(in crate::models) repo: String,
    pub(in crate::models) folder: PathBuf,
    /// Bytes that it takes.
    pub(in crate::models) bytes: u64,
    pub(in crate::models) revisions: Vec<LocalRevision>,
    /// Whether a download was cut and not taken up again.
    pub(in crate::models) unfinished: bool,
}

/// One commit of it.
pub(in crate::models) struct LocalRevision {
    pub(in crate::models) commit: String,
    /// Branches and tags that were this commit when they were last fetched.
    pub(in crate::models) names: Vec<String>,
    pub(in crate::models) folder: PathBuf,
}

impl LocalRepository {
    /// All models in the cache, by name.
    pub(in crate::models) fn all() -> anyhow::Result<Vec<Self>> {
        let cache = cache_folder()?;
        let mut found: Vec<Self> = names(&cache).iter().filter_map(|name| Self::read(&cache, name)).collect();
        found.sort_by(|a, b| a.repo.cmp(&b.repo));
        Ok(found)
    }

    /// The model `owner/name` in the cache.
    pub(in crate::models) fn find(repo: &str) -> anyhow::Result<Option<Self>> {
        let folder = cache_folder()?;
        let named = Cache { folder: folder.clone() }.repository(RepoType::Model, repo).name();
        // Some disks tell `A` from `a`, and the Hub does not.
        let name = names(&folder).into_iter().find(|name| name.eq_ignore_ascii_case(&named));
        Ok(name.and_then(|name| Self::read(&folder, &name)))
    }

    fn read(cache: &Path, name: &str) -> Option<Self> {
        let repo = name.strip_prefix("models--")?.replacen("--", "/", 1);
        let folder = cache.join(name);
        let (blobs, snapshots, refs) = (folder.join("blobs"), folder.join("snapshots"), folder.join("refs"));
        let mut commits: Vec<String> = names(&snapshots).into_iter().filter(|name| is_commit(name)).collect();
        commits.sort();
        let named = references(&refs, "");
        let revisions = commits.into_iter().map(|commit| LocalRevision {
            names: named.iter().filter(|(_, of)| *of == commit).map(|(name, _)| name.clone()).collect(),
            folder: snapshots.join(&commit),
            commit,
        });
        let unfinished = |name: &String| name.ends_with(".part") || name.ends_with(".incomplete");
        let found = Self {
            bytes: bytes_of(&folder),
            unfinished: names(&blobs).iter().any(unfinished),
            revisions: revisions.collect(),
            repo,
            folder,
        };
        (!found.revisions.is_empty() || found.bytes > 0).then_some(found)
    }

    /// What goes where the whole of it, or one revision by its commit, the beginning of that or a name, is to be removed.
    /// Contents that other revisions have too stay.
    ///
    /// # Errors
    /// There is no such revision, something is being fetched into it, or it is a link to another place.
    pub(in crate::models) fn removal(&self, revision: Option<&str>) -> anyhow::Result<Removal> {
        if self.folder.is_symlink() {
            bail!(
                "{}: {} is a link to another place, which sai does not touch; remove it by hand",
                self.repo,
                self.folder.display()
            );
        }
        if is_being_fetched(&self.folder.join("blobs")) {
            bail!("{}: another process is fetching it; wait for that to end", self.repo);
        }
        let root = cache_folder()?;
        let whole = |bytes| Removal {
            what: format!("{} from the Hub cache", self.repo),
            root: root.clone(),
            paths: vec![self.folder.clone()],
            bytes,
            stays: None,
        };
        let Some(asked) = revision else { return Ok(whole(self.bytes)) };
        let is_asked = |known: &&LocalRevision| {
            known.names.iter().any(|name| name == asked)
                || (asked.len() >= 7 && known.commit.starts_with(&asked.to_ascii_lowercase()))
        };
        let Some(found) = self.revisions.iter().find(is_asked) else {
            let names = self.revisions.iter().map(LocalRevision::to_string).collect::<Vec<_>>().join(", ");
            bail!("{}: the cache has no revision {asked}; it has {names}", self.repo);
        };
        if self.revisions.len() == 1 {
            return Ok(whole(self.bytes));
        }
        let others = self.revisions.iter().filter(|other| other.commit != found.commit);
        let shared: BTreeSet<PathBuf> = others.flat_map(|other| self.blobs(&other.folder)).collect();
        let own: Vec<PathBuf> =
            self.blobs(&found.folder).into_iter().filter(|blob| !shared.contains(blob)).collect();
        let refs = found.names.iter().map(|name| self.folder.join("refs").join(name));
        let bytes = own.iter().map(|blob| bytes_of(blob)).sum::<u64>() + bytes_of(&found.folder);
        let locks = own.iter().map(|blob| blob.with_extension("lock")).filter(|lock| lock.exists());
        let locks: Vec<PathBuf> = locks.collect();
        // The names go first: a revision that the cache knows by name is whole.
        let paths = refs.chain([found.folder.clone()]).chain(own).chain(locks).collect();
        Ok(Removal {
            what: format!("{} at {found} from the Hub cache", self.repo),
            root,
            paths,
            bytes,
            stays: Some("its other revisions, with what they share".to_owned()),
        })
    }

    /// The contents that a snapshot's links lead to, as far as they are this repository's own.
    fn blobs(&self, snapshot: &Path) -> BTreeSet<PathBuf> {
        let Ok(home) = self.folder.join("blobs").canonicalize() else { return BTreeSet::new() };
        let mut found = BTreeSet::new();
        let mut folders = vec![snapshot.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, kind) = (entry.path(), entry.file_type());
                match kind {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_symlink() => {
                        found.extend(path.canonicalize().ok().filter(|blob| blob.parent() == Some(&home)));
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

impl std::fmt::Display for LocalRevision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.commit[..12])?;
        if !self.names.is_empty() {
            write!(f, " ({})", self.names.join(", "))?;
        }
        Ok(())
    }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The names under `refs`, and the commit of each.
fn references(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in names(folder) {
        let (path, whole) = (folder.join(&name), format!("{prefix}{name}"));
        if path.is_dir() && !path.is_symlink() && prefix.matches('/').count() < 4 {
            found.extend(references(&path, &format!("{whole}/")));
        } else if let Ok(commit) = fs::read_to_string(&path) {
            found.push((whole, commit.trim().to_owned()));
        }
    }
    found.sort();
    found
}

/// Whether a process holds the lock of one of the contents.
fn is_being_fetched(blobs: &Path) -> bool {
    names(blobs).iter().filter(|name| name.ends_with(".lock")).any(|name| {
        let lock = File::open(blobs.join(name)).map(|file| file.try_lock());
        matches!(lock, Ok(Err(TryLockError::WouldBlock)))
    })
}
