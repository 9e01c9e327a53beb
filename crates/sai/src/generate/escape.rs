//! Escapes in texts of the command line, as llama.cpp reads them.

/// Turns `\n`, `\r`, `\t`, `\\`, `\'`, `\"` and `\xHH` into what they stand for; any other backslash stays. Bytes
/// written one by one may make up a character; what is no UTF-8 in the end becomes `�`.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, tail)) = rest.split_first() else {
            out.push(byte);
            break;
        };
        match kind {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'\\' | b'\'' | b'"' => out.push(kind),
            b'x' => {
                let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                if let Some(value) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                    out.push(value);
                    rest = &tail[2..];
                } else {
                    out.extend([byte, kind]);
                    rest = tail;
                }
                continue;
            }
            other => out.extend([byte, other]),
        }
        rest = tail;
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_what_they_stand_for() {
        for (written, meant) in [
            ("", ""),
            (r"a\nb\tc\\d", "a\nb\tc\\d"),
            (r#"\"quoted\" and \'so\'"#, "\"quoted\" and 'so'"),
            (r"\xea\xb0\x80", "가"),
            (r"\x4", r"\x4"),
            (r"\xzz\q", r"\xzz\q"),
            (r"end\", r"end\"),
            ("한\\n글", "한\n글"),
            (r"\xff", "\u{fffd}"),
        ] {
            assert_eq!(unescape(written), meant, "{written}");
        }
    }
}
