//! Counting the words of many texts, on many threads.
//!
//! Each thread counts into a small table that stays in its cache, and pours it into the common one, which lies in
//! parts with a lock each, when it is full. So memory grows with distinct words, whatever the number of threads, and
//! the sums do not depend on who counted what.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::budget::{Budget, Full};
use super::learn::{learn, least_memory};
use super::trained::Trained;
use super::words::{Hash, Words};
use super::{Recipe, TrainError};

/// Parts of the common table, by the top bits of a word's hash.
const PARTS: usize = 64;
const PART_BITS: u32 = PARTS.trailing_zeros();
/// A thread's table is poured out at so many words, or bytes of words.
const FULL: (usize, usize) = (3 << 16, 8 << 20);

/// Counts of the distinct words of all texts so far.
pub struct Counter {
    recipe: Recipe,
    hash: Hash,
    parts: Vec<Mutex<Words>>,
    budget: Budget,
    words: AtomicU64,
    letters: AtomicU64,
    text: AtomicU64,
    full: AtomicBool,
}

impl Counter {
    /// Counts words as `recipe` cuts them. At most `memory` bytes are taken for it and for learning from them.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] where the recipe contradicts itself.
    pub fn new(recipe: Recipe, memory: usize) -> Result<Counter, TrainError> {
        recipe.check()?;
        Ok(Counter {
            recipe,
            hash: Hash::default(),
            parts: (0..PARTS).map(|_| Mutex::new(Words::default())).collect(),
            budget: Budget::new(memory),
            words: AtomicU64::new(0),
            letters: AtomicU64::new(0),
            text: AtomicU64::new(0),
            full: AtomicBool::new(false),
        })
    }

    /// A thread's own end of the counting. What it counted is all in once it is dropped.
    pub fn worker(&self) -> Worker<'_> {
        Worker { counter: self, words: Words::default() }
    }

    /// Distinct words so far; those still in the hands of workers are not in it.
    pub fn distinct(&self) -> u64 {
        self.words.load(Ordering::Relaxed)
    }

    /// Bytes of text so far.
    pub fn text(&self) -> u64 {
        self.text.load(Ordering::Relaxed)
    }

    /// Makes the vocabulary, on `threads` threads. `progress` is told how many tokens there are, and may end the work,
    /// which then gives `None`.
    ///
    /// # Errors
    /// [`TrainError::Memory`] before more is taken than allowed, now or while words were counted.
    pub fn learn(
        self,
        threads: usize,
        progress: &mut (dyn FnMut(u64) -> ControlFlow<()> + Send),
    ) -> Result<Option<Trained>, TrainError> {
        self.check()?;
        let full = self.out_of_memory();
        let parts = self.parts.into_iter();
        let parts = parts.map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build()
            .map_err(|e| TrainError::Recipe(format!("{threads} threads cannot be started: {e}")))?;
        let learnt = pool.install(|| learn(&self.recipe, parts, &self.budget, progress));
        let learnt = learnt.map_err(|Full| full)?;
        Ok(learnt.map(|learnt| Trained::new(self.recipe, learnt)))
    }

    fn check(&self) -> Result<(), TrainError> {
        if self.full.load(Ordering::Relaxed) { Err(self.out_of_memory()) } else { Ok(()) }
    }

    fn out_of_memory(&self) -> TrainError {
        TrainError::Memory { limit: self.budget.limit(), words: self.distinct(), text: self.text() }
    }

    fn note(&self, outcome: Result<(), Full>) {
        if outcome.is_err() {
            self.full.store(true, Ordering::Relaxed);
        }
    }
}

/// A thread that counts. See [`Counter::worker`].
pub struct Worker<'c> {
    counter: &'c Counter,
    words: Words,
}

impl Worker<'_> {
    /// Counts the words of a text. Words do not reach over its ends.
    ///
    /// # Errors
    /// [`TrainError::Memory`] before more memory is taken than allowed.
    pub fn add(&mut self, text: &str) -> Result<(), TrainError> {
        let counter = self.counter;
        counter.text.fetch_add(text.len() as u64, Ordering::Relaxed);
        let composed: Cow<'_, str> =
            if counter.recipe.nfc && !is_nfc(text) { text.nfc().collect() } else { text.into() };
        counter.recipe.pattern.0.for_each(&composed, |word| {
            let word = word.as_bytes();
            counter.note(self.words.add(counter.hash.of(word), word, 1, &counter.budget));
            if self.words.len() >= FULL.0 || self.words.text_len() >= FULL.1 {
                counter.note(pour(&mut self.words, counter));
            }
        });
        counter.check()
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.counter.note(pour(&mut self.words, self.counter));
        self.counter.budget.give(self.words.held());
    }
}

/// Adds a thread's words to the common ones, and forgets them.
fn pour(words: &mut Words, counter: &Counter) -> Result<(), Full> {
    let part_of = |hash: u64| (hash >> (64 - PART_BITS)) as usize;
    let mut rest = words.iter().peekable();
    while let Some(part) = rest.peek().map(|&(hash, ..)| part_of(hash)) {
        let mut common = counter.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        let before = (common.len(), common.text_len());
        while let Some((hash, word, count)) = rest.next_if(|&(hash, ..)| part_of(hash) == part) {
            // The part is known, so the bits behind it are what tells its words apart.
            common.add(hash << PART_BITS, word, count, &counter.budget)?;
        }
        let more = [common.len() - before.0, common.text_len() - before.1].map(|n| n as u64);
        drop(common);
        let words = counter.words.fetch_add(more[0], Ordering::Relaxed) + more[0];
        let letters = counter.letters.fetch_add(more[1], Ordering::Relaxed) + more[1];
        if least_memory(words, letters) > counter.budget.limit() as u64 {
            return Err(Full);
        }
    }
    drop(rest);
    words.clear();
    Ok(())
}
