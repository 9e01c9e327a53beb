//! Owned, shared, read-only bytes: a view into a memory map, a vector, or the program itself.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

/// Read-only bytes that keep their memory alive: part of a memory-mapped file, of a vector, or of the program.
///
/// Cloning and slicing copy nothing; every view of a map shares it, and the last one unmaps it.
#[derive(Clone)]
pub struct Bytes {
    memory: Arc<Memory>,
    start: usize,
    end: usize,
}

enum Memory {
    Map(Mmap),
    Owned(Vec<u8>),
    Static(&'static [u8]),
}

impl Memory {
    fn as_slice(&self) -> &[u8] {
        match self {
            Memory::Map(map) => map,
            Memory::Owned(vec) => vec,
            Memory::Static(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Takes over a vector.
    pub fn from_vec(bytes: Vec<u8>) -> Bytes {
        let end = bytes.len();
        Bytes { memory: Arc::new(Memory::Owned(bytes)), start: 0, end }
    }

    /// Bytes that are always there, such as those of a file that is part of the program. Floats are multiplied where they
    /// lie only if they begin where a float may: the bytes of a file should begin at a multiple of its alignment.
    pub fn from_static(bytes: &'static [u8]) -> Bytes {
        Bytes { memory: Arc::new(Memory::Static(bytes)), start: 0, end: bytes.len() }
    }

    /// Maps a whole file into memory. Pages are read when they are first touched.
    ///
    /// A file that another process shortens while it is mapped ends this process with a bus error when the
    /// lost pages are touched; one that is rewritten in place shows the new bytes. sai itself replaces files by
    /// renaming, which leaves existing maps on the old contents.
    pub fn map(file: &File) -> io::Result<Bytes> {
        if file.metadata()?.len() == 0 {
            return Ok(Bytes::from_vec(Vec::new()));
        }
        // SAFETY: the map is private to this process and read-only, and no reader here relies on bytes staying
        // equal between two looks: every length read from a header is checked against the view that it indexes.
        // That the file is not shortened while mapped is the caller's contract, stated above.
        let map = unsafe { Mmap::map(file)? };
        let end = map.len();
        Ok(Bytes { memory: Arc::new(Memory::Map(map)), start: 0, end })
    }

    /// The part of this view at `range`, counted from the start of this view; `None` where it does not fit.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let (start, end) = (self.start + range.start, self.start + range.end);
        Some(Bytes { memory: Arc::clone(&self.memory), start, end })
    }

    /// Tells the system that these bytes will be read soon, so that it starts to load them from disk. Does
    /// nothing for bytes that are in memory, and where the system takes no such advice.
    pub fn prefetch(&self) {
        #[cfg(unix)]
        if let Memory::Map(map) = &*self.memory {
            // Advice only: a system that refuses it reads the pages on demand, as it would have anyway.
            let _ = map.advise_range(memmap2::Advice::WillNeed, self.start, self.end - self.start);
        }
    }

    /// Gives back the memory of these bytes, which will hardly be read again: the system drops a mapped file's
    /// pages, and reads them from the file if they are needed after all. Does nothing for bytes in memory.
    pub fn release(&self) {
        #[cfg(unix)]
        if let Memory::Map(map) = &*self.memory {
            // SAFETY: the map is read-only, so no written page can be lost; what is read again is the file.
            let _ = unsafe {
                map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    self.start,
                    self.end - self.start,
                )
            };
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory.as_slice()[self.start..self.end]
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes::from_vec(bytes)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match *self.memory {
            Memory::Map(_) => "mapped",
            Memory::Owned(_) => "owned",
            Memory::Static(_) => "static",
        };
        write!(f, "Bytes({} {source})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_and_stay_in_bounds() {
        let all = Bytes::from_vec((0..10).collect());
        let part = all.slice(2..7).unwrap();
        assert_eq!(&part[..], &[2, 3, 4, 5, 6]);
        assert_eq!(&part.slice(1..3).unwrap()[..], &[3, 4]);
        assert_eq!(part.slice(5..5).unwrap().len(), 0);
        assert!(part.slice(0..6).is_none());
        #[expect(clippy::reversed_empty_ranges)]
        let reversed = part.slice(4..3);
        assert!(reversed.is_none());
        assert!(part.slice(usize::MAX..usize::MAX).is_none());
        drop(all);
        assert_eq!(part[0], 2);
    }

    #[test]
    fn the_program_has_bytes_too() {
        let all = Bytes::from_static(b"four two");
        assert_eq!((&all.slice(5..8).unwrap()[..], all.len()), (&b"two"[..], 8));
        assert_eq!(format!("{all:?}"), "Bytes(8 static)");
    }

    #[test]
    fn maps_files_and_outlives_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, b"four two").unwrap();
        let mapped = Bytes::map(&File::open(&path).unwrap()).unwrap();
        mapped.prefetch();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&mapped[..], b"four two");
        std::fs::write(&path, b"").unwrap();
        assert!(Bytes::map(&File::open(&path).unwrap()).unwrap().is_empty());
    }
}
