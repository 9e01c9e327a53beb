//! Log-probabilities in the shapes of both endpoints.

use crate::wire::{CompletionLogprobs, TokenLogprob, TopLogprob};
use sai_generation::{Candidate, Step, Tokenizer};
use serde_json::{Map, Value};

/// What stands for the logarithm of nothing: JSON has no infinities.
const FLOOR: f64 = -9999.0;

/// A log-probability as it is written: the same number is the same digits wherever it stands.
fn finite(logprob: f32) -> f64 {
    if logprob.is_finite() { f64::from(logprob) } else { FLOOR }
}

/// A token's text, which may be a part of a character, and its bytes.
fn spelled(tokenizer: &Tokenizer, token: u32) -> (String, Vec<u8>) {
    let bytes = tokenizer.token_bytes(token).unwrap_or_default().into_owned();
    (String::from_utf8_lossy(&bytes).into_owned(), bytes)
}

/// A chosen token, in the shape of chats.
pub(crate) fn of_chat(tokenizer: &Tokenizer, step: &Step) -> TokenLogprob {
    let (token, bytes) = spelled(tokenizer, step.token);
    let top = step.raw.iter().map(|candidate| {
        let (token, bytes) = spelled(tokenizer, candidate.token);
        TopLogprob { token, logprob: finite(candidate.logprob), bytes }
    });
    TokenLogprob { token, logprob: finite(step.logprob), bytes, top_logprobs: top.collect() }
}

/// Log-probabilities of a text's tokens, in the shape of completions.
pub(crate) struct TextLogprobs<'t> {
    tokenizer: &'t Tokenizer,
    /// How many of the likeliest are listed.
    count: usize,
    /// Characters so far.
    offset: usize,
    told: CompletionLogprobs,
}

impl<'t> TextLogprobs<'t> {
    pub(crate) fn new(tokenizer: &'t Tokenizer, count: usize) -> TextLogprobs<'t> {
        let top_logprobs = (count > 0).then(Vec::new);
        let told = CompletionLogprobs { top_logprobs, ..CompletionLogprobs::default() };
        TextLogprobs { tokenizer, count, offset: 0, told }
    }

    /// The same, of a text that has begun.
    pub(crate) fn at(mut self, offset: usize) -> TextLogprobs<'t> {
        self.offset = offset;
        self
    }

    /// Adds a token; the first of a text has no log-probability.
    pub(crate) fn push(&mut self, token: u32, logprob: Option<f32>, candidates: &[Candidate]) {
        let text = self.name(token);
        let length = self.tokenizer.decode_with_special(&[token]).chars().count();
        self.told.text_offset.push(self.offset);
        self.offset += length;
        if let Some(top) = &mut self.told.top_logprobs {
            top.push(logprob.map(|logprob| {
                let mut map = Map::new();
                let own = Candidate { token, probability: logprob.exp(), logprob };
                for candidate in candidates.iter().take(self.count).chain([&own]) {
                    let value = Value::from(finite(candidate.logprob));
                    let name = name(self.tokenizer, candidate.token);
                    if candidate.token == token {
                        map.insert(text.clone(), value);
                    } else if name == text || map.contains_key(&name) {
                        // Another token of the same text is another one.
                        map.insert(format!("token_id:{}", candidate.token), value);
                    } else {
                        map.insert(name, value);
                    }
                }
                map
            }));
        }
        self.told.tokens.push(text);
        self.told.token_logprobs.push(logprob.map(finite));
    }

    fn name(&self, token: u32) -> String {
        name(self.tokenizer, token)
    }

    /// Characters so far.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn finish(self) -> CompletionLogprobs {
        self.told
    }
}

/// A token's name: its text, or its bytes where they are none.
fn name(tokenizer: &Tokenizer, token: u32) -> String {
    let bytes = tokenizer.token_bytes(token).unwrap_or_default();
    match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |name, byte| name + &format!("\\x{byte:02x}")),
    }
}
