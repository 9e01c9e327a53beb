//! A user's list of words, such as adult words: how many of them a text has.

use aho_corasick::{AhoCorasick, MatchKind};

use super::Check;
use crate::unicode::{is_letter, is_syllable};

/// A list of words and phrases, found whatever their case. In scripts that write particles behind words, a word is found at the
/// beginning of what stands between spaces; elsewhere it has to stand alone.
#[derive(Clone, Debug)]
pub struct WordList {
    words: Vec<String>,
    find: AhoCorasick,
}

impl WordList {
    /// A list of words, one a line; empty lines and lines that begin with `#` are passed over. `None` where no word is left, or
    /// they are too many to be searched for at once.
    pub fn read(lines: &str) -> Option<Self> {
        let words: Vec<String> = lines
            .lines()
            .map(|line| line.trim().to_lowercase())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        if words.is_empty() {
            return None;
        }
        let find = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&words).ok()?;
        Some(Self { words, find })
    }

    /// The words of the list.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Words of the list in `text`, repetitions counted.
    pub fn count(&self, text: &str) -> usize {
        let lower = text.to_lowercase();
        self.find
            .find_iter(&lower)
            .filter(|found| {
                let before = lower[..found.start()].chars().next_back();
                let after = lower[found.end()..].chars().next();
                let last = lower[..found.end()].chars().next_back();
                let may_go_on = last.is_some_and(|c| {
                    is_syllable(c) || matches!(c, '\u{3040}'..='\u{30FF}' | '\u{4E00}'..='\u{9FFF}')
                });
                !before.is_some_and(is_letter) && (may_go_on || !after.is_some_and(is_letter))
            })
            .count()
    }

    /// Checks that at most `most` of 1,000 words are of the list.
    pub fn check(&self, text: &str, words: usize, most: f64, checks: &mut Vec<Check>) {
        let share = super::ratio(self.count(text), words) * 1000.0;
        checks.push(Check::at_most("word_list", share, most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_their_particles_and_not_inside_others() {
        let list = WordList::read("# a list\nass\n야동\n\n").unwrap();
        assert_eq!(list.count("Class and ASS; 야동을 보다, 분야동향"), 2);
        assert!(WordList::read("\n# none\n").is_none());
    }
}
