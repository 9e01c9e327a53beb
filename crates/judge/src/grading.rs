//! Grades: what is put to a judge, in which order, and what a run has of its verdicts.
//!
//! With criteria, each answer is graded by itself, turn by turn. A preference is asked for each pair of contestants, and of each
//! pair twice: once in either order.

use crate::ask::{AskOptions, Asked, Chain, Step, ask_all, estimate};
use crate::budget::Estimate;
use crate::chat::{ChatModel, ChatRequest, Finish, Reply};
use crate::journal::Journal;
use crate::reply::{Unreadable, Verdict, read};
use crate::templates::{Fields, Form, Template};
use crate::{Answer, Error, Prompt, Run};
use sai_generation::Message;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::Mutex;

/// The temperature at which a model on the engine is asked again: at 0 it would say the same.
const AGAIN: f32 = 0.3;

/// A judge, and how it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grading {
    /// What the judge is called.
    pub judge: String,
    /// What tells it from others.
    pub identity: String,
    /// Whether it runs on the engine.
    pub local: bool,
    /// What the templates are called together, as in `criteria`.
    pub name: String,
    /// The templates, each for prompts of its language, all of one form.
    pub templates: Vec<Template>,
    /// How often each verdict is asked for.
    pub repeats: usize,
    /// How often an unreadable reply is asked for, the first time counted.
    pub attempts: usize,
    /// 0 takes the likeliest tokens.
    pub temperature: f32,
    /// Tokens of a verdict at most.
    pub max_tokens: usize,
    /// Whether the service is asked to keep to a JSON schema.
    pub schema: bool,
    /// The contestant that all others are compared with; none compares all with all. Of preferences alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
}

impl Grading {
    /// The form of its verdicts.
    pub fn form(&self) -> Option<&Form> {
        self.templates.first().map(|template| &template.form)
    }

    /// Holds the templates to each other and the settings to their ranges.
    ///
    /// # Errors
    /// What does not go together.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |fact: &str| Err(Error::Template { origin: self.name.clone(), fact: fact.to_owned() });
        match self.form() {
            None => wrong("there is none"),
            Some(form) if self.templates.iter().any(|template| template.form != *form) => {
                wrong("its templates ask for verdicts of different forms")
            }
            Some(_) if self.local && self.repeats > 1 && self.temperature <= 0.0 => {
                let fact = "it says the same each time at temperature 0, so that repeats tell nothing; give --temperature above 0, or no --repeats";
                Err(Error::Model { name: self.judge.clone(), fact: fact.to_owned() })
            }
            Some(_) => Ok(()),
        }
    }
}

/// One thing that a judge is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The prompt's place.
    pub prompt: usize,
    /// The turn; 0 for a preference, which is of the whole conversation.
    pub turn: usize,
    /// Contestants in the order of their seats: one, or two.
    pub seats: Vec<usize>,
    /// Which template.
    pub template: usize,
    /// Which repeat.
    pub repeat: usize,
}

/// What came of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Graded {
    /// A verdict.
    Verdict(Verdict),
    /// No reply could be read; why the last could not.
    Unreadable(Unreadable),
    /// It was not asked yet, or failed.
    Unasked,
}

/// All that a judge is to be asked. Answers that are not there are not graded.
///
/// # Errors
/// The contestant that others are compared with is none of the run's.
pub fn items(run: &Run, grading: &Grading, answers: &[Vec<Answer>]) -> Result<Vec<Item>, Error> {
    let mut found = Vec::new();
    let pairs = pairs(run, grading)?;
    for (place, prompt) in run.prompts.iter().enumerate() {
        let given = |who: usize| answers[who][place].replies().is_some();
        let turns = match grading.form() {
            Some(Form::Scores { .. }) => prompt.turns.len(),
            _ => 1,
        };
        for turn in 0..turns {
            let Some(template) = grading.templates.iter().position(|template| template.suits(prompt, turn))
            else {
                continue;
            };
            let mut push = |seats: Vec<usize>| {
                let item = |repeat| Item { prompt: place, turn, seats: seats.clone(), template, repeat };
                found.extend((0..grading.repeats).map(item));
            };
            match grading.form() {
                Some(Form::Scores { .. }) => {
                    for who in (0..answers.len()).filter(|who| given(*who)) {
                        push(vec![who]);
                    }
                }
                _ => {
                    for &(a, b) in pairs.iter().filter(|(a, b)| given(*a) && given(*b)) {
                        push(vec![a, b]);
                        push(vec![b, a]);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The pairs that a grading compares; the contestant that others are compared with comes first.
pub(crate) fn pairs(run: &Run, grading: &Grading) -> Result<Vec<(usize, usize)>, Error> {
    let count = run.facts.contestants.len();
    match &grading.against {
        None => Ok((0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect()),
        Some(name) => {
            let a = run.contestant(name).ok_or_else(|| {
                let known: Vec<_> = run.facts.contestants.iter().map(|c| c.name.as_str()).collect();
                Error::data(
                    run.folder().display(),
                    format!("no contestant is called `{name}`; there are {}", known.join(", ")),
                )
            })?;
            Ok((0..count).filter(|b| *b != a).map(|b| (a, b)).collect())
        }
    }
}

/// The words for an item.
pub fn message(run: &Run, grading: &Grading, answers: &[Vec<Answer>], item: &Item) -> String {
    let (prompt, template) = (&run.prompts[item.prompt], &grading.templates[item.template]);
    let replies = |seat: usize| {
        item.seats.get(seat).and_then(|&who| answers[who][item.prompt].replies()).unwrap_or_default()
    };
    let rules = prompt.rules.as_deref().unwrap_or_default();
    let (task, category) = (prompt.task.as_str(), prompt.category.as_str());
    let fields = Fields { task, category, rules, ..Fields::default() };
    match &template.form {
        Form::Scores { .. } => {
            let reply = replies(0);
            let history = history(prompt, reply, item.turn);
            let asked = &prompt.turns[item.turn];
            // What a template has no place for stands before the question, and is not left out.
            let question = match template.has("history") || history.is_empty() {
                true => asked.clone(),
                false => format!("{history}\n\n{asked}"),
            };
            let answer = reply.get(item.turn).map_or("", |reply| reply.text.as_str());
            let reference = prompt.reference(item.turn).unwrap_or_default();
            template.fill(&Fields {
                question: &question,
                history: &history,
                answer_a: answer,
                reference,
                ..fields
            })
        }
        Form::Preference => {
            let numbered = |texts: Vec<&str>| match texts[..] {
                [one] => one.to_owned(),
                _ => texts
                    .iter()
                    .enumerate()
                    .map(|(i, text)| format!("[{}] {text}", i + 1))
                    .collect::<Vec<_>>()
                    .join("\n\n"),
            };
            let question = numbered(prompt.turns.iter().map(String::as_str).collect());
            let [a, b] =
                [0, 1].map(|seat| numbered(replies(seat).iter().map(|reply| reply.text.as_str()).collect()));
            let reference = prompt.reference(0).unwrap_or_default();
            template.fill(&Fields { question: &question, answer_a: &a, answer_b: &b, reference, ..fields })
        }
    }
}

/// The turns before one, as they went.
fn history(prompt: &Prompt, replies: &[Reply], turn: usize) -> String {
    let (asked, answered) = if prompt.is_korean() { ("질문", "답변") } else { ("Question", "Answer") };
    let exchanges = prompt.turns.iter().zip(replies).take(turn);
    let text: Vec<_> =
        exchanges.map(|(said, reply)| format!("{asked}: {said}\n{answered}: {}", reply.text)).collect();
    text.join("\n\n")
}

/// What a judge is asked for an item, and asked again.
fn chain<'c>(run: &'c Run, grading: &'c Grading, answers: &'c [Vec<Answer>], item: &'c Item) -> Chain<'c> {
    let template = &grading.templates[item.template];
    let next = move |replies: &[Reply]| {
        let attempt = replies.len();
        let last = replies.last();
        if let Some(last) = last {
            let readable = read(last, &template.form).is_ok();
            if readable || last.finish == Finish::Refused || attempt >= grading.attempts {
                return None;
            }
        }
        // Always the words of the first time: with every broken reply behind them, each try would cost more than the last.
        let mut messages: Vec<Message> =
            template.system.iter().map(|text| Message::new("system", text.clone())).collect();
        messages.push(Message::new("user", message(run, grading, answers, item)));
        let cut = replies.iter().any(|reply| reply.finish == Finish::Length);
        let request = ChatRequest {
            messages,
            max_tokens: grading.max_tokens * if cut { 2 } else { 1 },
            temperature: match attempt > 0 && grading.local {
                true => grading.temperature.max(AGAIN),
                false => grading.temperature,
            },
            seed: (item.repeat * 1000 + attempt) as u64,
            schema: grading.schema.then(|| template.form.schema()),
        };
        Some(Step { request, turn: item.turn, repeat: item.repeat, attempt })
    };
    let seats = item.seats.iter().map(|&who| run.facts.contestants[who].name.clone()).collect();
    Chain { prompt: &run.prompts[item.prompt].id, seats, expected: 1, next: Box::new(next) }
}

/// What is still to be asked of a judge.
///
/// # Errors
/// The journal cannot be read, or the grading names a contestant that is none.
pub fn estimate_grades(
    run: &Run,
    grading: &Grading,
    model: &dyn ChatModel,
    answers: &[Vec<Answer>],
    options: AskOptions<'_>,
) -> Result<Estimate, Error> {
    let journal = Journal::read(&run.verdicts_path())?;
    let items = items(run, grading, answers)?;
    let chains: Vec<_> = items.iter().map(|item| chain(run, grading, answers, item)).collect();
    Ok(estimate(model, &chains, &journal, options.parallel, options.price))
}

/// Collects a judge's verdicts. `progress` hears how many are there, of how many, and may end the work.
///
/// # Errors
/// The judge cannot be asked at all, or the disk refuses; what it said is kept.
pub fn collect_grades(
    run: &Run,
    grading: &Grading,
    model: &dyn ChatModel,
    answers: &[Vec<Answer>],
    options: AskOptions<'_>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Asked, Error> {
    let journal = Mutex::new(Journal::open(&run.verdicts_path())?);
    let items = items(run, grading, answers)?;
    let chains: Vec<_> = items.iter().map(|item| chain(run, grading, answers, item)).collect();
    ask_all(model, &chains, &journal, options, progress)
}

/// What a run has of a grading: each item with what came of it.
///
/// # Errors
/// As [`items`]; the journal is given, so that it is read once for all gradings.
pub fn grades(
    run: &Run,
    grading: &Grading,
    answers: &[Vec<Answer>],
    journal: &Journal,
) -> Result<Vec<(Item, Graded)>, Error> {
    let items = items(run, grading, answers)?;
    let of = |item: &Item| {
        let form = &grading.templates[item.template].form;
        let walked = chain(run, grading, answers, item).walk(&grading.identity, journal);
        if walked.rest.is_some() {
            return Graded::Unasked;
        }
        match walked.replies.last().map(|reply| read(reply, form)) {
            Some(Ok(verdict)) => Graded::Verdict(verdict),
            Some(Err(why)) => Graded::Unreadable(why),
            None => Graded::Unasked,
        }
    };
    Ok(items.iter().map(|item| (item.clone(), of(item))).collect())
}
