//! What an answer's text is made of: thoughts, words for the reader, calls of tools.

mod think;
mod tools;

pub(crate) use think::Thoughts;
pub(crate) use tools::{ToolFormat, ToolReader};

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What is said.
    Content(String),
    /// What was thought before.
    Reasoning(String),
    /// A tool that is to be called.
    Call(Call),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// A JSON object as text.
    pub(crate) arguments: String,
}

/// Takes an answer apart as it comes.
pub(crate) struct Reply {
    thoughts: Thoughts,
    tools: Option<ToolReader>,
}

impl Reply {
    /// `thinking` where the prompt ends with the opening of thoughts, `tools` where there are some to call.
    pub(crate) fn new(prompt: &str, tools: Option<ToolFormat>) -> Reply {
        Reply { thoughts: Thoughts::after(prompt), tools: tools.map(ToolReader::new) }
    }

    /// Takes the next piece of text.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Part> {
        let parts = self.thoughts.push(text);
        self.read(parts)
    }

    /// What was held back, when no more comes.
    pub(crate) fn finish(&mut self) -> Vec<Part> {
        let parts = self.thoughts.finish();
        let mut parts = self.read(parts);
        parts.extend(self.tools.iter_mut().flat_map(ToolReader::finish));
        parts
    }

    fn read(&mut self, parts: Vec<Part>) -> Vec<Part> {
        let Some(tools) = &mut self.tools else { return parts };
        let read = |part| match part {
            Part::Content(text) => tools.push(&text),
            other => vec![other],
        };
        parts.into_iter().flat_map(read).collect()
    }
}

/// Bytes at the end of `text` that `mark` begins with, but not all of it.
fn overlap(text: &str, mark: &str) -> usize {
    let longest = text.len().min(mark.len() - 1);
    (1..=longest).rev().find(|&n| text.as_bytes().ends_with(&mark.as_bytes()[..n])).unwrap_or(0)
}
