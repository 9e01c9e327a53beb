//! Whether a text has in it what models are tested on.
//!
//! n-grams of 13 words (Brown et al. 2020, appendix C) of the evaluation's texts, in lower case and without marks, are hashed; a text that has one of them
//! has it in a span. Shorter questions are looked for as a whole, and an answer of a few words only together with the question before it:
//! by itself `1945` or `서울` is in every corpus.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::unicode::{is_digit, is_letter};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecontaminateOptions {
    /// Words of an n-gram.
    pub n: usize,
    /// Fewest words of a text that is looked for as a whole; 5 to `n`.
    pub short: usize,
}

impl Default for DecontaminateOptions {
    fn default() -> Self {
        Self { n: 13, short: 7 }
    }
}

impl DecontaminateOptions {
    /// Says which option is out of its range.
    pub fn check(&self) -> Result<(), String> {
        if !(5..=64).contains(&self.n) {
            return Err(format!("decontaminate.n is {}; give 5 to 64", self.n));
        }
        if !(3..=self.n).contains(&self.short) {
            return Err(format!("decontaminate.short is {}; give 3 to {}", self.short, self.n));
        }
        Ok(())
    }
}

/// A piece of a text that an evaluation has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Which evaluation, in the order that they were added.
    pub set: usize,
    /// The first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

/// The n-grams of evaluations.
#[derive(Clone, Debug)]
pub struct Evaluations {
    options: DecontaminateOptions,
    names: Vec<String>,
    /// Hash of an n-gram to the evaluation that has it.
    grams: FxHashMap<u64, u32>,
    /// The lengths that there are, with `n` the last.
    lengths: Vec<usize>,
    /// Texts that were too short to be looked for.
    too_short: usize,
}

impl Evaluations {
    /// None yet. `options` are those that [`DecontaminateOptions::check`] found good.
    pub fn new(options: DecontaminateOptions) -> Self {
        Self { options, names: Vec::new(), grams: FxHashMap::default(), lengths: Vec::new(), too_short: 0 }
    }

    /// Begins an evaluation; texts that are added now are its.
    pub fn begin(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// The names of the evaluations.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many n-grams are looked for.
    pub fn len(&self) -> usize {
        self.grams.len()
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.grams.is_empty()
    }

    /// Texts that have too few words to be looked for.
    pub fn too_short(&self) -> usize {
        self.too_short
    }

    /// Adds a text of the evaluation begun last, such as a question.
    pub fn add(&mut self, text: &str) {
        let words = Words::of(text);
        let n = self.options.n.min(words.ends.len());
        if n < self.options.short {
            self.too_short += 1;
            return;
        }
        self.insert(&words, 0, n);
    }

    /// Adds an answer behind its question: the n-grams that have a word of the answer.
    pub fn add_answer(&mut self, question: &str, answer: &str) {
        let asked = Words::of(question).ends.len();
        let words = Words::of(&format!("{question}\n{answer}"));
        let n = self.options.n.min(words.ends.len());
        if n < self.options.short {
            self.too_short += 1;
            return;
        }
        self.insert(&words, (asked + 1).saturating_sub(n), n);
    }

    fn insert(&mut self, words: &Words, from: usize, n: usize) {
        let set = self.names.len().saturating_sub(1) as u32;
        if let Err(at) = self.lengths.binary_search(&n) {
            self.lengths.insert(at, n);
        }
        for window in words.ends.windows(n).skip(from) {
            self.grams.entry(words.hash(window)).or_insert(set);
        }
    }

    /// The spans of `text` that evaluations have too, in order, those that touch joined.
    pub fn matches(&self, text: &str) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        if self.grams.is_empty() {
            return found;
        }
        let words = Words::of(text);
        for &n in &self.lengths {
            for (at, window) in words.ends.windows(n).enumerate() {
                if let Some(&set) = self.grams.get(&words.hash(window)) {
                    let (start, end) = (words.places[at].0, words.places[at + n - 1].1);
                    found.push(Match { set: set as usize, start, end });
                }
            }
        }
        found.sort_by_key(|found| (found.start, found.end));
        found.dedup_by(|next, kept| {
            let touches = next.start <= kept.end && next.set == kept.set;
            if touches {
                kept.end = kept.end.max(next.end);
            }
            touches
        });
        found
    }
}

/// Words of a text in lower case, one space apart, and where they stood.
struct Words {
    text: String,
    ends: Vec<(usize, usize)>,
    places: Vec<(usize, usize)>,
}

impl Words {
    fn of(text: &str) -> Self {
        let mut words =
            Self { text: String::with_capacity(text.len()), ends: Vec::new(), places: Vec::new() };
        let mut inside = false;
        for (at, c) in text.char_indices() {
            if is_letter(c) || is_digit(c) {
                if !inside {
                    if !words.text.is_empty() {
                        words.text.push(' ');
                    }
                    words.ends.push((words.text.len(), 0));
                    words.places.push((at, 0));
                    inside = true;
                }
                words.text.extend(c.to_lowercase());
                if let (Some(end), Some(place)) = (words.ends.last_mut(), words.places.last_mut()) {
                    end.1 = words.text.len();
                    place.1 = at + c.len_utf8();
                }
            } else {
                inside = false;
            }
        }
        words
    }

    fn hash(&self, window: &[(usize, usize)]) -> u64 {
        let (start, end) = (window[0].0, window[window.len() - 1].1);
        // The number of words is part of it, so that lengths do not meet.
        XxHash64::oneshot(window.len() as u64, &self.text.as_bytes()[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "다음 글을 읽고 강이 어디에서 시작하여 어떤 마을을 지나 어느 바다로 흘러 들어가는지 차례대로 설명하시오.";

    #[test]
    fn a_question_is_found_in_other_marks_and_its_span_is_said() {
        let mut sets = Evaluations::new(DecontaminateOptions::default());
        sets.begin("rivers");
        sets.add(QUESTION);
        let text = format!("앞에 있는 말. {} 뒤에 있는 말.", QUESTION.replace(' ', "  ").replace('.', "!"));
        let found = sets.matches(&text);
        assert_eq!(found.len(), 1);
        assert!(
            text[found[0].start..found[0].end].starts_with("다음")
                && text[found[0].start..found[0].end].ends_with("설명하시오")
        );
        assert!(sets.matches("강은 산에서 시작하여 여러 마을을 지나 바다로 흘러 들어간다.").is_empty());
    }

    #[test]
    fn a_short_answer_is_found_behind_its_question_alone() {
        let mut sets = Evaluations::new(DecontaminateOptions::default());
        sets.begin("capitals");
        sets.add("서울");
        sets.add_answer("What is the capital city of the country of Korea today?", "Seoul");
        assert_eq!(sets.too_short(), 1);
        assert!(sets.matches("Seoul is large, and Seoul is old.").is_empty());
        assert_eq!(
            sets.matches("Q: What is the capital city of the country of Korea today? A: Seoul").len(),
            0
        );
        assert_eq!(sets.matches("What is the capital city of the country of Korea today? seoul!").len(), 1);
    }
}
