//! What is left of a text when near-duplicates are looked for (datatrove's `simplify_text`).

use unicode_normalization::UnicodeNormalization;

use crate::unicode::{Properties, is_mark, is_syllable};

/// Lower case, numbers to 0, punctuation and white space to single spaces, NFD without marks that take no room.
pub fn simplify(text: &str) -> String {
    let mut result = String::new();
    simplify_into(text, &mut result);
    result
}

/// As [`simplify`], into a string that is cleared.
pub(super) fn simplify_into(text: &str, result: &mut String) {
    result.clear();
    let table = Properties::get();
    let mut state = State { space: false, number: Number::No };
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_ascii() {
            push(c.to_ascii_lowercase(), &chars, &table, &mut state, result);
        } else if is_syllable(c) {
            state.number = Number::No;
            open(result, &mut state);
            decompose(c, result);
        } else if c == 'Σ' {
            // Its small form depends on the word that it stands in: the whole text is asked.
            *result = slow(text);
            return;
        } else {
            for c in c.to_lowercase() {
                push(c, &chars, &table, &mut state, result);
            }
        }
    }
}

struct State {
    space: bool,
    number: Number,
}

#[derive(PartialEq)]
enum Number {
    No,
    /// In the digits before a mark of decimals.
    Whole,
    /// In those after one.
    Part,
}

fn open(result: &mut String, state: &mut State) {
    if state.space && !result.is_empty() {
        result.push(' ');
    }
    state.space = false;
}

fn push(c: char, rest: &std::str::Chars<'_>, table: &Properties, state: &mut State, result: &mut String) {
    let properties = table.of(c);
    if properties.is_digit() {
        if state.number == Number::No {
            open(result, state);
            result.push('0');
            state.number = Number::Whole;
        }
        return;
    }
    // One mark of decimals between digits belongs to the number.
    if state.number == Number::Whole
        && matches!(c, '.' | ',' | '،' | '٫' | '⎖' | '⎗' | '⎘')
        && rest.clone().next().is_some_and(|c| table.of(c).is_digit())
    {
        state.number = Number::Part;
        return;
    }
    state.number = Number::No;
    if properties.is_removed() || properties.is_space() {
        state.space = true;
        return;
    }
    if c.is_ascii() {
        open(result, state);
        result.push(c);
        return;
    }
    for c in std::iter::once(c).nfd().filter(|&c| !is_mark(c)) {
        open(result, state);
        result.push(c);
    }
}

/// The conjoining letters of a syllable.
fn decompose(syllable: char, result: &mut String) {
    let place = syllable as u32 - 0xAC00;
    let (initial, vowel, last) = (place / 588, place % 588 / 28, place % 28);
    for code in
        [0x1100 + initial, 0x1161 + vowel, 0x11A7 + last].into_iter().take(if last == 0 { 2 } else { 3 })
    {
        result.extend(char::from_u32(code));
    }
}

/// As [`simplify_into`], in several passes.
fn slow(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut result = String::new();
    let table = Properties::get();
    let mut state = State { space: false, number: Number::No };
    let mut chars = lower.chars();
    while let Some(c) = chars.next() {
        push(c, &chars, &table, &mut state, &mut result);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::simplify;

    #[test]
    fn texts_are_simplified_as_datatrove_does() {
        // datatrove 0.10.1, `simplify_text`, composed again.
        for (text, simple) in [
            ("The  Price: 1,234.56 won!", "the price 0 0 won"),
            ("3.14와 2,000원, 1.2.3", "0와 0원 0 0"),
            ("Café—naïve\tÉTÉ", "cafe naive ete"),
            ("  …끝  ", "끝"),
            ("ΟΔΟΣ 12", "οδος 0"),
            ("‘따옴표’ · 가운뎃점", "‘따옴표 · 가운뎃점"),
        ] {
            let composed: String =
                unicode_normalization::UnicodeNormalization::nfc(simplify(text).as_str()).collect();
            assert_eq!(composed, simple, "{text}");
        }
    }
}
