//! `tokenizer_config.json` and the small files beside it: roles of tokens, and the chat template.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::entries::{Named, json};
use crate::added::AddedToken;
use crate::error::{Error, quoted};
use crate::template::TemplateSources;

/// What sai reads of `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Config {
    pub(crate) bos_token: Option<Named>,
    pub(crate) eos_token: Option<Named>,
    pub(crate) unk_token: Option<Named>,
    pub(crate) pad_token: Option<Named>,
    pub(crate) add_bos_token: Option<bool>,
    pub(crate) add_eos_token: Option<bool>,
    #[serde(default)]
    pub(crate) add_prefix_space: Option<bool>,
    #[serde(default)]
    pub(crate) tokenizer_class: Option<String>,
    #[serde(default)]
    pub(crate) added_tokens_decoder: BTreeMap<String, AddedFacts>,
    #[serde(default)]
    pub(crate) chat_template: Option<Templates>,
}

/// An added token in `added_tokens_decoder` and in `tokenizer.json`.
#[derive(Clone, Debug, Deserialize)]
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

/// `chat_template`: one, or several by name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Templates {
    One(String),
    Many(Vec<NamedTemplate>),
}

/// One of several chat templates.
#[derive(Debug, Deserialize)]
pub(crate) struct NamedTemplate {
    name: String,
    template: String,
}

impl Templates {
    /// All of them, the one for plain conversation apart.
    pub(crate) fn sources(self) -> TemplateSources {
        match self {
            Templates::One(source) => TemplateSources { default: Some(source), named: Vec::new() },
            Templates::Many(list) => {
                let mut sources = TemplateSources::default();
                for NamedTemplate { name, template } in list {
                    match name.as_str() {
                        "default" => sources.default = Some(template),
                        _ => sources.named.push((name, template)),
                    }
                }
                sources
            }
        }
    }

    /// The one for plain conversation: `default`, or the first.
    pub(crate) fn chosen(&self) -> Option<&str> {
        match self {
            Templates::One(source) => Some(source),
            Templates::Many(list) => {
                let default = list.iter().find(|t| t.name == "default").or(list.first())?;
                Some(&default.template)
            }
        }
    }
}

impl AddedFacts {
    /// The token with its id, held against the vocabulary's size.
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

impl Config {
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Config, Error> {
        json(bytes, path)
    }

    /// Tokens by the decoder's ids.
    pub(crate) fn added(&self, path: &Path) -> Result<Vec<AddedToken>, Error> {
        let tokens = self.added_tokens_decoder.iter().map(|(id, facts)| {
            let id = id.parse::<u64>().map_err(|_| {
                Error::malformed(path, format!("added_tokens_decoder names {}, not an id", quoted(id)))
            })?;
            facts.token(id, path)
        });
        let mut tokens = tokens.collect::<Result<Vec<_>, _>>()?;
        tokens.sort_by_key(|t| t.id);
        Ok(tokens)
    }

    /// Takes what is missing here from `special_tokens_map.json`.
    pub(crate) fn fill_from(&mut self, map: SpecialTokensMap) {
        self.bos_token = self.bos_token.take().or(map.bos_token);
        self.eos_token = self.eos_token.take().or(map.eos_token);
        self.unk_token = self.unk_token.take().or(map.unk_token);
        self.pad_token = self.pad_token.take().or(map.pad_token);
    }
}

/// `special_tokens_map.json`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SpecialTokensMap {
    bos_token: Option<Named>,
    eos_token: Option<Named>,
    unk_token: Option<Named>,
    pad_token: Option<Named>,
}
