//! Reading little-endian values off the front of bytes that may end anywhere.

/// A place in the header.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The header goes on after the file has ended: `bytes` were needed at `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) at: usize,
    pub(super) bytes: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], Short> {
        let taken = self.peek(n)?;
        self.at += taken.len();
        Ok(taken)
    }

    /// The next `n` bytes, left in place: asked before a list is walked, it refuses one that cannot fit.
    pub(super) fn peek(&self, n: u64) -> Result<&'a [u8], Short> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        end.and_then(|end| self.bytes.get(self.at..end)).ok_or(Short { at: self.at, bytes: n })
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string: its length in bytes as u64, then its bytes.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u64()?;
        self.take(length)
    }
}
