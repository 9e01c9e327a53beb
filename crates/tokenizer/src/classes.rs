//! The character classes that pre-tokenisers ask for: `\p{L}`, `\p{N}`, `\s` and everything else.
//!
//! The tables are those of the regex engine inside `tokenizers` (Unicode 16.0), so that a code point
//! assigned later is classed as that library classes it.

use std::sync::LazyLock;

use crate::unicode_ranges::{LETTER, NUMBER, SPACE, WORD};

/// What a pre-tokeniser sees of a character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    Other,
    Letter,
    Number,
    Space,
}

/// The class of an ASCII character.
pub(crate) const fn ascii(byte: u8) -> Class {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' => Class::Letter,
        b'0'..=b'9' => Class::Number,
        b'\t'..=b'\r' | b' ' => Class::Space,
        _ => Class::Other,
    }
}

/// Classes by code point in two levels: most blocks of 256 are like another, so that the table is small enough
/// to stay in the nearest caches.
pub(crate) struct Classes {
    /// The block of each 256 code points.
    blocks: Box<[u16]>,
    classes: Vec<[Class; 256]>,
}

static TABLE: LazyLock<Classes> = LazyLock::new(|| {
    let mut flat = vec![Class::Other; 0x11_0000];
    for (ranges, class) in [(LETTER, Class::Letter), (NUMBER, Class::Number), (SPACE, Class::Space)] {
        for &(first, last) in ranges {
            flat[first as usize..=last as usize].fill(class);
        }
    }
    let mut classes: Vec<[Class; 256]> = Vec::new();
    let blocks = flat.as_chunks::<256>().0.iter().map(|block| {
        let known = classes.iter().position(|known| known == block).unwrap_or_else(|| {
            classes.push(*block);
            classes.len() - 1
        });
        known as u16
    });
    let blocks = blocks.collect();
    Classes { blocks, classes }
});

impl Classes {
    /// The table, fetched once a text rather than once a character.
    pub(crate) fn get() -> &'static Classes {
        &TABLE
    }

    #[inline]
    pub(crate) fn of(&self, c: char) -> Class {
        let c = c as usize;
        self.classes[usize::from(self.blocks[c >> 8])][c & 0xff]
    }
}

/// Whether `c` is a word character, `\w`.
pub(crate) fn is_word(c: char) -> bool {
    let c = c as u32;
    WORD.binary_search_by(|&(first, last)| {
        if last < c {
            std::cmp::Ordering::Less
        } else if first > c {
            std::cmp::Ordering::Greater
        } else {
            std::cmp::Ordering::Equal
        }
    })
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_point_is_classed_as_the_regex_engine_does() {
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let classed = |pattern: &str| -> Vec<char> {
            let regex = fancy_regex::Regex::new(pattern).expect("pattern");
            regex.find_iter(&all).flat_map(|m| m.expect("match").as_str().chars()).collect()
        };
        let ours = |keep: &dyn Fn(char) -> bool| -> Vec<char> { all.chars().filter(|&c| keep(c)).collect() };
        let classes = Classes::get();
        assert!(classed(r"\p{L}+") == ours(&|c| classes.of(c) == Class::Letter));
        assert!(classed(r"\p{N}+") == ours(&|c| classes.of(c) == Class::Number));
        assert!(classed(r"\s+") == ours(&|c| classes.of(c) == Class::Space));
        assert!(classed(r"\w+") == ours(&is_word));
    }
}
