//! White space, and characters that nobody sees.

/// Taken out wherever they stand.
pub(super) fn is_invisible(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        // Between words: white space, not nothing.
        '\x0b' | '\x0c' | '\u{85}' => true,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// A joiner has meaning between emoji and in scripts that join letters; in Hangul and Latin it has none.
pub(super) fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{1cff}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
        && !matches!(c, '\u{1100}'..='\u{11ff}')
}

/// `text` without what nobody sees. `None` where there is nothing of the kind.
pub(super) fn without_invisible(text: &str) -> Option<(String, usize)> {
    if !text.chars().any(|c| is_invisible(c) || is_joiner(c)) {
        return None;
    }
    let mut result = String::with_capacity(text.len());
    let mut count = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let kept = if is_joiner(c) {
            result.chars().next_back().is_some_and(joins) && chars.peek().is_some_and(|&next| joins(next))
        } else {
            !is_invisible(c)
        };
        if kept {
            result.push(c);
        } else {
            count += 1;
        }
    }
    (count > 0).then_some((result, count))
}

fn is_odd_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Trims the ends of lines, makes odd spaces ordinary ones, runs of spaces inside a line one, and leaves one empty line at most. The
/// indentation of a line stays, since code is text too; `None` where nothing changes.
pub(super) fn spaces(text: &str) -> Option<(String, usize)> {
    let mut result = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.split(['\n', '\u{2028}', '\u{2029}']) {
        let line = line.trim_end_matches(|c: char| c.is_whitespace());
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !result.is_empty() {
            result.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        let body = line.trim_start_matches(|c: char| c.is_whitespace());
        let indent = &line[..line.len() - body.len()];
        // Code is indented below other lines; the first line of a text and what is set by odd spaces are not.
        if !result.is_empty() && !indent.contains(is_odd_space) && indent.len() > 1 {
            result.extend(indent.chars().filter(|&c| c == ' ' || c == '\t'));
        }
        let bytes = body.as_bytes();
        let plain = memchr::memchr2(b'\t', b'\r', bytes).is_none()
            && memchr::memmem::find(bytes, b"  ").is_none()
            && !body.contains(is_odd_space);
        if plain {
            result.push_str(body);
            continue;
        }
        let mut space = false;
        for c in body.chars() {
            if c == '\r' || c == '\t' || c == ' ' || is_odd_space(c) {
                space = true;
            } else {
                if space {
                    result.push(' ');
                    space = false;
                }
                result.push(c);
            }
        }
    }
    if result == text {
        return None;
    }
    let gone = text.chars().count().abs_diff(result.chars().count()).max(1);
    Some((result, gone))
}
