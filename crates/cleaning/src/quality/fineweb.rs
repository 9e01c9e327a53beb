//! FineWeb's own rules (Penedo et al. 2024): how lines end, how long they are, whether they come again.

use serde::{Deserialize, Serialize};

use super::repeats::repeated;
use super::{Check, Measure, ratio};
use crate::unicode::{chars, is_space, is_terminal};

/// The rules, with datatrove's parameters and defaults.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineWeb {
    /// Least share of lines that end in a character that ends a sentence.
    pub line_punct_thr: f64,
    /// Whether a text in which no line does is taken all the same.
    pub line_punct_exclude_zero: bool,
    /// Greatest share of short lines.
    pub short_line_thr: f64,
    /// A line of as many code points is short.
    pub short_line_length: usize,
    /// Greatest share of the characters in repeated lines.
    pub char_duplicates_ratio: f64,
    /// Most new lines a word.
    pub new_line_ratio: f64,
}

impl Default for FineWeb {
    fn default() -> Self {
        Self {
            line_punct_thr: 0.12,
            line_punct_exclude_zero: false,
            short_line_thr: 0.67,
            short_line_length: 30,
            char_duplicates_ratio: 0.01,
            new_line_ratio: 0.3,
        }
    }
}

impl FineWeb {
    /// Checks `text`, which `measure` has read.
    pub fn check(&self, text: &str, measure: &mut Measure, checks: &mut Vec<Check>) {
        let (mut lines, mut ended, mut short) = (0, 0, 0);
        let nonempty = || text.split('\n').filter(|line| !line.chars().all(is_space));
        for line in nonempty() {
            lines += 1;
            ended += usize::from(line.ends_with(is_terminal));
            short += usize::from(chars(line) <= self.short_line_length);
        }
        checks.push(Check::at_least("empty", lines as f64, 1.0));
        let ended = ratio(ended, lines);
        if !(self.line_punct_exclude_zero && ended == 0.0) {
            checks.push(Check::at_least("line_punct_ratio", ended, self.line_punct_thr));
        }
        checks.push(Check::at_most("short_line_ratio", ratio(short, lines), self.short_line_thr));
        let new_lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        let repeated = repeated(nonempty(), lines, &mut measure.table);
        let all = measure.counts.chars.saturating_sub(new_lines);
        checks.push(Check::at_most("char_dup_ratio", ratio(repeated.chars, all), self.char_duplicates_ratio));
        checks.push(Check::at_most("list_ratio", ratio(new_lines, measure.words.len()), self.new_line_ratio));
    }
}
