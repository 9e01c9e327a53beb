//! A text as its characters' classes: what stands at a byte, and how far a run goes.
//!
//! Three kinds of text have ways of their own: ASCII letters, eight in a register; other ASCII, by a table of 128;
//! and Hangul syllables, which are all letters and three bytes between EA B0 80 and ED 9E A3, told without decoding.
//! Everything else is decoded and looked up.

use crate::classes::{Class, Classes, ascii};

static ASCII: [Class; 128] = {
    let mut table = [Class::Other; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = ascii(byte as u8);
        byte += 1;
    }
    table
};

/// UTF-8 up to a border that no run crosses. Offsets given to its functions are those of characters.
#[derive(Clone, Copy)]
pub(crate) struct Text<'t> {
    text: &'t str,
    classes: &'static Classes,
}

impl<'t> Text<'t> {
    pub(crate) fn new(text: &'t str, classes: &'static Classes) -> Text<'t> {
        Text { text, classes }
    }

    /// The text up to byte `end`.
    pub(crate) fn until(self, end: usize) -> Text<'t> {
        Text { text: &self.text[..end], ..self }
    }

    pub(crate) fn classes(self) -> &'static Classes {
        self.classes
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.text.len()
    }

    #[inline(always)]
    pub(crate) fn byte(self, at: usize) -> u8 {
        self.text.as_bytes()[at]
    }

    #[inline(always)]
    pub(crate) fn bytes(self, start: usize, end: usize) -> &'t [u8] {
        &self.text.as_bytes()[start..end]
    }

    #[inline(always)]
    pub(crate) fn rest(self, at: usize) -> &'t [u8] {
        &self.text.as_bytes()[at..]
    }

    /// The class of the character at `at`, which must be within the text, and the byte after it.
    #[inline(always)]
    pub(crate) fn class(self, at: usize) -> (Class, usize) {
        match ASCII.get(usize::from(self.byte(at))) {
            Some(&class) => (class, at + 1),
            None if self.is_hangul(at) => (Class::Letter, at + 3),
            None => self.decoded(at),
        }
    }

    #[inline(never)]
    fn decoded(self, at: usize) -> (Class, usize) {
        match self.text[at..].chars().next() {
            Some(c) => (self.classes.of(c), at + c.len_utf8()),
            None => (Class::Other, self.len()),
        }
    }

    /// Whether a Hangul syllable stands at `at`. Its three bytes are ordered as its code point is.
    #[inline(always)]
    fn is_hangul(self, at: usize) -> bool {
        const FIRST: u32 = 0xea_b0_80;
        const LAST: u32 = 0xed_9e_a3;
        match self.rest(at) {
            &[a, b, c, ..] => u32::from_be_bytes([0, a, b, c]).wrapping_sub(FIRST) <= LAST - FIRST,
            _ => false,
        }
    }

    /// The end of the run of `class` from `at`.
    #[inline(always)]
    pub(crate) fn run(self, at: usize, class: Class) -> usize {
        if class == Class::Letter { self.letters(at) } else { self.others(at, class) }
    }

    #[inline(always)]
    fn letters(self, mut at: usize) -> usize {
        loop {
            at = self.ascii_letters(at);
            while self.is_hangul(at) {
                at += 3;
            }
            match self.text.as_bytes().get(at) {
                Some(&byte) if byte.is_ascii_alphabetic() => {}
                Some(&byte) if byte >= 0x80 => match self.decoded(at) {
                    (Class::Letter, after) => at = after,
                    _ => return at,
                },
                _ => return at,
            }
        }
    }

    #[inline(always)]
    fn ascii_letters(self, mut at: usize) -> usize {
        while let Some(eight) = self.rest(at).first_chunk::<8>() {
            let run = leading_letters(u64::from_le_bytes(*eight));
            at += run;
            if run < 8 {
                return at;
            }
        }
        at + self.rest(at).iter().take_while(|byte| byte.is_ascii_alphabetic()).count()
    }

    #[inline]
    fn others(self, mut at: usize, class: Class) -> usize {
        while at < self.len() {
            match self.class(at) {
                (found, after) if found == class => at = after,
                _ => break,
            }
        }
        at
    }

    /// Where the character before `at` begins.
    pub(crate) fn before(self, at: usize) -> usize {
        self.text[..at].char_indices().next_back().map_or(0, |(start, _)| start)
    }

    /// The next character from `at` on that the standard library calls numeric: its first byte and the one after
    /// it. Without one both are the text's end.
    #[inline]
    pub(crate) fn numeric(self, mut at: usize) -> (usize, usize) {
        while at < self.len() {
            if let Some(eight) = self.rest(at).first_chunk::<8>() {
                let plain = leading_plain(u64::from_le_bytes(*eight));
                at += plain;
                if plain == 8 {
                    continue;
                }
            }
            if self.is_hangul(at) {
                at += 3;
                continue;
            }
            let Some(c) = self.text[at..].chars().next() else { break };
            let after = at + c.len_utf8();
            if c.is_numeric() {
                return (at, after);
            }
            at = after;
        }
        (self.len(), self.len())
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// How many of eight bytes, the lowest first, are ASCII letters before one that is not.
#[inline(always)]
fn leading_letters(eight: u64) -> usize {
    // No byte below 80 carries into its neighbour.
    let small = (eight | (0x20 * ONES)) & !HIGH;
    let from_a = small + (0x80 - u64::from(b'a')) * ONES;
    let beyond_z = small + (0x7f - u64::from(b'z')) * ONES;
    let letters = from_a & !beyond_z & !eight & HIGH;
    (letters ^ HIGH).trailing_zeros() as usize / 8
}

/// How many of eight bytes are ASCII and no digit before one that is not so.
#[inline(always)]
fn leading_plain(eight: u64) -> usize {
    let low = eight & !HIGH;
    let from_0 = low + (0x80 - u64::from(b'0')) * ONES;
    let beyond_9 = low + (0x7f - u64::from(b'9')) * ONES;
    let stops = ((from_0 & !beyond_9) | eight) & HIGH;
    stops.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_once_are_as_one_by_one() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                for around in [b'a', b'Z', b' ', b'5', 0xff, 0x00] {
                    let mut eight = [around; 8];
                    eight[place] = byte;
                    let count = |keep: fn(&u8) -> bool| eight.iter().take_while(|byte| keep(byte)).count();
                    let value = u64::from_le_bytes(eight);
                    assert_eq!(leading_letters(value), count(u8::is_ascii_alphabetic), "{eight:?}");
                    let plain = |byte: &u8| byte.is_ascii() && !byte.is_ascii_digit();
                    assert_eq!(leading_plain(value), count(plain), "{eight:?}");
                }
            }
        }
    }

    #[test]
    fn a_class_is_that_of_the_table_wherever_the_character_stands() {
        let classes = Classes::get();
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            for text in [format!("{c}"), format!("{c}abcdefgh")] {
                let (class, after) = Text::new(&text, classes).class(0);
                assert_eq!((class, after), (classes.of(c), c.len_utf8()), "{c:?}");
            }
            let text = format!("가a{c}");
            let letter = classes.of(c) == Class::Letter;
            let end = if letter { text.len() } else { 4 };
            assert_eq!(Text::new(&text, classes).run(0, Class::Letter), end, "{c:?}");
            let numeric = Text::new(&text, classes).numeric(0);
            let start = if c.is_numeric() { 4 } else { text.len() };
            assert_eq!(numeric, (start, text.len()), "{c:?}");
        }
    }
}
