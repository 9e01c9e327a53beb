//! Words and the ids they become, in a table of fixed size that threads share.
//!
//! Any number of threads look up while others put in, and none waits. A word of up to `8 K - 1` bytes is its own key, so
//! that comparing is exact and reads no memory but the entry; up to `3 I` ids stand there too. An entry's state counts
//! how often it was written: who reads finds it the same before and after, or finds nothing; who would write where
//! another writes leaves it. Of a word that has more ids it is kept that it is kept elsewhere. A line has two entries. What was met again since it came stays where others were met once.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

use crate::lines::Lines;

/// Bits of an id; a word that has a larger one is kept elsewhere.
const ID: u32 = 21;
const ID_MASK: u64 = (1 << ID) - 1;

// What an entry's state is made of.
/// How many ids, and one; zero where there is no word.
const COUNT: u64 = 0xff;
/// In its place where a word's ids are kept elsewhere.
const ELSEWHERE: u64 = 0xff;
/// The word was met since it came.
const MET: u64 = 1 << 8;
/// Somebody writes.
const BUSY: u64 = 1 << 9;
/// Writes, counted in the bits above: more than there will ever be.
const WRITTEN: u64 = 1 << 10;

/// All zeros it is empty.
#[repr(C)]
pub(crate) struct Entry<const K: usize, const I: usize> {
    key: [AtomicU64; K],
    ids: [AtomicU64; I],
    state: AtomicU64,
}

/// Two entries: with the short ones a line of the processor's cache.
#[repr(C, align(64))]
pub(crate) struct Line<const K: usize, const I: usize>([Entry<K, I>; 2]);

// SAFETY: zeros are a value of it, and it is made of atomics alone.
unsafe impl<const K: usize, const I: usize> crate::lines::Shared for Line<K, I> {}

/// See the head of this file.
pub(crate) struct Known<const K: usize, const I: usize>(Lines<Line<K, I>>);

/// The ids of a word as an entry has them.
#[derive(Clone, Copy)]
pub(crate) struct Packed<const I: usize> {
    ids: [u64; I],
    count: usize,
}

impl<const I: usize> Packed<I> {
    /// What `ids` are packed; nothing where one is too large or they are too many.
    #[inline]
    fn new(ids: &[u32]) -> Option<Packed<I>> {
        if ids.len() > 3 * I || ids.iter().any(|&id| u64::from(id) > ID_MASK) {
            return None;
        }
        let mut packed = [0; I];
        for (at, &id) in ids.iter().enumerate() {
            packed[at / 3] |= u64::from(id) << (at as u32 % 3 * ID);
        }
        Some(Packed { ids: packed, count: ids.len() })
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The first three; zeros where there are less.
    #[inline(always)]
    pub(crate) fn first(&self) -> [u32; 3] {
        from_fn(|at| (self.ids[0] >> (at as u32 * ID) & ID_MASK) as u32)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.count).map(|at| (self.ids[at / 3] >> (at as u32 % 3 * ID) & ID_MASK) as u32)
    }
}

impl<const K: usize, const I: usize> Entry<K, I> {
    #[inline(always)]
    fn has(&self, key: &[u64; K]) -> bool {
        self.key.iter().zip(key).fold(true, |same, (own, key)| same & (own.load(Relaxed) == *key))
    }

    /// The ids of `key`, where it stands here and nobody writes; within, nothing where they are elsewhere.
    #[inline(always)]
    fn read(&self, key: &[u64; K]) -> Option<Option<Packed<I>>> {
        let state = self.state.load(Acquire);
        if !self.has(key) || state & BUSY != 0 || state & COUNT == 0 {
            return None;
        }
        let ids = from_fn(|at| self.ids[at].load(Relaxed));
        fence(Acquire);
        let after = self.state.load(Relaxed);
        if (state ^ after) & !MET != 0 {
            return None;
        }
        if state & MET == 0 {
            // Who fails at this was overtaken by another, who met it too or wrote.
            let _ = self.state.compare_exchange(after, after | MET, Relaxed, Relaxed);
        }
        let count = (state & COUNT) as usize - 1;
        Some((state & COUNT != ELSEWHERE).then_some(Packed { ids, count }))
    }

    fn write(&self, key: &[u64; K], packed: Option<Packed<I>>) {
        let state = self.state.load(Relaxed);
        let free = state & BUSY == 0;
        if !free || self.state.compare_exchange(state, state | BUSY, Acquire, Relaxed).is_err() {
            return;
        }
        fence(Release);
        for (to, from) in self.key.iter().zip(key) {
            to.store(*from, Relaxed);
        }
        for (to, from) in self.ids.iter().zip(packed.map_or([0; I], |packed| packed.ids)) {
            to.store(from, Relaxed);
        }
        let writes = (state & !(WRITTEN - 1)).wrapping_add(WRITTEN);
        self.state.store(writes | packed.map_or(ELSEWHERE, |packed| packed.count as u64 + 1), Release);
    }
}

impl<const K: usize, const I: usize> Known<K, I> {
    /// An empty table of about `bytes`; memory is taken as words come.
    pub(crate) fn new(bytes: usize) -> Known<K, I> {
        Known(Lines::new(bytes))
    }

    /// Has fetched what [`Known::get`] will read.
    #[inline(always)]
    pub(crate) fn fetch(&self, hash: u64) {
        self.0.fetch(hash);
    }

    /// The ids of a word that is known; within, nothing where they are kept elsewhere.
    #[inline(always)]
    pub(crate) fn get(&self, hash: u64, key: &[u64; K]) -> Option<Option<Packed<I>>> {
        let [first, second] = &self.0.at(hash).0;
        first.read(key).or_else(|| second.read(key))
    }

    /// Keeps a word that was not known, if others are not more deserving. Says whether its ids can be kept here.
    #[inline]
    pub(crate) fn put(&self, hash: u64, key: &[u64; K], ids: &[u32]) -> bool {
        // Another thread may have been faster, or the same word have come just before.
        if let Some(known) = self.get(hash, key) {
            return known.is_some();
        }
        let packed = Packed::new(ids);
        let entries = &self.0.at(hash).0;
        let states = [0, 1].map(|at| entries[at].state.load(Relaxed));
        let place =
            (0..2).find(|&at| states[at] & COUNT == 0).or_else(|| (0..2).find(|&at| states[at] & MET == 0));
        match place {
            Some(at) => entries[at].write(key, packed),
            // Both stay for now, the next that comes takes the place of one that was not met until then.
            None => {
                let at = (hash >> 40) as usize % 2;
                let _ = entries[at].state.compare_exchange(states[at], states[at] & !MET, Relaxed, Relaxed);
            }
        }
        packed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::fold;

    #[test]
    fn a_full_line_keeps_what_was_met_again() {
        let known = Known::<2, 1>::new(0);
        let get = |word: u64| known.get(5, &[word, 1]).flatten().map(|ids| ids.iter().collect::<Vec<_>>());
        let put = |word: u64, ids: &[u32]| known.put(5, &[word, 1], ids);
        assert!(put(1, &[1, 2, 3]) && put(2, &[]));
        assert_eq!((get(1), get(2)), (Some(vec![1, 2, 3]), Some(vec![])));
        // Both were met: the next is left out, and the one after it takes the place of one.
        put(3, &[3]);
        assert_eq!(get(3), None);
        put(4, &[4]);
        assert_eq!(get(4), Some(vec![4]));
        assert_eq!(usize::from(get(1).is_some()) + usize::from(get(2).is_some()), 1);
        // Too many ids, or one too large: it is known that they are elsewhere.
        let known = Known::<2, 1>::new(0);
        assert!(!known.put(5, &[1, 1], &[1; 4]) && !known.put(5, &[2, 1], &[1 << ID]));
        assert!([1, 2].iter().all(|&word| matches!(known.get(5, &[word, 1]), Some(None))));
        assert!(known.get(5, &[0, 0]).is_none(), "an empty entry is no word");
    }

    #[test]
    fn no_thread_reads_what_another_has_half_written() {
        // One line for all, so that they write over each other all the time.
        let known = Known::<4, 3>::new(0);
        let word = |n: u64| [n, n, n, 1];
        let ids = |n: u64| vec![n as u32; n as usize % 10];
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
        let found: usize = std::thread::scope(|scope| {
            let run = |thread: u64| {
                let known = &known;
                move || {
                    let mut found = 0;
                    for turn in 0..200_000 {
                        let n = fold(turn, thread) % 5;
                        match known.get(7, &word(n)) {
                            Some(Some(is)) => {
                                assert_eq!(is.iter().collect::<Vec<_>>(), ids(n));
                                found += 1;
                            }
                            Some(None) => panic!("all fit"),
                            None => assert!(known.put(7, &word(n), &ids(n))),
                        }
                    }
                    found
                }
            };
            let all: Vec<_> = (0..threads as u64).map(|thread| scope.spawn(run(thread))).collect();
            all.into_iter().map(|thread| thread.join().expect("a thread")).sum()
        });
        assert!(found > 1000, "{found}");
    }
}
