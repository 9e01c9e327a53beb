//! One running text over a model.

use crate::answer::Answer;
use crate::draft::{Draft, Drafter};
use crate::prompt_cache;
use crate::{Candidate, ChatPrompt, Error, Message, Model, Sampling};
use sai_decoder::{Batch, Cpu, KvCache, LogitRows, RunState, Sequence};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// What to make.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens of the answer at most.
    pub max_new_tokens: usize,
    /// Strings that end the answer, wherever they come; they are not part of it.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens each [`Step`] lists.
    pub candidates: usize,
    /// How tokens are guessed before they are chosen; the same tokens are chosen either way.
    pub draft: Draft,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many of the prompt's new tokens are computed.
    Prefill {
        /// Tokens computed.
        done: usize,
        /// Tokens to compute.
        total: usize,
    },
    /// A token was chosen.
    Step(&'a Step),
}

/// A chosen token and the text that became whole with it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its id.
    pub token: u32,
    /// Text that can be shown now: whole characters, and no part of a stop string. Often one token's, sometimes
    /// none, sometimes more.
    pub text: String,
    /// Natural log of its probability under the model itself, whatever the sampling.
    pub logprob: f32,
    /// The likeliest tokens under the model itself, as many as [`Request::candidates`].
    pub raw: Vec<Candidate>,
    /// The likeliest tokens that the sampling left to choose from.
    pub processed: Vec<Candidate>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string came.
    Stop,
    /// It reached [`Request::max_new_tokens`].
    Length,
    /// Whoever listened broke off.
    Interrupted,
    /// The context is full.
    ContextFull,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of those, tokens that were computed before.
    pub cached_tokens: usize,
    /// Tokens of the answer.
    pub completion_tokens: usize,
    /// Tokens that were guessed and computed before they were chosen.
    pub drafted_tokens: usize,
    /// Of those, tokens that were then chosen: passes that were saved.
    pub accepted_tokens: usize,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Computing the prompt's new tokens.
    pub prefill: Duration,
    /// From the call to the first token.
    pub time_to_first_token: Duration,
    /// Computing the tokens after the first.
    pub decode: Duration,
}

impl Timings {
    /// New prompt tokens a second.
    pub fn prefill_tok_s(&self, usage: &Usage) -> f64 {
        rate(usage.prompt_tokens - usage.cached_tokens, self.prefill)
    }

    /// Tokens a second after the first.
    pub fn decode_tok_s(&self, usage: &Usage) -> f64 {
        rate(usage.completion_tokens.saturating_sub(1), self.decode)
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<u32>,
    /// Its text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What it took.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
}

/// A text that a model has read and written, kept so that what follows costs only what is new.
pub struct Session<'m> {
    model: &'m Model,
    cache: KvCache<Cpu>,
    sequence: Sequence,
    /// What the cache holds.
    tokens: Vec<u32>,
    run: RunState<Cpu>,
}

impl<'m> Session<'m> {
    /// An empty text with the model's context.
    ///
    /// # Errors
    /// More memory for keys and values than can be had.
    pub fn new(model: &'m Model) -> Result<Session<'m>, Error> {
        let decoder = &model.decoder;
        let mut cache = KvCache::new(&decoder.device, &decoder.config, model.context, model.cache_type)?;
        let sequence = cache.start();
        Ok(Session { model, cache, sequence, tokens: Vec::new(), run: RunState::new(decoder) })
    }

    /// The model that speaks.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// Tokens that are computed and kept.
    pub fn context_used(&self) -> usize {
        self.tokens.len()
    }

    /// Tokens that a prompt and its answer may have together.
    pub fn context_length(&self) -> usize {
        self.model.context
    }

    /// Writes what is computed to a file, so that [`Session::load`] need not compute it again. A file of that name is
    /// replaced once the new one is whole.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        prompt_cache::save(path, self.model, &self.cache, &self.sequence, &self.tokens)
    }

    /// Forgets everything and takes what [`Session::save`] wrote; returns how many tokens that is.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is of another model, context or precision of keys and values. The
    /// session is then empty.
    pub fn load(&mut self, path: &Path) -> Result<usize, Error> {
        self.keep(0);
        self.tokens = prompt_cache::load(path, self.model, &mut self.cache, &self.sequence)?;
        Ok(self.tokens.len())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.keep(0);
    }

    /// As [`Model::chat_prompt`], keeping the tokens that this session has computed wherever the text allows, so
    /// that an answer is not computed a second time because its text could be cut in another way.
    ///
    /// # Errors
    /// As [`Model::chat_prompt`].
    pub fn chat_prompt(&self, messages: &[Message], max_prompt_tokens: usize) -> Result<ChatPrompt, Error> {
        self.model.chat_prompt_from(messages, max_prompt_tokens, &self.tokens)
    }

    /// Continues `prompt`, telling `on` of each step; what of the prompt this session has computed already is
    /// not computed again. Breaking off in `on` ends the answer with what was said.
    ///
    /// # Errors
    /// The prompt is empty, leaves no room, or holds a token that the model does not have; a setting is out of
    /// its range.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        request: &Request,
        on: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Completion, Error> {
        let started = Instant::now();
        let context = self.context_length();
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if prompt.len() >= context {
            return Err(Error::PromptTooLong { tokens: prompt.len(), context: context - 1 });
        }
        let mut answer = Answer::new(self.model, request, prompt)?;

        // The last token is computed in any case, for its logits.
        let common = prompt.iter().zip(&self.tokens).take_while(|(a, b)| a == b).count();
        self.keep(common.min(prompt.len() - 1));
        let cached = self.tokens.len();
        let mut finish_reason = match self.prefill(&prompt[cached..], on)? {
            ControlFlow::Continue(()) => None,
            ControlFlow::Break(()) => Some(FinishReason::Interrupted),
        };
        let mut timings = Timings { prefill: started.elapsed(), ..Timings::default() };

        let mut usage = Usage { prompt_tokens: prompt.len(), cached_tokens: cached, ..Usage::default() };
        let mut first = None;
        let mut drafter = Drafter::new(request.draft);
        // The last pass ended with these guesses; the logits of its row `row` choose the token that is due.
        let (mut guesses, mut row) = (Vec::new(), 0);
        while finish_reason.is_none() {
            if answer.tokens.len() >= request.max_new_tokens {
                finish_reason = Some(FinishReason::Length);
                break;
            }
            let step = answer.step(self.logits(row));
            let first = *first.get_or_insert_with(Instant::now);
            timings.time_to_first_token = first - started;
            timings.decode = first.elapsed();
            let Some(step) = step else {
                finish_reason = Some(FinishReason::Stop);
                break;
            };
            if on(Event::Step(&step)).is_break() {
                finish_reason = Some(FinishReason::Interrupted);
            } else if answer.stopped {
                finish_reason = Some(FinishReason::Stop);
            } else if guesses.get(row) == Some(&step.token) {
                // As guessed: what follows it is computed already.
                row += 1;
                usage.accepted_tokens += 1;
            } else if answer.tokens.len() < request.max_new_tokens {
                drafter.learn(guesses.len(), row);
                self.keep(self.tokens.len() - (guesses.len() - row));
                // The last token of a full answer is left to the next prompt, if there is one.
                if self.tokens.len() == context {
                    finish_reason = Some(FinishReason::ContextFull);
                    break;
                }
                let room =
                    (context - self.tokens.len()).min(request.max_new_tokens - answer.tokens.len()) - 1;
                (guesses, row) = (drafter.guess(&answer.history, room), 0);
                usage.drafted_tokens += guesses.len();
                self.compute(&[&[step.token], &guesses[..]].concat(), LogitRows::All)?;
            }
        }
        // Guesses that were not chosen are no part of the text.
        let said = answer.history.iter().zip(&self.tokens).take_while(|(a, b)| a == b).count();
        self.keep(said);
        answer.finish();
        usage.completion_tokens = answer.tokens.len();
        Ok(Completion {
            usage,
            tokens: answer.tokens,
            text: answer.text,
            finish_reason: finish_reason.unwrap_or(FinishReason::Stop),
            timings,
        })
    }

    /// Computes the prompt in pieces that a listener can break off between.
    fn prefill(
        &mut self,
        tokens: &[u32],
        on: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let total = tokens.len();
        let mut done = 0;
        for piece in tokens.chunks(RunState::<Cpu>::ROWS) {
            done += piece.len();
            self.compute(piece, if done == total { LogitRows::Last } else { LogitRows::None })?;
            if on(Event::Prefill { done, total }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn compute(&mut self, tokens: &[u32], wanted: LogitRows) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.push(&self.sequence, tokens, wanted);
        self.model.decoder.forward(&mut self.cache, &batch, &mut self.run)?;
        self.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// The logits of a row of the last pass.
    fn logits(&self, row: usize) -> &[f32] {
        let vocab_size = self.model.decoder.config.vocab_size;
        &self.run.logits().values()[row * vocab_size..][..vocab_size]
    }

    fn keep(&mut self, length: usize) {
        self.cache.truncate(&self.sequence, length);
        self.tokens.truncate(length);
    }
}
