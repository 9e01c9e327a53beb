//! The words of a text, each as a hash and a length: all that the rules about repetition ask of them.
//!
//! A word is what stands between white space, which in Korean is an eojeol. Hashes are polynomials over the prime 2⁶¹ − 1, so that
//! the hash of words written together follows from theirs, and no n-gram is ever written down.

use crate::unicode::{self, Properties};

/// Prime of the polynomials.
const PRIME: u64 = (1 << 61) - 1;
/// Their base. Any number without a pattern does.
const BASE: u64 = 0x0C3E_7B1D_59A2_46F1;

/// One word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// Its polynomial over its bytes, each plus one.
    pub(crate) hash: u64,
    /// The base to the power of its bytes.
    power: u64,
    /// Code points.
    pub(crate) chars: u32,
    /// Where it begins in the text, in bytes.
    pub(crate) start: u32,
    pub(crate) bytes: u32,
    /// Has a character outside datatrove's punctuation.
    pub(crate) is_word: bool,
    /// Has a letter.
    pub(crate) has_letter: bool,
}

/// Product modulo 2⁶¹ − 1. Both below it.
#[inline]
pub(crate) fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    reduce((product as u64 & PRIME) + (product >> 61) as u64)
}

#[inline]
fn reduce(x: u64) -> u64 {
    if x >= PRIME { x - PRIME } else { x }
}

/// `a` with `b` behind it.
#[inline]
pub(crate) fn joined(a: u64, b: &Word) -> u64 {
    reduce(multiply(a, b.power) + b.hash)
}

/// `a` with a space and `b` behind it.
#[inline]
pub(crate) fn spaced(a: u64, b: &Word) -> u64 {
    joined(reduce(multiply(a, BASE) + u64::from(b' ') + 1), b)
}

/// The hash that a [`Word`] of this text has.
pub(crate) fn hash_of(word: &str) -> u64 {
    word.bytes().fold(0, |hash, byte| reduce(multiply(hash, BASE) + u64::from(byte) + 1))
}

/// Characters of a text, counted on the way through its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CharCounts {
    /// Code points.
    pub chars: usize,
    /// Of category L.
    pub letters: usize,
    /// Hangul, of any form.
    pub hangul: usize,
    /// Loose Hangul letters, as in ㅋㅋ.
    pub jamo: usize,
    /// Decimal digits.
    pub digits: usize,
    /// Neither letters, digits nor white space.
    pub symbols: usize,
    /// White space.
    pub spaces: usize,
}

/// Powers of [`BASE`] up to the bytes of a long word.
const POWERS: [u64; 256] = {
    let mut powers = [1; 256];
    let mut i = 1;
    while i < 256 {
        let product = powers[i - 1] as u128 * BASE as u128;
        let folded = (product as u64 & PRIME) + (product >> 61) as u64;
        powers[i] = if folded >= PRIME { folded - PRIME } else { folded };
        i += 1;
    }
    powers
};

fn power(bytes: usize) -> u64 {
    let mut left = bytes;
    let mut result = 1;
    while left >= 255 {
        result = multiply(result, POWERS[255]);
        left -= 255;
    }
    multiply(result, POWERS[left])
}

/// Cuts `text` (below 4 GiB) into words; `words` is cleared and filled.
pub(crate) fn cut(text: &str, words: &mut Vec<Word>) -> CharCounts {
    words.clear();
    let table = Properties::get();
    let mut counts = CharCounts::default();
    let mut hash = 0;
    let mut word =
        Word { hash: 0, power: 1, chars: 0, start: 0, bytes: 0, is_word: false, has_letter: false };
    for (at, c) in text.char_indices() {
        counts.chars += 1;
        // Hangul first: most of a Korean text, and the table is not asked.
        let is_space = if unicode::is_syllable(c) {
            counts.letters += 1;
            counts.hangul += 1;
            word.has_letter = true;
            word.is_word = true;
            false
        } else {
            let properties = table.of(c);
            if properties.is_space() {
                counts.spaces += 1;
                true
            } else {
                if properties.is_letter() {
                    counts.letters += 1;
                    word.has_letter = true;
                    if unicode::is_hangul(c) {
                        counts.hangul += 1;
                        counts.jamo += usize::from(unicode::is_jamo(c));
                    }
                } else if properties.is_digit() {
                    counts.digits += 1;
                } else {
                    counts.symbols += 1;
                }
                word.is_word |= !properties.is_punctuation();
                false
            }
        };
        if is_space {
            if word.chars > 0 {
                word.bytes = at as u32 - word.start;
                word.hash = hash;
                word.power = power(word.bytes as usize);
                words.push(word);
                word = Word { chars: 0, is_word: false, has_letter: false, ..word };
                hash = 0;
            }
            continue;
        }
        if word.chars == 0 {
            word.start = at as u32;
        }
        word.chars += 1;
        let mut encoded = [0; 4];
        for &byte in c.encode_utf8(&mut encoded).as_bytes() {
            hash = reduce(multiply(hash, BASE) + u64::from(byte) + 1);
        }
    }
    if word.chars > 0 {
        word.bytes = text.len() as u32 - word.start;
        word.hash = hash;
        word.power = power(word.bytes as usize);
        words.push(word);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_joined_words_is_that_of_the_joined_text() {
        let mut words = Vec::new();
        let long = "가".repeat(700);
        let counts = cut(&format!("  ab 하늘 ㅋㅋ\n{long} 12-3 … "), &mut words);
        assert_eq!(words.len(), 6);
        assert_eq!(joined(words[0].hash, &words[1]), hash_of("ab하늘"));
        assert_eq!(spaced(joined(words[2].hash, &words[3]), &words[4]), hash_of(&format!("ㅋㅋ{long} 12-3")));
        assert_eq!(words.iter().map(|word| word.chars).collect::<Vec<_>>(), [2, 2, 2, 700, 4, 1]);
        assert_eq!(
            words.iter().map(|word| word.has_letter).collect::<Vec<_>>(),
            [true, true, true, true, false, false]
        );
        assert_eq!(
            words.iter().map(|word| word.is_word).collect::<Vec<_>>(),
            [true, true, true, true, true, false]
        );
        assert_eq!((counts.hangul, counts.jamo, counts.digits, counts.symbols), (704, 2, 3, 2));
    }
}
