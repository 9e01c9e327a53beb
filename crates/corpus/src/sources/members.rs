//! The plain bytes of a file that is compressed in members, one after another: gzip by record, or bzip2 by stream.
//!
//! A member that is damaged is left, and the next one is looked for by what members begin with. Whoever reads is told
//! by an [`Interrupted`] that bytes are missing where it stands.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

/// What a member of gzip begins with, and one of bzip2.
const GZIP: &[u8] = b"\x1f\x8b\x08";
const BZIP2: &[u8] = b"BZh";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// What compressed data may become: deflate makes at most 1,032 bytes of one, pages some twenty. A member beyond both of
/// these is a bomb, and left.
const BOMB_RATIO: u64 = 200;
const BOMB_BYTES: u64 = 1 << 28;

/// How much is read at a time.
const PIECE: usize = 256 << 10;
/// What a damaged member swallowed of those behind it is read again, up to so many bytes of a file.
const AGAIN: u64 = 64 << 20;

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// A member ends before its end.
    Truncated,
    /// A member is damaged.
    Damaged,
    /// A member of next to nothing becomes more than anybody wants.
    Bomb,
    /// Between two members stands something that is none.
    Junk,
}

/// The file, counted as it is read.
pub(crate) struct Counted {
    file: File,
    /// Where in it.
    at: u64,
    done: Arc<AtomicU64>,
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.file.seek(to)?;
        self.done.fetch_sub(self.at.saturating_sub(at), Ordering::Relaxed);
        self.at = at;
        Ok(at)
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.at += read as u64;
        self.done.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

type Raw = BufReader<Counted>;

enum State {
    Plain(Raw),
    Zstd(Box<ZstdDecoder<'static, Raw>>),
    Gzip(Box<GzDecoder<Raw>>),
    Bzip2(Box<BzDecoder<Raw>>),
    /// Between members of a kind.
    Between(Raw, &'static [u8]),
    End,
}

/// Plain bytes of a file, whatever it is compressed with.
pub(crate) struct Members {
    state: State,
    /// Where the member began in the file, about, and what it became.
    began: u64,
    made: u64,
    /// Whether the last member was left before its end.
    failed: bool,
    /// How many bytes may still be read again.
    again: u64,
}

impl Members {
    /// Reads a piece more, behind what `buffer` has; how much, 0 at the end.
    pub(crate) fn read_more(&mut self, buffer: &mut Vec<u8>) -> io::Result<Result<usize, Interrupted>> {
        let had = buffer.len();
        buffer.resize(had + PIECE, 0);
        let read = self.read(&mut buffer[had..]);
        buffer.truncate(had + read.as_ref().map_or(0, |read| read.unwrap_or(0)));
        read
    }

    pub(crate) fn open(path: &Path, done: Arc<AtomicU64>) -> io::Result<Members> {
        let counted = Counted { file: File::open(path)?, at: 0, done };
        let mut raw = BufReader::with_capacity(1 << 17, counted);
        let head = raw.fill_buf()?;
        let state = if head.starts_with(&GZIP[..2]) {
            State::Between(raw, GZIP)
        } else if head.starts_with(BZIP2) {
            State::Between(raw, BZIP2)
        } else if head.starts_with(ZSTD) {
            State::Zstd(Box::new(ZstdDecoder::with_buffer(raw)?))
        } else {
            State::Plain(raw)
        };
        Ok(Members { state, began: 0, made: 0, failed: false, again: AGAIN })
    }

    /// Fills `buffer` with what comes next: so many bytes, and 0 at the end. The inner error says that bytes are missing
    /// here; what follows is read by the next call.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Result<usize, Interrupted>> {
        loop {
            let (read, kind) = match &mut self.state {
                State::End => return Ok(Ok(0)),
                State::Plain(raw) => return raw.read(buffer).map(Ok),
                State::Zstd(decoder) => {
                    let read = decoder.read(buffer);
                    return Ok(read.map_err(|_| {
                        self.state = State::End;
                        Interrupted::Truncated
                    }));
                }
                State::Between(..) => {
                    let State::Between(raw, kind) = std::mem::replace(&mut self.state, State::End) else {
                        continue;
                    };
                    let junk = self.next_member(raw, kind)?;
                    // The rest of a damaged member was said already.
                    if junk && !std::mem::take(&mut self.failed) {
                        return Ok(Err(Interrupted::Junk));
                    }
                    self.failed = false;
                    continue;
                }
                State::Gzip(member) => (member.read(buffer), GZIP),
                State::Bzip2(member) => (member.read(buffer), BZIP2),
            };
            let fault = match read {
                Ok(0) => None,
                Ok(read) => {
                    self.made += read as u64;
                    let taken = self.taken().max(1);
                    if self.made < BOMB_BYTES || self.made / taken < BOMB_RATIO {
                        return Ok(Ok(read));
                    }
                    Some(Interrupted::Bomb)
                }
                Err(e) if e.raw_os_error().is_some() => return Err(e),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Some(Interrupted::Truncated),
                Err(_) => Some(Interrupted::Damaged),
            };
            let raw = match std::mem::replace(&mut self.state, State::End) {
                State::Gzip(member) => member.into_inner(),
                State::Bzip2(member) => member.into_inner(),
                _ => return Ok(Ok(0)),
            };
            let mut raw = raw;
            if let Some(fault) = fault {
                self.failed = true;
                // A member that is cut off goes on into the next, which is looked for from behind its own beginning.
                let position = Members::position(&raw);
                let swallowed = position.saturating_sub(self.began + 1);
                if position <= self.began || (fault != Interrupted::Bomb && swallowed <= self.again) {
                    self.again = self.again.saturating_sub(swallowed);
                    raw.seek(SeekFrom::Start(self.began + 1))?;
                }
                self.state = State::Between(raw, kind);
                return Ok(Err(fault));
            }
            self.state = State::Between(raw, kind);
        }
    }

    /// Goes on to where a member begins; what is between is padding, or the rest of a damaged one.
    /// Whether the latter was anything but zeros.
    fn next_member(&mut self, mut raw: Raw, kind: &'static [u8]) -> io::Result<bool> {
        let mut junk = false;
        loop {
            let bytes = raw.fill_buf()?;
            if bytes.is_empty() {
                return Ok(junk);
            }
            let skipped = match memchr::memmem::find(bytes, kind) {
                Some(0) => break,
                Some(at) => at,
                // Where the buffer cuts what may be a beginning, the decoder tells whether it is one.
                None => match (1..kind.len()).rev().find(|&n| bytes.ends_with(&kind[..n])) {
                    Some(tail) if tail == bytes.len() => break,
                    tail => bytes.len() - tail.unwrap_or(0),
                },
            };
            junk |= bytes[..skipped].iter().any(|&byte| byte != 0);
            raw.consume(skipped);
        }
        self.begin(raw, kind);
        Ok(junk)
    }

    /// Compressed bytes that the member took so far.
    fn taken(&self) -> u64 {
        let raw = match &self.state {
            State::Gzip(member) => member.get_ref(),
            State::Bzip2(member) => member.get_ref(),
            _ => return 0,
        };
        Members::position(raw).saturating_sub(self.began)
    }

    /// Where in the file `raw` is.
    fn position(raw: &Raw) -> u64 {
        raw.get_ref().at - raw.buffer().len() as u64
    }

    fn begin(&mut self, raw: Raw, kind: &'static [u8]) {
        self.began = Members::position(&raw);
        self.made = 0;
        self.state = match kind {
            GZIP => State::Gzip(Box::new(GzDecoder::new(raw))),
            _ => State::Bzip2(Box::new(BzDecoder::new(raw))),
        };
    }
}

/// The plain bytes up to the first that are missing.
pub(crate) struct Plain(pub(crate) Members);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.read(buffer)?.unwrap_or(0))
    }
}
