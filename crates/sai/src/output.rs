//! Where a verb may write: never over what it reads, and over what is there only where it is told to.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sai_generation::Source;

/// Holds the file or folder that a verb is to make against what is on the disk, before any work is done. What is there
/// already is replaced with `force` alone; one of `reads`, or a folder that holds one of them, is never replaced.
///
/// # Errors
/// One line that says why nothing can be written there, and the way out.
pub(crate) fn check(target: &Path, force: bool, reads: &[&Path]) -> anyhow::Result<()> {
    let name = target.display();
    if let Some(read) = reads.iter().find(|read| is_part_of(target, read)) {
        bail!("{name}: this is what is read ({}), and is not replaced; choose another name", read.display());
    }
    let Ok(there) = target.symlink_metadata() else {
        return match folder_of(target) {
            folder if folder.is_dir() => Ok(()),
            folder => {
                bail!(
                    "{name}: there is no folder {}; make it first, or choose another name",
                    folder.display()
                )
            }
        };
    };
    if !force {
        bail!("{name}: it is there already; give --force to replace it, or another name");
    }
    if !(there.is_file() || there.is_dir() || there.is_symlink()) {
        bail!("{name}: it is neither a file nor a folder; choose another name");
    }
    Ok(())
}

/// As [`check`], for a single file: no folder gives way to one.
///
/// # Errors
/// Those of [`check`], and a folder that is there.
pub(crate) fn check_file(target: &Path, force: bool, reads: &[&Path]) -> anyhow::Result<()> {
    if target.is_dir() {
        bail!("{}: it is a folder; name a file to write", target.display());
    }
    check(target, force, reads)
}

/// The path of a model, where it has one.
pub(crate) fn path_of(source: &Source) -> Option<&Path> {
    match source {
        Source::Path(path) => Some(path),
        Source::Memory { .. } => None,
    }
}

/// Writes a file so that it is the old one or the new one, never half.
///
/// # Errors
/// The disk refuses; what was there is there still.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    sai_formats::write_whole(path, bytes).with_context(|| path.display().to_string())
}

/// As [`write_whole`], a file that its owner alone may read.
///
/// # Errors
/// Those of [`write_whole`].
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    sai_formats::write_private(path, bytes).with_context(|| path.display().to_string())
}

/// The folder that a file is in, or will be.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Whether replacing `target` would take `read` away, or a file of it where it is a model's folder: by its path, through
/// links, as a hard link, or because it lies in a folder of that name.
fn is_part_of(target: &Path, read: &Path) -> bool {
    let (Ok(there), Ok(source)) = (target.canonicalize(), read.canonicalize()) else { return false };
    // Where a link stands for another place, the link is what would be replaced.
    if source.starts_with(&there) || is_same_file(&there, &source) {
        return true;
    }
    // A GGUF file beside the weights of a folder is not read with them.
    let is_gguf = |path: &Path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    let files = source.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|file| file.is_file() && !is_gguf(file)).any(|file| is_same_file(&there, &file))
}

#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(not(unix))]
fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(target: &Path, force: bool, reads: &[&Path]) -> String {
        check_file(target, force, reads).expect_err("is refused").to_string()
    }

    #[test]
    fn a_source_is_never_replaced_by_path_link_or_hard_link() {
        let home = tempfile::tempdir().expect("a folder");
        let at = |name: &str| home.path().join(name);
        std::fs::write(at("m.gguf"), "weights").expect("a file");
        std::fs::create_dir(at("folder")).expect("a folder");
        std::fs::write(at("folder/model.safetensors"), "weights").expect("a file");
        std::fs::write(at("folder/small.gguf"), "made of it before").expect("a file");
        let (file, folder) = (at("m.gguf"), at("folder"));
        assert!(refused(&at("folder/../m.gguf"), true, &[&file]).contains("is what is read"));
        std::fs::hard_link(&file, at("hard.gguf")).expect("a link");
        assert!(refused(&at("hard.gguf"), true, &[&file]).contains("is what is read"));
        assert!(refused(&at("folder/model.safetensors"), true, &[&folder]).contains("is what is read"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&file, at("soft.gguf")).expect("a link");
            assert!(refused(&at("soft.gguf"), true, &[&file]).contains("is what is read"));
            assert!(refused(&file, true, &[&at("soft.gguf")]).contains("is what is read"));
        }
        // A folder that holds what is read.
        assert!(check(&folder, true, &[&at("folder/small.gguf")]).is_err());
        assert!(check_file(&at("folder/small.gguf"), true, &[&folder]).is_ok());
    }

    #[test]
    fn what_is_there_stays_without_force() {
        let home = tempfile::tempdir().expect("a folder");
        let notes = home.path().join("notes.txt");
        std::fs::write(&notes, "mine").expect("a file");
        assert!(refused(&notes, false, &[]).contains("give --force"));
        assert!(check_file(&notes, true, &[]).is_ok());
        assert!(check_file(&home.path().join("new"), false, &[]).is_ok());
        assert!(refused(home.path(), true, &[]).contains("is a folder"));
        assert!(refused(&home.path().join("none/new"), false, &[]).contains("no folder"));
        #[cfg(unix)]
        {
            let link = home.path().join("dangling");
            std::os::unix::fs::symlink("nowhere", &link).expect("a link");
            assert!(refused(&link, false, &[]).contains("give --force"));
            assert!(refused(Path::new("/dev/null"), true, &[]).contains("neither a file nor a folder"));
        }
    }
}
