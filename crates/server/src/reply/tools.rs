//! Calls of tools as models write them, by the form that a chat template teaches.

use super::{Call, Part, overlap};
use sai_generation::{Grammar, Tokenizer};
use serde_json::{Map, Value, json};

/// How a family writes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolFormat {
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>` for each: Hermes, Qwen 2.5 and 3, EXAONE 4, SmolLM3.
    Hermes,
    /// The whole answer `{"name": …, "parameters": {…}}`, after `<|python_tag|>` or not; several with `;` between: Llama 3.
    Llama3,
    /// `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`: Mistral's up to version 7 of its tokenizer.
    Mistral,
}

impl ToolFormat {
    /// The form that a template teaches; `None` where it knows no tools, or teaches a form that is not read here.
    pub(crate) fn of(template: &str) -> Option<ToolFormat> {
        let has = |mark: &str| template.contains(mark);
        if !has("tools") || has("<function=") || has("<arg_key>") {
            None
        } else if has("<tool_call>") && has("</tool_call>") {
            Some(ToolFormat::Hermes)
        } else if has("[TOOL_CALLS]") {
            (!has("[ARGS]")).then_some(ToolFormat::Mistral)
        } else if has("\"parameters\"") && (has("python_tag") || has("ipython")) {
            Some(ToolFormat::Llama3)
        } else {
            None
        }
    }

    /// What calls are marked with.
    pub(crate) fn marks(self) -> &'static [&'static str] {
        match self {
            ToolFormat::Hermes => &["<tool_call>", "</tool_call>"],
            ToolFormat::Llama3 => &["<|python_tag|>"],
            ToolFormat::Mistral => &["[TOOL_CALLS]"],
        }
    }

    /// The grammar of an answer that calls one of these functions, given by names and the schemas of their parameters.
    pub(crate) fn grammar(
        self,
        functions: &[(String, Value)],
        parallel: bool,
        tokenizer: &Tokenizer,
    ) -> Grammar {
        let key = if self == ToolFormat::Llama3 { "parameters" } else { "arguments" };
        let of_function = |(name, parameters): &(String, Value)| {
            json!({
                "type": "object",
                "properties": { "name": { "const": name }, key: parameters },
                "required": ["name", key],
                "additionalProperties": false,
            })
        };
        let mut call = match functions {
            [one] => of_function(one),
            several => json!({ "anyOf": several.iter().map(of_function).collect::<Vec<_>>() }),
        };
        call["x-guidance"] =
            json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " });
        // A mark that is a special token is named, any other is text.
        let mark = |text: &str| match tokenizer.id_of(text).is_some_and(|id| tokenizer.is_special(id)) {
            true if text.starts_with('<') => text.to_owned(),
            _ => Value::from(text).to_string(),
        };
        let more = if parallel { "*" } else { "~0..0" };
        Grammar::Lark(match self {
            ToolFormat::Hermes => {
                let [open, close] = ["<tool_call>", "</tool_call>"].map(mark);
                let again = if parallel {
                    format!("start: call (\"\\n\" call){more}")
                } else {
                    "start: call".to_owned()
                };
                format!("{again}\ncall: {open} \"\\n\" json \"\\n\" {close}\njson: %json {call}\n")
            }
            ToolFormat::Llama3 => format!("start: %json {call}\n"),
            ToolFormat::Mistral => {
                let open = mark("[TOOL_CALLS]");
                let calls = if parallel { "json (\", \" json)*" } else { "json" };
                format!("start: {open} \"[\" {calls} \"]\"\njson: %json {call}\n")
            }
        })
    }
}

/// Finds calls in what is said.
pub(crate) struct ToolReader {
    format: ToolFormat,
    held: String,
    /// Inside of a call, or of what may be one.
    calling: bool,
    /// Whether anything but blanks was said.
    said: bool,
    /// Whether a call was found.
    called: bool,
}

impl ToolReader {
    pub(crate) fn new(format: ToolFormat) -> ToolReader {
        ToolReader { format, held: String::new(), calling: false, said: false, called: false }
    }

    pub(crate) fn push(&mut self, text: &str) -> Vec<Part> {
        self.held.push_str(text);
        match self.format {
            ToolFormat::Hermes => self.hermes(),
            ToolFormat::Mistral => self.after_mark("[TOOL_CALLS]"),
            ToolFormat::Llama3 => {
                if !self.said && !self.calling {
                    let begun = self.held.trim_start();
                    let mark = "<|python_tag|>";
                    if begun.starts_with('{') || begun.starts_with(mark) {
                        self.calling = true;
                    } else if begun.is_empty() || mark.starts_with(begun) {
                        return Vec::new();
                    }
                }
                if self.calling { Vec::new() } else { self.say(self.held.len()) }
            }
        }
    }

    fn hermes(&mut self) -> Vec<Part> {
        let [open, close] = ["<tool_call>", "</tool_call>"];
        let mut parts = Vec::new();
        loop {
            if !self.calling {
                let Some(at) = self.held.find(open) else {
                    parts.extend(self.say_but(open));
                    return parts;
                };
                let before = self.held[..at].trim_end().len();
                parts.extend(self.say(before));
                self.held = self.held[at - before + open.len()..].to_owned();
                self.calling = true;
            }
            let Some(at) = self.held.find(close) else { return parts };
            let inside = self.held[..at].to_owned();
            self.held = self.held[at + close.len()..].trim_start().to_owned();
            self.calling = false;
            match calls(&inside) {
                Some(calls) => {
                    self.called = true;
                    parts.extend(calls.into_iter().map(Part::Call));
                }
                // What is no call is said as it was written.
                None => parts.push(Part::Content(format!("{open}{inside}{close}"))),
            }
        }
    }

    fn after_mark(&mut self, mark: &str) -> Vec<Part> {
        if self.calling {
            return Vec::new();
        }
        let Some(at) = self.held.find(mark) else { return self.say_but(mark) };
        let before = self.held[..at].trim_end().len();
        let parts = self.say(before);
        self.held = self.held[at - before + mark.len()..].to_owned();
        self.calling = true;
        parts
    }

    /// All but the end that may begin a mark, and blanks before that.
    fn say_but(&mut self, mark: &str) -> Vec<Part> {
        let sure = self.held.len() - overlap(&self.held, mark);
        let sure = self.held[..sure].trim_end().len();
        self.say(sure)
    }

    fn say(&mut self, length: usize) -> Vec<Part> {
        let rest = self.held.split_off(length);
        let text = std::mem::replace(&mut self.held, rest);
        self.said |= !text.trim().is_empty();
        if text.is_empty() { Vec::new() } else { vec![Part::Content(text)] }
    }

    pub(crate) fn finish(&mut self) -> Vec<Part> {
        let rest = std::mem::take(&mut self.held);
        if !self.calling {
            // Blanks after a call are no words.
            let nothing = rest.is_empty() || (rest.trim().is_empty() && self.called);
            return if nothing { Vec::new() } else { vec![Part::Content(rest)] };
        }
        let (found, mark) = match self.format {
            ToolFormat::Hermes => (calls(&rest), "<tool_call>"),
            ToolFormat::Mistral => (calls(&rest), "[TOOL_CALLS]"),
            ToolFormat::Llama3 => (calls(rest.trim_start().trim_start_matches("<|python_tag|>")), ""),
        };
        match found {
            Some(calls) => calls.into_iter().map(Part::Call).collect(),
            None => vec![Part::Content(format!("{mark}{rest}"))],
        }
    }
}

/// One call, a list of them, or several with `;` between.
fn calls(text: &str) -> Option<Vec<Call>> {
    let text = text.trim();
    let values: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list,
        Ok(value) => vec![value],
        Err(_) => {
            let mut values = Vec::new();
            let mut rest = text;
            while !rest.is_empty() {
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
                values.push(stream.next()?.ok()?);
                rest = rest[stream.byte_offset()..].trim_start();
                rest = match rest.strip_prefix(';') {
                    Some(more) => more.trim_start(),
                    None if rest.is_empty() => rest,
                    None => return None,
                };
            }
            values
        }
    };
    let calls: Option<Vec<Call>> = values.iter().map(call).collect();
    calls.filter(|calls| !calls.is_empty())
}

fn call(value: &Value) -> Option<Call> {
    let name = value["name"].as_str()?.to_owned();
    let arguments = match value.get("arguments").or_else(|| value.get("parameters")) {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(object @ Value::Object(_)) => object.clone(),
        Some(Value::String(text)) => serde_json::from_str::<Map<String, Value>>(text).ok()?.into(),
        Some(_) => return None,
    };
    Some(Call { name, arguments: arguments.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: ToolFormat, text: &str, size: usize) -> (String, Vec<(String, String)>) {
        let mut reader = ToolReader::new(format);
        let letters: Vec<char> = text.chars().collect();
        let mut parts: Vec<Part> =
            letters.chunks(size).flat_map(|piece| reader.push(&piece.iter().collect::<String>())).collect();
        parts.extend(reader.finish());
        let (mut content, mut found) = (String::new(), Vec::new());
        for part in parts {
            match part {
                Part::Content(text) => content += &text,
                Part::Call(call) => found.push((call.name, call.arguments)),
                Part::Reasoning(_) => unreachable!("no thoughts come here"),
            }
        }
        (content, found)
    }

    #[test]
    fn calls_are_found_wherever_pieces_end() {
        use ToolFormat::{Hermes, Llama3, Mistral};
        let a = || ("a".to_owned(), r#"{"x":1}"#.to_owned());
        let b = || ("b".to_owned(), "{}".to_owned());
        for size in [1, 2, 3, 7, 200] {
            for (format, text, content, found) in [
                (
                    Hermes,
                    "<tool_call>\n{\"name\": \"a\", \"arguments\": {\"x\": 1}}\n</tool_call>",
                    "",
                    vec![a()],
                ),
                (
                    Hermes,
                    "날씨를 봅니다.\n<tool_call>{\"name\":\"a\",\"arguments\":{\"x\":1}}</tool_call>\n<tool_call>{\"name\":\"b\"}</tool_call>\n",
                    "날씨를 봅니다.",
                    vec![a(), b()],
                ),
                // As text: a string of JSON is what some models write.
                (
                    Hermes,
                    "<tool_call>{\"name\":\"a\",\"arguments\":\"{\\\"x\\\":1}\"}</tool_call>",
                    "",
                    vec![a()],
                ),
                (Hermes, "<tool_call>{\"name\":</tool_call>", "<tool_call>{\"name\":</tool_call>", vec![]),
                (Hermes, "<tool_call>{\"name\":\"a\",\"argu", "<tool_call>{\"name\":\"a\",\"argu", vec![]),
                (
                    Hermes,
                    "<tool_call>{\"name\":\"a\",\"arguments\":[1]}</tool_call>",
                    "<tool_call>{\"name\":\"a\",\"arguments\":[1]}</tool_call>",
                    vec![],
                ),
                (Hermes, "a <tool> b\n", "a <tool> b\n", vec![]),
                (Llama3, "{\"name\": \"a\", \"parameters\": {\"x\": 1}}", "", vec![a()]),
                (
                    Llama3,
                    "<|python_tag|>{\"name\": \"a\", \"parameters\": {\"x\": 1}}; {\"name\":\"b\"}",
                    "",
                    vec![a(), b()],
                ),
                (Llama3, "{no call}", "{no call}", vec![]),
                (Llama3, "Seoul {x}", "Seoul {x}", vec![]),
                (
                    Mistral,
                    "[TOOL_CALLS] [{\"name\":\"a\",\"arguments\":{\"x\":1}},{\"name\":\"b\"}]",
                    "",
                    vec![a(), b()],
                ),
                (Mistral, "[TOOLS]", "[TOOLS]", vec![]),
            ] {
                assert_eq!(read(format, text, size), (content.to_owned(), found), "{text} by {size}");
            }
        }
    }

    #[test]
    fn a_template_says_its_form() {
        for (template, format) in [
            ("{% if tools %}<tool_call>{}</tool_call>{% endif %}", Some(ToolFormat::Hermes)),
            ("{% if tools %}<tool_call><function=x></tool_call>", None),
            ("{{ tools }}[TOOL_CALLS]", Some(ToolFormat::Mistral)),
            ("{{ tools }}[TOOL_CALLS]a[ARGS]", None),
            ("{{ tools }}\"parameters\": <|python_tag|>", Some(ToolFormat::Llama3)),
            ("{{ messages }}", None),
        ] {
            assert_eq!(ToolFormat::of(template), format, "{template}");
        }
    }
}
