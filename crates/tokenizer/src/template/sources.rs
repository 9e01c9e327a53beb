//! A model's chat templates as it carries them: one for plain conversation, and others by name.

use serde_json::{Value, json};

/// Chat templates in source form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateSources {
    /// The one for plain conversation.
    pub default: Option<String>,
    /// Others, such as `tool_use` and `rag`, with their names.
    pub named: Vec<(String, String)>,
}

impl TemplateSources {
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
}
