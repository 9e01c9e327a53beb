//! A file's plain bytes, decompressed as they are asked for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::error::Error;
use crate::inputs;
use crate::options::Format;
use crate::sniff;

/// How many bytes are looked at to tell what a file holds: the first lines with their ends, even where they are long.
const LOOK: usize = 1 << 16;

/// The widest window of zstd that is taken, as a power of two: the 2 GiB of `zstd --long=31`, beyond which zstd itself
/// decompresses nothing. Of this memory only what a file fills is used.
const WINDOW: u32 = if usize::BITS < 64 { 30 } else { 31 };

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

/// The members of a gzip file, one after another. Zeros behind the last are padding, as gzip and Python have it.
struct Gzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(mut rest) = self.0.take().map(GzDecoder::into_inner) else { break };
            if skip_zeros(&mut rest)? {
                self.0 = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Reads on to a byte that is no zero; whether there is one.
fn skip_zeros(from: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let more = zeros < bytes.len();
        from.consume(zeros);
        if more {
            return Ok(true);
        }
    }
}

/// Opens a file and tells its compression by its first bytes, and what it holds by the first plain ones, or by its
/// name where these say nothing. What is none of the formats is refused as a whole.
pub(crate) fn open(path: &Path, asked: Option<Format>, done: Arc<AtomicU64>) -> Result<Source, Error> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let mut raw = BufReader::with_capacity(1 << 17, Counted { file, done: Arc::clone(&done) });
    let magic = raw.fill_buf().map_err(fail)?;
    if let Some(fact) = sniff::foreign(magic) {
        return Err(Error::file(path, fact));
    }
    if magic.starts_with(b"PAR1") {
        return match asked {
            None | Some(Format::Parquet) => {
                let file = raw.into_inner().file;
                // A table is read by seeking, and counted by its rows; what the look read was nothing yet.
                done.store(0, Ordering::Relaxed);
                Ok(Source::Parquet(file))
            }
            Some(_) => {
                Err(Error::file(path, "a Parquet file, where lines or text are read; write it as JSONL"))
            }
        };
    }
    if asked == Some(Format::Parquet) || (is_told_by_name(asked) && inputs::kind(path) == "parquet") {
        let fact = "no Parquet file: it does not begin with PAR1; it was cut short or is something else";
        return Err(Error::file(path, fact));
    }
    let mut unpack = None;
    let mut bytes: Box<dyn Read + Send> = if magic.starts_with(&[0x1f, 0x8b]) {
        unpack = Some("gzip -dc");
        Box::new(Gzip(Some(GzDecoder::new(raw))))
    } else if is_zstd(magic) {
        unpack = Some("zstd -dc");
        let mut decoder = ZstdDecoder::with_buffer(raw).map_err(fail)?;
        decoder.window_log_max(WINDOW).map_err(fail)?;
        Box::new(decoder)
    } else {
        Box::new(raw)
    };
    let mut head = vec![0; LOOK];
    let filled = fill(&mut bytes, &mut head).map_err(|e| damaged(path, &e))?;
    head.truncate(filled);
    let format = told(path, unpack, asked, &head).map_err(|fact| Error::file(path, fact))?;
    let head = sniff::without_marks(&head).to_vec();
    let whole: Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>> = Cursor::new(head).chain(bytes);
    Ok(Source::Plain { format, bytes: Box::new(whole) })
}

/// A frame of zstd, or one that it skips.
fn is_zstd(magic: &[u8]) -> bool {
    magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || (magic.len() >= 4 && (0x50..0x60).contains(&magic[0]) && magic[1..4] == [0x2a, 0x4d, 0x18])
}

/// Whether a file may be known by its name for a kind that is not asked for. Lines, whatever is in them, are asked for
/// by programs and not by persons, who know better.
fn is_told_by_name(asked: Option<Format>) -> bool {
    matches!(asked, None | Some(Format::Lines))
}

/// What a file holds whose plain bytes begin with `head`; the error is the fact.
fn told(
    path: &Path,
    unpack: Option<&'static str>,
    asked: Option<Format>,
    head: &[u8],
) -> Result<Format, String> {
    if let Some(encoding) = sniff::wide_encoding(head) {
        return Err(format!("{encoding}, and not UTF-8; {}", sniff::convert_from(encoding)));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = sniff::Named { name: &name, unpack };
    let kind = inputs::kind(path);
    let head = sniff::without_marks(head);
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    if is_told_by_name(asked) {
        match kind.as_str() {
            "csv" => return Err(sniff::csv(&file, "','")),
            "tsv" | "tab" => return Err(sniff::csv(&file, "'\\t'")),
            _ => {}
        }
    }
    let format = asked.unwrap_or(match kind.as_str() {
        "txt" | "text" | "md" => Format::Text,
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        _ if first == Some(&b'{') => Format::Jsonl,
        _ => Format::Text,
    });
    match format {
        Format::Jsonl | Format::Lines => sniff::no_jsonl(head, &file).map_or(Ok(format), Err),
        Format::Text if is_binary(head) => Err("neither text nor a kind of data that is read".to_owned()),
        Format::Parquet | Format::Text => Ok(format),
    }
}

/// Whether bytes are no text in any encoding: some are zeros, and some are no UTF-8.
fn is_binary(head: &[u8]) -> bool {
    let no_utf8 = std::str::from_utf8(head).is_err_and(|e| e.error_len().is_some());
    no_utf8 && head.contains(&0)
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
    let fact = error.to_string();
    // zstd's own words for a window that is wider than it was told to bear.
    if fact.contains("requires too much memory") {
        let fact = format!(
            "compressed by zstd with a window of more than {} GiB; compress it again, with `zstd --long={WINDOW}` at most",
            1u64 << (WINDOW - 30)
        );
        return Error::file(path, fact);
    }
    Error::file(path, format!("its compression is damaged or was cut short ({fact}); fetch the file again"))
}
