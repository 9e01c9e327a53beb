//! A turn of a conversation, and what it says of itself.

use super::row::{Row, kind, list, text};
use sai_tokenizer::Message;
use serde_json::value::RawValue;

/// What somebody says, and whether it is trained on if it is the assistant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) message: Message,
    pub(super) train: bool,
}

/// Names of the three roles, in small letters.
const ROLES: [(&str, &[&str]); 3] = [
    ("system", &["system", "developer"]),
    ("user", &["user", "human", "prompter"]),
    ("assistant", &["assistant", "gpt", "chatgpt", "bot", "model", "ai"]),
];

/// Keys by which a turn says whether it is trained on: OpenAI's and Mistral's, axolotl's, verl's, ms-swift's.
const FLAGS: [&str; 7] = ["weight", "train", "training", "trainable", "loss", "loss_weight", "loss_mask"];

/// Keys with which a turn says more than its text, and what is said of that.
const MORE: [(&str, &str); 11] = [
    ("tool_calls", TOOLS),
    ("function_call", TOOLS),
    ("reasoning_content", THOUGHTS),
    ("reasoning", THOUGHTS),
    ("thinking", THOUGHTS),
    ("train_detail", "answers are trained on as a whole or not at all"),
    ("refusal", "only `content` is learnt"),
    ("audio", ONLY_TEXT),
    ("image", ONLY_TEXT),
    ("images", ONLY_TEXT),
    ("videos", ONLY_TEXT),
];
const TOOLS: &str = "calls of tools are not learnt";
const THOUGHTS: &str = "write it into `content` as the chat template has it";
const ONLY_TEXT: &str = "only texts are learnt";

impl Turn {
    pub(super) fn new(role: &str, content: String) -> Turn {
        Turn { message: Message::new(role, content), train: true }
    }

    pub(super) fn is(&self, role: &str) -> bool {
        self.message.role == role
    }

    /// Reads `role` and `content`, or `from` and `value`.
    fn of(row: &Row<'_>) -> Result<Turn, String> {
        let role = role_of(row)?;
        for (key, fact) in MORE {
            if row.says(key) {
                return Err(format!("has `{key}`; {fact}"));
            }
        }
        let content = either(row, ["content", "value"], content)?;
        let content = content.ok_or("has no `content` (`value`)")?;
        let train = trained(row)?;
        if train == Some(true) && role != "assistant" {
            return Err(format!("is of the {role} and marked to be trained on; only answers are"));
        }
        Ok(Turn { train: train.unwrap_or(true), ..Turn::new(role, content) })
    }
}

/// Reads a list of turns: objects, or texts of which the user says the first (LIMA's). A turn alone is a list of one.
pub(super) fn turns(key: &str, value: &RawValue) -> Result<Vec<Turn>, String> {
    if value.get().starts_with('{') {
        return Ok(vec![Turn::of(&Row::parse(value.get())?).map_err(|fact| format!("`{key}` {fact}"))?]);
    }
    let each = list(key, value)?;
    let texts = each.iter().all(|turn| turn.get().starts_with('"'));
    let one = |(i, turn): (usize, &&RawValue)| match texts {
        true => text("turn", turn).map(|said| Turn::new(["user", "assistant"][i % 2], said)),
        false if !turn.get().starts_with('{') => Err(format!("is {}, no object", kind(turn.get()))),
        false => Row::parse(turn.get()).and_then(|row| Turn::of(&row)),
    };
    let numbered = |turn: (usize, &&RawValue)| {
        let number = turn.0 + 1;
        one(turn).map_err(|fact| format!("turn {number} {fact}"))
    };
    each.iter().enumerate().map(numbered).collect()
}

/// A text, or the texts of a list of parts.
pub(super) fn content(key: &str, value: &RawValue) -> Result<String, String> {
    if !value.get().starts_with('[') {
        return text(key, value);
    }
    let part = |part: &RawValue| -> Result<String, String> {
        if !part.get().starts_with('{') {
            return text(key, part);
        }
        let row = Row::parse(part.get())?;
        match row.text("type")?.as_deref() {
            None | Some("text" | "input_text" | "output_text") => {
                row.text("text")?.ok_or_else(|| format!("`{key}` has a part without `text`"))
            }
            Some(other) => Err(format!("`{key}` has a part of type `{}`; {ONLY_TEXT}", other.escape_debug())),
        }
    };
    list(key, value)?.into_iter().map(part).collect()
}

fn role_of(row: &Row<'_>) -> Result<&'static str, String> {
    let role = either(row, ["role", "from"], |key, value| {
        let name = text(key, value)?;
        let small = name.trim().to_lowercase();
        let known = ROLES.iter().find(|(_, names)| names.contains(&small.as_str()));
        known.map(|(role, _)| *role).ok_or_else(|| {
            let known = "system (developer), user (human) and assistant (gpt, ai)";
            format!("is of `{}`; roles are {known}", name.escape_debug())
        })
    })?;
    role.ok_or_else(|| "has no `role` (`from`)".to_owned())
}

/// The value of one of two keys, or of both where they say the same.
fn either<T: PartialEq>(
    row: &Row<'_>,
    keys: [&str; 2],
    read: impl Fn(&str, &RawValue) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let [a, b] = keys.map(|key| row.get(key).map(|value| read(key, value)));
    match (a.transpose()?, b.transpose()?) {
        (Some(a), Some(b)) if a != b => Err(format!("has `{}` and `{}`, which differ", keys[0], keys[1])),
        (a, b) => Ok(a.or(b)),
    }
}

/// What a turn says of whether it is trained on.
fn trained(row: &Row<'_>) -> Result<Option<bool>, String> {
    let mut said = None;
    for key in FLAGS {
        let Some(value) = row.get(key) else { continue };
        let train = match (value.get(), value.get().parse::<f64>()) {
            ("true", _) => true,
            ("false", _) => false,
            (_, Ok(1.0)) => true,
            (_, Ok(0.0)) => false,
            (other, _) => {
                let other: String = other.chars().take(20).collect();
                return Err(format!("has a `{key}` of {other}; an answer is trained on (1) or not (0)"));
            }
        };
        if said.is_some_and(|said| said != train) {
            return Err(format!("contradicts itself in `{key}`"));
        }
        said = Some(train);
    }
    Ok(said)
}
