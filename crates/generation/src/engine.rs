//! The one place where tokens go through a model: any number of texts to continue and to score, in shared passes.

use crate::answer::Answer;
use crate::pages::{NodeId, PrefixCache, plain_root};
use crate::pass::{self, Listener};
use crate::schedule::{Limits, Schedule, Task, Work};
use crate::{
    Completion, Embedding, Error, FinishReason, Model, Output, Pooling, Request, RequestId, ScoreRequest,
};
use sai_decoder::{Batch, Pages, Runner};
use std::collections::VecDeque;

/// Bytes of logits that are held at once: at 50,000 tokens of vocabulary those of 80 rows.
const LOGIT_BYTES: usize = 16 << 20;

/// How an engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Positions of the cache, of all texts together; 0 means a context of the model.
    pub cache_tokens: usize,
    /// Requests that run at once; others wait.
    pub max_sequences: usize,
    /// Rows of prompts in a pass in which other requests decode: more reads prompts faster, fewer lets answers flow.
    pub prompt_rows_beside_decoding: usize,
    /// Whether texts that begin alike share what is computed of it, and find it again later.
    pub share_prefixes: bool,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            cache_tokens: 0,
            max_sequences: 64,
            prompt_rows_beside_decoding: 128,
            share_prefixes: true,
        }
    }
}

/// What an engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Requests that have not begun, or have given their pages up.
    pub waiting: usize,
    /// Requests that run.
    pub running: usize,
    /// Pages of the cache.
    pub pages: usize,
    /// Of those, pages that running requests use.
    pub used_pages: usize,
    /// Pages that are kept for texts that begin as earlier ones did.
    pub kept_pages: usize,
    /// How often a request has given its pages up.
    pub preempted: u64,
    /// Passes so far.
    pub passes: u64,
    /// Their rows.
    pub rows: u64,
}

/// A model, a paged cache, and requests. [`Engine::step`] computes one pass on the caller's thread;
/// [`crate::EngineHandle`] does so on one of its own.
pub struct Engine<'m> {
    model: &'m Model,
    runner: Box<dyn Runner + 'm>,
    prefixes: PrefixCache,
    schedule: Schedule<'m>,
    batch: Batch,
    next: u64,
    /// Requests that need no pass.
    done: VecDeque<(RequestId, Output)>,
    passes: u64,
    rows: u64,
}

impl<'m> Engine<'m> {
    /// An engine with a cache of its own.
    ///
    /// # Errors
    /// More memory for keys and values than can be had.
    pub fn new(model: &'m Model, options: EngineOptions) -> Result<Engine<'m>, Error> {
        let positions = if options.cache_tokens == 0 { model.context } else { options.cache_tokens };
        let runner = model.decoder.runner(positions, model.cache_type)?;
        Ok(Engine::over(model, runner, options))
    }

    /// An engine over a cache and a way to compute passes.
    pub fn over(model: &'m Model, runner: Box<dyn Runner + 'm>, options: EngineOptions) -> Engine<'m> {
        let rows = runner.best_rows().max(2);
        let limits = Limits {
            // Each that decodes gets its row in every pass.
            sequences: options.max_sequences.clamp(1, rows / 2),
            rows,
            prompt_rows: options.prompt_rows_beside_decoding.clamp(1, rows / 4 + 1),
            logit_rows: (LOGIT_BYTES / 4 / runner.vocab_size().max(1)).clamp(8, rows),
            context: model.context.min(runner.pages().count() * Pages::LENGTH),
            share: options.share_prefixes,
            rope_switch: runner.rope_switch(),
        };
        let schedule = Schedule { waiting: VecDeque::new(), running: Vec::new(), limits, preempted: 0 };
        Engine {
            model,
            runner,
            prefixes: PrefixCache::new(),
            schedule,
            batch: Batch::new(),
            next: 0,
            done: VecDeque::new(),
            passes: 0,
            rows: 0,
        }
    }

    /// Positions that a text may have, its answer included.
    pub fn context(&self) -> usize {
        self.schedule.limits.context
    }

    /// Asks for a text to be continued.
    ///
    /// # Errors
    /// The prompt is empty, leaves no room, or holds a token that the model does not have; a setting is out of
    /// its range.
    pub fn generate(&mut self, prompt: Vec<u32>, request: &Request) -> Result<RequestId, Error> {
        let context = self.context();
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if prompt.len() >= context {
            return Err(Error::PromptTooLong { tokens: prompt.len(), context: context - 1 });
        }
        self.check(&prompt)?;
        let answer = Answer::new(self.model, request)?;
        let id = self.new_id();
        self.schedule.waiting.push_back(Task::generate(id, prompt, answer, request));
        Ok(id)
    }

    /// Asks for the log-probabilities of the tokens of a text from number `first` on; the text's first token has none.
    ///
    /// # Errors
    /// The text is longer than the context and one token, which is scored and not computed, or holds a token that the model
    /// does not have.
    pub fn score(&mut self, tokens: Vec<u32>, first: usize) -> Result<RequestId, Error> {
        self.score_by(tokens, ScoreRequest { first, ..ScoreRequest::default() })
    }

    /// As [`Engine::score`], with all that can be asked.
    ///
    /// # Errors
    /// As [`Engine::score`].
    pub fn score_by(&mut self, tokens: Vec<u32>, request: ScoreRequest) -> Result<RequestId, Error> {
        if tokens.len() > self.context() + 1 {
            return Err(Error::PromptTooLong { tokens: tokens.len(), context: self.context() });
        }
        self.check(&tokens[..tokens.len().saturating_sub(1)])?;
        let id = self.new_id();
        let task = Task::score(id, tokens, request);
        if task.goal() <= task.wanted_from() {
            let output = self.output(task, FinishReason::Stop);
            self.done.push_back((id, output));
        } else {
            self.schedule.waiting.push_back(task);
        }
        Ok(id)
    }

    /// Asks for the log-probability of each of some tokens as the one after a text: one pass over it, where each of the texts
    /// with one of them at its end would want its own.
    ///
    /// # Errors
    /// The text is empty or longer than the context, or holds a token that the model does not have.
    pub fn score_next(&mut self, tokens: Vec<u32>, candidates: Vec<u32>) -> Result<RequestId, Error> {
        self.check_whole(&tokens)?;
        let id = self.new_id();
        self.schedule.waiting.push_back(Task::score_next(id, tokens, candidates));
        Ok(id)
    }

    /// Asks for a text as a vector.
    ///
    /// # Errors
    /// The text is empty, is longer than the context, or holds a token that the model does not have.
    pub fn embed(&mut self, tokens: Vec<u32>, pooling: Pooling) -> Result<RequestId, Error> {
        self.check_whole(&tokens)?;
        let id = self.new_id();
        self.schedule.waiting.push_back(Task::embed(id, tokens, pooling));
        Ok(id)
    }

    /// Checks a text all of whose tokens are computed.
    fn check_whole(&self, tokens: &[u32]) -> Result<(), Error> {
        if tokens.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if tokens.len() > self.context() {
            return Err(Error::PromptTooLong { tokens: tokens.len(), context: self.context() });
        }
        self.check(tokens)
    }

    fn check(&self, tokens: &[u32]) -> Result<(), Error> {
        let vocab_size = self.runner.vocab_size();
        match tokens.iter().find(|&&token| token as usize >= vocab_size) {
            Some(&token) => Err(sai_decoder::Error::TokenOutOfRange { token, vocab_size }.into()),
            None => Ok(()),
        }
    }

    fn new_id(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    /// Whether nothing was asked that is not answered.
    pub fn is_idle(&self) -> bool {
        self.schedule.waiting.is_empty() && self.schedule.running.is_empty() && self.done.is_empty()
    }

    /// Computes one pass and returns what is finished with it. `on` hears of each request's progress and may break
    /// it off, which finishes that request alone.
    ///
    /// # Errors
    /// The device fails. Requests are then as they were.
    pub fn step(&mut self, on: &mut Listener<'_>) -> Result<Vec<(RequestId, Output)>, Error> {
        let plan = self.schedule.plan(self.runner.pages_mut(), &mut self.prefixes);
        if !plan.is_empty() {
            let (runner, prefixes) = (&mut *self.runner, &mut self.prefixes);
            pass::compute(&mut self.schedule, &plan, runner, prefixes, &mut self.batch, on)?;
            self.passes += 1;
            self.rows += self.batch.rows() as u64;
        }
        // Only now: what needed no pass is not lost where one fails.
        let mut finished: Vec<_> = self.done.drain(..).collect();
        for rows in &plan {
            let reason = self.schedule.task(rows.id).and_then(|task| task.finished);
            if let Some(reason) = reason
                && let Some(task) = self.schedule.remove(rows.id)
            {
                finished.push((rows.id, self.output(task, reason)));
            }
        }
        Ok(finished)
    }

    /// Computes passes until one request is finished. What others come to meanwhile is returned by the next step.
    ///
    /// # Errors
    /// The device fails; the request is taken back then.
    ///
    /// # Panics
    /// If no such request is open.
    pub(crate) fn run_until(&mut self, id: RequestId, on: &mut Listener<'_>) -> Result<Output, Error> {
        let mut others = VecDeque::new();
        let output = loop {
            assert!(!self.is_idle(), "a request that is open");
            let finished = match self.step(on) {
                Ok(finished) => finished,
                Err(error) => {
                    self.cancel(id);
                    break Err(error);
                }
            };
            let (own, rest): (Vec<_>, Vec<_>) = finished.into_iter().partition(|(done, _)| *done == id);
            others.extend(rest);
            if let Some((_, output)) = own.into_iter().next() {
                break Ok(output);
            }
        };
        self.done.extend(others);
        output
    }

    /// Takes a request back; returns what came of it so far, or `None` where it is finished or unknown.
    pub fn cancel(&mut self, id: RequestId) -> Option<Output> {
        let task = self.schedule.remove(id)?;
        Some(self.output(task, FinishReason::Interrupted))
    }

    /// Gives up a request's pages and says what came of it.
    fn output(&mut self, mut task: Task<'m>, finish_reason: FinishReason) -> Output {
        if let Some(place) = task.place.take() {
            self.runner.pages_mut().free(place.sequence);
        }
        let Task { mut usage, timings, mut tokens, prompt, .. } = task;
        match task.work {
            Work::Generate { mut answer, .. } => {
                usage.completion_tokens = answer.length;
                let tokens = tokens.split_off(prompt);
                let end = answer.end.take();
                let text = answer.finish();
                Output::Completion(Completion { tokens, text, end, finish_reason, usage, timings })
            }
            Work::Score { mut scores, .. } | Work::ScoreNext { mut scores, .. } => {
                scores.usage = usage;
                Output::Scores(scores)
            }
            Work::Embed { sum, .. } => Output::Embedding(Embedding { vector: unit(&sum), usage }),
        }
    }

    /// How many of these tokens a request that begins with them would not have to compute.
    pub fn computed(&self, tokens: &[u32]) -> usize {
        self.prefixes.find(self.root(tokens), tokens).tokens
    }

    fn root(&self, tokens: &[u32]) -> NodeId {
        plain_root(self.schedule.limits.is_long(tokens.len()))
    }

    /// Forgets what is kept of texts that no request uses.
    pub fn forget(&mut self) {
        while self.prefixes.evict(self.runner.pages_mut()) {}
    }

    /// What the engine is doing.
    pub fn stats(&self) -> EngineStats {
        let pages = self.runner.pages();
        EngineStats {
            waiting: self.schedule.waiting.len(),
            running: self.schedule.running.len(),
            pages: pages.count(),
            used_pages: pages.count() - pages.free_pages() - pages.idle_pages(),
            kept_pages: self.prefixes.len(),
            preempted: self.schedule.preempted,
            passes: self.passes,
            rows: self.rows,
        }
    }

    /// The pages that hold the beginning of a text, how many of its tokens that is, and the way to their bytes.
    pub(crate) fn kept(&self, tokens: &[u32]) -> (Vec<u32>, usize, &dyn Runner) {
        let (pages, computed) = self.prefixes.pages_of(self.root(tokens), tokens);
        (pages, computed, &*self.runner)
    }

    /// Keeps a text whose pages `read` fills, first to last, each for a whole page of tokens but the last.
    pub(crate) fn keep(
        &mut self,
        tokens: &[u32],
        read: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sequence = self.runner.pages_mut().start();
        let filled = self.fill(&sequence, tokens, read);
        if filled.is_ok() {
            let mut node = self.root(tokens);
            let pages = self.runner.pages_mut();
            for (number, tokens) in tokens.chunks(Pages::LENGTH).enumerate() {
                match self.prefixes.add(node, tokens, &sequence, number, pages) {
                    Some(next) => node = next,
                    None => break,
                }
            }
        }
        self.runner.pages_mut().free(sequence);
        filled
    }

    fn fill(
        &mut self,
        sequence: &sai_decoder::Sequence,
        tokens: &[u32],
        read: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.runner.pages_mut().extend(sequence, tokens.len())?;
        let mut bytes = vec![0; self.runner.page_bytes()];
        for page in self.runner.pages().of(sequence).to_vec() {
            read(&mut bytes)?;
            self.runner.write_page(page, &bytes);
        }
        Ok(())
    }
}

/// A vector of the same direction and of length 1; a mean points where the sum does.
fn unit(sum: &[f64]) -> Vec<f32> {
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    sum.iter().map(|x| if length > 0.0 { (x / length) as f32 } else { 0.0 }).collect()
}
