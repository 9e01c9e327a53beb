//! The JSON shapes of vocabulary files, read without trusting them.

use std::fmt;
use std::path::Path;

use sai_formats::json;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::added::AddedToken;
use crate::error::{Error, one_line, quoted};

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
#[serde(untagged, expecting = "it is no pair of pieces")]
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

/// An added token as files describe it.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub(crate) struct AddedFacts {
    #[serde(default)]
    pub(crate) id: Option<u64>,
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) special: bool,
    pub(crate) normalized: Option<bool>,
    #[serde(default)]
    pub(crate) lstrip: bool,
    #[serde(default)]
    pub(crate) rstrip: bool,
    #[serde(default)]
    pub(crate) single_word: bool,
}

impl AddedFacts {
    /// A token of which only the text is said.
    pub(crate) fn plain(content: &str, special: bool) -> AddedFacts {
        AddedFacts {
            id: None,
            content: content.to_owned(),
            special,
            normalized: None,
            lstrip: false,
            rstrip: false,
            single_word: false,
        }
    }

    /// A token as it is.
    pub(crate) fn of(token: &AddedToken) -> AddedFacts {
        AddedFacts {
            id: Some(token.id.into()),
            content: token.content.clone(),
            special: token.special,
            normalized: Some(token.normalized),
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            single_word: token.single_word,
        }
    }

    /// The token with its id.
    pub(crate) fn token(&self, id: u64, path: &Path) -> Result<AddedToken, Error> {
        let Ok(id) = u32::try_from(id) else {
            return Err(Error::vocabulary(
                path,
                format!("added token {} has id {id}", quoted(&self.content)),
            ));
        };
        Ok(AddedToken {
            id,
            content: self.content.clone(),
            special: self.special,
            normalized: self.normalized.unwrap_or(!self.special),
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            single_word: self.single_word,
        })
    }
}

/// A token in `tokenizer_config.json` and its like: its text, or an object that holds it.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(untagged, expecting = "it is neither a token's text nor an object with its `content`")]
pub(crate) enum Named {
    Text(String),
    Token(AddedFacts),
}

impl Named {
    pub(crate) fn text(&self) -> &str {
        match self {
            Named::Text(text) => text,
            Named::Token(facts) => &facts.content,
        }
    }
}

/// Text of a file, which must be UTF-8.
pub(crate) fn utf8<'b>(bytes: &'b [u8], path: &Path) -> Result<&'b str, Error> {
    json::text(bytes).map_err(|e| Error::malformed(path, e.to_string()))
}

/// JSON of a file that holds a vocabulary.
pub(crate) fn vocabulary<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T, Error> {
    json::read_large(bytes).map_err(|e| Error::malformed(path, one_line(&e.to_string())))
}

/// JSON of a file of settings.
pub(crate) fn settings<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T, Error> {
    json::read(bytes).map_err(|e| Error::malformed(path, one_line(&e.to_string())))
}
