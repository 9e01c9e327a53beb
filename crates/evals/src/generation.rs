//! Answers that are written: how long, what is taken out of them, and when they are right.

use crate::metrics::{Figure, Judged, Metric, mean_figure};
use crate::python;
use fancy_regex::Regex;
use serde::Deserialize;

/// What is taken for an answer where a filter finds none, as the harness has it.
const INVALID: &str = "[invalid]";

/// How answers are written and compared: the harness's `generate_until` and `exact_match`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateUntil {
    /// Strings that end an answer and are no part of it.
    #[serde(default)]
    pub until: Vec<String>,
    /// Tokens of an answer at most.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// Patterns whose matches are taken out of answers before they are compared.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Whether case is none of the answer.
    #[serde(default)]
    pub ignore_case: bool,
    /// Whether punctuation of ASCII is none of the answer.
    #[serde(default)]
    pub ignore_punctuation: bool,
    /// What is taken out of a text as the answer, each with figures of its own; the whole text where there are none.
    #[serde(default)]
    pub filters: Vec<Filter>,
}

/// Takes an answer out of a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What results call it.
    pub name: String,
    /// The pattern; its first group that matches something, or all of it.
    pub regex: String,
    /// Which match: from 0, or from the end below.
    #[serde(default)]
    pub select: isize,
}

fn max_tokens() -> usize {
    256
}

impl GenerateUntil {
    pub(crate) fn check(&self) -> Result<(), String> {
        for pattern in self.ignore.iter().chain(self.filters.iter().map(|filter| &filter.regex)) {
            Regex::new(pattern).map_err(|e| format!("`{pattern}`: {e}").replace('\n', " "))?;
        }
        match self.max_tokens {
            0 => Err("`max_tokens` is 0".to_owned()),
            _ => Ok(()),
        }
    }

    /// What each filter takes for the answer of a text.
    pub fn filtered(&self, text: &str) -> Vec<(&str, String)> {
        match self.filters.is_empty() {
            true => vec![("none", text.to_owned())],
            false => self.filters.iter().map(|filter| (filter.name.as_str(), filter.apply(text))).collect(),
        }
    }

    /// Whether an answer is the right one.
    pub fn exact_match(&self, said: &str, right: &str) -> bool {
        let ignore: Vec<Regex> = self.ignore.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        let plain = |text: &str| {
            let mut text = text.to_owned();
            for pattern in &ignore {
                text = pattern.replace_all(&text, "").into_owned();
            }
            if self.ignore_case {
                text = text.to_lowercase();
            }
            if self.ignore_punctuation {
                text.retain(|c| !c.is_ascii_punctuation());
            }
            text
        };
        plain(said) == plain(right)
    }

    /// A figure for each filter.
    pub(crate) fn figures(&self, judged: &[Judged]) -> Vec<Figure> {
        let of_filter = |(i, (name, _)): (usize, (&str, String))| {
            let right = |one: &Judged| {
                let said = &self.filtered(&one.said)[i].1;
                let right = one.question.answers.iter().any(|answer| self.exact_match(said, answer));
                if right { 1.0 } else { 0.0 }
            };
            let terms: Vec<f64> = judged.iter().map(right).collect();
            Figure { filter: Some(name.to_owned()), ..mean_figure(Metric::ExactMatch, &terms) }
        };
        self.filtered("").into_iter().enumerate().map(of_filter).collect()
    }
}

impl Filter {
    /// As Python's `findall` and the harness's choice among what it finds.
    fn apply(&self, text: &str) -> String {
        let Ok(pattern) = Regex::new(&self.regex) else { return INVALID.to_owned() };
        let found: Vec<_> = pattern.captures_iter(text).map_while(Result::ok).collect();
        let at = match self.select {
            from_end @ ..0 => found.len().checked_add_signed(from_end),
            at => usize::try_from(at).ok(),
        };
        let Some(captures) = at.and_then(|at| found.get(at)) else { return INVALID.to_owned() };
        let mut groups = captures.iter().skip(usize::from(captures.len() > 1)).flatten();
        let one_group = captures.len() == 2;
        let chosen = groups.find(|group| one_group || !group.as_str().is_empty());
        match chosen {
            Some(group) => python::strip(group.as_str()).to_owned(),
            None if one_group => String::new(),
            None => INVALID.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gsm8k() -> GenerateUntil {
        let task = crate::Task::own().expect("sound tasks").into_iter().find(|task| task.name() == "gsm8k");
        task.and_then(|task| task.file.generate).expect("a task that writes")
    }

    // What lm-eval 0.4.13's RegexFilter and exact_match give.
    #[test]
    fn answers_are_found_as_the_harness_finds_them() {
        let of = |text: &str| gsm8k().filtered(text).into_iter().map(|(_, said)| said).collect::<Vec<_>>();
        assert_eq!(of(" 2 + 2 = 4 eggs.\n#### 4"), ["4", "4"]);
        assert_eq!(of("She has $1,200.50 and 3 cats"), ["[invalid]", "3"]);
        assert_eq!(of("She has 3 cats and $1,200.50."), ["[invalid]", "$1,200.50."]);
        assert_eq!(of("#### -7\n#### 8"), ["-7", "8"]);
        assert_eq!(of("none"), ["[invalid]", "[invalid]"]);
    }

    #[test]
    fn what_does_not_count_is_taken_out_before_answers_are_compared() {
        let right =
            |said: &str| gsm8k().exact_match(said, "So she has 3 * 400 = <<3*400=1200>>1200.\n#### 1,200");
        assert!(right("1200") && right("$1,200.") && !right("1200.0") && !right("[invalid]"));
    }
}
