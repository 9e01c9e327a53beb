//! A cache of words and the ids they become, for one thread, of bounded size.
//!
//! A word of up to 31 bytes is its own key, its length in the last byte, so that comparing is exact and reads no
//! memory but the entry; up to three ids stand there too, seven with a longer word. Nearly all words are short ones,
//! of up to 15 bytes, and have a table in front that stays in the processor's own cache and holds what was met
//! lately, which is most of a text. What that lacks is in the tables behind it, which begin small and grow while they
//! fill, up to their bound. A new word takes the second place of its line there, and the first when it is met again:
//! words met once drive out only each other. Words too long for a key have a map of their own.

use std::collections::HashMap;
use std::hint::black_box;

use bytemuck::{Pod, Zeroable};
use foldhash::fast::RandomState;

use crate::hash::fold;
use crate::lines::Lines;

/// Words of a batch.
pub(crate) const BATCH: usize = 64;
/// The longest word that is kept. Merging longer ones costs little beside their being so rare.
const LONGEST: usize = 256;
/// Entries of the front table, 256 KiB.
const FRONT: usize = 1 << 13;
/// What a cache takes at most, whatever it is allowed.
const MOST_BYTES: usize = 4 << 30;

type Short = [u64; 2];
type Middle = [u64; 4];

/// A word of up to 15 bytes, and its ids; without a key none. The last of `ids` is how many there are, up to three,
/// or [`ASIDE`] where they stand apart, and then the first is their place.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(32))]
struct Entry {
    key: Short,
    ids: [u32; 4],
}

/// Two entries that share a line of the processor's cache.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([Entry; 2]);

/// A word of up to 31 bytes, and its ids as in [`Entry`], up to seven.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct MiddleLine {
    key: Middle,
    ids: [u32; 8],
}

const EMPTY: Entry = Entry { key: [0; 2], ids: [0; 4] };
const ASIDE: u32 = u32::MAX;

/// See the head of this file.
pub(crate) struct WordCache {
    front: Box<[Entry; FRONT]>,
    short: Lines<Line>,
    /// Entries in `short`.
    shorts: usize,
    middle: Lines<MiddleLine>,
    /// Lines in use in `middle`.
    middles: usize,
    /// Words too long to be a key.
    long: HashMap<Box<[u8]>, Aside, RandomState>,
    long_bytes: usize,
    /// Ids that do not fit an entry.
    ids: Vec<u32>,
    /// The ids of a word that was just encoded.
    fresh: Vec<u32>,
    bytes: usize,
}

/// Where ids stand apart.
#[derive(Clone, Copy)]
struct Aside {
    start: u32,
    count: u32,
}

/// For each length the bits of a key that are the word's.
static MASKS: [Middle; 32] = {
    let mut masks = [[0; 4]; 32];
    let mut length = 0;
    while length < 32 {
        let mut byte = 0;
        while byte < length {
            masks[length][byte / 8] |= 0xff << (byte % 8 * 8);
            byte += 1;
        }
        length += 1;
    }
    masks
};

impl WordCache {
    /// A cache that takes up to about `bytes` of memory, and at least 320 KiB.
    pub(crate) fn new(bytes: usize) -> WordCache {
        let bytes = bytes.min(MOST_BYTES);
        WordCache {
            front: Box::new([EMPTY; FRONT]),
            short: Lines::new(bytes / 2),
            shorts: 0,
            middle: Lines::new(bytes / 4),
            middles: 0,
            long: HashMap::default(),
            long_bytes: 0,
            ids: Vec::new(),
            fresh: Vec::new(),
            bytes,
        }
    }

    /// Adds to `out` the ids of words that follow each other in `text` from `start` on, at most [`BATCH`], none empty.
    /// Those of a word that is not known are given by `encode`, which adds them to an empty list.
    #[inline(always)]
    pub(crate) fn encode(
        &mut self,
        text: &[u8],
        mut start: usize,
        ends: &[usize],
        out: &mut Vec<u32>,
        mut encode: impl FnMut(&[u8], &mut Vec<u32>),
    ) {
        let mut hashes = [0; BATCH];
        let mut missing = [0u8; BATCH];
        let mut missed = 0;
        let mut from = start;
        for (at, &end) in (0u8..).zip(ends) {
            let word = Word::new(text, from, end);
            hashes[usize::from(at)] = word.hash;
            missing[missed % BATCH] = at;
            missed += usize::from(self.front[word.hash as usize % FRONT].key != word.key);
            from = end;
        }
        // Nothing waits for these, and so none waits for another.
        let asked = missing[..missed].iter().map(|&at| {
            let at = usize::from(at);
            let from = if at == 0 { start } else { ends[at - 1] };
            match ends[at] - from {
                0..16 => self.short.at(behind(hashes[at])).0[0].key[0],
                16..32 => self.middle.at(middle_hash(&middle_key(text, from, ends[at]))).key[0],
                _ => 0,
            }
        });
        black_box(asked.fold(0, |all, key| all ^ key));

        // Four are written for each word, and those that it has not are written over.
        let mut waiting = [0; 3 * BATCH + 1];
        let mut count = 0;
        for &end in ends {
            let word = Word::new(text, start, end);
            let entry = &self.front[word.hash as usize % FRONT];
            if entry.key == word.key {
                waiting[count..count + 4].copy_from_slice(&entry.ids);
                count += entry.ids[3] as usize;
            } else {
                out.extend_from_slice(&waiting[..count]);
                count = 0;
                self.find(text, start, end, out, &mut encode);
            }
            start = end;
        }
        out.extend_from_slice(&waiting[..count]);
        self.tidy();
    }

    /// The word `text[start..end]`, which the front table lacks.
    #[inline(never)]
    fn find(
        &mut self,
        text: &[u8],
        start: usize,
        end: usize,
        out: &mut Vec<u32>,
        encode: &mut impl FnMut(&[u8], &mut Vec<u32>),
    ) {
        let word = &text[start..end];
        match word.len() {
            0..16 => self.find_short(Word::new(text, start, end), word, out, encode),
            16..32 => self.find_middle(middle_key(text, start, end), word, out, encode),
            _ => self.find_long(word, out, encode),
        }
    }

    #[inline(always)]
    fn find_short(
        &mut self,
        Word { key, hash }: Word,
        word: &[u8],
        out: &mut Vec<u32>,
        encode: &mut impl FnMut(&[u8], &mut Vec<u32>),
    ) {
        let line = &mut self.short.at_mut(behind(hash)).0;
        if line[1].key == key {
            line.swap(0, 1);
        }
        if line[0].key == key {
            let entry = line[0];
            if entry.ids[3] == ASIDE {
                out.extend_from_slice(aside(&self.ids, entry.ids[0], entry.ids[1]));
            } else {
                out.extend_from_slice(&entry.ids[..entry.ids[3] as usize]);
                self.front[hash as usize % FRONT] = entry;
            }
            return;
        }
        self.fresh.clear();
        encode(word, &mut self.fresh);
        out.extend_from_slice(&self.fresh);
        let mut ids = [0; 4];
        match self.fresh.len() {
            n @ 0..=3 => {
                ids[..n].copy_from_slice(&self.fresh);
                ids[3] = n as u32;
            }
            n => {
                ids = [self.ids.len() as u32, n as u32, 0, ASIDE];
                self.ids.extend_from_slice(&self.fresh);
            }
        }
        if self.shorts > self.short.len() {
            let filled = &mut self.shorts;
            self.short.double(|new, old| {
                *filled = 0;
                // The more deserving first, so that they have the first places.
                for place in [0, 1] {
                    for entry in old.iter().map(|line| line.0[place]).filter(|entry| entry.key != EMPTY.key) {
                        *filled += put(&mut new.at_mut(behind(fold(entry.key[0], entry.key[1]))).0, entry);
                    }
                }
            });
        }
        self.shorts += put(&mut self.short.at_mut(behind(hash)).0, Entry { key, ids });
    }

    #[inline(always)]
    fn find_middle(
        &mut self,
        key: Middle,
        word: &[u8],
        out: &mut Vec<u32>,
        encode: &mut impl FnMut(&[u8], &mut Vec<u32>),
    ) {
        let hash = middle_hash(&key);
        let line = self.middle.at(hash);
        if line.key == key {
            if line.ids[7] == ASIDE {
                out.extend_from_slice(aside(&self.ids, line.ids[0], line.ids[1]));
            } else {
                out.extend_from_slice(&line.ids[..line.ids[7] as usize]);
            }
            return;
        }
        self.fresh.clear();
        encode(word, &mut self.fresh);
        out.extend_from_slice(&self.fresh);
        let mut ids = [0; 8];
        match self.fresh.len() {
            n @ 0..=7 => {
                ids[..n].copy_from_slice(&self.fresh);
                ids[7] = n as u32;
            }
            n => {
                (ids[0], ids[1], ids[7]) = (self.ids.len() as u32, n as u32, ASIDE);
                self.ids.extend_from_slice(&self.fresh);
            }
        }
        if self.middles * 2 > self.middle.len() {
            let filled = &mut self.middles;
            self.middle.double(|new, old| {
                *filled = 0;
                for entry in old.iter().filter(|entry| entry.key != [0; 4]) {
                    *new.at_mut(middle_hash(&entry.key)) = *entry;
                    *filled += 1;
                }
            });
        }
        let line = self.middle.at_mut(hash);
        self.middles += usize::from(line.key == [0; 4]);
        *line = MiddleLine { key, ids };
    }

    #[inline(never)]
    fn find_long(&mut self, word: &[u8], out: &mut Vec<u32>, encode: &mut impl FnMut(&[u8], &mut Vec<u32>)) {
        if let Some(known) = self.long.get(word) {
            return out.extend_from_slice(aside(&self.ids, known.start, known.count));
        }
        self.fresh.clear();
        encode(word, &mut self.fresh);
        out.extend_from_slice(&self.fresh);
        if word.len() > LONGEST {
            return;
        }
        self.long_bytes += word.len() + size_of::<(Box<[u8]>, Aside)>();
        let place = Aside { start: self.ids.len() as u32, count: self.fresh.len() as u32 };
        self.ids.extend_from_slice(&self.fresh);
        self.long.insert(word.into(), place);
    }

    /// Makes room where what lies beside the tables has outgrown its share, an eighth each.
    fn tidy(&mut self) {
        let share = self.bytes / 8;
        if self.ids.len() * size_of::<u32>() > share || self.long_bytes > share {
            *self = WordCache::new(self.bytes);
        }
    }
}

/// A word as the front table knows it.
struct Word {
    key: Short,
    hash: u64,
}

impl Word {
    /// The word `text[start..end]`; one that is too long for the front table has a key that none there has.
    #[inline(always)]
    fn new(text: &[u8], start: usize, end: usize) -> Word {
        let length = end - start;
        let bytes = match text[start..].first_chunk::<16>() {
            Some(bytes) => *bytes,
            None => near_the_end(&text[start..end]),
        };
        let mut key = short_key(&bytes, length.min(16));
        if length > 15 {
            key[1] = u64::MAX;
        }
        Word { key, hash: fold(key[0], key[1]) }
    }
}

/// A word with less than a key's length of text from its beginning on.
#[cold]
fn near_the_end<const N: usize>(word: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(word) {
        *to = *from;
    }
    bytes
}

fn aside(ids: &[u32], start: u32, count: u32) -> &[u32] {
    ids.get(start as usize..(start + count) as usize).unwrap_or_default()
}

#[inline(always)]
fn short_key(bytes: &[u8; 16], length: usize) -> Short {
    let (words, _) = bytes.as_chunks::<8>();
    let mask = &MASKS[length % 32];
    let word = |at: usize| u64::from_le_bytes(words[at]) & mask[at];
    [word(0), word(1) | (length as u64) << 56]
}

/// The key of the word `text[start..end]`, of 16 to 31 bytes.
#[inline(always)]
fn middle_key(text: &[u8], start: usize, end: usize) -> Middle {
    let length = (end - start) % 32;
    let bytes = match text[start..].first_chunk::<32>() {
        Some(bytes) => *bytes,
        None => near_the_end(&text[start..end]),
    };
    let (words, _) = bytes.as_chunks::<8>();
    let mut key: Middle = std::array::from_fn(|at| u64::from_le_bytes(words[at]) & MASKS[length][at]);
    key[3] |= (length as u64) << 56;
    key
}

/// The table behind the front takes other bits of a hash.
#[inline(always)]
fn behind(hash: u64) -> u64 {
    hash >> 20
}

#[inline(always)]
fn middle_hash(key: &Middle) -> u64 {
    fold(fold(key[0], key[1]) ^ key[2], key[3])
}

/// Puts a new word where a place is free, or in the second; says how many places it filled.
fn put(line: &mut [Entry; 2], entry: Entry) -> usize {
    let free = line.iter().position(|entry| entry.key == [0; 2]);
    line[free.unwrap_or(1)] = entry;
    usize::from(free.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Small tables and few letters: words collide, are driven out, and differ in their length alone.
        #[test]
        fn a_word_has_its_own_ids(
            words in prop::collection::vec(("[\0ab]{1,40}", 0..10u32), 1..2000),
            bytes in prop::sample::select(vec![0, 1 << 16, 1 << 20]),
        ) {
            let mut cache = WordCache::new(bytes);
            // Ids differ from word to word, and stay what they were at first.
            let mut known: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
            let (mut text, mut ends, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for (at, (word, count)) in (0..).zip(&words) {
                let new = || (0..*count).map(|i| at * 16 + i).collect();
                expected.extend_from_slice(known.entry(word.as_bytes().to_vec()).or_insert_with(new));
                text.extend_from_slice(word.as_bytes());
                ends.push(text.len());
            }
            for _ in 0..3 {
                let (mut out, mut start) = (Vec::new(), 0);
                for ends in ends.chunks(BATCH) {
                    cache.encode(&text, start, ends, &mut out, |word, ids| ids.extend(&known[word]));
                    start = ends[ends.len() - 1];
                }
                prop_assert_eq!(&out, &expected);
            }
        }
    }

    /// Whether the cache asked for the ids of a word.
    fn asks(cache: &mut WordCache, word: &str, ids: &[u32]) -> bool {
        let (mut out, mut asked) = (Vec::new(), false);
        cache.encode(word.as_bytes(), 0, &[word.len()], &mut out, |_, to| {
            asked = true;
            to.extend_from_slice(ids);
        });
        assert_eq!(out, ids);
        asked
    }

    #[test]
    fn what_grew_into_large_pages_is_found_again() {
        let mut cache = WordCache::new(64 << 20);
        for round in 0..2 {
            for n in 0..150_000u32 {
                // A third of them of the middle length.
                let word = format!("{n}{}", if n % 3 == 0 { "-".repeat(15) } else { String::new() });
                let asked = asks(&mut cache, &word, &[n]);
                assert!(asked || round > 0, "{word}");
            }
        }
        assert!(cache.short.len() * size_of::<Line>() > 4 << 20);
        // Few share a line with two others.
        let found =
            (0..150_000u32).filter(|n| n % 3 > 0).filter(|&n| !asks(&mut cache, &n.to_string(), &[n]));
        assert!(found.count() > 80_000);
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = WordCache::new(1 << 20);
        for n in 0..200_000u32 {
            asks(&mut cache, &format!("{}{n}", "w".repeat(n as usize % 40)), &[n; 9]);
        }
        assert!(cache.short.len() * size_of::<Line>() <= 1 << 19);
        assert!(cache.middle.len() * size_of::<MiddleLine>() <= 1 << 18);
        assert!(cache.ids.capacity() * 4 <= 1 << 18 && cache.long_bytes <= 1 << 18);
        // What was met twice stays where others are met once.
        let mut cache = WordCache::new(0);
        assert!(asks(&mut cache, "often", &[7]));
        assert!(!asks(&mut cache, "often", &[7]));
        for n in 0..10_000u32 {
            asks(&mut cache, &n.to_string(), &[n]);
            assert!(!asks(&mut cache, "often", &[7]), "driven out after {n}");
        }
    }
}
