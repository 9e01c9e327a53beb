//! A turn of a conversation, as people keep it in JSON and as templates see it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One turn of a conversation. In JSON it is one object: `{"role": …, "content": …, …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What they say.
    pub content: String,
    /// What else templates may read: `tool_calls`, `reasoning_content`, `name`, `tool_call_id` and whatever a template
    /// knows. A `content` here is what the template reads in place of the text: a list of parts, or `null` for none.
    pub extra: Map<String, Value>,
}

impl Message {
    /// A turn of a text alone.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into(), extra: Map::new() }
    }

    /// The same with one more key for templates to read.
    pub fn with(mut self, key: &str, value: Value) -> Message {
        self.extra.insert(key.to_owned(), value);
        self
    }

    /// As `apply_chat_template` hands it to a template: without keys that are `null`, and with what was thought under
    /// both of the names by which templates ask for it.
    pub(super) fn to_value(&self) -> minijinja::Value {
        let mut all = Map::from(self.clone());
        all.retain(|_, value| !value.is_null());
        let thought = THOUGHTS.iter().find_map(|&key| all.get(key)).cloned();
        if let Some(thought) = thought {
            all.entry("thinking").or_insert_with(|| thought.clone());
            all.insert("reasoning_content".to_owned(), thought);
        }
        minijinja::Value::from(minijinja::value::Serde(all))
    }
}

/// Keys under which thoughts are kept, the standard one first.
const THOUGHTS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

impl From<Message> for Map<String, Value> {
    fn from(message: Message) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("role".to_owned(), Value::String(message.role));
        all.insert("content".to_owned(), Value::String(message.content));
        all.extend(message.extra);
        all
    }
}

impl TryFrom<Map<String, Value>> for Message {
    type Error = String;

    fn try_from(mut all: Map<String, Value>) -> Result<Message, String> {
        let role = match all.shift_remove("role") {
            Some(Value::String(role)) => role,
            Some(_) => return Err("a message's `role` is no text".to_owned()),
            None => return Err("a message has no `role`".to_owned()),
        };
        let content = match all.get("content") {
            Some(Value::String(_)) => match all.shift_remove("content") {
                Some(Value::String(text)) => text,
                _ => String::new(),
            },
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            Some(Value::Null) => String::new(),
            Some(_) => return Err("a message's `content` is neither text nor a list of parts".to_owned()),
            None => {
                all.insert("content".to_owned(), Value::Null);
                String::new()
            }
        };
        Ok(Message { role, content, extra: all })
    }
}
