//! JSON as Python's `json` writes it.

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
