//! The JSON shapes of vocabulary files, read without trusting them.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, one_line};

/// A `vocab` object, entries as they stand, the same key twice included.
#[derive(Debug, Default)]
pub(crate) struct Entries(pub(crate) Vec<(String, u64)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens and their ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
            // Unigram's list of pieces and scores: the library reads it.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entries::default())
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// A merge: `"a b"` in older files, `["a", "b"]` in newer ones, whose pieces may hold spaces.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Merge {
    Text(String),
    Pair(String, String),
}

impl Merge {
    /// The two pieces; `None` where there are not two.
    pub(crate) fn pieces(&self) -> Option<(&str, &str)> {
        match self {
            Merge::Pair(left, right) => Some((left, right)),
            Merge::Text(text) => two_pieces(text),
        }
    }
}

/// The pieces of `a b`; `None` where there are not exactly two.
pub(crate) fn two_pieces(text: &str) -> Option<(&str, &str)> {
    let (left, right) = text.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' ')).then_some((left, right))
}

/// A token in `tokenizer_config.json` and its like: its text, or an object that holds it.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Named {
    Text(String),
    Token { content: String },
}

impl Named {
    pub(crate) fn text(&self) -> &str {
        match self {
            Named::Text(text) | Named::Token { content: text } => text,
        }
    }
}

/// Text of a file, which must be UTF-8.
pub(crate) fn utf8<'b>(bytes: &'b [u8], path: &Path) -> Result<&'b str, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::malformed(path, format!("byte {} is not UTF-8", e.valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// JSON of a file.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T, Error> {
    let text = utf8(bytes, path)?;
    serde_json::from_str(text).map_err(|e| Error::malformed(path, one_line(&e.to_string())))
}
