//! A text that a person keeps in a file, or sends down a pipe: UTF-8, as Windows writes it too.

use std::fmt::Display;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail};

/// What Windows puts before a text to say that it is UTF-8. It is no part of the text.
pub(crate) const BOM: &str = "\u{feff}";

/// The text of a file, or of standard input where the path is `-`, without a byte order mark and without its last line
/// end: an editor put them there, and llama.cpp leaves the line end out too.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        return standard_input();
    }
    let file = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{file}: cannot be read"))?;
    Ok(stripped(utf8(bytes, file)?))
}

/// As [`read`], from standard input.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub(crate) fn standard_input() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("standard input: cannot be read")?;
    Ok(stripped(utf8(bytes, "standard input")?))
}

/// The bytes as text, all of it.
///
/// # Errors
/// They are not UTF-8, in a line that begins with `place` and names the encoding where it can be told.
pub(crate) fn utf8(bytes: Vec<u8>, place: impl Display) -> anyhow::Result<String> {
    const LOOKED_AT: usize = 4096;
    if let Some(encoding) = sai_documents::wide_encoding(&bytes[..bytes.len().min(LOOKED_AT)]) {
        bail!(
            "{place}: it is {encoding}, not UTF-8; convert it first, for example with iconv -f {encoding} -t UTF-8"
        );
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to() + 1;
        anyhow!("{place}: byte {at} is not UTF-8; convert it first, for example with iconv -f cp949 -t utf-8")
    })
}

fn stripped(text: String) -> String {
    let inner = text.strip_prefix(BOM).unwrap_or(&text);
    without_line_end(inner).to_owned()
}

/// A text without the line end that it ends with, if it does: `\n`, or Windows' `\r\n`.
pub(crate) fn without_line_end(text: &str) -> &str {
    let Some(line) = text.strip_suffix('\n') else { return text };
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_one_whole_line_end_are_no_text() {
        for (file, text) in [
            ("\u{feff}Hello\n", "Hello"),
            ("Hello\r\n", "Hello"),
            ("Hello\r\n\r\n", "Hello\r\n"),
            ("Hello\n\n", "Hello\n"),
            ("Hello\r", "Hello\r"),
            ("Hel\u{feff}lo", "Hel\u{feff}lo"),
            ("\u{feff}", ""),
        ] {
            assert_eq!(stripped(file.to_owned()), text, "{file:?}");
        }
    }

    #[test]
    fn utf_16_is_named_and_not_taken_for_cp949() {
        let named = |bytes: &[u8]| utf8(bytes.to_vec(), "f").expect_err("is no UTF-8").to_string();
        let utf16 = |text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(bytes);
            mark.iter().copied().chain(units).collect::<Vec<u8>>()
        };
        for bytes in [
            utf16("Hi", &[0xff, 0xfe], u16::to_le_bytes),
            utf16("안녕", &[0xfe, 0xff], u16::to_be_bytes),
            utf16("Hello\r\n", &[], u16::to_le_bytes),
            utf16("Hello", &[], u16::to_be_bytes),
        ] {
            assert!(named(&bytes).starts_with("f: it is UTF-16"), "{bytes:?}");
        }
        assert!(named(b"ok \xbe\xc8\xb3\xe7\n").contains("byte 4 is not UTF-8; convert it first"));
        for text in ["", "a", "a\0b", "\0\0\0\0", "안녕", "a\0", "line 1\0line 2\0"] {
            assert_eq!(utf8(text.into(), "f").expect("is UTF-8"), text);
        }
    }
}
