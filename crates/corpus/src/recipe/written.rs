//! Values of a recipe as people write them: sizes with units, names of formats, switches.

use sai_cleaning::minhash::MinHashOptions;
use sai_documents::{Amount, WrittenAs};
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn maybe_minhash<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MinHashOptions>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Switch(bool),
        Options(serde_json::Map<String, serde_json::Value>),
        None,
    }
    match Written::deserialize(from)? {
        Written::Switch(false) | Written::None => Ok(None),
        Written::Switch(true) => Ok(Some(MinHashOptions::default())),
        Written::Options(table) => serde_json::from_value(table.into())
            .map(Some)
            .map_err(|e| serde::de::Error::custom(format!("minhash: {e}"))),
    }
}

/// A number of bytes, as people write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

pub(super) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let wrong = |said: &str| {
        serde::de::Error::custom(format!(
            "{said} is no number of bytes; give one such as \"16MB\" or \"1GiB\""
        ))
    };
    match Written::deserialize(from).map_err(|_| wrong("it"))? {
        Written::Number(number) if number > 0 => Ok(number),
        Written::Number(number) => Err(wrong(&number.to_string())),
        Written::Text(text) => match Amount::parse(&text) {
            Some(Amount::Bytes(number) | Amount::Count(number)) if number > 0 => Ok(number),
            _ => Err(wrong(&format!("{text:?}"))),
        },
    }
}

pub(super) fn maybe_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    bytes(from).map(Some)
}

pub(super) fn say_bytes<S: Serializer>(bytes: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(*bytes)
}

pub(super) fn say_maybe<S: Serializer>(bytes: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(bytes.unwrap_or_default())
}

pub(super) fn written_as<'de, D: Deserializer<'de>>(from: D) -> Result<WrittenAs, D::Error> {
    match String::deserialize(from)?.as_str() {
        "jsonl.zst" => Ok(WrittenAs::JsonlZst),
        "parquet" => Ok(WrittenAs::Parquet),
        other => Err(serde::de::Error::custom(format!(
            "`{other}` is not written; \"jsonl.zst\" and \"parquet\" are"
        ))),
    }
}

pub(super) fn say_written_as<S: Serializer>(format: &WrittenAs, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(format.extension())
}
