//! A row as a preference: a chosen answer and a rejected one to the same question.
//!
//! TRL's and the Hub's `prompt`, `chosen` and `rejected`, OpenAI's `preferred_output` and `non_preferred_output`,
//! hh-rlhf's two transcripts, LLaMA-Factory's `conversations` beside two turns.

use super::super::row::{Row, text};
use super::super::turn::{Turn, turns};
use super::{Conversation, answered, columns, messages, opened, transcript};

/// Keys of the preferred side and of the other.
pub(super) const SIDES: [[&str; 2]; 2] =
    [["chosen", "rejected"], ["preferred_output", "non_preferred_output"]];

/// Reads a row: the conversation with the chosen answer, and the one with the rejected. Of both the answers are trained
/// on from the first in which they differ.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn read(row: &Row<'_>) -> Result<[Conversation; 2], String> {
    let names = SIDES.into_iter().find(|names| names.iter().any(|name| row.get(name).is_some()));
    let names = names.unwrap_or(SIDES[0]);
    let [chosen, rejected] = names.map(|name| side(row, name));
    let sides = [chosen?, rejected?];
    let asked = asked(row, &sides)?;
    let mut whole = Vec::new();
    for (name, side) in names.iter().zip(sides) {
        whole.push(opened(row, joined(name, &asked, side)?)?);
    }
    let common = whole[0].iter().zip(&whole[1]).take_while(|(a, b)| a.message == b.message).count();
    if whole.iter().all(|turns| turns.len() == common) {
        return Err(format!("`{}` and `{}` say the same", names[0], names[1]));
    }
    if common == 0 {
        return Err("has no `prompt`, and its answers have no beginning in common".to_owned());
    }
    for (name, turns) in names.iter().zip(&mut whole) {
        match turns.get(common) {
            None => return Err(format!("`{name}` has no answer after what both begin with")),
            Some(turn) if !turn.is("assistant") => {
                let turn = common + 1;
                return Err(format!(
                    "`{name}` asks something else in turn {turn}; a pair answers one question"
                ));
            }
            Some(turn) if !turn.train => return Err(format!("`{name}` is marked not to be trained on")),
            Some(_) => turns[..common].iter_mut().for_each(|turn| turn.train = false),
        }
    }
    let of = |(name, turns): (&&str, Vec<Turn>)| answered(turns).map_err(|fact| format!("`{name}` {fact}"));
    let texts: Vec<Conversation> = names.iter().zip(whole).map(of).collect::<Result<_, _>>()?;
    texts.try_into().map_err(|_| "is no pair".to_owned())
}

/// An answer alone, or a whole conversation that ends in one.
enum Side {
    Text(String),
    Turns(Vec<Turn>),
}

fn side(row: &Row<'_>, name: &str) -> Result<Side, String> {
    let value = row.get(name).ok_or_else(|| format!("has no `{name}`"))?;
    if columns::is_turns(value.get()) {
        return turns(name, value).map(Side::Turns).map_err(|fact| format!("`{name}`: {fact}"));
    }
    if value.get().starts_with('[') {
        return Err(format!("`{name}` is to be a text, or a list of turns"));
    }
    let text = text(name, value).map_err(|fact| format!("{fact}, or a list of turns"))?;
    Ok(transcript::turns(&text).map_or(Side::Text(text), Side::Turns))
}

/// The turns that both sides answer, where they stand beside them.
fn asked(row: &Row<'_>, sides: &[Side; 2]) -> Result<Vec<Turn>, String> {
    // OpenAI's.
    if let Some(input) = row.get("input").filter(|value| value.get().starts_with('{')) {
        let input = Row::parse(input.get())?;
        if input.says("tools") {
            return Err(
                "has `tools` beside its turns, which sai does not learn from; leave them out".to_owned()
            );
        }
        return messages::read(&input, messages::MESSAGES).map_err(|fact| format!("`input` {fact}"));
    }
    if let Some(asked) = columns::asked(row)? {
        // A prompt may be a transcript too, with the opening of the answer at its end.
        let mut turns = match &asked[..] {
            [only] => transcript::turns(&only.message.content).unwrap_or(asked),
            _ => asked,
        };
        turns.pop_if(|last| last.is("assistant") && last.message.content.is_empty());
        return Ok(turns);
    }
    // A conversation before the answers, which may also be the whole of one of them.
    let alone = sides.iter().all(|side| match side {
        Side::Text(_) => true,
        Side::Turns(turns) => turns.first().is_some_and(|first| first.is("assistant")),
    });
    for keys in [messages::SHAREGPT, messages::MESSAGES] {
        if let Some(key) = messages::key(row, keys).filter(|_| alone) {
            return turns(key, row.get(key).ok_or("has no turns")?);
        }
    }
    Ok(Vec::new())
}

/// A side with what it answers.
fn joined(name: &str, asked: &[Turn], side: Side) -> Result<Vec<Turn>, String> {
    let said = match side {
        Side::Text(_) if asked.is_empty() => {
            return Err("has no `prompt`, and its answers are texts".to_owned());
        }
        Side::Text(text) => vec![Turn::new("assistant", text)],
        Side::Turns(said) => said,
    };
    if asked.is_empty() || says_again(&said, asked) {
        return Ok(said);
    }
    // A question upon a question is not what was asked.
    let asks = |turn: Option<&Turn>| turn.is_some_and(|turn| turn.is("user"));
    let system = said.first().is_some_and(|first| first.is("system"));
    if system || (asks(asked.last()) && asks(said.first())) {
        return Err(format!("`{name}` is a whole conversation, which does not ask what `prompt` does"));
    }
    Ok([asked.to_vec(), said].concat())
}

/// Whether a conversation holds what was asked: at its beginning, perhaps after a system text, or, of one question alone, as
/// one of its own.
fn says_again(said: &[Turn], asked: &[Turn]) -> bool {
    let same = |a: &Turn, b: &Turn| {
        a.message.role == b.message.role && a.message.content.trim() == b.message.content.trim()
    };
    let begins = |said: &[Turn]| said.len() >= asked.len() && said.iter().zip(asked).all(|(a, b)| same(a, b));
    let after = &said[usize::from(said.first().is_some_and(|first| first.is("system")))..];
    if begins(said) || begins(after) {
        return true;
    }
    let [question] = asked else { return false };
    let whole = said.first().is_some_and(|first| !first.is("assistant"));
    whole && question.is("user") && said.iter().any(|turn| same(turn, question))
}
