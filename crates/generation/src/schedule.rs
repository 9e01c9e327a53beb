//! Who computes next: which requests are in the cache, and which of their rows the next pass takes.
//!
//! Each request has tokens, and knows how many of them are computed. A pass takes one row of every request that has a
//! single token due, with the guesses after it, and then pieces of those that have more, up to a number of rows; so a
//! prompt, an answer, a text to score and a request that lost its pages are all the same to it.
//!
//! - A request is begun once the cache surely holds its text and its next page beside what the running ones still
//!   need, in the order of asking. One whose text begins as another's that is being computed waits for that beginning.
//! - Those that decode leave a quarter of a pass to prompts, and prompts beside decoding come in small pieces, so that
//!   neither waits for more than a piece of the other.
//! - Where pages run out, beginnings that nobody uses go first, then guesses, then the youngest request gives its pages up. It keeps
//!   its tokens and the state of its sampler, and is computed again in its turn.

use crate::answer::Answer;
use crate::draft::Drafter;
use crate::pages::{Found, NodeId, PrefixCache, common_prefix};
use crate::{FinishReason, Pooling, Request, RequestId, ScoreRequest, Scores, Timings, Usage};
use sai_decoder::{Pages, Sequence};
use std::collections::VecDeque;
use std::time::Instant;

/// Requests at the head of the queue that are looked at in a step.
const LOOKED_AT: usize = 64;
/// Tokens of a common beginning that are worth a pass or two of waiting.
const WORTH_WAITING: usize = 8;

/// A request on its way.
pub(crate) struct Task<'m> {
    pub(crate) id: RequestId,
    pub(crate) work: Work<'m>,
    /// Beginnings are shared with tasks of the same alone.
    pub(crate) salt: Option<String>,
    /// The prompt and what was chosen after it, or the text to score.
    pub(crate) tokens: Vec<u32>,
    /// How many of them were asked for.
    pub(crate) prompt: usize,
    /// How many of them the cache holds.
    pub(crate) computed: usize,
    /// Where they are, while the request runs.
    pub(crate) place: Option<Place>,
    /// Tokens that may follow, computed in the next pass.
    pub(crate) guesses: Vec<u32>,
    /// Prompt tokens that were computed when it was last told.
    pub(crate) told: usize,
    pub(crate) finished: Option<FinishReason>,
    pub(crate) usage: Usage,
    pub(crate) timings: Timings,
    pub(crate) asked: Instant,
    /// When it was first begun.
    pub(crate) begun: Option<Instant>,
    pub(crate) first_token: Option<Instant>,
}

/// What is to be done with a text.
pub(crate) enum Work<'m> {
    Generate {
        answer: Box<Answer<'m>>,
        drafter: Drafter,
        max_new_tokens: usize,
    },
    Score {
        first: usize,
        candidates: usize,
        scores: Scores,
    },
    /// Tokens that may follow the text are scored after its last row.
    ScoreNext {
        candidates: Vec<u32>,
        scores: Scores,
    },
    Embed {
        pooling: Pooling,
        sum: Vec<f64>,
    },
}

/// A running request's pages.
pub(crate) struct Place {
    pub(crate) sequence: Sequence,
    /// The node of its last full page that others can find.
    pub(crate) node: NodeId,
    /// Full pages that others can find.
    pub(crate) shared: usize,
    /// Whether its positions turn as those of a long text.
    long: bool,
}

impl<'m> Task<'m> {
    pub(crate) fn generate(
        id: RequestId,
        prompt: Vec<u32>,
        answer: Answer<'m>,
        request: &Request,
    ) -> Task<'m> {
        let drafter = Drafter::new(request.draft);
        let max_new_tokens = request.max_new_tokens;
        let work = Work::Generate { answer: Box::new(answer), drafter, max_new_tokens };
        Task::new(id, prompt, work, request.cache_salt.clone())
    }

    pub(crate) fn score(id: RequestId, tokens: Vec<u32>, request: ScoreRequest) -> Task<'m> {
        let ScoreRequest { first, candidates, cache_salt } = request;
        let work = Work::Score { first: first.max(1), candidates, scores: Scores::default() };
        Task::new(id, tokens, work, cache_salt)
    }

    pub(crate) fn score_next(id: RequestId, tokens: Vec<u32>, candidates: Vec<u32>) -> Task<'m> {
        Task::new(id, tokens, Work::ScoreNext { candidates, scores: Scores::default() }, None)
    }

    pub(crate) fn embed(id: RequestId, tokens: Vec<u32>, pooling: Pooling) -> Task<'m> {
        Task::new(id, tokens, Work::Embed { pooling, sum: Vec::new() }, None)
    }

    fn new(id: RequestId, tokens: Vec<u32>, work: Work<'m>, salt: Option<String>) -> Task<'m> {
        Task {
            id,
            work,
            salt,
            prompt: tokens.len(),
            usage: Usage { prompt_tokens: tokens.len(), ..Usage::default() },
            tokens,
            computed: 0,
            place: None,
            guesses: Vec::new(),
            told: 0,
            finished: None,
            timings: Timings::default(),
            asked: Instant::now(),
            begun: None,
            first_token: None,
        }
    }

    /// Tokens that have to be computed: all, but the last of a text that is scored.
    pub(crate) fn goal(&self) -> usize {
        match self.work {
            Work::Generate { .. } | Work::ScoreNext { .. } | Work::Embed { .. } => self.tokens.len(),
            Work::Score { .. } => self.tokens.len().saturating_sub(1),
        }
    }

    /// The first token after whose row something has to be chosen or scored.
    pub(crate) fn wanted_from(&self) -> usize {
        match &self.work {
            Work::Generate { .. } | Work::ScoreNext { .. } => self.tokens.len() - 1,
            Work::Score { first, scores, .. } => first - 1 + scores.logprobs.len(),
            Work::Embed { .. } => self.tokens.len(),
        }
    }

    /// Tokens at the beginning that need not be computed for it, where somebody else has.
    fn reach(&self) -> usize {
        match self.work {
            Work::Embed { pooling, .. } => self.first_hidden(pooling),
            _ => self.wanted_from().min(self.tokens.len()),
        }
    }

    pub(crate) fn embeds(&self) -> bool {
        matches!(self.work, Work::Embed { .. })
    }

    /// The first token whose hidden state counts.
    pub(crate) fn first_hidden(&self, pooling: Pooling) -> usize {
        match pooling {
            Pooling::Mean => 0,
            Pooling::Last => self.tokens.len() - 1,
        }
    }

    fn remaining(&self) -> usize {
        self.goal() - self.computed
    }

    fn decodes(&self) -> bool {
        self.remaining() == 1 && self.computed >= self.prompt
    }
}

/// Rows of a request in a pass: its next tokens, then its guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) id: RequestId,
    pub(crate) tokens: usize,
    pub(crate) guesses: usize,
    /// Free pages that they take.
    pages: usize,
}

/// How much a pass takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that run at once.
    pub(crate) sequences: usize,
    /// Rows of a pass.
    pub(crate) rows: usize,
    /// Rows of prompts in a pass in which others decode.
    pub(crate) prompt_rows: usize,
    /// Rows whose logits are held at once.
    pub(crate) logit_rows: usize,
    /// Positions of a text.
    pub(crate) context: usize,
    /// Whether beginnings of texts are shared.
    pub(crate) share: bool,
    /// Tokens above which all positions of a text turn otherwise.
    pub(crate) rope_switch: Option<usize>,
}

impl Limits {
    /// Whether a text is above the switch.
    pub(crate) fn is_long(&self, tokens: usize) -> bool {
        self.rope_switch.is_some_and(|at| tokens > at)
    }
}

/// Requests that wait and run, each in the order of asking.
pub(crate) struct Schedule<'m> {
    pub(crate) waiting: VecDeque<Task<'m>>,
    pub(crate) running: Vec<Task<'m>>,
    pub(crate) limits: Limits,
    /// Requests that gave their pages up.
    pub(crate) preempted: u64,
}

impl<'m> Schedule<'m> {
    pub(crate) fn task(&mut self, id: RequestId) -> Option<&mut Task<'m>> {
        self.running.iter_mut().find(|task| task.id == id)
    }

    /// Takes a request out, wherever it is; where it runs first, for the queue may be long.
    pub(crate) fn remove(&mut self, id: RequestId) -> Option<Task<'m>> {
        if let Some(at) = self.running.iter().position(|task| task.id == id) {
            return Some(self.running.remove(at));
        }
        let at = self.waiting.iter().position(|task| task.id == id)?;
        self.waiting.remove(at)
    }

    /// The rows of the next pass; none where there is nothing to do.
    pub(crate) fn plan(&mut self, pages: &mut Pages, prefixes: &mut PrefixCache) -> Vec<Rows> {
        self.leave_short(pages);
        self.admit(pages, prefixes);
        let ids = |decoding| {
            self.running.iter().filter(|t| t.decodes() == decoding).map(|t| t.id).collect::<Vec<_>>()
        };
        let (decoding, prompts) = (ids(true), ids(false));
        let mut plan = Vec::new();

        let decode_rows = if prompts.is_empty() { self.limits.rows } else { self.limits.rows * 3 / 4 };
        let mut spare = decode_rows.saturating_sub(decoding.len());
        let mut logits = self.limits.logit_rows.saturating_sub(decoding.len());
        for &id in &decoding {
            self.guess(id, spare.min(logits));
            let guesses = self.reserve(id, 1, &mut plan, pages, prefixes).map_or(0, |rows| rows.guesses);
            (spare, logits) = (spare - guesses, logits - guesses);
        }

        let used: usize = plan.iter().map(|rows| rows.tokens + rows.guesses).sum();
        let mut room = self.limits.rows.saturating_sub(used);
        if !decoding.is_empty() {
            room = room.min(self.limits.prompt_rows);
        }
        for &id in &prompts {
            // It may have given its pages up to an older one meanwhile.
            let Some(task) = self.task(id) else { continue };
            let quiet = task.wanted_from().saturating_sub(task.computed);
            // A row of logits is always to be had, so that every text goes on.
            let rows = task.remaining().min(room).min(quiet + logits.max(1));
            if rows == 0 {
                continue;
            }
            if self.reserve(id, rows, &mut plan, pages, prefixes).is_some() {
                room -= rows;
                logits = logits.saturating_sub(rows.saturating_sub(quiet));
            }
        }
        plan
    }

    /// Sends requests back whose texts have grown above the switch: all of it is to be computed anew.
    fn leave_short(&mut self, pages: &mut Pages) {
        let limits = self.limits;
        let grown = |task: &Task<'_>| {
            task.place.as_ref().is_some_and(|place| place.long != limits.is_long(task.goal()))
        };
        while let Some(id) = self.running.iter().rev().find(|task| grown(task)).map(|task| task.id) {
            self.preempt(id, &mut Vec::new(), pages);
            self.preempted -= 1;
        }
    }

    /// Begins requests that wait, as long as there is room.
    fn admit(&mut self, pages: &mut Pages, prefixes: &mut PrefixCache) {
        if prefixes.has_many_salts() {
            let running = |salt: &str| self.running.iter().any(|task| task.salt.as_deref() == Some(salt));
            prefixes.forget_salts(&running);
        }
        let mut at = 0;
        while at < self.waiting.len().min(LOOKED_AT) && self.running.len() < self.limits.sequences {
            let task = &self.waiting[at];
            let reach = task.reach();
            let long = self.limits.is_long(task.goal());
            let root = prefixes.root(task.salt.as_deref(), long);
            let found = match self.limits.share {
                true => prefixes.find(root, &task.tokens[..reach]),
                false => Found::nothing(root),
            };
            let computed_soon = |other: &Task<'_>| {
                if other.salt != task.salt || other.place.as_ref().is_some_and(|place| place.long != long) {
                    return false;
                }
                let common = common_prefix(&other.tokens[..other.goal()], &task.tokens[..reach]);
                common >= found.tokens + WORTH_WAITING && other.computed < common
            };
            if self.limits.share && self.running.iter().any(computed_soon) {
                at += 1;
                continue;
            }
            let own = pages_for(task.goal() + 1) - found.tokens / Pages::LENGTH;
            let others: usize = self.running.iter().map(|task| owed(task, pages)).sum();
            let room = pages.free_pages() + pages.idle_pages() - prefixes.idle_pages(&found, pages);
            if !self.running.is_empty() && own + others > room {
                // Those behind it do not overtake it.
                break;
            }
            let Some(mut task) = self.waiting.remove(at) else { break };
            let (sequence, node) = prefixes.begin(&found, long, pages);
            let shared = found.tokens / Pages::LENGTH;
            task.place = Some(Place { sequence, node, shared, long });
            task.computed = found.tokens;
            if task.begun.is_none() {
                task.usage.cached_tokens = found.tokens;
                task.told = found.tokens;
                task.begun = Some(Instant::now());
                task.timings.queued = task.asked.elapsed();
            }
            let place = self.running.partition_point(|other| other.id < task.id);
            self.running.insert(place, task);
        }
    }

    /// Asks a request for at most `most` guesses, as many as its answer and its context have room for.
    fn guess(&mut self, id: RequestId, most: usize) {
        let limits = self.limits;
        let Some(task) = self.task(id) else { return };
        let Work::Generate { answer, drafter, max_new_tokens } = &task.work else { return };
        // Guesses do not take a text above the switch.
        let end = limits.rope_switch.filter(|&at| task.computed < at).unwrap_or(limits.context);
        let room = (end.min(limits.context) - task.computed).min(max_new_tokens - answer.length) - 1;
        task.guesses = drafter.guess(&task.tokens, room.min(most));
    }

    /// Finds pages for a request's next `tokens` tokens and its guesses, and puts them into the plan; `None` where it has
    /// lost its own instead.
    fn reserve(
        &mut self,
        id: RequestId,
        tokens: usize,
        plan: &mut Vec<Rows>,
        pages: &mut Pages,
        prefixes: &mut PrefixCache,
    ) -> Option<Rows> {
        loop {
            let reserved: usize = plan.iter().map(|rows| rows.pages).sum();
            let task = self.task(id)?;
            let sequence = &task.place.as_ref()?.sequence;
            let guesses = task.guesses.len();
            let needed = pages.needed(sequence, tokens + guesses);
            if reserved + needed <= pages.free_pages() {
                let rows = Rows { id, tokens, guesses, pages: needed };
                plan.push(rows);
                return Some(rows);
            }
            let whole = task.computed / Pages::LENGTH * Pages::LENGTH;
            if prefixes.evict(pages) {
            } else if guesses > 0 {
                task.guesses.clear();
            } else if pages.is_relied_on(sequence) {
                // Its last page is kept as it is for others: rather than copied it is left, and computed again.
                pages.truncate(sequence, whole);
                task.computed = whole;
                task.usage.cached_tokens = task.usage.cached_tokens.min(whole);
            } else {
                let youngest = self.running.last()?.id;
                self.preempt(youngest, plan, pages);
            }
        }
    }

    /// Takes a request's pages, and sets it at the head of the queue.
    fn preempt(&mut self, id: RequestId, plan: &mut Vec<Rows>, pages: &mut Pages) {
        let Some(at) = self.running.iter().position(|task| task.id == id) else { return };
        let mut task = self.running.remove(at);
        plan.retain(|rows| rows.id != id);
        if let Some(place) = task.place.take() {
            pages.free(place.sequence);
        }
        task.computed = 0;
        task.guesses.clear();
        if let Work::Embed { sum, .. } = &mut task.work {
            sum.clear();
        }
        self.preempted += 1;
        self.waiting.push_front(task);
    }
}

/// Pages that a running request still takes for its text and its next token.
fn owed(task: &Task<'_>, pages: &Pages) -> usize {
    task.place.as_ref().map_or(0, |place| pages.needed(&place.sequence, task.goal() + 1 - task.computed))
}

fn pages_for(tokens: usize) -> usize {
    tokens.div_ceil(Pages::LENGTH)
}
