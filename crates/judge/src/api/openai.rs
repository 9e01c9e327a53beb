//! OpenAI's chat completions, as far as answers and grades need them.

use super::Dialect;
use crate::chat::{ChatRequest, Finish, Reply, Usage, unknown_finish};
use serde_json::{Value, json};

pub(super) fn url(base: &str) -> String {
    match base.ends_with("/chat/completions") {
        true => base.to_owned(),
        false => format!("{base}/chat/completions"),
    }
}

pub(super) fn body(model: &str, asked: &ChatRequest, dialect: Dialect) -> Value {
    let messages: Vec<Value> =
        asked.messages.iter().map(|m| json!({"role": m.role, "content": m.content})).collect();
    let mut body = json!({"model": model, "messages": messages});
    let limit = if dialect.takes(Dialect::MAX_TOKENS) { "max_tokens" } else { "max_completion_tokens" };
    body[limit] = asked.max_tokens.into();
    if dialect.takes(Dialect::TEMPERATURE) {
        // As it was written, and not as the nearest double of a float.
        body["temperature"] = asked.temperature.to_string().parse::<f64>().unwrap_or_default().into();
    }
    if asked.temperature > 0.0 && dialect.takes(Dialect::SEED) {
        body["seed"] = asked.seed.into();
    }
    if let Some(schema) = &asked.schema
        && dialect.takes(Dialect::FORMAT)
    {
        body["response_format"] = match dialect.takes(Dialect::SCHEMA) {
            true => {
                json!({"type": "json_schema", "json_schema": {"name": "verdict", "strict": true, "schema": schema}})
            }
            false => json!({"type": "json_object"}),
        };
    }
    body
}

fn tokens(raw: &Value) -> (Option<u64>, Option<u64>) {
    let of = |name: &str| raw["usage"][name].as_u64();
    (of("prompt_tokens"), of("completion_tokens"))
}

/// The tokens of an answer, whatever else it has.
pub(super) fn usage(raw: &Value) -> Usage {
    let (read, made) = tokens(raw);
    Usage { prompt_tokens: read.unwrap_or(0), completion_tokens: made.unwrap_or(0) }
}

/// Reads an answer.
///
/// # Errors
/// It is of another form; a half of one is among these.
pub(super) fn reply(raw: Value) -> Result<Reply, String> {
    let choice = &raw["choices"][0];
    let message = &choice["message"];
    if !message.is_object() {
        return Err("the answer has no choices[0].message".to_owned());
    }
    // What a reasoning model wrote before its answer is in a field of its own, and in `raw`.
    let text = match (&message["content"], &message["refusal"]) {
        (Value::String(text), _) => text.clone(),
        (Value::Array(parts), _) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        (_, Value::String(refusal)) => refusal.clone(),
        _ => String::new(),
    };
    let finish = match choice["finish_reason"].as_str() {
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::Filtered,
        Some("stop") | None => Finish::Stop,
        Some(_) => unknown_finish(&text),
    };
    let (prompt_tokens, completion_tokens) = tokens(&raw);
    Ok(Reply { text, finish, prompt_tokens, completion_tokens, seconds: 0.0, raw: Some(raw) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sai_generation::Message;

    fn request() -> ChatRequest {
        let schema = Some(json!({"type": "object"}));
        let messages = vec![Message::new("user", "q")];
        ChatRequest { messages, max_tokens: 7, temperature: 0.3, seed: 5, schema }
    }

    #[test]
    fn what_a_service_does_not_take_is_left_out_of_its_requests() {
        let all = body("m", &request(), Dialect(0));
        assert_eq!(
            (&all["max_tokens"], &all["temperature"], &all["seed"]),
            (&json!(7), &json!(0.3), &json!(5))
        );
        assert_eq!(all["response_format"]["json_schema"]["strict"], json!(true));
        let less =
            body("m", &request(), Dialect(Dialect::SCHEMA | Dialect::TEMPERATURE | Dialect::MAX_TOKENS));
        assert_eq!(less["response_format"], json!({"type": "json_object"}));
        assert_eq!(less["max_completion_tokens"], json!(7));
        assert!(less.get("max_tokens").is_none() && less.get("temperature").is_none());
        let least = body("m", &request(), Dialect(Dialect::SCHEMA | Dialect::FORMAT));
        assert!(least.get("response_format").is_none());
    }

    #[test]
    fn an_answer_that_was_cut_or_held_back_says_so() {
        let of = |choice: Value| {
            reply(json!({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}))
        };
        let cut = of(json!({"message": {"content": "{\"a\":"}, "finish_reason": "length"})).expect("reads");
        assert_eq!((cut.finish, cut.prompt_tokens), (Finish::Length, Some(3)));
        let held =
            of(json!({"message": {"content": null}, "finish_reason": "content_filter"})).expect("reads");
        assert_eq!((held.finish, held.text.as_str()), (Finish::Filtered, ""));
        assert!(reply(json!({"choices": []})).is_err());
    }

    #[test]
    fn an_answer_that_ended_for_an_unknown_reason_is_taken_once() {
        let of = |content: Value| {
            let choice = json!({"message": {"content": content}, "finish_reason": "eos_token"});
            reply(json!({"choices": [choice], "usage": {"completion_tokens": 2}})).expect("reads")
        };
        let read = of("서울".into());
        assert_eq!(
            (read.finish, read.text.as_str(), read.completion_tokens),
            (Finish::Stop, "서울", Some(2))
        );
        assert_eq!(of(Value::Null).finish, Finish::Filtered);
    }
}
