//! What a judge's reply says, read strictly.
//!
//! A verdict is a JSON object with what its [`Form`] asks for, and nothing is guessed: a score out of range is not moved into
//! it, half a reply not completed, and of two verdicts none is chosen. One repair is made, where it cannot change what was
//! said: thoughts before the verdict, a code fence and prose round it are left away, names of criteria are found in other
//! letters, `"4"` is taken for 4, and a comma before a closing bracket is dropped. What cannot be read is [`Unreadable`], and
//! counts as missing.

mod once;

use crate::chat::{Finish, Reply};
use crate::templates::Form;
use once::{Parsed, parse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// What a judge says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Verdict {
    /// A score for each criterion, in the template's order.
    Scores(Vec<Score>),
    /// Which of two answers is the better.
    Preference {
        /// The one in the first seat, the second, or neither.
        winner: Seat,
        /// Why.
        explanation: String,
    },
}

/// A score and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// A whole number of the template's scale.
    pub score: i64,
    /// What the judge said to it.
    pub explanation: String,
}

/// Where an answer stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seat {
    /// As answer A.
    First,
    /// As answer B.
    Second,
    /// Neither is better.
    Tie,
}

/// Why a reply is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unreadable {
    /// It was cut at its limit of tokens.
    Cut,
    /// The service held it back.
    Filtered,
    /// The judge could not be asked; why.
    Refused(String),
    /// There is no JSON object in it.
    NoJson,
    /// There are several verdicts in it.
    Several,
    /// A name is there twice.
    Twice(String),
    /// A criterion, or the winner, is missing.
    Missing(String),
    /// A score is no whole number, or a winner none of A, B and tie.
    NoScore(String),
    /// A score is out of the scale.
    OutOfRange(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Cut => f.write_str("cut at its limit of tokens"),
            Unreadable::Filtered => f.write_str("held back by the service"),
            Unreadable::Refused(_) => f.write_str("could not be asked"),
            Unreadable::NoJson => f.write_str("no JSON object"),
            Unreadable::Several => f.write_str("several verdicts"),
            Unreadable::Twice(_) => f.write_str("a name twice"),
            Unreadable::Missing(_) => f.write_str("a criterion missing"),
            Unreadable::NoScore(_) => f.write_str("no whole number"),
            Unreadable::OutOfRange(_) => f.write_str("out of range"),
        }
    }
}

/// Reads a reply.
///
/// # Errors
/// It is no verdict.
pub fn read(reply: &Reply, form: &Form) -> Result<Verdict, Unreadable> {
    match &reply.finish {
        Finish::Stop => read_text(&reply.text, form),
        // Even where it reads as whole: a list may have lost its end.
        Finish::Length => Err(Unreadable::Cut),
        Finish::Filtered => Err(Unreadable::Filtered),
        Finish::Refused => Err(Unreadable::Refused(reply.text.clone())),
    }
}

/// As [`read`], a text.
///
/// # Errors
/// As [`read`].
pub fn read_text(text: &str, form: &Form) -> Result<Verdict, Unreadable> {
    match parse(text.trim()).map(|value| verdict(&value, form, false)) {
        Ok(Ok(verdict)) => return Ok(verdict),
        // Said twice with other words, no repair can tell which is meant.
        Err(Parsed::Twice(name)) => return Err(Unreadable::Twice(name)),
        _ => {}
    }
    repaired(text, form)
}

/// The one repair.
fn repaired(text: &str, form: &Form) -> Result<Verdict, Unreadable> {
    let text = match text.trim_start().strip_prefix("<think>").and_then(|rest| rest.split_once("</think>")) {
        Some((_, after)) => after,
        None => text,
    };
    let (mut found, mut first) = (Vec::new(), None);
    for object in objects(text) {
        let read = match parse(&without_last_commas(object)) {
            Ok(value) => verdict(&value, form, true),
            Err(Parsed::Twice(name)) => return Err(Unreadable::Twice(name)),
            Err(Parsed::Other) => Err(Unreadable::NoJson),
        };
        match read {
            Ok(verdict) => found.push(verdict),
            Err(why) => first = first.or(Some(why)),
        }
    }
    match (found.len(), first) {
        // Prose with other objects in it could be a draft of another verdict.
        (1, None) => Ok(found.remove(0)),
        (0, None) => Err(Unreadable::NoJson),
        (0, Some(why)) => Err(why),
        _ => Err(Unreadable::Several),
    }
}

/// The outermost objects of a text, by their brackets, which do not count in strings.
fn objects(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if depth > 0 => quoted = !quoted,
            _ if quoted => {}
            b'{' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    found.push(&text[start..=at]);
                }
            }
            _ => {}
        }
    }
    found
}

/// A text without commas that stand before a closing bracket, outside of strings.
fn without_last_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' | ']' if !quoted => {
                let kept = out.trim_end().len();
                if out[..kept].ends_with(',') {
                    out.truncate(kept - 1);
                }
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

fn verdict(value: &Value, form: &Form, lenient: bool) -> Result<Verdict, Unreadable> {
    let Value::Object(object) = value else { return Err(Unreadable::NoJson) };
    match form {
        Form::Scores { criteria, scale, score, explanation } => {
            let one = |name: &String| {
                let said = field(object, name, lenient)?.ok_or_else(|| Unreadable::Missing(name.clone()))?;
                let Value::Object(said) = said else { return Err(Unreadable::NoScore(name.clone())) };
                let number = field(said, score, lenient)?.ok_or_else(|| Unreadable::Missing(name.clone()))?;
                let number = whole(number, lenient).ok_or_else(|| Unreadable::NoScore(name.clone()))?;
                if number < scale.0 || number > scale.1 {
                    return Err(Unreadable::OutOfRange(format!("{name} {number}")));
                }
                let said = field(said, explanation, lenient)?.and_then(Value::as_str).unwrap_or_default();
                Ok(Score { score: number, explanation: said.to_owned() })
            };
            criteria.iter().map(one).collect::<Result<_, _>>().map(Verdict::Scores)
        }
        Form::Preference => {
            let winner =
                field(object, "Winner", lenient)?.ok_or_else(|| Unreadable::Missing("Winner".to_owned()))?;
            let said = winner.as_str().unwrap_or_default();
            let winner = match said.trim() {
                "A" => Seat::First,
                "B" => Seat::Second,
                "tie" => Seat::Tie,
                other if lenient => match other.trim_matches(['[', ']']).to_ascii_lowercase().as_str() {
                    "a" => Seat::First,
                    "b" => Seat::Second,
                    "tie" | "c" => Seat::Tie,
                    _ => return Err(Unreadable::NoScore(format!("Winner {said}"))),
                },
                _ => return Err(Unreadable::NoScore(format!("Winner {said}"))),
            };
            let explanation =
                field(object, "Explanation", lenient)?.and_then(Value::as_str).unwrap_or_default();
            Ok(Verdict::Preference { winner, explanation: explanation.to_owned() })
        }
    }
}

/// A field by its name; in the repair by its letters, if only one has them.
fn field<'v>(
    object: &'v Map<String, Value>,
    name: &str,
    lenient: bool,
) -> Result<Option<&'v Value>, Unreadable> {
    if !lenient {
        return Ok(object.get(name));
    }
    let same = |other: &str| other.trim().to_lowercase() == name.to_lowercase();
    let mut found = object.iter().filter(|(other, _)| same(other)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(Unreadable::Twice(name.to_owned())),
        (one, _) => Ok(one),
    }
}

/// A whole number: 4 and 4.0, and in the repair `"4"`. `"4/5"` and 3.5 are none.
fn whole(value: &Value, lenient: bool) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 1e9).then_some(float as i64)
        }),
        Value::String(text) if lenient => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let [score, explanation] = ["Score", "Explanation"].map(str::to_owned);
        Form::Scores {
            criteria: vec!["Accuracy".to_owned(), "Bias".to_owned()],
            scale: (1, 5),
            score,
            explanation,
        }
    }

    fn scores(text: &str) -> Result<Vec<i64>, Unreadable> {
        match read_text(text, &form())? {
            Verdict::Scores(scores) => Ok(scores.iter().map(|score| score.score).collect()),
            Verdict::Preference { .. } => panic!("no preference was asked for"),
        }
    }

    const GOOD: &str =
        r#"{"Accuracy":{"Explanation":"맞다 {\"}","Score":4},"Bias":{"Explanation":"","Score":5}}"#;

    #[test]
    fn a_verdict_is_read_as_it_is_written() {
        assert_eq!(scores(GOOD), Ok(vec![4, 5]));
        assert_eq!(scores(&format!("\n  {GOOD}\n")), Ok(vec![4, 5]));
        let Ok(Verdict::Scores(read)) = read_text(GOOD, &form()) else { panic!("is read") };
        assert_eq!(read[0].explanation, "맞다 {\"}");
    }

    #[test]
    fn what_cannot_change_the_meaning_is_repaired() {
        for text in [
            format!("```json\n{GOOD}\n```"),
            format!("Here is my evaluation:\n{GOOD}\nI hope that helps!"),
            format!("<think>It could be {{\"Accuracy\": 1}} or so.</think>\n{GOOD}"),
            GOOD.replace("}}", "},}"),
            GOOD.replace("Accuracy", "accuracy"),
            GOOD.replace("Score", "score"),
            GOOD.replace(":4}", ":\"4\"}"),
            GOOD.replace(":4}", ":4.0}"),
        ] {
            assert_eq!(scores(&text), Ok(vec![4, 5]), "{text}");
        }
    }

    #[test]
    fn what_would_be_a_guess_is_unreadable_and_no_zero() {
        for (text, why) in [
            (String::new(), Unreadable::NoJson),
            ("I would give it 4 out of 5.".to_owned(), Unreadable::NoJson),
            (GOOD[..40].to_owned(), Unreadable::NoJson),
            (GOOD.replace(":4}", ":6}"), Unreadable::OutOfRange("Accuracy 6".to_owned())),
            (GOOD.replace(":4}", ":0}"), Unreadable::OutOfRange("Accuracy 0".to_owned())),
            (GOOD.replace(":4}", ":\"4/5\"}"), Unreadable::NoScore("Accuracy".to_owned())),
            (GOOD.replace(":4}", ":3.5}"), Unreadable::NoScore("Accuracy".to_owned())),
            (GOOD.replace(":4}", ":null}"), Unreadable::NoScore("Accuracy".to_owned())),
            (GOOD.replace("\"Bias\"", "\"Tone\""), Unreadable::Missing("Bias".to_owned())),
            (GOOD.replace(":4}", ":4,\"Score\":1}"), Unreadable::Twice("Score".to_owned())),
            (GOOD.replace("Bias", "Accuracy"), Unreadable::Twice("Accuracy".to_owned())),
            (format!("{GOOD}\n{GOOD}"), Unreadable::Several),
            (format!("First thought: {{\"Accuracy\": 1}} Final: {GOOD}"), Unreadable::Several),
            ("[4, 5]".to_owned(), Unreadable::NoJson),
        ] {
            assert_eq!(scores(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_reply_that_was_cut_is_a_failure_even_where_it_reads() {
        let cut = Reply { finish: Finish::Length, ..Reply::plain(GOOD) };
        assert_eq!(read(&cut, &form()), Err(Unreadable::Cut));
        assert!(read(&Reply::plain(GOOD), &form()).is_ok());
    }

    #[test]
    fn a_winner_is_a_seat_or_a_tie() {
        let winner = |text: &str| match read_text(text, &Form::Preference) {
            Ok(Verdict::Preference { winner, .. }) => Some(winner),
            _ => None,
        };
        assert_eq!(winner(r#"{"Explanation":"b", "Winner":"A"}"#), Some(Seat::First));
        assert_eq!(winner(r#"so: {"winner":"[[B]]"}"#), Some(Seat::Second));
        assert_eq!(winner(r#"{"Winner":"Tie"}"#), Some(Seat::Tie));
        assert_eq!(winner(r#"{"Winner":"both are good"}"#), None);
        assert_eq!(winner(r#"{"Winner":1}"#), None);
    }
}
