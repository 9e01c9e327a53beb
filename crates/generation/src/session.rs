//! One running text over a model.

use crate::{
    ChatPrompt, Completion, Engine, EngineOptions, Error, Event, Message, Model, Output, Request,
    prompt_cache,
};
use std::ops::ControlFlow;
use std::path::Path;

/// A text that a model has read and written, kept so that what follows costs only what is new: an [`Engine`] with one
/// request at a time.
pub struct Session<'m> {
    model: &'m Model,
    engine: Engine<'m>,
    /// What is computed of the text.
    tokens: Vec<u32>,
}

impl<'m> Session<'m> {
    /// An empty text with the model's context.
    ///
    /// # Errors
    /// More memory for keys and values than can be had.
    pub fn new(model: &'m Model) -> Result<Session<'m>, Error> {
        let engine = Engine::new(model, EngineOptions::default())?;
        Ok(Session { model, engine, tokens: Vec::new() })
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
        prompt_cache::save(path, self.model, &self.engine, &self.tokens)
    }

    /// Forgets everything and takes what [`Session::save`] wrote; returns how many tokens that is.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is of another model, context or precision of keys and values. The
    /// session is then empty.
    pub fn load(&mut self, path: &Path) -> Result<usize, Error> {
        self.clear();
        self.tokens = prompt_cache::load(path, self.model, &mut self.engine)?;
        Ok(self.tokens.len())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.engine.forget();
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
        let id = self.engine.generate(prompt.to_vec(), request)?;
        let Output::Completion(completion) = self.engine.run_until(id, &mut |_, event| on(event))? else {
            unreachable!("a text that was to be continued");
        };
        let mut text = [prompt, &completion.tokens].concat();
        text.truncate(self.engine.computed(&text));
        self.tokens = text;
        Ok(completion)
    }
}
