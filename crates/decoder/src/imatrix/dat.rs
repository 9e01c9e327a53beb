//! llama.cpp's form of importance matrices before it had the GGUF one: `.dat`.
//!
//! ```text
//! entries          i32, little-endian, as all numbers are
//! of each entry:
//!     length       i32
//!     name         so many bytes
//!     calls        i32: chunks of text
//!     columns      i32
//!     sums         f32 each: the mean square times the calls
//! calls of all     i32   } left out by its
//! length, dataset  i32, bytes } first versions
//! ```

use super::{Entry, Imatrix};
use crate::Error;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of tensors are a few dozen bytes.
const LONGEST_NAME: usize = 256;

/// Whether a file begins as one of this form does: a small count, and the length of a name that is text.
pub(super) fn seems(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let count = cursor.number();
    let name = cursor.text();
    count.is_some_and(|n| (1..1 << 20).contains(&n)) && name.is_some_and(|name| name.ends_with(".weight"))
}

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Imatrix, Error> {
    let wrong = |fact: String| Error::Imatrix { path: path.to_path_buf(), fact };
    let mut cursor = Cursor(bytes);
    let mut entries = BTreeMap::new();
    for i in 0..cursor.number().unwrap_or(0) {
        let Some((name, calls, sums)) = cursor.entry() else {
            return Err(wrong(format!(
                "the file ends within entry {i}, or is damaged there; fetch it again"
            )));
        };
        let name = name.to_owned();
        let Some(entry) = Entry::of(sums, calls as f32) else {
            return Err(wrong(format!(
                "the sums and the count of `{}` do not make finite means; make it again with `sai imatrix`",
                name.escape_debug()
            )));
        };
        entries.insert(name, entry);
    }
    let chunks = cursor.number().unwrap_or(0) as u32;
    let datasets = cursor.text().map(str::to_owned).into_iter().collect();
    Ok(Imatrix { path: path.to_path_buf(), datasets, chunks, chunk_size: 0, entries })
}

/// What of the file is still to be read; `None` where it is too short, or a number makes no sense.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// A number that is not negative.
    fn number(&mut self) -> Option<usize> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        usize::try_from(i32::from_le_bytes(*bytes)).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number().filter(|length| *length <= LONGEST_NAME)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn entry(&mut self) -> Option<(&'a str, usize, Vec<f32>)> {
        let (name, calls, columns) = (self.text()?, self.number()?, self.number()?);
        let sums = self.take(columns.checked_mul(4)?)?.as_chunks().0;
        Some((name, calls, sums.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }
}
