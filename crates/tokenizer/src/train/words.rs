//! Words and how often each was met: an open-addressed table over one string of bytes.
//!
//! A word's place is the top bits of its hash, so that a walk through one table meets the places of another in
//! order, and growing moves everything forward.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::budget::{Budget, Full};

/// A table is grown where more than this share of its slots is taken.
const FILLED: (usize, usize) = (3, 4);
const LEAST: usize = 1 << 10;

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    start: u32,
    length: u32,
    /// 0 where the slot is free.
    count: u64,
}

/// A multiset of words. It takes no memory until a word comes.
#[derive(Default)]
pub(super) struct Words {
    slots: Vec<Slot>,
    text: Vec<u8>,
    taken: usize,
}

/// What words are hashed by. It differs from run to run, so that no text can be written to collide; counts do not.
#[derive(Default)]
pub(super) struct Hash(RandomState);

impl Hash {
    #[inline]
    pub(super) fn of(&self, word: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(word);
        hasher.finish()
    }
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Bytes of all the words together.
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Adds `count` of `word`, which is not empty. Memory is asked of `budget` before it is taken.
    #[inline]
    pub(super) fn add(&mut self, hash: u64, word: &[u8], count: u64, budget: &Budget) -> Result<(), Full> {
        if self.taken * FILLED.1 >= self.slots.len() * FILLED.0 {
            self.grow(budget)?;
        }
        let mask = self.slots.len() - 1;
        let mut at = self.place(hash);
        loop {
            let slot = self.slots[at];
            if slot.count == 0 {
                break;
            }
            let start = slot.start as usize;
            if slot.hash == hash && self.text.get(start..start + slot.length as usize) == Some(word) {
                self.slots[at].count += count;
                return Ok(());
            }
            at = (at + 1) & mask;
        }
        self.insert(at, hash, word, count, budget)
    }

    #[cold]
    fn insert(&mut self, at: usize, hash: u64, word: &[u8], count: u64, budget: &Budget) -> Result<(), Full> {
        let start = u32::try_from(self.text.len()).map_err(|_| Full)?;
        let length = u32::try_from(word.len()).map_err(|_| Full)?;
        let room = self.text.capacity();
        if room - self.text.len() < word.len() {
            let wanted = (self.text.len() + word.len()).max(room + room / 2).max(LEAST);
            budget.take(wanted)?;
            self.text.reserve_exact(wanted - self.text.len());
            budget.give(room);
        }
        self.text.extend_from_slice(word);
        self.slots[at] = Slot { hash, start, length, count };
        self.taken += 1;
        Ok(())
    }

    #[cold]
    fn grow(&mut self, budget: &Budget) -> Result<(), Full> {
        let wanted = (self.slots.len() * 2).max(LEAST);
        budget.take(wanted * size_of::<Slot>())?;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); wanted]);
        for slot in old.iter().filter(|slot| slot.count > 0) {
            let mut at = self.place(slot.hash);
            while self.slots[at].count > 0 {
                at = (at + 1) & (wanted - 1);
            }
            self.slots[at] = *slot;
        }
        budget.give(old.len() * size_of::<Slot>());
        Ok(())
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    /// Every word with its hash and count, by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8], u64)> {
        self.slots.iter().filter(|slot| slot.count > 0).map(|slot| {
            let start = slot.start as usize;
            (slot.hash, &self.text[start..start + slot.length as usize], slot.count)
        })
    }

    /// Forgets every word and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot::default());
        self.text.clear();
        self.taken = 0;
    }

    /// Bytes of memory held.
    pub(super) fn held(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.text.capacity()
    }
}
