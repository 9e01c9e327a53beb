//! Documents, many at a time, in one allocation.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Column, Error, Place};

/// Documents of one file, one after another.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) path: Arc<PathBuf>,
    pub(crate) arena: String,
    pub(crate) entries: Vec<Entry>,
    /// Languages, sources and licences, each once.
    pub(crate) names: Vec<String>,
    /// Addresses, which differ.
    pub(crate) urls: Vec<String>,
    pub(crate) broken: Vec<BrokenDocument>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) text: Range<usize>,
    pub(crate) lang: Option<u32>,
    pub(crate) source: Option<u32>,
    pub(crate) license: Option<u32>,
    pub(crate) url: Option<u32>,
    pub(crate) place: Place,
}

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its language, where the file says it.
    pub lang: Option<&'a str>,
    /// Where it comes from, where the file says it.
    pub source: Option<&'a str>,
    /// Under which licence it is given, where the file says it and [`Columns`](crate::Columns) asks for it.
    pub license: Option<&'a str>,
    /// The address that it was fetched from, where the file says it and [`Columns`](crate::Columns) asks for it.
    pub url: Option<&'a str>,
    /// The file that it stands in.
    pub path: &'a Path,
    /// Where it stands there.
    pub place: Place,
}

/// A document that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenDocument {
    /// Where it stands in its file.
    pub place: Place,
    /// What is wrong with it.
    pub fact: String,
    /// The column that it is about, where another may be named.
    pub column: Option<Column>,
    /// Whether its text is null, which is nobody's mistake.
    pub null: bool,
}

/// What the documents of a file came to, for whoever judges them by itself and not [`Reader`](crate::Reader).
#[derive(Debug, Default)]
pub struct FileCounts {
    /// Documents.
    pub good: u64,
    /// What is none.
    pub broken: u64,
    /// Documents whose text is null.
    pub null: u64,
    /// The first broken one.
    first: Option<BrokenDocument>,
}

impl FileCounts {
    /// Adds good documents, and those that were passed over.
    pub fn add(&mut self, good: u64, passed_over: &[BrokenDocument]) {
        self.good += good;
        for one in passed_over {
            if one.null {
                self.null += 1;
                continue;
            }
            self.broken += 1;
            if self.first.as_ref().is_none_or(|first| one.place < first.place) {
                self.first = Some(one.clone());
            }
        }
    }

    /// Of a whole file it is an error if most is broken, or all but one document, for some line of a file of another form
    /// fits by chance.
    ///
    /// # Errors
    /// [`Error::MostBroken`].
    pub fn check(&self, path: &Path) -> Result<(), Error> {
        let FileCounts { good, broken, .. } = *self;
        match &self.first {
            Some(first) if good <= 1 || good < broken => Err(Error::MostBroken {
                path: path.to_owned(),
                broken,
                good,
                first: first.place,
                fact: first.fact.clone(),
                column: first.column,
            }),
            _ => Ok(()),
        }
    }
}

impl Batch {
    pub(crate) fn new(path: Arc<PathBuf>) -> Batch {
        Batch {
            path,
            arena: String::new(),
            entries: Vec::new(),
            names: Vec::new(),
            urls: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of all texts.
    pub fn text_bytes(&self) -> usize {
        self.arena.len()
    }

    /// The file that the documents stand in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The documents, in their order.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        self.entries.iter().map(|entry| Document {
            text: &self.arena[entry.text.clone()],
            lang: entry.lang.map(|name| self.names[name as usize].as_str()),
            source: entry.source.map(|name| self.names[name as usize].as_str()),
            license: entry.license.map(|name| self.names[name as usize].as_str()),
            url: entry.url.map(|url| self.urls[url as usize].as_str()),
            path: &self.path,
            place: entry.place,
        })
    }

    /// What was passed over among them: documents whose text is null, and broken ones where
    /// [`Options::skip_broken`](crate::Options::skip_broken) says so.
    pub fn broken(&self) -> &[BrokenDocument] {
        &self.broken
    }

    /// The number of an address.
    pub(crate) fn url(&mut self, url: &str) -> u32 {
        self.urls.push(url.to_owned());
        self.urls.len() as u32 - 1
    }

    /// The number of a language, source or licence. Neighbours mostly share theirs, so the newest are looked at first.
    pub(crate) fn name(&mut self, name: &str) -> u32 {
        let known = self.names.iter().rposition(|known| known == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }) as u32
    }
}
