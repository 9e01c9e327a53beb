//! A question and its answer in keys of their own: Alpaca's, Dolly's, OpenOrca's, LLaMA-Factory's, TRL's.

use super::super::row::{Row, text};
use super::super::turn::{Turn, content, turns};
use super::opened;

/// Keys of the question, and of its answer; the first that is there counts.
pub(super) const QUESTIONS: [&str; 4] = ["instruction", "prompt", "question", "query"];
pub(super) const ANSWERS: [&str; 4] = ["output", "response", "completion", "answer"];
/// What the question is about.
pub(super) const BESIDE: [&str; 3] = ["input", "context", "query"];
/// Questions and answers before this one.
pub(super) const MORE: [&str; 1] = ["history"];

/// How Alpaca's makers wrote that there is no input.
const NO_INPUT: &str = "<noinput>";

pub(super) fn fits(row: &Row<'_>) -> bool {
    first(row, &QUESTIONS).is_some() && first(row, &ANSWERS).is_some()
}

fn first(row: &Row<'_>, keys: &[&'static str]) -> Option<&'static str> {
    keys.iter().find(|key| row.get(key).is_some()).copied()
}

pub(super) fn read(row: &Row<'_>) -> Result<Vec<Turn>, String> {
    let asked = asked(row)?.ok_or_else(|| format!("has no `{}`", QUESTIONS[0]))?;
    let key = first(row, &ANSWERS).ok_or_else(|| format!("has no `{}`", ANSWERS[0]))?;
    let answer = match row.get(key).filter(|value| !value.get().starts_with('"')) {
        Some(value) if is_turns(value.get()) => {
            turns(key, value).map_err(|fact| format!("`{key}`: {fact}"))?
        }
        _ => vec![Turn::new("assistant", row.text(key)?.unwrap_or_default())],
    };
    opened(row, [history(row)?, asked, answer].concat())
}

/// The turns up to the question; none where a row has none. A question in turns may hold answers, which are not
/// trained on.
pub(super) fn asked(row: &Row<'_>) -> Result<Option<Vec<Turn>>, String> {
    let Some(key) = first(row, &QUESTIONS) else { return Ok(None) };
    let mut about: Vec<(&str, String)> = Vec::new();
    for beside in BESIDE.iter().filter(|&&beside| beside != key) {
        let text = row.text(beside)?.unwrap_or_default();
        if !text.trim().is_empty() && !text.trim().eq_ignore_ascii_case(NO_INPUT) {
            about.push((beside, text));
        }
    }
    if let [(a, _), (b, _), ..] = about[..] {
        return Err(format!("has both `{a}` and `{b}` beside `{key}`; make one of them"));
    }
    let about = about.pop();
    match (row.get(key).filter(|value| is_turns(value.get())), about) {
        (Some(_), Some((beside, _))) => {
            Err(format!("has `{beside}` beside turns in `{key}`; make one of them"))
        }
        (Some(value), None) => {
            let mut asked = turns(key, value).map_err(|fact| format!("`{key}`: {fact}"))?;
            asked.iter_mut().for_each(|turn| turn.train = false);
            Ok(Some(asked))
        }
        (None, about) => {
            let question = row.text(key)?.unwrap_or_default();
            let question = match about {
                Some((_, about)) if question.trim().is_empty() => about,
                Some((_, about)) => format!("{question}\n\n{about}"),
                None => question,
            };
            Ok(Some(vec![Turn::new("user", question)]))
        }
    }
}

/// Whether a value is turns: a list of objects, or an object.
pub(super) fn is_turns(json: &str) -> bool {
    json.starts_with('{') || json.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{'))
}

/// What was asked and answered before, each a pair of texts.
fn history(row: &Row<'_>) -> Result<Vec<Turn>, String> {
    let wrong = "`history` is to be a list of questions, each with its answer, or of turns";
    if let Some(value) = row.get("history").filter(|value| is_turns(value.get())) {
        return turns("history", value).map_err(|fact| format!("`history`: {fact}"));
    }
    let mut before = Vec::new();
    for round in row.list("history")?.unwrap_or_default() {
        let said = super::super::row::list("history", round).map_err(|_| wrong.to_owned())?;
        let [question, answer] = said[..] else { return Err(wrong.to_owned()) };
        before.push(Turn::new("user", text("history", question)?));
        before.push(Turn::new("assistant", content("history", answer)?));
    }
    Ok(before)
}
