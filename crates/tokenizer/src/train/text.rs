//! The distinct words as runs of symbols, all in one array.
//!
//! A word is its length, its count (low half, high half) and its symbols; it is named by where it begins, and
//! shrinks in place. One visit is one stretch of memory, and later words lie further on.

use super::budget::{Budget, Full};
use super::words::Words;

/// Cells before a word's symbols.
const HEAD: usize = 3;

/// Words of two symbols or more.
pub(super) struct Text {
    cells: Vec<u32>,
}

/// A word at a place of the array.
pub(super) struct Word<'t> {
    pub(super) count: u64,
    pub(super) symbols: &'t [u32],
}

impl Text {
    /// Lays the words out; `ids` are those of the 256 bytes. A part's memory is given back when it is laid out.
    pub(super) fn new(parts: Vec<Words>, ids: &[u32; 256], budget: &Budget) -> Result<Text, Full> {
        let long = |words: &Words| words.iter().filter(|(_, word, _)| word.len() > 1).count();
        let words: usize = parts.iter().map(long).sum();
        let letters: usize = parts.iter().map(Words::text_len).sum();
        let size = letters + HEAD * words;
        u32::try_from(size).map_err(|_| Full)?;
        budget.take(size * size_of::<u32>())?;
        let mut cells = Vec::with_capacity(size);
        for part in parts {
            for (_, word, count) in part.iter().filter(|(_, word, _)| word.len() > 1) {
                cells.extend([word.len() as u32, count as u32, (count >> 32) as u32]);
                cells.extend(word.iter().map(|&byte| ids[usize::from(byte)]));
            }
            budget.give(part.held());
        }
        Ok(Text { cells })
    }

    /// Every word as it was laid out, before the first merge.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Word<'_>)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = *self.cells.get(at)? as usize;
            let count = u64::from(self.cells[at + 1]) | u64::from(self.cells[at + 2]) << 32;
            let symbols = &self.cells[at + HEAD..at + HEAD + length];
            let start = at as u32;
            at += HEAD + length;
            Some((start, Word { count, symbols }))
        })
    }

    /// Cuts the array where words begin, so that several threads can each have a stretch of it: `places` are
    /// ascending.
    pub(super) fn cut_at(&mut self, places: &[u32]) -> Vec<Stretch<'_>> {
        let mut stretches = Vec::with_capacity(places.len());
        let (mut rest, mut first) = (self.cells.as_mut_slice(), 0);
        for (i, &place) in places.iter().enumerate() {
            rest = rest.split_at_mut(place as usize - first).1;
            first = place as usize;
            let end = places.get(i + 1).map_or(rest.len(), |&next| next as usize - first);
            let (cells, after) = rest.split_at_mut(end);
            stretches.push(Stretch { cells, first });
            (rest, first) = (after, first + end);
        }
        stretches
    }
}

/// Some of the words, to be changed.
pub(super) struct Stretch<'t> {
    cells: &'t mut [u32],
    first: usize,
}

impl Stretch<'_> {
    /// Replaces `pair` by `new` in the word at `place`, from its beginning on. `seen` is told of each replacement:
    /// the symbol before it, the one after it, and the word's count.
    #[inline]
    pub(super) fn merge(
        &mut self,
        place: u32,
        pair: (u32, u32),
        new: u32,
        mut seen: impl FnMut(Option<u32>, Option<u32>, u64),
    ) {
        let (head, rest) = self.cells[place as usize - self.first..].split_at_mut(HEAD);
        let count = u64::from(head[1]) | u64::from(head[2]) << 32;
        let symbols = &mut rest[..head[0] as usize];
        let (mut from, mut to) = (0, 0usize);
        while from < symbols.len() {
            if symbols[from] == pair.0 && symbols.get(from + 1) == Some(&pair.1) {
                seen(to.checked_sub(1).map(|at| symbols[at]), symbols.get(from + 2).copied(), count);
                symbols[to] = new;
                from += 2;
            } else {
                symbols[to] = symbols[from];
                from += 1;
            }
            to += 1;
        }
        head[0] = to as u32;
    }
}
