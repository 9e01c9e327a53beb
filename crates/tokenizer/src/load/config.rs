//! `tokenizer_config.json` and the small files beside it: roles of tokens, and the chat template.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::entries::{Named, json};
use crate::added::AddedToken;
use crate::error::{Error, quoted};
use crate::template::{SpecialTokens, TemplateSources};

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
    pub(crate) chat_template: serde_json::Value,
    /// Every token that has a name, for templates.
    #[serde(skip)]
    pub(crate) named: SpecialTokens,
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
        let mut config: Config = json(bytes, path)?;
        config.named = named_tokens(bytes, path)?;
        Ok(config)
    }

    /// Its chat templates.
    ///
    /// # Errors
    /// `chat_template` is neither a template nor several with names.
    pub(crate) fn templates(&self, path: &Path) -> Result<TemplateSources, Error> {
        templates(&self.chat_template, path)
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
    pub(crate) fn fill_from(&mut self, map: SpecialTokensMap, mut named: SpecialTokens) {
        self.named.iter().for_each(|(name, text)| named.set(name, text));
        self.named = named;
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

/// The special tokens that a file names, as `transformers` finds them: every key that ends in `_token` and holds a
/// token, and those of an object `extra_special_tokens`.
pub(crate) fn named_tokens(bytes: &[u8], path: &Path) -> Result<SpecialTokens, Error> {
    let all: serde_json::Value = json(bytes, path)?;
    let mut named = SpecialTokens::default();
    let text = |token: &serde_json::Value| token.as_str().or(token["content"].as_str()).map(str::to_owned);
    for (name, token) in all.as_object().into_iter().flatten() {
        if let Some(text) = text(token).filter(|_| name.ends_with("_token")) {
            named.set(name, text);
        }
    }
    for (name, token) in all["extra_special_tokens"].as_object().into_iter().flatten() {
        if let Some(text) = text(token) {
            named.set(name, text);
        }
    }
    Ok(named)
}

/// The chat templates that the value of a file's `chat_template` holds.
pub(crate) fn templates(value: &serde_json::Value, path: &Path) -> Result<TemplateSources, Error> {
    TemplateSources::of_json(value).ok_or_else(|| {
        let fact = "its chat_template is neither a template, nor a list of {\"name\", \"template\"}, nor an object of \
                    names and templates; correct it, or put a template into chat_template.jinja beside it";
        Error::unsupported(path, fact.to_owned())
    })
}
