//! Texts that may be drawn, and the files that they come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::recipe;
use crate::error::Error;
use crate::random;

/// What is known of a text besides.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) lang: &'a str,
    pub(super) source: &'a str,
    pub(super) license: &'a str,
}

/// A text that may be drawn.
pub(super) struct Candidate {
    /// Which entry of the recipe it belongs to.
    pub(super) entry: usize,
    pub(super) hash: u64,
    /// Whether it is passed over if it was met before.
    pub(super) once: bool,
    /// Language, source and licence, a line each, and the text.
    pub(super) text: String,
}

impl Candidate {
    pub(super) fn new(entry: usize, about: About<'_>, once: bool, text: &str) -> Candidate {
        let names = [about.lang, about.source, about.license].map(|name| name.replace('\n', " "));
        let hash = random::of_text(text);
        Candidate { entry, hash, once, text: format!("{}\n{text}", names.join("\n")) }
    }

    /// The parts of a text that was drawn.
    pub(super) fn parts(text: &str) -> (About<'_>, &str) {
        let mut parts = text.splitn(4, '\n');
        let mut part = || parts.next().unwrap_or_default();
        (About { lang: part(), source: part(), license: part() }, part())
    }
}

/// The files of several entries, each once, and which entries take from it. Files that are left out of folders are added
/// to `left_out`.
pub(super) fn files<'i>(
    inputs: impl Iterator<Item = &'i Vec<String>>,
    near: &Path,
    left_out: &mut Vec<PathBuf>,
) -> Result<BTreeMap<PathBuf, Vec<usize>>, Error> {
    let mut files = BTreeMap::<PathBuf, Vec<usize>>::new();
    for (entry, input) in inputs.enumerate() {
        let found = recipe::find(input, near)?;
        left_out.extend(found.left_out);
        for file in found.files {
            files.entry(file).or_default().push(entry);
        }
    }
    Ok(files)
}
