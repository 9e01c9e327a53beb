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

/// One byte a code point. The pages of what nobody writes stay untouched zeroes of the allocator.
static TABLE: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let mut table = vec![Class::Other as u8; 0x11_0000].into_boxed_slice();
    for (ranges, class) in [(LETTER, Class::Letter), (NUMBER, Class::Number), (SPACE, Class::Space)] {
        for &(first, last) in ranges {
            table[first as usize..=last as usize].fill(class as u8);
        }
    }
    table
});

/// The table, fetched once a text rather than once a character.
#[derive(Clone, Copy)]
pub(crate) struct Classes(&'static [u8]);

impl Classes {
    pub(crate) fn get() -> Classes {
        Classes(&TABLE)
    }

    #[inline]
    pub(crate) fn of(self, c: char) -> Class {
        match self.0[c as usize] {
            1 => Class::Letter,
            2 => Class::Number,
            3 => Class::Space,
            _ => Class::Other,
        }
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
