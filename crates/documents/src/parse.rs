//! From a block of lines, or of text, to documents.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::batch::{Batch, BrokenDocument, Entry};
use crate::error::{Column, Error, Fault, Place};
use crate::json;
use crate::options::{Columns, Options};
use crate::sniff;

/// Keys of an object, or columns of a table, that an error lists.
const LISTED: usize = 10;

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
    pub(crate) fn broken(&mut self, place: Place, fault: impl Into<Fault>) -> Result<(), Error> {
        let Fault { fact, column } = fault.into();
        if !self.skip_broken {
            return Err(Error::Broken { path: self.batch.path.to_path_buf(), place, fact, column });
        }
        self.batch.broken.push(BrokenDocument { place, fact, column, null: false });
        Ok(())
    }

    /// Takes a document whose text is null. It is none, and nobody's mistake: it is counted and passed over.
    pub(crate) fn no_text(&mut self, place: Place) {
        let fact = format!("column `{}` is null", self.columns.text);
        self.batch.broken.push(BrokenDocument { place, fact, column: Some(Column::Text), null: true });
    }

    /// Takes a text, with its language, source, licence and address.
    pub(crate) fn push(&mut self, text: &str, names: [Option<&str>; 4], place: Place) {
        let start = self.batch.arena.len();
        self.batch.arena.push_str(text);
        let [lang, source, license, url] = names;
        let [lang, source, license] =
            [lang, source, license].map(|name| name.map(|name| self.batch.name(name)));
        let url = url.map(|url| self.batch.url(url));
        self.batch.entries.push(Entry { text: start..start + text.len(), lang, source, license, url, place });
    }

    /// The documents of a block of lines, of which the first has the number `first`.
    pub(crate) fn objects(&mut self, bytes: &[u8], first: u64) -> Result<(), Error> {
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
                _ if line.len() > self.longest => Err(too_long(self.longest).into()),
                // Files that were put together have the marks of each.
                Ok(text) => self.line(text.trim_start_matches('\u{feff}'), place),
                Err(fact) => Err(fact.into()),
            };
            if let Err(fault) = parsed {
                self.broken(place, fault)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str, place: Place) -> Result<(), Fault> {
        let found = match self.object(line) {
            Ok(found) => Ok(found),
            // The rare line that has them is read twice.
            Err(e) => json::without_nan(line).map_or(Err(e), |line| self.object(&line)),
        };
        let (fact, column) = match found {
            Ok(Found { text: FoundText::At(start, end), lang, source, license, url }) => {
                self.batch.entries.push(Entry { text: start..end, lang, source, license, url, place });
                return Ok(());
            }
            Ok(Found { text: FoundText::Null, .. }) => {
                self.no_text(place);
                return Ok(());
            }
            Ok(Found { text: FoundText::None, .. }) => (self.lacks_text(line), Some(Column::Text)),
            Err((e, None)) => (json::fact(&e), None),
            Err((e, Some(column))) => {
                let name = self.columns.name(column).unwrap_or_default();
                (format!("column `{name}`: {}", json::fact(&e)), Some(column))
            }
        };
        Err(Fault { fact, column })
    }

    /// Reads an object; of one that is none nothing stays. An error may be about a column.
    fn object(&mut self, line: &str) -> Result<Found, (serde_json::Error, Option<Column>)> {
        let start = self.batch.arena.len();
        let mut json = serde_json::Deserializer::from_str(line);
        let mut column = None;
        let object = Object { columns: self.columns, batch: &mut self.batch, column: &mut column };
        let found = object.deserialize(&mut json);
        // What is wrong behind the object is about no column.
        let found = found.map_err(|e| (e, column)).and_then(|found| match json.end() {
            Ok(()) => Ok(found),
            Err(e) => Err((e, None)),
        });
        if !matches!(found, Ok(Found { text: FoundText::At(..), .. })) {
            self.batch.arena.truncate(start);
        }
        found
    }

    /// What an object without a text has instead.
    fn lacks_text(&self, line: &str) -> String {
        let plain = json::without_nan(line);
        let object: Option<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(plain.as_deref().unwrap_or(line)).ok();
        let keys = object.map(|object| object.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        no_column(&self.columns.text, &keys)
    }

    /// The documents of a text, of which the first has the number `first`, as `place` has them. An empty one is none.
    pub(crate) fn texts(
        &mut self,
        bytes: &[u8],
        first: u64,
        separator: Option<&str>,
        place: fn(u64) -> Place,
    ) -> Result<(), Error> {
        let Some(separator) = separator else {
            return self.text(bytes, place(first));
        };
        let mut start = 0;
        let cuts = memchr::memmem::find_iter(bytes, separator.as_bytes()).chain([bytes.len()]);
        for (number, end) in (first..).zip(cuts) {
            self.text(bytes.get(start..end).unwrap_or_default(), place(number))?;
            start = end + separator.len();
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], place: Place) -> Result<(), Error> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        if bytes.len() > self.longest {
            return self.broken(place, too_long(self.longest));
        }
        match utf8(bytes) {
            Ok(text) => self.push(text, [None; 4], place),
            Err(fact) => self.broken(place, fact)?,
        }
        Ok(())
    }
}

pub(crate) fn too_long(longest: usize) -> String {
    format!("longer than {longest} bytes")
}

/// Says that a column is not there, and which are.
pub(crate) fn no_column(name: &str, there: &[String]) -> String {
    let shown = |name: &String| {
        format!("`{}`", name.chars().take(40).flat_map(char::escape_debug).collect::<String>())
    };
    let names: Vec<String> = there.iter().take(LISTED).map(shown).collect();
    let more = there.len().saturating_sub(LISTED);
    match (names.is_empty(), more) {
        (true, _) => format!("no column `{name}`, and no other"),
        (_, 0) => format!("no column `{name}`; it has {}", names.join(", ")),
        _ => format!("no column `{name}`; it has {} and {more} more", names.join(", ")),
    }
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    simdutf8::compat::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        match sniff::is_cp949(&bytes[at..]) {
            true => {
                format!("byte {at} is not UTF-8 but CP949, by its looks; {}", sniff::convert_from("CP949"))
            }
            false => format!("byte {at} is not UTF-8"),
        }
    })
}

/// What an object held of a document.
#[derive(Default)]
struct Found {
    text: FoundText,
    lang: Option<u32>,
    source: Option<u32>,
    license: Option<u32>,
    url: Option<u32>,
}

#[derive(Default)]
enum FoundText {
    /// No such key.
    #[default]
    None,
    /// Null.
    Null,
    /// In the batch's arena, from where to where.
    At(usize, usize),
}

/// An object whose keys are looked at; the text goes where it stays, without a stop.
struct Object<'c, 'b> {
    columns: &'c Columns,
    batch: &'b mut Batch,
    /// The column that is read.
    column: &'b mut Option<Column>,
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
        let Object { columns, batch, column } = self;
        let mut found = Found::default();
        while let Some(part) = map.next_key_seed(Key(columns))? {
            *column = part;
            match part {
                Some(Column::Text) => {
                    // Of a key that is there twice the last counts, as in Python.
                    if let FoundText::At(start, _) = found.text {
                        batch.arena.truncate(start);
                    }
                    found.text = map.next_value_seed(Text(&mut batch.arena))?;
                }
                Some(Column::Lang) => found.lang = map.next_value_seed(Name(batch, Batch::name))?,
                Some(Column::Source) => found.source = map.next_value_seed(Name(batch, Batch::name))?,
                Some(Column::License) => found.license = map.next_value_seed(Name(batch, Batch::name))?,
                Some(Column::Url) => found.url = map.next_value_seed(Name(batch, Batch::url))?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            *column = None;
        }
        Ok(found)
    }
}

struct Key<'c>(&'c Columns);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<Column>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<Column>, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<Column>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<Column>, E> {
        Ok(match key {
            _ if key == self.0.text => Some(Column::Text),
            _ if self.0.lang.as_deref() == Some(key) => Some(Column::Lang),
            _ if self.0.source.as_deref() == Some(key) => Some(Column::Source),
            _ if self.0.license.as_deref() == Some(key) => Some(Column::License),
            _ if self.0.url.as_deref() == Some(key) => Some(Column::Url),
            _ => None,
        })
    }
}

struct Text<'b>(&'b mut String);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = FoundText;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<FoundText, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = FoundText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<FoundText, E> {
        let start = self.0.len();
        self.0.push_str(text);
        Ok(FoundText::At(start, self.0.len()))
    }

    fn visit_unit<E>(self) -> Result<FoundText, E> {
        Ok(FoundText::Null)
    }
}

/// A name that may be null. One that is a number, as languages and sources are counted, is that number's digits.
struct Name<'b>(&'b mut Batch, fn(&mut Batch, &str) -> u32);

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
        Ok(Some((self.1)(self.0, name)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<u32>, E> {
        Ok(Some((self.1)(self.0, &number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<u32>, E> {
        Ok(Some((self.1)(self.0, &number.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }
}
