//! Writing a folder of files so that it is there whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Error;

/// A folder being written: it grows under a temporary name beside its target and takes the target's name in
/// [`finish`](FolderWriter::finish). Dropped before that, it leaves no trace.
#[derive(Debug)]
pub struct FolderWriter {
    target: PathBuf,
    temporary: TempDir,
}

impl FolderWriter {
    /// Starts a folder that is to be called `target`. What is there already is replaced at the end if it is an empty
    /// folder, or if `replace` is given and it is a model's folder: with a `config.json`, and without folders in it, as a
    /// clone's `.git` or the stages of a making are.
    ///
    /// # Errors
    /// The target is there and may not be replaced, or the disk refuses.
    pub fn start(target: &Path, replace: bool) -> Result<FolderWriter, Error> {
        let wrong = |problem: &str| Error::Write { path: target.to_owned(), problem: problem.to_owned() };
        if target.symlink_metadata().is_ok() && !is_empty_folder(target) {
            if !target.join("config.json").is_file() || target.is_symlink() {
                return Err(wrong("it is there and is no model's folder; choose another name"));
            }
            if has_folders(target) {
                return Err(wrong("it holds folders too and is more than a model's; choose another name"));
            }
            if !replace {
                return Err(wrong("it is there already; choose another name"));
            }
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".sai-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let temporary =
            builder.tempdir_in(parent).map_err(|e| Error::io(target, "create a folder beside it", e))?;
        Ok(FolderWriter { target: target.to_owned(), temporary })
    }

    /// Where the folder grows; writers may be pointed at names in it.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Writes a small file whole, and brings it to the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn add(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let write = || -> std::io::Result<()> {
            let mut file = File::create(self.path().join(name))?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|e| Error::io(&self.target.join(name), "write the file", e))
    }

    /// Gives the folder its name, in place of what had it before.
    ///
    /// # Errors
    /// The disk refuses; what was there before is there still.
    pub fn finish(self) -> Result<(), Error> {
        let fail = |e| Error::io(&self.target, "give the folder its name", e);
        #[cfg(unix)]
        File::open(self.path()).and_then(|f| f.sync_all()).map_err(fail)?;
        let there = self.target.exists() && !is_empty_folder(&self.target);
        if !there {
            // An empty folder gives way by itself on Unix, and elsewhere must go first.
            let _ = fs::remove_dir(&self.target);
            fs::rename(self.path(), &self.target).map_err(fail)?;
        } else if !exchange(self.path(), &self.target) {
            let aside = self.path().with_extension("old");
            fs::rename(&self.target, &aside).map_err(fail)?;
            if let Err(e) = fs::rename(self.path(), &self.target) {
                let _ = fs::rename(&aside, &self.target);
                return Err(fail(e));
            }
            fs::remove_dir_all(&aside).map_err(|e| Error::io(&aside, "remove the folder", e))?;
        }
        #[cfg(unix)]
        if let Some(parent) = self.target.parent() {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent).and_then(|f| f.sync_all()).map_err(fail)?;
        }
        // What the temporary name stands for now, if anything, is the folder of before, and goes with it.
        Ok(())
    }
}

fn is_empty_folder(path: &Path) -> bool {
    !path.is_symlink() && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn has_folders(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}

/// Lets two folders change names in one step; false where the system or the disk cannot.
fn exchange(a: &Path, b: &Path) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (a, b);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        crate::recognise::names(folder).unwrap()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("model");
        let writer = FolderWriter::start(&target, false).unwrap();
        writer.add("config.json", b"1").unwrap();
        drop(writer);
        assert!(names(home.path()).is_empty());

        let writer = FolderWriter::start(&target, false).unwrap();
        writer.add("config.json", b"1").unwrap();
        writer.add("old", b"").unwrap();
        writer.finish().unwrap();
        assert_eq!(names(&target), ["config.json", "old"]);
        assert!(FolderWriter::start(&target, false).is_err());

        let writer = FolderWriter::start(&target, true).unwrap();
        writer.add("config.json", b"2").unwrap();
        assert_eq!(fs::read(target.join("config.json")).unwrap(), b"1");
        writer.finish().unwrap();
        assert_eq!(names(&target), ["config.json"]);
        assert_eq!(fs::read(target.join("config.json")).unwrap(), b"2");
        assert_eq!(names(home.path()), ["model"]);
    }

    #[test]
    fn what_is_no_model_is_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("documents");
        fs::create_dir(&target).unwrap();
        FolderWriter::start(&target, false).unwrap().finish().unwrap();
        fs::write(target.join("thesis"), b"").unwrap();
        assert!(FolderWriter::start(&target, true).unwrap_err().to_string().contains("no model's folder"));
        assert!(FolderWriter::start(&target.join("thesis"), true).is_err());
        assert_eq!(names(&target), ["thesis"]);
        // A model's folder that is more than that.
        fs::write(target.join("config.json"), b"{}").unwrap();
        fs::create_dir(target.join(".git")).unwrap();
        assert!(FolderWriter::start(&target, true).unwrap_err().to_string().contains("holds folders too"));
        assert_eq!(names(&target), [".git", "config.json", "thesis"]);
    }
}
