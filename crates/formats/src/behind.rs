//! A file that goes to the disk while it is written.

use std::fs::File;
use std::io::{Result, Seek, SeekFrom, Write};
use std::thread::JoinHandle;

/// How many bytes may be written before the disk is asked to take them.
const SYNC_EVERY: usize = 16 << 20;

/// A large file being written, whose bytes a thread brings to the disk while more are made: in the end little is left
/// to wait for.
#[derive(Debug)]
pub struct WriteBehind {
    file: File,
    /// Bytes since the disk was last asked to take them.
    behind: usize,
    /// What brings those before to the disk.
    syncing: Option<JoinHandle<Result<()>>>,
}

impl WriteBehind {
    /// Goes on with `file` from where it is.
    pub fn new(file: File) -> WriteBehind {
        WriteBehind { file, behind: 0, syncing: None }
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// The disk refuses, or refused what was written before.
    pub fn sync_all(&mut self) -> Result<()> {
        self.hear()?;
        self.file.sync_all()
    }

    /// What became of the sync in the background. A failure is told once, and then never again, so it must be heard.
    fn hear(&mut self) -> Result<()> {
        match self.syncing.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            None | Some(Err(_)) => Ok(()),
        }
    }
}

impl Write for WriteBehind {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write(bytes)?;
        self.behind += written;
        if self.behind >= SYNC_EVERY && self.syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.hear()?;
            let file = self.file.try_clone()?;
            self.syncing = Some(std::thread::Builder::new().spawn(move || file.sync_data())?);
            self.behind = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

impl Seek for WriteBehind {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_arrives_in_its_order() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let mut file = WriteBehind::new(named.reopen().unwrap());
        let part: Vec<u8> = (0..=250).cycle().take(SYNC_EVERY / 3).collect();
        for _ in 0..7 {
            file.write_all(&part).unwrap();
        }
        file.seek(SeekFrom::Start(1)).unwrap();
        file.write_all(b"again").unwrap();
        file.sync_all().unwrap();
        let mut expected = part.repeat(7);
        expected[1..6].copy_from_slice(b"again");
        assert!(std::fs::read(named.path()).unwrap() == expected);
    }
}
