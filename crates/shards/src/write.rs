//! Writing shards, one after another.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sai_formats::WriteBehind;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::header::{self, Header};
use crate::index::Index;

/// The name of a shard in its folder.
pub(crate) fn name(number: u32) -> String {
    format!("shard-{number:05}.tokens")
}

/// A shard being written. It grows under a temporary name and takes its own in [`Writer::finish`], after it has
/// reached the disk.
pub(crate) struct Writer {
    path: PathBuf,
    temporary: Temporary,
    file: BufWriter<WriteBehind>,
    header: Header,
    index: Index,
    sum: Sha256,
}

/// The name of a file that grows. One that is given up is removed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After it has its own name nothing is called so.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Writer {
    /// Starts the shard that `header` names; its counts and sums are found while it is written.
    pub(crate) fn start(folder: &Path, header: Header) -> Result<Writer, Error> {
        let path = folder.join(name(header.number));
        // One process at a time packs into a folder, so what an interrupted one left under this name is replaced.
        let temporary = folder.join(format!(".{}.part", name(header.number)));
        let file = File::create(&temporary).map_err(|e| Error::io(&temporary, "create the file", e))?;
        let mut file = BufWriter::with_capacity(1 << 16, WriteBehind::new(file));
        file.write_all(&[0; header::LENGTH]).map_err(|e| Error::io(&temporary, "write the file", e))?;
        let temporary = Temporary(temporary);
        Ok(Writer { path, temporary, file, header, index: Index::default(), sum: Sha256::new() })
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.header.tokens
    }

    /// Appends the tokens of documents, as they lie in the file; [`Writer::document`] says which is whose.
    pub(crate) fn write(&mut self, tokens: &[u8]) -> Result<(), Error> {
        self.sum.update(tokens);
        self.file.write_all(tokens).map_err(|e| Error::io(&self.temporary.0, "write the file", e))
    }

    /// Appends a document of so many tokens to the index.
    pub(crate) fn document(
        &mut self,
        tokens: u64,
        text_bytes: u32,
        lang: Option<&str>,
        source: Option<&str>,
    ) -> Result<(), Error> {
        if self.index.would_overflow(lang.map_or(0, str::len) + source.map_or(0, str::len)) {
            let fact = "the names of sources take more than 4 GiB; make shards smaller";
            return Err(Error::Refused(format!("{}: {fact}", self.path.display())));
        }
        self.header.tokens += tokens;
        self.index.push(self.header.tokens, text_bytes, lang, source);
        Ok(())
    }

    /// Brings the shard to the disk and gives it its name.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let index = self.index.to_bytes();
        let (names, name_bytes) = self.index.names();
        self.header.documents = self.index.ends.len() as u64;
        self.header.text_bytes = self.index.total_bytes;
        (self.header.names, self.header.name_bytes) = (names, name_bytes);
        self.header.tokens_sum = self.sum.finalize().into();
        self.header.index_sum = header::sum(&index);
        let bytes = self.header.tokens as usize * header::width(self.header.vocab_size);
        let padding = bytes.next_multiple_of(8) - bytes;
        let fail = |e| Error::io(&self.temporary.0, "write the file", e);
        self.file.write_all(&[0; 8][..padding]).map_err(fail)?;
        self.file.write_all(&index).map_err(fail)?;
        self.file.seek(SeekFrom::Start(0)).map_err(fail)?;
        self.file.write_all(&self.header.to_bytes()).map_err(fail)?;
        self.file.flush().map_err(fail)?;
        self.file.get_mut().sync_all().map_err(fail)?;
        rename(&self.temporary.0, &self.path)
    }
}

/// Writes a whole small file under a temporary name, and gives it its own when it is on the disk.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.part"));
    let fail = |e| Error::io(&temporary, "write the file", e);
    let mut file = File::create(&temporary).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    rename(&temporary, path)
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|e| Error::io(to, "give the file its name", e))?;
    // The new name reaches the disk with its folder; where folders cannot be opened there is nothing to do.
    #[cfg(unix)]
    if let Some(folder) = to.parent() {
        let sync = File::open(folder).and_then(|f| f.sync_all());
        sync.map_err(|e| Error::io(folder, "sync the folder", e))?;
    }
    Ok(())
}
