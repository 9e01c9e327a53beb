//! Google's `generateContent`, as far as answers and grades need it.

use super::Dialect;
use crate::chat::{ChatRequest, Finish, Reply, Usage, unknown_finish};
use serde_json::{Map, Value, json};

pub(super) fn body(asked: &ChatRequest, dialect: Dialect) -> Value {
    let part = |text: &str| json!([{"text": text}]);
    let mut contents = Vec::new();
    let mut body = Map::new();
    for message in &asked.messages {
        match message.role.as_str() {
            "system" => {
                body.insert("systemInstruction".to_owned(), json!({"parts": part(&message.content)}));
            }
            "assistant" => contents.push(json!({"role": "model", "parts": part(&message.content)})),
            _ => contents.push(json!({"role": "user", "parts": part(&message.content)})),
        }
    }
    let mut config = json!({"maxOutputTokens": asked.max_tokens});
    if dialect.takes(Dialect::TEMPERATURE) {
        config["temperature"] = asked.temperature.to_string().parse::<f64>().unwrap_or_default().into();
    }
    if asked.temperature > 0.0 && dialect.takes(Dialect::SEED) {
        config["seed"] = asked.seed.into();
    }
    if let Some(schema) = &asked.schema
        && dialect.takes(Dialect::FORMAT)
    {
        config["responseMimeType"] = "application/json".into();
        if dialect.takes(Dialect::SCHEMA) {
            config["responseSchema"] = openapi(schema);
        }
    }
    body.insert("contents".to_owned(), contents.into());
    body.insert("generationConfig".to_owned(), config);
    Value::Object(body)
}

/// A JSON schema in the words that Gemini's subset of OpenAPI has: no `additionalProperties`, and an order of its own.
fn openapi(schema: &Value) -> Value {
    let Value::Object(parts) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in parts {
        match (key.as_str(), value) {
            ("additionalProperties", _) => {}
            // Numbers are no members of its enumerations.
            ("enum", Value::Array(of)) if of.iter().any(Value::is_number) => {
                let numbers = || of.iter().filter_map(Value::as_i64);
                out.insert("minimum".to_owned(), numbers().min().into());
                out.insert("maximum".to_owned(), numbers().max().into());
            }
            ("type", Value::String(name)) => drop(out.insert(key.clone(), name.to_uppercase().into())),
            ("properties", Value::Object(of)) => {
                let names: Vec<Value> = of.keys().map(|name| name.as_str().into()).collect();
                let inner = of.iter().map(|(name, value)| (name.clone(), openapi(value))).collect();
                out.insert(key.clone(), Value::Object(inner));
                out.insert("propertyOrdering".to_owned(), names.into());
            }
            _ => drop(out.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(out)
}

/// Reads an answer.
///
/// # Errors
/// It is of another form.
pub(super) fn reply(raw: Value) -> Result<Reply, String> {
    let candidate = &raw["candidates"][0];
    let blocked = raw["promptFeedback"]["blockReason"].as_str().map(str::to_owned);
    let (text, finish) = match (candidate.is_object(), blocked) {
        (false, Some(why)) => (format!("blocked: {why}"), Finish::Filtered),
        (false, None) => return Err("the answer has no candidates[0]".to_owned()),
        (true, _) => {
            let parts = candidate["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
            let thought = |part: &&Value| part["thought"] != json!(true);
            let text: String =
                parts.iter().filter(thought).filter_map(|part| part["text"].as_str()).collect();
            let finish = match candidate["finishReason"].as_str() {
                Some("STOP") | None => Finish::Stop,
                Some("MAX_TOKENS") => Finish::Length,
                Some("SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE") => {
                    Finish::Filtered
                }
                Some(_) => unknown_finish(&text),
            };
            (text, finish)
        }
    };
    let (prompt_tokens, completion_tokens) = tokens(&raw);
    Ok(Reply { text, finish, prompt_tokens, completion_tokens, seconds: 0.0, raw: Some(raw) })
}

/// Thoughts are paid for as what is answered.
fn tokens(raw: &Value) -> (Option<u64>, Option<u64>) {
    let of = |name: &str| raw["usageMetadata"][name].as_u64();
    let thoughts = of("thoughtsTokenCount");
    let made = of("candidatesTokenCount").map(|made| made.saturating_add(thoughts.unwrap_or(0))).or(thoughts);
    (of("promptTokenCount"), made)
}

/// The tokens of an answer, whatever else it has.
pub(super) fn usage(raw: &Value) -> Usage {
    let (read, made) = tokens(raw);
    Usage { prompt_tokens: read.unwrap_or(0), completion_tokens: made.unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sai_generation::Message;

    #[test]
    fn roles_and_schemas_are_in_geminis_words() {
        let messages = ["system", "user", "assistant", "user"]
            .map(|role| Message::new(role, format!("a {role}")))
            .to_vec();
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["Score"],
            "properties": {"Score": {"type": "integer", "enum": [1, 2, 3, 4, 5]}}});
        let asked = ChatRequest { messages, max_tokens: 9, temperature: 0.0, seed: 0, schema: Some(schema) };
        let body = body(&asked, Dialect(0));
        assert_eq!(body["systemInstruction"]["parts"][0]["text"], "a system");
        let roles: Vec<_> = body["contents"].as_array().expect("a list").iter().map(|c| &c["role"]).collect();
        assert_eq!(roles, ["user", "model", "user"]);
        let schema = &body["generationConfig"]["responseSchema"];
        assert_eq!(schema["type"], "OBJECT");
        assert_eq!(schema["properties"]["Score"], json!({"type": "INTEGER", "minimum": 1, "maximum": 5}));
        assert!(schema.get("additionalProperties").is_none());
    }

    #[test]
    fn thoughts_are_no_answer_and_a_blocked_prompt_is_none_either() {
        let parts = json!([{"text": "let me think", "thought": true}, {"text": "서울"}]);
        let answer = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 10}});
        let read = reply(answer).expect("reads");
        assert_eq!((read.text.as_str(), read.completion_tokens), ("서울", Some(12)));
        let blocked = reply(json!({"promptFeedback": {"blockReason": "SAFETY"}})).expect("reads");
        assert_eq!(blocked.finish, Finish::Filtered);
        assert!(reply(json!({})).is_err());
        let of = |parts: Value| {
            reply(json!({"candidates": [{"content": {"parts": parts}, "finishReason": "NEW"}]}))
                .expect("reads")
        };
        assert_eq!(of(json!([{"text": "서울"}])).finish, Finish::Stop);
        assert_eq!(of(json!([])).finish, Finish::Filtered);
    }
}
