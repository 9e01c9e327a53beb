//! GPT-2's byte alphabet: every byte as one printable character, so that vocabularies are text files.
//!
//! Printable Latin-1 bytes stand for themselves; the other 68 are moved, in order, to U+0100 and up
//! (a space is `Ġ`, a line feed `Ċ`). Radford et al. 2019.

/// The byte that a character of the alphabet stands for.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    match c as u32 {
        c @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(c as u8),
        c @ 0x100..=0x120 => Some((c - 0x100) as u8),
        c @ 0x121..=0x142 => Some((c - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The character that stands for a byte.
pub(crate) fn char_of(byte: u8) -> char {
    match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=0x20 => char::from_u32(0x100 + u32::from(byte)).unwrap_or('\u{fffd}'),
        0x7f..=0xa0 => char::from_u32(0x121 + u32::from(byte) - 0x7f).unwrap_or('\u{fffd}'),
        0xad => '\u{143}',
    }
}

/// The bytes that a piece in the alphabet stands for; `None` where a character is not of it.
pub(crate) fn decode(piece: &str) -> Option<Vec<u8>> {
    piece.chars().map(byte_of).collect()
}

/// Bytes in the alphabet.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char_of(b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character() {
        for byte in 0..=255 {
            assert_eq!(byte_of(char_of(byte)), Some(byte));
        }
        assert_eq!(encode(b" \n\xad\x7f\xa0"), "ĠĊŃġł");
        assert_eq!(decode("Ġhello"), Some(b" hello".to_vec()));
        assert_eq!(decode("한"), None);
        assert_eq!((0..=0x11_0000).filter_map(char::from_u32).filter_map(byte_of).count(), 256);
    }
}
