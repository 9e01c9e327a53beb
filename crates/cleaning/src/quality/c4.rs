//! C4's rules (Raffel et al. 2020, section 2.2) as datatrove has them, and mC4's about paragraphs (Xue et al. 2021).

use serde::{Deserialize, Serialize};

use super::{Check, sentences};
use crate::unicode::{self, chars, is_space, strip};

/// Phrases of notices; a line that has one is dropped.
const POLICY: [&str; 6] =
    ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"];

/// The rules, with datatrove's parameters and defaults. They drop lines, and documents.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct C4 {
    /// Takes marks such as [1], [edit] and [citation needed] out.
    pub remove_citations: bool,
    /// Drops lines that do not end in `.`, `?`, `!`, `"` or `'`, or that end in `...`.
    pub filter_no_terminal_punct: bool,
    /// Fewest sentences in the lines that are left; -1 is off.
    pub min_num_sentences: i64,
    /// Drops lines of fewer words; -1 is off.
    pub min_words_per_line: i64,
    /// Drops lines with a longer word; -1 is off.
    pub max_word_length: i64,
    /// Drops documents with "lorem ipsum".
    pub filter_lorem_ipsum: bool,
    /// Drops lines with "javascript".
    pub filter_javascript: bool,
    /// Drops documents with `{`.
    pub filter_curly_bracket: bool,
    /// Drops lines with a phrase of cookie notices and terms of use.
    pub filter_policy: bool,
}

impl Default for C4 {
    fn default() -> Self {
        Self {
            remove_citations: true,
            filter_no_terminal_punct: true,
            min_num_sentences: 5,
            min_words_per_line: 3,
            max_word_length: 1000,
            filter_lorem_ipsum: true,
            filter_javascript: true,
            filter_curly_bracket: true,
            filter_policy: true,
        }
    }
}

/// What [`C4`] left of a text, and how many lines went for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct C4Lines {
    /// The lines that are left. Not to be used where the checks say that the document goes.
    pub text: String,
    /// Lines with a word that is too long.
    pub too_long_word: usize,
    /// Lines without a mark at the end.
    pub no_terminal_punct: usize,
    /// Lines of too few words.
    pub too_few_words: usize,
    /// Lines with "javascript".
    pub javascript: usize,
    /// Lines with a phrase of notices.
    pub policy: usize,
}

impl C4 {
    /// Checks `text`, and gives the lines that are left of it.
    pub fn check(&self, text: &str, checks: &mut Vec<Check>) -> C4Lines {
        let mut kept = C4Lines::default();
        let (mut lorem, mut curly, mut count) = (0, 0, 0);
        for line in unicode::lines(text) {
            let line = strip(line);
            let (mut words, mut too_long) = (0, false);
            for word in line.split(is_space).filter(|word| !word.is_empty()) {
                words += 1;
                // Bytes first: they are never fewer than characters.
                too_long |= self.max_word_length >= 0
                    && word.len() as i64 > self.max_word_length
                    && chars(word) as i64 > self.max_word_length;
            }
            if too_long {
                kept.too_long_word += 1;
                continue;
            }
            let without;
            let line = if self.remove_citations && line.contains('[') {
                without = without_citations(line);
                without.as_str()
            } else {
                line
            };
            let ends = line.ends_with(['.', '?', '!', '"', '\'']) && !line.ends_with("...");
            if self.filter_no_terminal_punct && !ends {
                kept.no_terminal_punct += 1;
                continue;
            }
            if words < self.min_words_per_line {
                kept.too_few_words += 1;
                continue;
            }
            let lower = line.to_lowercase();
            if self.filter_lorem_ipsum && lower.contains("lorem ipsum") {
                lorem += 1;
                break;
            }
            if self.filter_javascript && lower.contains("javascript") {
                kept.javascript += 1;
                continue;
            }
            if self.filter_curly_bracket && line.contains('{') {
                curly += 1;
                break;
            }
            if self.filter_policy && POLICY.iter().any(|phrase| lower.contains(phrase)) {
                kept.policy += 1;
                continue;
            }
            if self.min_num_sentences >= 0 {
                count += sentences(line);
            }
            if !kept.text.is_empty() {
                kept.text.push('\n');
            }
            kept.text.push_str(line);
        }
        if self.filter_lorem_ipsum {
            checks.push(Check::at_most("lorem_ipsum", f64::from(lorem), 0.0));
        }
        if self.filter_curly_bracket {
            checks.push(Check::at_most("curly_bracket", f64::from(curly), 0.0));
        }
        if self.min_num_sentences >= 0 {
            // A page that went before its end has no count.
            let enough = if lorem + curly > 0 { self.min_num_sentences as f64 } else { count as f64 };
            checks.push(Check::at_least("too_few_sentences", enough, self.min_num_sentences as f64));
        }
        let stripped = strip(&kept.text);
        if stripped.len() < kept.text.len() {
            kept.text = stripped.to_owned();
        }
        kept
    }
}

/// `line` without `[edit]`, `[citation needed]` and numbers in brackets.
fn without_citations(line: &str) -> String {
    let mut result = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        let inside = rest[1..].trim_start_matches(unicode::is_digit);
        let mark = ["[edit]", "[citation needed]"].into_iter().find_map(|mark| rest.strip_prefix(mark));
        match mark.or_else(|| inside.strip_prefix(']')) {
            Some(after) => rest = after,
            None => {
                result.push('[');
                rest = &rest[1..];
            }
        }
    }
    result + rest
}

/// mC4's rule: enough lines that are long enough.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paragraphs {
    /// Fewest long lines.
    pub min_paragraphs: usize,
    /// Code points of a long line.
    pub min_paragraph_len: usize,
}

impl Default for Paragraphs {
    fn default() -> Self {
        Self { min_paragraphs: 3, min_paragraph_len: 200 }
    }
}

impl Paragraphs {
    /// Checks `text`.
    pub fn check(&self, text: &str, checks: &mut Vec<Check>) {
        let long = text.split('\n').filter(|line| chars(line) >= self.min_paragraph_len).count();
        checks.push(Check::at_least("paragraphs", long as f64, self.min_paragraphs as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_and_citations_are_taken_out() {
        let text = "  Rivers run to the sea.[12][edit]\nMenu\nTurn on JavaScript to go on now.\nRead our Privacy Policy before use.\nIt ends so...\nYes it does.";
        let kept = C4 { min_num_sentences: 2, ..C4::default() }.check(text, &mut Vec::new());
        assert_eq!(kept.text, "Rivers run to the sea.\nYes it does.");
        assert_eq!((kept.no_terminal_punct, kept.javascript, kept.policy), (2, 1, 1));
        assert_eq!(without_citations("a[b][1][x [2"), "a[b][x [2");
    }

    #[test]
    fn one_bracket_drops_the_document() {
        let mut checks = Vec::new();
        C4::default().check("let x = { this is one line of code }.", &mut checks);
        assert_eq!(crate::quality::first_failure(&checks).unwrap().rule, "curly_bracket");
    }
}
