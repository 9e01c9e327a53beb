//! A list of words of which a text is to have some.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::words::{Word, hash_of};

/// Words that ordinary text of a language has. Written and read as a list of strings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct StopWords {
    words: Vec<String>,
    places: FxHashMap<u64, usize>,
}

impl StopWords {
    /// How many different ones of the list a text has.
    pub(crate) fn distinct(&self, words: &[Word]) -> usize {
        let mut seen = vec![false; self.words.len()];
        for word in words {
            if let Some(&place) = self.places.get(&word.hash) {
                seen[place] = true;
            }
        }
        seen.into_iter().filter(|&seen| seen).count()
    }
}

impl From<Vec<String>> for StopWords {
    fn from(mut words: Vec<String>) -> Self {
        words.dedup();
        let places = words.iter().enumerate().map(|(place, word)| (hash_of(word), place)).collect();
        Self { words, places }
    }
}

impl From<&[&str]> for StopWords {
    fn from(words: &[&str]) -> Self {
        words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>().into()
    }
}

impl From<StopWords> for Vec<String> {
    fn from(list: StopWords) -> Self {
        list.words
    }
}

impl PartialEq for StopWords {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}
