//! Thoughts at the beginning of an answer, between `<think>` and `</think>` or `<thought>` and `</thought>`.

use super::{Part, overlap};

const TAGS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thought>", "</thought>")];

/// Keeps thoughts apart from what follows them. Tags anywhere but at the beginning are text.
pub(crate) struct Thoughts {
    state: State,
    held: String,
}

#[derive(Clone, Copy)]
enum State {
    /// Nothing but blanks has come.
    Start,
    /// Until this tag.
    Inside(&'static str),
    /// Thoughts have ended, and nothing but blanks has come since.
    Ended,
    /// Words.
    Said,
}

impl Thoughts {
    /// For the answer to a prompt, which may itself end with the opening of thoughts.
    pub(crate) fn after(prompt: &str) -> Thoughts {
        let open = TAGS.iter().find(|(open, _)| prompt.trim_end().ends_with(open));
        Thoughts { state: open.map_or(State::Start, |&(_, close)| State::Inside(close)), held: String::new() }
    }

    pub(crate) fn push(&mut self, text: &str) -> Vec<Part> {
        self.held.push_str(text);
        let mut parts = Vec::new();
        loop {
            match self.state {
                State::Start => {
                    let said = self.held.trim_start();
                    if let Some((open, close)) = TAGS.iter().find(|(open, _)| said.starts_with(open)) {
                        self.held = said[open.len()..].to_owned();
                        self.state = State::Inside(close);
                    } else if said.is_empty() || TAGS.iter().any(|(open, _)| open.starts_with(said)) {
                        return parts;
                    } else {
                        self.state = State::Said;
                    }
                }
                State::Inside(close) => {
                    if let Some(at) = self.held.find(close) {
                        let rest = self.held.split_off(at);
                        let thought = std::mem::replace(&mut self.held, rest[close.len()..].to_owned());
                        add(&mut parts, Part::Reasoning(thought.trim_end().to_owned()));
                        self.state = State::Ended;
                    } else {
                        // Blanks may be the last before the tag.
                        let sure = self.held.len() - overlap(&self.held, close);
                        let sure = self.held[..sure].trim_end().len();
                        let rest = self.held.split_off(sure);
                        add(&mut parts, Part::Reasoning(std::mem::replace(&mut self.held, rest)));
                        return parts;
                    }
                }
                State::Ended => {
                    self.held = self.held.trim_start().to_owned();
                    if self.held.is_empty() {
                        return parts;
                    }
                    self.state = State::Said;
                }
                State::Said => {
                    add(&mut parts, Part::Content(std::mem::take(&mut self.held)));
                    return parts;
                }
            }
        }
    }

    pub(crate) fn finish(&mut self) -> Vec<Part> {
        let rest = std::mem::take(&mut self.held);
        let mut parts = Vec::new();
        match self.state {
            State::Inside(_) => add(&mut parts, Part::Reasoning(rest.trim_end().to_owned())),
            State::Start | State::Said => add(&mut parts, Part::Content(rest)),
            State::Ended => {}
        }
        parts
    }
}

fn add(parts: &mut Vec<Part>, part: Part) {
    if !matches!(&part, Part::Reasoning(text) | Part::Content(text) if text.is_empty()) {
        parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reasoning and content, of the text in pieces of so many characters.
    fn split(prompt: &str, text: &str, size: usize) -> (String, String) {
        let mut thoughts = Thoughts::after(prompt);
        let letters: Vec<char> = text.chars().collect();
        let mut parts: Vec<Part> =
            letters.chunks(size).flat_map(|piece| thoughts.push(&piece.iter().collect::<String>())).collect();
        parts.extend(thoughts.finish());
        let (mut reasoning, mut content) = (String::new(), String::new());
        for part in parts {
            match part {
                Part::Reasoning(text) => reasoning += &text,
                Part::Content(text) => content += &text,
                Part::Call(_) => unreachable!("there are no tools"),
            }
        }
        (reasoning.trim_start().to_owned(), content)
    }

    #[test]
    fn thoughts_are_apart_wherever_pieces_end() {
        for size in 1..30 {
            for (prompt, text, reasoning, content) in [
                ("", "<think>\n하나 < 둘\n</think>\n\n답", "하나 < 둘", "답"),
                ("", "\n<thought>a</thought>b", "a", "b"),
                ("…<think>\n", "a\n\nb</think>c", "a\n\nb", "c"),
                ("<think>\n\n</think>\n\n", "답", "", "답"),
                ("", "<thin air> <think>x</think>", "", "<thin air> <think>x</think>"),
                ("", "<think>cut", "cut", ""),
                ("", "  plain", "", "  plain"),
                ("", "<th", "", "<th"),
                ("", "<think></think>", "", ""),
            ] {
                assert_eq!(
                    split(prompt, text, size),
                    (reasoning.to_owned(), content.to_owned()),
                    "{text} by {size}"
                );
            }
        }
    }
}
