//! Bytes to text: which encoding a page is in.
//!
//! UTF-8 first, a few bad bytes allowed, since a page that was cut or mixed is UTF-8 all the same; then a label that the server or the
//! page declares, where it decodes nearly cleanly; then a guess of `chardetng`. UTF-16 by its mark or its pattern of nought bytes. Labels
//! are those of the Encoding Standard, in which `euc-kr` is CP949. Johab and ISO-2022-KR are in no browser any more; they are
//! recognised and refused by name.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::Serialize;

/// How an encoding was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// By a byte order mark.
    Mark,
    /// The bytes are UTF-8, or nearly.
    Utf8,
    /// Declared by the server.
    Http,
    /// Declared in the page.
    Meta,
    /// By the bytes alone.
    Detected,
}

impl Found {
    /// In words: `as the page declares`.
    pub fn words(self) -> &'static str {
        match self {
            Found::Mark => "by its byte order mark",
            Found::Utf8 => "as its bytes are",
            Found::Http => "as the server declares",
            Found::Meta => "as the page declares",
            Found::Detected => "as its bytes seem to be",
        }
    }
}

/// A text, and what it was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text. What could not be read is U+FFFD.
    pub text: String,
    /// Name of the encoding in the Encoding Standard, in lower case.
    pub encoding: &'static str,
    /// How it was found.
    pub found: Found,
    /// Sequences that could not be read.
    pub bad: usize,
}

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// An encoding that is recognised and not read.
    #[error("in {0}, which is not read; convert it first (iconv -f {1} -t utf-8)")]
    Unsupported(&'static str, &'static str),
    /// Not text.
    #[error("not text: it has bytes that no text has")]
    Binary,
}

/// A declared encoding may have one bad sequence in this many bytes that are not ASCII.
const GOOD_FOR_BAD: usize = 20;
/// UTF-8 may have one in this many characters that are not ASCII. Text in another encoding has hardly a good one.
const GOOD_FOR_BAD_UTF8: usize = 5;
/// Bytes that the detector is given, and in which a declaration is looked for.
const DETECT: usize = 1 << 20;
const DECLARED: usize = 4096;

/// Reads `bytes`, with the charset of the server's `Content-Type` where it said one.
pub fn decode(bytes: &[u8], http: Option<&str>) -> Result<Decoded, CharsetError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Ok(read(&bytes[mark..], encoding, Found::Mark));
    }
    if let Some(encoding) = wide(bytes) {
        return Ok(read(bytes, encoding, Found::Detected));
    }
    if is_iso_2022_kr(bytes) {
        return Err(CharsetError::Unsupported("ISO-2022-KR", "ISO-2022-KR"));
    }
    if looks_binary(bytes) {
        return Err(CharsetError::Binary);
    }
    if let Some(decoded) = nearly_utf8(bytes) {
        return Ok(decoded);
    }
    let meta = declared(&bytes[..bytes.len().min(DECLARED)]);
    for (label, found) in [(http, Found::Http), (meta.as_deref(), Found::Meta)] {
        let Some(label) = label else { continue };
        if matches!(
            label.trim().to_ascii_lowercase().as_str(),
            "johab" | "ks_c_5601-1992" | "cp1361" | "x-johab"
        ) {
            return Err(CharsetError::Unsupported("Johab", "JOHAB"));
        }
        if let Some(encoding) = Encoding::for_label(label.trim().as_bytes())
            .filter(|encoding| *encoding != UTF_8 && !is_wide(encoding))
        {
            let decoded = read(bytes, encoding, found);
            // A wrong label for CP949 bytes decodes cleanly as Latin-1; the detector is asked about single bytes.
            if decoded.bad * GOOD_FOR_BAD <= high(bytes) && (!encoding.is_single_byte() || !is_korean(bytes))
            {
                return Ok(decoded);
            }
        }
    }
    if is_johab(bytes) {
        return Err(CharsetError::Unsupported("Johab", "JOHAB"));
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    let end = bytes.len().min(DETECT);
    // Never the last: a page that is cut inside a character is in its encoding all the same.
    detector.feed(&bytes[..end], false);
    Ok(read(bytes, detector.guess(None, chardetng::Utf8Detection::Allow), Found::Detected))
}

fn is_wide(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

fn read(bytes: &[u8], encoding: &'static Encoding, found: Found) -> Decoded {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let bad = text.chars().filter(|&c| c == '\u{FFFD}').count();
    // A page cut inside a character loses that one only.
    let text = text.into_owned();
    Decoded { text, encoding: name(encoding), found, bad }
}

fn name(encoding: &'static Encoding) -> &'static str {
    match encoding.name() {
        "UTF-8" => "utf-8",
        "EUC-KR" => "euc-kr",
        "EUC-JP" => "euc-jp",
        "Shift_JIS" => "shift_jis",
        "GBK" => "gbk",
        "gb18030" => "gb18030",
        "Big5" => "big5",
        "ISO-2022-JP" => "iso-2022-jp",
        "UTF-16LE" => "utf-16le",
        "UTF-16BE" => "utf-16be",
        other => other,
    }
}

/// Bytes that are not ASCII.
fn high(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte >= 0x80).count()
}

/// UTF-8 with a bad sequence here and there.
fn nearly_utf8(bytes: &[u8]) -> Option<Decoded> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(Decoded { text: text.to_owned(), encoding: "utf-8", found: Found::Utf8, bad: 0 });
    }
    let (mut good, mut bad, mut text) = (0, 0, String::with_capacity(bytes.len()));
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            bad += 1;
            text.push('\u{FFFD}');
        }
    }
    // Cut inside its last character, ASCII before it: one bad sequence at the end.
    let cut_short = bad == 1 && text.ends_with('\u{FFFD}') && good > 0;
    (cut_short || bad * GOOD_FOR_BAD_UTF8 <= good).then_some(Decoded {
        text,
        encoding: "utf-8",
        found: Found::Utf8,
        bad,
    })
}

/// The charset that a page declares for itself: `<meta charset>`, `http-equiv`, or an XML declaration.
pub fn declared(head: &[u8]) -> Option<String> {
    let head: Vec<u8> = head.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&head[from..], b"charset").map(|at| from + at) {
        from = at + 7;
        let open = head[..at].iter().rposition(|&byte| byte == b'<')?;
        if head[open..].starts_with(b"<meta")
            && let Some(label) = value(&head[from..])
        {
            return Some(label);
        }
    }
    let xml = head.strip_prefix(b"<?xml")?;
    let end = memchr::memchr(b'>', xml)?;
    let at = memchr::memmem::find(&xml[..end], b"encoding")?;
    value(&xml[at + 8..end])
}

/// What stands behind `=`, in quotation marks or not.
fn value(text: &[u8]) -> Option<String> {
    let rest = text.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let rest =
        rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest).trim_ascii_start();
    let end = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.')))
        .unwrap_or(rest.len());
    (end > 0).then(|| String::from_utf8_lossy(&rest[..end]).into_owned())
}

/// UTF-16 without a mark: every other byte of markup is nought.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(1024) & !1];
    if head.len() < 8 {
        return None;
    }
    let pairs = head.len() / 2;
    let (mut even, mut odd) = (0, 0);
    for pair in head.chunks_exact(2) {
        even += usize::from(pair[0] == 0);
        odd += usize::from(pair[1] == 0);
    }
    if odd * 10 > pairs * 3 && even * 20 < pairs {
        Some(UTF_16LE)
    } else if even * 10 > pairs * 3 && odd * 20 < pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Bytes of ISO-2022-KR: its designator `ESC $ ) C`, or seven-bit text with shifts.
fn is_iso_2022_kr(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(DETECT)];
    memchr::memmem::find(head, b"\x1b$)C").is_some()
}

/// Nought and other bytes of no text, more than a damaged page has.
fn looks_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(8192)];
    let odd = head
        .iter()
        .filter(|&&byte| {
            byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x1b | 0x0e | 0x0f)
        })
        .count();
    odd * 10 > head.len()
}

/// Whether bytes read as CP949 are Korean throughout.
fn is_korean(bytes: &[u8]) -> bool {
    let (hangul, other, bad) = korean(&bytes[..bytes.len().min(DETECT)]);
    hangul >= 4 && bad * 10 <= hangul && other <= hangul
}

/// Syllables, other letters that are not ASCII, and bad sequences of CP949.
fn korean(bytes: &[u8]) -> (usize, usize, usize) {
    let (text, _) = encoding_rs::EUC_KR.decode_without_bom_handling(bytes);
    let mut counts = (0, 0, 0);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        match c {
            '\u{FFFD}' => counts.2 += 1,
            c if crate::unicode::is_syllable(c) => counts.0 += 1,
            c if crate::unicode::is_letter(c) => counts.1 += 1,
            _ => {}
        }
    }
    counts
}

/// Johab: nearly all pairs of its syllables' range are an initial, a vowel and a final consonant, and CP949 cannot read them.
fn is_johab(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(DETECT)];
    let (mut pairs, mut inside, mut syllables, mut high, mut at) = (0usize, 0usize, 0usize, 0usize, 0);
    while at + 1 < head.len() {
        let lead = head[at];
        if lead < 0x80 {
            at += 1;
            continue;
        }
        pairs += 1;
        if (0x84..=0xD3).contains(&lead) {
            inside += 1;
            high += usize::from(head[at + 1] >= 0x80);
            let code = u16::from_be_bytes([lead, head[at + 1]]);
            let (initial, vowel, last) = ((code >> 10) & 31, (code >> 5) & 31, code & 31);
            let good = (2..=20).contains(&initial)
                && matches!(vowel, 3..=7 | 10..=15 | 18..=23 | 26..=29)
                && matches!(last, 1..=17 | 19..=29);
            syllables += usize::from(good);
        }
        at += 2;
    }
    // The rest is marks, lines of boxes and Chinese characters. Where letters follow most of them they are letters themselves.
    if high * 4 < inside || inside < 8 || inside * 3 < pairs || syllables * 100 < inside * 97 {
        return false;
    }
    let (hangul, other, bad) = korean(head);
    // CP949 that is read as Johab has no good final consonants; Johab read as CP949 has bad and rare ones.
    bad * 20 > hangul + other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euc_kr(text: &str) -> Vec<u8> {
        encoding_rs::EUC_KR.encode(text).0.into_owned()
    }

    const PAGE: &str = "<html><head><title>바다</title></head><body>바다는 넓고 물은 맑다. 사람들은 배를 타고 멀리 나간다. 똠방각하와 뷁.</body></html>";

    #[test]
    fn utf8_with_a_bad_byte_is_utf8() {
        for at in [19, 20, 21] {
            let mut bytes = PAGE.as_bytes().to_vec();
            bytes.insert(at, 0xFF);
            let decoded = decode(&bytes, Some("euc-kr")).unwrap();
            assert_eq!((decoded.encoding, decoded.found), ("utf-8", Found::Utf8));
            assert!((1..=4).contains(&decoded.bad));
        }
        // Cut in the middle of a character.
        let decoded = decode("바".as_bytes().split_at(2).0, None);
        assert!(decoded.is_ok());
        let decoded = decode(&PAGE.as_bytes()[..40], None).unwrap();
        assert_eq!(decoded.encoding, "utf-8");
    }

    #[test]
    fn cp949_is_read_declared_undeclared_and_wrongly_declared() {
        let bytes = euc_kr(PAGE);
        for http in [
            None,
            Some("euc-kr"),
            Some("KS_C_5601-1987"),
            Some("iso-8859-1"),
            Some("utf-8"),
            Some("nonsense"),
        ] {
            let decoded = decode(&bytes, http).unwrap();
            assert_eq!((decoded.encoding, decoded.text.as_str()), ("euc-kr", PAGE), "{http:?}");
        }
        let meta = PAGE.replace(
            "<title>",
            "<meta http-equiv='Content-Type' content='text/html; charset=ks_c_5601-1987'><title>",
        );
        assert_eq!(decode(&euc_kr(&meta), None).unwrap().found, Found::Meta);
        // Cut inside the last character.
        let cut = decode(&bytes[..bytes.len() - 25], None).unwrap();
        assert_eq!(cut.encoding, "euc-kr");
        assert!(cut.bad <= 1);
    }

    #[test]
    fn declarations_are_found_where_a_page_has_them() {
        for (head, label) in [
            ("<meta charset=\"EUC-KR\">", Some("euc-kr")),
            ("<META content='text/html; charset=utf-8' http-equiv=x>", Some("utf-8")),
            ("<?xml version='1.0' encoding='Shift_JIS'?>", Some("shift_jis")),
            ("<p>charset=utf-8</p>", None),
            ("", None),
        ] {
            assert_eq!(declared(head.as_bytes()).as_deref(), label, "{head}");
        }
    }

    #[test]
    fn utf16_is_read_with_and_without_its_mark() {
        let units: Vec<u8> = PAGE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&units, None).unwrap().text, PAGE);
        let marked: Vec<u8> =
            [0xFE, 0xFF].into_iter().chain(PAGE.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        assert_eq!(decode(&marked, None).unwrap().text, PAGE);
    }

    #[test]
    fn johab_and_iso_2022_kr_are_refused_by_name() {
        // 바다는 넓고 물은 맑다. 사람들은 배를 타고 나간다.
        let johab = "a461946193652090ec89a120a289b76520a06a94612e20ac619c719769b76520a4819f6920c86189a1209061886594612e";
        let johab: Vec<u8> =
            (0..johab.len() / 2).map(|i| u8::from_str_radix(&johab[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert_eq!(decode(&johab, None), Err(CharsetError::Unsupported("Johab", "JOHAB")));
        assert_eq!(
            decode(b"\x1b$)C\x0e0!\x0f", None),
            Err(CharsetError::Unsupported("ISO-2022-KR", "ISO-2022-KR"))
        );
        assert_eq!(decode(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1], None), Err(CharsetError::Binary));
    }

    #[test]
    fn no_bytes_are_an_empty_text() {
        assert_eq!(decode(b"", None).unwrap().text, "");
    }
}
