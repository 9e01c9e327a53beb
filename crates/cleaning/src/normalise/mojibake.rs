//! Text that was read in the wrong encoding.
//!
//! UTF-8 read as Windows-1252 or Latin-1, once or twice, and CP949 read as Latin-1 keep every byte, so that reading the bytes
//! again repairs them. UTF-8 read as CP949 and CP949 read as UTF-8 lose bytes; what is left is recognised and marked.

use std::sync::LazyLock;

use encoding_rs::{EUC_KR, WINDOWS_1252};
use serde::Serialize;

use crate::unicode::{is_hangul, is_letter, is_syllable};

/// Damage that is left in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Mojibake {
    /// Characters that are neither white space nor ASCII.
    pub characters: usize,
    /// Of them U+FFFD, and private-use characters.
    pub replaced: usize,
    /// Of them what UTF-8 read as CP949 is full of: rare Han beside Hangul that Korean never has.
    pub odd: usize,
}

impl Eq for Mojibake {}

impl Mojibake {
    /// Looks at a text.
    pub(crate) fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut before = ' ';
        for c in text.chars() {
            if c.is_ascii() {
                before = c;
                continue;
            }
            found.characters += 1;
            match c {
                '\u{FFFD}' | '\u{E000}'..='\u{F8FF}' => found.replaced += 1,
                // Han between Hangul with no space: 寃곌뎅 and 由щ뜑媛 come from nowhere else.
                '\u{4E00}'..='\u{9FFF}' if is_rare_syllable(before) => found.odd += 1,
                c if is_rare_syllable(c) => found.odd += 1,
                _ => {}
            }
            before = c;
        }
        found
    }

    /// Whether so much is lost that the text is of no use: 2 % replaced, or 10 % odd, of what is not ASCII.
    pub fn is_lost(&self) -> bool {
        self.replaced > 2 && self.replaced * 50 > self.characters
            || self.odd > 2 && self.odd * 10 > self.characters
    }
}

/// Syllables that are not in KS X 1001: CP949 puts them where UTF-8's bytes happen to point, and Korean hardly has them.
static RARE: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let mut text = [0; 4];
    ('\u{AC00}'..='\u{D7A3}')
        .map(|c| {
            let (bytes, _, _) = EUC_KR.encode(c.encode_utf8(&mut text));
            // The extension has a lead byte or a trail byte below 0xA1.
            bytes.iter().any(|&byte| byte < 0xA1) && !"똠햏뷁펲썅믜뙇쀍갥".contains(c)
        })
        .collect()
});

fn is_rare_syllable(c: char) -> bool {
    is_syllable(c) && RARE[c as usize - 0xAC00]
}

/// `text` read again in the encoding that it is in, where that makes sense of it. `None` where it is not damaged.
pub(super) fn repair(text: &str) -> Option<String> {
    if !is_suspect(text) {
        return None;
    }
    // A page has damaged and healthy parts: line by line.
    let mut changed = false;
    let lines: Vec<std::borrow::Cow<'_, str>> = text
        .split('\n')
        .map(|line| match again(line) {
            Some(line) => {
                changed = true;
                line.into()
            }
            None => line.into(),
        })
        .collect();
    changed.then(|| lines.join("\n"))
}

/// Whether a text has as many letters of Latin-1 as damage leaves: most of what is not ASCII.
fn is_suspect(text: &str) -> bool {
    let (mut high, mut run, mut most) = (0, 0, 0);
    for c in text.chars() {
        let latin = matches!(c, '\u{80}'..='\u{FF}' | 'Œ' | 'œ' | 'Š' | 'š' | 'Ž' | 'ž' | 'Ÿ' | 'ƒ' | 'ˆ' | '˜' | '‘'..='„' | '•' | '–' | '—'
            | '…' | '‰' | '‹' | '›' | '€' | '™' | '†' | '‡');
        run = if latin { run + 1 } else { 0 };
        most = most.max(run);
        high += usize::from(latin);
    }
    high >= 3 && most >= 2
}

fn again(line: &str) -> Option<String> {
    if !is_suspect(line) {
        return None;
    }
    if let Some(mut repaired) = bytes_of(line).and_then(|bytes| String::from_utf8(bytes).ok()) {
        if let Some(twice) = bytes_of(&repaired).and_then(|bytes| String::from_utf8(bytes).ok())
            && twice.chars().count() < repaired.chars().count()
        {
            repaired = twice;
        }
        return (repaired.chars().count() < line.chars().count()).then_some(repaired);
    }
    // CP949: only where the result is Korean throughout.
    let bytes = bytes_of(line)?;
    let (repaired, _, broken) = EUC_KR.decode(&bytes);
    let high = bytes.iter().filter(|&&byte| byte >= 0x80).count();
    let (mut hangul, mut other) = (0, 0);
    for c in repaired.chars().filter(|c| !c.is_ascii()) {
        hangul += usize::from(is_hangul(c) && !is_rare_syllable(c));
        other += usize::from(is_letter(c) && !is_hangul(c) || is_rare_syllable(c));
    }
    (!broken && high >= 6 && hangul >= 3 && hangul * 2 * 10 >= high * 8 && other * 8 <= hangul)
        .then(|| repaired.into_owned())
}

/// The bytes that were read as Windows-1252, or as Latin-1 where that has no character for them.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        if (c as u32) < 0x100 {
            bytes.push(c as u32 as u8);
            continue;
        }
        let mut encoded = [0; 4];
        let (one, _, unmappable) = WINDOWS_1252.encode(c.encode_utf8(&mut encoded));
        if unmappable || one.len() != 1 {
            return None;
        }
        bytes.push(one[0]);
    }
    Some(bytes)
}
