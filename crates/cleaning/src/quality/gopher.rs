//! Gopher's rules (Rae et al. 2021, section A.1), with datatrove's parameters, defaults and names of reasons.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::repeats::{lengthen, repeated, repeated_n_grams, split_runs, top_n_gram};
use super::{Check, Measure, StopWords, ratio};
use crate::unicode::{self, strip};

/// Length, shape of words, symbols, bullets, ellipses, stop words. A parameter of nought is off, as in datatrove.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GopherQuality {
    /// Fewest words that are not all punctuation.
    pub min_doc_words: usize,
    /// Most of them.
    pub max_doc_words: usize,
    /// Least mean of their lengths, in code points.
    pub min_avg_word_length: f64,
    /// Greatest mean of their lengths.
    pub max_avg_word_length: f64,
    /// Most `#` a word, and most ellipses a word.
    pub max_symbol_word_ratio: f64,
    /// Greatest share of lines that begin with a bullet.
    pub max_bullet_lines_ratio: f64,
    /// Greatest share of lines that end with an ellipsis.
    pub max_ellipsis_lines_ratio: f64,
    /// Least share of words with a letter. The name is datatrove's.
    pub max_non_alpha_words_ratio: f64,
    /// Fewest different stop words.
    pub min_stop_words: usize,
    /// The stop words.
    pub stop_words: StopWords,
}

impl Default for GopherQuality {
    fn default() -> Self {
        Self {
            min_doc_words: 50,
            max_doc_words: 100_000,
            min_avg_word_length: 3.0,
            max_avg_word_length: 10.0,
            max_symbol_word_ratio: 0.1,
            max_bullet_lines_ratio: 0.9,
            max_ellipsis_lines_ratio: 0.3,
            max_non_alpha_words_ratio: 0.8,
            min_stop_words: 2,
            stop_words: ["the", "be", "to", "of", "and", "that", "have", "with"].as_slice().into(),
        }
    }
}

impl GopherQuality {
    /// Checks `text`, which `measure` has read.
    pub fn check(&self, text: &str, measure: &Measure, checks: &mut Vec<Check>) {
        let words = &measure.words;
        let (mut count, mut chars) = (0, 0);
        for word in words.iter().filter(|word| word.is_word) {
            count += 1;
            chars += word.chars as usize;
        }
        if self.min_doc_words > 0 {
            checks.push(Check::at_least("gopher_short_doc", count as f64, self.min_doc_words as f64));
        }
        if self.max_doc_words > 0 {
            checks.push(Check::at_most("gopher_long_doc", count as f64, self.max_doc_words as f64));
        }
        let mean = ratio(chars, count);
        if self.min_avg_word_length > 0.0 {
            checks.push(Check::at_least("gopher_below_avg_threshold", mean, self.min_avg_word_length));
        }
        if self.max_avg_word_length > 0.0 {
            checks.push(Check::at_most("gopher_above_avg_threshold", mean, self.max_avg_word_length));
        }
        if self.max_symbol_word_ratio > 0.0 {
            let hashes = memchr::memchr_iter(b'#', text.as_bytes()).count();
            let ellipses = find(text, "...") + find(text, "…");
            checks.push(Check::at_most(
                "gopher_too_many_hashes",
                ratio(hashes, words.len()),
                self.max_symbol_word_ratio,
            ));
            checks.push(Check::at_most(
                "gopher_too_many_ellipsis",
                ratio(ellipses, words.len()),
                self.max_symbol_word_ratio,
            ));
        }
        if self.max_bullet_lines_ratio > 0.0 || self.max_ellipsis_lines_ratio > 0.0 {
            let (mut lines, mut bullets, mut ellipses) = (0, 0, 0);
            for line in unicode::lines(text) {
                let line = strip(line);
                lines += 1;
                bullets += usize::from(line.starts_with(['•', '-']));
                ellipses += usize::from(line.ends_with("...") || line.ends_with('…'));
            }
            if self.max_bullet_lines_ratio > 0.0 {
                checks.push(Check::at_most(
                    "gopher_too_many_bullets",
                    ratio(bullets, lines),
                    self.max_bullet_lines_ratio,
                ));
            }
            if self.max_ellipsis_lines_ratio > 0.0 {
                let share = ratio(ellipses, lines);
                checks.push(Check::at_most(
                    "gopher_too_many_end_ellipsis",
                    share,
                    self.max_ellipsis_lines_ratio,
                ));
            }
        }
        if self.max_non_alpha_words_ratio > 0.0 {
            let letters = words.iter().filter(|word| word.has_letter).count();
            let share = ratio(letters, words.len());
            checks.push(Check::at_least(
                "gopher_below_alpha_threshold",
                share,
                self.max_non_alpha_words_ratio,
            ));
        }
        if self.min_stop_words > 0 {
            let stop_words = self.stop_words.distinct(words);
            checks.push(Check::at_least(
                "gopher_enough_stop_words",
                stop_words as f64,
                self.min_stop_words as f64,
            ));
        }
    }
}

/// How often a text has a string, without overlap.
fn find(text: &str, needle: &str) -> usize {
    memmem::find_iter(text.as_bytes(), needle).count()
}

/// Repeated lines, paragraphs and n-grams. A parameter of nought is off, as in datatrove.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GopherRepetition {
    /// Greatest share of lines that are repetitions.
    pub dup_line_frac: f64,
    /// Greatest share of paragraphs that are.
    pub dup_para_frac: f64,
    /// Greatest share of the characters in repeated lines.
    pub dup_line_char_frac: f64,
    /// Greatest share of the characters in repeated paragraphs.
    pub dup_para_char_frac: f64,
    /// n (at most 20), and the greatest share of the characters in the most frequent n-gram of words.
    pub top_n_grams: Vec<(usize, f64)>,
    /// n (at most 20), and the greatest share of the characters in repeated n-grams of words. In growing order it is fastest.
    pub dup_n_grams: Vec<(usize, f64)>,
}

impl Default for GopherRepetition {
    fn default() -> Self {
        Self {
            dup_line_frac: 0.3,
            dup_para_frac: 0.3,
            dup_line_char_frac: 0.2,
            dup_para_char_frac: 0.2,
            top_n_grams: vec![(2, 0.2), (3, 0.18), (4, 0.16)],
            dup_n_grams: vec![(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)],
        }
    }
}

/// Greatest n of an n-gram.
pub(crate) const MOST_N: usize = 20;

const TOP: [&str; MOST_N + 1] = [
    "",
    "top_1_gram",
    "top_2_gram",
    "top_3_gram",
    "top_4_gram",
    "top_5_gram",
    "top_6_gram",
    "top_7_gram",
    "top_8_gram",
    "top_9_gram",
    "top_10_gram",
    "top_11_gram",
    "top_12_gram",
    "top_13_gram",
    "top_14_gram",
    "top_15_gram",
    "top_16_gram",
    "top_17_gram",
    "top_18_gram",
    "top_19_gram",
    "top_20_gram",
];

const DUPLICATED: [&str; MOST_N + 1] = [
    "",
    "duplicated_1_n_grams",
    "duplicated_2_n_grams",
    "duplicated_3_n_grams",
    "duplicated_4_n_grams",
    "duplicated_5_n_grams",
    "duplicated_6_n_grams",
    "duplicated_7_n_grams",
    "duplicated_8_n_grams",
    "duplicated_9_n_grams",
    "duplicated_10_n_grams",
    "duplicated_11_n_grams",
    "duplicated_12_n_grams",
    "duplicated_13_n_grams",
    "duplicated_14_n_grams",
    "duplicated_15_n_grams",
    "duplicated_16_n_grams",
    "duplicated_17_n_grams",
    "duplicated_18_n_grams",
    "duplicated_19_n_grams",
    "duplicated_20_n_grams",
];

impl GopherRepetition {
    /// Checks `text`, which `measure` has read. Lengths of n-grams beyond 20 are passed over; [`crate::Rules::check`] refuses them.
    pub fn check(&self, text: &str, measure: &mut Measure, checks: &mut Vec<Check>) {
        let chars = measure.counts.chars;
        checks.push(Check::at_least("empty", chars as f64, 1.0));
        let Measure { words, hashes, table, .. } = measure;
        // No more pieces than new lines and one.
        let most = memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
        if self.dup_para_frac > 0.0 || self.dup_para_char_frac > 0.0 {
            let paragraphs = repeated(split_runs(strip(text), 2), most, table);
            let (pieces, of_chars) =
                (ratio(paragraphs.repeated, paragraphs.pieces), ratio(paragraphs.chars, chars));
            push(checks, "dup_para_frac", pieces, self.dup_para_frac);
            push(checks, "dup_para_char_frac", of_chars, self.dup_para_char_frac);
        }
        if self.dup_line_frac > 0.0 || self.dup_line_char_frac > 0.0 {
            let lines = repeated(split_runs(text, 1), most, table);
            push(checks, "dup_line_frac", ratio(lines.repeated, lines.pieces), self.dup_line_frac);
            push(checks, "dup_line_char_frac", ratio(lines.chars, chars), self.dup_line_char_frac);
        }
        for &(n, most) in self.top_n_grams.iter().filter(|&&(n, _)| n <= MOST_N) {
            if let Some(top) = top_n_gram(words, n, table) {
                checks.push(Check::at_most(TOP[n], ratio(top, chars), most));
            }
        }
        let mut length = 0;
        for &(n, most) in self.dup_n_grams.iter().filter(|&&(n, _)| (1..=MOST_N).contains(&n)) {
            if n < length {
                length = 0;
            }
            while length < n {
                length += 1;
                lengthen(words, length, hashes);
            }
            checks.push(Check::at_most(
                DUPLICATED[n],
                ratio(repeated_n_grams(words, n, hashes, table), chars),
                most,
            ));
        }
    }
}

fn push(checks: &mut Vec<Check>, rule: &'static str, value: f64, most: f64) {
    if most > 0.0 {
        checks.push(Check::at_most(rule, value, most));
    }
}
