//! What a model says when it is looked at: how it goes on, what it answers, how a conversation goes.

use crate::{Error, FinishReason, LoadOptions, Message, Model, Request, Sampling, Session};
use std::ops::ControlFlow;
use std::path::Path;

/// How the model at `path` goes on from a beginning, in at most so many tokens. The beginning is opened as documents are
/// in training, and tokens are drawn, always the same ones.
///
/// # Errors
/// The model cannot be opened, or the beginning does not fit into its context.
pub fn continuation(path: &Path, beginning: &str, tokens: usize, threads: usize) -> Result<String, Error> {
    let model = Model::open(path, &LoadOptions { threads, ..LoadOptions::default() })?;
    let mut opened: Vec<u32> = model.tokenizer.eos().first().copied().into_iter().collect();
    opened.extend(model.tokenizer.encode_plain(beginning));
    let request = Request {
        sampling: Sampling { temperature: 0.8, seed: 42, ..Sampling::default() },
        max_new_tokens: tokens,
        ..Request::default()
    };
    let mut session = Session::new(&model)?;
    let made = session.generate(&opened, &request, &mut |_| ControlFlow::Continue(()))?;
    Ok(made.text)
}

/// What the model at `path` answers to a question, in at most so many tokens: the likeliest ones.
///
/// # Errors
/// The model cannot be opened, has no chat template, or the question does not fit into its context.
pub fn answer(path: &Path, question: &str, tokens: usize, threads: usize) -> Result<String, Error> {
    let model = Model::open(path, &LoadOptions { threads, ..LoadOptions::default() })?;
    let said = chat_replies(&model, &[question.to_owned()], tokens)?;
    Ok(said.into_iter().map(|turn| turn.answer).collect())
}

/// A turn of a conversation with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What was said to it.
    pub said: String,
    /// What it answered.
    pub answer: String,
    /// The answer's tokens, without the one that ended it.
    pub tokens: Vec<u32>,
    /// Whether it ended its answer by itself.
    pub ended: bool,
}

/// Says `turns` to a model one after another and gives its answers, each the likeliest in at most so many tokens.
///
/// # Errors
/// The model has no chat template, or a turn does not fit into its context.
pub fn chat_replies(model: &Model, turns: &[String], tokens: usize) -> Result<Vec<Turn>, Error> {
    let mut session = Session::new(model)?;
    let request = Request { sampling: Sampling::greedy(), max_new_tokens: tokens, ..Request::default() };
    let (mut messages, mut made) = (Vec::new(), Vec::new());
    for said in turns {
        messages.push(Message::new("user", said.clone()));
        let prompt = session.chat_prompt(&messages, model.context.saturating_sub(tokens))?;
        let done = session.generate(&prompt.tokens, &request, &mut |_| ControlFlow::Continue(()))?;
        messages.push(Message::new("assistant", done.text.clone()));
        let ended = done.finish_reason == FinishReason::Stop;
        made.push(Turn { said: said.clone(), answer: done.text, tokens: done.tokens, ended });
    }
    Ok(made)
}
