//! Where vocabularies come from: Hugging Face folders and GGUF metadata.

mod config;
mod entries;
pub(crate) mod folder;
pub(crate) mod gguf;
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

    /// The id of a token as the file spells it. Few are asked for.
    fn id_of(&self, token: &str) -> Option<u32> {
        self.tokens.iter().position(|t| t == token).map(|id| id as u32)
    }
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
    let named = |token: &Option<entries::Named>| token.as_ref().map(|t| t.text().to_owned());
    // XGLM's first token is named `<s>`, and `</s>` is what opens a text.
    let bos = opening.map(str::to_owned).or(named(&config.bos_token));
    Ok(Roles {
        bos: find("bos_token", bos.as_deref())?,
        eos: find("eos_token", named(&config.eos_token).as_deref())?,
        eot: None,
        eom: None,
        // A padding or unknown token that is not there is never asked for.
        pad: named(&config.pad_token).and_then(|t| id_of(&t)),
        unk: named(&config.unk_token).and_then(|t| id_of(&t)),
        add_bos: config.add_bos_token.unwrap_or(opening.is_some()),
        add_eos: config.add_eos_token.unwrap_or(false),
    })
}
