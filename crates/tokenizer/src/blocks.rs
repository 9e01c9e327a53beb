//! Sixty-four bytes of a text at once: what class each is of, a bit for each byte.
//!
//! Bytes are compared sixteen at a time where every processor of a kind can, and eight in a register elsewhere.
//! ASCII and Hangul syllables are classed so, without decoding; other characters one by one, by the table.

use crate::classes::{Class, Classes};

/// Bytes of a block.
pub(crate) const WIDTH: usize = 64;

/// The bytes of a stretch of text by their classes, the first in the lowest bit. All bytes of a character have its
/// class. The stretch begins with a character; one that ends beyond it is not classed, nor what comes after.
pub(crate) struct Block {
    pub(crate) letter: u64,
    pub(crate) number: u64,
    pub(crate) other: u64,
    pub(crate) white: u64,
    /// Of the white ones U+0020, and those that end a line: CR and LF.
    pub(crate) space: u64,
    pub(crate) breaks: u64,
    /// Of the other ones the apostrophe.
    pub(crate) quote: u64,
    /// Bytes of a character after its first.
    pub(crate) follows: u64,
    /// How many bytes are classed. Where it is less than all, a character begins there that is white or a number
    /// and not ASCII, or that ends beyond the block.
    pub(crate) known: usize,
}

impl Block {
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; WIDTH], classes: &Classes) -> Block {
        let lanes = Lanes::new(bytes);
        let letter = lanes.letters();
        let number = lanes.within(b'0', b'9');
        let space = lanes.within(b' ', b' ');
        let white = space | lanes.within(b'\t', b'\r');
        let high = lanes.within(0x80, 0xff);
        let mut block = Block {
            letter,
            number,
            other: !(letter | number | white | high),
            white,
            space,
            breaks: lanes.within(b'\n', b'\n') | lanes.within(b'\r', b'\r'),
            quote: lanes.within(b'\'', b'\''),
            follows: 0,
            known: WIDTH,
        };
        if high != 0 {
            block.beyond_ascii(&lanes, bytes, high, classes);
        }
        block
    }

    /// Classes the bytes of `high`, those that are not ASCII.
    #[inline(always)]
    fn beyond_ascii(&mut self, lanes: &Lanes, bytes: &[u8; WIDTH], high: u64, classes: &Classes) {
        self.follows = lanes.within(0x80, 0xbf);
        // Hangul syllables are all between EA B0 80 and ED 9E A3.
        let first = lanes.within(0xea, 0xea) & (lanes.within(0xb0, 0xbf) >> 1);
        let middle = lanes.within(0xeb, 0xec);
        let upto_a3 = lanes.within(0x80, 0xa3) >> 2;
        let second = (lanes.within(0x80, 0x9d) >> 1) | ((lanes.within(0x9e, 0x9e) >> 1) & upto_a3);
        let last = lanes.within(0xed, 0xed) & second;
        let hangul = (first | middle | last) & (u64::MAX >> 2);
        self.letter |= hangul | hangul << 1 | hangul << 2;

        let mut rest = high & !self.follows & !hangul;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let Some((c, length)) = decode(&bytes[at..]) else {
                self.known = at;
                break;
            };
            let bits = ((1 << length) - 1) << at;
            match classes.of(c) {
                Class::Letter if c != LONG_S => self.letter |= bits,
                Class::Other => self.other |= bits,
                _ => {
                    self.known = at;
                    break;
                }
            }
        }
    }
}

/// A letter that some expressions take for an `s`: left to whom it concerns.
const LONG_S: char = '\u{17f}';

/// The first character of UTF-8 that begins with one beyond ASCII, and how many bytes it has; none where it is cut.
#[inline(always)]
fn decode(bytes: &[u8]) -> Option<(char, usize)> {
    let low = |byte: u8| u32::from(byte & 0x3f);
    let (code, length) = match *bytes {
        [a @ 0xc0..0xe0, b, ..] => (u32::from(a & 0x1f) << 6 | low(b), 2),
        [a @ 0xe0..0xf0, b, c, ..] => (u32::from(a & 0x0f) << 12 | low(b) << 6 | low(c), 3),
        [a @ 0xf0..=0xff, b, c, d, ..] => {
            (u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d), 4)
        }
        _ => return None,
    };
    Some((char::from_u32(code)?, length))
}

/// The bytes of a block in the registers of x86-64, all of which have SSE2.
#[cfg(target_arch = "x86_64")]
mod sixteen {
    use std::arch::x86_64::*;

    pub(super) struct Lanes([__m128i; 4]);

    impl Lanes {
        #[inline(always)]
        pub(super) fn new(bytes: &[u8; super::WIDTH]) -> Lanes {
            let (eights, _) = bytes.as_chunks::<8>();
            let eight = |at: usize| i64::from_le_bytes(eights[at]);
            // SAFETY: every x86-64 processor has SSE2.
            let sixteen = |at: usize| unsafe { _mm_set_epi64x(eight(at + 1), eight(at)) };
            Lanes([sixteen(0), sixteen(2), sixteen(4), sixteen(6)])
        }

        /// The bytes from `first` to `last`.
        #[inline(always)]
        pub(super) fn within(&self, first: u8, last: u8) -> u64 {
            // SAFETY: every x86-64 processor has SSE2.
            join(&self.0, |v| unsafe { range(v, first, last) })
        }

        /// The ASCII letters.
        #[inline(always)]
        pub(super) fn letters(&self) -> u64 {
            // SAFETY: every x86-64 processor has SSE2.
            join(&self.0, |v| unsafe { range(_mm_or_si128(v, _mm_set1_epi8(0x20)), b'a', b'z') })
        }
    }

    /// Those of sixteen bytes from `first` to `last`.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn range(v: __m128i, first: u8, last: u8) -> u32 {
        let all = |byte: u8| _mm_set1_epi8(byte as i8);
        let found = match (first, last) {
            (0x80, 0xff) => v,
            _ if first == last => _mm_cmpeq_epi8(v, all(first)),
            _ => {
                let beyond = _mm_sub_epi8(v, all(first));
                _mm_cmpeq_epi8(_mm_min_epu8(beyond, all(last - first)), beyond)
            }
        };
        _mm_movemask_epi8(found) as u32
    }

    #[inline(always)]
    fn join([a, b, c, d]: &[__m128i; 4], bits: impl Fn(__m128i) -> u32) -> u64 {
        let (low, high) = (bits(*a) | bits(*b) << 16, bits(*c) | bits(*d) << 16);
        u64::from(low) | u64::from(high) << 32
    }
}

/// The bytes of a block in the registers of any processor.
#[cfg_attr(target_arch = "x86_64", cfg(test))]
mod eight {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;

    pub(super) struct Lanes([u64; 8]);

    impl Lanes {
        #[inline(always)]
        pub(super) fn new(bytes: &[u8; super::WIDTH]) -> Lanes {
            let (eights, _) = bytes.as_chunks::<8>();
            Lanes(std::array::from_fn(|at| u64::from_le_bytes(eights[at])))
        }

        #[inline(always)]
        pub(super) fn within(&self, first: u8, last: u8) -> u64 {
            bits(self.0.map(|v| range(v, first, last)))
        }

        #[inline(always)]
        pub(super) fn letters(&self) -> u64 {
            bits(self.0.map(|v| range(v | (0x20 * ONES), b'a', b'z')))
        }
    }

    /// The bytes from `first` to `last`, both ASCII or both not, by their highest bits.
    #[inline(always)]
    fn range(v: u64, first: u8, last: u8) -> u64 {
        // No sum of seven bits carries into the next byte.
        let low = v & !HIGH;
        let from_first = low + u64::from(0x80 - (first & 0x7f)) * ONES;
        let beyond_last = low + u64::from(0x7f - (last & 0x7f)) * ONES;
        let half = if first < 0x80 { !v } else { v };
        from_first & !beyond_last & half & HIGH
    }

    #[inline(always)]
    fn bits(lanes: [u64; 8]) -> u64 {
        // Byte `i`, which is 0 or 1, goes to bit 56 + i.
        let gathered = lanes.map(|v| (v >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56);
        gathered.iter().rev().fold(0, |bits, eight| bits << 8 | eight)
    }
}

#[cfg(not(target_arch = "x86_64"))]
use eight::Lanes;
#[cfg(target_arch = "x86_64")]
use sixteen::Lanes;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte value at each place of a block.
    fn blocks() -> impl Iterator<Item = [u8; WIDTH]> {
        (0..256usize).map(|first| std::array::from_fn(|at| (first + at * 37) as u8))
    }

    #[test]
    fn ranges_are_as_byte_by_byte() {
        let ranges = [(b'0', b'9'), (b'\t', b'\r'), (b' ', b' '), (0x80, 0xff), (0x80, 0xbf), (0xb0, 0xbf)];
        let more = [(0xea, 0xea), (0xeb, 0xec), (0x80, 0x9d), (0x9e, 0x9e), (0, 0x7f), (0xff, 0xff)];
        let expect = |bytes: &[u8; WIDTH], keep: &dyn Fn(u8) -> bool| {
            bytes.iter().rev().fold(0u64, |bits, &byte| bits << 1 | u64::from(keep(byte)))
        };
        for bytes in blocks() {
            let (lanes, plain) = (Lanes::new(&bytes), eight::Lanes::new(&bytes));
            for (first, last) in ranges.into_iter().chain(more) {
                let expected = expect(&bytes, &|byte| (first..=last).contains(&byte));
                assert_eq!(lanes.within(first, last), expected, "{first:x} to {last:x}");
                assert_eq!(plain.within(first, last), expected, "{first:x} to {last:x}");
            }
            let expected = expect(&bytes, &|byte| byte.is_ascii_alphabetic());
            assert_eq!((lanes.letters(), plain.letters()), (expected, expected));
        }
    }

    #[test]
    fn every_character_has_its_class_or_ends_the_block() {
        let classes = Classes::get();
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            for before in [0, 2, 61] {
                let mut text = [b'.'; WIDTH + 4];
                c.encode_utf8(&mut text[before..]);
                let block = Block::new(text.first_chunk().expect("a block"), classes);
                let end = before + c.len_utf8();
                let class = classes.of(c);
                let cut = matches!(class, Class::Number | Class::Space) && !c.is_ascii() || c == LONG_S;
                if cut || end > WIDTH {
                    assert_eq!(block.known, before, "{c:?}");
                    continue;
                }
                let place = |class: Class| match class {
                    Class::Letter => block.letter,
                    Class::Number => block.number,
                    Class::Other => block.other,
                    Class::Space => block.white,
                };
                let own = ((1u64 << c.len_utf8()) - 1) << before;
                assert_eq!(block.known, WIDTH, "{c:?}");
                for other in [Class::Letter, Class::Number, Class::Other, Class::Space] {
                    let expected = if other == class { own } else { 0 };
                    assert_eq!(place(other) & own, expected, "{c:?}");
                }
                assert_eq!(block.other | own, u64::MAX, "{c:?}");
                assert_eq!(block.follows, own & !(1 << before), "{c:?}");
                assert_eq!(block.space & own != 0, c == ' ');
                assert_eq!(block.breaks & own != 0, matches!(c, '\r' | '\n'));
                assert_eq!(block.quote & own != 0, c == '\'');
            }
        }
    }
}
