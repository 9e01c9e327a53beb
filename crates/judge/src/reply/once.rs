//! JSON in which no name is there twice.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Why a text is no JSON here.
pub(super) enum Parsed {
    /// A name is there twice; which.
    Twice(String),
    /// It is none.
    Other,
}

/// JSON in which no name is there twice: of two scores under one name a parser takes the last, and nobody hears of the other.
pub(super) fn parse(text: &str) -> Result<Value, Parsed> {
    const MARK: &str = "twice: ";
    let read: Result<Once, _> = serde_json::from_str(text);
    read.map(|once| once.0).map_err(|e| {
        let fact = e.to_string();
        match fact.strip_prefix(MARK) {
            Some(rest) => Parsed::Twice(rest.split(" at line").next().unwrap_or_default().to_owned()),
            None => Parsed::Other,
        }
    })
}

struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Once(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Once, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let Once(value) = entries.next_value()?;
            if object.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format_args!("twice: {name}")));
            }
        }
        Ok(Once(Value::Object(object)))
    }
}
