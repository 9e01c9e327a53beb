//! An answer as it grows, token by token.

use crate::stop::{StopCheck, Stops};
use crate::{Constraint, Error, Model, Request, Sampler, Step};

/// An answer as it grows.
pub(crate) struct Answer<'m> {
    model: &'m Model,
    sampler: Sampler,
    stream: sai_tokenizer::Stream<'m>,
    stops: Stops,
    candidates: usize,
    constraint: Option<Constraint>,
    shown_special: Vec<u32>,
    /// Tokens so far.
    pub(crate) length: usize,
    pub(crate) text: String,
    /// The token that ended it.
    pub(crate) end: Option<Step>,
    /// A stop string has come.
    pub(crate) stopped: bool,
}

/// What came of a row of logits.
pub(crate) enum Chosen {
    /// A token of the answer.
    Token(Step),
    /// A token that ends it.
    End,
    /// The constraint cannot be followed.
    ConstraintFailed,
}

impl<'m> Answer<'m> {
    pub(crate) fn new(model: &'m Model, request: &Request) -> Result<Answer<'m>, Error> {
        Ok(Answer {
            model,
            sampler: Sampler::new(&request.sampling)?,
            stream: model.tokenizer.stream(),
            stops: Stops::new(&request.stop),
            candidates: request.candidates,
            constraint: request.constraint.clone(),
            shown_special: request.shown_special.clone(),
            length: 0,
            text: String::new(),
            end: None,
            stopped: false,
        })
    }

    /// Chooses the token after `history`, prompt and answer so far, by the logits.
    pub(crate) fn step(&mut self, logits: &[f32], history: &[u32]) -> Chosen {
        let pick = match &mut self.constraint {
            None => self.sampler.pick(logits, history, self.candidates),
            Some(constraint) => {
                match self.sampler.pick_allowed(logits, history, self.candidates, constraint) {
                    Some(pick) => pick,
                    None => return Chosen::ConstraintFailed,
                }
            }
        };
        let mut step = Step {
            token: pick.token,
            text: String::new(),
            logprob: pick.logprob,
            raw: pick.raw,
            processed: pick.processed,
        };
        if self.model.is_end(step.token) {
            self.end = Some(step);
            return Chosen::End;
        }
        if let Some(constraint) = &mut self.constraint
            && constraint.take(step.token).is_none()
        {
            return Chosen::ConstraintFailed;
        }
        self.length += 1;
        let piece = match self.shown_special.contains(&step.token) {
            // What is unfinished before it stays so.
            true => self.stream.finish() + &self.model.tokenizer.decode_with_special(&[step.token]),
            false => self.stream.push(step.token),
        };
        let text = match self.stops.push(&piece) {
            StopCheck::Text(text) => text,
            StopCheck::Stopped(text) => {
                self.stopped = true;
                text
            }
        };
        self.text.push_str(&text);
        step.text = text;
        Chosen::Token(step)
    }

    /// Whether nothing can follow, by the constraint.
    pub(crate) fn is_complete(&self) -> bool {
        self.constraint.as_ref().is_some_and(Constraint::is_complete)
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
