//! Rules that know Korean: eojeol and syllables instead of English words.
//!
//! Ordinary Korean writes most eojeol with a particle or an ending, spaces its words, and has few loose letters. Lists of key
//! words, tables of contents, text without spaces and text with one between all syllables are none of this. The thresholds
//! are in `docs/corpus.md`, with the text that they were chosen on.

use serde::{Deserialize, Serialize};

use super::{Check, Measure, ratio};
use crate::unicode::{is_jamo, is_letter, is_syllable};

/// Syllables in which particles and endings of verbs end: 은, 는, 에서, 으로, 습니다, 하고, 지만, …
const ENDINGS: &str = "은는이가을를에의로와과도만고며면서다요죠지게나까해한할된될인던들";

/// The rules. A parameter of nought is off.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Korean {
    /// Fewest syllables in the text.
    pub min_syllables: usize,
    /// Least mean length of an eojeol of Hangul, in syllables.
    pub min_mean_eojeol: f64,
    /// Greatest mean length.
    pub max_mean_eojeol: f64,
    /// Greatest share of eojeol of 15 syllables and more: text without spaces.
    pub max_long_eojeol: f64,
    /// Greatest share of eojeol of one syllable: text with a space between all syllables.
    pub max_single_eojeol: f64,
    /// Least share of eojeol that end as particles and verbs end.
    pub min_endings: f64,
    /// Greatest share of loose letters, as in ㅋㅋ, of all Hangul.
    pub max_jamo: f64,
    /// Greatest share of digits of all characters but white space.
    pub max_digits: f64,
    /// Greatest share of what is neither letter, digit nor white space.
    pub max_symbols: f64,
}

impl Default for Korean {
    fn default() -> Self {
        Self {
            min_syllables: 60,
            min_mean_eojeol: 2.0,
            max_mean_eojeol: 5.0,
            max_long_eojeol: 0.03,
            max_single_eojeol: 0.3,
            min_endings: 0.3,
            max_jamo: 0.1,
            max_digits: 0.23,
            max_symbols: 0.4,
        }
    }
}

impl Korean {
    /// Checks `text`, which `measure` has read. What an eojeol is here has a syllable in it; loan words beside do not count.
    pub fn check(&self, text: &str, measure: &Measure, checks: &mut Vec<Check>) {
        let (mut eojeol, mut syllables, mut long, mut single, mut endings) = (0, 0, 0, 0, 0);
        for word in &measure.words {
            let word = &text[word.start as usize..][..word.bytes as usize];
            let (mut count, mut last, mut other) = (0, ' ', false);
            for c in word.chars() {
                if is_syllable(c) {
                    count += 1;
                    last = c;
                } else if is_letter(c) && !is_jamo(c) {
                    other = true;
                }
            }
            if count == 0 {
                continue;
            }
            eojeol += 1;
            syllables += count;
            long += usize::from(count >= 15);
            single += usize::from(count == 1 && !other);
            endings += usize::from(is_ending(last));
        }
        let counts = measure.counts;
        let visible = counts.chars - counts.spaces;
        let mut at_least = |rule, value, least: f64| {
            if least > 0.0 {
                checks.push(Check::at_least(rule, value, least));
            }
        };
        at_least("korean_syllables", syllables as f64, self.min_syllables as f64);
        at_least("korean_short_eojeol", ratio(syllables, eojeol), self.min_mean_eojeol);
        at_least("korean_endings", ratio(endings, eojeol), self.min_endings);
        let mut at_most = |rule, value, most: f64| {
            if most > 0.0 {
                checks.push(Check::at_most(rule, value, most));
            }
        };
        at_most("korean_mean_eojeol", ratio(syllables, eojeol), self.max_mean_eojeol);
        at_most("korean_long_eojeol", ratio(long, eojeol), self.max_long_eojeol);
        at_most("korean_single_eojeol", ratio(single, eojeol), self.max_single_eojeol);
        at_most("korean_jamo", ratio(counts.jamo, counts.hangul), self.max_jamo);
        at_most("korean_digits", ratio(counts.digits, visible), self.max_digits);
        at_most("korean_symbols", ratio(counts.symbols, visible), self.max_symbols);
    }
}

/// Whether an eojeol whose last syllable this is reads like one with a particle or an ending.
pub(crate) fn is_ending(syllable: char) -> bool {
    ENDINGS.contains(syllable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::first_failure;

    fn reason(text: &str) -> Option<&'static str> {
        let mut measure = Measure::new();
        measure.read(text);
        let mut checks = Vec::new();
        Korean { min_syllables: 10, ..Korean::default() }.check(text, &measure, &mut checks);
        first_failure(&checks).map(|check| check.rule)
    }

    #[test]
    fn ordinary_korean_passes_and_its_ruins_do_not() {
        let text = "강가에 있는 오래된 마을에서는 해마다 가을이 되면 큰 잔치를 연다. 사람들은 음식을 나누며 노래를 부른다.";
        assert_eq!(reason(text), None);
        assert_eq!(reason(&text.replace(' ', "")), Some("korean_mean_eojeol"));
        let spaced: String = text.chars().filter(|&c| c != ' ').flat_map(|c| [c, ' ']).collect();
        assert_eq!(reason(&spaced), Some("korean_short_eojeol"));
        assert_eq!(
            reason("강남 임플란트 가격 강남 임플란트 추천 강남 임플란트 후기 강남 임플란트 이벤트"),
            Some("korean_endings")
        );
    }
}
