//! Templates, links and emphasis.

use super::names::{HIDDEN_LINKS, SHOWN};
use super::tags::strip_prefix_ignore_case;

/// Templates within one another that are followed; deeper ones are text.
const MOST_DEPTH: usize = 64;

/// `markup` without templates, arguments (`{{{1}}}`), files and categories. What is opened and never closed is text.
pub(super) fn without_templates(markup: &str) -> String {
    let bytes = markup.as_bytes();
    // What is written of each open template: its text so far is its arguments.
    let mut open: Vec<Open> = Vec::new();
    let mut result = String::with_capacity(markup.len());
    let mut at = 0;
    while at < bytes.len() {
        let next = bytes[at..]
            .iter()
            .position(|byte| matches!(byte, b'{' | b'}' | b'[' | b']'))
            .map_or(bytes.len(), |found| at + found);
        result.push_str(&markup[at..next]);
        at = next;
        if at == bytes.len() {
            break;
        }
        let pair = bytes.get(at + 1) == Some(&bytes[at]);
        match bytes[at] {
            b'{' if pair && open.len() < MOST_DEPTH => {
                // Three are an argument of a template.
                let braces =
                    if bytes.get(at + 2) == Some(&b'{') && bytes.get(at + 3) != Some(&b'{') { 3 } else { 2 };
                open.push(Open { from: result.len(), braces, link: false });
                result.push_str(&markup[at..at + braces]);
                at += braces;
            }
            b'[' if pair && open.len() < MOST_DEPTH => {
                open.push(Open { from: result.len(), braces: 2, link: true });
                result.push_str("[[");
                at += 2;
            }
            b'}' if pair && open.iter().any(|open| !open.link) => {
                // A link that was not closed inside the template ends with it.
                while open.pop_if(|open| open.link).is_some() {}
                if let Some(template) = open.pop() {
                    let inside = result.split_off(template.from);
                    result.push_str(&shown(&inside[template.braces..]));
                    at += template.braces.min(bytes[at..].iter().take_while(|&&byte| byte == b'}').count());
                }
            }
            b']' if pair && open.last().is_some_and(|open| open.link) => {
                if let Some(link) = open.pop() {
                    let inside = &result[link.from + 2..];
                    if is_hidden(inside) {
                        result.truncate(link.from);
                    } else {
                        result.push_str("]]");
                    }
                }
                at += 2;
            }
            _ => {
                result.push_str(&markup[at..=at]);
                at += 1;
            }
        }
    }
    result
}

struct Open {
    from: usize,
    braces: usize,
    link: bool,
}

/// A file or a category, and a link to another language's wiki.
fn is_hidden(inside: &str) -> bool {
    let Some((prefix, _)) = inside.split_once(':') else { return false };
    let prefix = prefix.trim();
    let lower = prefix.to_lowercase();
    if HIDDEN_LINKS.contains(&lower.as_str()) {
        return true;
    }
    // [[en:Han]] is at the side of the page; [[:en:Han]] is a link.
    let language = (2..=3).contains(&prefix.len()) || lower.starts_with("zh-") || lower == "simple";
    language && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !inside.contains('|')
}

/// What a template shows, nothing for most.
fn shown(inside: &str) -> String {
    let mut parts = inside.split('|');
    let name = parts.next().unwrap_or_default().trim().to_lowercase().replace('_', " ");
    let Some(&(_, which)) = SHOWN.iter().find(|(shown, _)| *shown == name) else { return String::new() };
    let arguments: Vec<&str> = parts
        .filter(|part| {
            !part.split_once('=').is_some_and(|(key, _)| key.trim().chars().all(char::is_alphabetic))
        })
        .collect();
    let argument = match which {
        0 => arguments.last(),
        which => arguments.get(which - 1),
    };
    argument.map(|argument| argument.trim().trim_start_matches("1=").to_owned()).unwrap_or_default()
}

/// A line's words: links as they read, emphasis without its marks.
pub(super) fn plain(line: &str) -> String {
    let mut result = String::with_capacity(line.len());
    let bytes = line.as_bytes();
    let mut at = 0;
    // Ends that are not there are looked for once.
    let (mut no_link_end, mut no_end) = (false, false);
    while at < bytes.len() {
        let next = bytes[at..]
            .iter()
            .position(|byte| matches!(byte, b'[' | b'\'' | b']'))
            .map_or(bytes.len(), |found| at + found);
        result.push_str(&line[at..next]);
        at = next;
        if at == bytes.len() {
            break;
        }
        let rest = &line[at..];
        match bytes[at] {
            b'\'' => {
                let marks = rest.bytes().take_while(|&byte| byte == b'\'').count();
                if marks == 1 {
                    result.push('\'');
                }
                at += marks;
            }
            b'[' if rest.starts_with("[[") => {
                let end = if no_link_end { None } else { memchr::memmem::find(rest.as_bytes(), b"]]") };
                match end {
                    Some(end) => {
                        result.push_str(link(&rest[2..end]));
                        at += end + 2;
                    }
                    None => {
                        no_link_end = true;
                        at += 2;
                    }
                }
            }
            b'[' => {
                let address = ["http://", "https://", "ftp://", "//", "mailto:"]
                    .iter()
                    .any(|scheme| strip_prefix_ignore_case(&rest[1..], scheme).is_some());
                let end = if no_end || !address { None } else { memchr::memchr(b']', rest.as_bytes()) };
                no_end |= address && end.is_none();
                match end {
                    Some(end) => {
                        // [address words] reads as its words, [address] as nothing.
                        let words = rest[1..end].split_once(' ').map_or("", |(_, words)| words);
                        result.push_str(words.trim());
                        at += end + 1;
                    }
                    None => {
                        result.push('[');
                        at += 1;
                    }
                }
            }
            _ => {
                // The rest of a link in a link.
                if rest.starts_with("]]") {
                    at += 2;
                } else {
                    result.push(']');
                    at += 1;
                }
            }
        }
    }
    // What templates left: empty brackets and spaces in a row.
    let mut tidy = result;
    for empty in ["()", "( )", "(, )", "（）"] {
        if tidy.contains(empty) {
            tidy = tidy.replace(empty, "");
        }
    }
    if tidy.contains("(, ") {
        tidy = tidy.replace("(, ", "(");
    }
    let mut words = String::with_capacity(tidy.len());
    for word in tidy.split([' ', '\t']).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

/// What a link shows: the words behind its bar, or its target.
fn link(inside: &str) -> &str {
    match inside.rsplit_once('|') {
        Some((target, "")) => {
            target.rsplit_once(':').map_or(target, |(_, name)| name).split(" (").next().unwrap_or_default()
        }
        Some((_, words)) => words,
        None => inside.trim_start_matches(':'),
    }
}
