//! The forms in which people keep conversations, a file for each.

mod columns;
mod messages;
mod pair;
mod transcript;

use super::row::Row;
use super::turn::{Turn, content};
use crate::RowForm;
use sai_tokenizer::Message;

/// What a row says.
#[derive(Debug, PartialEq)]
pub(super) struct ParsedRow {
    /// A conversation, or the two of a pair.
    pub(super) texts: Vec<Conversation>,
    pub(super) language: Option<String>,
}

/// A conversation, and which of its turns are trained on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    pub(super) trained: Vec<bool>,
}

/// A way to keep a conversation in a row.
struct Form {
    form: RowForm,
    /// Whether a row has its keys.
    fits: fn(&Row<'_>) -> bool,
    /// What a row of it says, in turns.
    read: fn(&Row<'_>) -> Result<Vec<Turn>, String>,
}

/// All of them. Of a row that fits several the first is read.
const FORMS: [Form; 3] = [
    Form {
        form: RowForm::Messages,
        fits: |row| messages::key(row, messages::MESSAGES).is_some(),
        read: |row| messages::read(row, messages::MESSAGES),
    },
    Form {
        form: RowForm::Sharegpt,
        fits: |row| messages::key(row, messages::SHAREGPT).is_some(),
        read: |row| messages::read(row, messages::SHAREGPT),
    },
    Form { form: RowForm::Alpaca, fits: columns::fits, read: columns::read },
];

/// Keys of a row that change what a conversation means and that sai does not honour.
const MORE: [&str; 8] = [
    "tools",
    "functions",
    "images",
    "image",
    "videos",
    "audios",
    "chat_template_kwargs",
    "reasoning_content",
];

/// Every key that a form or a pair looks at; a table's other columns are not read.
pub(super) fn known_keys() -> impl Iterator<Item = &'static str> {
    let lists = [messages::MESSAGES, messages::SHAREGPT, &columns::QUESTIONS, &columns::ANSWERS];
    let more = [&columns::BESIDE[..], &columns::MORE, &SYSTEM, &LANGUAGE, &MORE];
    lists.into_iter().chain(more).chain(pair::SIDES.iter().map(|sides| &sides[..])).flatten().copied()
}

/// Keys of the system's text, and of the language.
const SYSTEM: [&str; 2] = ["system", "system_prompt"];
const LANGUAGE: [&str; 2] = ["lang", "language"];

/// Reads a row as a conversation, or as a pair. Where no form is given, it is told by the row's keys.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn parse(line: &str, form: Option<RowForm>, pairs: bool) -> Result<ParsedRow, String> {
    // Files that were put together have a mark where the second began.
    let line = line.trim_start_matches('\u{feff}');
    let mended;
    let row = match (Row::parse(line), sai_documents::json::without_nan(line)) {
        (Err(_), Some(without)) => {
            mended = without;
            Row::parse(&mended)?
        }
        (row, _) => row?,
    };
    if let Some(key) = MORE.iter().find(|key| row.says(key)) {
        return Err(format!("has `{key}` beside its turns, which sai does not learn from; leave it out"));
    }
    // A row of numbers may have a weight of another kind; of nothing, it says that it is not to be learnt.
    let unmarked =
        |key: &&str| row.get(key).is_some_and(|value| matches!(value.get(), "false" | "0" | "0.0"));
    if let Some(key) = ["weight", "train", "trainable"].into_iter().find(unmarked) {
        return Err(format!("is marked not to be trained on, by its `{key}`"));
    }
    let texts = if pairs { pair::read(&row)?.into() } else { vec![conversation(&row, form)?] };
    let language = LANGUAGE.iter().find_map(|key| row.text(key).ok().flatten());
    Ok(ParsedRow { texts, language })
}

fn conversation(row: &Row<'_>, form: Option<RowForm>) -> Result<Conversation, String> {
    let found = FORMS.iter().find(|known| form.map_or_else(|| (known.fits)(row), |form| form == known.form));
    match found {
        Some(form) => answered((form.read)(row)?),
        None => Err(no_form(row)),
    }
}

/// Says what keys a row has that is of no form.
fn no_form(row: &Row<'_>) -> String {
    if let Some(sides) = pair::SIDES.iter().find(|sides| row.get(sides[0]).is_some()) {
        return format!("is a preference, with `{}`; those want [dpo] in the recipe", sides[0]);
    }
    // Something of the right name that is no list, or an empty one.
    for key in messages::MESSAGES.iter().chain(messages::SHAREGPT) {
        match row.list(key) {
            Err(fact) => return fact,
            Ok(Some(_)) => return format!("`{key}` is empty"),
            Ok(None) => {}
        }
    }
    if let Some(question) = columns::QUESTIONS.iter().find(|key| row.get(key).is_some()) {
        return format!("has `{question}` and no answer to it: {}", columns::ANSWERS.map(quoted).join(", "));
    }
    if let Some(key) = row.keys().find(|key| row.get(key).is_some_and(|value| is_rows(value.get()))) {
        let key = key.escape_debug();
        return format!("holds its rows in `{key}`; write them an object a line, as `jq -c '.{key}[]'` does");
    }
    let keys: Vec<String> = row.keys().take(12).map(|key| format!("`{}`", key.escape_debug())).collect();
    let has = if keys.is_empty() { "no keys with a value".to_owned() } else { keys.join(", ") };
    format!(
        "has {has}; a conversation has `messages` or `conversations`, or a question and its answer, such as \
         `instruction` and `output` or `prompt` and `completion`"
    )
}

/// Whether a value is a list of objects.
fn is_rows(json: &str) -> bool {
    json.starts_with('[') && columns::is_turns(json)
}

fn quoted(key: &str) -> String {
    format!("`{key}`")
}

/// The system's text that stands beside the turns.
///
/// # Errors
/// There are two, which differ.
fn system(row: &Row<'_>) -> Result<Option<String>, String> {
    let mut said: Option<String> = None;
    for key in SYSTEM {
        // What is neither text nor texts is some other program's key of that name.
        let value = row.get(key).filter(|value| value.get().starts_with(['"', '[']));
        let text = value.map(|value| content(key, value)).transpose()?.unwrap_or_default();
        match &said {
            _ if text.is_empty() => {}
            Some(before) if *before != text => {
                return Err("has `system` and `system_prompt`, which differ".to_owned());
            }
            _ => said = Some(text),
        }
    }
    Ok(said)
}

/// Puts the system's text of a row before its turns.
///
/// # Errors
/// The first turn is another one.
fn opened(row: &Row<'_>, turns: Vec<Turn>) -> Result<Vec<Turn>, String> {
    let Some(text) = system(row)? else { return Ok(turns) };
    match turns.first().filter(|first| first.is("system")) {
        Some(first) if first.message.content == text => Ok(turns),
        Some(_) => Err("has a `system` beside a first turn that is another; make one of them".to_owned()),
        None => Ok([vec![Turn::new("system", text)], turns].concat()),
    }
}

/// A conversation up to its last answer that is trained on: what nobody answered teaches nothing.
fn answered(mut turns: Vec<Turn>) -> Result<Conversation, String> {
    let last = turns.iter().rposition(|turn| turn.is("assistant") && turn.train);
    let Some(last) = last else {
        return Err(match turns.iter().any(|turn| turn.is("assistant")) {
            true => "has no answer to train on: all are marked not to be".to_owned(),
            false => "has no answer of the assistant".to_owned(),
        });
    };
    turns.truncate(last + 1);
    let empty = |turn: &Turn| turn.is("assistant") && turn.train && turn.message.content.trim().is_empty();
    if let Some(empty) = turns.iter().position(empty) {
        return Err(format!("turn {} is an empty answer", empty + 1));
    }
    let trained = turns.iter().map(|turn| turn.is("assistant") && turn.train).collect();
    Ok(Conversation { messages: turns.into_iter().map(|turn| turn.message).collect(), trained })
}

#[cfg(test)]
mod tests;
