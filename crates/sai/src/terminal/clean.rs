//! Text from elsewhere, made safe to print.
//!
//! A model can emit any character, also those with which programs move the cursor, change the window's title
//! or write into the clipboard. They are shown, not obeyed.

use std::borrow::Cow;

/// The text with every control character but newline and tab as a picture of itself (ESC becomes `␛`), and
/// the characters that reorder or break lines as `�`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| picture(c) == c) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(picture).collect())
    }
}

fn picture(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        // C1 controls (0x9b is a CSI of its own), bidirectional overrides and isolates, line separators.
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => {
            '\u{fffd}'
        }
        _ => c,
    }
}

/// [`visible`] for text that comes in pieces: CR LF across a border is still one newline.
#[derive(Default)]
pub(crate) struct Cleaner {
    carriage_return: bool,
}

impl Cleaner {
    /// The next piece, safe to print.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            if std::mem::take(&mut self.carriage_return) && c != '\n' {
                out.push(picture('\r'));
            }
            if c == '\r' {
                self.carriage_return = true;
            } else {
                out.push(picture(c));
            }
        }
        out
    }
}

/// One line of text for a table: quoted, with escapes for everything that has no shape of its own.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' => out.extend(['\\', c]),
            _ if picture(c) != c => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_steer_the_terminal() {
        assert_eq!(visible("안녕 👩‍👩‍👧 ok\n\tgo"), "안녕 👩‍👩‍👧 ok\n\tgo");
        assert_eq!(visible("a\x1b[31mb\x07\x7f\u{9b}2J\u{202e}"), "a␛[31mb␇␡\u{fffd}2J\u{fffd}");
        for c in (0..0x11_0000).filter_map(char::from_u32) {
            let shown = picture(c);
            assert!(!shown.is_control() || shown == '\n' || shown == '\t', "{c:?} stays {shown:?}");
        }
    }

    #[test]
    fn carriage_returns_across_pieces() {
        let mut cleaner = Cleaner::default();
        let text: String = ["a\r", "\nb\r", "c\r\r", "\n"].iter().map(|p| cleaner.push(p)).collect();
        assert_eq!(text, "a\nb␍c␍\n");
    }

    #[test]
    fn quoting_leaves_one_line() {
        assert_eq!(quoted("가\n\"\\\x1b"), r#""가\n\"\\\u{1b}""#);
    }
}
