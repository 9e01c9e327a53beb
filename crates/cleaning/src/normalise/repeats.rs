//! Laughter, tears and letters held down: ㅋㅋㅋㅋ, ㅠㅠㅠ, !!!!!, 우우우우.

use crate::unicode::{is_jamo, is_syllable};

/// Whether a run of this character is to be shortened, and from which length.
pub(super) fn least(c: char, most: usize) -> Option<usize> {
    if is_jamo(c) || matches!(c, '!' | '?' | '~' | '^' | '♥' | '♡' | '★' | '☆' | '！' | '？' | 'ᄏ' | 'ᄒ')
    {
        Some(most + 1)
    } else if is_syllable(c) {
        // 하하하 is a word, 우우우우우 is not.
        Some(most.max(3) + 1)
    } else {
        None
    }
}

/// Shortens runs of one character to `most`. `None` where there are none.
pub(super) fn shorten(text: &str, most: usize) -> Option<(String, usize)> {
    let mut result = String::with_capacity(text.len());
    let mut left_out = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut run = 1;
        while chars.next_if_eq(&c).is_some() {
            run += 1;
        }
        let kept = match least(c, most) {
            Some(least) if run >= least => most,
            _ => run,
        };
        left_out += run - kept;
        result.extend(std::iter::repeat_n(c, kept));
    }
    (left_out > 0).then_some((result, left_out))
}
