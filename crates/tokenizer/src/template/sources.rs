//! A model's chat templates as it carries them: one for plain conversation, and others by name.

use serde_json::{Value, json};

use super::{ChatTemplate, TemplateError};

/// Chat templates in source form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateSources {
    /// The one for plain conversation.
    pub default: Option<String>,
    /// Others, such as `tool_use` and `rag`, with their names.
    pub named: Vec<(String, String)>,
}

impl TemplateSources {
    /// What `chat_template` of a JSON file says: a text, a list of `{"name": …, "template": …}`, or an object of
    /// names and templates. `None` where it is none of these.
    pub(crate) fn of_json(value: &Value) -> Option<TemplateSources> {
        let mut sources = TemplateSources::default();
        match value {
            Value::Null => {}
            Value::String(source) => sources.default = Some(source.clone()),
            Value::Array(list) => {
                for one in list {
                    sources.add(one["name"].as_str()?, one["template"].as_str()?);
                }
            }
            Value::Object(names) => {
                for (name, source) in names {
                    sources.add(name, source.as_str()?);
                }
            }
            _ => return None,
        }
        Some(sources)
    }

    /// As `chat_template` of `tokenizer_config.json`: the source alone, or a list where there are several.
    pub(crate) fn to_json(&self) -> Option<Value> {
        if self.named.is_empty() {
            return self.default.as_ref().map(|source| json!(source));
        }
        let default = self.default.iter().map(|source| ("default", source));
        let named = self.named.iter().map(|(name, source)| (name.as_str(), source));
        let all = default.chain(named).map(|(name, source)| json!({ "name": name, "template": source }));
        Some(all.collect())
    }

    /// Takes in a template; of two of the same name the later stays.
    pub fn add(&mut self, name: &str, source: &str) {
        if name == "default" {
            self.default = Some(source.to_owned());
            return;
        }
        self.named.retain(|(known, _)| known != name);
        self.named.push((name.to_owned(), source.to_owned()));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.named.is_empty()
    }

    /// The template of this name, or without one that for plain conversation; `None` where the model has no template at
    /// all. As in `transformers`, none is guessed of several. `origin` names the file in messages.
    ///
    /// # Errors
    /// There are templates and none is named so, or the one that is is not Jinja.
    pub fn select(&self, name: Option<&str>, origin: &str) -> Result<Option<ChatTemplate>, TemplateError> {
        let source = match name {
            None | Some("default") => self.default.as_ref(),
            Some(name) => self.named.iter().find(|(known, _)| known == name).map(|(_, source)| source),
        };
        match source {
            Some(source) => ChatTemplate::jinja(source, origin).map(Some),
            None if self.is_empty() && name.is_none() => Ok(None),
            None => {
                let default = self.default.iter().map(|_| "default");
                let names: Vec<&str> =
                    default.chain(self.named.iter().map(|(name, _)| name.as_str())).collect();
                Err(TemplateError::NotNamed {
                    origin: origin.to_owned(),
                    name: name.unwrap_or("default").to_owned(),
                    names: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
                })
            }
        }
    }
}
