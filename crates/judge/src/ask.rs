//! Many questions to one model, several at a time, each answered reply written down before the next step.
//!
//! A [`Chain`] is one contestant's way through a prompt, or one judge's to a verdict: what it asks next depends on the replies so
//! far. Replies that the [`Journal`] has are taken from it, so that a run that was killed goes on where it was, and a report walks
//! the same chains without asking.

use crate::Error;
use crate::budget::{Budget, Estimate, Price, prompt_tokens};
use crate::chat::{ChatError, ChatModel, ChatRequest, Finish, Reply};
use crate::journal::{Entry, Journal, key};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A step of a chain.
pub(crate) struct Step {
    pub(crate) request: ChatRequest,
    pub(crate) turn: usize,
    pub(crate) repeat: usize,
    pub(crate) attempt: usize,
}

/// The step after some replies.
type Next<'c> = dyn Fn(&[Reply]) -> Option<Step> + Send + Sync + 'c;

/// What is to be asked, one after another.
pub(crate) struct Chain<'c> {
    pub(crate) prompt: &'c str,
    pub(crate) seats: Vec<String>,
    /// Steps, if every reply is a good one.
    pub(crate) expected: usize,
    /// What comes after some replies; none at the end.
    pub(crate) next: Box<Next<'c>>,
}

/// How far a journal has a chain.
pub(crate) struct Walked {
    pub(crate) replies: Vec<Reply>,
    /// The first step without a reply; none where the chain is at its end.
    pub(crate) rest: Option<Step>,
}

impl Chain<'_> {
    pub(crate) fn walk(&self, identity: &str, journal: &Journal) -> Walked {
        let mut replies = Vec::new();
        loop {
            let Some(step) = (self.next)(&replies) else { return Walked { replies, rest: None } };
            match journal.get(&self.key(identity, &step)) {
                Some(reply) => replies.push(reply.clone()),
                None => return Walked { replies, rest: Some(step) },
            }
        }
    }

    /// What a journal has the reply to a step under.
    pub(crate) fn key(&self, identity: &str, step: &Step) -> String {
        key(identity, self.prompt, &step.request, step.repeat, step.attempt)
    }
}

/// How to ask.
#[derive(Clone, Copy)]
pub struct AskOptions<'o> {
    /// Requests at a time.
    pub parallel: usize,
    /// What may be spent.
    pub budget: &'o Budget,
    /// What the model's tokens cost, where it is known.
    pub price: Option<Price>,
}

/// What came of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Replies that came.
    pub replies: usize,
    /// Replies that the journal had.
    pub known: usize,
    /// Questions that failed, by what was said; the same command asks them again.
    pub failed: BTreeMap<String, usize>,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
}

/// What is still to be asked of a model, and what that takes.
pub(crate) fn estimate(
    model: &dyn ChatModel,
    chains: &[Chain<'_>],
    journal: &Journal,
    parallel: usize,
    price: Option<Price>,
) -> Estimate {
    let identity = model.identity();
    let mut sum = Estimate::default();
    for chain in chains {
        let walked = chain.walk(&identity, journal);
        sum.known += walked.replies.len();
        let Some(step) = walked.rest else { continue };
        let steps = chain.expected.saturating_sub(walked.replies.len()).max(1);
        let (first, most) = (prompt_tokens(&step.request), step.request.max_tokens as f64);
        for later in 0..steps {
            // What was answered before is read again.
            let read = first + later as f64 * most / 2.0;
            sum.requests += 1;
            sum.prompt_tokens += read;
            sum.completion_tokens += most;
            sum.seconds += model.seconds(read, most / 2.0);
        }
    }
    // On this machine, requests share its processor.
    let abreast = if model.is_paid() { parallel.max(1) } else { 1 };
    sum.seconds /= abreast as f64;
    sum.cost = match (model.is_paid(), price) {
        (false, _) => Some(0.0),
        (true, price) => price.map(|price| price.of(sum.prompt_tokens, sum.completion_tokens)),
    };
    sum
}

/// Asks all, `parallel` chains at a time. `progress` hears how many chains are done, of how many, and may end the work.
pub(crate) fn ask_all(
    model: &dyn ChatModel,
    chains: &[Chain<'_>],
    journal: &Mutex<Journal>,
    options: AskOptions<'_>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Asked, Error> {
    let identity = model.identity();
    let (taken, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let asked = Mutex::new(Asked::default());
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let (done, ends) = channel();
    let worker = |done: std::sync::mpsc::Sender<()>| {
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(chain) = chains.get(taken.fetch_add(1, Ordering::Relaxed)) else { return };
            match follow(model, &identity, chain, journal, options, &stop, &asked) {
                Ok(()) => {}
                Err(ChatError::Stopped) => return,
                Err(ChatError::Failed(fact)) => *lock(&asked).failed.entry(fact).or_default() += 1,
                Err(ChatError::Fatal(error)) => {
                    // Others finish what they have begun, and write it down.
                    stop.store(true, Ordering::Relaxed);
                    lock(&failure).get_or_insert(error);
                    return;
                }
            }
            let _ = done.send(());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.parallel.clamp(1, chains.len().max(1)) {
            let done = done.clone();
            scope.spawn(|| worker(done));
        }
        drop(done);
        let mut finished = 0;
        loop {
            match ends.recv_timeout(Duration::from_millis(100)) {
                Ok(()) => finished += 1,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if progress(finished, chains.len()).is_break() {
                stop.store(true, Ordering::Relaxed);
                lock(&asked).stopped = true;
            }
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(error) => Err(error),
        None => Ok(asked.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Follows a chain to its end.
fn follow(
    model: &dyn ChatModel,
    identity: &str,
    chain: &Chain<'_>,
    journal: &Mutex<Journal>,
    options: AskOptions<'_>,
    stop: &AtomicBool,
    asked: &Mutex<Asked>,
) -> Result<(), ChatError> {
    let mut replies = Vec::new();
    while let Some(step) = (chain.next)(&replies) {
        let key = chain.key(identity, &step);
        // What did not fit into a model's context on this machine may fit now: another --context is another engine.
        let lasting = |reply: &Reply| model.is_paid() || reply.finish != Finish::Refused;
        let known = lock(journal).get(&key).filter(|reply| lasting(reply)).cloned();
        if let Some(reply) = known {
            lock(asked).known += 1;
            replies.push(reply);
            continue;
        }
        if stop.load(Ordering::Relaxed) {
            return Err(ChatError::Stopped);
        }
        let (budget, price) = (options.budget, options.price.filter(|_| model.is_paid()));
        let reserved = budget.reserve(price, &step.request).map_err(ChatError::Fatal)?;
        let reply = model.ask(&step.request, stop);
        budget.book(reserved, price, &step.request, reply.as_ref().ok(), model.take_unread());
        let reply = reply?;
        let entry = Entry {
            key,
            model: model.name().to_owned(),
            prompt: chain.prompt.to_owned(),
            turn: step.turn,
            seats: chain.seats.clone(),
            reply: reply.clone(),
        };
        lock(journal).put(entry).map_err(ChatError::Fatal)?;
        lock(asked).replies += 1;
        replies.push(reply);
    }
    Ok(())
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
