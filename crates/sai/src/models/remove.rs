//! Taking models away: what goes is known and shown before, and lies within one folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What is to go.
#[derive(Debug)]
pub(super) struct Removal {
    /// In words that a question can end with.
    pub(super) what: String,
    /// The folder outside of which nothing is touched.
    pub(super) root: PathBuf,
    /// Files, links and folders, in the order in which they go.
    pub(super) paths: Vec<PathBuf>,
    /// Bytes that come free.
    pub(super) bytes: u64,
    /// What stays though it belongs to it, in words.
    pub(super) stays: Option<String>,
}

impl Removal {
    /// Removes it. Of a link the link goes, and never what it leads to.
    ///
    /// # Errors
    /// Something lies outside of the folder, or the disk refuses.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let named = |path: &Path| path.display().to_string();
        let root = self.root.canonicalize().with_context(|| named(&self.root))?;
        for path in &self.paths {
            let home = path.parent().map(Path::canonicalize);
            if !home.is_some_and(|home| home.is_ok_and(|home| home.starts_with(&root))) {
                bail!("{}: it lies outside of {}, and stays", path.display(), self.root.display());
            }
        }
        for path in &self.paths {
            let kind = path.symlink_metadata().with_context(|| named(path))?;
            match kind.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            }
            .with_context(|| format!("{}: it cannot be removed", path.display()))?;
        }
        Ok(())
    }
}

/// Bytes of a file or of all files in a folder; links count as nothing.
pub(super) fn bytes_of(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => found.len(),
        Ok(found) if found.is_dir() => {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| bytes_of(&entry.path())).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nothing_outside_of_the_folder_is_removed() {
        use std::os::unix::fs::symlink;
        let home = tempfile::tempdir().expect("a folder");
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("models/a")).expect("a folder");
        fs::create_dir_all(at("mine")).expect("a folder");
        fs::write(at("mine/m.gguf"), "weights").expect("a file");
        symlink(at("mine"), at("models/a/folder")).expect("a link");
        symlink(at("mine/m.gguf"), at("models/link.gguf")).expect("a link");
        let removal = |paths: &[&str]| Removal {
            what: String::new(),
            root: at("models"),
            paths: paths.iter().map(|path| at(path)).collect(),
            bytes: 0,
            stays: None,
        };
        for outside in ["mine/m.gguf", "models/../mine", "models/a/folder/m.gguf", "models"] {
            let error = removal(&["models/link.gguf", outside]).run().expect_err("is outside").to_string();
            assert!(error.contains("outside"), "{outside}: {error}");
        }
        assert!(at("models/link.gguf").is_symlink());
        removal(&["models/link.gguf", "models/a"]).run().expect("is within");
        assert!(
            at("mine/m.gguf").is_file() && !at("models/a").exists() && !at("models/link.gguf").is_symlink()
        );
    }
}
