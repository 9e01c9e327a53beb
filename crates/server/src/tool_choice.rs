//! Which tools an answer may, or must, call.

use crate::error::ApiError;
use crate::registry::Loaded;
use crate::reply::ToolFormat;
use crate::wire::{ChatRequest, Tool};
use sai_generation::Grammar;
use serde_json::{Value, json};

/// Tools at most.
const MOST_TOOLS: usize = 128;
/// Letters of a function's name at most.
const LONGEST_NAME: usize = 64;

/// What is asked of tools.
pub(crate) struct ToolChoice {
    tools: Vec<Tool>,
    format: Option<ToolFormat>,
    /// A call must come, of the function of this name where there is one.
    must: Option<Option<String>>,
    parallel: bool,
}

impl ToolChoice {
    /// Reads `tools` and `tool_choice`.
    ///
    /// # Errors
    /// A field is wrong; or there are tools and the model's template teaches no form of calls that is read here.
    pub(crate) fn of(asked: &ChatRequest, loaded: &Loaded) -> Result<ToolChoice, ApiError> {
        let mut tools = asked.tools.clone().unwrap_or_default();
        check(&tools)?;
        let must = match &asked.tool_choice {
            None | Some(Value::Null) => None,
            Some(Value::String(word)) => match word.as_str() {
                "auto" => None,
                "none" => {
                    // The model is not told of them: then it calls none.
                    tools.clear();
                    None
                }
                "required" => Some(None),
                word => {
                    return Err(ApiError::field(
                        "tool_choice",
                        format!("is `{word}`; give none, auto, required or a function"),
                    ));
                }
            },
            Some(choice) => match (choice["type"].as_str(), choice["function"]["name"].as_str()) {
                (Some("function"), Some(name)) if tools.iter().any(|tool| tool.function.name == name) => {
                    Some(Some(name.to_owned()))
                }
                (Some("function"), Some(name)) => {
                    return Err(ApiError::field(
                        "tool_choice.function.name",
                        format!("is `{name}`, which is not among `tools`"),
                    ));
                }
                _ => return Err(ApiError::field("tool_choice", "names no function")),
            },
        };
        if must.is_some() && tools.is_empty() {
            return Err(ApiError::field("tool_choice", "wants `tools`"));
        }
        let format = if tools.is_empty() { None } else { loaded.tools };
        if !tools.is_empty() && format.is_none() {
            let fact = format!(
                "are not taken: the chat template of `{}` teaches no form of calls that is read back (Hermes, Llama 3, Mistral)",
                loaded.name
            );
            return Err(ApiError::field("tools", fact).code("tools_unsupported"));
        }
        Ok(ToolChoice { tools, format, must, parallel: asked.parallel_tool_calls.unwrap_or(true) })
    }

    /// What the model is told of.
    pub(crate) fn told(&self) -> &[Tool] {
        &self.tools
    }

    /// How calls are written, where there may be any.
    pub(crate) fn format(&self) -> Option<ToolFormat> {
        self.format
    }

    /// Whether a call must come.
    pub(crate) fn must(&self) -> bool {
        self.must.is_some()
    }

    /// The grammar of an answer that must call.
    pub(crate) fn grammar(&self, loaded: &Loaded) -> Result<Option<Grammar>, ApiError> {
        let (Some(must), Some(format)) = (&self.must, self.format) else { return Ok(None) };
        let functions: Vec<(String, Value)> = self
            .tools
            .iter()
            .map(|tool| &tool.function)
            .filter(|function| must.as_ref().is_none_or(|name| *name == function.name))
            .map(|function| {
                let anything = || json!({ "type": "object" });
                let schema = function.parameters.clone().filter(|p| !p.is_null()).unwrap_or_else(anything);
                (function.name.clone(), schema)
            })
            .collect();
        let parallel = self.parallel && must.is_none();
        Ok(Some(format.grammar(&functions, parallel, &loaded.model.tokenizer)))
    }

    /// Special tokens that calls are marked with.
    pub(crate) fn marks(&self, loaded: &Loaded) -> Vec<u32> {
        let tokenizer = &loaded.model.tokenizer;
        let thoughts = ["<think>", "</think>", "<thought>", "</thought>"];
        let marks = self.format.map(ToolFormat::marks).unwrap_or_default().iter().chain(&thoughts);
        marks.filter_map(|mark| tokenizer.id_of(mark)).filter(|&id| tokenizer.is_special(id)).collect()
    }
}

fn check(tools: &[Tool]) -> Result<(), ApiError> {
    if tools.len() > MOST_TOOLS {
        return Err(ApiError::field(
            "tools",
            format!("has {} functions; give at most {MOST_TOOLS}", tools.len()),
        ));
    }
    for (i, tool) in tools.iter().enumerate() {
        if tool.kind != "function" {
            return Err(ApiError::field(
                format!("tools[{i}].type"),
                format!("is `{}`; give function", tool.kind),
            ));
        }
        let name = &tool.function.name;
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
            let fact = "is no name of a function: give 1 to 64 letters, digits, `_` and `-`";
            return Err(ApiError::field(format!("tools[{i}].function.name"), fact));
        }
        if tools[..i].iter().any(|other| other.function.name == *name) {
            return Err(ApiError::field(
                format!("tools[{i}].function.name"),
                format!("is `{name}`, as another's is"),
            ));
        }
        if let Some(parameters) = tool.function.parameters.as_ref().filter(|p| !p.is_object() && !p.is_null())
        {
            let fact =
                format!("is no JSON schema: {}", parameters.to_string().chars().take(40).collect::<String>());
            return Err(ApiError::field(format!("tools[{i}].function.parameters"), fact));
        }
    }
    Ok(())
}
