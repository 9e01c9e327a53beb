//! Where repositories of the Hub lie on this machine, as all of Hugging Face's tools keep them: contents by their checksum under
//! `blobs`, links to them under `snapshots/COMMIT`, and under `refs` the commit of each name.

use std::path::{Path, PathBuf};

use super::id::RepoType;

/// The folder of all repositories.
pub(super) struct Cache {
    pub(super) folder: PathBuf,
}

impl Cache {
    pub(super) fn repository(&self, repo_type: RepoType, repo: &str) -> CachedRepository {
        let name = format!("{}s--{}", repo_type.name(), repo.replace('/', "--"));
        CachedRepository { folder: self.folder.join(name) }
    }
}

/// The folder of one repository.
pub(super) struct CachedRepository {
    folder: PathBuf,
}

impl CachedRepository {
    /// The name of its folder.
    pub(super) fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit that a branch or a tag was when it was last fetched.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.reference(revision)).ok()?;
        Some(text.trim().to_owned())
    }

    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> std::io::Result<()> {
        let path = self.reference(revision);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, commit)
    }

    /// Where the list of a commit's files is kept, which the cache of Hugging Face's tools does not have.
    pub(super) fn listing(&self, commit: &str) -> PathBuf {
        self.folder.join("listings").join(format!("{commit}.json"))
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }
}

/// Puts `blob` at `pointer`, as a link that survives a move of the whole cache.
pub(super) fn link(blob: &Path, pointer: &Path) -> std::io::Result<()> {
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
