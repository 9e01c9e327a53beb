//! What is judged: a model that scores and continues tokens.

use crate::Error;
use crate::encode::Vocabulary;
use crate::generation::GenerateUntil;
use crate::journal::Score;
use sai_generation::{Engine, EngineOptions, Model, Output, Request, RequestId, Sampling};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Positions of the cache, where texts are not longer: room for many short ones at once.
const CACHE_TOKENS: usize = 4096;

/// A context and the continuations that are to be scored after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuations<'t> {
    /// At least a token.
    pub context: &'t [u32],
    /// Each at least a token.
    pub continuations: Vec<&'t [u32]>,
}

/// Hears what came of a text, by its number, and of a continuation, by its own; may end the work.
pub type Done<'d, T> = dyn FnMut(usize, usize, T) -> Result<ControlFlow<()>, Error> + 'd;

/// A model, wherever it is.
pub trait LanguageModel {
    /// What stands for it in a journal: scores of another are others.
    fn identity(&self) -> String;

    /// Tokens that it reads at most.
    fn context(&self) -> usize;

    /// How its texts are cut.
    fn vocabulary(&self) -> &dyn Vocabulary;

    /// Scores continuations, in any order.
    ///
    /// # Errors
    /// The device or the connection fails, or `done` does.
    fn score(
        &self,
        texts: &[Continuations<'_>],
        done: &mut Done<'_, Score>,
    ) -> Result<ControlFlow<()>, Error>;

    /// Continues texts by the likeliest token each time, in any order.
    ///
    /// # Errors
    /// The device or the connection fails, or `done` does.
    fn generate(
        &self,
        texts: &[&[u32]],
        how: &GenerateUntil,
        done: &mut Done<'_, String>,
    ) -> Result<ControlFlow<()>, Error>;
}

impl LanguageModel for Model {
    fn identity(&self) -> String {
        // Scores by rounded keys and values are others.
        format!("{} {:?}", Model::identity(self), self.cache_type)
    }

    fn context(&self) -> usize {
        self.context
    }

    fn vocabulary(&self) -> &dyn Vocabulary {
        &self.tokenizer
    }

    /// A context is computed once: its last row scores the first token of every continuation, and the rest of each goes on from
    /// its pages. Where all continuations are one token, that is all.
    fn score(
        &self,
        texts: &[Continuations<'_>],
        done: &mut Done<'_, Score>,
    ) -> Result<ControlFlow<()>, Error> {
        let length = |text: &Continuations<'_>| {
            text.context.len() + text.continuations.iter().map(|one| one.len()).max().unwrap_or(0)
        };
        let mut engine = engine(self, texts.iter().map(length).max().unwrap_or(0))?;
        let mut pending: HashMap<RequestId, Part> = HashMap::new();
        let mut halves: HashMap<(usize, usize), Score> = HashMap::new();
        for (number, text) in texts.iter().enumerate() {
            let firsts = text.continuations.iter().filter_map(|tokens| tokens.first().copied()).collect();
            let id = engine.score_next(text.context.to_vec(), firsts)?;
            pending.insert(id, Part::Firsts(number));
            for (i, tokens) in text.continuations.iter().enumerate().filter(|(_, tokens)| tokens.len() > 1) {
                let id = engine.score([text.context, tokens].concat(), text.context.len() + 1)?;
                pending.insert(id, Part::Rest(number, i));
            }
        }
        while !engine.is_idle() {
            for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(()))? {
                let (Some(part), Output::Scores(scores)) = (pending.remove(&id), output) else { continue };
                let parts: Vec<(usize, usize, Score)> = match part {
                    Part::Firsts(number) => {
                        let firsts = scores.logprobs.iter().zip(&scores.greedy).enumerate();
                        let score = |(&logprob, &greedy)| Score { logprob: f64::from(logprob), greedy };
                        firsts.map(|(i, first)| (number, i, score(first))).collect()
                    }
                    Part::Rest(number, i) => {
                        let logprob = scores.logprobs.iter().map(|&logprob| f64::from(logprob)).sum();
                        vec![(
                            number,
                            i,
                            Score { logprob, greedy: scores.greedy.iter().all(|&greedy| greedy) },
                        )]
                    }
                };
                for (number, i, score) in parts {
                    let score = match halves.remove(&(number, i)) {
                        Some(half) => Score {
                            logprob: half.logprob + score.logprob,
                            greedy: half.greedy && score.greedy,
                        },
                        None if texts[number].continuations[i].len() > 1 => {
                            halves.insert((number, i), score);
                            continue;
                        }
                        None => score,
                    };
                    if done(number, i, score)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn generate(
        &self,
        texts: &[&[u32]],
        how: &GenerateUntil,
        done: &mut Done<'_, String>,
    ) -> Result<ControlFlow<()>, Error> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0) + how.max_tokens;
        let mut engine = engine(self, longest)?;
        let request = Request {
            sampling: Sampling::greedy(),
            max_new_tokens: how.max_tokens,
            stop: how.until.clone(),
            ..Request::default()
        };
        let mut numbers = HashMap::new();
        for (number, text) in texts.iter().enumerate() {
            numbers.insert(engine.generate(text.to_vec(), &request)?, number);
        }
        while !engine.is_idle() {
            for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(()))? {
                if let (Some(number), Output::Completion(completion)) = (numbers.remove(&id), output)
                    && done(number, 0, completion.text)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What a request of the engine is of.
enum Part {
    /// The first tokens of a text's continuations.
    Firsts(usize),
    /// The others of one continuation.
    Rest(usize, usize),
}

fn engine(model: &Model, longest: usize) -> Result<Engine<'_>, Error> {
    let options =
        EngineOptions { cache_tokens: (longest + 64).max(CACHE_TOKENS), ..EngineOptions::default() };
    Ok(Engine::new(model, options)?)
}
