//! The metadata of a GGUF file: keys in file order, and getters that name file and key when they fail.

use std::path::Path;
use std::sync::Arc;

use super::overrides::Override;
use super::value::{Array, Value};
use crate::{Error, KeyProblem};

/// What a GGUF file says about its model.
///
/// Typed getters return `None` for a key that is not there, and an error that names file and key for a value of
/// another type. Writers disagree about the width and sign of integers, so an integer getter takes any integer
/// that fits.
#[derive(Clone, Debug)]
pub struct Metadata {
    file: Arc<Path>,
    entries: Vec<(String, Value)>,
    /// Places in `entries`, sorted by key.
    by_key: Vec<usize>,
}

impl Metadata {
    /// Metadata of the given entries; `path` is what messages call the file.
    ///
    /// # Errors
    /// A key is there twice.
    pub fn new(path: &Path, entries: Vec<(String, Value)>) -> Result<Metadata, Error> {
        let mut by_key: Vec<usize> = (0..entries.len()).collect();
        by_key.sort_by(|a, b| entries[*a].0.cmp(&entries[*b].0));
        let twice = by_key.windows(2).find(|p| entries[p[0]].0 == entries[p[1]].0);
        if let Some(pair) = twice {
            return Err(Error::key(path, &entries[pair[0]].0, KeyProblem::Duplicate));
        }
        Ok(Metadata { file: path.into(), entries, by_key })
    }

    /// Says an entry otherwise than the file does, or one that it lacks.
    pub fn set(&mut self, entry: Override) {
        let Override { key, value } = entry;
        match self.by_key.binary_search_by(|i| self.entries[*i].0.cmp(&key)) {
            Ok(at) => self.entries[self.by_key[at]].1 = value,
            Err(at) => {
                self.by_key.insert(at, self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.by_key.binary_search_by(|i| self.entries[*i].0.as_str().cmp(key));
        found.ok().map(|i| &self.entries[self.by_key[i]].1)
    }

    /// Keys and values, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The error to return where a key that a model cannot do without is not there.
    pub fn missing(&self, key: &str) -> Error {
        Error::key(&self.file, key, KeyProblem::Missing)
    }

    /// An integer of at least 0 that fits 32 bits.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.one(key, "an unsigned 32-bit number", |v| u32::try_from(v.as_integer()?).ok())
    }

    /// An integer of at least 0 that fits 64 bits.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.one(key, "an unsigned 64-bit number", |v| u64::try_from(v.as_integer()?).ok())
    }

    /// An integer that fits 64 bits with its sign.
    pub fn i64(&self, key: &str) -> Result<Option<i64>, Error> {
        self.one(key, "a 64-bit number", |v| i64::try_from(v.as_integer()?).ok())
    }

    /// A float; an f64 is rounded.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.one(key, "a float", |v| v.as_float().map(|x| x as f32))
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.one(key, "a boolean", |v| if let Value::Bool(x) = v { Some(*x) } else { None })
    }

    /// A text.
    pub fn str(&self, key: &str) -> Result<Option<&str>, Error> {
        self.one(key, "text", |v| if let Value::String(x) = v { Some(x.as_str()) } else { None })
    }

    /// An array of any type.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, Error> {
        self.one(key, "an array", |v| if let Value::Array(x) = v { Some(x) } else { None })
    }

    /// An array of texts, borrowed from the file.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&str>>, Error> {
        let Some(array) = self.array(key)? else { return Ok(None) };
        let Some(strings) = array.strings() else {
            return Err(self.wrong_type(key, "an array of text"));
        };
        let utf8 = |(i, bytes)| {
            std::str::from_utf8(bytes).map_err(|_| Error::key(&self.file, key, KeyProblem::ElementNotUtf8(i)))
        };
        strings.enumerate().map(utf8).collect::<Result<_, _>>().map(Some)
    }

    /// An array of integers of at least 0 that fit 32 bits.
    pub fn u32s(&self, key: &str) -> Result<Option<Vec<u32>>, Error> {
        self.many(key, "an array of unsigned 32-bit numbers", |v| u32::try_from(v.as_integer()?).ok())
    }

    /// An array of integers that fit 32 bits with their signs.
    pub fn i32s(&self, key: &str) -> Result<Option<Vec<i32>>, Error> {
        self.many(key, "an array of 32-bit numbers", |v| i32::try_from(v.as_integer()?).ok())
    }

    /// An array of floats; f64 are rounded.
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>, Error> {
        self.many(key, "an array of floats", |v| v.as_float().map(|x| x as f32))
    }

    /// An array of booleans.
    pub fn bools(&self, key: &str) -> Result<Option<Vec<bool>>, Error> {
        self.many(key, "an array of booleans", |v| if let Value::Bool(x) = v { Some(*x) } else { None })
    }

    fn one<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        convert(value).map(Some).ok_or_else(|| self.wrong_type(key, expected))
    }

    fn many<T>(
        &self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let array = match self.get(key) {
            None => return Ok(None),
            Some(Value::Array(array)) => array,
            Some(_) => return Err(self.wrong_type(key, expected)),
        };
        let all: Option<Vec<T>> = array.iter().map(|value| convert(&value)).collect();
        all.map(Some).ok_or_else(|| self.wrong_type(key, expected))
    }

    fn wrong_type(&self, key: &str, expected: &'static str) -> Error {
        let found = match self.get(key) {
            Some(Value::String(_)) => "text".to_owned(),
            Some(Value::Array(array)) => format!("an array of {}", array.element().name()),
            Some(value) => format!("{} {value}", value.kind().name()),
            None => "nothing".to_owned(),
        };
        Error::key(&self.file, key, KeyProblem::WrongType { expected, found })
    }
}
