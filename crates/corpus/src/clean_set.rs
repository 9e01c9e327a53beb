//! The rules for documents of a language: a set that [`sai_cleaning`] has by name, and what a recipe wants otherwise.

use sai_cleaning::{PRESETS, Rules};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The rules for documents of a language.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "Written")]
pub struct CleanSet {
    /// The language; of all that no other set is for where not given.
    pub lang: Option<String>,
    /// The name of the set that it begins with.
    pub preset: Option<String>,
    /// A file of words, one a line, that `max_listed_words` counts.
    pub words: Option<String>,
    /// A classifier that `sai corpus teach` made, that `min_classifier` asks.
    pub classifier: Option<String>,
    /// A model whose perplexity `max_perplexity` is held to.
    pub perplexity: Option<String>,
    /// The rules.
    pub rules: Rules,
}

/// A set as a recipe has it: `rules` are what is otherwise than in the preset; `false` takes a rule out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    lang: Option<String>,
    preset: Option<String>,
    words: Option<String>,
    classifier: Option<String>,
    perplexity: Option<String>,
    #[serde(default)]
    rules: Map<String, Value>,
}

impl TryFrom<Written> for CleanSet {
    type Error = String;

    fn try_from(written: Written) -> Result<CleanSet, String> {
        let Written { lang, preset, words, classifier, perplexity, rules: wanted } = written;
        let known = match lang.as_deref() {
            Some("ko") => Some("korean"),
            Some("en") => Some("english"),
            _ => None,
        };
        let preset = preset.or_else(|| known.map(str::to_owned));
        let start = match &preset {
            Some(name) => Rules::preset(name)
                .ok_or_else(|| format!("no preset `{name}`; there are {}", PRESETS.join(", ")))?,
            None => Rules::default(),
        };
        let start = serde_json::to_value(start).map_err(|e| e.to_string())?;
        let is_there = |key: &str| wanted.get(key).is_some_and(|value| !value.is_null());
        for (key, place) in [("minhash", "[duplicates.minhash]"), ("decontaminate", "[decontamination]")] {
            if is_there(key) {
                return Err(format!("`{key}` is for all documents together; write it as {place}"));
            }
        }
        let merged = merged(start, Value::Object(wanted));
        let mut rules: Rules = serde_json::from_value(merged).map_err(|e| e.to_string())?;
        (rules.minhash, rules.decontaminate) = (None, None);
        if let (Some(rule), Some(lang)) = (&mut rules.language, &lang)
            && preset.is_none()
        {
            rule.keep = vec![lang.clone()];
        }
        rules.check()?;
        Ok(CleanSet { lang, preset, words, classifier, perplexity, rules })
    }
}

/// A value with what is wanted otherwise in it. Tables are put together key by key.
fn merged(start: Value, wanted: Value) -> Value {
    match (start, wanted) {
        (Value::Object(mut start), Value::Object(wanted)) => {
            for (key, value) in wanted {
                match value {
                    Value::Null => {
                        start.remove(&key);
                    }
                    // A rule that is a table, and not a switch of one, is taken out.
                    Value::Bool(false) if !matches!(start.get(&key), Some(Value::Bool(_))) => {
                        start.remove(&key);
                    }
                    value => {
                        let before = start.remove(&key).unwrap_or(Value::Null);
                        start.insert(key, merged(before, value));
                    }
                }
            }
            Value::Object(start)
        }
        (_, wanted) => wanted,
    }
}

impl CleanSet {
    /// The sets that are taken where a recipe names none: Korean and English.
    pub(crate) fn standard() -> Vec<CleanSet> {
        let of = |lang: &str| Written {
            lang: Some(lang.to_owned()),
            preset: None,
            words: None,
            classifier: None,
            perplexity: None,
            rules: Map::new(),
        };
        ["ko", "en"].iter().filter_map(|lang| CleanSet::try_from(of(lang)).ok()).collect()
    }

    /// What it is called in a report.
    pub fn name(&self) -> &str {
        self.lang.as_deref().unwrap_or("all others")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<CleanSet, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_recipe_changes_a_threshold_or_takes_a_rule_out() {
        let whole = Rules::preset("korean").unwrap();
        let found =
            set("lang = \"ko\"\n[rules]\nspam = false\n[rules.fineweb]\nnew_line_ratio = 0.5").unwrap();
        assert_eq!(found.preset.as_deref(), Some("korean"));
        assert!(found.rules.spam.is_none());
        let (changed, before) = (found.rules.fineweb.unwrap(), whole.fineweb.unwrap());
        assert_eq!((changed.new_line_ratio, changed.line_punct_thr), (0.5, before.line_punct_thr));
        // What was resolved is read back as it is.
        let again = set("lang = \"ko\"\n[rules]\nspam = false").unwrap();
        let json = serde_json::to_string(&again).unwrap();
        assert_eq!(serde_json::from_str::<CleanSet>(&json).unwrap().rules, again.rules);
    }

    #[test]
    fn what_no_rule_is_called_is_refused_by_name() {
        for (text, said) in [
            ("preset = \"corean\"", "no preset `corean`; there are korean, english"),
            ("[rules.finewebs]", "finewebs"),
            ("[rules.fineweb]\nline_punct = 0.1", "line_punct"),
            ("[rules.minhash]\nbands = 2", "[duplicates.minhash]"),
            ("langs = \"ko\"", "langs"),
        ] {
            let error = set(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
