//! A row of data: a JSON object, of which only those keys are looked at that its form has.
//!
//! What stands in other keys may be anything that Python's `json` writes, NaN and half surrogates with it.

use sai_documents::json;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A JSON object whose values are not taken apart yet.
pub(super) struct Row<'r> {
    fields: Vec<(String, &'r RawValue)>,
}

impl<'r> Row<'r> {
    /// Reads an object.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(super) fn parse(text: &'r str) -> Result<Row<'r>, String> {
        let text = text.trim();
        if !text.starts_with('{') {
            return Err(match text.as_bytes().first() {
                Some(b'[') => {
                    "is a JSON array; write an object a line (JSONL), as `jq -c '.[]'` does".to_owned()
                }
                _ if serde_json::from_str::<&RawValue>(text).is_ok() => {
                    format!("is {}, no JSON object", kind(text))
                }
                _ => format!("is no JSON: it begins with `{}`", json::beginning(text)),
            });
        }
        let mut from = serde_json::Deserializer::from_str(text);
        let fields = from.deserialize_map(Fields).and_then(|fields| from.end().map(|()| fields));
        let wrong = |e| match text.ends_with("},") {
            true => "ends in a comma; JSONL has none between its lines".to_owned(),
            false => json::fact(&e),
        };
        Ok(Row { fields: fields.map_err(wrong)? })
    }

    /// The value of a key; none where it is not there or null.
    pub(super) fn get(&self, key: &str) -> Option<&'r RawValue> {
        let found = self.fields.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// Whether the value of a key says anything: is no null, false, empty text, list or object.
    pub(super) fn says(&self, key: &str) -> bool {
        self.get(key).is_some_and(says)
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        self.get(key).map(|value| text(key, value)).transpose()
    }

    /// A list.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn list(&self, key: &str) -> Result<Option<Vec<&'r RawValue>>, String> {
        self.get(key).map(|value| list(key, value)).transpose()
    }

    /// The keys that have a value.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|(_, value)| value.get() != "null").map(|(name, _)| name.as_str())
    }
}

/// The text that `value` is; `key` is what a message calls it.
pub(super) fn text(key: &str, value: &RawValue) -> Result<String, String> {
    if !value.get().starts_with('"') {
        return Err(format!("`{key}` is {}, and is to be a text", kind(value.get())));
    }
    // All else that can be wrong with it was seen when the row was read.
    serde_json::from_str(value.get())
        .map_err(|_| format!("`{key}` has half of a character in it (a lone surrogate)"))
}

/// The list that `value` is.
pub(super) fn list<'r>(key: &str, value: &'r RawValue) -> Result<Vec<&'r RawValue>, String> {
    if !value.get().starts_with('[') {
        return Err(format!("`{key}` is {}, and is to be a list", kind(value.get())));
    }
    serde_json::from_str(value.get()).map_err(|e| format!("`{key}`: {}", json::fact(&e)))
}

fn says(value: &RawValue) -> bool {
    let text = value.get();
    let inside = text.strip_prefix(['"', '[', '{']).and_then(|rest| rest.strip_suffix(['"', ']', '}']));
    match inside {
        // A list or an object that was written into a text.
        Some(inside) => !matches!(inside.trim(), "" | "[]" | "{}" | "null"),
        None => !matches!(text, "null" | "false"),
    }
}

/// What kind of value a JSON text is.
pub(super) fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a text",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(b't') => "true",
        Some(b'f') => "false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Takes an object apart into its keys, each of which is there once.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            if fields.iter().any(|(known, _)| *known == key) {
                let fact = format!("has the key `{}` twice", key.escape_debug());
                return Err(serde::de::Error::custom(fact));
            }
            fields.push((key, value));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_said() {
        let error = Row::parse(r#"{"a": 1, "a": 2}"#).err().unwrap();
        assert!(error.starts_with("has the key `a` twice"), "{error}");
    }

    #[test]
    fn what_is_no_object_is_called_by_its_json_name() {
        let wrong = |text: &str| Row::parse(text).err().unwrap();
        assert_eq!(wrong("null"), "is null, no JSON object");
        assert_eq!(wrong("5"), "is a number, no JSON object");
        assert_eq!(wrong("instruction,output"), "is no JSON: it begins with `instruction,output`");
        assert!(wrong("[{}]").contains("jq -c"));
        let row = Row::parse(r#"{"a": {"b": 1}, "c": "\ud83d"}"#).unwrap();
        assert_eq!(row.text("a").unwrap_err(), "`a` is an object, and is to be a text");
        assert!(row.text("c").unwrap_err().contains("half of a character"));
        assert_eq!(row.list("a").unwrap_err(), "`a` is an object, and is to be a list");
    }
}
