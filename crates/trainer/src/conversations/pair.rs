//! A line of JSON as a preference: a chosen answer and a rejected one to the same beginning.

use super::form::{ParsedRow, Turn, answered, told, turn, turns};
use sai_tokenizer::Message;
use serde::Deserialize;

/// Every key that is known; others are passed over.
#[derive(Deserialize)]
struct Line {
    prompt: Option<Part>,
    question: Option<Part>,
    chosen: Option<Part>,
    rejected: Option<Part>,
    system: Option<String>,
    #[serde(alias = "language")]
    lang: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`prompt`, `chosen` and `rejected` are each a text, or a list of messages")]
enum Part {
    Text(String),
    Turns(Vec<Turn>),
}

/// Reads a line: the conversation with the chosen answer, and the one with the rejected.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn parse(line: &str) -> Result<ParsedRow, String> {
    if line.trim_start().starts_with('[') {
        return Err("is a JSON array; write an object a line, as `jq -c '.[]'` does".to_owned());
    }
    let line: Line = serde_json::from_str(line).map_err(|e| told(&e))?;
    let Line { prompt, question, chosen, rejected, system, lang } = line;
    let chosen = chosen.ok_or("has no `chosen`")?;
    let rejected = rejected.ok_or("has no `rejected`")?;
    let asked = match prompt.or(question) {
        None => Vec::new(),
        Some(Part::Text(text)) => vec![turn("user", text)],
        Some(Part::Turns(said)) => turns(None, said).map_err(|fact| format!("`prompt`: {fact}"))?,
    };
    let opening = system.filter(|text| !text.is_empty()).map(|text| turn("system", text));
    let whole = |name: &str, part: Part| -> Result<Vec<Message>, String> {
        let said = match part {
            Part::Text(_) if asked.is_empty() => {
                return Err("has no `prompt`, and its answers are texts".to_owned());
            }
            Part::Text(text) => vec![turn("assistant", text)],
            Part::Turns(said) => turns(None, said).map_err(|fact| format!("`{name}`: {fact}"))?,
        };
        let said = if begins_with(&said, &asked) { said } else { [asked.clone(), said].concat() };
        let opening = opening.clone().filter(|_| said.first().is_none_or(|first| first.role != "system"));
        answered(opening.into_iter().chain(said).collect()).map_err(|fact| format!("`{name}` {fact}"))
    };
    let texts = [whole("chosen", chosen)?, whole("rejected", rejected)?];
    if texts[0] == texts[1] {
        return Err("`chosen` and `rejected` say the same".to_owned());
    }
    let prompt = texts[0].iter().zip(&texts[1]).take_while(|(a, b)| a == b).count();
    if prompt == 0 {
        return Err("has no `prompt`, and its answers have no beginning in common".to_owned());
    }
    for (name, text) in ["chosen", "rejected"].iter().zip(&texts) {
        if text.len() <= prompt {
            return Err(format!("`{name}` has no answer after what both begin with"));
        }
    }
    Ok(ParsedRow { texts: texts.into(), prompt, language: lang })
}

/// Whether a conversation says its beginning again, perhaps after a system text.
fn begins_with(said: &[Message], asked: &[Message]) -> bool {
    let after = &said[usize::from(said.first().is_some_and(|first| first.role == "system"))..];
    said.starts_with(asked) || after.starts_with(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(line: &str) -> Result<(Vec<String>, usize), String> {
        let said = parse(line)?;
        let text = |text: &Vec<Message>| text.iter().map(|m| format!("{}:{} ", m.role, m.content)).collect();
        Ok((said.texts.iter().map(text).collect(), said.prompt))
    }

    #[test]
    fn every_form_is_two_conversations() {
        let expected = (vec!["user:q assistant:a ".to_owned(), "user:q assistant:b ".to_owned()], 1);
        let (a, b) = (r#"{"role": "assistant", "content": "a"}"#, r#"{"from": "gpt", "value": "b"}"#);
        let q = r#"{"role": "user", "content": "q"}"#;
        for line in [
            r#"{"prompt": "q", "chosen": "a", "rejected": "b"}"#.to_owned(),
            r#"{"question": "q", "chosen": "a", "rejected": "b", "system": ""}"#.to_owned(),
            format!(r#"{{"prompt": [{q}], "chosen": "a", "rejected": "b"}}"#),
            format!(r#"{{"prompt": [{q}], "chosen": [{a}], "rejected": [{b}]}}"#),
            format!(r#"{{"chosen": [{q}, {a}], "rejected": [{q}, {b}, {q}]}}"#),
            // The prompt is said twice.
            format!(r#"{{"prompt": "q", "chosen": [{q}, {a}], "rejected": [{q}, {b}]}}"#),
        ] {
            assert_eq!(roles(&line).unwrap(), expected, "{line}");
        }
        let (texts, prompt) = roles(&format!(
            r#"{{"prompt": [{q}, {b}, {q}], "chosen": [{a}, {q}, {b}], "rejected": [{b}], "system": "s", "lang": "ko"}}"#
        ))
        .unwrap();
        let begins = "system:s user:q assistant:b user:q ";
        let said = ["assistant:a user:q assistant:b ", "assistant:b "].map(|rest| format!("{begins}{rest}"));
        assert_eq!((texts, prompt), (said.to_vec(), 4));
    }

    #[test]
    fn what_is_no_preference_is_said() {
        let wrong = |line: &str| roles(line).unwrap_err();
        assert!(wrong(r#"{"prompt": "q", "rejected": "b"}"#).contains("has no `chosen`"));
        assert!(wrong(r#"{"prompt": "q", "chosen": "b"}"#).contains("has no `rejected`"));
        assert!(
            wrong(r#"{"chosen": "a", "rejected": "b"}"#).contains("has no `prompt`, and its answers are")
        );
        assert!(wrong(r#"{"prompt": "q", "chosen": "a", "rejected": "a"}"#).contains("say the same"));
        assert!(
            wrong(r#"{"prompt": "q", "chosen": "a", "rejected": " "}"#).contains("`rejected` turn 2 is an")
        );
        assert!(
            wrong(r#"{"prompt": "q", "chosen": 3, "rejected": "a"}"#).contains("are each a text, or a list")
        );
        assert!(wrong(r#"[{"prompt": "q"}]"#).contains("jq -c"));
        let (a, b) = (r#"{"role": "assistant", "content": "a"}"#, r#"{"role": "assistant", "content": "b"}"#);
        let q = r#"{"role": "user", "content": "q"}"#;
        let lists = |chosen: &str, rejected: &str| {
            wrong(&format!(r#"{{"chosen": [{chosen}], "rejected": [{rejected}]}}"#))
        };
        assert!(lists(a, b).contains("no beginning in common"));
        assert!(lists(q, &format!("{q}, {a}")).contains("`chosen` has no answer of the assistant"));
        let error = lists(&format!("{q}, {a}"), &format!("{q}, {a}, {q}, {b}"));
        assert!(error.contains("`chosen` has no answer after what both begin with"), "{error}");
        assert!(lists(r#"{"role": "tool", "content": "x"}"#, a).contains("`chosen`: turn 1 is of `tool`"));
    }
}
