//! What stands beside a new token while its pair is being replaced.
//!
//! Pairs with the new token differ in one symbol only, so their counts are gathered in an array by that symbol, and
//! the common map is asked once a neighbour.

use super::budget::Full;
use super::learn::Pair;
use super::text::Stretch;

/// No list of words.
const NONE: u64 = u64::MAX;

/// Neighbours before the new token, and after it.
#[derive(Default)]
pub(super) struct Sides(pub(super) [Neighbours; 2]);

impl Sides {
    /// Replaces `pair` by `new` in some words, and notes what it stood between. `tokens` is the vocabulary's size.
    pub(super) fn replace(
        &mut self,
        text: &mut Stretch<'_>,
        words: &[u32],
        pair: Pair,
        new: u32,
        tokens: usize,
    ) {
        let [before, after] = &mut self.0;
        before.begin(tokens);
        after.begin(tokens);
        for &word in words {
            text.merge(word, pair, new, |left, right, count| {
                if let Some(symbol) = left {
                    before.meet(symbol).loss += count;
                    before.gain(symbol, word, count);
                }
                if let Some(symbol) = right {
                    after.meet(symbol).loss += count;
                    // Two new tokens are one pair, whichever of them is looked at.
                    let side = if symbol == new { &mut *before } else { &mut *after };
                    side.gain(symbol, word, count);
                }
            });
        }
    }

    /// Takes in what another thread found in words further on.
    pub(super) fn absorb(&mut self, other: &Sides) {
        for (ours, theirs) in self.0.iter_mut().zip(&other.0) {
            ours.absorb(theirs);
        }
    }
}

/// Gains, losses and words by neighbour.
#[derive(Default)]
pub(super) struct Neighbours {
    of: Vec<Neighbour>,
    met: Vec<u32>,
    /// Neighbours and the words where they gained, in the order of the words.
    places: Vec<(u32, u32)>,
    turn: u32,
}

/// One neighbour.
#[derive(Clone, Copy)]
pub(super) struct Neighbour {
    /// How often the pair with the new token appeared.
    pub(super) gain: u64,
    /// How often the pair with the old symbol went.
    pub(super) loss: u64,
    /// Where the words are to be listed.
    pub(super) list: u64,
    /// In how many words the pair appeared, and the last of them.
    pub(super) words: u32,
    last: u32,
    turn: u32,
}

const UNMET: Neighbour = Neighbour { gain: 0, loss: 0, list: NONE, words: 0, last: u32::MAX, turn: 0 };

impl Neighbours {
    fn begin(&mut self, tokens: usize) {
        if self.turn == u32::MAX {
            self.of.fill(UNMET);
            self.turn = 0;
        }
        self.turn += 1;
        self.met.clear();
        self.places.clear();
        if self.of.len() < tokens {
            self.of.resize(tokens, UNMET);
        }
    }

    #[inline]
    fn meet(&mut self, symbol: u32) -> &mut Neighbour {
        let neighbour = &mut self.of[symbol as usize];
        if neighbour.turn != self.turn {
            *neighbour = Neighbour { turn: self.turn, ..UNMET };
            self.met.push(symbol);
        }
        neighbour
    }

    #[inline]
    fn gain(&mut self, symbol: u32, word: u32, count: u64) {
        let neighbour = self.meet(symbol);
        neighbour.gain += count;
        if neighbour.last != word {
            neighbour.last = word;
            neighbour.words += 1;
            self.places.push((symbol, word));
        }
    }

    fn absorb(&mut self, other: &Neighbours) {
        for &symbol in &other.met {
            let theirs = other.of[symbol as usize];
            let ours = self.meet(symbol);
            ours.gain += theirs.gain;
            ours.loss += theirs.loss;
            ours.words += theirs.words;
        }
        self.places.extend_from_slice(&other.places);
    }

    /// Looks at every neighbour that was met.
    pub(super) fn each(
        &mut self,
        mut look: impl FnMut(u32, &mut Neighbour) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.met.iter().try_for_each(|&symbol| look(symbol, &mut self.of[symbol as usize]))
    }

    /// Every neighbour with how often its pair with the old symbol went.
    pub(super) fn losses(&self) -> impl Iterator<Item = (u32, u64)> {
        self.met.iter().map(|&symbol| (symbol, self.of[symbol as usize].loss))
    }

    /// Gives the words of every neighbour that has a list, ascending.
    pub(super) fn places(&self, mut give: impl FnMut(u64, u32)) {
        for &(symbol, word) in &self.places {
            let list = self.of[symbol as usize].list;
            if list != NONE {
                give(list, word);
            }
        }
    }
}
