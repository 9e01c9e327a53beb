//! What chat and completions have in common of a request, held to its ranges and made the engine's.

use crate::error::ApiError;
use crate::registry::Loaded;
use crate::wire::{ResponseFormat, StreamOptions, Strings, StructuredOutputs};
use rand_chacha::rand_core::{Rng, SeedableRng};
use sai_generation::{Grammar, Request, Sampling};
use serde_json::Value;
use std::collections::BTreeMap;

/// Answers to a prompt at most.
const MOST_ANSWERS: usize = 128;
/// Stop strings at most, and their bytes.
const STOPS: (usize, usize) = (16, 1024);
/// Of the likeliest tokens, at most so many are told.
pub(crate) const MOST_CANDIDATES: usize = 20;
/// Characters of a salt at most.
const LONGEST_SALT: usize = 256;

/// The fields of a request that say how tokens are chosen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) n: Option<usize>,
    pub(crate) seed: Option<i64>,
    pub(crate) stop: Option<Strings>,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_p: Option<f32>,
    pub(crate) top_k: Option<i64>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
    pub(crate) presence_penalty: Option<f32>,
    pub(crate) frequency_penalty: Option<f32>,
    pub(crate) logit_bias: Option<BTreeMap<String, f32>>,
    pub(crate) cache_salt: Option<String>,
}

impl Settings {
    /// Answers that are wanted to a prompt.
    pub(crate) fn answers(&self) -> Result<usize, ApiError> {
        let n = self.n.unwrap_or(1);
        match n {
            1..=MOST_ANSWERS => Ok(n),
            _ => Err(ApiError::field("n", format!("is {n}; give 1 to {MOST_ANSWERS}"))),
        }
    }

    /// As the engine takes it. What is not said is as the model's makers say it, or else as OpenAI's API has it.
    pub(crate) fn request(&self, loaded: &Loaded, max_new_tokens: usize) -> Result<Request, ApiError> {
        let own = loaded.model.generation_config;
        let sampling = Sampling {
            temperature: within("temperature", self.temperature.or(own.temperature), 1.0, 0.0, 2.0)?,
            top_p: within("top_p", self.top_p.or(own.top_p), 1.0, 0.0, 1.0)?,
            top_k: match self.top_k.or(own.top_k).unwrap_or(0) {
                k @ 0.. => usize::try_from(k).unwrap_or(usize::MAX),
                -1 => 0,
                k => return Err(ApiError::field("top_k", format!("is {k}; give 1 or more, or 0 for all"))),
            },
            min_p: within("min_p", self.min_p.or(own.min_p), 0.0, 0.0, 1.0)?,
            repetition_penalty: match self.repetition_penalty.or(own.repetition_penalty).unwrap_or(1.0) {
                penalty if penalty > 0.0 && penalty.is_finite() => penalty,
                penalty => {
                    let fact = format!("is {penalty}; give more than 0, 1 for none");
                    return Err(ApiError::field("repetition_penalty", fact));
                }
            },
            presence_penalty: within("presence_penalty", self.presence_penalty, 0.0, -2.0, 2.0)?,
            frequency_penalty: within("frequency_penalty", self.frequency_penalty, 0.0, -2.0, 2.0)?,
            logit_bias: self.biases(loaded.model.decoder.config().vocab_size)?,
            seed: self.seed.map_or_else(any_seed, |seed| seed as u64),
        };
        if let Some(salt) = self.cache_salt.as_ref().filter(|salt| salt.len() > LONGEST_SALT) {
            let fact = format!("has {} bytes; give at most {LONGEST_SALT}", salt.len());
            return Err(ApiError::field("cache_salt", fact));
        }
        Ok(Request {
            sampling,
            max_new_tokens,
            stop: self.stops()?,
            cache_salt: self.cache_salt.clone(),
            ..Request::default()
        })
    }

    fn stops(&self) -> Result<Vec<String>, ApiError> {
        let stops = self.stop.clone().map(Strings::into_list).unwrap_or_default();
        if stops.len() > STOPS.0 {
            return Err(ApiError::field(
                "stop",
                format!("has {} strings; give at most {}", stops.len(), STOPS.0),
            ));
        }
        match stops.iter().find(|stop| stop.is_empty() || stop.len() > STOPS.1) {
            Some(stop) => {
                let fact = format!("has a string of {} bytes; give 1 to {}", stop.len(), STOPS.1);
                Err(ApiError::field("stop", fact))
            }
            None => Ok(stops),
        }
    }

    fn biases(&self, vocab_size: usize) -> Result<Vec<(u32, f32)>, ApiError> {
        let count = self.logit_bias.as_ref().map_or(0, |biases| biases.len());
        if count > MOST_BIASES {
            return Err(ApiError::field(
                "logit_bias",
                format!("has {count} tokens; give at most {MOST_BIASES}"),
            ));
        }
        let of = |(id, &bias): (&String, &f32)| {
            let field = format!("logit_bias.{id}");
            let token = id.parse::<u32>().ok().filter(|&token| (token as usize) < vocab_size);
            let token = token.ok_or_else(|| {
                ApiError::field(field.clone(), format!("is no token's id; give 0 to {}", vocab_size - 1))
            })?;
            Ok((token, within(&field, Some(bias), 0.0, -100.0, 100.0)?))
        };
        self.logit_bias.iter().flatten().map(of).collect()
    }
}

/// Entries of `logit_bias` at most, as OpenAI has it.
const MOST_BIASES: usize = 300;

fn within(name: &str, said: Option<f32>, otherwise: f32, least: f32, most: f32) -> Result<f32, ApiError> {
    let value = said.unwrap_or(otherwise);
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(ApiError::field(name, format!("is {value}; give {least} to {most}"))),
    }
}

/// A seed that nobody asked for.
fn any_seed() -> u64 {
    // The standard library keys its hash maps from the system's random numbers.
    let state = std::hash::RandomState::new();
    let seed = std::hash::BuildHasher::hash_one(&state, std::time::Instant::now());
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).next_u64()
}

/// A name that no other answer has.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}-{:016x}{:016x}", any_seed(), any_seed())
}

/// Whether to stream, and whether the usage is told at the end.
pub(crate) fn streamed(
    stream: Option<bool>,
    options: Option<&StreamOptions>,
) -> Result<(bool, bool), ApiError> {
    let stream = stream.unwrap_or(false);
    match options {
        Some(_) if !stream => Err(ApiError::field("stream_options", "wants `stream` to be true")),
        options => Ok((stream, options.and_then(|options| options.include_usage).unwrap_or(false))),
    }
}

/// What the answer must be a text of.
pub(crate) fn grammar(
    format: Option<&ResponseFormat>,
    outputs: Option<&StructuredOutputs>,
) -> Result<Option<Grammar>, ApiError> {
    let of_format = match format {
        None => None,
        Some(format) => {
            match (format.kind.as_str(), format.json_schema.as_ref().and_then(|s| s.schema.as_ref())) {
                ("text", _) => None,
                ("json_object", _) => Some(Grammar::JsonObject),
                ("json_schema", Some(schema)) => {
                    Some(Grammar::JsonSchema(object("response_format.json_schema.schema", schema)?))
                }
                ("json_schema", None) => {
                    return Err(ApiError::field("response_format.json_schema.schema", "is missing"));
                }
                (kind, _) => {
                    let fact = format!("is `{kind}`; give text, json_object or json_schema");
                    return Err(ApiError::field("response_format.type", fact));
                }
            }
        }
    };
    let Some(outputs) = outputs else { return Ok(of_format) };
    let schema = outputs.json.as_ref().map(|schema| object("structured_outputs.json", schema)).transpose()?;
    let choice = outputs.choice.as_ref().filter(|list| !list.is_empty());
    let given = [
        of_format,
        schema.map(Grammar::JsonSchema),
        outputs.json_object.filter(|&wanted| wanted).map(|_| Grammar::JsonObject),
        outputs.regex.clone().map(Grammar::Regex),
        choice.map(|list| Grammar::Lark(format!("start: {}\n", alternatives(list)))),
        outputs.grammar.clone().map(Grammar::Lark),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(Some(one)),
        (None, _) => Err(ApiError::field(
            "structured_outputs",
            "names no form: json, json_object, regex, choice or grammar",
        )),
        (Some(_), Some(_)) => {
            Err(ApiError::field("structured_outputs", "is one of several forms; give one alone"))
        }
    }
}

fn alternatives(list: &[String]) -> String {
    list.iter().map(|one| Value::from(one.as_str()).to_string()).collect::<Vec<_>>().join(" | ")
}

fn object(field: &str, schema: &Value) -> Result<Value, ApiError> {
    match schema {
        Value::Object(_) | Value::Bool(_) => Ok(schema.clone()),
        // Some clients send it as text.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(schema @ Value::Object(_)) => Ok(schema),
            _ => Err(ApiError::field(field, "is no JSON schema")),
        },
        _ => Err(ApiError::field(field, "is no JSON schema")),
    }
}
