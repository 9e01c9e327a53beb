//! A recipe's text and its overrides, read strictly and put together.

use super::finetune::is_own;
use super::keys::{KeyPositions, Keys, line};
use super::words::plain;
use crate::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::de::{DeTable, DeValue, Deserializer};
use toml::{Spanned, Table};

/// What a person says: a recipe, or the table of a longer one that is a recipe, and what they say otherwise.
#[derive(Clone, Copy, Debug)]
pub struct RecipeText<'s> {
    /// The text, TOML.
    pub text: &'s str,
    /// What messages call it.
    pub path: &'s Path,
    /// The table of it that is meant; the whole text where not given.
    pub table: Option<&'s str>,
    /// `key=value` with dotted keys, the last of a key counting. Where a table is meant those that begin with its name
    /// count, and no others.
    pub overrides: &'s [String],
}

impl<'s> RecipeText<'s> {
    /// The same, of the table `name`.
    pub fn table(self, name: &'s str) -> RecipeText<'s> {
        RecipeText { table: Some(name), ..self }
    }

    fn damaged(&self, e: &toml::de::Error) -> Error {
        Error::Recipe {
            path: self.path.to_owned(),
            place: e.span().map_or_else(String::new, |span| format!("line {}", line(self.text, &span))),
            fact: plain(e.message()),
        }
    }

    /// The text's table, or the one in it that is meant; an empty one where that is not there.
    fn parsed(&self) -> Result<Spanned<DeTable<'s>>, Error> {
        let mut whole = DeTable::parse(self.text).map_err(|e| self.damaged(&e))?;
        let Some(name) = self.table else { return Ok(whole) };
        let Some(value) = whole.get_mut().remove(name) else { return Ok(Spanned::new(0..0, DeTable::new())) };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Ok(Spanned::new(span, table)),
            _ => Err(Error::Recipe {
                path: self.path.to_owned(),
                place: format!("line {}", line(self.text, &span)),
                fact: format!("`{name}` is to be a table, [{name}]"),
            }),
        }
    }
}

/// Reads what is said as an `F`, whose keys are `keys`; [`KeyPositions`] knows where each was said. Of keys in a group of
/// `rivals` one that an override says replaces those of the text.
///
/// # Errors
/// The text is no TOML, has another key or a value of another type.
pub fn read<F: DeserializeOwned>(
    said: &RecipeText<'_>,
    keys: Keys,
    rivals: &[&[&str]],
) -> Result<(F, KeyPositions), Error> {
    let damaged = |e: toml::de::Error| said.damaged(&e);
    let mut places = KeyPositions::new(keys);
    let parsed = said.parsed()?;
    places.note_text(said.text, parsed.get_ref(), said.path).map_err(|e| {
        match said.table.is_none().then(|| other_verb(parsed.get_ref(), keys)).flatten() {
            Some(verb) => {
                let fact = format!("this is a recipe of `sai {verb}`");
                Error::Recipe { path: said.path.to_owned(), place: String::new(), fact }
            }
            None => e,
        }
    })?;
    // Types are checked in the text alone, where they have lines.
    F::deserialize(Deserializer::from(parsed.clone())).map_err(damaged)?;
    let mut table = Table::deserialize(Deserializer::from(parsed)).map_err(damaged)?;
    let mut over = Vec::new();
    for whole in said.overrides {
        let inner = match said.table {
            None => Some(whole.as_str()),
            Some(name) => whole.trim_start().strip_prefix(name).and_then(|rest| rest.strip_prefix('.')),
        };
        if let Some(inner) = inner {
            over.push((whole, overriding::<F>(whole, inner, said.path, &mut places)?));
        }
    }
    for (_, one) in &over {
        for group in rivals {
            if let Some(said) = group.iter().find(|key| get(one, key).is_some()) {
                group.iter().filter(|key| key != &said).for_each(|key| remove(&mut table, key));
            }
        }
    }
    let text = table.clone();
    over.iter().for_each(|(_, one)| merge(&mut table, one.clone()));
    let recipe = table.try_into().map_err(|e| blamed::<F>(said, text, over).unwrap_or_else(|| damaged(e)))?;
    Ok((recipe, places))
}

/// Of several overrides that make a recipe wrong, the first that the text and those before it do not take.
fn blamed<F: DeserializeOwned>(
    said: &RecipeText<'_>,
    mut table: Table,
    over: Vec<(&String, Table)>,
) -> Option<Error> {
    over.into_iter().find_map(|(whole, one)| {
        merge(&mut table, one);
        let e = table.clone().try_into::<F>().err()?;
        let place = format!("--set {whole}");
        Some(Error::Recipe { path: said.path.to_owned(), place, fact: plain(e.message()) })
    })
}

/// The verb whose recipe a text is, where it is not the one that `keys` are of.
fn other_verb(recipe: &DeTable<'_>, keys: Keys) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|&name| recipe.contains_key(name));
    if has(&["sample", "pretrain", "finetune", "evaluate", "card"]) {
        return Some("make");
    }
    let finetunes =
        keys.iter().any(|(section, keys)| section.is_empty() && keys.iter().any(|key| is_own(key)));
    if !finetunes {
        return recipe.keys().any(|key| is_own(key.get_ref())).then_some("finetune");
    }
    let model = recipe.get("model").and_then(|model| model.get_ref().as_table());
    model.is_some_and(|model| model.contains_key("hidden_size")).then_some("pretrain")
}

/// The table that an override `key=value` is, which was said as `said`. A value that is no TOML is a string.
fn overriding<F: DeserializeOwned>(
    said: &str,
    inner: &str,
    path: &Path,
    places: &mut KeyPositions,
) -> Result<Table, Error> {
    let wrong = |fact: String| Error::Recipe { path: path.to_owned(), place: format!("--set {said}"), fact };
    let Some((key, value)) = inner.split_once('=') else {
        return Err(wrong("an override is key=value".to_owned()));
    };
    let (key, value) = (key.trim(), value.trim());
    let quoted = toml::Value::String(value.to_owned());
    let text = [format!("{key} = {value}"), format!("{key} = {quoted}")];
    let Some(text) =
        text.iter().find(|text| toml::from_str::<Table>(text).is_ok_and(|table| table.len() == 1))
    else {
        return Err(wrong("an override is key=value, with a dotted key such as model.num_layers".to_owned()));
    };
    let damaged = |e: toml::de::Error| wrong(plain(e.message()));
    places.note_override(said, DeTable::parse(text).map_err(damaged)?.get_ref(), path)?;
    if !places.keys().is_empty() {
        toml::from_str::<F>(text).map_err(damaged)?;
    }
    toml::from_str(text).map_err(damaged)
}

/// The value of a dotted key.
fn get<'t>(table: &'t Table, key: &str) -> Option<&'t toml::Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, key)) => get(table.get(section)?.as_table()?, key),
    }
}

fn remove(table: &mut Table, key: &str) {
    match key.split_once('.') {
        None => drop(table.remove(key)),
        Some((section, key)) => {
            if let Some(table) = table.get_mut(section).and_then(toml::Value::as_table_mut) {
                remove(table, key);
            }
        }
    }
}

/// Puts what is said over what is there, table by table.
fn merge(there: &mut Table, said: Table) {
    for (key, value) in said {
        match (there.get_mut(&key), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(said)) if key != "data" => {
                merge(there, said);
            }
            (_, value) => drop(there.insert(key, value)),
        }
    }
}
