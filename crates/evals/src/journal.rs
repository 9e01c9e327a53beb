//! A journal of scores: what was computed once is not computed again.

use crate::Error;
use crate::data::hex;
use sai_formats::{JsonLines, JsonLinesError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What came of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Sum of the continuation's log-probabilities, in nats.
    pub logprob: f64,
    /// Whether each of its tokens is the likeliest.
    pub greedy: bool,
}

/// What a journal keeps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Score(Score),
    /// What was written.
    Text(String),
}

/// What tells a text of a model from all others.
pub(crate) type Key = [u8; 16];

#[derive(Serialize, Deserialize)]
struct Line {
    /// A [`Key`] in hexadecimal.
    key: String,
    /// The task, for whoever reads the file.
    task: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logprob: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    greedy: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Line {
    fn record(self) -> Option<(String, Record)> {
        let record = match (self.logprob, self.greedy, self.text) {
            (Some(logprob), Some(greedy), None) => Record::Score(Score { logprob, greedy }),
            (None, None, Some(text)) => Record::Text(text),
            _ => return None,
        };
        Some((self.key, record))
    }
}

/// Scores by model and tokens, in a file of a JSON object a line, or in memory alone.
pub struct Journal {
    known: HashMap<String, Record>,
    file: Option<(PathBuf, JsonLines)>,
}

impl Journal {
    /// A journal that ends with the program.
    pub fn in_memory() -> Journal {
        Journal { known: HashMap::new(), file: None }
    }

    /// Opens a journal, or begins one. A last line that was cut short is passed over and written over.
    ///
    /// # Errors
    /// The file cannot be read or written, or has another line that is no score.
    pub fn open(path: &Path) -> Result<Journal, Error> {
        let (file, lines) = JsonLines::open::<Line>(path, "{\"key\":").map_err(|e| match e {
            JsonLinesError::Io(e) => Error::file(path, e),
            JsonLinesError::Line(line) => Error::Journal { path: path.to_owned(), line },
        })?;
        let mut known = HashMap::new();
        for (i, line) in lines.into_iter().enumerate() {
            let (key, record) =
                line.record().ok_or_else(|| Error::Journal { path: path.to_owned(), line: i + 1 })?;
            known.insert(key, record);
        }
        Ok(Journal { known, file: Some((path.to_owned(), file)) })
    }

    /// How many scores it has.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Record> {
        self.known.get(&hex(key))
    }

    pub(crate) fn score(&self, key: &Key) -> Option<Score> {
        match self.get(key) {
            Some(Record::Score(score)) => Some(*score),
            _ => None,
        }
    }

    pub(crate) fn put(&mut self, key: &Key, task: &str, record: Record) -> Result<(), Error> {
        if let Some((path, file)) = &mut self.file {
            let (score, text) = match &record {
                Record::Score(score) => (Some(*score), None),
                Record::Text(text) => (None, Some(text.clone())),
            };
            let line = Line {
                key: hex(key),
                task: task.to_owned(),
                logprob: score.map(|score| score.logprob),
                greedy: score.map(|score| score.greedy),
                text,
            };
            file.append(&line).map_err(|e| Error::file(path, e))?;
        }
        self.known.insert(hex(key), record);
        Ok(())
    }

    /// Hands what was written to the system, so that it outlives the program.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        match &mut self.file {
            Some((path, file)) => file.flush().map_err(|e| Error::file(path, e)),
            None => Ok(()),
        }
    }
}

/// The key of a text, scored from token `first` on, of the model that `identity` stands for.
pub(crate) fn key(identity: &str, tokens: &[u32], first: usize) -> Key {
    let mut sum = Sha256::new();
    sum.update((identity.len() as u64).to_le_bytes());
    sum.update(identity.as_bytes());
    sum.update((first as u64).to_le_bytes());
    for token in tokens {
        sum.update(token.to_le_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&sum.finalize()[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn a_journal_cut_in_a_line_goes_on_behind_the_last_whole_one() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("journal.jsonl");
        let (a, b) = (key("m", &[1, 2], 1), key("m", &[1, 3], 1));
        assert_ne!(a, key("n", &[1, 2], 1), "another model");
        let score = Score { logprob: -1.25, greedy: true };
        let mut journal = Journal::open(&path).expect("opens");
        journal.put(&a, "t", Record::Score(score)).expect("writes");
        journal.flush().expect("writes");
        drop(journal);
        let mut file = File::options().append(true).open(&path).expect("opens");
        file.write_all(b"{\"key\":\"12").expect("writes");
        drop(file);
        let mut journal = Journal::open(&path).expect("opens");
        assert_eq!((journal.len(), journal.score(&a), journal.get(&b)), (1, Some(score), None));
        let text = Record::Text("#### 4".to_owned());
        journal.put(&b, "t", text.clone()).expect("writes");
        drop(journal);
        assert_eq!(Journal::open(&path).expect("opens").get(&b), Some(&text));
    }

    #[test]
    fn a_file_that_is_no_journal_is_left_as_it_is() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("notes");
        for text in ["my notes", "my\nnotes\n"] {
            std::fs::write(&path, text).expect("writes");
            assert!(matches!(Journal::open(&path), Err(Error::Journal { line: 1, .. })));
            assert_eq!(std::fs::read_to_string(&path).expect("reads"), text);
        }
    }
}
