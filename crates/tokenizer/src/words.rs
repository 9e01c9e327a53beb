//! What a thread knows of words and the ids they become.
//!
//! Words that were met lately, most of a text, are in a table of the thread's own, small enough for the processor's
//! nearest caches. The others are in tables that threads share ([`Tables`]), so that a word that one has merged is known
//! to all. Words too long for a key there, and those of very many ids, have a map of the thread's own. All are of bounded
//! size.
//!
//! Words come in batches. Some are looked up in the near table, and what that lacks is fetched from the far ones while the
//! next are looked up; in the end the ids of all are written out in order. So memory is seldom waited for, and a processor
//! that guesses which way the next word goes is seldom wrong. What nobody knows is merged together, before that.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::hash::fold;
use crate::known::Known;

/// Words of a batch, counted in a byte.
pub(crate) const BATCH: usize = 256;
/// Words that are looked up at once.
const CHUNK: usize = 64;
/// The longest word that is kept. Merging longer ones costs little beside their being so rare.
const LONGEST: usize = 256;
/// Entries of the near table, 256 KiB.
const NEAR: usize = 1 << 13;
/// What tables take at most, whatever they are allowed.
const MOST_BYTES: usize = 4 << 30;
/// What a thread's map of long words takes at most.
const LONG_BYTES: usize = 4 << 20;

type Short = [u64; 2];
type Middle = [u64; 4];

/// Words of up to 15 bytes and 3 ids, and of up to 31 bytes and 9 ids.
pub(crate) struct Tables {
    short: Known<2, 1>,
    middle: Known<4, 3>,
}

impl Tables {
    /// Tables that take up to about `bytes` of memory, which is taken as words come.
    pub(crate) fn new(bytes: usize) -> Tables {
        let half = bytes.min(MOST_BYTES) / 2;
        Tables { short: Known::new(half), middle: Known::new(half) }
    }
}

/// The ids of a word, up to three. The last says how many, or is [`ASIDE`] where they stand in a list, and then the first
/// two are where they begin there and how many they are.
type Ids = [u32; 4];
const ASIDE: u32 = u32::MAX;

/// A word of up to 15 bytes, and its ids; without a key none.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Entry {
    key: Short,
    ids: Ids,
}

/// See the head of this file.
pub(crate) struct WordCache {
    near: Box<[Entry; NEAR]>,
    far: Arc<Tables>,
    long: HashMap<Box<[u8]>, Box<[u32]>, RandomState>,
    long_bytes: usize,
    /// Ids of a batch's words that have more than three.
    aside: Vec<u32>,
    /// A batch's words that are not known.
    new: Vec<Range<usize>>,
    /// Nothing while a batch is worked on.
    desk: Option<Box<Desk>>,
}

/// What a batch is worked on with. It is kept, since clearing it would take longer than a word's look-up.
struct Desk {
    ids: [Ids; BATCH],
    hashes: [u64; BATCH],
    missing: [u8; BATCH],
    /// Ids on their way out.
    waiting: [u32; 3 * BATCH + 1],
}

impl Default for Desk {
    fn default() -> Desk {
        Desk { ids: [[0; 4]; BATCH], hashes: [0; BATCH], missing: [0; BATCH], waiting: [0; 3 * BATCH + 1] }
    }
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
    /// A cache of one thread, over tables that others may share.
    pub(crate) fn new(far: Arc<Tables>) -> WordCache {
        WordCache {
            near: Box::new([Entry { key: [0; 2], ids: [0; 4] }; NEAR]),
            far,
            long: HashMap::default(),
            long_bytes: 0,
            aside: Vec::new(),
            new: Vec::new(),
            desk: None,
        }
    }

    /// Adds to `out` the ids of words that follow each other in `text` from `start` on, at most [`BATCH`], none empty.
    /// Those of words that are not known are asked of `encode`, which gives those of each with its number.
    #[inline(always)]
    pub(crate) fn encode(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        out: &mut Vec<u32>,
        mut encode: impl FnMut(&[Range<usize>], &mut dyn FnMut(usize, &[u32])),
    ) {
        let mut desk = self.desk.take().unwrap_or_default();
        let Desk { ids, hashes, missing, waiting } = &mut *desk;
        let (mut missed, mut sought, mut unknown) = (0, 0, 0);
        let range = |at: usize| (if at == 0 { start } else { ends[at - 1] }, ends[at]);
        self.aside.clear();
        let mut from = start;
        for (chunk, base) in ends.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            let fetched = missed;
            for (&end, at) in chunk.iter().zip(base..) {
                let word = Word::new(text, from, end);
                let entry = &self.near[word.hash as usize % NEAR];
                ids[at % BATCH] = entry.ids;
                hashes[at % BATCH] = word.hash;
                missing[missed % BATCH] = at as u8;
                missed += usize::from(entry.key != word.key);
                from = end;
            }
            for &at in &missing[fetched..missed] {
                let (from, end) = range(at.into());
                match end - from {
                    0..16 => self.far.short.fetch(behind(hashes[usize::from(at) % BATCH])),
                    16..32 => self.far.middle.fetch(middle_hash(&middle_key(text, from, end))),
                    _ => {}
                }
            }
            // What was fetched a chunk ago has come, and what was fetched now is on its way meanwhile.
            let upto = if base + CHUNK < ends.len() { fetched } else { missed };
            for place in sought..upto {
                let at = missing[place];
                let (from, end) = range(at.into());
                let found = match end - from {
                    0..16 => self.find_short(text, from, end),
                    16..32 => self.find_middle(text, from, end),
                    _ => self.find_long(&text[from..end]),
                };
                match found {
                    Some(found) => ids[usize::from(at) % BATCH] = found,
                    // Those before are done with.
                    None => {
                        missing[unknown % BATCH] = at;
                        unknown += 1;
                    }
                }
            }
            sought = upto;
        }
        if unknown > 0 {
            let missing = &missing[..unknown];
            let mut new = std::mem::take(&mut self.new);
            new.clear();
            new.extend(missing.iter().map(|&at| range(at.into())).map(|(from, end)| from..end));
            encode(&new, &mut |number, fresh| {
                ids[usize::from(missing[number]) % BATCH] = self.keep(text, new[number].clone(), fresh);
            });
            self.new = new;
        }

        // Four are written for each word, and those that it has not are written over.
        let mut count = 0;
        for ids in &ids[..ends.len()] {
            if ids[3] == ASIDE {
                out.extend_from_slice(&waiting[..count]);
                count = 0;
                out.extend_from_slice(&self.aside[ids[0] as usize..][..ids[1] as usize]);
                continue;
            }
            waiting[count..count + 4].copy_from_slice(ids);
            count += ids[3] as usize;
        }
        out.extend_from_slice(&waiting[..count]);
        self.desk = Some(desk);
    }

    /// The word `text[start..end]` of up to 15 bytes, which the near table lacks.
    #[inline(always)]
    fn find_short(&mut self, text: &[u8], start: usize, end: usize) -> Option<Ids> {
        let Word { key, hash } = Word::new(text, start, end);
        let Some(known) = self.far.short.get(behind(hash), &key)? else {
            return self.find_middle(text, start, end);
        };
        let [a, b, c] = known.first();
        let ids = [a, b, c, known.len() as u32];
        self.near[hash as usize % NEAR] = Entry { key, ids };
        Some(ids)
    }

    /// The word `text[start..end]` of up to 31 bytes.
    #[inline(never)]
    fn find_middle(&mut self, text: &[u8], start: usize, end: usize) -> Option<Ids> {
        let key = middle_key(text, start, end);
        let Some(known) = self.far.middle.get(middle_hash(&key), &key)? else {
            return self.find_long(&text[start..end]);
        };
        if known.len() <= 3 {
            let [a, b, c] = known.first();
            return Some([a, b, c, known.len() as u32]);
        }
        let place = [self.aside.len() as u32, known.len() as u32, 0, ASIDE];
        self.aside.extend(known.iter());
        Some(place)
    }

    /// The word in the thread's own map.
    #[inline(never)]
    fn find_long(&mut self, word: &[u8]) -> Option<Ids> {
        let known = self.long.get(word)?;
        let place = [self.aside.len() as u32, known.len() as u32, 0, ASIDE];
        self.aside.extend_from_slice(known);
        Some(place)
    }

    /// Keeps a word that was not known.
    fn keep(&mut self, text: &[u8], word: Range<usize>, fresh: &[u32]) -> Ids {
        let (start, end) = (word.start, word.end);
        let length = end - start;
        let kept = length < 16 && {
            let Word { key, hash } = Word::new(text, start, end);
            self.far.short.put(behind(hash), &key, fresh)
        };
        let kept = kept
            || length < 32 && {
                let key = middle_key(text, start, end);
                self.far.middle.put(middle_hash(&key), &key, fresh)
            };
        if !kept && length <= LONGEST {
            self.keep_long(&text[word], fresh);
        }
        match fresh.len() {
            n @ 0..=3 => {
                let mut ids = [0; 4];
                ids[..n].copy_from_slice(fresh);
                ids[3] = n as u32;
                ids
            }
            n => {
                let place = [self.aside.len() as u32, n as u32, 0, ASIDE];
                self.aside.extend_from_slice(fresh);
                place
            }
        }
    }

    /// Keeps a word in the thread's own map.
    fn keep_long(&mut self, word: &[u8], fresh: &[u32]) {
        self.long_bytes += size_of::<(Box<[u8]>, Box<[u32]>)>() + word.len() + size_of_val(fresh);
        if self.long_bytes > LONG_BYTES {
            self.long = HashMap::default();
            self.long_bytes = 0;
            return;
        }
        self.long.insert(word.into(), fresh.into());
    }
}

/// A word as the near table knows it.
struct Word {
    key: Short,
    hash: u64,
}

impl Word {
    /// The word `text[start..end]`; one that is too long for the near table has a key that none there has.
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

/// The table behind the near one takes other bits of a hash.
#[inline(always)]
fn behind(hash: u64) -> u64 {
    hash >> 20
}

#[inline(always)]
fn middle_hash(key: &Middle) -> u64 {
    fold(fold(key[0], key[1]) ^ key[2], key[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cache(bytes: usize) -> WordCache {
        WordCache::new(Arc::new(Tables::new(bytes)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Small tables and few letters: words collide, are driven out, and differ in their length alone.
        #[test]
        fn a_word_has_its_own_ids(
            words in prop::collection::vec(("[\0ab]{1,40}", 0..14u32), 1..2000),
            bytes in prop::sample::select(vec![0, 1 << 16, 1 << 20]),
            // With ids that are too large for a table.
            base in prop::sample::select(vec![0, 1 << 21]),
        ) {
            let mut cache = cache(bytes);
            // Ids differ from word to word, and stay what they were at first.
            let mut known: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
            let (mut text, mut ends, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for (at, (word, count)) in (0..).zip(&words) {
                let new = || (0..*count).map(|i| base + at * 16 + i).collect();
                expected.extend_from_slice(known.entry(word.as_bytes().to_vec()).or_insert_with(new));
                text.extend_from_slice(word.as_bytes());
                ends.push(text.len());
            }
            for _ in 0..3 {
                let (mut out, mut start) = (Vec::new(), 0);
                for ends in ends.chunks(BATCH) {
                    cache.encode(&text, start, ends, &mut out, |new, give| {
                        // In an order of its own.
                        new.iter().enumerate().rev().for_each(|(at, word)| give(at, &known[&text[word.clone()]]));
                    });
                    start = ends[ends.len() - 1];
                }
                prop_assert_eq!(&out, &expected);
            }
        }
    }

    /// Whether the cache asked for the ids of a word.
    fn asks(cache: &mut WordCache, word: &str, ids: &[u32]) -> bool {
        let (mut out, mut asked) = (Vec::new(), false);
        cache.encode(word.as_bytes(), 0, &[word.len()], &mut out, |_, give| {
            asked = true;
            give(0, ids);
        });
        assert_eq!(out, ids);
        asked
    }

    #[test]
    fn what_one_thread_met_another_knows() {
        let tables = Arc::new(Tables::new(64 << 20));
        let word = |n: u32| match n % 4 {
            0 => format!("{n}"),
            1 => format!("{n}{}", "-".repeat(15)),
            // Of more ids than their table has room for.
            2 => format!("{n} many"),
            _ => format!("{n}{} very many", "-".repeat(10)),
        };
        let ids = |n: u32| vec![n; [1, 3, 5, 9][n as usize % 4]];
        for thread in 0..2 {
            let mut cache = WordCache::new(tables.clone());
            let asked = (0..150_000).filter(|&n| asks(&mut cache, &word(n), &ids(n))).count();
            // Few share a line with two others.
            assert!(if thread == 0 { asked == 150_000 } else { asked < 15_000 }, "{asked}");
        }
    }

    #[test]
    fn a_long_word_is_remembered_and_memory_is_bounded() {
        let mut cache = cache(0);
        let long = "long".repeat(20);
        assert!(asks(&mut cache, &long, &[1; 20]));
        assert!(!asks(&mut cache, &long, &[1; 20]));
        for n in 0..100_000u32 {
            asks(&mut cache, &format!("{}{n}", "w".repeat(n as usize % 60)), &[n; 12]);
            assert!(cache.long_bytes <= LONG_BYTES);
        }
        assert!(cache.long.len() < 50_000);
    }

    #[test]
    fn what_was_met_twice_stays_where_others_are_met_once() {
        let mut cache = cache(0);
        let often: Vec<_> = (0..100).map(|n| format!("often {n}")).collect();
        for (at, round) in (0..20_000u32).zip((0..20).cycle()) {
            let asked = often.iter().filter(|word| round == 0 && asks(&mut cache, word, &[7])).count();
            assert!(at < 20 || asked < 50, "{asked} driven out after {at}");
            asks(&mut cache, &at.to_string(), &[at]);
        }
    }
}
