//! The first step: the records of a unit become clean documents and their keys, a part after another.
//!
//! A part ends at a block of records, so that a build that was killed goes on behind the last part that is whole, without
//! working on anything before it. Nothing of a part depends on the number of threads, or on which machine made it.

use std::ops::ControlFlow;
use std::path::Path;

use sai_documents::{Writer, WrittenAs, ordered};
use serde::{Deserialize, Serialize};

use crate::cleaner::{Clean, Cleaner};
use crate::error::Error;
use crate::hash;
use crate::plan::{Plan, Unit, read_json, write_json};
use crate::sources::{Block, Reading};
use crate::tables::{self, Column, TableWriter};
use crate::tally::{Group, Tally};

/// A part ends when its documents have so many bytes of text, or its records so many of whatever they hold.
const PART: u64 = 16 << 20;
const RECORDS: u64 = 256 << 20;
/// The columns of clean documents.
pub(crate) const COLUMNS: [&str; 5] = ["text", "url", "lang", "source", "license"];

/// A part of a unit that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    print: String,
    /// Blocks of records that it was made of.
    blocks: u64,
    /// Documents that stayed.
    pub(crate) documents: u64,
    /// Bytes of their text.
    pub(crate) bytes: u64,
    /// Their lines that hosts may repeat.
    pub(crate) lines: u64,
    pub(crate) tally: Tally,
}

/// A unit that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UnitDone {
    print: String,
    /// How many parts it has.
    pub(crate) parts: u32,
}

/// The columns of keys, empty.
pub(crate) fn key_columns() -> Vec<Column> {
    vec![
        Column::Numbers("hash", Vec::new()),
        Column::Numbers("host", Vec::new()),
        Column::Numbers("length", Vec::new()),
        Column::Bytes("lang", Vec::new()),
        Column::Bytes("bands", Vec::new()),
        Column::Bytes("lines", Vec::new()),
    ]
}

impl Plan {
    /// The parts of a unit, where it is done.
    pub(crate) fn parts(&self, unit: usize) -> Option<Vec<Part>> {
        let print = self.map_print(&self.units[unit]);
        let done: UnitDone =
            read_json(&self.map_file(unit, None, ".json")).filter(|done: &UnitDone| done.print == print)?;
        let parts = (0..done.parts).map(|part| self.part(unit, part, &print));
        parts.collect()
    }

    /// A part, where it is done.
    fn part(&self, unit: usize, part: u32, print: &str) -> Option<Part> {
        let there = |end: &str| self.map_file(unit, Some(part), end).is_file();
        let found: Part = read_json(&self.map_file(unit, Some(part), ".json"))?;
        (found.print == print && there(".parquet") && there(".keys")).then_some(found)
    }

    /// Does the first step for a unit on `threads` threads. `progress` is told how many bytes of the unit's files are read,
    /// and may end the work; what is whole by then stays.
    pub(crate) fn map(
        &self,
        number: usize,
        threads: usize,
        cleaner: &(dyn Fn() -> Cleaner + Sync),
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<ControlFlow<()>, Error> {
        let unit = &self.units[number];
        let print = self.map_print(unit);
        let mut made = Vec::new();
        while let Some(part) = self.part(number, made.len() as u32, &print) {
            made.push(part);
        }
        let files = unit.files.iter().map(|file| file.path.clone()).collect();
        let mut reading = Reading::open(files, self.settings(unit))?;
        for _ in 0..made.iter().map(|part| part.blocks).sum() {
            let Some(block) = reading.next_block() else { break };
            drop(block?);
            if progress(reading.bytes_done()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let source = &self.recipe.sources[unit.source];
        let mut parts = made.len() as u32;
        let mut open: Option<OpenPart> = None;
        let next = || reading.next_block().map(|block| block.map(|block| (block, reading.bytes_done())));
        let work = |cleaner: &mut Cleaner, (block, done): (Block, u64)| {
            let (records, faults) = block.take()?;
            let mut tally = Tally { faults, ..Tally::default() };
            let mut documents = Vec::new();
            for record in records {
                let place = match &record.url {
                    Some(url) => url.clone(),
                    None => format!("{}, {}", source.name, record.place),
                };
                documents.extend(cleaner.clean(record, source, &place, &mut tally));
            }
            Ok((documents, tally, done))
        };
        let take = |(documents, tally, done): (Vec<Clean>, Tally, u64)| {
            let part = match &mut open {
                Some(part) => part,
                None => open.insert(OpenPart::begin(self, number, parts, &print)?),
            };
            part.add(&documents, &tally, &source.name)?;
            if part.is_full() {
                open.take().map_or(Ok(()), |part| part.finish(self, number, parts))?;
                parts += 1;
            }
            Ok(progress(done))
        };
        let flow = ordered(threads, next, cleaner, work, take, Error::Threads)?;
        if flow.is_break() {
            return Ok(flow);
        }
        if let Some(part) = open {
            part.finish(self, number, parts)?;
            parts += 1;
        }
        write_json(&self.map_file(number, None, ".json"), &UnitDone { print, parts })?;
        Ok(ControlFlow::Continue(()))
    }
}

/// A part in the making.
struct OpenPart {
    done: Part,
    documents: Writer,
    keys: TableWriter,
}

impl OpenPart {
    fn begin(plan: &Plan, unit: usize, part: u32, print: &str) -> Result<OpenPart, Error> {
        let path = |end: &str| plan.map_file(unit, Some(part), end);
        Ok(OpenPart {
            done: Part { print: print.to_owned(), ..Part::default() },
            documents: Writer::create(&path(".parquet"), &COLUMNS, WrittenAs::Parquet)?,
            keys: TableWriter::create(&path(".keys"), &key_columns())?,
        })
    }

    fn is_full(&self) -> bool {
        self.done.bytes >= PART || self.done.tally.read.bytes >= RECORDS
    }

    fn add(&mut self, documents: &[Clean], tally: &Tally, source: &str) -> Result<(), Error> {
        self.done.blocks += 1;
        self.done.tally.append(tally);
        let some = |text: &str| (!text.is_empty()).then_some(text.to_owned());
        for document in documents {
            let Clean { text, url, lang, source: from, license, .. } = document;
            let (license_of, from) = (some(license), some(from));
            self.documents.push(&[
                Some(text),
                url.as_deref(),
                Some(lang),
                from.as_deref(),
                license_of.as_deref(),
            ])?;
            self.done.documents += 1;
            self.done.bytes += text.len() as u64;
            self.done.lines += document.lines.len() as u64;
            self.done.tally.kept.add(text.len());
            let group = Group { source: source.to_owned(), lang: lang.clone(), license: license.clone() };
            self.done.tally.groups.entry(group).or_default().add(text.len());
        }
        let of = |value: fn(&Clean) -> u64| documents.iter().map(value).collect::<Vec<u64>>();
        let packed = |value: fn(&Clean) -> Vec<u8>| documents.iter().map(value).collect::<Vec<_>>();
        self.keys.push(&[
            Column::Numbers("hash", of(|d| d.hash)),
            Column::Numbers(
                "host",
                of(|d| d.host.as_deref().map_or(0, |host| hash::of(host.as_bytes()) | 1)),
            ),
            Column::Numbers("length", of(|d| d.text.len() as u64)),
            Column::Bytes("lang", packed(|d| d.lang.clone().into_bytes())),
            Column::Bytes("bands", packed(|d| tables::packed(&d.bands))),
            Column::Bytes("lines", packed(|d| tables::packed(&d.lines))),
        ])
    }

    /// Everything of the part is on the disk before it is said to be done.
    fn finish(self, plan: &Plan, unit: usize, part: u32) -> Result<(), Error> {
        self.documents.finish()?;
        self.keys.finish()?;
        write_json(&plan.map_file(unit, Some(part), ".json"), &self.done)
    }
}

/// Reads the keys of a part, and gives the columns of some documents at a time, in their order.
pub(crate) fn read_keys(
    path: &Path,
    take: impl FnMut(Vec<Column>) -> Result<(), Error>,
) -> Result<(), Error> {
    tables::read(path, &key_columns(), take)
}

/// The place in the whole of a unit's first document.
pub(crate) fn first_of(documents: &[u64]) -> Vec<u64> {
    documents.iter().scan(0, |before, &count| Some(std::mem::replace(before, *before + count))).collect()
}

impl Unit {
    /// A name for a person: its first file.
    pub fn name(&self) -> String {
        let first = self.files.first().map_or_else(String::new, |file| file.path.display().to_string());
        match self.files.len() {
            0 | 1 => first,
            more => format!("{first} and {} more", more - 1),
        }
    }
}
