//! The keys of a `config.json`, several of which may mean the same.

use crate::Error;
use sai_formats::json;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// An object of the file.
pub(super) struct Keys<'p> {
    path: &'p Path,
    /// Names of the objects that it lies in, each with a dot after it.
    place: String,
    fields: Map<String, Value>,
}

impl<'p> Keys<'p> {
    pub(super) fn parse(text: &str, path: &'p Path) -> Result<Keys<'p>, Error> {
        match json::read(text.as_bytes()) {
            Ok(fields) => Ok(Keys { path, place: String::new(), fields }),
            Err(e) => Err(Error::Config {
                path: PathBuf::from(path),
                fact: format!("is not a model's configuration: {e}"),
            }),
        }
    }

    pub(super) fn wrong(&self, fact: String) -> Error {
        Error::Config { path: PathBuf::from(self.path), fact }
    }

    pub(super) fn lacks(&self, name: &str) -> Error {
        self.wrong(format!("is not a model's configuration: `{}{name}` is missing", self.place))
    }

    /// The first of these keys that says something.
    fn first<T: DeserializeOwned>(&self, names: &[&str]) -> Result<Option<T>, Error> {
        let said = names.iter().find_map(|name| Some((name, self.value(name)?)));
        said.map(|(name, value)| self.read(name, value)).transpose()
    }

    fn read<T: DeserializeOwned>(&self, name: &str, value: &Value) -> Result<T, Error> {
        json::of(value).map_err(|e| {
            let (fact, place) = (e.to_string(), &self.place);
            self.wrong(match (fact.strip_prefix("it "), fact.strip_prefix("`[")) {
                (Some(is), _) => format!("`{place}{name}` {is}"),
                (None, Some(element)) => format!("`{place}{name}[{element}"),
                (None, None) => format!("{fact} (in `{place}{name}`)"),
            })
        })
    }

    /// Whether the file has any of these keys, null or not.
    pub(super) fn names_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.fields.contains_key(*name))
    }

    pub(super) fn number(&self, names: &[&str]) -> Result<Option<usize>, Error> {
        self.first(names)
    }

    pub(super) fn required(&self, names: &[&str]) -> Result<usize, Error> {
        match names.iter().find_map(|name| Some((name, self.fields.get(*name)?))) {
            // What is null is said to be so, and not to be missing.
            Some((name, Value::Null)) if self.number(names)?.is_none() => self.read(name, &Value::Null),
            _ => self.number(names)?.ok_or_else(|| self.lacks(names[0])),
        }
    }

    pub(super) fn float(&self, names: &[&str]) -> Result<Option<f64>, Error> {
        self.first(names)
    }

    pub(super) fn flag(&self, names: &[&str]) -> Result<Option<bool>, Error> {
        self.first(names)
    }

    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, Error> {
        self.first(names)
    }

    pub(super) fn required_text(&self, name: &str) -> Result<String, Error> {
        self.text(&[name])?.ok_or_else(|| self.lacks(name))
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        self.first(&[name])
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Option<Vec<usize>>, Error> {
        self.first(&[name])
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>, Error> {
        self.first(&[name])
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn inner(&self, name: &str) -> String {
        format!("{}{name}.", self.place)
    }

    /// The object of this name, or else this one.
    pub(super) fn within(self, name: &str) -> Result<Keys<'p>, Error> {
        match self.first::<Map<String, Value>>(&[name])? {
            Some(fields) => Ok(Keys { path: self.path, place: self.inner(name), fields }),
            None => Ok(self),
        }
    }

    /// With these where they are silent.
    pub(super) fn or(mut self, defaults: &[(&str, usize)]) -> Keys<'p> {
        for (name, value) in defaults {
            if self.value(name).is_none() {
                self.fields.insert((*name).to_owned(), Value::from(*value));
            }
        }
        self
    }

    /// The object of this name, or else an empty one.
    pub(super) fn optional_within(&self, name: &str) -> Result<Keys<'p>, Error> {
        let fields = self.first::<Map<String, Value>>(&[name])?.unwrap_or_default();
        Ok(Keys { path: self.path, place: self.inner(name), fields })
    }

    /// Refuses a file in which one of these keys says something, in the words beside it.
    pub(super) fn refuse(&self, refused: &[(&str, &str)]) -> Result<(), Error> {
        for (name, fact) in refused {
            let says = match self.value(name) {
                None | Some(Value::Bool(false)) => false,
                Some(Value::Number(n)) => n.as_f64() != Some(0.0),
                Some(_) => true,
            };
            if says {
                return Err(self.wrong(format!("{fact} (`{name}`), which sai does not run")));
            }
        }
        Ok(())
    }
}
