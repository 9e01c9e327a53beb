//! An answer as it grows, token by token.

use crate::stop::{StopCheck, Stops};
use crate::{Error, Model, Request, Sampler, Step};

/// An answer as it grows.
pub(crate) struct Answer<'m> {
    model: &'m Model,
    sampler: Sampler,
    stream: sai_tokenizer::Stream<'m>,
    stops: Stops,
    candidates: usize,
    /// Tokens so far.
    pub(crate) length: usize,
    pub(crate) text: String,
    /// A stop string has come.
    pub(crate) stopped: bool,
}

impl<'m> Answer<'m> {
    pub(crate) fn new(model: &'m Model, request: &Request) -> Result<Answer<'m>, Error> {
        Ok(Answer {
            model,
            sampler: Sampler::new(&request.sampling)?,
            stream: model.tokenizer.stream(),
            stops: Stops::new(&request.stop),
            candidates: request.candidates,
            length: 0,
            text: String::new(),
            stopped: false,
        })
    }

    /// Chooses the token after `history`, prompt and answer so far, by the logits; `None` where it ends the answer.
    pub(crate) fn step(&mut self, logits: &[f32], history: &[u32]) -> Option<Step> {
        let pick = self.sampler.pick(logits, history, self.candidates);
        if self.model.is_end(pick.token) {
            return None;
        }
        self.length += 1;
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

    /// The whole text, with what was held back unless a stop string has ended it.
    pub(crate) fn finish(mut self) -> String {
        if !self.stopped {
            match self.stops.push(&self.stream.finish()) {
                StopCheck::Text(text) => self.text = self.text + &text + &self.stops.finish(),
                StopCheck::Stopped(text) => self.text.push_str(&text),
            }
        }
        self.text
    }
}
