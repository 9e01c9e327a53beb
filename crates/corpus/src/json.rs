//! JSON as Python's `json` writes it, and what there is to say of text that is none.

use crate::words;

/// `line` with `null` where it has `NaN`, `Infinity` or `-Infinity`, which Python's `json` writes and JSON lacks. Nothing
/// where it has none of them; what strings hold stays.
pub fn without_nan(line: &str) -> Option<String> {
    const NAMES: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    let bytes = line.as_bytes();
    let mut out = String::new();
    let (mut taken, mut at, mut in_string) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' if !in_string => {
                if let Some(name) = NAMES.iter().find(|name| bytes[at..].starts_with(name.as_bytes())) {
                    out.push_str(&line[taken..at]);
                    out.push_str("null");
                    at += name.len();
                    taken = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    (taken > 0).then(|| out + &line[taken..])
}

/// The first characters of a text, for a message.
pub fn beginning(text: &str) -> String {
    let mut short: String = text.chars().take(24).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

/// What is wrong with a line of JSON, with the byte and without the line, which is always the first.
pub fn fact(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let fact = words::plain(text.split(" at line ").next().unwrap_or(&text));
    match error.column() {
        0 => fact,
        column => format!("{fact}, at byte {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_become_null_outside_of_strings() {
        for (line, plain) in [
            (r#"{"a": NaN, "b": [-Infinity, Infinity]}"#, Some(r#"{"a": null, "b": [null, null]}"#)),
            (r#"{"NaN": "NaN \" NaN", "b": -1}"#, None),
            (r#"{"a": "\\", "b": NaN}"#, Some(r#"{"a": "\\", "b": null}"#)),
            ("{\"가\": NaN}", Some("{\"가\": null}")),
            ("\"\\", None),
            ("", None),
        ] {
            assert_eq!(without_nan(line).as_deref(), plain, "{line}");
        }
    }
}
