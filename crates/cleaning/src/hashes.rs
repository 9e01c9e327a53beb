//! Hashes by which the same text is found again: of a document, and of its lines and paragraphs.
//!
//! What is compared is letters and digits in lower case: white space and marks differ from copy to copy.

use twox_hash::XxHash64;

use crate::unicode::{is_digit, is_letter, is_mark};

/// A piece of a text, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Of its letters and digits.
    pub hash: u64,
    /// Its first byte.
    pub start: usize,
    /// The byte behind it, before its new line.
    pub end: usize,
    /// Letters and digits.
    pub chars: usize,
}

/// The hash of a whole document. Equal texts have equal ones; two of 128 bits that differ meet never in practice.
pub fn exact(text: &str) -> u128 {
    let mut normal = String::with_capacity(text.len());
    normalise_into(text, &mut normal);
    u128::from(XxHash64::oneshot(0, normal.as_bytes())) << 64
        | u128::from(XxHash64::oneshot(1, normal.as_bytes()))
}

/// The lines of a text that have a letter or a digit.
pub fn lines(text: &str) -> Vec<Piece> {
    pieces(text, "\n")
}

/// The paragraphs of a text, an empty line between them.
pub fn paragraphs(text: &str) -> Vec<Piece> {
    pieces(text, "\n\n")
}

fn pieces(text: &str, between: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut normal = String::new();
    let mut start = 0;
    for piece in text.split(between) {
        normal.clear();
        let chars = normalise_into(piece, &mut normal);
        if chars > 0 {
            found.push(Piece {
                hash: XxHash64::oneshot(0, normal.as_bytes()),
                start,
                end: start + piece.len(),
                chars,
            });
        }
        start += piece.len() + between.len();
    }
    found
}

/// Appends letters and digits in lower case; how many they are.
fn normalise_into(text: &str, normal: &mut String) -> usize {
    let mut chars = 0;
    for c in text.chars() {
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                normal.push(c.to_ascii_lowercase());
                chars += 1;
            }
        } else if is_letter(c) || is_digit(c) || is_mark(c) {
            normal.extend(c.to_lowercase());
            chars += 1;
        }
    }
    chars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_marks_and_case_make_no_difference_and_letters_do() {
        assert_eq!(exact("The sea, 바다!\n"), exact("the SEA   바다"));
        assert_ne!(exact("바다 1"), exact("바다 2"));
    }

    #[test]
    fn lines_and_paragraphs_say_where_they_stand() {
        let text = "바다\n\n---\n 산 과 들\n물";
        let found = lines(text);
        assert_eq!(
            found.iter().map(|piece| &text[piece.start..piece.end]).collect::<Vec<_>>(),
            ["바다", " 산 과 들", "물"]
        );
        assert_eq!(found[1].hash, lines("산과들")[0].hash);
        assert_eq!(paragraphs(text).len(), 2);
        assert!(lines("").is_empty());
    }
}
