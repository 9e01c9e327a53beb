//! From a block of lines, or of text, to documents.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::batch::{Batch, BrokenDocument, Entry};
use crate::error::{Error, Place};
use crate::options::{Columns, Options};

/// A byte order mark, which some programs put before a text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Collects documents, and what is none, by the policy of the options.
pub(crate) struct Collector<'o> {
    pub(crate) batch: Batch,
    skip_broken: bool,
    columns: &'o Columns,
    longest: usize,
}

impl<'o> Collector<'o> {
    pub(crate) fn new(path: Arc<PathBuf>, options: &'o Options) -> Collector<'o> {
        let Options { columns, skip_broken, longest, .. } = options;
        Collector { batch: Batch::new(path), skip_broken: *skip_broken, columns, longest: *longest }
    }

    /// Takes a document that is none.
    pub(crate) fn broken(&mut self, place: Place, fact: String) -> Result<(), Error> {
        if !self.skip_broken {
            return Err(Error::Broken { path: self.batch.path.to_path_buf(), place, fact });
        }
        self.batch.broken.push(BrokenDocument { place, fact });
        Ok(())
    }

    /// Takes a text, with its language, source and licence.
    pub(crate) fn push(&mut self, text: &str, names: [Option<&str>; 3], place: Place) {
        let start = self.batch.arena.len();
        self.batch.arena.push_str(text);
        let [lang, source, license] = names.map(|name| name.map(|name| self.batch.name(name)));
        self.batch.entries.push(Entry { text: start..start + text.len(), lang, source, license, place });
    }

    /// The documents of a block of lines, of which the first has the number `first`.
    pub(crate) fn lines(&mut self, bytes: &[u8], first: u64) -> Result<(), Error> {
        // What JSON spells with escapes is never shorter than what it stands for.
        self.batch.arena.reserve_exact(bytes.len());
        // One pass over the whole block is the fast one; only where it fails is the broken line looked for.
        let whole = simdutf8::basic::from_utf8(bytes).ok();
        let mut start = 0;
        for (number, end) in (first..).zip(memchr::memchr_iter(b'\n', bytes).chain([bytes.len()])) {
            let range = start.min(end)..end;
            start = end + 1;
            let line = &bytes[range.clone()];
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let place = Place::Line(number);
            let text = match whole.and_then(|text| text.get(range)) {
                Some(text) => Ok(text),
                None => utf8(line),
            };
            let parsed = match text {
                _ if line.len() > self.longest => Err(too_long(self.longest)),
                Ok(text) if number == 1 => self.line(text.trim_start_matches('\u{feff}'), place),
                Ok(text) => self.line(text, place),
                Err(fact) => Err(fact),
            };
            if let Err(fact) = parsed {
                self.broken(place, fact)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str, place: Place) -> Result<(), String> {
        let start = self.batch.arena.len();
        let mut json = serde_json::Deserializer::from_str(line);
        let object = Object { columns: self.columns, batch: &mut self.batch };
        let found = object.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
        let fact = match found {
            Ok(Found { text: Some(end), lang, source, license }) => {
                self.batch.entries.push(Entry { text: end.0..end.1, lang, source, license, place });
                return Ok(());
            }
            Ok(Found { text: None, .. }) => format!("no column `{}`", self.columns.text),
            Err(e) => told(&e),
        };
        self.batch.arena.truncate(start);
        Err(fact)
    }

    /// The documents of a text, of which the first has the number `first`. An empty one is none.
    pub(crate) fn texts(&mut self, bytes: &[u8], first: u64, separator: Option<&str>) -> Result<(), Error> {
        let bytes = if first == 1 { bytes.strip_prefix(MARK).unwrap_or(bytes) } else { bytes };
        let Some(separator) = separator else {
            return self.text(bytes, first);
        };
        let mut start = 0;
        let cuts = memchr::memmem::find_iter(bytes, separator.as_bytes()).chain([bytes.len()]);
        for (number, end) in (first..).zip(cuts) {
            self.text(bytes.get(start..end).unwrap_or_default(), number)?;
            start = end + separator.len();
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], number: u64) -> Result<(), Error> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let place = Place::Document(number);
        if bytes.len() > self.longest {
            return self.broken(place, too_long(self.longest));
        }
        match utf8(bytes) {
            Ok(text) => self.push(text, [None; 3], place),
            Err(fact) => self.broken(place, fact)?,
        }
        Ok(())
    }
}

pub(crate) fn too_long(longest: usize) -> String {
    format!("longer than {longest} bytes")
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    simdutf8::compat::from_utf8(bytes).map_err(|e| format!("byte {} is not UTF-8", e.valid_up_to()))
}

/// What serde_json found, with its column and without its line, which is always the first.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let fact = text.split(" at line ").next().unwrap_or(&text);
    let fact: String = fact.chars().take(160).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match error.column() {
        0 => fact,
        column => format!("{fact}, at byte {column}"),
    }
}

/// What an object held of a document. The text is in the batch's arena, from where to where.
#[derive(Default)]
struct Found {
    text: Option<(usize, usize)>,
    lang: Option<u32>,
    source: Option<u32>,
    license: Option<u32>,
}

/// An object whose keys are looked at; the text goes where it stays, without a stop.
struct Object<'c, 'b> {
    columns: &'c Columns,
    batch: &'b mut Batch,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Found, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Found, M::Error> {
        let Object { columns, batch } = self;
        let mut found = Found::default();
        while let Some(part) = map.next_key_seed(Key(columns))? {
            match part {
                Part::Text => {
                    let start = batch.arena.len();
                    map.next_value_seed(Text(&mut batch.arena))?;
                    found.text = Some((start, batch.arena.len()));
                }
                Part::Lang => found.lang = map.next_value_seed(Name(batch))?,
                Part::Source => found.source = map.next_value_seed(Name(batch))?,
                Part::License => found.license = map.next_value_seed(Name(batch))?,
                Part::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

enum Part {
    Text,
    Lang,
    Source,
    License,
    Other,
}

struct Key<'c>(&'c Columns);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Part, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Part, E> {
        Ok(match key {
            _ if key == self.0.text => Part::Text,
            _ if self.0.lang.as_deref() == Some(key) => Part::Lang,
            _ if self.0.source.as_deref() == Some(key) => Part::Source,
            _ if self.0.license.as_deref() == Some(key) => Part::License,
            _ => Part::Other,
        })
    }
}

struct Text<'b>(&'b mut String);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        Ok(())
    }
}

/// A name that may be null.
struct Name<'b>(&'b mut Batch);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<u32>, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or null")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<u32>, E> {
        Ok(Some(self.0.name(name)))
    }

    fn visit_unit<E>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }
}
