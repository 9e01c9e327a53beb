//! The special tokens that templates know by name.

use std::collections::BTreeMap;

/// Texts of special tokens by the names that templates have for them: `bos_token`, `eos_token`, `unk_token`,
/// `pad_token`, `sep_token`, `cls_token`, `mask_token`, and those of a model's own, such as `image_token`: what
/// `transformers` calls `special_tokens_map`. A template finds a name that is not here undefined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens(BTreeMap<String, String>);

impl SpecialTokens {
    /// The text of the token of this name; empty without one.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Gives a name its text.
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), text.into());
    }

    /// Names with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for SpecialTokens {
    fn from(tokens: [(&str, &str); N]) -> SpecialTokens {
        SpecialTokens(tokens.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
    }
}
