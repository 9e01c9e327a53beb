//! JSON as Python's `json` writes it, and what there is to say of text that is none.

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
    let fact = plain(text.split(" at line ").next().unwrap_or(&text));
    match error.column() {
        0 => fact,
        column => format!("{fact}, at byte {column}"),
    }
}

/// The first line of a message of serde, in the words of who wrote the value and not of Rust.
pub fn plain(message: &str) -> String {
    let fact = message.lines().next().unwrap_or_default();
    let plain = match fact.strip_prefix("invalid type: ").and_then(|fact| fact.split_once(", expected ")) {
        Some((found, wanted)) => format!("{}, and not {}", value(found), kind(wanted)),
        None => fact.to_owned(),
    };
    plain.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What was found.
fn value(found: &str) -> &'static str {
    match found.split([' ', '`']).next().unwrap_or_default() {
        "integer" | "floating" => "a number",
        "string" => "a string",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "an object",
        _ => "null",
    }
}

/// What was wanted: a type of Rust, or words of our own.
fn kind(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
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
