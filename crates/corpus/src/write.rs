//! The fourth step: a shard is made from its pieces. Lines that a host repeats are cut, personal data is masked, text of
//! evaluation sets is dropped or cut, and what is left is put in order and written.

use std::ops::ControlFlow;

use sai_documents::{Columns, Format, Options, Reader, Writer, WrittenFile};
use serde::{Deserialize, Serialize};

use crate::clusters::{Duplicated, Fate};
use crate::error::Error;
use crate::finisher::{Contaminated, Finisher, without_lines};
use crate::hash;
use crate::map::{COLUMNS, Part, first_of};
use crate::mix::{Mixed, Piece};
use crate::plan::{Plan, read_json, write_json};
use crate::recipe::Order;
use crate::tally::{Count, Group, Tally};

/// A shard that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ShardDone {
    print: String,
    pub(crate) file: String,
    pub(crate) documents: u64,
    pub(crate) text: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Of what was written, every copy.
    pub(crate) written: Tally,
    /// What was dropped here, each document once.
    pub(crate) dropped: Tally,
    /// Text of evaluation sets that was found.
    pub(crate) contaminated: Vec<Contaminated>,
}

const CONTAMINATED: &str = "text of an evaluation set";

/// A document that is to be written.
struct Ready {
    order: u64,
    text: String,
    url: Option<String>,
    lang: String,
    source: Option<String>,
    license: Option<String>,
}

impl Plan {
    /// A shard, where it is done.
    pub(crate) fn shard(&self, shard: usize, print: &str) -> Option<ShardDone> {
        let done: ShardDone = read_json(&self.write_file(shard))?;
        let there = self.folder.join(&done.file).metadata().is_ok_and(|found| found.len() == done.bytes);
        (done.print == print && there).then_some(done)
    }
}

/// What shards are written from.
pub(crate) struct Writing<'p> {
    plan: &'p Plan,
    mixed: &'p Mixed,
    parts: &'p [Vec<Part>],
    duplicated: &'p Duplicated,
    print: &'p str,
    /// The number of each unit's first document.
    firsts: Vec<u64>,
}

impl<'p> Writing<'p> {
    pub(crate) fn new(
        plan: &'p Plan,
        mixed: &'p Mixed,
        parts: &'p [Vec<Part>],
        duplicated: &'p Duplicated,
        print: &'p str,
    ) -> Writing<'p> {
        let documents = |of_unit: &Vec<Part>| of_unit.iter().map(|part| part.documents).sum();
        let firsts = first_of(&parts.iter().map(documents).collect::<Vec<u64>>());
        Writing { plan, mixed, parts, duplicated, print, firsts }
    }

    /// Does the fourth step for a shard.
    pub(crate) fn shard(
        &self,
        shard: usize,
        finisher: &Finisher,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<ControlFlow<()>, Error> {
        let Writing { plan, mixed, parts, print, .. } = self;
        let mut done =
            ShardDone { print: (*print).to_owned(), file: plan.shard_name(shard), ..ShardDone::default() };
        let mut ready = Vec::new();
        for piece in &mixed.shards[shard] {
            self.piece(*piece, finisher, &mut done, &mut ready)?;
            if progress(parts[piece.unit][piece.part as usize].bytes).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if plan.recipe.mixture.order == Order::Shuffled {
            ready.sort_by_key(|document| document.order);
        }
        let path = plan.folder.join(&done.file);
        let mut writer = Writer::create(&path, &COLUMNS, plan.recipe.output.format)?;
        for Ready { text, url, lang, source, license, .. } in &ready {
            writer.push(&[Some(text), url.as_deref(), Some(lang), source.as_deref(), license.as_deref()])?;
            done.text += text.len() as u64;
        }
        let WrittenFile { documents, bytes, sha256 } = writer.finish()?;
        (done.documents, done.bytes, done.sha256) = (documents, bytes, sha256);
        write_json(&plan.write_file(shard), &done)?;
        Ok(ControlFlow::Continue(()))
    }

    /// Reads the documents of a piece.
    fn piece(
        &self,
        piece: Piece,
        finisher: &Finisher,
        done: &mut ShardDone,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Error> {
        let Writing { plan, mixed, parts, duplicated, .. } = self;
        let unit = &plan.units[piece.unit];
        let name = &plan.recipe.sources[unit.source].name;
        let weights = plan.weights(mixed);
        let (earlier, later) = parts[piece.unit].split_at(piece.part as usize);
        let before: u64 = earlier.iter().map(|part| part.documents).sum();
        let first = self.firsts[piece.unit] + before;
        let end = before + later.first().map_or(0, |part| part.documents);
        let path = plan.map_file(piece.unit, Some(piece.part), ".parquet");
        let columns = Columns {
            license: Some("license".to_owned()),
            url: Some("url".to_owned()),
            ..Columns::default()
        };
        let options = Options { columns, format: Some(Format::Parquet), ..Options::default() };
        let (mut fates, mut at) = (Vec::new(), 0);
        plan.fates(piece.unit, |rows| {
            for row in rows {
                if (before..end).contains(&at) {
                    fates.push(row);
                }
                at += 1;
            }
            Ok(())
        })?;
        let mut fates = fates.into_iter();
        let mut document = first;
        for batch in Reader::open(vec![path.clone()], options)? {
            for found in batch?.documents() {
                let Some(sorted) = fates.next() else {
                    return Err(Error::file(
                        &path,
                        "it has more documents than the keys that go with it; build it again",
                    ));
                };
                let number = document;
                document += 1;
                let draw = hash::mix(plan.recipe.seed, hash::mix(number, 2));
                let place = found.url.map_or_else(|| format!("{name}, document {number}"), str::to_owned);
                let shown = |tally: &mut Tally, reason: &str, fact: String| {
                    tally.sample(reason, draw, || (place.clone(), fact, found.text.to_owned()));
                };
                if piece.copy == 0 {
                    match sorted.fate {
                        Fate::Exact => shown(
                            &mut done.dropped,
                            "exact duplicate",
                            format!("as document {}", sorted.kept),
                        ),
                        Fate::Near => shown(
                            &mut done.dropped,
                            "near duplicate",
                            format!("nearly document {}", sorted.kept),
                        ),
                        Fate::Stays
                            if duplicated.largest.iter().any(|cluster| cluster.document == number) =>
                        {
                            shown(
                                &mut done.dropped,
                                &format!("cluster {number}"),
                                format!("{} documents", sorted.size),
                            );
                        }
                        Fate::Stays => {}
                    }
                }
                if weights.copies(name, &sorted, number) <= piece.copy {
                    continue;
                }
                let lines_of = &plan.recipe.duplicates.lines;
                let (text, lines) = without_lines(found.text, &sorted.cuts, lines_of.shortest as usize);
                if lines > 0 && (text.chars().count() as u64) < u64::from(lines_of.document_shortest) {
                    if piece.copy == 0 {
                        drop_one(
                            &mut done.dropped,
                            name,
                            "nothing left without repeated lines",
                            found.text.len(),
                        );
                        shown(
                            &mut done.dropped,
                            "nothing left without repeated lines",
                            format!("{lines} lines cut"),
                        );
                    }
                    continue;
                }
                let (text, found_in) = finisher.finish(text, &place);
                if let (Some(first), 0) = (found_in.first(), piece.copy) {
                    if text.is_none() {
                        drop_one(&mut done.dropped, name, CONTAMINATED, found.text.len());
                    }
                    let fact = format!("{}: {}", first.set, first.text);
                    shown(&mut done.dropped, CONTAMINATED, fact);
                    done.contaminated.extend(found_in.iter().cloned());
                }
                let Some(text) = text else { continue };
                let written = &mut done.written;
                written.kept.add(text.len());
                let own = |value: Option<&str>| value.map(str::to_owned);
                let group = Group {
                    source: name.clone(),
                    lang: found.lang.unwrap_or_default().to_owned(),
                    license: found.license.unwrap_or_default().to_owned(),
                };
                written.groups.entry(group).or_default().add(text.len());
                if lines > 0 {
                    *written.changes.entry("repeated lines cut".to_owned()).or_default() += lines;
                }
                if !found_in.is_empty() {
                    *written.changes.entry("text of evaluation sets cut".to_owned()).or_default() +=
                        found_in.len() as u64;
                }
                ready.push(Ready {
                    order: hash::mix(plan.recipe.seed, hash::mix(number, 3 + u64::from(piece.copy))),
                    text,
                    url: own(found.url),
                    lang: found.lang.unwrap_or_default().to_owned(),
                    source: own(found.source).or_else(|| Some(name.clone())),
                    license: own(found.license),
                });
            }
        }
        Ok(())
    }
}

fn drop_one(tally: &mut Tally, source: &str, reason: &str, bytes: usize) {
    tally.dropped.entry(reason.to_owned()).or_default().add(bytes);
    *tally.dropped_of.entry(source.to_owned()).or_default().entry(reason.to_owned()).or_default() += 1;
}

/// A shard in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFile {
    /// Its name.
    pub file: String,
    /// How many documents it has.
    pub documents: u64,
    /// Bytes of their text.
    pub text: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Of the file.
    pub sha256: String,
}

/// What the fourth step came to.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) shards: Vec<ShardFile>,
    pub(crate) written: Tally,
    pub(crate) dropped: Tally,
    pub(crate) contaminated: Vec<Contaminated>,
}

/// Puts together what shards came to.
pub(crate) fn gather(done: Vec<ShardDone>) -> Gathered {
    let mut all = Gathered::default();
    for shard in done {
        all.written.append(&shard.written);
        all.dropped.append(&shard.dropped);
        let ShardDone { file, documents, text, bytes, sha256, contaminated, .. } = shard;
        all.shards.push(ShardFile { file, documents, text, bytes, sha256 });
        all.contaminated.extend(contaminated);
    }
    all
}

/// Documents that were dropped in the fourth step.
pub(crate) fn sum(counts: &std::collections::BTreeMap<String, Count>) -> Count {
    counts.values().fold(Count::default(), |mut sum, count| {
        sum.append(*count);
        sum
    })
}
