//! A model behind HTTP: OpenAI's chat completions, which most services and servers speak, or Google's Gemini.
//!
//! The key goes into one header and nowhere else. Whatever a service says passes [`Key::hide`] before it reaches a journal, an
//! error or a report, for some repeat the key in their refusals.

mod gemini;
mod openai;

use crate::Error;
use crate::chat::{ChatError, ChatModel, ChatRequest, Finish, Reply, Usage};
use crate::retry::{Gate, RetryPolicy, may_pass, retry_after};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use ureq::http::header::RETRY_AFTER;
use ureq::tls::{RootCerts, TlsConfig};

/// Longest answer that is read.
const LONGEST: u64 = 32 << 20;
/// Bytes of the shortest key that is hidden in answers; what is shorter, such as the `none` that local servers take, may be a word
/// of them.
const SHORTEST_KEY: usize = 16;
/// Longest explanation of a refusal that is shown.
const SHOWN: usize = 300;
/// What a hosted model is taken to do before it is known: seconds to the first token, tokens a second to read and to write.
const FIRST_TOKEN: f64 = 1.0;
const READS: f64 = 2000.0;
const WRITES: f64 = 60.0;

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `POST {url}/chat/completions`, as OpenAI defined it.
    OpenAi,
    /// `POST {url}/models/{name}:generateContent`, as Google has it.
    Gemini,
}

/// Where Gemini is, where nothing else is said.
pub const GEMINI_URL: &str = "https://generativelanguage.googleapis.com/v1beta";

/// A secret. It has no `Debug` of its own text, and is in no message.
#[derive(Clone, Default)]
pub struct Key(Option<String>);

impl Key {
    /// A key, or none for a service that wants none.
    pub fn new(key: Option<String>) -> Key {
        Key(key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()))
    }

    /// A text in which the key, if it is there, is not.
    pub fn hide(&self, text: &str) -> String {
        match &self.0 {
            Some(key) => text.replace(key.as_str(), "[key]"),
            None => text.to_owned(),
        }
    }

    /// Hides the key in each text of a JSON value, however it was escaped.
    fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(of) => of.iter_mut().for_each(|value| self.hide_in(value)),
            Value::Object(of) => {
                let hidden = |(name, mut value): (String, Value)| {
                    self.hide_in(&mut value);
                    (self.hide(&name), value)
                };
                *of = std::mem::take(of).into_iter().map(hidden).collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether it is long enough to be no word of an answer.
    fn is_long(&self) -> bool {
        self.0.as_ref().is_some_and(|key| key.len() >= SHORTEST_KEY)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Key([key])" } else { "Key(none)" })
    }
}

/// How to reach a model.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// The model's name as the service knows it, and what it is called here.
    pub name: String,
    /// The service's address.
    pub url: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What it is shown.
    pub key: Key,
    /// Seconds that an answer may take.
    pub timeout: Duration,
    /// When to ask again.
    pub retry: RetryPolicy,
    /// Certificates that are trusted.
    pub roots: RootCerts,
}

/// A model behind HTTP.
pub struct ApiModel {
    options: ApiOptions,
    agent: ureq::Agent,
    gate: Gate,
    chance: Mutex<ChaCha8Rng>,
    /// What the service was found not to take: a bit each of [`Dialect`]'s.
    left_out: AtomicUsize,
    /// Requests that were answered.
    answered: AtomicUsize,
    /// Of answers that could not be read, until they are booked.
    unread: Mutex<Usage>,
}

/// What of a request a service may not know; it is told by its refusal, and left out from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect(usize);

impl Dialect {
    /// A JSON schema for the answer.
    pub(crate) const SCHEMA: usize = 1;
    /// `response_format` at all.
    pub(crate) const FORMAT: usize = 2;
    /// A temperature.
    pub(crate) const TEMPERATURE: usize = 4;
    /// `max_tokens`; it is `max_completion_tokens` then.
    pub(crate) const MAX_TOKENS: usize = 8;
    /// A seed.
    pub(crate) const SEED: usize = 16;

    pub(crate) fn takes(self, part: usize) -> bool {
        self.0 & part == 0
    }

    /// What a refusal says is not known, where that can be left out.
    fn refused_by(self, fact: &str, with_schema: bool) -> Option<usize> {
        let fact = fact.to_ascii_lowercase();
        let says = |word: &str| fact.contains(word);
        if self.takes(Dialect::MAX_TOKENS) && says("max_completion_tokens") {
            return Some(Dialect::MAX_TOKENS);
        }
        let of_format = [
            "response_format",
            "json_schema",
            "responseschema",
            "response_schema",
            "response_mime",
            "responsemime",
        ];
        if with_schema && of_format.iter().any(|word| says(word)) {
            let next = if self.takes(Dialect::SCHEMA) { Dialect::SCHEMA } else { Dialect::FORMAT };
            return self.takes(next).then_some(next);
        }
        if self.takes(Dialect::TEMPERATURE) && says("temperature") {
            return Some(Dialect::TEMPERATURE);
        }
        (self.takes(Dialect::SEED) && says("seed")).then_some(Dialect::SEED)
    }
}

/// What came of one request.
enum Outcome {
    Reply(Reply),
    /// It may pass; the service's wait, and what went wrong.
    Again(Option<Duration>, String),
    /// This request is refused: the status, and what was said.
    Refused(u16, String),
}

impl ApiModel {
    /// Makes ready to ask. Nothing is sent.
    ///
    /// # Errors
    /// The address is none, or has a key in it.
    pub fn new(options: ApiOptions) -> Result<ApiModel, Error> {
        let wrong = |fact: &str| Error::Model { name: options.name.clone(), fact: fact.to_owned() };
        let url = options.url.trim_end_matches('/').to_owned();
        let rest = url.strip_prefix("http://").or(url.strip_prefix("https://"));
        let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
            return Err(wrong(
                "its address is none; it is NAME=URL, as in gpt-4o-mini=https://api.openai.com/v1",
            ));
        };
        let host = rest.split('/').next().unwrap_or_default();
        if host.contains('@') || url.contains('?') || url.contains('#') {
            return Err(wrong(
                "its address has a password or a key in it, which journals and reports would show; give the key with --key-env",
            ));
        }
        let key = &options.key.0;
        if key.as_ref().is_some_and(|key| !key.chars().all(|c| c.is_ascii_graphic())) {
            return Err(wrong(
                "the key has a blank, a line end or a letter that is not ASCII in it; was it copied whole?",
            ));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(options.roots.clone()).build())
            // A key is for the address that it was given for.
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(options.timeout))
            .user_agent(concat!("sai/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(ApiModel {
            agent: config.into(),
            gate: Gate::default(),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(0)),
            left_out: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            unread: Mutex::default(),
            options: ApiOptions { url, ..options },
        })
    }

    /// What of the requests the service did not take, in words; empty where it took all.
    pub fn left_out(&self) -> Vec<&'static str> {
        let dialect = Dialect(self.left_out.load(Ordering::Relaxed));
        [
            (Dialect::SCHEMA, "a JSON schema"),
            (Dialect::FORMAT, "response_format"),
            (Dialect::TEMPERATURE, "a temperature"),
            (Dialect::MAX_TOKENS, "max_tokens (max_completion_tokens was sent)"),
            (Dialect::SEED, "a seed"),
        ]
        .into_iter()
        .filter(|(part, _)| !dialect.takes(*part))
        .map(|(_, words)| words)
        .collect()
    }

    fn once(&self, asked: &ChatRequest, dialect: Dialect) -> Outcome {
        let ApiOptions { name, url, protocol, key, .. } = &self.options;
        let (url, body) = match protocol {
            Protocol::OpenAi => (openai::url(url), openai::body(name, asked, dialect)),
            Protocol::Gemini => {
                (format!("{url}/models/{name}:generateContent"), gemini::body(asked, dialect))
            }
        };
        let mut request = self.agent.post(&url).header("content-type", "application/json");
        if let Some(key) = &key.0 {
            request = match protocol {
                Protocol::OpenAi => request.header("authorization", format!("Bearer {key}")),
                Protocol::Gemini => request.header("x-goog-api-key", key),
            };
        }
        let began = Instant::now();
        let mut response = match request.send(body.to_string()) {
            Ok(response) => response,
            Err(e) => return Outcome::Again(None, key.hide(&connection(&e, self.options.timeout))),
        };
        let status = response.status().as_u16();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| retry_after(value, SystemTime::now()));
        let text = match response.body_mut().with_config().limit(LONGEST).read_to_vec() {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if may_pass(status) || status == 200 => {
                return Outcome::Again(wait, format!("the answer broke off ({e})"));
            }
            Err(e) => return Outcome::Refused(status, e.to_string()),
        };
        let mut raw: Option<Value> = serde_json::from_str(&text).ok();
        if let Some(raw) = &mut raw
            && (status != 200 || key.is_long())
        {
            key.hide_in(raw);
        }
        if status == 200 {
            let usage = raw.as_ref().map_or_else(Usage::default, |raw| match protocol {
                Protocol::OpenAi => openai::usage(raw),
                Protocol::Gemini => gemini::usage(raw),
            });
            let read = match (raw, protocol) {
                (None, _) => Err(format!("the answer is no JSON: {}", shown(&key.hide(&text)))),
                (Some(raw), Protocol::OpenAi) => openai::reply(raw),
                (Some(raw), Protocol::Gemini) => gemini::reply(raw),
            };
            return match read {
                Ok(reply) => Outcome::Reply(Reply { seconds: began.elapsed().as_secs_f64(), ..reply }),
                Err(fact) => {
                    let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
                    unread.prompt_tokens = unread.prompt_tokens.saturating_add(usage.prompt_tokens);
                    unread.completion_tokens =
                        unread.completion_tokens.saturating_add(usage.completion_tokens);
                    Outcome::Again(wait, fact)
                }
            };
        }
        let fact = match &raw {
            Some(raw) => shown(&said(raw).unwrap_or_else(|| raw.to_string())),
            None => shown(&key.hide(&text)),
        };
        // A quota that is spent does not come back by waiting.
        let spent = raw.as_ref().is_some_and(|raw| raw["error"]["code"] == "insufficient_quota");
        match may_pass(status) && !spent {
            true => Outcome::Again(wait, format!("{status} {fact}")),
            false => Outcome::Refused(status, fact),
        }
    }

    fn fatal(&self, fact: String) -> ChatError {
        ChatError::Fatal(Error::Model { name: self.options.name.clone(), fact })
    }
}

/// What a service says in its refusal.
fn said(raw: &Value) -> Option<String> {
    let error = &raw["error"];
    let text =
        error["message"].as_str().or(error.as_str()).or(raw["message"].as_str()).or(raw["detail"].as_str())?;
    Some(text.to_owned())
}

/// The beginning of a text, in one line.
fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no reason given".to_owned(),
        None => line,
    }
}

fn connection(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::HostNotFound => "its name does not resolve".to_owned(),
        ureq::Error::Timeout(_) => format!("no answer in {} s", timeout.as_secs_f64()),
        ureq::Error::Io(e) => e.to_string(),
        e => e.to_string(),
    }
}

impl ChatModel for ApiModel {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn identity(&self) -> String {
        format!("{} {}", self.options.url, self.options.name)
    }

    fn ask(&self, asked: &ChatRequest, stop: &AtomicBool) -> Result<Reply, ChatError> {
        let retry = self.options.retry;
        let mut failed = 0;
        loop {
            if !self.gate.pass(stop) {
                return Err(ChatError::Stopped);
            }
            let dialect = Dialect(self.left_out.load(Ordering::Relaxed));
            match self.once(asked, dialect) {
                Outcome::Reply(reply) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return Ok(reply);
                }
                Outcome::Refused(status @ (400 | 422), fact) => {
                    if let Some(part) = dialect.refused_by(&fact, asked.schema.is_some()) {
                        self.left_out.fetch_or(part, Ordering::Relaxed);
                        continue;
                    }
                    // The first to be refused shows that nothing can be asked so; a later one is refused for what it says.
                    return match self.answered.load(Ordering::Relaxed) {
                        0 => Err(self.fatal(format!("{} refuses: {status} {fact}", self.options.url))),
                        _ => {
                            Ok(Reply { finish: Finish::Refused, ..Reply::plain(format!("{status} {fact}")) })
                        }
                    };
                }
                Outcome::Refused(status @ 413, fact) => {
                    return Ok(Reply { finish: Finish::Refused, ..Reply::plain(format!("{status} {fact}")) });
                }
                Outcome::Refused(status, fact) => {
                    let way = match status {
                        401 | 403 => "; is the key right? Name the variable that has it with --key-env",
                        404 => "; are the address and the model's name right?",
                        300..=399 => "; give the address that it leads to, if you trust it with the key",
                        _ => "",
                    };
                    return Err(self.fatal(format!("{} refuses: {status} {fact}{way}", self.options.url)));
                }
                Outcome::Again(asked, fact) => {
                    failed += 1;
                    let chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner).next_u32();
                    match retry.wait(failed, asked, f64::from(chance) / f64::from(u32::MAX)) {
                        None if asked.is_some_and(|asked| asked > retry.patience) => {
                            let wait = asked.unwrap_or_default().as_secs();
                            return Err(
                                self.fatal(format!("{fact}; it asks to wait for {wait} s, come back then"))
                            );
                        }
                        None => return Err(ChatError::Failed(format!("{fact} ({failed} times)"))),
                        // A service that says when speaks for all requests.
                        Some(wait) if asked.is_some() => self.gate.close(wait),
                        Some(wait) => {
                            let own = Gate::default();
                            own.close(wait);
                            if !own.pass(stop) {
                                return Err(ChatError::Stopped);
                            }
                        }
                    }
                }
            }
        }
    }

    fn seconds(&self, prompt_tokens: f64, completion_tokens: f64) -> f64 {
        FIRST_TOKEN + prompt_tokens / READS + completion_tokens / WRITES
    }

    fn is_paid(&self) -> bool {
        true
    }

    fn take_unread(&self) -> Usage {
        std::mem::take(&mut *self.unread.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
