//! A stream of bytes, cut into blocks of whole lines, or of whole documents of a text file.

use std::io::{self, Read};
use std::sync::Arc;

use memchr::memmem::{Finder, FinderRev};

use crate::spares::Spares;

/// What comes of a stream, in its order.
pub(crate) enum Piece {
    /// Whole documents; the number of the first one, from 1. The end of the stream may lack its delimiter.
    Block { first: u64, bytes: Vec<u8> },
    /// A document longer than the limit, left out.
    TooLong { number: u64 },
}

/// Cuts at a delimiter. Without one the whole stream is a document.
pub(crate) struct Cutter<R> {
    from: R,
    delimiter: Option<Delimiter>,
    block: usize,
    longest: usize,
    spares: Arc<Spares>,
    /// What was read behind the last cut.
    rest: Vec<u8>,
    /// The number of the document that `rest` begins with.
    next: u64,
    ended: bool,
}

struct Delimiter {
    bytes: Vec<u8>,
    finder: Finder<'static>,
    last: FinderRev<'static>,
}

impl<R: Read> Cutter<R> {
    pub(crate) fn new(
        from: R,
        delimiter: Option<&[u8]>,
        block: usize,
        longest: usize,
        spares: Arc<Spares>,
    ) -> Cutter<R> {
        let delimiter = delimiter.map(|bytes| Delimiter {
            bytes: bytes.to_owned(),
            finder: Finder::new(bytes).into_owned(),
            last: FinderRev::new(bytes).into_owned(),
        });
        let block = block.max(1);
        Cutter { from, delimiter, block, longest, spares, rest: Vec::new(), next: 1, ended: false }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut bytes = self.spares.take();
        bytes.append(&mut self.rest);
        // What was searched for a delimiter already, in vain.
        let mut searched = 0;
        loop {
            if !self.ended {
                // A document longer than a block grows by half, so that it is not moved too often.
                let wanted = self.block.max(bytes.len() + bytes.len() / 2 + 1);
                bytes.reserve_exact(wanted - bytes.len());
                let asked = (wanted - bytes.len()) as u64;
                let read = self.from.by_ref().take(asked).read_to_end(&mut bytes)?;
                self.ended = (read as u64) < asked;
            }
            if self.ended {
                if bytes.is_empty() {
                    return Ok(None);
                }
                return Ok(Some(self.block_of(bytes)));
            }
            if let Some(end) = self.last_cut(&bytes, searched) {
                self.rest.extend_from_slice(&bytes[end..]);
                bytes.truncate(end);
                return Ok(Some(self.block_of(bytes)));
            }
            if bytes.len() > self.longest {
                return self.pass_over(bytes).map(Some);
            }
            let overlap = self.delimiter.as_ref().map_or(0, |d| d.bytes.len() - 1);
            searched = bytes.len().saturating_sub(overlap);
        }
    }

    /// Where the last document that is whole ends, its delimiter included.
    fn last_cut(&self, bytes: &[u8], searched: usize) -> Option<usize> {
        let delimiter = self.delimiter.as_ref()?;
        delimiter.last.rfind(&bytes[searched..]).map(|at| searched + at + delimiter.bytes.len())
    }

    fn block_of(&mut self, bytes: Vec<u8>) -> Piece {
        let first = self.next;
        self.next += self.delimiter.as_ref().map_or(1, |d| match d.bytes[..] {
            [byte] => memchr::memchr_iter(byte, &bytes).count() as u64,
            _ => d.finder.find_iter(&bytes).count() as u64,
        });
        Piece::Block { first, bytes }
    }

    /// Reads on to the next delimiter and keeps nothing.
    fn pass_over(&mut self, mut bytes: Vec<u8>) -> io::Result<Piece> {
        let number = self.next;
        self.next += 1;
        let Some(delimiter) = &self.delimiter else {
            self.ended = true;
            return Ok(Piece::TooLong { number });
        };
        while !self.ended {
            let keep = bytes.len().saturating_sub(delimiter.bytes.len() - 1);
            bytes.drain(..keep);
            let asked = self.block as u64;
            let read = self.from.by_ref().take(asked).read_to_end(&mut bytes)?;
            self.ended = (read as u64) < asked;
            if let Some(at) = delimiter.finder.find(&bytes) {
                self.rest = bytes.split_off(at + delimiter.bytes.len());
                break;
            }
        }
        Ok(Piece::TooLong { number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pieces, as (number of its first document, its text) with `None` for one too long.
    fn cut(text: &str, delimiter: Option<&str>, block: usize, longest: usize) -> Vec<(u64, Option<String>)> {
        let spares = Arc::new(Spares::default());
        let mut cutter =
            Cutter::new(text.as_bytes(), delimiter.map(str::as_bytes), block, longest, Arc::clone(&spares));
        let mut out = Vec::new();
        while let Some(piece) = cutter.next().unwrap() {
            out.push(match piece {
                Piece::Block { first, bytes } => {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    spares.give(bytes, block);
                    (first, Some(text))
                }
                Piece::TooLong { number } => (number, None),
            });
        }
        out
    }

    #[test]
    fn cuts_stand_behind_delimiters_and_lose_nothing() {
        for delimiter in ["\n", "--", "aab"] {
            for block in [1, 2, 3, 5, 8, 64] {
                let text = ["one", "two", "", "three and more", "aa"].join(delimiter);
                let pieces = cut(&text, Some(delimiter), block, 1000);
                let joined: String = pieces.iter().map(|(_, text)| text.as_deref().unwrap()).collect();
                assert_eq!(joined, text, "{delimiter:?} {block}");
                let mut number = 1;
                for (i, (first, piece)) in pieces.iter().enumerate() {
                    let piece = piece.as_deref().unwrap();
                    assert_eq!(*first, number, "{delimiter:?} {block}");
                    number += piece.matches(delimiter).count() as u64;
                    assert!(piece.ends_with(delimiter) || i + 1 == pieces.len());
                }
            }
        }
    }

    #[test]
    fn what_is_too_long_is_left_out_and_counted() {
        let text = format!("a\n{}\nb\nc\n", "x".repeat(100));
        let pieces = cut(&text, Some("\n"), 4, 20);
        assert!(pieces.contains(&(2, None)), "{pieces:?}");
        let kept: String = pieces.iter().filter_map(|(_, t)| t.as_deref()).collect();
        assert_eq!(kept, "a\nb\nc\n");
        assert_eq!(
            pieces.iter().find(|(_, t)| t.as_deref().is_some_and(|t| t.starts_with('b'))).unwrap().0,
            3
        );
        assert_eq!(cut(&"y".repeat(50), None, 4, 20), [(1, None)]);
        assert_eq!(cut("whole file\n", None, 4, 20), [(1, Some("whole file\n".to_owned()))]);
        assert!(cut("", None, 4, 20).is_empty());
    }
}
