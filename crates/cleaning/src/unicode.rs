//! Properties of characters that rules ask for, as Python's `str` methods and datatrove's sets have them.
//!
//! Rust's `char::is_alphabetic` takes circled letters and Roman numerals for letters, Python's `isalpha` does not; Python's
//! `split` takes U+001C to U+001F for white space, Rust's does not. Where the same documents are to be kept, the same
//! characters have to count, so the general categories are looked up.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const MARK: u8 = 4;
const SPACE: u8 = 8;
const PUNCTUATION: u8 = 16;
const TERMINAL: u8 = 32;
const REMOVED: u8 = 64;

/// What datatrove turns into spaces before it looks for near-duplicates (`PUNCTUATION`), control characters aside.
const REMOVED_PUNCTUATION: &str =
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»";

/// Characters that end a sentence in some script (datatrove's `TERMINAL_PUNCTUATION`).
const TERMINAL_PUNCTUATION: &str = "!.?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕៖៙៚᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᭽᭾᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼⹓⹔。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？｡𐩖𐩗𐽕𐽖𐽗𐽘𐽙𐾆𐾇𐾈𐾉𑁇𑁈𑂾𑂿𑃀𑃁𑅁𑅂𑅃𑇅𑇆𑇍𑇞𑇟𑈸𑈹𑈻𑈼𑊩𑑋𑑌𑗂𑗃𑗉𑗊𑗋𑗌𑗍𑗎𑗏𑗐𑗑𑗒𑗓𑗔𑗕𑗖𑗗𑙁𑙂𑜼𑜽𑜾𑥄𑥆𑩂𑩃𑪛𑪜𑱁𑱂𑻷𑻸𑽃𑽄𖩮𖩯𖫵𖬷𖬸𖭄𖺘𛲟𝪈";

/// A byte of properties for each code point. Pages that no text touches stay the zero page.
static PROPERTIES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut table = vec![0; 0x11_0000];
    for (class, property) in [(r"\p{L}", LETTER), (r"\p{Nd}", DIGIT), (r"\p{Mn}", MARK)] {
        for (first, last) in ranges(class) {
            for code in first..=last {
                table[code as usize] |= property;
            }
        }
    }
    for code in (0..0x3001).filter(|&code| char::from_u32(code).is_some_and(char::is_whitespace)) {
        table[code as usize] |= SPACE;
    }
    for properties in &mut table[0x1C..0x20] {
        *properties |= SPACE;
    }
    for c in REMOVED_PUNCTUATION.chars() {
        table[c as usize] |= PUNCTUATION | REMOVED;
    }
    for code in (0..9).chain(11..13).chain(13..32).chain(127..160) {
        table[code] |= PUNCTUATION | REMOVED;
    }
    for c in TERMINAL_PUNCTUATION.chars() {
        table[c as usize] |= PUNCTUATION | TERMINAL;
    }
    table
});

/// The ranges of a class of characters, as `regex` writes it.
fn ranges(class: &str) -> Vec<(u32, u32)> {
    let parsed = regex_syntax::parse(class).map(|hir| hir.into_kind());
    match parsed {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32)).collect()
        }
        _ => unreachable!("{class} is a class of characters"),
    }
}

fn has(c: char, property: u8) -> bool {
    PROPERTIES[c as usize] & property != 0
}

/// The table itself, for loops that ask much.
pub(crate) struct Properties(&'static [u8]);

impl Properties {
    pub(crate) fn get() -> Self {
        Self(&PROPERTIES)
    }

    #[inline]
    pub(crate) fn of(&self, c: char) -> CharProperties {
        CharProperties(self.0[c as usize])
    }
}

/// The properties of one character.
#[derive(Clone, Copy)]
pub(crate) struct CharProperties(u8);

impl CharProperties {
    #[inline]
    pub(crate) fn is_letter(self) -> bool {
        self.0 & LETTER != 0
    }

    #[inline]
    pub(crate) fn is_space(self) -> bool {
        self.0 & SPACE != 0
    }

    #[inline]
    pub(crate) fn is_punctuation(self) -> bool {
        self.0 & PUNCTUATION != 0
    }

    #[inline]
    pub(crate) fn is_removed(self) -> bool {
        self.0 & REMOVED != 0
    }

    #[inline]
    pub(crate) fn is_digit(self) -> bool {
        self.0 & DIGIT != 0
    }
}

/// A letter of any script: general category L, Python's `isalpha`.
pub fn is_letter(c: char) -> bool {
    has(c, LETTER)
}

/// A decimal digit of any script: general category Nd.
pub fn is_digit(c: char) -> bool {
    has(c, DIGIT)
}

/// A mark that takes no room: general category Mn.
pub fn is_mark(c: char) -> bool {
    has(c, MARK)
}

/// White space as Python's `str.split` takes it.
pub fn is_space(c: char) -> bool {
    has(c, SPACE)
}

/// Of datatrove's `PUNCTUATION_SET`.
pub fn is_punctuation(c: char) -> bool {
    has(c, PUNCTUATION)
}

/// Ends a sentence: of datatrove's `TERMINAL_PUNCTUATION`.
pub fn is_terminal(c: char) -> bool {
    has(c, TERMINAL)
}

/// A whole Hangul syllable, U+AC00 to U+D7A3.
#[inline]
pub fn is_syllable(c: char) -> bool {
    matches!(c, '\u{AC00}'..='\u{D7A3}')
}

/// A loose Hangul letter that stands by itself, U+3131 to U+3163.
#[inline]
pub fn is_jamo(c: char) -> bool {
    matches!(c, '\u{3131}'..='\u{3163}')
}

/// Hangul of any form: syllables, loose, conjoining and half-width letters.
#[inline]
pub fn is_hangul(c: char) -> bool {
    matches!(c, '\u{AC00}'..='\u{D7A3}' | '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}'
        | '\u{A960}'..='\u{A97C}' | '\u{D7B0}'..='\u{D7FB}' | '\u{FFA0}'..='\u{FFDC}')
}

/// Lines as Python's `str.splitlines` has them: ends at line feed, carriage return (with its line feed), vertical tab, form feed,
/// U+001C to U+001E, U+0085, U+2028 and U+2029.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((at, end)) = rest.char_indices().find(|&(_, c)| ends_line(c)) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        let after = &rest[at + end.len_utf8()..];
        rest = if end == '\r' { after.strip_prefix('\n').unwrap_or(after) } else { after };
        Some(line)
    })
}

fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `text` without white space at both ends, as Python's `str.strip` takes it.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Code points of a text.
#[inline]
pub fn chars(text: &str) -> usize {
    text.as_bytes().iter().filter(|&&byte| (byte as i8) >= -0x40).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_spaces_are_pythons() {
        for c in ['a', '가', 'ㅋ', '漢', 'ª', 'ʰ'] {
            assert!(is_letter(c), "{c}");
        }
        for c in ['ⓒ', 'Ⅷ', '①', '1', '_', '\u{301}'] {
            assert!(!is_letter(c), "{c}");
        }
        for c in [' ', '\u{1c}', '\u{1f}', '\u{85}', '\u{a0}', '\u{3000}', '\u{2028}'] {
            assert!(is_space(c), "{c:?}");
        }
        assert!(!is_space('\u{200b}') && !is_space('\u{180e}'));
    }

    #[test]
    fn punctuation_has_as_many_characters_as_datatroves() {
        let all = |property| PROPERTIES.iter().filter(|&&p| p & property != 0).count();
        // `kept.json` of a run of datatrove 0.10.1 lists 281 and 159.
        assert_eq!((all(PUNCTUATION), all(TERMINAL)), (281, 159));
    }

    #[test]
    fn lines_end_where_python_ends_them() {
        let text = "a\nb\r\nc\rd\x0be\x1cf\u{85}g\u{2028}\n";
        assert_eq!(lines(text).collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "f", "g", ""]);
        assert_eq!(lines("").count(), 0);
    }
}
