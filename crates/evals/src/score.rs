//! Documents through the model.

use crate::encode::{Pair, encode, encode_context};
use crate::generation::GenerateUntil;
use crate::journal::{self, Journal, Key, Record, Score};
use crate::language_model::{Continuations, LanguageModel};
use crate::metrics::{self, Figure, Judged};
use crate::{DataFile, Document, Error, Exam, Profile, Task};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// What a model made of a task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskResult {
    /// The task.
    pub task: String,
    /// By whose rules.
    pub profile: Profile,
    /// Its metrics.
    pub figures: Vec<Figure>,
    /// The same of each part of the task, where it has any.
    pub subtasks: Vec<SubtaskResult>,
    /// Bits that a byte of the right choices costs; the fewer, the better. Where answers are written there are none.
    pub bits_per_byte: Option<f64>,
    /// Documents that were asked.
    pub documents: usize,
    /// Documents that the data has.
    pub available: usize,
    /// Examples before each question.
    pub examples: usize,
    /// Requests whose context was too long and was cut from the left.
    pub cut: usize,
    /// Choices that were scored, or answers that were written.
    pub requests: usize,
    /// Of those, what the journal knew.
    pub known: usize,
    /// The files of the data.
    pub data: Vec<DataFile>,
    /// Each document.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// What a model made of a part of a task.
#[derive(Clone, Debug, Serialize)]
pub struct SubtaskResult {
    /// The task's name and the part's.
    pub name: String,
    /// Its documents.
    pub documents: usize,
    /// The task's metrics.
    pub figures: Vec<Figure>,
}

/// A document and what was made of it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its number in the data, from 0.
    pub number: usize,
    /// File and line.
    pub place: String,
    /// What it belongs to within the task.
    pub subtask: Option<String>,
    /// Log-likelihoods and the choice, or what was written.
    pub judged: Judged,
    /// For each choice, whether greedy search would say it.
    pub greedy: Vec<bool>,
}

/// How the work goes: requests that are done, and all of the task.
pub type Progress<'p> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'p;

/// Gives a model an exam. `max_length` is how many tokens are read at most, 0 for all that the model's context holds; `progress`
/// may end the work, and what was computed is in the journal.
///
/// # Errors
/// A choice cannot be scored, a score is no number, or the device or the connection fails.
pub fn run(
    model: &dyn LanguageModel,
    exam: &Exam<'_>,
    max_length: usize,
    journal: &mut Journal,
    progress: &mut Progress<'_>,
) -> Result<ControlFlow<(), TaskResult>, Error> {
    let context = model.context();
    let work = Work {
        model,
        exam,
        identity: model.identity(),
        max_length: if max_length == 0 { context } else { max_length.min(context) },
    };
    match &exam.task.file.generate {
        Some(how) => work.generate(how, journal, progress),
        None => work.score(journal, progress),
    }
}

/// A model, an exam, and how they come together.
struct Work<'w> {
    model: &'w dyn LanguageModel,
    exam: &'w Exam<'w>,
    identity: String,
    max_length: usize,
}

impl Work<'_> {
    fn score(
        &self,
        journal: &mut Journal,
        progress: &mut Progress<'_>,
    ) -> Result<ControlFlow<(), TaskResult>, Error> {
        let encoded = self.each(|document| {
            let question = &document.question;
            let choices = question.contexts.iter().zip(&question.choices);
            let of_choice = |(context, choice): (&String, &String)| {
                let continuation = format!("{}{choice}", question.delimiter);
                let vocabulary = self.model.vocabulary();
                encode(vocabulary, self.exam.options.profile, context, &continuation, self.max_length)
            };
            choices.map(of_choice).collect::<Result<Vec<Pair>, String>>()
        })?;
        let key = |pair: &Pair| journal::key(&self.identity, &pair.tokens, pair.first);
        let total = self.exam.requests();

        // Each text once, the longest first, those after the same context together.
        let mut order: Vec<usize> = (0..encoded.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(encoded[i].iter().map(|pair| pair.tokens.len()).max()));
        let (mut asked, mut known) = (HashMap::new(), 0);
        let (mut texts, mut keys): (Vec<Continuations<'_>>, Vec<Vec<Key>>) = (Vec::new(), Vec::new());
        for &i in &order {
            let before = texts.len();
            for pair in &encoded[i] {
                let key = key(pair);
                if journal.get(&key).is_some() {
                    known += 1;
                    continue;
                }
                let count = asked.entry(key).or_insert(0);
                *count += 1;
                if *count > 1 {
                    continue;
                }
                let (context, continuation) = pair.tokens.split_at(pair.first);
                match texts[before..].iter().position(|text| text.context == context) {
                    Some(at) => {
                        texts[before + at].continuations.push(continuation);
                        keys[before + at].push(key);
                    }
                    None => {
                        texts.push(Continuations { context, continuations: vec![continuation] });
                        keys.push(vec![key]);
                    }
                }
            }
        }
        let mut count = known;
        if progress(count, total).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let flow = self.model.score(&texts, &mut |text, continuation, score| {
            let key = keys[text][continuation];
            if !score.logprob.is_finite() {
                let has = |pairs: &Vec<Pair>| pairs.iter().any(|pair| self.key(pair) == key);
                return Err(not_finite(self.exam, encoded.iter().position(has), score.logprob));
            }
            journal.put(&key, self.exam.task.name(), Record::Score(score))?;
            journal.flush()?;
            count += asked.get(&key).copied().unwrap_or(0);
            Ok(progress(count, total))
        })?;
        if flow.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let mut samples = Vec::with_capacity(encoded.len());
        for (document, pairs) in self.exam.documents.iter().zip(&encoded) {
            let scores: Option<Vec<Score>> = pairs.iter().map(|pair| journal.score(&key(pair))).collect();
            let scores = scores.ok_or_else(|| self.unanswered(document))?;
            let logprobs = scores.iter().map(|score| score.logprob).collect();
            let judged = Judged { question: document.question.clone(), logprobs, said: String::new() };
            samples.push(sample(document, judged, scores.iter().map(|score| score.greedy).collect()));
        }
        let cut = encoded.iter().flatten().filter(|pair| pair.cut > 0).count();
        Ok(ControlFlow::Continue(self.result(samples, cut, known)))
    }

    fn generate(
        &self,
        how: &GenerateUntil,
        journal: &mut Journal,
        progress: &mut Progress<'_>,
    ) -> Result<ControlFlow<(), TaskResult>, Error> {
        let (vocabulary, profile) = (self.model.vocabulary(), self.exam.options.profile);
        let encoded = self.each(|document| {
            let context = &document.question.contexts[0];
            encode_context(vocabulary, profile, context, how.max_tokens, self.max_length)
        })?;
        let identity = format!("{} {} {:?}", self.identity, how.max_tokens, how.until);
        let key = |tokens: &[u32]| journal::key(&identity, tokens, tokens.len());
        let (total, mut asked) = (encoded.len(), HashSet::new());
        let mut texts: Vec<&[u32]> = encoded.iter().map(|(tokens, _)| tokens.as_slice()).collect();
        texts.retain(|tokens| journal.get(&key(tokens)).is_none() && asked.insert(*tokens));
        texts.sort_by_key(|tokens| std::cmp::Reverse(tokens.len()));
        let known = total - texts.len();
        let mut count = known;
        if progress(count, total).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let flow = self.model.generate(&texts, how, &mut |text, _, said| {
            journal.put(&key(texts[text]), self.exam.task.name(), Record::Text(said))?;
            journal.flush()?;
            count += 1;
            Ok(progress(count, total))
        })?;
        if flow.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let mut samples = Vec::with_capacity(encoded.len());
        for (document, (tokens, _)) in self.exam.documents.iter().zip(&encoded) {
            let Some(Record::Text(said)) = journal.get(&key(tokens)) else {
                return Err(self.unanswered(document));
            };
            let (question, said) = (document.question.clone(), said.clone());
            samples.push(sample(document, Judged { question, logprobs: Vec::new(), said }, Vec::new()));
        }
        let cut = encoded.iter().filter(|(_, cut)| *cut > 0).count();
        Ok(ControlFlow::Continue(self.result(samples, cut, known)))
    }

    fn key(&self, pair: &Pair) -> Key {
        journal::key(&self.identity, &pair.tokens, pair.first)
    }

    /// Something of each document; an error says which it was.
    fn each<T>(&self, of: impl Fn(&Document) -> Result<T, String>) -> Result<Vec<T>, Error> {
        let each = |document: &Document| of(document).map_err(|fact| self.wrong(document, fact));
        self.exam.documents.iter().map(each).collect()
    }

    fn wrong(&self, document: &Document, fact: String) -> Error {
        Error::Score { task: self.exam.task.name().to_owned(), place: document.place.clone(), fact }
    }

    fn unanswered(&self, document: &Document) -> Error {
        self.wrong(document, "the model gave no answer".to_owned())
    }

    fn result(&self, samples: Vec<Sample>, cut: usize, known: usize) -> TaskResult {
        let (task, profile) = (self.exam.task, self.exam.options.profile);
        let judged: Vec<Judged> = samples.iter().map(|sample| sample.judged.clone()).collect();
        let subtasks = subtasks(task, profile, &samples);
        let figures = match &subtasks[..] {
            [] => figures(task, profile, &judged),
            [first, ..] => {
                let pool = |i: usize| {
                    let parts: Vec<(usize, &Figure)> =
                        subtasks.iter().map(|part| (part.documents, &part.figures[i])).collect();
                    metrics::pooled(first.figures[i].metric, &parts)
                };
                (0..first.figures.len()).map(pool).collect()
            }
        };
        TaskResult {
            task: task.name().to_owned(),
            profile,
            figures,
            subtasks,
            bits_per_byte: task.file.generate.is_none().then(|| metrics::bits_per_byte(&judged)),
            documents: samples.len(),
            available: self.exam.available,
            examples: self.exam.options.examples,
            cut,
            requests: self.exam.requests(),
            known,
            data: self.exam.data.clone(),
            samples,
        }
    }
}

/// What documents come to, by the metrics of their task.
pub(crate) fn figures(task: &Task, profile: Profile, judged: &[Judged]) -> Vec<Figure> {
    match &task.file.generate {
        Some(how) => how.figures(judged),
        None => task.file.metrics.iter().map(|&metric| metrics::figure(metric, profile, judged)).collect(),
    }
}

/// The parts of a task, in the order that documents name them in.
fn subtasks(task: &Task, profile: Profile, samples: &[Sample]) -> Vec<SubtaskResult> {
    let mut parts: Vec<(&str, Vec<Judged>)> = Vec::new();
    for sample in samples {
        let Some(of) = sample.subtask.as_deref() else { continue };
        match parts.iter_mut().find(|(known, _)| *known == of) {
            Some((_, judged)) => judged.push(sample.judged.clone()),
            None => parts.push((of, vec![sample.judged.clone()])),
        }
    }
    let plain = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let result = |(of, judged): (&str, Vec<Judged>)| SubtaskResult {
        name: format!("{}_{}", task.name(), of.chars().map(plain).collect::<String>()),
        documents: judged.len(),
        figures: figures(task, profile, &judged),
    };
    parts.into_iter().map(result).collect()
}

fn sample(document: &Document, judged: Judged, greedy: Vec<bool>) -> Sample {
    let (number, place, subtask) = (document.number, document.place.clone(), document.subtask.clone());
    Sample { number, place, subtask, judged, greedy }
}

fn not_finite(exam: &Exam<'_>, at: Option<usize>, logprob: f64) -> Error {
    Error::Score {
        task: exam.task.name().to_owned(),
        place: at.map(|at| exam.documents[at].place.clone()).unwrap_or_default(),
        fact: format!(
            "a log-likelihood is {logprob}; the weights are damaged or overflow, and no figure would mean anything"
        ),
    }
}
