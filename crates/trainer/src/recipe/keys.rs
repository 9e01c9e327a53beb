//! The keys of a recipe, and where each was said, so that a wrong one is named with its line.

use crate::Error;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Every key that a kind of recipe may have, by section; those of `data` are of each of its entries. None at all where the
/// type that it is read as refuses keys by itself.
pub type Keys = &'static [(&'static str, &'static [&'static str])];

/// Sections that every recipe has.
pub(super) const OPTIMIZER: (&str, &[&str]) =
    ("optimizer", &["learning_rate", "beta1", "beta2", "eps", "weight_decay", "clip"]);
pub(super) const SCHEDULE: (&str, &[&str]) =
    ("schedule", &["kind", "warmup_steps", "warmup_share", "min_share", "decay_share"]);
pub(super) const LOSS: (&str, &[&str]) = ("loss", &["z_loss", "on_nan", "on_leap", "leap"]);

/// The place of every key that was said, by its dotted name.
#[derive(Clone, Debug)]
pub struct KeyPositions {
    keys: Keys,
    places: BTreeMap<String, String>,
}

impl KeyPositions {
    pub(super) fn new(keys: Keys) -> KeyPositions {
        KeyPositions { keys, places: BTreeMap::new() }
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys
    }

    /// Notes the keys of a recipe's text, with their lines.
    pub(super) fn note_text(&mut self, text: &str, table: &DeTable<'_>, path: &Path) -> Result<(), Error> {
        self.note("", table, path, &|span| format!("line {}", line(text, &span)))
    }

    /// Notes the keys of an override.
    pub(super) fn note_override(
        &mut self,
        said: &str,
        table: &DeTable<'_>,
        path: &Path,
    ) -> Result<(), Error> {
        self.note("", table, path, &|_| format!("--set {said}"))
    }

    /// An error about a key, with the place where it was said.
    pub fn wrong(&self, path: &Path, key: &str, fact: impl Into<String>) -> Error {
        let place = self.places.get(key).cloned().unwrap_or_default();
        Error::Recipe { path: path.to_owned(), place, fact: fact.into() }
    }

    fn note(
        &mut self,
        section: &str,
        table: &DeTable<'_>,
        path: &Path,
        place: &dyn Fn(Range<usize>) -> String,
    ) -> Result<(), Error> {
        for (key, value) in table {
            let dotted = match section {
                "" => key.get_ref().to_string(),
                section => format!("{section}.{}", key.get_ref()),
            };
            let place_of_key = place(key.span());
            if !self.keys.is_empty() && !known(self.keys, section, key.get_ref()) {
                let fact = match nearest(self.keys, &dotted) {
                    Some(near) => format!("`{}` is no key of a recipe; `{near}` is", dotted.escape_debug()),
                    None => format!("`{}` is no key of a recipe", dotted.escape_debug()),
                };
                return Err(Error::Recipe { path: path.to_owned(), place: place_of_key, fact });
            }
            self.places.insert(dotted.clone(), place_of_key);
            for table in tables(value) {
                self.note(&dotted, table, path, place)?;
            }
        }
        Ok(())
    }
}

/// The tables in a value: itself, or those of an array.
fn tables<'v, 'i>(value: &'v Spanned<DeValue<'i>>) -> Vec<&'v DeTable<'i>> {
    match value.get_ref() {
        DeValue::Table(table) => vec![table],
        DeValue::Array(array) => array.iter().filter_map(|value| value.get_ref().as_table()).collect(),
        _ => Vec::new(),
    }
}

fn known(keys: Keys, section: &str, key: &str) -> bool {
    keys.iter().any(|(name, keys)| *name == section && keys.contains(&key))
}

/// The key that was probably meant: the most alike by whole dotted name, or by its last part.
pub fn nearest(keys: Keys, dotted: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let names = keys.iter().flat_map(|(section, keys)| {
        keys.iter()
            .map(move |key| if section.is_empty() { (*key).to_owned() } else { format!("{section}.{key}") })
    });
    let likeness = |name: &str| {
        let whole = strsim::jaro_winkler(dotted, name);
        whole.max(strsim::jaro_winkler(&last(dotted), &last(name)))
    };
    names
        .map(|name| (likeness(&name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The number of the line on which a span begins, from 1.
pub(super) fn line(text: &str, span: &Range<usize>) -> usize {
    1 + text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        for (said, meant) in [
            ("stepz", "steps"),
            ("optimizer.lerning_rate", "optimizer.learning_rate"),
            ("learning_rate", "optimizer.learning_rate"),
            ("model.layers", "model.num_layers"),
            ("checkpoint_evry", "checkpoint_every"),
        ] {
            assert_eq!(nearest(super::super::pretrain::KEYS, said).as_deref(), Some(meant));
        }
        assert_eq!(nearest(super::super::pretrain::KEYS, "zzz"), None);
    }
}
