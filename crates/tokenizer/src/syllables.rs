//! Hangul syllables that merges make one token of before anything else touches them.
//!
//! A word of Korean has three bytes a syllable, and most of its merges are those that make a token of a common one.
//! Where nothing can come between, that token may stand at the beginning in the bytes' place. That is so of a
//! syllable whose own merges have ranks up to m, where all these have ranks beyond m:
//!
//! - merges of its token with another;
//! - merges of what its last bytes are on the way with what may follow;
//! - merges of what its first bytes are on the way with what may precede.
//!
//! For merges are taken by rank, and while the syllable is not whole it has one of its own to offer, of rank m at most.
//! So none crosses its border before it is whole, and none that its token may take part in would have come sooner
//! than one that was taken. What may follow is told by the two bytes after the syllable, and what may precede by the
//! one before it, so that most syllables are whole wherever they stand. A space before a word's first syllable goes
//! with it.

use crate::merge::Merges;

const NONE: u32 = u32::MAX;
const FIRST: u32 = '가' as u32;
const COUNT: usize = 11_172;

/// The syllables by code point.
pub(crate) struct Syllables {
    bare: Box<[Whole]>,
    /// With a space before them.
    spaced: Box<[Whole]>,
}

/// A syllable's token.
#[derive(Clone, Copy)]
struct Whole {
    token: u32,
    /// By [`follower`] what may not come after it, by [`leader`] what may not come before.
    not_before: u64,
    not_after: u64,
}

const NEVER: Whole = Whole { token: NONE, not_before: u64::MAX, not_after: u64::MAX };

/// The lead bytes of syllables, four, and the lower half of the byte after.
#[inline(always)]
fn follower(first: u8, second: u8) -> u64 {
    1 << (first.wrapping_sub(0xea) % 4 * 16 + second % 16)
}

/// The bytes that end characters beyond ASCII.
#[inline(always)]
fn leader(last: u8) -> u64 {
    1 << (last % 64)
}

impl Syllables {
    /// `bytes` are the tokens of bytes, `is_token` says whether these have one of their own, and `spelling` what a
    /// token stands for.
    pub(crate) fn new(
        merges: &Merges,
        bytes: &[u32; 256],
        is_token: impl Fn(&[u8]) -> bool,
        spelling: impl Fn(u32) -> Option<Vec<u8>>,
    ) -> Syllables {
        let mut all: Vec<(u32, u32, u32)> = merges.in_order().collect();
        all.sort_unstable();
        let mut mirrored: Vec<_> = all.iter().map(|&(left, right, rank)| (right, left, rank)).collect();
        mirrored.sort_unstable();
        // What a token merges with, and when.
        let partners = |sorted: &[(u32, u32, u32)], id: u32| {
            let start = sorted.partition_point(|&(first, ..)| first < id);
            let own = sorted[start..].iter().take_while(|&&(first, ..)| first == id);
            own.map(|&(_, other, rank)| (other, rank)).collect::<Vec<_>>()
        };
        let whole = |text: &str| -> Option<Whole> {
            if !is_token(text.as_bytes()) {
                return None;
            }
            let mut symbols: Vec<u32> = text.bytes().map(|byte| bytes[usize::from(byte)]).collect();
            let (mut highest, mut firsts, mut lasts) = (0, Vec::new(), Vec::new());
            while let [first, .., last] = symbols[..] {
                let (rank, at, into) = merges.earliest(&symbols)?;
                firsts.push(first);
                lasts.push(last);
                highest = highest.max(rank);
                symbols.splice(at..at + 2, [into]);
            }
            let token = symbols.pop()?;
            let own = partners(&all, token).into_iter().chain(partners(&mirrored, token));
            if own.into_iter().any(|(_, rank)| rank <= highest) {
                return None;
            }
            let (mut not_before, mut not_after) = (0, 0);
            for (other, rank) in lasts.into_iter().flat_map(|id| partners(&all, id)) {
                if rank <= highest {
                    not_before |= match spelling(other)?[..] {
                        [first @ 0xea..=0xed] => 0xffff << ((first - 0xea) * 16),
                        [first @ 0xea..=0xed, second, ..] => follower(first, second),
                        [] => u64::MAX,
                        _ => 0,
                    };
                }
            }
            for (other, rank) in firsts.into_iter().flat_map(|id| partners(&mirrored, id)) {
                if rank <= highest {
                    not_after |= match spelling(other)?[..] {
                        [.., last @ 0x80..=0xbf] => leader(last),
                        [] => u64::MAX,
                        _ => 0,
                    };
                }
            }
            Some(Whole { token, not_before, not_after })
        };
        let table = |prefix: &str| -> Box<[Whole]> {
            ('가'..='힣').map(|c| whole(&format!("{prefix}{c}")).unwrap_or(NEVER)).collect()
        };
        Syllables { bare: table(""), spaced: table(" ") }
    }

    /// Adds to `symbols` what merging `word` may begin with.
    #[inline]
    pub(crate) fn symbols(&self, word: &[u8], bytes: &[u32; 256], symbols: &mut Vec<u32>) {
        let mut rest = word;
        // What the byte before is, where one is: with ASCII no syllable is whole.
        let mut before = 0;
        if let [b' ', after @ ..] = word {
            before = u64::MAX;
            match place(after).map(|at| &self.spaced[at]) {
                Some(whole) if may_precede(whole, &after[3..]) => {
                    symbols.push(whole.token);
                    rest = &after[3..];
                    before = leader(after[2]);
                }
                _ => {}
            }
        }
        while let [byte, beyond @ ..] = rest {
            if let Some(whole) = place(rest).map(|at| &self.bare[at])
                && whole.not_after & before == 0
                && before != u64::MAX
                && may_precede(whole, &rest[3..])
            {
                symbols.push(whole.token);
                before = leader(rest[2]);
                rest = &rest[3..];
                continue;
            }
            symbols.push(bytes[usize::from(*byte)]);
            before = if byte.is_ascii() { u64::MAX } else { leader(*byte) };
            rest = beyond;
        }
    }
}

/// Whether a syllable is whole before `rest`.
#[inline(always)]
fn may_precede(whole: &Whole, rest: &[u8]) -> bool {
    whole.token != NONE
        && match *rest {
            [] => true,
            [first @ 0xea..=0xed, second, ..] => whole.not_before & follower(first, second) == 0,
            _ => false,
        }
}

/// Which syllable stands at the beginning of UTF-8.
#[inline(always)]
fn place(utf8: &[u8]) -> Option<usize> {
    let &[a @ 0xea..=0xed, b, c, ..] = utf8 else { return None };
    let code = u32::from(a & 0x0f) << 12 | u32::from(b & 0x3f) << 6 | u32::from(c & 0x3f);
    let at = code.wrapping_sub(FIRST) as usize;
    (at < COUNT).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::{Pair, Scratch};
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// Characters that share bytes, and what may stand beside them.
    const TEXT: &str = "가각나났하합 a힣é。";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Vocabularies where anything may merge with anything, in any order, and syllables somewhere among it.
        #[test]
        fn merges_end_as_from_bytes(
            pairs in prop::collection::vec(any::<(Index, Index)>(), 0..60),
            syllables in prop::collection::vec(any::<(Index, Index)>(), 0..20),
            words in prop::collection::vec(prop::collection::vec(any::<Index>(), 0..9), 20),
        ) {
            let characters: Vec<char> = TEXT.chars().collect();
            let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
            let mut merges = Vec::new();
            let mut id_of = |bytes: Vec<u8>| {
                let known = tokens.iter().position(|token| *token == bytes);
                known.unwrap_or_else(|| {
                    tokens.push(bytes);
                    tokens.len() - 1
                })
            };
            let mut wanted: Vec<Option<(Vec<u8>, Vec<u8>)>> = vec![None; pairs.len()];
            for (which, place) in &syllables {
                if let Some(place) = wanted.get_mut(place.index(pairs.len().max(1))) {
                    *place = Some(which.get(&parts_of_syllables()).clone());
                }
            }
            let mut spelled: Vec<Vec<u8>> = TEXT.bytes().map(|byte| vec![byte]).collect();
            for ((left, right), wanted) in pairs.iter().zip(wanted) {
                let (left, right) =
                    wanted.unwrap_or_else(|| (left.get(&spelled).clone(), right.get(&spelled).clone()));
                let joined = [&left[..], &right].concat();
                spelled.push(joined.clone());
                merges.push(Pair {
                    left: id_of(left) as u32,
                    right: id_of(right) as u32,
                    into: id_of(joined) as u32,
                });
            }
            let merges = Merges::new(merges);
            let bytes: [u32; 256] = std::array::from_fn(|byte| byte as u32);
            let syllables = Syllables::new(
                &merges,
                &bytes,
                |text| tokens.iter().any(|token| token == text),
                |id| tokens.get(id as usize).cloned(),
            );
            for word in words {
                let word: String = word.iter().map(|at| at.get(&characters)).collect();
                let mut plain: Vec<u32> = word.bytes().map(u32::from).collect();
                while let Some((_, at, into)) = merges.earliest(&plain) {
                    plain.splice(at..at + 2, [into]);
                }
                let mut scratch = Scratch::default();
                syllables.symbols(word.as_bytes(), &bytes, &mut scratch.symbols);
                merges.run(&mut scratch);
                prop_assert_eq!(scratch.symbols, plain, "{}", word);
            }
        }
    }

    /// What the syllables may be merged from, those from the left twice as often.
    fn parts_of_syllables() -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut parts = Vec::new();
        for c in TEXT.chars().filter(|c| ('가'..='힣').contains(c)) {
            let text = c.to_string();
            let bytes = text.as_bytes();
            let cut = |from: usize, at: usize, to: usize| (bytes[from..at].to_vec(), bytes[at..to].to_vec());
            parts.extend([
                cut(0, 1, 2),
                cut(0, 2, 3),
                cut(0, 1, 2),
                cut(0, 2, 3),
                cut(1, 2, 3),
                cut(0, 1, 3),
            ]);
            parts.push((b" ".to_vec(), bytes.to_vec()));
        }
        parts
    }
}
