//! The JSON files beside a model's weights, as Python writes and reads them, and what is wrong with one in words for
//! people.
//!
//! Python's `json` writes `NaN` and `Infinity`, which are no JSON, and of a key that is there twice it keeps the last.
//! Editors put a byte order mark before a text. All of that is read; a number that is none arrives as text, so that only
//! who needs it is disappointed.

use std::borrow::Cow;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

use crate::shown::{Quoted, Shown};

/// Why a file is not the JSON that it should be: one line, without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// The text of a file: UTF-8, without a byte order mark.
///
/// # Errors
/// It is UTF-16, or no text at all.
pub fn text(bytes: &[u8]) -> Result<&str, JsonError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(JsonError("it is UTF-16; save it as UTF-8".to_owned()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| JsonError(format!("byte {} is not UTF-8", e.valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads a file of settings. Of a key that is there twice the last counts.
///
/// # Errors
/// It is no JSON, or not of the form that is asked for; the error names the key.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let value: Value = read_large(bytes)?;
    of(&value)
}

/// Reads a file of megabytes straight into its form, whose business it is what a key means that is there twice.
///
/// # Errors
/// As [`read`].
pub fn read_large<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let text = text(bytes)?;
    let parse = |text: &str| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = typed(&mut deserializer)?;
        deserializer.end().map(|()| read).map_err(|e| JsonError(words(&e)))
    };
    parse(text).or_else(|error| match standard(text) {
        Cow::Owned(text) => parse(&text),
        Cow::Borrowed(_) => Err(error),
    })
}

/// A value in the form that is asked for.
///
/// # Errors
/// It is not of that form; the error names the key.
pub fn of<'v, T: Deserialize<'v>>(value: &'v Value) -> Result<T, JsonError> {
    typed(value)
}

fn typed<'de, T, D>(deserializer: D) -> Result<T, JsonError>
where
    T: Deserialize<'de>,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let fact = words(error.inner());
        if path == "." || !error.inner().is_data() {
            return JsonError(fact);
        }
        // The path ends at what is wrong, or at the object that lacks something.
        JsonError(match fact.strip_prefix("it ") {
            Some(is) => format!("{} {is}", Quoted(&path)),
            None => format!("{fact} (in {})", Quoted(&path)),
        })
    })
}

/// The text with `NaN`, `Infinity` and `-Infinity` as texts, where it has them.
fn standard(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut done, mut at, mut in_text) = (0, 0, false);
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'\\' if in_text => 2,
            b'"' => {
                in_text = !in_text;
                1
            }
            b'N' | b'I' | b'-' if !in_text => {
                let rest = &bytes[at..];
                let name =
                    ["NaN", "Infinity", "-Infinity"].into_iter().find(|n| rest.starts_with(n.as_bytes()));
                if let Some(name) = name {
                    out.extend([&text[done..at], "\"", name, "\""]);
                    done = at + name.len();
                }
                name.map_or(1, str::len)
            }
            _ => 1,
        };
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// What an error says, in JSON's words: "it is …" where a value is of the wrong kind.
fn words(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let (said, place) = match whole.strip_suffix(&place) {
        Some(said) => (said, format!(" (line {}, column {})", error.line(), error.column())),
        None => (whole.as_str(), String::new()),
    };
    if let Some(found) = said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: "))
    {
        let (found, expected) = found.rsplit_once(", expected ").unwrap_or((found, "something else"));
        return format!("it is {} where {} belongs{place}", kind_found(found), kind_expected(expected));
    }
    if let Some(field) = said.strip_prefix("missing field ") {
        return format!("{field} is missing{place}");
    }
    // A list may stand for an object to serde, field by field.
    if said.starts_with("invalid length ") {
        let belongs = if said.contains("struct ") { "where an object belongs" } else { "of another length" };
        return format!("it is a list {belongs}{place}");
    }
    if said.contains("untagged enum") {
        return format!("it is of none of the forms that are known{place}");
    }
    if error.is_eof() {
        return format!("it ends in the middle{place}");
    }
    format!("{}{place}", Shown(said))
}

/// What was found, as `serde` says it.
fn kind_found(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit" | "Option" => "null".to_owned(),
        "string" => format!("the text {}", Shown(value)),
        "integer" | "boolean" => value.trim_matches('`').to_owned(),
        "floating" => value.trim_start_matches("point ").trim_matches('`').to_owned(),
        _ => Shown(found).to_string(),
    }
}

/// What was looked for. Other words come from this project's own forms and are for people already.
fn kind_expected(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" | "a borrowed string" | "char" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "unit" => "null",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("tuple ") => "a list",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        factor: Option<f64>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Settings {
        size: usize,
        inner: Option<Inner>,
        #[serde(default)]
        names: Vec<String>,
    }

    fn fault(text: &str) -> String {
        read::<Settings>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_python_writes_is_read() {
        let text = "\u{feff}{\"a\": NaN, \"b\": [Infinity, -Infinity, -1, \"NaN \\\" Infinity\"], \"size\": 1, \"size\": 2}";
        let read: Value = read(text.as_bytes()).unwrap();
        assert_eq!(
            read,
            json!({"a": "NaN", "b": ["Infinity", "-Infinity", -1, "NaN \" Infinity"], "size": 2})
        );
        assert_eq!(super::read::<Settings>(text.as_bytes()).unwrap().size, 2);
        assert_eq!(super::read::<Vec<String>>(b"[NaN]").unwrap(), ["NaN"]);
    }

    #[test]
    fn a_number_that_is_none_is_refused_by_its_key_where_it_is_needed() {
        let line = fault(r#"{"size": 1, "inner": {"factor": NaN}}"#);
        assert_eq!(line, "`inner.factor` is the text \"NaN\" where a number belongs");
    }

    #[test]
    fn errors_speak_of_json_and_not_of_rust() {
        for (text, line) in [
            (r#"{"size": "64"}"#, "`size` is the text \"64\" where a whole number of at least 0 belongs"),
            (r#"{"size": -1}"#, "`size` is -1 where a whole number of at least 0 belongs"),
            (r#"{"size": 1.5}"#, "`size` is 1.5 where a whole number of at least 0 belongs"),
            (r#"{"size": null}"#, "`size` is null where a whole number of at least 0 belongs"),
            (r#"{"size": 1, "inner": {"factor": {}}}"#, "`inner.factor` is an object where a number belongs"),
            (r#"{"size": 1, "names": ["a", true]}"#, "`names[1]` is true where a text belongs"),
            (r#"{"size": 1, "names": 7}"#, "`names` is 7 where a list belongs"),
            ("{}", "`size` is missing"),
            ("7", "it is 7 where an object belongs"),
            ("[]", "it is a list where an object belongs"),
            (r#"{"size": 1"#, "it ends in the middle (line 1, column 10)"),
            (r#"{"size": 1} x"#, "trailing characters (line 1, column 13)"),
        ] {
            assert_eq!(fault(text), line);
        }
        assert_eq!(text(b"\xff\xfe{\0}\0").unwrap_err().to_string(), "it is UTF-16; save it as UTF-8");
        assert_eq!(text(b"{\xe9}").unwrap_err().to_string(), "byte 1 is not UTF-8");
    }
}
