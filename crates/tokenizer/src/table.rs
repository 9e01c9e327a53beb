//! The token table: what each id stands for, in bytes, held in one allocation.

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::alphabet;
use crate::error::{Error, quoted};

/// The tokens of a vocabulary by id, ids running from 0 without a gap.
pub(crate) struct TokenTable {
    bytes: Vec<u8>,
    /// Where token `i` ends; it begins where the one before it ends.
    ends: Vec<usize>,
}

impl TokenTable {
    pub(crate) fn new<'a>(tokens: impl Iterator<Item = std::borrow::Cow<'a, [u8]>>) -> TokenTable {
        let mut table = TokenTable { bytes: Vec::new(), ends: Vec::new() };
        for token in tokens {
            table.bytes.extend_from_slice(&token);
            table.ends.push(table.bytes.len());
        }
        table
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)?;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        Some(&self.bytes[start..end])
    }
}

/// Places tokens by their ids. Each id must be given once and none left out, so that nothing larger than
/// the list itself is ever allocated, whatever ids a file claims.
pub(crate) fn place(entries: Vec<(String, u64)>, path: &Path) -> Result<Vec<String>, Error> {
    let count = entries.len();
    if count == 0 {
        return Err(Error::vocabulary(path, "the vocabulary is empty"));
    }
    let mut places: Vec<Option<String>> = vec![None; count];
    let mut beyond: Option<(String, u64)> = None;
    for (token, id) in entries {
        let Some(place) = usize::try_from(id).ok().and_then(|id| places.get_mut(id)) else {
            if beyond.as_ref().is_none_or(|(_, far)| *far < id) {
                beyond = Some((token, id));
            }
            continue;
        };
        if let Some(other) = place {
            let fact = format!("id {id} is given to both {} and {}", quoted(other), quoted(&token));
            return Err(Error::vocabulary(path, fact));
        }
        *place = Some(token);
    }
    if let Some((token, id)) = beyond {
        let hole = places.iter().position(Option::is_none).unwrap_or(0);
        let fact =
            format!("token {} has id {id} among {count} tokens, and no token has id {hole}", quoted(&token));
        return Err(Error::vocabulary(path, fact));
    }
    Ok(places.into_iter().flatten().collect())
}

/// Ids by token text, refusing a text that stands twice.
pub(crate) fn index<'a>(tokens: &'a [String], path: &Path) -> Result<FxHashMap<&'a str, u32>, Error> {
    let mut ids = FxHashMap::with_capacity_and_hasher(tokens.len(), Default::default());
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = ids.insert(token.as_str(), id as u32) {
            let fact = format!("token {} stands twice, as ids {first} and {id}", quoted(token));
            return Err(Error::vocabulary(path, fact));
        }
    }
    Ok(ids)
}

/// Bytes as text for people: what is not UTF-8 as `<0xEA>`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|b| format!("<0x{b:02X}>")));
    }
    out
}

/// What a piece of a byte-level vocabulary stands for: through the alphabet, or itself where it is not of it.
pub(crate) fn piece_bytes(piece: &str) -> std::borrow::Cow<'_, [u8]> {
    alphabet::decode(piece).map_or(std::borrow::Cow::Borrowed(piece.as_bytes()), std::borrow::Cow::Owned)
}
