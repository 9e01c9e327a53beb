//! Answers: who gives them, how they are collected, and what a run has of them.

use crate::ask::{AskOptions, Asked, Chain, Step, ask_all, estimate};
use crate::budget::Estimate;
use crate::chat::{ChatModel, ChatRequest, Finish, Reply};
use crate::journal::{Entry, Journal};
use crate::prompts::unpacked;
use crate::{Error, Prompt, Run};
use sai_generation::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

/// Who answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contestant {
    /// What it is called.
    pub name: String,
    /// What tells it from others: weights, an address, or the checksum of a file of answers.
    pub identity: String,
    /// How it is asked.
    #[serde(default)]
    pub settings: AnswerSettings,
}

/// How contestants are asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerSettings {
    /// Tokens of an answer at most; 0 for answers that were not asked for here.
    pub max_tokens: usize,
    /// 0 takes the likeliest tokens.
    pub temperature: f32,
    /// Of what is drawn by chance.
    pub seed: u64,
    /// What is said before all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// What a run has of a contestant's answer to a prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An answer to each turn.
    Given(Vec<Reply>),
    /// There is none, and asking again would not give one.
    Missing(String),
    /// It was not asked yet, or failed.
    Unasked,
}

impl Answer {
    /// The replies, if they are there.
    pub fn replies(&self) -> Option<&[Reply]> {
        match self {
            Answer::Given(replies) => Some(replies),
            _ => None,
        }
    }

    /// Characters of all its turns.
    pub fn length(&self) -> Option<usize> {
        self.replies().map(|replies| replies.iter().map(|reply| reply.text.chars().count()).sum())
    }
}

/// A contestant's way through a prompt.
fn chain<'c>(contestant: &'c Contestant, prompt: &'c Prompt) -> Chain<'c> {
    let next = move |replies: &[Reply]| {
        let turn = replies.len();
        let refused = replies.last().is_some_and(|reply| reply.finish == Finish::Refused);
        if turn >= prompt.turns.len() || refused {
            return None;
        }
        let settings = &contestant.settings;
        let mut messages: Vec<Message> =
            settings.system.iter().map(|text| Message::new("system", text.clone())).collect();
        for (said, reply) in prompt.turns.iter().zip(replies) {
            messages.push(Message::new("user", said.clone()));
            messages.push(Message::new("assistant", reply.text.clone()));
        }
        messages.push(Message::new("user", prompt.turns[turn].clone()));
        let AnswerSettings { max_tokens, temperature, seed, .. } = *settings;
        let request = ChatRequest { messages, max_tokens, temperature, seed, schema: None };
        Some(Step { request, turn, repeat: 0, attempt: 0 })
    };
    Chain { prompt: &prompt.id, seats: Vec::new(), expected: prompt.turns.len(), next: Box::new(next) }
}

/// What is still to be asked of a contestant.
///
/// # Errors
/// The journal cannot be read.
pub fn estimate_answers(
    run: &Run,
    contestant: &Contestant,
    model: &dyn ChatModel,
    options: AskOptions<'_>,
) -> Result<Estimate, Error> {
    let journal = Journal::read(&run.answers_path())?;
    let chains: Vec<_> = run.prompts.iter().map(|prompt| chain(contestant, prompt)).collect();
    Ok(estimate(model, &chains, &journal, options.parallel, options.price))
}

/// Collects a contestant's answers. `progress` hears how many prompts are answered, of how many, and may end the work.
///
/// # Errors
/// The model cannot be asked at all, or the disk refuses; what was answered is kept.
pub fn collect_answers(
    run: &Run,
    contestant: &Contestant,
    model: &dyn ChatModel,
    options: AskOptions<'_>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Asked, Error> {
    let journal = Mutex::new(Journal::open(&run.answers_path())?);
    let chains: Vec<_> = run.prompts.iter().map(|prompt| chain(contestant, prompt)).collect();
    ask_all(model, &chains, &journal, options, progress)
}

/// The answers of a run: for each contestant, one for each prompt.
///
/// # Errors
/// The journal cannot be read.
pub fn answers(run: &Run) -> Result<Vec<Vec<Answer>>, Error> {
    let journal = Journal::read(&run.answers_path())?;
    let of = |contestant: &Contestant, prompt: &Prompt| {
        let walked = chain(contestant, prompt).walk(&contestant.identity, &journal);
        match walked.replies.last() {
            _ if walked.rest.is_some() => Answer::Unasked,
            Some(last) if last.finish == Finish::Refused => Answer::Missing(last.text.clone()),
            Some(last) if last.finish == Finish::Filtered && last.text.is_empty() => {
                Answer::Missing("held back by the service".to_owned())
            }
            _ => Answer::Given(walked.replies),
        }
    };
    Ok(run
        .facts
        .contestants
        .iter()
        .map(|contestant| run.prompts.iter().map(|prompt| of(contestant, prompt)).collect())
        .collect())
}

/// Takes answers that lie in a file: JSONL with `id` and `answer` (or `answers`, LogicKor's `outputs`, FastChat's
/// `question_id` and `choices`), or CSV with columns `id` and `answer`. Returns the contestant's place and how many prompts have no
/// answer there.
///
/// # Errors
/// The file cannot be read, has no answer to any prompt, or answers what was not asked.
pub fn import_answers(run: &mut Run, name: &str, path: &Path) -> Result<(usize, usize), Error> {
    let place = path.display().to_string();
    let bytes = crate::prompts::read(path)?;
    let rows = read_answers(&place, &unpacked(&place, &bytes)?)?;
    let mut of: HashMap<&str, &[String]> = HashMap::new();
    for (line, id, texts) in &rows {
        let place = format!("{place}: line {line}");
        let Some(prompt) = run.prompts.iter().find(|prompt| prompt.id == *id) else {
            // A run of a part of the set has no place for the others.
            if run.facts.prompts_count < run.facts.prompts_available {
                continue;
            }
            return Err(Error::data(
                place,
                format!("it answers prompt `{id}`, which the set has not; is it another set's?"),
            ));
        };
        if texts.len() != prompt.turns.len() {
            let fact = format!(
                "it has {} answers to the {} turns of prompt `{id}`",
                texts.len(),
                prompt.turns.len()
            );
            return Err(Error::data(place, fact));
        }
        if of.insert(id, texts).is_some() {
            return Err(Error::data(place, format!("prompt `{id}` is answered twice")));
        }
    }
    if of.is_empty() {
        return Err(Error::data(place, "it has no answer to any prompt of the run"));
    }
    let identity = format!("file {}", crate::journal::sha256(&bytes));
    let contestant = Contestant { name: name.to_owned(), identity, settings: AnswerSettings::default() };
    let at = run.add_contestant(contestant)?;
    let contestant = &run.facts.contestants[at];
    let mut journal = Journal::open(&run.answers_path())?;
    let mut without = 0;
    for prompt in &run.prompts {
        let chain = chain(contestant, prompt);
        let mut replies = Vec::new();
        while let Some(step) = (chain.next)(&replies) {
            let key = chain.key(&contestant.identity, &step);
            let reply = match of.get(prompt.id.as_str()).and_then(|texts| texts.get(step.turn)) {
                Some(text) => Reply::plain(text.clone()),
                None => {
                    without += 1;
                    Reply { finish: Finish::Refused, ..Reply::plain("the file has no answer to it") }
                }
            };
            if journal.get(&key).is_none() {
                let (model, id) = (contestant.name.clone(), prompt.id.clone());
                journal.put(Entry {
                    key,
                    model,
                    prompt: id,
                    turn: step.turn,
                    seats: Vec::new(),
                    reply: reply.clone(),
                })?;
            }
            replies.push(reply);
        }
    }
    Ok((at, without))
}

/// Lines with the prompt's id and an answer to each turn.
type AnswerRow = (u64, String, Vec<String>);

fn read_answers(name: &str, text: &str) -> Result<Vec<AnswerRow>, Error> {
    let plain = name.strip_suffix(".zst").unwrap_or(name).to_ascii_lowercase();
    if plain.ends_with(".csv") {
        return of_csv(name, text);
    }
    let mut rows = Vec::new();
    for (i, line) in text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{name}: line {}", i + 1);
        let row: Map<String, Value> = serde_json::from_str(line)
            .map_err(|e| Error::data(place(), format!("it is no JSON object: {e}")))?;
        let id = match row.get("id").or(row.get("question_id")) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Err(Error::data(place(), "it has no `id`")),
        };
        let said = ["answer", "answers", "output", "outputs"].iter().find_map(|name| row.get(*name));
        let said = said.or_else(|| row.get("choices").map(|choices| &choices[0]["turns"]));
        let texts: Option<Vec<String>> = match said {
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(turns)) => turns.iter().map(|turn| turn.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let texts = texts
            .ok_or_else(|| Error::data(place(), "it has no `answer` that is a text or a list of texts"))?;
        rows.push((i as u64 + 1, id, texts));
    }
    Ok(rows)
}

fn of_csv(name: &str, text: &str) -> Result<Vec<AnswerRow>, Error> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let wrong = |e: csv::Error| crate::prompts::csv_error(name, &e);
    let heads = reader.headers().map_err(wrong)?.clone();
    let find = |column: &str| {
        heads
            .iter()
            .position(|head| head == column)
            .ok_or_else(|| Error::data(name, format!("it has no column `{column}`")))
    };
    let (id, answer) = (find("id")?, find("answer")?);
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(wrong)?;
        let cell = |column: usize| row.get(column).unwrap_or_default().to_owned();
        rows.push((row.position().map_or(0, csv::Position::line), cell(id), vec![cell(answer)]));
    }
    Ok(rows)
}
