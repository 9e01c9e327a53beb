//! The texts that vocabularies are judged on.

use std::str::FromStr;

use anyhow::bail;
use sai_documents::{Options, Reader};

use crate::tokenizer::documents::find;
use crate::ui::{Thousands, Ui};

/// A name for some files, as a person gives it: `ko=a.jsonl,b/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedFiles {
    name: String,
    files: Vec<String>,
}

impl FromStr for NamedFiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, files) =
            text.split_once('=').ok_or("give a name before the files, as in ko=texts/*.jsonl")?;
        let files: Vec<String> =
            files.split(',').filter(|file| !file.is_empty()).map(str::to_owned).collect();
        if name.is_empty() || files.is_empty() {
            return Err("give a name and files, as in ko=texts/*.jsonl".to_owned());
        }
        Ok(Self { name: name.to_owned(), files })
    }
}

/// Texts in memory.
pub(super) struct TextSet {
    pub(super) name: String,
    texts: Vec<String>,
}

impl TextSet {
    /// Takes documents evenly, from about `sample` bytes to twice as many where there is so much: every one, every
    /// second, every fourth, … of them.
    pub(super) fn read(named: &NamedFiles, options: Options, sample: u64, ui: &Ui) -> anyhow::Result<Self> {
        let mut texts: Vec<String> = Vec::new();
        let (mut bytes, mut stride, mut number) = (0u64, 1u64, 0u64);
        let mut passed_over = 0;
        for batch in Reader::open(find(ui, &named.files)?, options)? {
            let batch = batch?;
            passed_over += batch.broken().len() as u64;
            for document in batch.documents().filter(|document| !document.text.is_empty()) {
                if number.is_multiple_of(stride) {
                    bytes += document.text.len() as u64;
                    texts.push(document.text.to_owned());
                }
                number += 1;
                while bytes > 2 * sample && texts.len() > 1 {
                    stride *= 2;
                    let mut place = 0;
                    texts.retain(|_| {
                        place += 1;
                        place % 2 == 1
                    });
                    bytes = texts.iter().map(|text| text.len() as u64).sum();
                }
            }
        }
        if passed_over > 0 {
            let count = Thousands(passed_over);
            ui.warn(format_args!(
                "--text {}: {count} documents were passed over: broken, or their text is null",
                named.name
            ));
        }
        if texts.is_empty() {
            bail!("--text {}: no documents in {}", named.name, named.files.join(", "));
        }
        Ok(Self { name: named.name.clone(), texts })
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    pub(super) fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_a_name_and_files() {
        let named: NamedFiles = "ko=a.jsonl,b/".parse().unwrap();
        assert_eq!(named, NamedFiles { name: "ko".into(), files: vec!["a.jsonl".into(), "b/".into()] });
        for wrong in ["ko", "=a", "ko=", "ko=,"] {
            assert!(wrong.parse::<NamedFiles>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn documents_are_taken_evenly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let lines: String = (0..100).map(|i| format!("{{\"text\":\"{i:010}\"}}\n")).collect();
        std::fs::write(&path, lines).unwrap();
        let named = NamedFiles { name: "a".into(), files: vec![path.to_str().unwrap().into()] };
        let set = TextSet::read(&named, Options::default(), 125, &Ui::new(true)).unwrap();
        let taken: Vec<usize> = set.texts().map(|text| text.parse().unwrap()).collect();
        assert_eq!(taken, (0..100).step_by(4).collect::<Vec<_>>());
        assert_eq!(set.bytes(), 250);
    }
}
