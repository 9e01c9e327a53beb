//! Escapes that were left standing: entities in text that is no HTML any more, `\uac00` of JSON, `%EA%B0%80` of addresses.
//!
//! Text about HTML has entities too, so that single ones of `&amp;`, `&lt;` and `&gt;` stay as they are.

/// Resolves what is escaped. `None` where nothing is.
pub(super) fn unescape(text: &str) -> Option<(String, usize)> {
    let mut text = std::borrow::Cow::Borrowed(text);
    let mut count = 0;
    for step in [entities, json, percent] {
        if let Some((changed, by)) = step(&text) {
            text = changed.into();
            count += by;
        }
    }
    (count > 0).then(|| (text.into_owned(), count))
}

/// Numeric entities of letters, `&nbsp;` and twice escaped entities.
fn entities(text: &str) -> Option<(String, usize)> {
    if !text.contains('&') {
        return None;
    }
    let mut result = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((c, length)) => {
                result.push(c);
                rest = &rest[length..];
                count += 1;
            }
            None => {
                result.push('&');
                rest = &rest[1..];
            }
        }
    }
    result.push_str(rest);
    (count > 0).then_some((result, count))
}

/// The entity at the beginning of `text`, and its bytes.
fn entity(text: &str) -> Option<(char, usize)> {
    let mut inside = text.strip_prefix('&')?;
    // &amp;amp;nbsp; as often as it comes.
    while let Some(again) = inside.strip_prefix("amp;") {
        inside = again;
    }
    let escaped = text.len() - inside.len() > 1;
    let end = inside.bytes().take(10).position(|byte| byte == b';')?;
    let name = &inside[..end];
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let hex = number.strip_prefix(['x', 'X']);
            let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
            char::from_u32(code).filter(|&c| !c.is_control() && !matches!(c, '<' | '>' | '&'))?
        }
        None => match name {
            "nbsp" => ' ',
            "quot" if escaped => '"',
            "apos" if escaped => '\'',
            "middot" => '·',
            "hellip" => '…',
            "lsquo" => '‘',
            "rsquo" => '’',
            "ldquo" => '“',
            "rdquo" => '”',
            "ndash" => '–',
            "mdash" => '—',
            _ => return None,
        },
    };
    Some((c, text.len() - inside.len() + end + 1))
}

/// `\uac00`, where at least three letters that are not ASCII are written so.
fn json(text: &str) -> Option<(String, usize)> {
    if text.matches("\\u").count() < 3 {
        return None;
    }
    let mut result = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        match json_escape(rest) {
            Some((c, length)) => {
                result.push(c);
                rest = &rest[length..];
                count += 1;
            }
            None => {
                result.push_str("\\u");
                rest = &rest[2..];
            }
        }
    }
    result.push_str(rest);
    (count >= 3).then_some((result, count))
}

fn json_escape(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let first = unit(text)?;
    if (0xD800..0xDC00).contains(&first) {
        let second = unit(&text[6..]).filter(|second| (0xDC00..0xE000).contains(second))?;
        return Some((char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, 12));
    }
    let c = char::from_u32(first)?;
    (!c.is_ascii() && !c.is_control()).then_some((c, 6))
}

/// `%EA%B0%80`, where a text outside addresses is written so.
fn percent(text: &str) -> Option<(String, usize)> {
    if memchr::memchr_iter(b'%', text.as_bytes()).count() < 6 {
        return None;
    }
    let mut count = 0;
    let mut changed: Vec<std::borrow::Cow<'_, str>> = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        // An address stays as it is.
        let decoded = if word.contains("://") || word.contains('=') { None } else { percent_word(word) };
        changed.push(match decoded {
            Some((word, by)) => {
                count += by;
                word.into()
            }
            None => word.into(),
        });
    }
    (count > 0).then(|| (changed.concat(), count))
}

fn percent_word(word: &str) -> Option<(String, usize)> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut count = 0;
    let raw = word.as_bytes();
    let mut at = 0;
    while at < raw.len() {
        let escaped = (raw[at] == b'%').then(|| word.get(at + 1..at + 3)).flatten();
        match escaped.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            // A byte of a letter that is not ASCII: of a word that has such, the spaces and marks too.
            Some(digits) => {
                let byte = u8::from_str_radix(digits, 16).ok()?;
                if byte.is_ascii_control() || byte == b'%' {
                    return None;
                }
                count += usize::from(byte >= 0x80);
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.push(raw[at]);
                at += 1;
            }
        }
    }
    (count >= 3).then(|| String::from_utf8(bytes).ok()).flatten().map(|word| (word, count))
}
