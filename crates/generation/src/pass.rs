//! One pass: the rows that the schedule chose go through the model, and each request takes its logits.

use crate::answer::Chosen;
use crate::pages::PrefixCache;
use crate::sampling::{log_sum_exp, top};
use crate::schedule::{Rows, Schedule, Task, Work};
use crate::{Error, Event, FinishReason, RequestId};
use sai_decoder::{Batch, LogitRows, Pages, Runner};
use std::ops::ControlFlow;
use std::time::Instant;

/// Hears of a request's progress, and may break it off.
pub(crate) type Listener<'l> = dyn FnMut(RequestId, Event<'_>) -> ControlFlow<()> + 'l;

/// Computes the planned rows. Each request then has its new tokens or scores, and is marked where it is finished.
pub(crate) fn compute(
    schedule: &mut Schedule<'_>,
    plan: &[Rows],
    runner: &mut dyn Runner,
    prefixes: &mut PrefixCache,
    batch: &mut Batch,
    on: &mut Listener<'_>,
) -> Result<(), Error> {
    batch.clear();
    for rows in plan {
        let Some(task) = schedule.task(rows.id) else { continue };
        let Some(place) = &task.place else { continue };
        let tokens = &task.tokens[task.computed..task.computed + rows.tokens];
        if let Work::Embed { pooling, .. } = task.work {
            let first = task.first_hidden(pooling).saturating_sub(task.computed);
            batch.push_hidden(&place.sequence, tokens, first, task.goal());
            continue;
        }
        let wanted = LogitRows::From(task.wanted_from().saturating_sub(task.computed));
        match task.guesses.is_empty() {
            true => batch.push_of(&place.sequence, tokens, wanted, task.goal()),
            false => batch.push_of(&place.sequence, &[tokens, &task.guesses].concat(), wanted, task.goal()),
        }
    }
    let (context, share) = (schedule.limits.context, schedule.limits.share);
    let vocab_size = runner.vocab_size();
    let mut logits = runner.forward(batch)?.chunks_exact(vocab_size);
    for rows in plan {
        let Some(task) = schedule.task(rows.id) else { continue };
        let wanted = (task.computed + rows.tokens + rows.guesses).saturating_sub(task.wanted_from());
        let mut logits = logits.by_ref().take(wanted);
        task.take(rows, context, &mut logits, on);
        // What was not looked at belongs to nobody else.
        logits.for_each(drop);
    }
    if plan.iter().any(|rows| schedule.task(rows.id).is_some_and(|task| task.embeds())) {
        let width = runner.hidden_size();
        let mut hidden = runner.hidden_states().chunks_exact(width);
        for rows in plan {
            if let Some(task) = schedule.task(rows.id) {
                task.embed_rows(rows, &mut hidden);
            }
        }
    }
    for rows in plan {
        let Some(task) = schedule.task(rows.id) else { continue };
        let pages = runner.pages_mut();
        if let Some(place) = &task.place {
            // Guesses that were not chosen are no part of the text.
            pages.truncate(&place.sequence, task.computed);
        }
        if share {
            task.share(pages, prefixes);
        }
    }
    Ok(())
}

impl Task<'_> {
    /// Takes the logits of its rows.
    fn take(
        &mut self,
        rows: &Rows,
        context: usize,
        logits: &mut dyn Iterator<Item = &[f32]>,
        on: &mut Listener<'_>,
    ) {
        let before = self.computed;
        self.computed += rows.tokens;
        let told = self.computed.min(self.prompt);
        if before < self.prompt && told > self.told {
            self.told = told;
            let cached = self.usage.cached_tokens;
            let total = self.goal().min(self.prompt) - cached;
            if on(self.id, Event::Prefill { done: told - cached, total }).is_break() {
                self.finished = Some(FinishReason::Interrupted);
                return;
            }
        }
        match self.work {
            Work::Generate { .. } if self.computed == self.tokens.len() => self.choose(context, logits, on),
            Work::Generate { .. } => {}
            Work::Score { .. } => self.score_rows(logits),
            Work::ScoreNext { .. } => self.score_candidates(logits),
            // Its rows come with the hidden states.
            Work::Embed { .. } => {}
        }
    }

    /// Adds the hidden states of its rows, which are computed.
    fn embed_rows(&mut self, rows: &Rows, hidden: &mut dyn Iterator<Item = &[f32]>) {
        let Work::Embed { pooling, .. } = self.work else { return };
        let (first, before) = (self.first_hidden(pooling), self.computed - rows.tokens);
        let Work::Embed { sum, .. } = &mut self.work else { return };
        for state in hidden.take(self.computed.saturating_sub(first.max(before))) {
            sum.resize(state.len(), 0.0);
            sum.iter_mut().zip(state).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        if self.computed == self.tokens.len() {
            self.finished = Some(FinishReason::Stop);
        }
    }

    /// Chooses the next token, and those after it as long as they were guessed.
    fn choose(&mut self, context: usize, logits: &mut dyn Iterator<Item = &[f32]>, on: &mut Listener<'_>) {
        let Work::Generate { answer, drafter, max_new_tokens } = &mut self.work else { return };
        let begun = self.begun.unwrap_or(self.asked);
        if self.first_token.is_none() {
            self.timings.prefill = begun.elapsed();
        }
        let guesses = std::mem::take(&mut self.guesses);
        self.usage.drafted_tokens += guesses.len();
        let mut accepted = 0;
        self.finished = loop {
            if answer.length >= *max_new_tokens {
                break Some(FinishReason::Length);
            }
            let Some(logits) = logits.next() else { break None };
            let chosen = answer.step(logits, &self.tokens);
            let first = *self.first_token.get_or_insert_with(Instant::now);
            self.timings.time_to_first_token = first - self.asked;
            self.timings.decode = first.elapsed();
            let step = match chosen {
                Chosen::Token(step) => step,
                Chosen::End => break Some(FinishReason::Stop),
                Chosen::ConstraintFailed => break Some(FinishReason::ConstraintFailed),
            };
            self.tokens.push(step.token);
            if on(self.id, Event::Step(&step)).is_break() {
                break Some(FinishReason::Interrupted);
            } else if answer.stopped || answer.is_complete() {
                break Some(FinishReason::Stop);
            } else if guesses.get(accepted) == Some(&step.token) {
                // As guessed: what follows it is computed already.
                accepted += 1;
            } else if answer.length >= *max_new_tokens {
                break Some(FinishReason::Length);
            } else {
                drafter.learn(guesses.len(), accepted);
                // The last token of a full answer is left to the next prompt, if there is one.
                break (self.computed + accepted == context).then_some(FinishReason::ContextFull);
            }
        };
        self.computed += accepted;
        self.usage.accepted_tokens += accepted;
    }

    /// Scores the tokens after its rows.
    fn score_rows(&mut self, logits: &mut dyn Iterator<Item = &[f32]>) {
        let Work::Score { first, candidates, scores } = &mut self.work else { return };
        for logits in logits {
            let token = self.tokens[*first + scores.logprobs.len()];
            scores.add(token, logits, log_sum_exp(logits));
            if *candidates > 0 {
                scores.candidates.push(top(logits, *candidates));
            }
        }
        if *first + scores.logprobs.len() == self.tokens.len() {
            self.finished = Some(FinishReason::Stop);
        }
    }

    /// Scores what may follow its last row.
    fn score_candidates(&mut self, logits: &mut dyn Iterator<Item = &[f32]>) {
        let Work::ScoreNext { candidates, scores } = &mut self.work else { return };
        if let Some(logits) = logits.next() {
            let sum = log_sum_exp(logits);
            candidates.iter().for_each(|&token| scores.add(token, logits, sum));
            self.finished = Some(FinishReason::Stop);
        }
    }

    /// Lets others find what is computed: full pages, and the last one once the prompt is done and at the end.
    fn share(&mut self, pages: &mut Pages, prefixes: &mut PrefixCache) {
        let Some(place) = &mut self.place else { return };
        while (place.shared + 1) * Pages::LENGTH <= self.computed {
            let tokens = &self.tokens[place.shared * Pages::LENGTH..][..Pages::LENGTH];
            let Some(node) = prefixes.add(place.node, tokens, &place.sequence, place.shared, pages) else {
                return;
            };
            place.node = node;
            place.shared += 1;
        }
        let rest = &self.tokens[place.shared * Pages::LENGTH..self.computed];
        let prompt_done = self.computed == self.prompt || self.computed + 1 == self.prompt;
        if !rest.is_empty() && (self.finished.is_some() || prompt_done) {
            prefixes.add(place.node, rest, &place.sequence, place.shared, pages);
        }
    }
}
