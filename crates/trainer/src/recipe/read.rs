//! A recipe's text and its overrides, read strictly and put together.

use super::keys::{Keys, Places, line};
use crate::Error;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::Table;
use toml::de::DeTable;

/// Reads a text and its overrides as an `F`, whose keys are `keys`. Of keys in a group of `rivals` one that an override
/// says replaces those of the text.
pub(super) fn read<F: DeserializeOwned>(
    text: &str,
    path: &Path,
    overrides: &[String],
    keys: Keys,
    rivals: &[&[&str]],
) -> Result<(F, Places), Error> {
    let damaged = |e: toml::de::Error| Error::Recipe {
        path: path.to_owned(),
        place: e.span().map_or_else(String::new, |span| format!("line {}", line(text, &span))),
        fact: first_line(e.message()),
    };
    let mut places = Places::new(keys);
    places.note_text(text, DeTable::parse(text).map_err(damaged)?.get_ref(), path)?;
    // Types are checked in the text alone, where they have lines.
    toml::from_str::<F>(text).map_err(damaged)?;
    let mut table: Table = toml::from_str(text).map_err(damaged)?;
    let said = overrides
        .iter()
        .map(|said| overriding::<F>(said, path, &mut places))
        .collect::<Result<Vec<_>, _>>()?;
    for said in &said {
        for group in rivals {
            if let Some(one) = group.iter().find(|key| get(said, key).is_some()) {
                group.iter().filter(|key| key != &one).for_each(|key| remove(&mut table, key));
            }
        }
    }
    for said in said {
        merge(&mut table, said);
    }
    Ok((table.try_into().map_err(damaged)?, places))
}

/// The table that an override `key=value` is. A value that is no TOML is a string.
fn overriding<F: DeserializeOwned>(said: &str, path: &Path, places: &mut Places) -> Result<Table, Error> {
    let wrong = |fact: String| Error::Recipe { path: path.to_owned(), place: format!("--set {said}"), fact };
    let Some((key, value)) = said.split_once('=') else {
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
    let damaged = |e: toml::de::Error| wrong(first_line(e.message()));
    places.note_override(said, DeTable::parse(text).map_err(damaged)?.get_ref(), path)?;
    toml::from_str::<F>(text).map_err(damaged)?;
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

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}
