//! `tokenizer_config.json` and the small files beside it: roles of tokens, and the chat template.

use std::collections::BTreeMap;
use std::path::Path;

use rustc_hash::FxHashSet;
use sai_formats::json;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::entries::{AddedFacts, Named, settings};
use crate::added::AddedToken;
use crate::error::{Error, one_line, quoted};
use crate::template::{SpecialTokens, TemplateSources};

/// What sai reads of `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Config {
    /// The tokens that it names by their roles.
    #[serde(skip)]
    pub(crate) special: NamedTokens,
    /// Those of a `special_tokens_map.json` that only fill in roles.
    #[serde(skip)]
    older: NamedTokens,
    pub(crate) add_bos_token: Option<bool>,
    pub(crate) add_eos_token: Option<bool>,
    #[serde(default)]
    pub(crate) add_prefix_space: Option<bool>,
    #[serde(default)]
    pub(crate) tokenizer_class: Option<String>,
    /// Added tokens by id; `None` in folders of before 2023-09, whose other files tell of them.
    pub(crate) added_tokens_decoder: Option<BTreeMap<String, AddedFacts>>,
    #[serde(default)]
    pub(crate) chat_template: Value,
}

impl Config {
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Config, Error> {
        let file: Value = settings(bytes, path)?;
        let wrong = |e: json::JsonError| Error::malformed(path, one_line(&e.to_string()));
        let special = json::of(&file).map_err(wrong)?;
        Ok(Config { special, ..json::of(&file).map_err(wrong)? })
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
        self.decoder(path)?.into_iter().map(|(id, facts)| facts.token(id, path)).collect()
    }

    fn decoder(&self, path: &Path) -> Result<BTreeMap<u64, &AddedFacts>, Error> {
        let all = self.added_tokens_decoder.iter().flatten().map(|(id, facts)| {
            let id = id.parse::<u64>().map_err(|_| {
                Error::malformed(path, format!("added_tokens_decoder names {}, not an id", quoted(id)))
            })?;
            Ok((id, facts))
        });
        all.collect()
    }

    /// Hears `special_tokens_map.json`. It is older than `added_tokens_decoder`: beside one it only fills in roles, and
    /// without one it has the last word, as in `transformers`.
    pub(crate) fn hear(&mut self, map: NamedTokens) {
        if self.added_tokens_decoder.is_some() {
            self.older = map;
        } else {
            self.special.overrule(map);
        }
    }

    /// Gives a token the roles of opening, end and unknown where no other is named for them.
    pub(crate) fn default_roles(&mut self, token: &str) {
        let [bos, eos, unk, _] = self.roles().map(|role| role.is_none());
        let NamedTokens { bos_token, eos_token, unk_token, .. } = &mut self.special;
        for (role, unsaid) in [(bos_token, bos), (eos_token, eos), (unk_token, unk)] {
            if unsaid {
                *role = Some(Named::Text(token.to_owned()));
            }
        }
    }

    /// The four roles that matter to a model of text: opening, end, unknown and padding.
    pub(crate) fn roles(&self) -> [Option<&str>; 4] {
        let roles: [fn(&NamedTokens) -> &Option<Named>; 4] =
            [|t| &t.bos_token, |t| &t.eos_token, |t| &t.unk_token, |t| &t.pad_token];
        roles.map(|role| self.role(role))
    }

    /// The text of the token with a role: `bos_token`, `eos_token`, `unk_token` or `pad_token`.
    pub(crate) fn role(&self, role: fn(&NamedTokens) -> &Option<Named>) -> Option<&str> {
        role(&self.special).as_ref().or(role(&self.older).as_ref()).map(Named::text)
    }

    /// Every token that has a name, for templates.
    pub(crate) fn special_tokens(&self) -> SpecialTokens {
        let mut tokens = SpecialTokens::default();
        for (role, token) in self.older.by_role().into_iter().chain(self.special.by_role()) {
            tokens.set(role, token.text());
        }
        tokens
    }

    /// What the small files add to a `tokenizer.json`, or say otherwise than it does, in the order in which
    /// `transformers` adds it. `own` are the added tokens of the `tokenizer.json` itself, `listed` those of
    /// `added_tokens.json`, which counts where there is no `added_tokens_decoder`.
    pub(crate) fn beside(
        &self,
        own: &[AddedFacts],
        listed: &[(String, u64)],
        path: &Path,
    ) -> Result<Vec<AddedFacts>, Error> {
        let named = self.special.named();
        let extra = self.special.extra();
        let mut by_id: BTreeMap<u64, AddedFacts> = BTreeMap::new();
        if self.added_tokens_decoder.is_some() {
            let facts = self.decoder(path)?.into_iter();
            by_id.extend(facts.map(|(id, facts)| (id, AddedFacts { id: Some(id), ..facts.clone() })));
        } else {
            let special: FxHashSet<&str> = named.iter().chain(extra).map(|token| token.text()).collect();
            for (content, id) in listed {
                let facts = AddedFacts::plain(content, special.contains(content.as_str()));
                by_id.insert(*id, AddedFacts { id: Some(*id), ..facts });
            }
            // What tokenizer.json has under an id counts, and is special where it has a role.
            for (id, facts) in own.iter().filter_map(|facts| Some((facts.id?, facts))) {
                by_id.remove(&id);
                if !facts.special && named.iter().any(|token| token.text() == facts.content) {
                    by_id.insert(id, facts.clone());
                }
            }
        }
        let mut out: Vec<AddedFacts> = by_id.into_values().collect();
        let mut known: FxHashSet<&str> = own.iter().map(|facts| facts.content.as_str()).collect();
        let listed: Vec<String> = out.iter().map(|facts| facts.content.clone()).collect();
        known.extend(listed.iter().map(String::as_str));
        let named_only = named.iter().map(|token| (token, false));
        let all = named_only.chain(extra.iter().map(|token| (token, true)));
        for (token, special) in all.filter(|(token, _)| known.insert(token.text())) {
            out.push(match token {
                Named::Text(text) => AddedFacts::plain(text, true),
                Named::Token(facts) => {
                    AddedFacts { id: None, special: facts.special || special, ..facts.clone() }
                }
            });
        }
        for facts in &mut out {
            facts.normalized.get_or_insert(!facts.special);
            facts.special |= named.iter().any(|token| token.text() == facts.content);
        }
        out.retain(|facts| !facts.content.is_empty());
        Ok(out)
    }
}

/// The special tokens that `tokenizer_config.json` and `special_tokens_map.json` name.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct NamedTokens {
    pub(crate) bos_token: Option<Named>,
    pub(crate) eos_token: Option<Named>,
    pub(crate) unk_token: Option<Named>,
    pub(crate) sep_token: Option<Named>,
    pub(crate) pad_token: Option<Named>,
    pub(crate) cls_token: Option<Named>,
    pub(crate) mask_token: Option<Named>,
    /// Until `transformers` 4.
    additional_special_tokens: Option<Extra>,
    /// Since 5.
    extra_special_tokens: Option<Extra>,
    /// All other settings, among them roles that a model has of its own, such as `image_token`.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Special tokens besides those of the common roles.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "it is neither a list of tokens nor an object of them")]
enum Extra {
    List(Vec<Named>),
    Roles(Map<String, Value>),
}

impl NamedTokens {
    /// Tokens with a role, in the order in which `transformers` adds them.
    fn named(&self) -> Vec<Named> {
        self.by_role().into_iter().map(|(_, token)| token).collect()
    }

    /// The same with the names of their roles.
    fn by_role(&self) -> Vec<(&str, Named)> {
        let common = [
            ("bos_token", &self.bos_token),
            ("eos_token", &self.eos_token),
            ("unk_token", &self.unk_token),
            ("sep_token", &self.sep_token),
            ("pad_token", &self.pad_token),
            ("cls_token", &self.cls_token),
            ("mask_token", &self.mask_token),
        ];
        let common = common.into_iter().filter_map(|(role, token)| Some((role, token.clone()?)));
        let rest = self.rest.iter().filter(|(role, _)| role.ends_with("_token"));
        let own = self.rest.get("model_specific_special_tokens").and_then(Value::as_object);
        let extra = match &self.extra_special_tokens {
            Some(Extra::Roles(roles)) => Some(roles),
            _ => None,
        };
        let own = rest.chain(own.into_iter().chain(extra).flatten());
        common.chain(own.filter_map(|(role, token)| Some((role.as_str(), json::of(token).ok()?)))).collect()
    }

    /// Tokens without a role.
    fn extra(&self) -> &[Named] {
        let lists = [&self.extra_special_tokens, &self.additional_special_tokens];
        let lists = lists.into_iter().filter_map(|extra| match extra {
            Some(Extra::List(list)) if !list.is_empty() => Some(list.as_slice()),
            _ => None,
        });
        lists.into_iter().next().unwrap_or(&[])
    }

    /// What `map` says counts, and the rest stays. A list of tokens without a role is a list of more.
    fn overrule(&mut self, map: NamedTokens) {
        let overrule = |token: &mut Option<Named>, other: Option<Named>| *token = other.or(token.take());
        overrule(&mut self.bos_token, map.bos_token);
        overrule(&mut self.eos_token, map.eos_token);
        overrule(&mut self.unk_token, map.unk_token);
        overrule(&mut self.sep_token, map.sep_token);
        overrule(&mut self.pad_token, map.pad_token);
        overrule(&mut self.cls_token, map.cls_token);
        overrule(&mut self.mask_token, map.mask_token);
        self.rest.extend(map.rest);
        let own = self.extra().to_vec();
        match (map.extra_special_tokens, map.additional_special_tokens) {
            (Some(Extra::List(more)), _) => {
                let more: Vec<Named> = more.into_iter().filter(|token| !own.contains(token)).collect();
                self.extra_special_tokens = Some(Extra::List([own, more].concat()));
            }
            (Some(roles), _) => self.extra_special_tokens = Some(roles),
            (None, Some(more)) if own.is_empty() => self.additional_special_tokens = Some(more),
            (None, _) => {}
        }
    }
}

/// The chat templates that the value of a file's `chat_template` holds.
pub(crate) fn templates(value: &Value, path: &Path) -> Result<TemplateSources, Error> {
    TemplateSources::of_json(value).ok_or_else(|| {
        let fact = "its chat_template is neither a template, nor a list of {\"name\", \"template\"}, nor an object of \
                    names and templates; correct it, or put a template into chat_template.jinja beside it";
        Error::unsupported(path, fact.to_owned())
    })
}
