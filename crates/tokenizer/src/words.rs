//! A cache of words and the ids they become, for one thread, of bounded size.
//!
//! A word of up to 23 bytes is its own key: three numbers, the length in the last byte, so that comparing is exact and
//! reads no memory but the entry. Up to three ids stand in the entry too. Entries lie in pairs, a pair on one line
//! of the processor's cache.
//!
//! There are two tables. The front one stays in the processor's own cache and has what was met lately, which is most
//! of a text. The back one has the rest; it begins small and grows while it fills, up to its bound. A new word takes
//! the second place of its pair there, and the first when it is met again: words met once drive out only each other.
//! Words come a [`Batch`] at a time: those that the front table lacks are asked for together, so that their lines
//! come from memory side by side and not one after another. Words too long for a key have a map of their own.

use std::collections::HashMap;
use std::hint::black_box;

use crate::hash::fold;

/// The longest word that is its own key.
const INLINE: usize = 23;
/// The longest word that is kept. Merging longer ones costs little beside their being so rare.
const LONGEST: usize = 256;
/// Pairs of entries of the front table, 256 KiB.
const FRONT_LINES: usize = 1 << 12;
/// Pairs of entries that the back table begins with, 16 KiB.
const FIRST_LINES: usize = 1 << 8;
/// A text's words have no more ids than it has bytes, and a word's ids are counted in 28 bits.
pub(crate) const LARGEST_TEXT: usize = (1 << 28) - 1;
/// What a cache takes at most, whatever it is allowed: places of ids beside the table are counted in 32 bits.
const MOST_BYTES: usize = 4 << 30;
/// Words of a batch.
pub(crate) const BATCH: usize = 64;
/// Ids below this fit three to an entry.
const INLINE_IDS: u32 = 1 << 20;

/// A word's ids: how many, and where. Zero is no word.
///
/// Where the upper four bits are 1 to 3 they are the number of ids, each in 20 bits from the lowest up. Where they
/// are [`ASIDE`], 28 bits are their number, and 32 their first place in [`WordCache::ids`].
pub(crate) type Packed = u64;

const ASIDE: u64 = 4;

type Key = [u64; 3];

#[derive(Clone, Copy)]
struct Entry {
    key: Key,
    ids: Packed,
}

/// Two entries that share a line of the processor's cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([Entry; 2]);

const EMPTY: Line = Line([Entry { key: [0; 3], ids: 0 }; 2]);

/// See the head of this file.
pub(crate) struct WordCache {
    front: Box<[Line]>,
    lines: Vec<Line>,
    filled: usize,
    most_lines: usize,
    /// Words too long to be a key.
    long: HashMap<Box<[u8]>, Packed>,
    long_bytes: usize,
    /// Ids that do not fit an entry.
    ids: Vec<u32>,
}

/// For each length the bits of a key that are the word's.
static MASKS: [Key; INLINE + 1] = {
    let mut masks = [[0; 3]; INLINE + 1];
    let mut length = 0;
    while length <= INLINE {
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
        // Half for the table; a quarter each, at most, for what lies beside it.
        let lines = (bytes.min(MOST_BYTES) / 2 / size_of::<Line>()).max(FIRST_LINES);
        WordCache {
            front: vec![EMPTY; FRONT_LINES].into_boxed_slice(),
            lines: vec![EMPTY; FIRST_LINES],
            filled: 0,
            most_lines: 1 << lines.ilog2(),
            long: HashMap::new(),
            long_bytes: 0,
            ids: Vec::new(),
        }
    }

    /// Looks for the word `text[start..end]`, which has a byte at least, in the front table, and puts it into the
    /// batch, which has room.
    #[inline(always)]
    pub(crate) fn meet(&self, batch: &mut Batch, text: &[u8], start: usize, end: usize) {
        let at = batch.len % BATCH;
        let key = key(text, start, end).unwrap_or(LONG);
        let hash = hash_of(&key);
        let [first, second] = &self.front[hash as usize % FRONT_LINES].0;
        // One of the two at most; no branch, for there is no telling which.
        let ids = (first.ids & same(&first.key, &key)) | (second.ids & same(&second.key, &key));
        batch.words[at] = Word { start, end, hash, ids };
        batch.missing[batch.missed % BATCH] = at as u8;
        batch.missed += usize::from(ids == 0);
        batch.len += 1;
    }

    /// Finds the ids of a batch's words. Those of a word that no table has are given by `encode`, to a function.
    pub(crate) fn resolve(
        &mut self,
        batch: &mut Batch,
        text: &[u8],
        mut encode: impl FnMut(&[u8], &mut dyn FnMut(&[u32])),
    ) {
        let missing = &batch.missing[..batch.missed];
        // Nothing waits for these, and so none waits for another.
        let asked = missing.iter().map(|&at| {
            let hash = batch.words[usize::from(at) % BATCH].hash;
            self.lines[hash as usize & (self.lines.len() - 1)].0[0].ids
        });
        black_box(asked.fold(0, |all, ids| all ^ ids));
        for &at in missing {
            let word = &mut batch.words[usize::from(at) % BATCH];
            word.ids = self.find(text, word.start, word.end);
            if word.ids == 0 {
                encode(&text[word.start..word.end], &mut |ids| {
                    word.ids = self.keep(text, word.start, word.end, ids);
                });
            }
        }
    }

    /// The ids of a word that the front table lacks, which it has from then on; zero where it is not kept.
    fn find(&mut self, text: &[u8], start: usize, end: usize) -> Packed {
        let Some(key) = key(text, start, end) else { return self.find_long(&text[start..end]) };
        let hash = hash_of(&key);
        let at = hash as usize & (self.lines.len() - 1);
        let line = &mut self.lines[at].0;
        if line[1].key == key {
            line.swap(0, 1);
        }
        if line[0].key != key {
            return 0;
        }
        let entry = line[0];
        let front = &mut self.front[hash as usize % FRONT_LINES].0;
        // It may stand there already, where the batch has it twice.
        if front[0].key != key {
            *front = [entry, front[0]];
        }
        entry.ids
    }

    #[inline(never)]
    fn find_long(&self, word: &[u8]) -> Packed {
        self.long.get(word).copied().unwrap_or(0)
    }

    /// Keeps the ids of a word that [`find`](Self::find) did not have, and packs them.
    fn keep(&mut self, text: &[u8], start: usize, end: usize, ids: &[u32]) -> Packed {
        let packed = self.pack(ids);
        if end - start > LONGEST {
            return packed;
        }
        let Some(key) = key(text, start, end) else {
            self.long_bytes += end - start + size_of::<(Box<[u8]>, Packed)>();
            self.long.insert(text[start..end].into(), packed);
            return packed;
        };
        if self.filled > self.lines.len() && self.lines.len() < self.most_lines {
            self.grow();
        }
        let at = hash_of(&key) as usize & (self.lines.len() - 1);
        self.filled += put(&mut self.lines[at].0, Entry { key, ids: packed });
        packed
    }

    /// Makes room where what lies beside the tables has outgrown its share. The ids of batches are void after it.
    pub(crate) fn tidy(&mut self) {
        // A quarter of the memory that it may take.
        let share = self.most_lines * size_of::<Line>() / 2;
        if self.ids.len() * size_of::<u32>() > share || self.long_bytes > share {
            *self = WordCache::new(self.most_lines * size_of::<Line>() * 2);
        }
    }

    /// The ids that stand beside the table.
    pub(crate) fn aside(&self, packed: Packed) -> &[u32] {
        let (start, count) = (packed as u32 as usize, (packed >> 32) as usize & 0x0fff_ffff);
        self.ids.get(start..start + count).unwrap_or_default()
    }

    fn pack(&mut self, ids: &[u32]) -> Packed {
        if matches!(ids.len(), 1..=3) && ids.iter().all(|&id| id < INLINE_IDS) {
            let packed = ids.iter().rev().fold(0, |packed, &id| packed << 20 | u64::from(id));
            return (ids.len() as u64) << 60 | packed;
        }
        let start = self.ids.len() as u64;
        self.ids.extend_from_slice(ids);
        ASIDE << 60 | (ids.len() as u64) << 32 | start
    }

    /// Doubles the table.
    #[cold]
    fn grow(&mut self) {
        let lines = vec![EMPTY; self.lines.len() * 2];
        let old = std::mem::replace(&mut self.lines, lines);
        self.filled = 0;
        // The more deserving first, so that they have the first places.
        for place in [0, 1] {
            for entry in old.iter().map(|line| line.0[place]).filter(|entry| entry.ids != 0) {
                let at = hash_of(&entry.key) as usize & (self.lines.len() - 1);
                self.filled += put(&mut self.lines[at].0, entry);
            }
        }
    }
}

/// Words on their way: where each stands in the text, and its ids once they are known.
pub(crate) struct Batch {
    words: [Word; BATCH],
    len: usize,
    /// Which of them the front table lacks.
    missing: [u8; BATCH],
    missed: usize,
}

#[derive(Clone, Copy)]
struct Word {
    start: usize,
    end: usize,
    hash: u64,
    ids: Packed,
}

impl Batch {
    pub(crate) fn new() -> Batch {
        let words = [Word { start: 0, end: 0, hash: 0, ids: 0 }; BATCH];
        Batch { words, len: 0, missing: [0; BATCH], missed: 0 }
    }

    /// The ids of its words, found by [`WordCache::resolve`]; it is empty then.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Packed> {
        let words = &self.words[..self.len];
        (self.len, self.missed) = (0, 0);
        words.iter().map(|word| word.ids)
    }
}

/// The key that stands for all words too long to have one. No word has it, and so it is in no table.
const LONG: Key = [u64::MAX; 3];

#[inline(always)]
fn hash_of(key: &Key) -> u64 {
    fold(key[0], key[1] ^ key[2].rotate_left(31))
}

/// All bits where two keys are the same, else none.
#[inline(always)]
fn same(a: &Key, b: &Key) -> u64 {
    let differ = (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]);
    u64::from(differ == 0).wrapping_neg()
}

/// Puts a new word where a place is free, or in the second; says how many places it filled.
fn put(line: &mut [Entry; 2], entry: Entry) -> usize {
    let free = line.iter().position(|entry| entry.ids == 0);
    line[free.unwrap_or(1)] = entry;
    usize::from(free.is_some())
}

/// The number of ids that an entry holds itself, and the ids; more or fewer than one to three where it does not.
#[inline(always)]
pub(crate) fn unpack(packed: Packed) -> (usize, [u32; 3]) {
    let id = |place: u32| (packed >> (20 * place)) as u32 & (INLINE_IDS - 1);
    ((packed >> 60) as usize, [id(0), id(1), id(2)])
}

/// The word `text[start..end]` as a key; `None` where it is too long.
#[inline(always)]
fn key(text: &[u8], start: usize, end: usize) -> Option<Key> {
    let length = end - start;
    let masks = MASKS.get(length)?;
    let bytes = match text[start..].first_chunk::<24>() {
        Some(bytes) => *bytes,
        None => near_the_end(&text[start..end]),
    };
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at]) & masks[at];
    Some([word(0), word(1), word(2) | (length as u64) << 56])
}

/// A word with less than a key's length of text from its beginning on.
#[cold]
fn near_the_end(word: &[u8]) -> [u8; 24] {
    let mut bytes = [0; 24];
    for (to, from) in bytes.iter_mut().zip(word) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids_of(cache: &WordCache, packed: Packed) -> Vec<u32> {
        match unpack(packed) {
            (count @ 1..=3, ids) => ids[..count].to_vec(),
            _ => cache.aside(packed).to_vec(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Small tables and few letters: words collide, are driven out, and differ in their length alone.
        #[test]
        fn a_word_has_its_own_ids_or_none(words in prop::collection::vec(("[\0ab]{1,40}", 0..5usize), 0..2000)) {
            let mut cache = WordCache::new(0);
            // Ids differ from word to word, and stay what they were at first.
            let mut known: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
            for (at, (word, count)) in words.into_iter().enumerate() {
                let text = format!("x{word}{}", "y".repeat(at % 30));
                let (text, end) = (text.as_bytes(), 1 + word.len());
                let new: Vec<u32> = (0..count as u32).map(|i| (at as u32 + i) << (12 * (at % 2))).collect();
                let ids = known.entry(word.into_bytes()).or_insert(new).clone();
                let mut batch = Batch::new();
                for _ in 0..1 + at % 3 {
                    cache.meet(&mut batch, text, 1, end);
                }
                cache.resolve(&mut batch, text, |_, keep| keep(&ids));
                let found: Vec<Packed> = batch.take().collect();
                prop_assert_eq!(found.len(), 1 + at % 3);
                for packed in found {
                    prop_assert_eq!(&ids_of(&cache, packed), &ids);
                }
                cache.tidy();
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = WordCache::new(1 << 20);
        for n in 0..200_000u32 {
            let word = format!("{}{n}", "w".repeat(n as usize % 40));
            cache.keep(word.as_bytes(), 0, word.len(), &[n; 5]);
            cache.tidy();
        }
        assert!(cache.lines.len() * size_of::<Line>() <= 1 << 19);
        assert!(cache.ids.capacity() * 4 <= 1 << 19 && cache.long_bytes <= 1 << 18);
        // What was met twice stays where others are met once.
        let mut cache = WordCache::new(0);
        cache.keep(b"often", 0, 5, &[7]);
        assert_ne!(cache.find(b"often", 0, 5), 0);
        for n in 0..10_000u32 {
            let word = n.to_string();
            cache.keep(word.as_bytes(), 0, word.len(), &[n]);
            assert_ne!(cache.find(b"often", 0, 5), 0, "driven out after {n}");
        }
    }
}
