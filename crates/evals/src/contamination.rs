//! Which documents of an exam occur in a corpus.
//!
//! As Brown et al. 2020 (GPT-3, appendix C): texts are brought to lower case without punctuation and compared by runs of 13 words.
//! A document occurs in the corpus where any run of 13 words of its columns does; one whose columns are all shorter, where the
//! longest of them does as a whole. Below three words that would be chance, and the document cannot be checked.

use crate::metrics::{Figure, Judged};
use crate::score::figures;
use crate::{Exam, Profile, Task, TaskResult};
use serde::Serialize;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use unicode_normalization::UnicodeNormalization;

/// Words of a run.
const RUN: usize = 13;
/// Words of the shortest text that is looked for.
const SHORTEST: usize = 3;

/// Whether a document occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    /// It was not found.
    Absent,
    /// A run of its words, or all of it, is in the corpus.
    Found,
    /// It is too short to be looked for.
    TooShort,
}

/// Runs of words of the documents of some exams.
pub struct Contamination {
    /// By the hash of a run: the documents that have it, by exam and place in it.
    runs: HashMap<u64, Vec<(usize, usize)>>,
    /// Lengths of the runs, in words.
    lengths: Vec<usize>,
    found: Vec<Vec<Occurrence>>,
}

impl Contamination {
    /// Takes the documents of exams to look for.
    pub fn new(exams: &[Exam<'_>]) -> Contamination {
        let mut new = Contamination { runs: HashMap::new(), lengths: Vec::new(), found: Vec::new() };
        for (exam, of) in exams.iter().enumerate() {
            let mut found = vec![Occurrence::Absent; of.documents.len()];
            for (number, document) in of.documents.iter().enumerate() {
                let texts: Vec<Vec<u64>> = document.texts.iter().map(|text| words(text)).collect();
                let longest = texts.iter().max_by_key(|words| words.len());
                let length = longest.map_or(0, Vec::len).min(RUN);
                if length < SHORTEST {
                    found[number] = Occurrence::TooShort;
                    continue;
                }
                if !new.lengths.contains(&length) {
                    new.lengths.push(length);
                }
                for run in texts.iter().flat_map(|words| words.windows(length)) {
                    let documents = new.runs.entry(hash(&run)).or_default();
                    if documents.last() != Some(&(exam, number)) {
                        documents.push((exam, number));
                    }
                }
            }
            new.found.push(found);
        }
        new
    }

    /// The runs of a text of the corpus that documents have, for [`Contamination::mark`].
    pub fn look(&self, text: &str) -> Vec<u64> {
        let words = words(text);
        let runs = self.lengths.iter().flat_map(|&length| words.windows(length));
        runs.map(|run| hash(&run)).filter(|run| self.runs.contains_key(run)).collect()
    }

    /// Marks the documents that have one of these runs.
    pub fn mark(&mut self, runs: &[u64]) {
        for &(exam, number) in runs.iter().filter_map(|run| self.runs.get(run)).flatten() {
            self.found[exam][number] = Occurrence::Found;
        }
    }

    /// What was found of the documents of an exam.
    pub fn of(&self, exam: usize) -> &[Occurrence] {
        &self.found[exam]
    }
}

/// A task's figures without the documents that occur in a corpus.
#[derive(Clone, Debug, Serialize)]
pub struct Uncontaminated {
    /// The task.
    pub task: String,
    /// Documents that occur.
    pub found: usize,
    /// Documents that are too short to be looked for.
    pub too_short: usize,
    /// All documents.
    pub documents: usize,
    /// Its metrics over those that do not occur; none where nothing is left.
    pub figures: Vec<Figure>,
}

/// What a result comes to without the documents that occur.
pub fn uncontaminated(
    task: &Task,
    profile: Profile,
    result: &TaskResult,
    found: &[Occurrence],
) -> Uncontaminated {
    let samples = result.samples.iter().zip(found);
    let rest: Vec<Judged> = samples
        .filter(|(_, found)| **found != Occurrence::Found)
        .map(|(sample, _)| sample.judged.clone())
        .collect();
    let count = |what: Occurrence| found.iter().filter(|found| **found == what).count();
    Uncontaminated {
        task: result.task.clone(),
        found: count(Occurrence::Found),
        too_short: count(Occurrence::TooShort),
        documents: found.len(),
        figures: if rest.is_empty() { Vec::new() } else { figures(task, profile, &rest) },
    }
}

/// Hashes of a text's words, in lower case and without what is no letter or digit.
fn words(text: &str) -> Vec<u64> {
    let plain =
        |word: &str| word.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect();
    let words = text.split_whitespace().map(plain).filter(|word: &String| !word.is_empty());
    words.map(|word| hash(&word)).collect()
}

/// The same in every run: the standard library's hasher has fixed keys where it is made so.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, ExamOptions, Question};

    fn exam<'t>(task: &'t Task, texts: &[&[&str]]) -> Exam<'t> {
        let document = |(number, texts): (usize, &&[&str])| Document {
            number,
            place: String::new(),
            subtask: None,
            question: Question::default(),
            texts: texts.iter().map(ToString::to_string).collect(),
        };
        let documents: Vec<Document> = texts.iter().enumerate().map(document).collect();
        let available = documents.len();
        Exam { task, options: ExamOptions::default(), documents, available, data: Vec::new() }
    }

    #[test]
    fn thirteen_words_in_a_row_are_enough_and_short_documents_occur_as_a_whole() {
        let tasks = Task::own().expect("sound tasks");
        let long = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen.";
        let mut seen = Contamination::new(&[exam(
            &tasks[0],
            &[
                &[long, "yes"],
                &["배송이 빠르고 포장도 좋아요", "1"],
                &["두 번 다시 사지 않을래요"],
                &["예", "아니오"],
                &["Three words here"],
            ],
        )]);
        let corpus = [
            "zero two, three four five SIX seven eight nine ten eleven twelve “thirteen” fourteen fifteen",
            "정말 배송이 빠르고, 포장도 좋아요! 예",
            "두 번 다시 사지 않을 래요",
            "three words",
        ];
        for text in corpus {
            let runs = seen.look(text);
            seen.mark(&runs);
        }
        use Occurrence::{Absent, Found, TooShort};
        assert_eq!(seen.of(0), [Found, Found, Absent, TooShort, Absent]);
    }

    #[test]
    fn twelve_words_of_a_long_document_are_none_of_it() {
        let tasks = Task::own().expect("sound tasks");
        let words: Vec<String> = (0..20).map(|i| format!("w{i}")).collect();
        let text = words.join(" ");
        let mut seen = Contamination::new(&[exam(&tasks[0], &[&[&text]])]);
        let runs = seen.look(&words[3..15].join(" "));
        seen.mark(&runs);
        assert_eq!(seen.of(0), [Occurrence::Absent]);
        let runs = seen.look(&words[3..16].join(" "));
        seen.mark(&runs);
        assert_eq!(seen.of(0), [Occurrence::Found]);
    }
}
