//! Merges from words: byte pair encoding, Sennrich et al. 2016, as the trainer of `tokenizers` settles it.
//!
//! Every word is a run of symbols. The pair of neighbours that is met most often becomes a token, in every word
//! that has it, again and again. Of pairs met equally often the one of the lowest ids comes first.
//!
//! That library keeps its candidates in a heap of (count, pair, words to look in). A count that fell is noticed
//! when its candidate comes up; a pair that appears anew in some words, because its token was made once more in
//! another way, enters as a second candidate for those words alone. Both show in the merges, so both are done here.

use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Recipe;
use super::budget::{Budget, Full};
use super::neighbours::Sides;
use super::queue::{Candidate, Queue};
use super::store::{Lists, PairCounts};
use super::text::Text;
use super::words::Words;
use crate::alphabet;

/// Two neighbouring symbols, left and right.
pub(super) type Pair = (u32, u32);

/// Lists of more words than this are shared out between threads.
const SHARED: usize = 1 << 13;

/// About the least memory that learning from so many words of so many bytes takes: their symbols and the first lists.
pub(super) fn least_memory(words: u64, letters: u64) -> u64 {
    4 * (3 * words + letters) + 4 * letters
}

/// What was learnt.
pub(super) struct Learnt {
    /// Bytes of every token by id: special tokens, then the 256 bytes, then what merges made.
    pub(super) tokens: Vec<Box<[u8]>>,
    /// Pairs of ids that merge, earliest first.
    pub(super) merges: Vec<Pair>,
}

/// Learns merges until the vocabulary is as large as the recipe says or no pair is met often enough. `progress` is
/// told how many tokens there are; where it breaks, nothing is returned. Threads are those of rayon's current pool.
pub(super) fn learn(
    recipe: &Recipe,
    parts: Vec<Words>,
    budget: &Budget,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Learnt>, Full> {
    let tokens = Tokens::first(&recipe.specials);
    let text = Text::new(parts, &tokens.of_bytes(), budget)?;
    let mut learner = Learner::new(recipe, budget, tokens, text)?;
    let mut merges = Vec::new();
    while learner.tokens.bytes.len() < recipe.vocab_size {
        let Some(top) = learner.next()? else { break };
        merges.push(top.pair);
        learner.merge(&top)?;
        if merges.len().is_multiple_of(64) && progress(learner.tokens.bytes.len() as u64).is_break() {
            return Ok(None);
        }
    }
    // A pair that was learnt again has the place of its last time.
    let mut seen = FxHashSet::default();
    let mut merges: Vec<Pair> = merges.into_iter().rev().filter(|&pair| seen.insert(pair)).collect();
    merges.reverse();
    Ok(Some(Learnt { tokens: learner.tokens.bytes, merges }))
}

/// Tokens with their ids.
struct Tokens {
    bytes: Vec<Box<[u8]>>,
    ids: FxHashMap<Box<[u8]>, u32>,
}

impl Tokens {
    /// Special tokens, and then every byte, in the order of the characters that stand for them.
    fn first(specials: &[String]) -> Tokens {
        let mut tokens = Tokens { bytes: Vec::new(), ids: FxHashMap::default() };
        for special in specials {
            // Only what the byte alphabet can say can also be learnt.
            match alphabet::decode(special) {
                Some(bytes) => _ = tokens.id_of(bytes),
                None => tokens.bytes.push(special.as_bytes().into()),
            }
        }
        let mut bytes: Vec<u8> = (0..=255).collect();
        bytes.sort_by_key(|&byte| alphabet::char_of(byte));
        for byte in bytes {
            tokens.id_of(vec![byte]);
        }
        tokens
    }

    /// The id of these bytes, a new one where they have none.
    fn id_of(&mut self, bytes: Vec<u8>) -> u32 {
        let bytes = bytes.into_boxed_slice();
        *self.ids.entry(bytes.clone()).or_insert_with(|| {
            self.bytes.push(bytes);
            self.bytes.len() as u32 - 1
        })
    }

    fn of_bytes(&self) -> [u32; 256] {
        std::array::from_fn(|byte| self.ids[[byte as u8].as_slice()])
    }

    fn length(&self, id: u32) -> usize {
        self.bytes[id as usize].len()
    }
}

struct Learner<'r> {
    recipe: &'r Recipe,
    budget: &'r Budget,
    tokens: Tokens,
    text: Text,
    counts: PairCounts,
    lists: Lists,
    queue: Queue,
    /// Of each thread.
    sides: Vec<Sides>,
}

impl<'r> Learner<'r> {
    /// Counts the pairs of bytes and makes candidates of them.
    fn new(recipe: &'r Recipe, budget: &'r Budget, tokens: Tokens, text: Text) -> Result<Self, Full> {
        let ids = tokens.of_bytes();
        let threads = rayon::current_num_threads();
        let sides = (0..threads).map(|_| Sides::default()).collect();
        let (counts, lists, queue) = (PairCounts::default(), Lists::default(), Queue::default());
        let mut learner = Learner { recipe, budget, tokens, text, counts, lists, queue, sides };
        let most = ids.iter().max().map_or(0, |&id| id as usize + 1);
        let mut ranks = vec![0usize; most];
        ids.iter().zip(0..).for_each(|(&id, byte)| ranks[id as usize] = byte);

        // Count, words and last word of each pair of bytes, and where its list begins.
        let mut pairs = vec![(0u64, 0u32, u32::MAX, 0u64); 1 << 16];
        let at = |pair: &[u32]| ranks[pair[0] as usize] << 8 | ranks[pair[1] as usize];
        for (place, word) in learner.text.iter() {
            for pair in word.symbols.windows(2) {
                let (count, words, last, _) = &mut pairs[at(pair)];
                *count += word.count;
                *words += u32::from(*last != place);
                *last = place;
            }
        }
        for (at, (count, words, last, list)) in pairs.iter_mut().enumerate().filter(|(_, p)| p.0 > 0) {
            let pair = (ids[at >> 8], ids[at & 255]);
            *list = learner.lists.reserve(*words, budget)?;
            *last = u32::MAX;
            learner.counts.add(pair, *count, budget)?;
            learner.queue.push(Candidate { count: *count, pair, list: *list }, budget)?;
        }
        for (place, word) in learner.text.iter() {
            for pair in word.symbols.windows(2) {
                let (_, _, last, list) = &mut pairs[at(pair)];
                if *last != place {
                    learner.lists.push(*list, place);
                }
                *last = place;
            }
        }
        Ok(learner)
    }

    /// The candidate that is to be merged next, with the count that it has by now.
    fn next(&mut self) -> Result<Option<Candidate>, Full> {
        while let Some(top) = self.queue.pop() {
            let count = self.counts.of(top.pair);
            if top.count == count {
                return Ok(Some(top).filter(|_| count >= self.recipe.min_frequency.max(1)));
            }
            self.queue.push(Candidate { count, ..top }, self.budget)?;
        }
        Ok(None)
    }

    /// Makes a token of a pair: in its words, in the counts of what stands beside it, and in the queue.
    fn merge(&mut self, top: &Candidate) -> Result<(), Full> {
        let (left, right) = top.pair;
        let bytes = [&*self.tokens.bytes[left as usize], &*self.tokens.bytes[right as usize]].concat();
        let new = self.tokens.id_of(bytes);
        self.replace(top, new);

        let (counts, tokens, budget) = (&mut self.counts, &self.tokens, self.budget);
        let most = self.recipe.max_token_length.unwrap_or(usize::MAX);
        let room = most.saturating_sub(tokens.length(new));
        let [before, after] = &mut self.sides[0].0;
        let appeared = [|symbol, new| (symbol, new), |symbol, new| (new, symbol)];
        for (side, appeared) in [&mut *before, &mut *after].into_iter().zip(appeared) {
            side.each(|symbol, found| {
                if tokens.length(symbol) >= room {
                    found.words = 0;
                } else if found.words > 0 {
                    counts.add(appeared(symbol, new), found.gain, budget)?;
                }
                Ok(())
            })?;
        }
        before.losses().for_each(|(symbol, loss)| counts.take((symbol, left), loss));
        after.losses().for_each(|(symbol, loss)| counts.take((right, symbol), loss));
        for (side, appeared) in [before, after].into_iter().zip(appeared) {
            side.each(|symbol, found| {
                let pair = appeared(symbol, new);
                let count = if found.words > 0 { counts.of(pair) } else { 0 };
                if count > 0 {
                    found.list = self.lists.reserve(found.words, budget)?;
                    self.queue.push(Candidate { count, pair, list: found.list }, budget)?;
                }
                Ok(())
            })?;
            side.places(|list, word| self.lists.push(list, word));
        }
        Ok(())
    }

    /// Replaces a pair by `new` in its words. What stands beside it is in the first of the sides afterwards.
    fn replace(&mut self, top: &Candidate, new: u32) {
        let words = self.lists.get(top.list);
        let tokens = self.tokens.bytes.len();
        let threads = if words.len() < SHARED { 1 } else { self.sides.len() };
        let chunks: Vec<&[u32]> = words.chunks(words.len().div_ceil(threads).max(1)).collect();
        let firsts: Vec<u32> = chunks.iter().map(|chunk| chunk[0]).collect();
        let stretches = self.text.cut_at(&firsts);
        rayon::in_place_scope(|scope| {
            let mut shares = stretches.into_iter().zip(chunks).zip(&mut self.sides);
            let own = shares.next();
            for ((mut stretch, words), sides) in shares {
                scope.spawn(move |_| sides.replace(&mut stretch, words, top.pair, new, tokens));
            }
            if let Some(((mut stretch, words), sides)) = own {
                sides.replace(&mut stretch, words, top.pair, new, tokens);
            }
        });
        if let Some((first, others)) = self.sides.split_first_mut() {
            others[..threads.saturating_sub(1).min(firsts.len().saturating_sub(1))]
                .iter()
                .for_each(|other| first.absorb(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use super::super::words::Hash;
    use super::*;

    #[test]
    fn counts_go_beyond_32_bits() {
        let (hash, budget) = (Hash::default(), Budget::new(1 << 20));
        let mut words = Words::default();
        for (word, count) in [("ab", 1 << 33), ("cd", (1 << 32) + 5), ("ef", 7)] {
            words.add(hash.of(word.as_bytes()), word.as_bytes(), count, &budget).unwrap();
        }
        let recipe = Recipe {
            pattern: Pattern::new("gpt2").unwrap(),
            vocab_size: 300,
            nfc: false,
            specials: Vec::new(),
            min_frequency: 6,
            max_token_length: None,
        };
        let learnt = learn(&recipe, vec![words], &budget, &mut |_| ControlFlow::Continue(())).unwrap();
        let learnt = learnt.expect("it was not ended");
        assert_eq!(learnt.tokens[256..], [b"ab", b"cd", b"ef"].map(|token| Box::from(&token[..])));
    }
}
