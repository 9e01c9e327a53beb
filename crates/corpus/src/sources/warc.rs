//! WARC files, and WET files, which are WARC of plain text (ISO 28500): records with a length, one after another.
//!
//! What a record promises is not believed: one that is longer than the limit is passed over without being held in memory,
//! and where a length is wrong or bytes are missing the next record is looked for by the line that it begins with. Each of
//! these is counted by its kind.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::http;
use super::members::{Interrupted, Members};
use super::{Body, Faults, Record};

/// The longest head of a record, or of an answer in it.
const HEAD: usize = 64 << 10;

/// The records of a file.
pub(crate) struct WarcReader {
    bytes: Members,
    /// What is read and not yet taken, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    /// No more comes.
    ended: bool,
    /// Bytes are missing behind the buffer's end.
    pending: Option<Interrupted>,
    longest: usize,
    number: u64,
    pub(crate) faults: Faults,
}

/// The longest first line of a record that is looked for.
const FIRST: usize = 16;

/// Where the first line of a record is: `WARC/1.0` and its end. It may stand behind anything, for a member of gzip begins
/// with it.
fn find_head(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(bytes, b"WARC/").find(|&at| {
        let rest = &bytes[at + 5..bytes.len().min(at + FIRST)];
        let version = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        version >= 3 && matches!(rest[version..], [b'\n', ..] | [b'\r', b'\n', ..])
    })
}

/// What a record says of itself.
#[derive(Default)]
struct Head {
    kind: String,
    length: Option<u64>,
    url: Option<String>,
    content_type: Option<String>,
    lang: Option<String>,
    truncated: bool,
}

/// What there is behind `at`.
enum Step {
    Ready,
    /// Not so much: the file ends.
    End,
    /// Not so much: bytes are missing.
    Missing,
}

impl WarcReader {
    pub(crate) fn open(path: &Path, longest: usize, done: Arc<AtomicU64>) -> io::Result<WarcReader> {
        Ok(WarcReader {
            bytes: Members::open(path, done)?,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            pending: None,
            longest,
            number: 0,
            faults: Faults::default(),
        })
    }

    fn left(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads until there are `wanted` bytes.
    fn fill(&mut self, wanted: usize) -> io::Result<Step> {
        while self.left().len() < wanted {
            if self.pending.is_some() {
                return Ok(Step::Missing);
            }
            if self.ended {
                return Ok(Step::End);
            }
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            match self.bytes.read_more(&mut self.buffer)? {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(fault) => self.pending = Some(fault),
            }
        }
        Ok(Step::Ready)
    }

    /// Bytes are missing: what is left of this piece is dropped, and the reading goes on behind.
    fn leave_piece(&mut self) {
        self.buffer.clear();
        self.at = 0;
        if let Some(fault) = self.pending.take() {
            self.faults.add(match fault {
                Interrupted::Truncated => "a compressed member ends before its end",
                Interrupted::Damaged => "a compressed member is damaged",
                Interrupted::Bomb => "a compressed member becomes hundreds of megabytes of next to nothing",
                Interrupted::Junk => "something else stands between compressed members",
            });
        }
    }

    /// Goes on to the next line that begins a record, and counts `why`. False at the end.
    fn resynchronise(&mut self, why: &'static str) -> io::Result<bool> {
        self.faults.add(why);
        loop {
            if let Some(found) = find_head(self.left()) {
                self.at += found;
                return Ok(true);
            }
            // What may be the beginning of one stays.
            self.at = self.buffer.len() - self.left().len().min(FIRST);
            let left = self.left().len();
            match self.fill(left + 1)? {
                Step::Ready => {}
                Step::End => return Ok(false),
                Step::Missing => {
                    self.leave_piece();
                    return Ok(true);
                }
            }
        }
    }

    /// The next record with a text or a page; others are passed over. `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            match self.skip_blank()? {
                Step::Ready => {}
                Step::End => return Ok(None),
                Step::Missing => {
                    self.leave_piece();
                    continue;
                }
            }
            if !self.left().starts_with(b"WARC/") {
                match self.fill(5)? {
                    Step::Ready if self.left().starts_with(b"WARC/") => {}
                    Step::Missing => {
                        self.leave_piece();
                        continue;
                    }
                    _ => {
                        if !self.resynchronise("something else stands where a record begins")? {
                            return Ok(None);
                        }
                        continue;
                    }
                }
            }
            self.number += 1;
            let Some(head) = self.head()? else { continue };
            let Some(length) = head.length else {
                self.resynchronise("a record does not say its length")?;
                continue;
            };
            let length = match usize::try_from(length) {
                Ok(length) if length <= self.longest => length,
                _ => {
                    self.resynchronise("a record is longer than the limit")?;
                    continue;
                }
            };
            let whole = match self.fill(length)? {
                Step::Ready => self.ends_well(length)?,
                Step::End => false,
                Step::Missing => {
                    self.faults.add("a record ends before its end");
                    self.leave_piece();
                    continue;
                }
            };
            // Where its length is wrong a record ends before the next one, as far as that can be told.
            let length = match whole {
                true => length,
                false => match self.next_head()? {
                    Some(end) => {
                        self.faults.note("a record of another length than it says, taken up to the next");
                        end
                    }
                    None => {
                        self.faults.add("a record ends before its end");
                        self.at = self.buffer.len();
                        continue;
                    }
                },
            };
            let body = self.left()[..length].to_vec();
            self.at += length;
            if let Some(record) = self.record(head, body) {
                return Ok(Some(record));
            }
        }
    }

    /// How far it is to the line's end before the next record, within the longest that a record may be.
    fn next_head(&mut self) -> io::Result<Option<usize>> {
        let mut from = 0;
        loop {
            let left = self.left();
            if let Some(found) = memchr::memmem::find(&left[from..], b"\nWARC/") {
                return Ok((from + found <= self.longest).then_some(from + found));
            }
            from = left.len().saturating_sub(5);
            if left.len() > self.longest {
                return Ok(None);
            }
            let wanted = left.len() + 1;
            if !matches!(self.fill(wanted)?, Step::Ready) {
                return Ok(None);
            }
        }
    }

    /// Passes over empty lines.
    fn skip_blank(&mut self) -> io::Result<Step> {
        loop {
            let blank = self.left().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.at += blank;
            if !self.left().is_empty() {
                return Ok(Step::Ready);
            }
            match self.fill(1)? {
                Step::Ready => {}
                other => return Ok(other),
            }
        }
    }

    /// Whether a record of `length` bytes ends where the next begins, or nothing follows.
    fn ends_well(&mut self, length: usize) -> io::Result<bool> {
        let mut wanted = length + 1;
        loop {
            match self.fill(wanted)? {
                Step::Ready => {}
                // What is missing is missing behind this record.
                Step::End | Step::Missing => return Ok(true),
            }
            let behind = &self.left()[length..];
            let blank = behind.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let next = &behind[blank..];
            match next.len() {
                _ if blank > 16 => return Ok(false),
                0..5 if b"WARC/".starts_with(next) => wanted = length + blank + next.len() + 1,
                _ => return Ok(next.starts_with(b"WARC/")),
            }
        }
    }

    /// The head of the record that begins here; `None` where it is none, which was counted.
    fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            let left = &self.left()[..self.left().len().min(HEAD)];
            if let Some(end) = http::head_end(left) {
                break end;
            }
            if left.len() == HEAD {
                self.at += 5;
                self.resynchronise("a record's head is longer than the limit")?;
                return Ok(None);
            }
            let wanted = self.left().len() + 1;
            match self.fill(wanted)? {
                Step::Ready => {}
                Step::End => {
                    self.faults.add("a record ends before its end");
                    self.at = self.buffer.len();
                    return Ok(None);
                }
                Step::Missing => {
                    self.faults.add("a record ends before its end");
                    self.leave_piece();
                    return Ok(None);
                }
            }
        };
        let mut head = Head::default();
        for (name, value) in http::headers(&self.left()[..end]) {
            match name.to_ascii_lowercase().as_str() {
                "warc-type" => head.kind = value.to_ascii_lowercase(),
                "content-length" => head.length = value.parse().ok(),
                // Some writers put the address in angle brackets.
                "warc-target-uri" => {
                    let bare = value.strip_prefix('<').and_then(|v| v.strip_suffix('>'));
                    head.url = Some(bare.unwrap_or(&value).to_owned());
                }
                "content-type" => head.content_type = Some(value),
                "warc-identified-content-language" => {
                    head.lang = value.split(',').next().map(|lang| lang.trim().to_owned());
                }
                "warc-truncated" => head.truncated = true,
                _ => {}
            }
        }
        self.at += end;
        Ok(Some(head))
    }

    /// What a whole record holds for a corpus.
    fn record(&mut self, head: Head, body: Vec<u8>) -> Option<Record> {
        let Head { kind, url, content_type, lang, truncated, .. } = head;
        if truncated {
            self.faults.note("a page was cut by its crawler");
        }
        let body = match kind.as_str() {
            "conversion" => Body::Bytes(body),
            "resource" => page(body, content_type)?,
            "response" => {
                let is_http = url.as_deref().is_none_or(|url| url.starts_with("http"));
                if !is_http {
                    return None;
                }
                match http::Answer::parse(&body, self.longest) {
                    Ok(answer) if answer.status != 200 => {
                        self.faults.note("an answer of another status than 200");
                        return None;
                    }
                    Ok(answer) => match page(answer.body, answer.content_type) {
                        Some(body) => body,
                        None => {
                            self.faults.note("an answer that is no page and no text");
                            return None;
                        }
                    },
                    Err(fact) => {
                        self.faults.add(fact);
                        return None;
                    }
                }
            }
            _ => return None,
        };
        Some(Record { body, url, lang, place: format!("record {}", self.number), ..Record::default() })
    }
}

/// Bytes as their type says; nothing of a type that has no text. What is not said is a page.
fn page(bytes: Vec<u8>, content_type: Option<String>) -> Option<Body> {
    let kind = content_type.as_deref().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/html" | "application/xhtml+xml" | "" => Some(Body::Html { bytes, content_type }),
        "text/plain" => Some(Body::Bytes(bytes)),
        _ => None,
    }
}
