//! The keys of a `config.json`, several of which may mean the same.

use crate::Error;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// An object of the file.
pub(super) struct Keys<'p> {
    path: &'p Path,
    fields: Map<String, Value>,
}

impl<'p> Keys<'p> {
    pub(super) fn parse(text: &str, path: &'p Path) -> Result<Keys<'p>, Error> {
        match serde_json::from_str(text) {
            Ok(fields) => Ok(Keys { path, fields }),
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
        self.wrong(format!("is not a model's configuration: missing field `{name}`"))
    }

    /// The first of these keys that says something.
    fn first<T: DeserializeOwned>(&self, names: &[&str], what: &str) -> Result<Option<T>, Error> {
        for name in names {
            match self.fields.get(*name) {
                None | Some(Value::Null) => {}
                Some(value) => {
                    return serde_json::from_value(value.clone()).map(Some).map_err(|_| {
                        let mut value = value.to_string();
                        value.truncate(value.char_indices().nth(40).map_or(value.len(), |(at, _)| at));
                        self.wrong(format!("`{name}` is {value}; it is to be {what}"))
                    });
                }
            }
        }
        Ok(None)
    }

    /// Whether the file has any of these keys, null or not.
    pub(super) fn names_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.fields.contains_key(*name))
    }

    pub(super) fn number(&self, names: &[&str]) -> Result<Option<usize>, Error> {
        self.first(names, "a whole number")
    }

    pub(super) fn required(&self, names: &[&str]) -> Result<usize, Error> {
        self.number(names)?.ok_or_else(|| self.lacks(names[0]))
    }

    pub(super) fn float(&self, names: &[&str]) -> Result<Option<f64>, Error> {
        self.first(names, "a number")
    }

    pub(super) fn flag(&self, names: &[&str]) -> Result<Option<bool>, Error> {
        self.first(names, "true or false")
    }

    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, Error> {
        self.first(names, "a text")
    }

    pub(super) fn required_text(&self, name: &str) -> Result<String, Error> {
        self.text(&[name])?.ok_or_else(|| self.lacks(name))
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        self.first(&[name], "a list of texts")
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Option<Vec<usize>>, Error> {
        self.first(&[name], "a list of whole numbers")
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>, Error> {
        self.first(&[name], "a list of numbers")
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// The object of this name, or else this one.
    pub(super) fn within(self, name: &str) -> Result<Keys<'p>, Error> {
        match self.first::<Map<String, Value>>(&[name], "an object")? {
            Some(fields) => Ok(Keys { path: self.path, fields }),
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
        let fields = self.first::<Map<String, Value>>(&[name], "an object")?.unwrap_or_default();
        Ok(Keys { path: self.path, fields })
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
