//! A list of turns: OpenAI's `messages`, ShareGPT's `conversations`, LIMA's list of texts.

use super::super::row::Row;
use super::super::turn::{Turn, turns};
use super::opened;

/// Keys of the list.
pub(super) const MESSAGES: &[&str] = &["messages"];
pub(super) const SHAREGPT: &[&str] = &["conversations", "conversation", "dialogue", "dialog"];

/// The first of the keys that is a list with something in it.
pub(super) fn key(row: &Row<'_>, keys: &'static [&'static str]) -> Option<&'static str> {
    let list = |key: &str| row.says(key) && row.get(key).is_some_and(|value| value.get().starts_with('['));
    keys.iter().find(|key| list(key)).copied()
}

pub(super) fn read(row: &Row<'_>, keys: &'static [&'static str]) -> Result<Vec<Turn>, String> {
    let key = key(row, keys).unwrap_or(keys[0]);
    let value = row.get(key).ok_or_else(|| format!("has no `{key}`"))?;
    // A turn alone is no conversation.
    super::super::row::list(key, value)?;
    opened(row, turns(key, value)?)
}
