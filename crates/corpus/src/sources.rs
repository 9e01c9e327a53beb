//! What a corpus is made from: the records of files, one after another, whatever the files are.
//!
//! A [`Reading`] hands out [`Block`]s of records that are not taken apart yet, in an order that is always the same; who
//! takes a block turns it into [`Record`]s on its own thread. What is broken is counted by its kind in [`Faults`], and
//! costs itself alone: only a file that cannot be opened, or is of another kind than it is said to be, ends a build.

pub(crate) mod http;
mod members;
mod presets;
mod sniff;
pub(crate) mod warc;
pub(crate) mod wiki;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sai_documents::{Columns, Options, Raw, Reader};
use serde::{Deserialize, Serialize};

pub use presets::{Access, Preset, preset, presets};
pub use sniff::format_of;
pub use wiki::WikiPage;

use crate::error::Error;

/// What a file of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Web pages as a crawler keeps them (WARC, ISO 28500), or their plain texts (WET).
    #[serde(alias = "wet")]
    Warc,
    /// Web pages, a file each.
    Html,
    /// A dump of a MediaWiki: XML, plain or under bzip2.
    Wiki,
    /// A JSON object a line.
    Jsonl,
    /// A table.
    Parquet,
    /// Plain text, a document a file.
    Text,
}

/// A record of a file: what may become a document.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What it holds.
    pub body: Body,
    /// The address that it was fetched from.
    pub url: Option<String>,
    /// Its language, as the file says.
    pub lang: Option<String>,
    /// Where it comes from, as the file says.
    pub source: Option<String>,
    /// Its licence, as the file says.
    pub license: Option<String>,
    /// Where in its file it stands: `record 12`, `line 5`.
    pub place: String,
}

impl Record {
    /// The address that it was fetched from; of a page of a wiki where its reader finds it.
    pub fn address(&self) -> Option<String> {
        match (&self.body, &self.url) {
            (Body::WikiPage { xml, base: Some(base) }, None) => {
                WikiPage::parse(xml).ok().map(|page| page.url(base))
            }
            (_, url) => url.clone(),
        }
    }
}

/// What a record holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// A text.
    Text(String),
    /// A text whose encoding is to be found out.
    Bytes(Vec<u8>),
    /// A web page.
    Html {
        /// Its bytes, as they were sent.
        bytes: Vec<u8>,
        /// The type that it was sent with, which may say its encoding.
        content_type: Option<String>,
    },
    /// A page of a wiki's dump.
    WikiPage {
        /// The XML of it.
        xml: Vec<u8>,
        /// What addresses on the wiki begin with.
        base: Option<String>,
    },
}

impl Default for Body {
    fn default() -> Body {
        Body::Text(String::new())
    }
}

impl Body {
    /// About how many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::Bytes(bytes) | Body::Html { bytes, .. } | Body::WikiPage { xml: bytes, .. } => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was broken or passed over, by its kind, each counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Broken: what was lost.
    pub broken: BTreeMap<String, u64>,
    /// Read, and nothing for a corpus.
    pub passed_over: BTreeMap<String, u64>,
}

impl Faults {
    pub(crate) fn add(&mut self, kind: &str) {
        *self.broken.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn note(&mut self, kind: &str) {
        *self.passed_over.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn append(&mut self, other: &Faults) {
        for (into, from) in [(&mut self.broken, &other.broken), (&mut self.passed_over, &other.passed_over)] {
            for (kind, count) in from {
                *into.entry(kind.clone()).or_default() += count;
            }
        }
    }
}

/// Some records of a file, not taken apart yet, and what was broken before and among them.
pub struct Block {
    records: Records,
    faults: Faults,
}

enum Records {
    Ready(Vec<Record>),
    Documents(Box<Raw>),
}

impl Block {
    /// Takes the records apart. Lines and rows that are none are counted.
    ///
    /// # Errors
    /// A file of documents of which most is broken, or that is none.
    pub fn take(self) -> Result<(Vec<Record>, Faults), Error> {
        let Block { records, mut faults } = self;
        let raw = match records {
            Records::Ready(records) => return Ok((records, faults)),
            Records::Documents(raw) => raw,
        };
        let batch = raw.parse()?;
        for broken in batch.broken() {
            match broken.null {
                true => faults.note("a document whose text is null"),
                false => faults.add("a line or row that is no document"),
            }
        }
        let records = batch.documents().map(|document| Record {
            body: Body::Text(document.text.to_owned()),
            url: document.url.map(str::to_owned),
            lang: document.lang.map(str::to_owned),
            source: document.source.map(str::to_owned),
            license: document.license.map(str::to_owned),
            place: document.place.to_string(),
        });
        Ok((records.collect(), faults))
    }
}

/// How the files of a source are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What they are.
    pub format: Format,
    /// Where the parts of documents are, of JSONL and Parquet.
    pub columns: Columns,
    /// The longest record, page or document, in bytes; a longer one is passed over and counted.
    pub longest: usize,
}

/// About so many bytes of records are handed out at once.
const BLOCK: usize = 1 << 20;
/// So many at most.
const RECORDS: usize = 256;

/// The records of some files of one kind.
pub struct Reading {
    files: std::vec::IntoIter<PathBuf>,
    settings: Settings,
    open: Open,
    done: Arc<AtomicU64>,
}

enum Open {
    Documents(Box<Reader>),
    Warc(PathBuf, Box<warc::WarcReader>),
    Wiki(PathBuf, Box<wiki::WikiReader>),
    None,
}

impl Reading {
    /// Starts to read `files`, which are all of the settings' format.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn open(files: Vec<PathBuf>, settings: Settings) -> Result<Reading, Error> {
        let done = Arc::new(AtomicU64::new(0));
        let format = match settings.format {
            Format::Jsonl => Some(sai_documents::Format::Jsonl),
            Format::Parquet => Some(sai_documents::Format::Parquet),
            Format::Text => Some(sai_documents::Format::Text),
            _ => None,
        };
        let Some(format) = format else {
            return Ok(Reading { files: files.into_iter(), settings, open: Open::None, done });
        };
        let options = Options {
            columns: settings.columns.clone(),
            format: Some(format),
            skip_broken: true,
            longest: settings.longest,
            block: BLOCK,
            ..Options::default()
        };
        let reader = Reader::open(files, options)?;
        Ok(Reading { files: Vec::new().into_iter(), settings, open: Open::Documents(Box::new(reader)), done })
    }

    /// Bytes of the files that were read, as they lie on the disk.
    pub fn bytes_done(&self) -> u64 {
        match &self.open {
            Open::Documents(reader) => reader.bytes_done(),
            _ => self.done.load(Ordering::Relaxed),
        }
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what it was said to be.
    pub fn next_block(&mut self) -> Option<Result<Block, Error>> {
        match &mut self.open {
            Open::Documents(reader) => {
                let raw = reader.next_raw()?;
                let ready =
                    |raw| Block { records: Records::Documents(Box::new(raw)), faults: Faults::default() };
                Some(raw.map(ready).map_err(Error::from))
            }
            _ => self.records().transpose(),
        }
    }

    /// A block of records of files that are read here.
    fn records(&mut self) -> Result<Option<Block>, Error> {
        let (mut records, mut faults, mut bytes) = (Vec::new(), Faults::default(), 0);
        while bytes < BLOCK && records.len() < RECORDS {
            let (path, next) = match &mut self.open {
                Open::Warc(path, reader) => (path, reader.next()),
                Open::Wiki(path, reader) => (path, reader.next()),
                _ => match self.open_next(&mut faults)? {
                    Opened::Page(record) => {
                        bytes += record.body.len();
                        records.push(record);
                        continue;
                    }
                    Opened::File => continue,
                    Opened::Nothing => break,
                },
            };
            let next = next.map_err(|source| Error::read(path, source))?;
            let seen = match &mut self.open {
                Open::Warc(_, reader) => std::mem::take(&mut reader.faults),
                Open::Wiki(_, reader) => std::mem::take(&mut reader.faults),
                _ => Faults::default(),
            };
            faults.append(&seen);
            match next {
                Some(record) => {
                    bytes += record.body.len();
                    records.push(record);
                }
                None => self.open = Open::None,
            }
        }
        let nothing = records.is_empty() && faults == Faults::default();
        Ok((!nothing).then_some(Block { records: Records::Ready(records), faults }))
    }

    fn open_next(&mut self, faults: &mut Faults) -> Result<Opened, Error> {
        let Some(path) = self.files.next() else { return Ok(Opened::Nothing) };
        let (done, longest) = (Arc::clone(&self.done), self.settings.longest);
        let fail = |source| Error::read(&path, source);
        sniff::expect(&path, self.settings.format)?;
        match self.settings.format {
            Format::Warc => {
                let reader = warc::WarcReader::open(&path, longest, done).map_err(fail)?;
                self.open = Open::Warc(path, Box::new(reader));
            }
            Format::Wiki => {
                let reader = wiki::WikiReader::open(&path, longest, done).map_err(fail)?;
                self.open = Open::Wiki(path, Box::new(reader));
            }
            _ => {
                let Some(bytes) = page_file(&path, longest, &done)? else {
                    faults.add("a page is longer than the limit");
                    return Ok(Opened::File);
                };
                let body = Body::Html { bytes, content_type: None };
                let place = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Ok(Opened::Page(Record { body, place, ..Record::default() }));
            }
        }
        Ok(Opened::File)
    }
}

enum Opened {
    Page(Record),
    File,
    Nothing,
}

/// The plain bytes of a page; nothing where there are more than `longest`.
fn page_file(path: &Path, longest: usize, done: &Arc<AtomicU64>) -> Result<Option<Vec<u8>>, Error> {
    let fail = |source| Error::read(path, source);
    let mut members = members::Members::open(path, Arc::clone(done)).map_err(fail)?;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while let Ok(read) = members.read(&mut piece).map_err(fail)? {
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..read]);
        if bytes.len() > longest {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// The plain bytes that a file begins with, at most `length`, whatever it is compressed with.
pub(crate) fn beginning(path: &Path, length: usize) -> Result<Vec<u8>, Error> {
    let fail = |source| Error::read(path, source);
    let members = members::Members::open(path, Arc::default()).map_err(fail)?;
    let mut bytes = Vec::new();
    members::Plain(members).take(length as u64).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}
