//! The second step: which hashes and bands meet, and which lines a host repeats. Keys move, and no text.
//!
//! Keys are dealt into partitions on the disk by their first bits, so many that the different keys of one fit into the
//! memory that there is. Those of a partition come in the order of their documents, so the first with a key is known, and
//! each that follows is joined to it: a run of a million equal ones costs a line of a table, and no more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxBuildHasher;

use crate::error::Error;
use crate::hash;
use crate::map::{Part, read_keys};
use crate::plan::Plan;
use crate::tables::{bytes, numbers, unpacked};

/// About what a different key takes in a table of them: the key, the document, and the room that tables leave.
const TAKES: u64 = 40;
/// Partitions at most: so many files are open at once.
const PARTITIONS: u64 = 512;
/// Which of two documents with the same key is joined to the other by what: the last bit of the second.
const NEAR: u64 = 1;

/// Two documents that are alike: the first of all with their key, and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) first: u64,
    pub(crate) other: u64,
    /// Whether their texts are the same, and not only nearly.
    pub(crate) exact: bool,
}

/// What the second step made: a file of edges, and for each run of units a file of the lines that are cut from them.
pub(crate) struct Joined {
    edges: PathBuf,
    pub(crate) cuts: Vec<Cuts>,
}

/// The lines that are cut from the documents of some units.
pub(crate) struct Cuts {
    /// The units.
    pub(crate) units: std::ops::Range<usize>,
    path: PathBuf,
}

impl Cuts {
    /// Document and line, sorted.
    pub(crate) fn read(&self) -> Result<Vec<(u64, u64)>, Error> {
        let mut cuts = Vec::new();
        each::<2>(&self.path, |[document, line]| {
            cuts.push((document, line));
            Ok(())
        })?;
        cuts.sort_unstable();
        Ok(cuts)
    }
}

impl Joined {
    /// Gives every edge to `take`.
    pub(crate) fn edges(&self, mut take: impl FnMut(Edge)) -> Result<(), Error> {
        each::<2>(&self.edges, |[first, other]| {
            take(Edge { first, other: other >> 1, exact: other & NEAR == 0 });
            Ok(())
        })
    }
}

/// Rows of numbers that are written to several files.
struct Dealer<const N: usize> {
    files: Vec<Mutex<BufWriter<File>>>,
    paths: Vec<PathBuf>,
}

impl<const N: usize> Dealer<N> {
    fn create(folder: &Path, name: &str, count: usize, memory: u64) -> Result<Dealer<N>, Error> {
        let buffer = (memory / 4 / count.max(1) as u64).clamp(4096, 1 << 18);
        let paths: Vec<PathBuf> = (0..count).map(|at| folder.join(format!("{name}-{at:04}"))).collect();
        let create = |path: &PathBuf| {
            let file = File::create(path).map_err(|source| Error::write(path, source))?;
            Ok(Mutex::new(BufWriter::with_capacity(buffer as usize, file)))
        };
        let files = paths.iter().map(create).collect::<Result<_, Error>>()?;
        Ok(Dealer { files, paths })
    }

    fn push(&self, at: usize, row: [u64; N]) -> Result<(), Error> {
        let mut file = self.files[at].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = row.iter().try_for_each(|number| file.write_all(&number.to_le_bytes()));
        written.map_err(|source| Error::write(&self.paths[at], source))
    }

    fn finish(self) -> Result<Vec<PathBuf>, Error> {
        for (file, path) in self.files.into_iter().zip(&self.paths) {
            let mut file = file.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.flush().map_err(|source| Error::write(path, source))?;
        }
        Ok(self.paths)
    }
}

/// Reads rows of numbers.
fn each<const N: usize>(
    path: &Path,
    mut take: impl FnMut([u64; N]) -> Result<(), Error>,
) -> Result<(), Error> {
    let fail = |source| Error::read(path, source);
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(fail)?);
    let mut row = [0; N];
    loop {
        for (at, number) in row.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            match file.read_exact(&mut bytes) {
                Ok(()) => *number = u64::from_le_bytes(bytes),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && at == 0 => return Ok(()),
                Err(e) => return Err(fail(e)),
            }
        }
        take(row)?;
    }
}

/// How many partitions keys are dealt into, so that a table of one fits beside those of the other threads.
fn partitions(keys: u64, memory: u64, threads: usize) -> usize {
    let room = (memory / 2 / threads.max(1) as u64).max(1 << 20);
    (keys * TAKES).div_ceil(room).clamp(1, PARTITIONS) as usize
}

/// The partition of a key.
fn of_key(key: u64, count: usize) -> usize {
    ((u128::from(key) * count as u128) >> 64) as usize
}

impl Plan {
    /// Does the second step. `parts` are those of each unit, `firsts` the number of each unit's first document.
    pub(crate) fn join(
        &self,
        parts: &[Vec<Part>],
        firsts: &[u64],
        memory: u64,
        threads: usize,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<ControlFlow<(), Joined>, Error> {
        let folder = self.work().join("keys");
        let duplicates = &self.recipe.duplicates;
        let documents: u64 = parts.iter().flatten().map(|part| part.documents).sum();
        let lines: u64 = parts.iter().flatten().map(|part| part.lines).sum();
        let bands = duplicates.minhash.map_or(0, |options| options.bands as u64);
        let keys = documents * (bands + u64::from(duplicates.exact));
        let met = Dealer::<2>::create(&folder, "met", partitions(keys, memory, threads), memory / 2)?;
        let cut_lines = duplicates.lines.documents > 0;
        let said = Dealer::<3>::create(&folder, "lines", partitions(lines, memory, threads), memory / 2)?;
        let mut document = 0;
        let mut read = 0;
        for (unit, of_unit) in parts.iter().enumerate() {
            for (number, part) in of_unit.iter().enumerate() {
                let path = self.map_file(unit, Some(number as u32), ".keys");
                read_keys(&path, |columns| {
                    let [hashes, hosts] = [&columns[0], &columns[1]].map(numbers);
                    let [bands, lines] = [&columns[4], &columns[5]].map(bytes);
                    for (row, &key) in hashes.iter().enumerate() {
                        if duplicates.exact {
                            met.push(of_key(key, met.files.len()), [key, document << 1])?;
                        }
                        for (band, key) in unpacked(&bands[row]).enumerate() {
                            // The same number in another band is another key.
                            let key = hash::mix(key, band as u64 + 1);
                            met.push(of_key(key, met.files.len()), [key, document << 1 | NEAR])?;
                        }
                        if cut_lines && hosts[row] != 0 {
                            for line in unpacked(&lines[row]) {
                                let key = hash::mix(hosts[row], line);
                                said.push(of_key(key, said.files.len()), [key, document, line])?;
                            }
                        }
                        document += 1;
                    }
                    Ok(())
                })?;
                read += part.bytes;
                if progress(read).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        let (met, said) = (met.finish()?, said.finish()?);
        let edges = Dealer::<2>::create(&folder, "edges", 1, memory)?;
        let flow = over(&met, threads, progress, read, |path| {
            let mut first: HashMap<u64, u64, FxBuildHasher> = HashMap::default();
            each::<2>(path, |[key, document]| {
                match first.entry(key ^ (document & NEAR)) {
                    Entry::Vacant(entry) => {
                        entry.insert(document >> 1);
                    }
                    Entry::Occupied(entry) => edges.push(0, [*entry.get(), document])?,
                }
                Ok(())
            })
        })?;
        if flow.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let edges = edges.finish()?.remove(0);
        // Lines are cut from a run of units at a time: as many as have no more lines than there is memory.
        let mut runs: Vec<(std::ops::Range<usize>, u64)> = Vec::new();
        for (unit, of_unit) in parts.iter().enumerate() {
            let lines: u64 = of_unit.iter().map(|part| part.lines).sum();
            match runs.last_mut() {
                Some((run, sum)) if (*sum + lines) * 32 <= memory / 2 => {
                    run.end = unit + 1;
                    *sum += lines;
                }
                _ => runs.push((unit..unit + 1, lines)),
            }
        }
        let cuts = Dealer::<2>::create(&folder, "cuts", runs.len(), memory)?;
        let run_of = |document: u64| {
            let unit = firsts.partition_point(|&first| first <= document) - 1;
            runs.partition_point(|(run, _)| run.end <= unit)
        };
        let most = duplicates.lines.documents;
        let flow = over(&said, threads, progress, read, |path| {
            let mut times: HashMap<u64, u32, FxBuildHasher> = HashMap::default();
            each::<3>(path, |[key, ..]| {
                let times = times.entry(key).or_default();
                *times = times.saturating_add(1);
                Ok(())
            })?;
            each::<3>(path, |[key, document, line]| match times.get(&key) {
                Some(&times) if times > most => cuts.push(run_of(document), [document, line]),
                _ => Ok(()),
            })
        })?;
        if flow.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let runs = runs.into_iter().map(|(units, _)| units);
        let cuts = runs.zip(cuts.finish()?).map(|(units, path)| Cuts { units, path }).collect();
        for path in met.iter().chain(&said) {
            std::fs::remove_file(path).map_err(|source| Error::write(path, source))?;
        }
        Ok(ControlFlow::Continue(Joined { edges, cuts }))
    }
}

/// Does `work` for each path on `threads` threads.
fn over(
    paths: &[PathBuf],
    threads: usize,
    progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    read: u64,
    work: impl Fn(&Path) -> Result<(), Error> + Sync,
) -> Result<ControlFlow<()>, Error> {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(path)?;
            if progress(read).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    let done: Vec<Result<ControlFlow<()>, Error>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.clamp(1, paths.len().max(1))).map(|_| scope.spawn(run)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().map(join).collect()
    });
    let done = done.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(if done.iter().any(ControlFlow::is_break) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    })
}
