//! How much of a text is said more than once: lines, paragraphs, n-grams of words (Rae et al. 2021, table A1).
//!
//! The counts are datatrove's: characters are code points, a repeated n-gram that was counted is passed over whole, the most
//! frequent n-gram of equal counts is the one seen first. Things are equal where their 61- or 64-bit hashes are.

use twox_hash::XxHash64;

use super::words::{Word, joined, spaced};
use crate::unicode::chars;

/// A set of hashes with a count and a first place each, open addressing, used again and again.
#[derive(Default)]
pub(crate) struct Table {
    keys: Vec<u64>,
    values: Vec<(u32, u32)>,
    mask: usize,
}

impl Table {
    /// Empties it and makes room for `count` keys.
    fn reset(&mut self, count: usize) {
        let size = (count * 2).next_power_of_two().max(16);
        self.mask = size - 1;
        self.keys.clear();
        self.keys.resize(size, 0);
        if self.values.len() < size {
            self.values.resize(size, (0, 0));
        }
    }

    /// The place of a key, and whether it is new.
    #[inline]
    fn entry(&mut self, key: u64) -> (usize, bool) {
        // Nought marks an empty place.
        let key = key.max(1);
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & self.mask;
        loop {
            let found = self.keys[at];
            if found == key {
                return (at, false);
            }
            if found == 0 {
                self.keys[at] = key;
                return (at, true);
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a key; true where it is new.
    #[inline]
    fn insert(&mut self, key: u64) -> bool {
        self.entry(key).1
    }

    /// Counts a key; its count, and the first place that it was counted at.
    #[inline]
    fn count(&mut self, key: u64, place: u32) -> (u32, u32) {
        let (at, new) = self.entry(key);
        if new {
            self.values[at] = (1, place);
        } else {
            self.values[at].0 += 1;
        }
        self.values[at]
    }
}

/// Pieces of a text that were there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// Pieces in all.
    pub pieces: usize,
    /// Those that are repetitions.
    pub repeated: usize,
    /// Code points of the repetitions.
    pub chars: usize,
}

/// Counts the pieces that were there before.
pub(crate) fn repeated<'a>(
    pieces: impl Iterator<Item = &'a str>,
    most: usize,
    table: &mut Table,
) -> Repeated {
    table.reset(most);
    let mut counts = Repeated::default();
    for piece in pieces {
        counts.pieces += 1;
        if !table.insert(XxHash64::oneshot(0, piece.as_bytes())) {
            counts.repeated += 1;
            counts.chars += chars(piece);
        }
    }
    counts
}

/// Pieces between runs of `\n` of at least `least`, as Python's `re.split` gives them: also the empty ones at the ends.
pub(crate) fn split_runs(text: &str, least: usize) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let start = from?;
        let mut at = start;
        while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
            let run = at + found;
            let end = run + bytes[run..].iter().take_while(|&&byte| byte == b'\n').count();
            if end - run >= least {
                from = Some(end);
                return Some(&text[start..run]);
            }
            at = end;
        }
        from = None;
        Some(&text[start..])
    })
}

/// Code points that the most frequent n-gram takes in all, spaces between its words counted. `None` where there are fewer than `n`
/// words.
pub(crate) fn top_n_gram(words: &[Word], n: usize, table: &mut Table) -> Option<usize> {
    if n == 0 || words.len() < n {
        return None;
    }
    table.reset(words.len());
    let mut best = (0, 0);
    for (place, window) in words.windows(n).enumerate() {
        let hash = window[1..].iter().fold(window[0].hash, spaced);
        let (count, first) = table.count(hash, place as u32);
        if count > best.0 || (count == best.0 && first < best.1) {
            best = (count, first);
        }
    }
    let length = words[best.1 as usize..][..n].iter().map(|word| word.chars as usize).sum::<usize>() + n - 1;
    Some(length * best.0 as usize)
}

/// Code points of n-grams that were there before, without the spaces. Sliding, and over a repeated one at once.
pub(crate) fn repeated_n_grams(words: &[Word], n: usize, hashes: &[u64], table: &mut Table) -> usize {
    if n == 0 || words.len() < n {
        return 0;
    }
    table.reset(words.len());
    let mut chars = 0;
    let mut at = 0;
    while at + n <= words.len() {
        if table.insert(hashes[at]) {
            at += 1;
        } else {
            chars += words[at..at + n].iter().map(|word| word.chars as usize).sum::<usize>();
            at += n;
        }
    }
    chars
}

/// Makes `hashes`, of (n − 1)-grams written together, those of n-grams.
pub(crate) fn lengthen(words: &[Word], n: usize, hashes: &mut Vec<u64>) {
    if n == 1 {
        hashes.clear();
        hashes.extend(words.iter().map(|word| word.hash));
        return;
    }
    let count = (words.len() + 1).saturating_sub(n);
    hashes.truncate(count);
    for (hash, word) in hashes.iter_mut().zip(&words[(n - 1).min(words.len())..]) {
        *hash = joined(*hash, word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::words::cut;

    #[test]
    fn runs_split_as_pythons_re_does() {
        let split = |text, least| split_runs(text, least).collect::<Vec<_>>();
        assert_eq!(split("a\n\nb\nc\n", 1), ["a", "b", "c", ""]);
        assert_eq!(split("\na", 1), ["", "a"]);
        assert_eq!(split("a\nb\n\n\nc", 2), ["a\nb", "c"]);
        assert_eq!(split("", 1), [""]);
    }

    #[test]
    fn the_first_of_equally_frequent_n_grams_is_the_top_one() {
        let mut words = Vec::new();
        cut("a b cc dd a b cc dd", &mut words);
        // "a b", "b cc", "cc dd" twice each: the first one has 3 characters.
        assert_eq!(top_n_gram(&words, 2, &mut Table::default()), Some(6));
        assert_eq!(top_n_gram(&words, 9, &mut Table::default()), None);
        cut("only once here", &mut words);
        assert_eq!(top_n_gram(&words, 2, &mut Table::default()), Some(9));
    }

    #[test]
    fn a_repeated_n_gram_is_passed_over_whole() {
        let mut words = Vec::new();
        let mut hashes = Vec::new();
        cut("a b a b a b x", &mut words);
        lengthen(&words, 1, &mut hashes);
        lengthen(&words, 2, &mut hashes);
        // ab, ba, then "ab" again (two words passed over), "ab" again, x.
        assert_eq!(repeated_n_grams(&words, 2, &hashes, &mut Table::default()), 4);
        // Written together, "a bc" and "ab c" are the same, as with datatrove.
        cut("a bc ab c", &mut words);
        lengthen(&words, 1, &mut hashes);
        lengthen(&words, 2, &mut hashes);
        assert_eq!(repeated_n_grams(&words, 2, &hashes, &mut Table::default()), 3);
    }
}
