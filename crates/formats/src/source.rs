//! Where a model is.

use std::path::{Path, PathBuf};

use crate::Bytes;

/// Where a model is: on the disk, or in this process's memory.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file or a folder.
    Path(PathBuf),
    /// The bytes of a GGUF file, such as one that is part of the program.
    Memory {
        /// What messages call it, in the place of a path.
        name: PathBuf,
        /// The whole file.
        bytes: Bytes,
    },
}

impl Source {
    /// What messages call it: its path, or its name.
    pub fn path(&self) -> &Path {
        match self {
            Source::Path(path) => path,
            Source::Memory { name, .. } => name,
        }
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Source {
        Source::Path(path.to_owned())
    }
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Source {
        Source::Path(path.clone())
    }
}

impl From<&Source> for Source {
    fn from(source: &Source) -> Source {
        source.clone()
    }
}
