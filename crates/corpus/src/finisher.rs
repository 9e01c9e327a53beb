//! What is done to a document before it is written, besides putting it in order.

use std::sync::Arc;

use sai_cleaning::decontaminate::Evaluations;
use sai_cleaning::hashes;
use serde::{Deserialize, Serialize};

use crate::recipe::Action;

/// What a thread keeps between documents of the fourth step.
pub(crate) struct Finisher {
    evaluations: Option<Arc<Evaluations>>,
    action: Action,
}

/// Text of an evaluation set that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contaminated {
    /// The address of the document, or its source and number.
    pub document: String,
    /// The evaluation set.
    pub set: String,
    /// What both have.
    pub text: String,
    /// What was done.
    pub action: Action,
}

impl Finisher {
    pub(crate) fn new(evaluations: Option<Arc<Evaluations>>, action: Action) -> Finisher {
        Finisher { evaluations, action }
    }

    /// The text without what evaluation sets have, or nothing where it is dropped; and what was found.
    pub(crate) fn finish(&self, text: String, place: &str) -> (Option<String>, Vec<Contaminated>) {
        const SHOWN: usize = 300;
        let Some(evaluations) = &self.evaluations else { return (Some(text), Vec::new()) };
        let found = evaluations.matches(&text);
        if found.is_empty() {
            return (Some(text), Vec::new());
        }
        let list = found.iter().map(|found| Contaminated {
            document: place.to_owned(),
            set: evaluations.names().get(found.set).cloned().unwrap_or_default(),
            text: text[found.start..found.end].chars().take(SHOWN).collect(),
            action: self.action,
        });
        let list = list.collect();
        if self.action == Action::Drop {
            return (None, list);
        }
        let mut left = String::with_capacity(text.len());
        let mut from = 0;
        for found in &found {
            left.push_str(&text[from..found.start]);
            from = found.end;
        }
        left.push_str(&text[from..]);
        ((!left.trim().is_empty()).then_some(left), list)
    }
}

/// A text without the lines of these numbers, which are sorted, and how many lines went.
pub(crate) fn without_lines(text: &str, cuts: &[u64], shortest: usize) -> (String, u64) {
    if cuts.is_empty() {
        return (text.to_owned(), 0);
    }
    let (mut left, mut from, mut cut) = (String::with_capacity(text.len()), 0, 0);
    for line in hashes::lines(text) {
        if line.chars >= shortest && cuts.binary_search(&line.hash).is_ok() {
            left.push_str(&text[from..line.start]);
            // The line's end goes with it.
            from = (line.end + 1).min(text.len());
            cut += 1;
        }
    }
    left.push_str(&text[from..]);
    (left.trim().to_owned(), cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleaner::line_hashes;

    #[test]
    fn lines_are_cut_with_their_ends() {
        let text = "메뉴를 열기\n첫 문단이다.\n\n둘째 문단이다.\n목록으로 가기";
        let cuts = line_hashes("메뉴를 열기\n목록으로 가기", 2);
        assert_eq!(without_lines(text, &cuts, 2), ("첫 문단이다.\n\n둘째 문단이다.".to_owned(), 2));
        assert_eq!(without_lines(text, &[], 2), (text.to_owned(), 0));
    }
}
