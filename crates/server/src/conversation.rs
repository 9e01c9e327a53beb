//! A request's messages as the prompt that the model's template makes of them.

use crate::error::ApiError;
use crate::registry::Loaded;
use crate::wire::{ChatMessage, Object, Tool, ToolCall};
use sai_generation::{Message, TemplateInput};
use serde_json::{Map, Value, json};

/// A conversation and what is wanted of it.
#[derive(Default)]
pub(crate) struct Conversation<'a> {
    pub(crate) messages: &'a [ChatMessage],
    pub(crate) tools: &'a [Tool],
    pub(crate) add_generation_prompt: bool,
    pub(crate) continue_final_message: bool,
    pub(crate) kwargs: Option<&'a Object>,
}

/// A conversation as the model reads it.
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
}

impl Conversation<'_> {
    /// Writes it.
    ///
    /// # Errors
    /// A message is wrong, with its path; or the model has no template, or one that refuses the conversation.
    pub(crate) fn prompt(&self, loaded: &Loaded) -> Result<Prompt, ApiError> {
        let messages = messages(self.messages)?;
        if self.continue_final_message && messages.last().is_none_or(|last| last.role != "assistant") {
            return Err(ApiError::field(
                "continue_final_message",
                "wants the last message to be an assistant's",
            ));
        }
        let model = &loaded.model;
        let template = model.template.as_ref().ok_or_else(|| {
            let message = format!(
                "the model `{}` has no chat template: it continues texts and does not chat; use /v1/completions",
                loaded.name
            );
            ApiError::bad_request(message).about("model")
        })?;
        let tools: Vec<Value> =
            self.tools.iter().filter_map(|tool| serde_json::to_value(tool).ok()).collect();
        let input = TemplateInput {
            add_generation_prompt: self.add_generation_prompt,
            continue_final_message: self.continue_final_message,
            tools: &tools,
            kwargs: self.kwargs,
        };
        let text = template
            .render_with(&messages, &input, &model.tokenizer.special_tokens())
            .map_err(|error| ApiError::bad_request(error.to_string()).about("messages"))?;
        // The template writes BOS itself where there is to be one.
        let tokens = model.tokenizer.encode(&text);
        Ok(Prompt { text, tokens })
    }
}

/// The messages as templates read them, those of system and developers as one at the beginning.
fn messages(asked: &[ChatMessage]) -> Result<Vec<Message>, ApiError> {
    if asked.is_empty() {
        return Err(ApiError::field("messages", "is empty; give at least one message"));
    }
    let mut system: Vec<String> = Vec::new();
    let mut rest = Vec::with_capacity(asked.len());
    for (i, message) in asked.iter().enumerate() {
        let path = format!("messages[{i}]");
        let content = content(message.content.as_ref(), &format!("{path}.content"))?;
        let calls = message.tool_calls.as_deref().unwrap_or_default();
        if message.content.as_ref().is_none_or(Value::is_null) && message.role != "assistant" {
            return Err(ApiError::field(format!("{path}.content"), "is missing"));
        }
        match message.role.as_str() {
            "system" | "developer" => system.push(content),
            "user" | "assistant" | "tool" => {
                let mut made = Message::new(message.role.clone(), content);
                if !calls.is_empty() {
                    made = made.with("tool_calls", tool_calls(calls, &path)?);
                }
                for (key, value) in [
                    ("reasoning_content", &message.reasoning_content),
                    ("tool_call_id", &message.tool_call_id),
                    ("name", &message.name),
                ] {
                    if let Some(value) = value {
                        made = made.with(key, Value::from(value.as_str()));
                    }
                }
                rest.push(made);
            }
            role => {
                let fact = format!("is `{role}`; give system, developer, user, assistant or tool");
                return Err(ApiError::field(format!("{path}.role"), fact));
            }
        }
    }
    if !system.is_empty() {
        rest.insert(0, Message::new("system", system.join("\n\n")));
    }
    Ok(rest)
}

/// A message's text, its parts one after another.
fn content(content: Option<&Value>, path: &str) -> Result<String, ApiError> {
    let parts = match content {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(ApiError::field(path, "is neither a text nor a list of parts")),
    };
    let mut text = String::new();
    for (i, part) in parts.iter().enumerate() {
        match (part["type"].as_str(), &part["text"]) {
            (Some("text" | "input_text" | "output_text"), Value::String(piece)) => text += piece,
            (Some("text" | "input_text" | "output_text"), _) => {
                return Err(ApiError::field(format!("{path}[{i}].text"), "is no text"));
            }
            (Some("refusal"), _) => text += part["refusal"].as_str().unwrap_or_default(),
            (Some(kind), _) => {
                let fact = format!("is `{kind}`; the model reads text alone");
                return Err(ApiError::field(format!("{path}[{i}].type"), fact));
            }
            (None, _) => return Err(ApiError::field(format!("{path}[{i}].type"), "is missing")),
        }
    }
    Ok(text)
}

/// Calls that were made, their arguments as objects: a template that writes JSON would write text a second time.
fn tool_calls(calls: &[ToolCall], path: &str) -> Result<Value, ApiError> {
    let of = |(i, call): (usize, &ToolCall)| {
        let path = format!("{path}.tool_calls[{i}].function.arguments");
        let arguments = match &call.function.arguments {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(object)) => object.clone(),
            Some(Value::String(text)) if text.trim().is_empty() => Map::new(),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::Object(object)) => object,
                Ok(Value::Null) => Map::new(),
                _ => return Err(ApiError::field(path, "is no object of JSON")),
            },
            Some(_) => return Err(ApiError::field(path, "is no object of JSON, as text")),
        };
        Ok(json!({
            "id": call.id, "type": call.kind,
            "function": { "name": call.function.name, "arguments": arguments },
        }))
    };
    calls.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Result<Vec<Message>, ApiError> {
        messages(&serde_json::from_value::<Vec<ChatMessage>>(json).unwrap())
    }

    #[test]
    fn developers_and_system_are_one_first_message() {
        let made = read(json!([
            { "role": "system", "content": "a" }, { "role": "user", "content": "q" }, { "role": "developer", "content": "b" },
        ]));
        let made: Vec<_> = made.unwrap().into_iter().map(|m| (m.role, m.content)).collect();
        assert_eq!(made, [("system".to_owned(), "a\n\nb".to_owned()), ("user".to_owned(), "q".to_owned())]);
    }

    #[test]
    fn parts_are_one_text_in_their_order() {
        let made = read(json!([{ "role": "user", "content": [
            { "type": "text", "text": "하나" }, { "type": "text", "text": "둘" },
        ] }]));
        let made = made.unwrap();
        assert_eq!(made[0].content, "하나둘");
        assert!(made[0].extra.is_empty(), "a template would read the list in place of the text");
    }

    #[test]
    fn arguments_of_earlier_calls_are_objects() {
        let call = |arguments: Value| {
            read(json!([{ "role": "assistant", "tool_calls": [
                { "id": "c", "type": "function", "function": { "name": "f", "arguments": arguments } },
            ] }]))
        };
        for (arguments, object) in [
            (json!("{\"x\": 1}"), json!({ "x": 1 })),
            (json!(""), json!({})),
            (json!("null"), json!({})),
            (Value::Null, json!({})),
            (json!({ "x": 1 }), json!({ "x": 1 })),
        ] {
            assert_eq!(call(arguments).unwrap()[0].extra["tool_calls"][0]["function"]["arguments"], object);
        }
        for arguments in [json!("[1]"), json!("x"), json!(1)] {
            let error = call(arguments).unwrap_err();
            assert_eq!(error.error.param.as_deref(), Some("messages[0].tool_calls[0].function.arguments"));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, field) in [
            (json!([]), "messages"),
            (json!([{ "role": "robot", "content": "" }]), "messages[0].role"),
            (json!([{ "role": "user" }]), "messages[0].content"),
            (json!([{ "role": "user", "content": 1 }]), "messages[0].content"),
            (
                json!([{ "role": "user", "content": [{ "type": "image_url" }] }]),
                "messages[0].content[0].type",
            ),
        ] {
            assert_eq!(read(json).unwrap_err().error.param.as_deref(), Some(field));
        }
    }
}
