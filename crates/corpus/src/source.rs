//! A file's plain bytes, decompressed as they are asked for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::error::Error;
use crate::inputs;
use crate::options::Format;

/// How many bytes are looked at to tell what a file holds.
const LOOK: usize = 4096;

/// A file counts what is read of it, compressed as it lies.
struct Counted {
    file: File,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.done.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What a file turned out to be.
pub(crate) enum Source {
    /// Lines or text, to be read from the beginning.
    Plain { format: Format, bytes: Box<dyn Read + Send> },
    /// A table; the file itself.
    Parquet(File),
}

/// Opens a file and tells its compression by its first bytes, and what it holds by the first plain ones, or by its
/// name where these say nothing.
pub(crate) fn open(path: &Path, asked: Option<Format>, done: Arc<AtomicU64>) -> Result<Source, Error> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let mut raw = BufReader::with_capacity(1 << 17, Counted { file, done: Arc::clone(&done) });
    let magic = raw.fill_buf().map_err(fail)?;
    if magic.starts_with(b"PAR1") && asked.is_none_or(|format| format == Format::Parquet) {
        let file = raw.into_inner().file;
        // A table is read by seeking, and counted by its rows; what the look read was nothing yet.
        done.store(0, Ordering::Relaxed);
        return Ok(Source::Parquet(file));
    }
    if asked == Some(Format::Parquet) || (asked.is_none() && inputs::kind(path) == "parquet") {
        let fact = "no Parquet file: it does not begin with PAR1; it was cut short or is something else";
        return Err(Error::file(path, fact));
    }
    let mut bytes: Box<dyn Read + Send> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(raw))
    } else if is_zstd(magic) {
        Box::new(ZstdDecoder::with_buffer(raw).map_err(fail)?)
    } else {
        Box::new(raw)
    };
    let mut head = vec![0; LOOK];
    let filled = fill(&mut bytes, &mut head).map_err(|e| damaged(path, &e))?;
    head.truncate(filled);
    let format = match asked {
        Some(format) => format,
        None => told(path, &head)?,
    };
    let whole: Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>> = Cursor::new(head).chain(bytes);
    Ok(Source::Plain { format, bytes: Box::new(whole) })
}

/// A frame of zstd, or one that it skips.
fn is_zstd(magic: &[u8]) -> bool {
    magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || (magic.len() >= 4 && (0x50..0x60).contains(&magic[0]) && magic[1..4] == [0x2a, 0x4d, 0x18])
}

fn told(path: &Path, head: &[u8]) -> Result<Format, Error> {
    let kind = inputs::kind(path);
    if matches!(kind.as_str(), "txt" | "text" | "md") {
        return Ok(Format::Text);
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match head.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => Ok(Format::Jsonl),
        Some(b'[') if kind == "json" => {
            let fact = "one JSON array; write an object a line (JSONL): `jq -c '.[]'` does it";
            Err(Error::file(path, fact))
        }
        _ if matches!(kind.as_str(), "jsonl" | "ndjson" | "json") => Ok(Format::Jsonl),
        _ => Ok(Format::Text),
    }
}

/// Reads until `buffer` is full or nothing comes any more.
pub(crate) fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// A failure while bytes were read: of the system, or of what they say.
pub(crate) fn damaged(path: &Path, error: &io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::Read {
            path: path.to_owned(),
            source: io::Error::new(error.kind(), error.to_string()),
        };
    }
    Error::file(path, format!("its compression is damaged or was cut short ({error}); fetch the file again"))
}
