//! The third step: documents that are alike, directly or by others, are a cluster (its connected component), and one of
//! them stays.
//!
//! What is held in memory is four bytes a document for its cluster and four for the cluster's size, and four more where the
//! longest stays. Edges come as they lie on the disk, and the outcome does not depend on their order.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::map::{Part, first_of, read_keys};
use crate::plan::{Plan, read_json, write_json};
use crate::recipe::Keep;
use crate::tables::{self, Column, TableWriter, bytes, numbers, unpacked};
use crate::tally::Count;

/// Clusters that the report shows.
const LARGEST: usize = 20;

/// What becomes of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays, and stands for so many.
    #[default]
    Stays,
    /// Another says the same.
    Exact,
    /// Another says nearly the same.
    Near,
}

/// A document after the third step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) fate: Fate,
    /// How many documents its cluster has, itself included.
    pub(crate) size: u64,
    /// The document of the cluster that stays.
    pub(crate) kept: u64,
    /// Bytes of its text.
    pub(crate) length: u64,
    /// Its language.
    pub(crate) lang: String,
    /// Lines that are cut from it, sorted.
    pub(crate) cuts: Vec<u64>,
}

/// A cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The document that stays, by its number in the whole.
    pub document: u64,
    /// How many documents it has.
    pub size: u64,
}

/// What the second and third step came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicated {
    print: String,
    /// Documents that were compared.
    pub documents: u64,
    /// Those that go because another is the same.
    pub exact: Count,
    /// Those that go because another is nearly the same.
    pub near: Count,
    /// Clusters of two and more, by size.
    pub sizes: std::collections::BTreeMap<u64, u64>,
    /// The largest.
    pub largest: Vec<Cluster>,
    /// Lines that are cut, in all documents together.
    pub lines: u64,
}

fn columns() -> Vec<Column> {
    vec![
        Column::Numbers("fate", Vec::new()),
        Column::Numbers("size", Vec::new()),
        Column::Numbers("kept", Vec::new()),
        Column::Numbers("length", Vec::new()),
        Column::Bytes("lang", Vec::new()),
        Column::Bytes("cuts", Vec::new()),
    ]
}

/// Sets of documents that grow together. Each is known by its first.
struct Sets(Vec<u32>);

impl Sets {
    fn find(&mut self, mut at: u32) -> u32 {
        while self.0[at as usize] != at {
            let above = self.0[self.0[at as usize] as usize];
            self.0[at as usize] = above;
            at = above;
        }
        at
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

impl Plan {
    /// The outcome of the second and third step, where they are done.
    pub(crate) fn duplicated(&self) -> Option<Duplicated> {
        let print = self.keys_print();
        let done: Duplicated = read_json(&self.work().join("keys.json"))?;
        (done.print == print).then_some(done)
    }

    /// Does the second and the third step.
    pub(crate) fn sort_out(
        &self,
        parts: &[Vec<Part>],
        memory: u64,
        threads: usize,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<ControlFlow<(), Duplicated>, Error> {
        let of_units: Vec<u64> =
            parts.iter().map(|of_unit| of_unit.iter().map(|part| part.documents).sum()).collect();
        let documents: u64 = of_units.iter().sum();
        let longest = self.recipe.duplicates.keep == Keep::Longest;
        let need = documents * if longest { 16 } else { 9 };
        if need > memory || documents >= u64::from(u32::MAX) {
            return Err(Error::Memory {
                what: "clustering",
                need,
                given: memory,
                way_out: "give more with --memory, or build the corpus in parts",
            });
        }
        let firsts = first_of(&of_units);
        let joined = match self.join(
            parts,
            &firsts,
            memory.saturating_sub(need).max(memory / 8),
            threads,
            progress,
        )? {
            ControlFlow::Continue(joined) => joined,
            ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
        };
        let mut sets = Sets((0..documents as u32).collect());
        let mut same = vec![0u64; documents.div_ceil(64) as usize];
        joined.edges(|edge| {
            sets.join(edge.first as u32, edge.other as u32);
            if edge.exact {
                same[edge.other as usize / 64] |= 1 << (edge.other % 64);
            }
        })?;
        let mut sizes = vec![0u32; documents as usize];
        for document in 0..documents as u32 {
            sizes[sets.find(document) as usize] += 1;
        }
        let stays = if longest { Some(self.longest(parts, &mut sets)?) } else { None };
        let mut outcome = Duplicated { print: self.keys_print(), documents, ..Duplicated::default() };
        for cuts in &joined.cuts {
            let lines = cuts.read()?;
            outcome.lines += lines.len() as u64;
            let mut lines = lines.into_iter().peekable();
            for unit in cuts.units.clone() {
                let mut document = firsts[unit];
                let mut table = TableWriter::create(&self.fates_file(unit), &columns())?;
                for part in 0..parts[unit].len() {
                    read_keys(&self.map_file(unit, Some(part as u32), ".keys"), |keys| {
                        let mut rows = columns();
                        for (row, &length) in numbers(&keys[2]).iter().enumerate() {
                            let root = sets.find(document as u32);
                            let size = u64::from(sizes[root as usize]);
                            let kept = stays.as_ref().map_or(root, |stays| stays[root as usize].1);
                            let is_same = same[document as usize / 64] >> (document % 64) & 1 == 1;
                            let fate = match u64::from(kept) == document {
                                true => 0,
                                false if is_same => 1,
                                false => 2,
                            };
                            match fate {
                                0 if size > 1 => outcome.cluster(document, size),
                                1 => outcome.exact.add(length as usize),
                                2 => outcome.near.add(length as usize),
                                _ => {}
                            }
                            let mut cut = Vec::new();
                            while let Some((_, line)) = lines.next_if(|&(of, _)| of <= document) {
                                cut.push(line);
                            }
                            let values = [fate, size, u64::from(kept), length];
                            for (column, value) in rows.iter_mut().zip(values) {
                                if let Column::Numbers(_, values) = column {
                                    values.push(value);
                                }
                            }
                            if let Column::Bytes(_, values) = &mut rows[4] {
                                values.push(bytes(&keys[3])[row].clone());
                            }
                            if let Column::Bytes(_, values) = &mut rows[5] {
                                values.push(tables::packed(&cut));
                            }
                            document += 1;
                        }
                        table.push(&rows)
                    })?;
                }
                table.finish()?;
                if progress(u64::MAX).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        // What was dealt is not needed any more.
        let keys = self.work().join("keys");
        std::fs::remove_dir_all(&keys).map_err(|source| Error::write(&keys, source))?;
        std::fs::create_dir_all(&keys).map_err(|source| Error::write(&keys, source))?;
        write_json(&self.work().join("keys.json"), &outcome)?;
        Ok(ControlFlow::Continue(outcome))
    }

    /// Of each cluster, by its first document, the length of the longest and which that is.
    fn longest(&self, parts: &[Vec<Part>], sets: &mut Sets) -> Result<Vec<(u32, u32)>, Error> {
        let mut longest = vec![(0, u32::MAX); sets.0.len()];
        let mut document = 0;
        for (unit, of_unit) in parts.iter().enumerate() {
            for part in 0..of_unit.len() {
                read_keys(&self.map_file(unit, Some(part as u32), ".keys"), |keys| {
                    for &length in numbers(&keys[2]) {
                        let length = u32::try_from(length).unwrap_or(u32::MAX);
                        let so_far = &mut longest[sets.find(document) as usize];
                        if so_far.1 == u32::MAX || length > so_far.0 {
                            *so_far = (length, document);
                        }
                        document += 1;
                    }
                    Ok(())
                })?;
            }
        }
        Ok(longest)
    }

    /// Gives the documents of a unit after the third step to `take`, some at a time, in their order.
    pub(crate) fn fates(
        &self,
        unit: usize,
        mut take: impl FnMut(Vec<Sorted>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        tables::read(&self.fates_file(unit), &columns(), |rows| {
            let [fates, sizes, kept, lengths] = [0, 1, 2, 3].map(|at| numbers(&rows[at]));
            let (langs, cuts) = (bytes(&rows[4]), bytes(&rows[5]));
            let sorted = (0..fates.len()).map(|row| Sorted {
                fate: [Fate::Stays, Fate::Exact, Fate::Near][fates[row].min(2) as usize],
                size: sizes[row],
                kept: kept[row],
                length: lengths[row],
                lang: String::from_utf8_lossy(&langs[row]).into_owned(),
                cuts: unpacked(&cuts[row]).collect(),
            });
            take(sorted.collect())
        })
    }
}

impl Duplicated {
    fn cluster(&mut self, document: u64, size: u64) {
        *self.sizes.entry(size).or_default() += 1;
        let at = self
            .largest
            .partition_point(|other| (other.size, u64::MAX - other.document) > (size, u64::MAX - document));
        self.largest.insert(at, Cluster { document, size });
        self.largest.truncate(LARGEST);
    }
}
