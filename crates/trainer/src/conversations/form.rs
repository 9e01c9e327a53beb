//! A line of JSON as a conversation, in the three forms that people keep them in.

use crate::RowForm;
use sai_tokenizer::Message;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) struct ParsedRow {
    /// A conversation, or the two of a pair.
    pub(super) texts: Vec<Vec<Message>>,
    /// Turns before the first that may be trained on.
    pub(super) prompt: usize,
    pub(super) language: Option<String>,
}

/// Every key that one of the forms has; others are passed over.
#[derive(Deserialize)]
struct Line {
    messages: Option<Vec<Turn>>,
    conversations: Option<Vec<Turn>>,
    instruction: Option<String>,
    input: Option<String>,
    output: Option<String>,
    system: Option<String>,
    chosen: Option<IgnoredAny>,
    #[serde(alias = "language")]
    lang: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Turn {
    #[serde(alias = "from")]
    role: String,
    #[serde(alias = "value")]
    content: String,
}

/// Reads a line. Where no form is given, it is told by the line's keys.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn parse(line: &str, form: Option<RowForm>) -> Result<ParsedRow, String> {
    if line.trim_start().starts_with('[') {
        return Err("is a JSON array; write an object a line, as `jq -c '.[]'` does".to_owned());
    }
    let line: Line = serde_json::from_str(line).map_err(|e| told(&e))?;
    let Line { messages, conversations, instruction, input, output, system, chosen, lang } = line;
    let form = form.or_else(|| {
        let kinds = [(messages.is_some(), RowForm::Messages), (conversations.is_some(), RowForm::Sharegpt)];
        let said = kinds.into_iter().find_map(|(said, form)| said.then_some(form));
        said.or((instruction.is_some() && output.is_some()).then_some(RowForm::Alpaca))
    });
    let opening = system.filter(|text| !text.is_empty()).map(|text| turn("system", text));
    let messages = match form {
        None if chosen.is_some() => {
            return Err("is a preference, with `chosen`; those want [dpo] in the recipe".to_owned());
        }
        None => {
            return Err("has no `messages`, no `conversations`, no `instruction` with `output`".to_owned());
        }
        Some(RowForm::Messages) => turns(opening, messages.ok_or("has no `messages`")?)?,
        Some(RowForm::Sharegpt) => turns(opening, conversations.ok_or("has no `conversations`")?)?,
        Some(RowForm::Alpaca) => {
            let instruction = instruction.ok_or("has no `instruction`")?;
            let question = match input.filter(|input| !input.trim().is_empty()) {
                Some(input) => format!("{instruction}\n\n{input}"),
                None => instruction,
            };
            let answer = turn("assistant", output.ok_or("has no `output`")?);
            opening.into_iter().chain([turn("user", question), answer]).collect()
        }
    };
    Ok(ParsedRow { texts: vec![answered(messages)?], prompt: 0, language: lang })
}

/// A conversation up to its last answer: what nobody answered teaches nothing.
pub(super) fn answered(mut messages: Vec<Message>) -> Result<Vec<Message>, String> {
    let last = messages.iter().rposition(|message| message.role == "assistant");
    let Some(last) = last else { return Err("has no answer of the assistant".to_owned()) };
    if let Some(empty) = messages.iter().position(|m| m.role == "assistant" && m.content.trim().is_empty()) {
        return Err(format!("turn {} is an empty answer", empty + 1));
    }
    messages.truncate(last + 1);
    Ok(messages)
}

pub(super) fn turn(role: &str, content: String) -> Message {
    Message::new(role, content)
}

pub(super) fn turns(opening: Option<Message>, turns: Vec<Turn>) -> Result<Vec<Message>, String> {
    let opening = opening.filter(|_| turns.first().is_none_or(|turn| turn.role != "system"));
    let mut messages: Vec<Message> = opening.into_iter().collect();
    for (i, Turn { role, content }) in turns.into_iter().enumerate() {
        let role = match role.as_str() {
            "system" => "system",
            "user" | "human" | "prompter" => "user",
            "assistant" | "gpt" | "chatgpt" | "bot" | "model" => "assistant",
            other => {
                let known = "system, user (human) and assistant (gpt)";
                return Err(format!("turn {} is of `{}`; roles are {known}", i + 1, other.escape_debug()));
            }
        };
        messages.push(turn(role, content));
    }
    Ok(messages)
}

/// What serde_json found, without its line, which is always the first.
pub(super) fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let fact: String = text.split(" at line ").next().unwrap_or(&text).chars().take(160).collect();
    match error.column() {
        0 => fact,
        column => format!("{fact}, at byte {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(line: &str) -> Result<String, String> {
        let said = parse(line, None)?;
        Ok(said.texts[0].iter().map(|m| format!("{}:{} ", m.role, m.content)).collect())
    }

    #[test]
    fn three_forms_are_told_apart() {
        let messages = r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"}, {"role": "user", "content": "more"}], "id": 7}"#;
        assert_eq!(roles(messages).unwrap(), "system:s user:q assistant:a ");
        let sharegpt = r#"{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
            "system": "s", "lang": "ko"}"#;
        assert_eq!(roles(sharegpt).unwrap(), "system:s user:q assistant:a ");
        assert_eq!(parse(sharegpt, None).unwrap().language.as_deref(), Some("ko"));
        let alpaca = r#"{"instruction": "add", "input": "1 2", "output": "3"}"#;
        assert_eq!(roles(alpaca).unwrap(), "user:add\n\n1 2 assistant:3 ");
        assert_eq!(roles(&alpaca.replace("1 2", "")).unwrap(), "user:add assistant:3 ");
    }

    #[test]
    fn what_is_no_conversation_is_said() {
        let wrong = |line: &str| roles(line).unwrap_err();
        assert!(wrong("{").contains("EOF while parsing"));
        assert!(wrong("[{}]").contains("jq -c"));
        assert!(wrong(r#"{"prompt": "q", "chosen": "a", "rejected": "b"}"#).contains("want [dpo]"));
        assert!(wrong(r#"{"text": "a"}"#).contains("no `messages`, no `conversations`"));
        let turns = |turns: &str| wrong(&format!(r#"{{"messages": [{turns}]}}"#));
        assert!(turns(r#"{"role": "user", "content": "q"}"#).contains("no answer"));
        assert!(turns(r#"{"role": "user"}"#).contains("missing field `content`"));
        assert!(turns(r#"{"role": "tool", "content": "q"}"#).contains("turn 1 is of `tool`"));
        assert!(turns(r#"{"role": "assistant", "content": " "}"#).contains("turn 1 is an empty answer"));
        let error = parse(r#"{"messages": []}"#, Some(RowForm::Alpaca)).unwrap_err();
        assert!(error.contains("no `instruction`"), "{error}");
    }
}
