//! Some of the texts of each group, drawn evenly from a stream of unknown length, in one pass.
//!
//! Every text is given a random number, and of each group those with the smallest are the sample: every set of that
//! size is equally likely. A text whose number is not among the smallest so far is passed over; the others are kept,
//! compressed, in a file without a name. At the end each group's largest number is known, and what was kept and is
//! above it is passed over when the file is read. Sixteen bytes of memory are taken for each text of the sample.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use crate::error::Error;
use crate::random;

/// Texts are compressed so many bytes at a time.
const BLOCK: usize = 2 << 20;
/// The fastest level that still halves Korean.
const LEVEL: i32 = 1;
/// Bytes before each text of a block: its number, its group, its length.
const HEAD: usize = 8 + 4 + 4;

/// How much of a group is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSize {
    /// Everything.
    All,
    /// So many texts.
    Texts(u64),
    /// As few texts as have so many bytes.
    Bytes(u64),
}

/// A sample that is being drawn.
pub struct DocumentSampler {
    groups: Vec<Group>,
    seed: u64,
    spool: Spool,
    block: Vec<u8>,
}

struct Group {
    take: SampleSize,
    met: u64,
    /// The smallest numbers so far, each with the length of its text.
    numbers: BinaryHeap<(u64, u32)>,
    bytes: u64,
}

impl Group {
    /// Shows the group its next text; whether it is in the sample so far.
    fn take(&mut self, number: u64, length: u32) -> bool {
        self.numbers.push((number, length));
        self.bytes += u64::from(length);
        // What is driven out is still in the file, and is passed over when that is read.
        let mut stays = true;
        while let Some(&(largest, length)) = self.numbers.peek() {
            let enough = match self.take {
                SampleSize::All => false,
                SampleSize::Texts(wanted) => self.numbers.len() as u64 > wanted,
                SampleSize::Bytes(wanted) => self.bytes - u64::from(length) >= wanted,
            };
            if !enough {
                break;
            }
            self.numbers.pop();
            self.bytes -= u64::from(length);
            stays &= largest != number;
        }
        stays
    }
}

impl DocumentSampler {
    /// Draws from each group what `wanted` says of it. Texts wait in a file in `folder`, which goes with the sample.
    ///
    /// # Errors
    /// [`Error::Spool`] where there can be no file.
    pub fn new(wanted: &[SampleSize], seed: u64, folder: &Path) -> Result<DocumentSampler, Error> {
        let group = |take: &SampleSize| Group { take: *take, met: 0, numbers: BinaryHeap::new(), bytes: 0 };
        let spool = Spool::new(folder)?;
        Ok(DocumentSampler { groups: wanted.iter().map(group).collect(), seed, spool, block: Vec::new() })
    }

    /// Shows the sample the next text, of a group that `wanted` has. Texts come in an order that is always the same, or
    /// the sample differs.
    ///
    /// # Errors
    /// [`Error::Spool`] where it cannot be kept.
    pub fn add(&mut self, at: usize, text: &str) -> Result<(), Error> {
        let Ok(length) = u32::try_from(text.len()) else {
            let source = io::Error::new(io::ErrorKind::FileTooLarge, "a text of more than 4 GiB");
            return Err(self.spool.error(source));
        };
        let group = &mut self.groups[at];
        let number = random::at(self.seed, at as u64, group.met);
        group.met += 1;
        if !group.take(number, length) {
            return Ok(());
        }
        self.block.extend_from_slice(&number.to_le_bytes());
        self.block.extend_from_slice(&(at as u32).to_le_bytes());
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(text.as_bytes());
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.spool.write(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// The sample, once all texts were shown.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn finish(mut self) -> Result<SampledDocuments, Error> {
        self.flush()?;
        Ok(SampledDocuments {
            largest: self.groups.iter().map(|g| g.numbers.peek().map(|&(number, _)| number)).collect(),
            counts: self.groups.iter().map(|g| (g.numbers.len() as u64, g.met)).collect(),
            spool: self.spool,
        })
    }
}

/// A sample that was drawn, in blocks.
pub struct SampledDocuments {
    largest: Vec<Option<u64>>,
    counts: Vec<(u64, u64)>,
    spool: Spool,
}

impl SampledDocuments {
    /// Of each group how many texts are drawn, and from how many.
    pub fn counts(&self) -> &[(u64, u64)] {
        &self.counts
    }

    /// How many blocks the sample is in.
    pub fn blocks(&self) -> usize {
        self.spool.blocks.len()
    }

    /// Gives the texts of the sample to `work` on `threads` threads, each with what `worker` makes for it. `progress` is
    /// told how many blocks are done, and may end the work with [`ControlFlow::Break`], which is then returned.
    ///
    /// # Errors
    /// The first of `work`; [`Error::Spool`].
    pub fn spread<W, E: From<Error> + Send>(
        &self,
        threads: usize,
        worker: impl Fn() -> W + Sync,
        work: impl Fn(&mut W, &str) -> Result<(), E> + Sync,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, E> {
        let next = AtomicUsize::new(0);
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                let (tell, next, worker, work) = (tell.clone(), &next, &worker, &work);
                scope.spawn(move || {
                    let mut worker = worker();
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        if block >= self.blocks() {
                            break;
                        }
                        let done = self.each(block, |_, text| work(&mut worker, text));
                        // Where nobody listens any more, the work was ended.
                        if tell.send(done).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(tell);
            for (worked, done) in told.into_iter().zip(1..) {
                worked?;
                if progress(done).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Gives each text of a block of the sample, with its group, to `take`, until that fails. Blocks may be read by
    /// several threads.
    ///
    /// # Errors
    /// Those of `take`; [`Error::Spool`].
    pub fn each<E: From<Error>>(
        &self,
        block: usize,
        mut take: impl FnMut(usize, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = self.spool.read(block)?;
        let mut rest = bytes.as_slice();
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let (number, group, length) = (word(&head[..8]), word(&head[8..12]), word(&head[12..]));
            let damaged = || self.spool.error(io::Error::new(io::ErrorKind::InvalidData, "it was changed"));
            let (bytes, next) = after.split_at_checked(length as usize).ok_or_else(damaged)?;
            let largest = *self.largest.get(group as usize).ok_or_else(damaged)?;
            if largest.is_some_and(|largest| number <= largest) {
                take(group as usize, std::str::from_utf8(bytes).map_err(|_| damaged())?)?;
            }
            rest = next;
        }
        Ok(())
    }
}

/// Up to eight bytes as a number, the lowest first.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Compressed blocks in a file that has no name.
struct Spool {
    folder: PathBuf,
    file: Mutex<File>,
    /// Where each block ends, and its length before compression.
    blocks: Vec<(u64, usize)>,
}

impl Spool {
    fn new(folder: &Path) -> Result<Spool, Error> {
        match tempfile::tempfile_in(folder) {
            Ok(file) => Ok(Spool { folder: folder.to_owned(), file: Mutex::new(file), blocks: Vec::new() }),
            Err(source) => Err(Error::Spool { folder: folder.to_owned(), source }),
        }
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Spool { folder: self.folder.clone(), source }
    }

    fn write(&mut self, block: &[u8]) -> Result<(), Error> {
        let packed = zstd::bulk::compress(block, LEVEL).map_err(|e| self.error(e))?;
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(&packed);
        written.map_err(|e| self.error(e))?;
        let start = self.blocks.last().map_or(0, |&(end, _)| end);
        self.blocks.push((start + packed.len() as u64, block.len()));
        Ok(())
    }

    fn read(&self, block: usize) -> Result<Vec<u8>, Error> {
        let start = block.checked_sub(1).map_or(0, |before| self.blocks[before].0);
        let (end, length) = self.blocks[block];
        let mut packed = vec![0; (end - start) as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut packed));
        drop(file);
        read.and_then(|()| zstd::bulk::decompress(&packed, length)).map_err(|e| self.error(e))
    }
}
