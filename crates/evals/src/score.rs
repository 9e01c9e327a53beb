//! Documents through the model.

use crate::encode::{Pair, encode};
use crate::journal::{self, Journal, Key, Score};
use crate::metrics::{self, Figure, Judged};
use crate::{DataFile, Error, Exam, Profile};
use sai_generation::{Engine, EngineOptions, Model, Output, RequestId};
use serde::Serialize;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Positions of the cache, where texts are not longer: room for many short ones at once.
const CACHE_TOKENS: usize = 4096;

/// What a model made of a task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskResult {
    /// The task.
    pub task: String,
    /// By whose rules.
    pub profile: Profile,
    /// Its metrics.
    pub figures: Vec<Figure>,
    /// Bits that a byte of the right choices costs; the fewer, the better.
    pub bits_per_byte: f64,
    /// Documents that were asked.
    pub documents: usize,
    /// Documents that the data has.
    pub available: usize,
    /// Examples before each question.
    pub examples: usize,
    /// Choices whose context was too long and was cut from the left.
    pub cut: usize,
    /// Choices that were scored, and how many of them the journal knew.
    pub requests: usize,
    /// Of those, what the journal knew.
    pub known: usize,
    /// The files of the data.
    pub data: Vec<DataFile>,
    /// Each document.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// A document and what was made of it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its number in the data, from 0.
    pub number: usize,
    /// File and line.
    pub place: String,
    /// Log-likelihoods and the choice.
    pub judged: Judged,
    /// For each choice, whether greedy search would say it.
    pub greedy: Vec<bool>,
}

/// How the work goes: choices that are scored, and all of the task.
pub type Progress<'p> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'p;

/// Scores an exam. `max_length` is how many tokens are read at most, 0 for all that the model's context holds; `progress`
/// may end the work, and what was computed is in the journal.
///
/// # Errors
/// A choice cannot be scored, a score is no number, or the device fails.
pub fn run(
    model: &Model,
    exam: &Exam<'_>,
    max_length: usize,
    journal: &mut Journal,
    progress: &mut Progress<'_>,
) -> Result<ControlFlow<(), TaskResult>, Error> {
    let max_length = if max_length == 0 { model.context } else { max_length.min(model.context) };
    let pairs = pairs(model, exam, max_length)?;
    // Scores by rounded keys and values are others.
    let identity = &format!("{} {:?}", model.identity(), model.cache_type);
    let total = exam.requests();

    // Each text once, the longest first, those of a document one after another.
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(pairs[i].iter().map(|pair| pair.tokens.len()).max()));
    let mut wanted: HashMap<Key, usize> = HashMap::new();
    let mut fresh: Vec<(Key, &Pair)> = Vec::new();
    for pair in order.iter().flat_map(|&i| &pairs[i]) {
        let key = journal::key(identity, pair);
        if journal.get(&key).is_none() {
            let count = wanted.entry(key).or_insert(0);
            if *count == 0 {
                fresh.push((key, pair));
            }
            *count += 1;
        }
    }
    let unknown: usize = wanted.values().sum();
    let (known, mut done) = (total - unknown, total - unknown);
    if progress(done, total).is_break() {
        return Ok(ControlFlow::Break(()));
    }

    if !fresh.is_empty() {
        let longest = fresh.iter().map(|(_, pair)| pair.tokens.len()).max().unwrap_or(0);
        let options =
            EngineOptions { cache_tokens: (longest + 64).max(CACHE_TOKENS), ..EngineOptions::default() };
        let mut engine = Engine::new(model, options)?;
        let mut asked: HashMap<RequestId, Key> = HashMap::new();
        for (key, pair) in fresh {
            asked.insert(engine.score(pair.tokens.clone(), pair.first)?, key);
        }
        while !engine.is_idle() {
            for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(()))? {
                let (Some(key), Output::Scores(scores)) = (asked.remove(&id), output) else { continue };
                let logprob = scores.logprobs.iter().map(|&logprob| f64::from(logprob)).sum::<f64>();
                let score = Score { logprob, greedy: scores.greedy.iter().all(|&greedy| greedy) };
                if logprob.is_finite() {
                    journal.put(&key, exam.task.name(), score)?;
                } else {
                    return Err(not_finite(exam, &pairs, identity, &key, logprob));
                }
                done += wanted.get(&key).copied().unwrap_or(0);
            }
            journal.flush()?;
            if progress(done, total).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    let mut samples = Vec::with_capacity(pairs.len());
    for (document, pairs) in exam.documents.iter().zip(&pairs) {
        let scores: Option<Vec<Score>> =
            pairs.iter().map(|pair| journal.get(&journal::key(identity, pair))).collect();
        let scores = scores.ok_or_else(|| Error::Score {
            task: exam.task.name().to_owned(),
            place: document.place.clone(),
            fact: "the engine gave no score for a choice".to_owned(),
        })?;
        let logprobs = scores.iter().map(|score| score.logprob).collect();
        samples.push(Sample {
            number: document.number,
            place: document.place.clone(),
            judged: Judged { question: document.question.clone(), logprobs },
            greedy: scores.iter().map(|score| score.greedy).collect(),
        });
    }
    let profile = exam.options.profile;
    let judged: Vec<Judged> = samples.iter().map(|sample| sample.judged.clone()).collect();
    Ok(ControlFlow::Continue(TaskResult {
        task: exam.task.name().to_owned(),
        profile,
        figures: exam.task.file.metrics.iter().map(|&m| metrics::figure(m, profile, &judged)).collect(),
        bits_per_byte: metrics::bits_per_byte(&judged),
        documents: samples.len(),
        available: exam.available,
        examples: exam.options.examples,
        cut: pairs.iter().flatten().filter(|pair| pair.cut > 0).count(),
        requests: total,
        known,
        data: exam.data.clone(),
        samples,
    }))
}

/// The tokens of every choice of every document.
fn pairs(model: &Model, exam: &Exam<'_>, max_length: usize) -> Result<Vec<Vec<Pair>>, Error> {
    let profile = exam.options.profile;
    let of_document = |document: &crate::Document| {
        let question = &document.question;
        let choices = question.contexts.iter().zip(&question.choices);
        let of_choice = |(context, choice): (&String, &String)| {
            let continuation = format!("{}{choice}", question.delimiter);
            encode(&model.tokenizer, profile, context, &continuation, max_length)
        };
        choices.map(of_choice).collect::<Result<Vec<Pair>, String>>().map_err(|fact| Error::Score {
            task: exam.task.name().to_owned(),
            place: document.place.clone(),
            fact,
        })
    };
    exam.documents.iter().map(of_document).collect()
}

fn not_finite(exam: &Exam<'_>, pairs: &[Vec<Pair>], identity: &str, key: &Key, logprob: f64) -> Error {
    let of_key = |pairs: &Vec<Pair>| pairs.iter().any(|pair| journal::key(identity, pair) == *key);
    let place = pairs.iter().position(of_key).map(|i| exam.documents[i].place.clone());
    Error::Score {
        task: exam.task.name().to_owned(),
        place: place.unwrap_or_default(),
        fact: format!(
            "a log-likelihood is {logprob}; the weights are damaged or overflow, and no figure would mean anything"
        ),
    }
}
