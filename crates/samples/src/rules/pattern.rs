//! A sentence with choices and slots: `[Hello|Hi], {c.name:은/는}[ really|] {c.capital}`.
//!
//! `[a|b|]` is one of its alternatives, which may be empty and may hold choices themselves. `{word}` is a slot;
//! `{word:은/는}` puts the particle behind it that agrees with it, `{word:a}` the English article before it,
//! `{word:^}` begins it with a capital, `{word:A}` does both. `\[`, `\|`, `\{` and so on are the characters themselves.

use std::fmt::Write;

use super::particle::{self, Particle};
use crate::random::Random;

/// Choices within choices, at most.
const DEEPEST: usize = 8;

/// A sentence to be filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Slot(usize, Form),
    Choice(Vec<Pattern>),
}

/// How a slot is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Plain,
    Capital,
    Article { capital: bool },
    Particle(Particle),
}

/// A word of a list or table, as it is written and, where that does not tell, as it is said: `Rust|러스트`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    reading: Option<String>,
}

impl Word {
    pub(super) fn new(said: &str) -> Word {
        match said.split_once('|') {
            Some((text, reading)) => Word { text: text.to_owned(), reading: Some(reading.to_owned()) },
            None => Word { text: said.to_owned(), reading: None },
        }
    }

    fn end(&self) -> Option<particle::End> {
        particle::end(self.reading.as_ref().unwrap_or(&self.text))
    }
}

impl Form {
    fn named(name: &str) -> Option<Form> {
        Some(match name {
            "^" => Form::Capital,
            "a" => Form::Article { capital: false },
            "A" => Form::Article { capital: true },
            name => Form::Particle(particle::named(name)?),
        })
    }

    /// Whether a word can be written so.
    pub(super) fn fits(self, word: &Word) -> bool {
        !matches!(self, Form::Particle(_)) || word.end().is_some()
    }

    fn write(self, word: &Word, out: &mut String) {
        match self {
            Form::Plain => out.push_str(&word.text),
            Form::Capital => capital(&word.text, out),
            Form::Article { capital } => {
                let said = word.reading.as_ref().unwrap_or(&word.text);
                let open = said.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
                let article = match (capital, open) {
                    (false, false) => "a",
                    (false, true) => "an",
                    (true, false) => "A",
                    (true, true) => "An",
                };
                let _ = write!(out, "{article} {}", word.text);
            }
            Form::Particle(particle) => {
                out.push_str(&word.text);
                // The word was seen to fit when the rules were read.
                out.push_str(word.end().map_or("", |end| particle::form(particle, end)));
            }
        }
    }
}

fn capital(text: &str, out: &mut String) {
    let mut rest = text.chars();
    out.extend(rest.next().into_iter().flat_map(char::to_uppercase));
    out.push_str(rest.as_str());
}

impl Pattern {
    /// Reads a pattern. `slot` gives a slot's number by its name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(text: &str, slot: &mut Slots<'_>) -> Result<Pattern, String> {
        let mut rest = text;
        let pattern = sequence(&mut rest, 0, slot)?;
        match rest.chars().next() {
            None => Ok(pattern),
            Some(c) => Err(format!("`{c}` in `{text}` stands outside of a choice; write `\\{c}` for itself")),
        }
    }

    /// Writes the sentence.
    pub(super) fn write(&self, words: &[&Word], random: &mut Random, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Slot(at, form) => form.write(words[*at], out),
                Part::Choice(of) => {
                    if let Some(one) = random.pick(of) {
                        one.write(words, random, out);
                    }
                }
            }
        }
    }

    /// Every way to write the sentence with the slots left as numbers, as far as there are not more than `most`.
    pub(super) fn ways(&self, most: usize) -> Option<Vec<String>> {
        let mut ways = vec![String::new()];
        for part in &self.0 {
            let next = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Slot(at, form) => vec![format!("{{{at}{form:?}}}")],
                Part::Choice(of) => of.iter().map(|one| one.ways(most)).collect::<Option<Vec<_>>>()?.concat(),
            };
            if ways.len() * next.len() > most {
                return None;
            }
            ways = ways.iter().flat_map(|way| next.iter().map(move |next| format!("{way}{next}"))).collect();
        }
        Some(ways)
    }
}

/// Gives the number of a slot by its name and form, or says why there is none.
pub(super) type Slots<'s> = dyn FnMut(&str, Form) -> Result<usize, String> + 's;

/// Reads up to the end or to a `|` or `]` of the choice around.
fn sequence(rest: &mut &str, depth: usize, slots: &mut Slots<'_>) -> Result<Pattern, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        if depth > 0 && matches!(c, '|' | ']') {
            break;
        }
        if depth == 0 && matches!(c, '|' | ']' | '}') {
            break;
        }
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = after.chars().next().ok_or("`\\` stands before nothing")?;
                text.push(escaped);
                *rest = &after[escaped.len_utf8()..];
            }
            '[' => {
                if depth == DEEPEST {
                    return Err(format!("more than {DEEPEST} choices within one another"));
                }
                push(&mut parts, &mut text);
                *rest = after;
                parts.push(Part::Choice(choice(rest, depth + 1, slots)?));
            }
            '{' => {
                push(&mut parts, &mut text);
                let (name, after) = after.split_once('}').ok_or("`{` is never closed")?;
                let (name, form) = match name.split_once(':') {
                    None => (name, Form::Plain),
                    Some((name, form)) => {
                        let fact = || format!("`{form}` in `{{{name}:{form}}}` is no particle and no form");
                        (name, Form::named(form).ok_or_else(fact)?)
                    }
                };
                parts.push(Part::Slot(slots(name, form)?, form));
                *rest = after;
            }
            c => {
                text.push(c);
                *rest = after;
            }
        }
    }
    push(&mut parts, &mut text);
    Ok(Pattern(parts))
}

fn choice(rest: &mut &str, depth: usize, slots: &mut Slots<'_>) -> Result<Vec<Pattern>, String> {
    let mut of = Vec::new();
    loop {
        of.push(sequence(rest, depth, slots)?);
        let end = rest.chars().next().ok_or("`[` is never closed")?;
        *rest = &rest[1..];
        if end == ']' {
            return Ok(of);
        }
    }
}

fn push(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pattern: &str, words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<Word> = words.iter().map(|word| Word::new(word)).collect();
        let pattern = Pattern::new(pattern, &mut |name, _| name.parse::<usize>().map_err(|e| e.to_string()))?;
        let words: Vec<&Word> = words.iter().collect();
        let mut made: Vec<String> = (0..200)
            .map(|i| {
                let mut out = String::new();
                pattern.write(&words, &mut Random::new(1, 2, i), &mut out);
                out
            })
            .collect();
        made.sort();
        made.dedup();
        Ok(made)
    }

    #[test]
    fn choices_and_slots_are_filled() {
        assert_eq!(all("[a|b[c|]|]d", &[]).unwrap(), ["ad", "bcd", "bd", "d"]);
        assert_eq!(
            all("{0:은/는} {1:a}, {1:A}", &["Rust|러스트", "owl"]).unwrap(),
            ["Rust는 an owl, An owl"]
        );
        assert_eq!(all("{0:a} {0:^}", &["hour|our"]).unwrap(), ["an hour Hour"]);
        assert_eq!(all("\\[\\{1\\|\\}\\]\\\\", &[]).unwrap(), ["[{1|}]\\"]);
        for (wrong, why) in [
            ("[a|b", "never closed"),
            ("a]", "outside"),
            ("a|b", "outside"),
            ("{a", "never closed"),
            ("{0:은/을}", "no particle"),
            ("a\\", "before nothing"),
            (&"[".repeat(20), "more than"),
        ] {
            let error = all(wrong, &["x"]).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn ways_are_counted() {
        let pattern = Pattern::new("[a|b][c|d[e|f]]", &mut |_, _| Ok(0)).unwrap();
        assert_eq!(pattern.ways(6).unwrap(), ["ac", "ade", "adf", "bc", "bde", "bdf"]);
        assert_eq!(pattern.ways(5), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text in "[\\[\\]|{}\\\\:가a0]{0,40}") {
            let _ = all(&text, &["x"]);
        }
    }
}
