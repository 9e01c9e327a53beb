//! Where vocabularies come from: Hugging Face folders and GGUF metadata.

mod config;
mod entries;
pub(crate) mod folder;
pub(crate) mod gguf;
mod pre;
mod sentence_piece;
mod tokenizer_json;
mod vocab_merges;

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::added::AddedToken;
use crate::error::{Error, quoted};
use crate::table::place;
use crate::tokenizer::Roles;
use config::Config;
use entries::AddedFacts;

/// A vocabulary with its added tokens, each id checked to be given once and none left out.
struct Vocabulary {
    tokens: Vec<String>,
    added: Vec<AddedToken>,
    /// Ids, in order, of added tokens that are not entries of the vocabulary itself: no word is made of them.
    apart: Vec<u32>,
}

impl Vocabulary {
    /// Joins the entries of a vocabulary with added tokens, which may be among them or continue them.
    fn new(
        mut entries: Vec<(String, u64)>,
        mut added: Vec<AddedToken>,
        path: &Path,
    ) -> Result<Vocabulary, Error> {
        let mut ids: FxHashMap<&str, u64> = FxHashMap::default();
        for (token, id) in &entries {
            if let Some(other) = ids.insert(token, *id) {
                let fact = format!("token {} stands twice, as ids {other} and {id}", quoted(token));
                return Err(Error::vocabulary(path, fact));
            }
        }
        let mut new: Vec<(String, u64)> = Vec::new();
        let mut apart = Vec::new();
        added.retain(|token| !token.content.is_empty());
        added.sort_by_key(|t| t.id);
        added.dedup();
        for token in &added {
            let id = u64::from(token.id);
            match ids.get(token.content.as_str()) {
                Some(&known) if known != id => {
                    let name = quoted(&token.content);
                    let fact = format!("added token {name} has id {id}, and id {known} in the vocabulary");
                    return Err(Error::vocabulary(path, fact));
                }
                Some(_) => {}
                None => {
                    new.push((token.content.clone(), id));
                    apart.push(token.id);
                }
            }
        }
        entries.extend(new);
        Ok(Vocabulary { tokens: place(entries, path)?, added, apart })
    }

    /// Adds tokens of the files beside; see [`numbered`].
    fn add_beside(
        &mut self,
        beside: Vec<AddedFacts>,
        rows: Option<usize>,
        path: &Path,
        notes: &mut Vec<String>,
    ) -> Result<(), Error> {
        if beside.is_empty() {
            return Ok(());
        }
        let ids = crate::table::index(&self.tokens, path)?;
        let known = |text: &str| ids.get(text).copied();
        let beside = numbered(beside, known, self.tokens.len(), rows, path, notes)?;
        let mut places: FxHashMap<String, usize> =
            self.added.iter().enumerate().map(|(at, token)| (token.content.clone(), at)).collect();
        for token in beside {
            if token.id as usize == self.tokens.len() {
                self.tokens.push(token.content.clone());
                self.apart.push(token.id);
            }
            match places.get(&token.content).copied() {
                // What is special once stays so.
                Some(at) => {
                    let special = token.special || self.added[at].special;
                    self.added[at] = AddedToken { special, ..token };
                }
                None => {
                    places.insert(token.content.clone(), self.added.len());
                    self.added.push(token);
                }
            }
        }
        self.added.sort_by_key(|token| token.id);
        Ok(())
    }

    /// The id of a token as the file spells it. Few are asked for.
    fn id_of(&self, token: &str) -> Option<u32> {
        self.tokens.iter().position(|t| t == token).map(|id| id as u32)
    }
}

/// Gives tokens of the files beside a `tokenizer.json` their ids, as `tokenizers` does: the one that their text has, or
/// the next that is free, whatever the files say. What comes to lie beyond the `rows` of an embedding, where they are
/// known, is left out, and `notes` tells of it.
fn numbered(
    beside: Vec<AddedFacts>,
    known: impl Fn(&str) -> Option<u32>,
    mut next: usize,
    rows: Option<usize>,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<AddedToken>, Error> {
    let mut out: Vec<AddedToken> = Vec::with_capacity(beside.len());
    let mut new: FxHashMap<String, u64> = FxHashMap::default();
    for facts in beside {
        let name = quoted(&facts.content);
        let id = known(&facts.content).map(u64::from).or(new.get(&facts.content).copied());
        let id = match id {
            Some(id) => id,
            None if rows.is_some_and(|rows| next >= rows) => {
                notes.push(format!(
                    "{name} is named beside tokenizer.json and the embedding has no row for it; it is read as text"
                ));
                continue;
            }
            None => {
                let id = next as u64;
                new.insert(facts.content.clone(), id);
                next += 1;
                id
            }
        };
        if let Some(said) = facts.id.filter(|&said| said != id) {
            notes.push(format!("{name} has id {id}, where the files beside tokenizer.json say {said}"));
        }
        out.push(facts.token(id, path)?);
    }
    Ok(out)
}

/// The roles that a configuration names, `opening` being what the vocabulary itself puts before a text.
fn roles(
    config: &Config,
    opening: Option<&str>,
    id_of: impl Fn(&str) -> Option<u32>,
    path: &Path,
) -> Result<Roles, Error> {
    let find = |role: &str, token: Option<&str>| match token {
        None => Ok(None),
        Some(text) => id_of(text).map(Some).ok_or_else(|| {
            Error::vocabulary(path, format!("{role} is {}, which is not in the vocabulary", quoted(text)))
        }),
    };
    // XGLM's first token is named `<s>`, and `</s>` is what opens a text.
    let bos = opening.or(config.role(|t| &t.bos_token));
    Ok(Roles {
        bos: find("bos_token", bos)?,
        eos: find("eos_token", config.role(|t| &t.eos_token))?,
        eot: None,
        eom: None,
        // A padding or unknown token that is not there is never asked for.
        pad: config.role(|t| &t.pad_token).and_then(&id_of),
        unk: config.role(|t| &t.unk_token).and_then(&id_of),
        add_bos: config.add_bos_token.unwrap_or(opening.is_some()),
        add_eos: config.add_eos_token.unwrap_or(false),
        named: config.special_tokens(),
    })
}
