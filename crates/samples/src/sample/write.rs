//! The folder that a sample is written to: whole, or not at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// Slower levels make files a little smaller that are read once or twice.
const LEVEL: i32 = 3;

/// A folder in the making, beside where it is to be.
pub(super) struct Folder {
    target: PathBuf,
    made: TempDir,
    files: BTreeMap<String, Lines>,
}

enum Lines {
    Plain(BufWriter<File>),
    Packed(Box<zstd::Encoder<'static, BufWriter<File>>>),
}

impl Folder {
    pub(super) fn start(target: &Path) -> Result<Folder, Error> {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let fail = |source| Error::write(target, source);
        if target.is_file() || target.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(fail(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there already; choose another name",
            )));
        }
        std::fs::create_dir_all(parent).map_err(fail)?;
        let made = tempfile::Builder::new().prefix(".sample-").tempdir_in(parent).map_err(fail)?;
        Ok(Folder { target: target.to_owned(), made, files: BTreeMap::new() })
    }

    /// Where files are before the folder is whole.
    pub(super) fn path(&self) -> &Path {
        self.made.path()
    }

    /// Adds a line to a file; one whose name ends in `.zst` is compressed.
    pub(super) fn line(&mut self, name: &str, line: &str) -> Result<(), Error> {
        let path = self.made.path().join(name);
        self.write(name, line).map_err(|source| Error::write(&path, source))
    }

    fn write(&mut self, name: &str, line: &str) -> io::Result<()> {
        if !self.files.contains_key(name) {
            let path = self.made.path().join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let file = BufWriter::new(File::create(path)?);
            let lines = match name.ends_with(".zst") {
                true => Lines::Packed(Box::new(zstd::Encoder::new(file, LEVEL)?)),
                false => Lines::Plain(file),
            };
            self.files.insert(name.to_owned(), lines);
        }
        match self.files.get_mut(name) {
            Some(Lines::Plain(file)) => writeln!(file, "{line}"),
            Some(Lines::Packed(file)) => writeln!(file, "{line}"),
            None => Ok(()),
        }
    }

    /// Gives the folder its name.
    pub(super) fn finish(self) -> Result<(), Error> {
        let fail = |source| Error::write(&self.target, source);
        for lines in self.files.into_values() {
            let file = match lines {
                Lines::Plain(file) => file,
                Lines::Packed(packed) => packed.finish().map_err(fail)?,
            };
            let file = file.into_inner().map_err(|e| fail(e.into_error()))?;
            file.sync_all().map_err(fail)?;
        }
        std::fs::rename(self.made.path(), &self.target).map_err(fail)?;
        // The folder has another name now, so there is nothing to take away.
        let _ = self.made.keep();
        Ok(())
    }
}
