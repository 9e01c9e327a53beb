//! A model on the engine: any number of prompts side by side, in shared passes.

use crate::Error;
use crate::chat::{ChatError, ChatModel, ChatRequest, Finish, Reply};
use sai_generation::{
    EngineHandle, EngineOptions, FinishReason, LoadOptions, Model, Output, Request, Sampling, Source,
    StreamEvent,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Tokens of the text by which a model's speed is told before it is asked.
const PROBE: (usize, usize) = (64, 16);
/// Tokens that an answer must have room for, or its prompt does not fit.
const LEAST_ANSWER: usize = 16;

/// A model that was opened here.
pub struct LocalModel {
    name: String,
    model: Arc<Model>,
    engine: EngineHandle,
    /// Tokens read and written a second.
    speed: (f64, f64),
}

impl LocalModel {
    /// Opens a model, starts its engine and measures how fast it is.
    ///
    /// # Errors
    /// The model cannot be opened, or was not taught to chat.
    pub fn open(name: &str, source: &Source, options: &LoadOptions) -> Result<LocalModel, Error> {
        let model = Model::open(source, options)?;
        if model.template.is_none() {
            let fact = "it has no chat template, so that it cannot be asked; a model that only continues text is no contestant or judge";
            return Err(Error::Model { name: name.to_owned(), fact: fact.to_owned() });
        }
        let model = Arc::new(model);
        let engine = EngineHandle::start(Arc::clone(&model), EngineOptions::default())?;
        let mut local = LocalModel { name: name.to_owned(), model, engine, speed: (1.0, 1.0) };
        local.speed = local.measured()?;
        Ok(local)
    }

    fn measured(&self) -> Result<(f64, f64), Error> {
        let length = PROBE.0.min(self.model.context / 2).max(1);
        let text = "one two three four five six seven eight nine ten ".repeat(8);
        let mut prompt = self.model.encode_text(&text);
        prompt.truncate(length);
        let request = Request {
            sampling: Sampling::greedy(),
            max_new_tokens: PROBE.1.min(self.model.context / 4).max(1),
            ..Request::default()
        };
        let Output::Completion(done) = self.engine.generate(prompt, request).output()? else {
            return Ok((1.0, 1.0));
        };
        let (read, made) = (done.timings.prefill_tok_s(&done.usage), done.timings.decode_tok_s(&done.usage));
        let or = |speed: f64, other: f64| if speed > 0.0 { speed } else { other };
        Ok((or(read, 100.0), or(made, or(read, 100.0) / 4.0)))
    }
}

impl ChatModel for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn identity(&self) -> String {
        format!("local {}", self.model.identity())
    }

    fn ask(&self, asked: &ChatRequest, stop: &AtomicBool) -> Result<Reply, ChatError> {
        let fatal = |e: sai_generation::Error| ChatError::Fatal(e.into());
        let refused = |fact: String| Ok(Reply { finish: Finish::Refused, ..Reply::plain(fact) });
        let context = self.model.context;
        let prompt = match self.model.chat_prompt(&asked.messages, context.saturating_sub(LEAST_ANSWER)) {
            Ok(prompt) if prompt.dropped_exchanges == 0 => prompt.tokens,
            // A conversation of which a part is left out is another conversation.
            Ok(_) => {
                return refused(format!("the conversation does not fit into {context} tokens of context"));
            }
            Err(sai_generation::Error::PromptTooLong { tokens, .. }) => {
                return refused(format!("the prompt's {tokens} tokens do not fit into {context} of context"));
            }
            Err(sai_generation::Error::Template(e)) => {
                return refused(format!("the chat template refuses it: {e}"));
            }
            Err(e) => return Err(fatal(e)),
        };
        let sampling = match asked.temperature {
            t if t > 0.0 => Sampling { temperature: t, seed: asked.seed, ..Sampling::greedy() },
            _ => Sampling::greedy(),
        };
        let room = context.saturating_sub(prompt.len()).max(1);
        let request = Request { sampling, max_new_tokens: asked.max_tokens.min(room), ..Request::default() };
        let began = Instant::now();
        for told in self.engine.generate(prompt, request) {
            match told {
                // Dropping the stream takes the request back.
                _ if stop.load(Ordering::Relaxed) => return Err(ChatError::Stopped),
                StreamEvent::Done(Output::Completion(done)) => {
                    let finish = match done.finish_reason {
                        FinishReason::Stop => Finish::Stop,
                        _ => Finish::Length,
                    };
                    return Ok(Reply {
                        text: done.text,
                        finish,
                        prompt_tokens: Some(done.usage.prompt_tokens as u64),
                        completion_tokens: Some(done.usage.completion_tokens as u64),
                        seconds: began.elapsed().as_secs_f64(),
                        raw: None,
                    });
                }
                StreamEvent::Failed(e) => return Err(fatal(e)),
                _ => {}
            }
        }
        Err(fatal(sai_generation::Error::EngineStopped))
    }

    fn seconds(&self, prompt_tokens: f64, completion_tokens: f64) -> f64 {
        prompt_tokens / self.speed.0 + completion_tokens / self.speed.1
    }

    fn is_paid(&self) -> bool {
        false
    }
}
