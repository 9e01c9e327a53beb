//! An answer as it grows, token by token.

use crate::stop::{StopCheck, Stops};
use crate::{Error, Model, Request, Sampler, Step};

/// An answer as it grows.
pub(crate) struct Answer<'a> {
    model: &'a Model,
    sampler: Sampler,
    stream: sai_tokenizer::Stream<'a>,
    stops: Stops<'a>,
    candidates: usize,
    /// Prompt and answer, which the repetition penalty looks at.
    pub(crate) history: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) text: String,
    /// A stop string has come.
    pub(crate) stopped: bool,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(model: &'a Model, request: &'a Request, prompt: &[u32]) -> Result<Answer<'a>, Error> {
        Ok(Answer {
            model,
            sampler: Sampler::new(&request.sampling)?,
            stream: model.tokenizer.stream(),
            stops: Stops::new(&request.stop),
            candidates: request.candidates,
            history: prompt.to_vec(),
            tokens: Vec::new(),
            text: String::new(),
            stopped: false,
        })
    }

    /// Chooses a token by the logits; `None` where it ends the answer.
    pub(crate) fn step(&mut self, logits: &[f32]) -> Option<Step> {
        let pick = self.sampler.pick(logits, &self.history, self.candidates);
        if self.model.is_end(pick.token) {
            return None;
        }
        self.history.push(pick.token);
        self.tokens.push(pick.token);
        let text = match self.stops.push(&self.stream.push(pick.token)) {
            StopCheck::Text(text) => text,
            StopCheck::Stopped(text) => {
                self.stopped = true;
                text
            }
        };
        self.text.push_str(&text);
        Some(Step {
            token: pick.token,
            text,
            logprob: pick.logprob,
            raw: pick.raw,
            processed: pick.processed,
        })
    }

    /// Adds what was held back, unless a stop string has ended the text.
    pub(crate) fn finish(&mut self) {
        if self.stopped {
            return;
        }
        match self.stops.push(&self.stream.finish()) {
            StopCheck::Text(text) => self.text.push_str(&text),
            StopCheck::Stopped(text) => {
                self.text.push_str(&text);
                return;
            }
        }
        self.text.push_str(&self.stops.finish());
    }
}
