//! So many texts of each language, drawn evenly from a stream of unknown length, in one pass.
//!
//! Every text is given a random number, and of each language those with the smallest are the sample: every set of that
//! size is equally likely. A text whose number is not among the smallest so far is passed over; the others are kept,
//! compressed, in a file without a name. At the end each language's largest number is known, and what was kept and is
//! above it is passed over when the file is read. Eight bytes of memory are taken for each text of the sample.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use super::{Counter, TrainError, Worker};

/// Texts are compressed so many bytes at a time.
const BLOCK: usize = 2 << 20;
/// The fastest level that still halves Korean.
const LEVEL: i32 = 1;
/// Bytes before each text of a block: its number, its language, its length.
const HEAD: usize = 8 + 4 + 4;

/// A sample that is being drawn.
pub struct Sample {
    languages: Vec<Language>,
    seed: u64,
    spool: Spool,
    block: Vec<u8>,
}

struct Language {
    name: String,
    wanted: u64,
    met: u64,
    /// The smallest numbers so far.
    numbers: BinaryHeap<u64>,
}

impl Sample {
    /// Draws as many texts of each language as is wanted of it. Texts wait in a file in `folder`, which goes with the
    /// sample.
    ///
    /// # Errors
    /// [`TrainError::Spool`] where there can be no file.
    pub fn new(wanted: &[(String, u64)], seed: u64, folder: &Path) -> Result<Sample, TrainError> {
        let languages = wanted.iter().map(|(name, wanted)| Language {
            name: name.clone(),
            wanted: *wanted,
            met: 0,
            numbers: BinaryHeap::new(),
        });
        let spool = Spool::new(folder)?;
        Ok(Sample { languages: languages.collect(), seed, spool, block: Vec::new() })
    }

    /// Shows the sample its next text. Texts come in an order that is always the same, or the sample differs.
    ///
    /// # Errors
    /// [`TrainError::Spool`] where it cannot be kept.
    pub fn add(&mut self, language: Option<&str>, text: &str) -> Result<(), TrainError> {
        let Some(at) = self.languages.iter().position(|l| Some(l.name.as_str()) == language) else {
            return Ok(());
        };
        let language = &mut self.languages[at];
        let number = random(self.seed, at as u64, language.met);
        language.met += 1;
        if language.numbers.len() as u64 == language.wanted {
            match language.numbers.peek_mut() {
                // What it drives out is still in the file, and is passed over when that is read.
                Some(mut largest) if number < *largest => *largest = number,
                _ => return Ok(()),
            }
        } else {
            language.numbers.push(number);
        }
        let Ok(length) = u32::try_from(text.len()) else {
            let source = io::Error::new(io::ErrorKind::FileTooLarge, "a text of more than 4 GiB");
            return Err(self.spool.error(source));
        };
        self.block.extend_from_slice(&number.to_le_bytes());
        self.block.extend_from_slice(&(at as u32).to_le_bytes());
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(text.as_bytes());
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TrainError> {
        self.spool.write(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// The sample, once all texts were shown.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn finish(mut self) -> Result<Drawn, TrainError> {
        self.flush()?;
        let largest = |l: &Language| l.numbers.peek().copied();
        Ok(Drawn {
            largest: self.languages.iter().map(largest).collect(),
            counts: self.languages.into_iter().map(|l| (l.name, l.numbers.len() as u64, l.met)).collect(),
            spool: self.spool,
        })
    }
}

/// A number for text `index` of a language, by SplitMix64 (Steele et al. 2014) over its place. Two texts of a language
/// never have the same.
fn random(seed: u64, language: u64, index: u64) -> u64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let stream = mix(mix(seed.wrapping_add(STEP)).wrapping_add((language + 1).wrapping_mul(STEP)));
    mix(stream.wrapping_add((index + 1).wrapping_mul(STEP)))
}

/// A sample that was drawn, in blocks.
pub struct Drawn {
    largest: Vec<Option<u64>>,
    counts: Vec<(String, u64, u64)>,
    spool: Spool,
}

impl Drawn {
    /// Each language with how many texts are drawn, and from how many.
    pub fn counts(&self) -> &[(String, u64, u64)] {
        &self.counts
    }

    /// How many blocks the sample is in.
    pub fn blocks(&self) -> usize {
        self.spool.blocks.len()
    }

    /// Counts the words of the sample on `threads` threads. `progress` is told how many blocks are counted, and may end
    /// the work with [`ControlFlow::Break`], which is then returned.
    ///
    /// # Errors
    /// [`TrainError::Memory`] of the counter, [`TrainError::Spool`].
    pub fn count(
        &self,
        counter: &Counter,
        threads: usize,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, TrainError> {
        let next = AtomicUsize::new(0);
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                let (tell, next) = (tell.clone(), &next);
                scope.spawn(move || {
                    let mut worker = counter.worker();
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        // Where nobody listens any more, the work was ended.
                        if block >= self.blocks() || tell.send(self.count_block(block, &mut worker)).is_err()
                        {
                            break;
                        }
                    }
                });
            }
            drop(tell);
            for (counted, done) in told.into_iter().zip(1..) {
                counted?;
                if progress(done).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn count_block(&self, block: usize, worker: &mut Worker<'_>) -> Result<(), TrainError> {
        let mut outcome = Ok(());
        self.each(block, |text| {
            if outcome.is_ok() {
                outcome = worker.add(text);
            }
        })?;
        outcome
    }

    /// Gives each text of a block of the sample to `text`. Blocks may be read by several threads.
    ///
    /// # Errors
    /// [`TrainError::Spool`].
    pub fn each(&self, block: usize, mut text: impl FnMut(&str)) -> Result<(), TrainError> {
        let bytes = self.spool.read(block)?;
        let mut rest = bytes.as_slice();
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let (number, language, length) = (word(&head[..8]), word(&head[8..12]), word(&head[12..]));
            let damaged = || self.spool.error(io::Error::new(io::ErrorKind::InvalidData, "it was changed"));
            let (bytes, next) = after.split_at_checked(length as usize).ok_or_else(damaged)?;
            let largest = *self.largest.get(language as usize).ok_or_else(damaged)?;
            if largest.is_some_and(|largest| number <= largest) {
                text(std::str::from_utf8(bytes).map_err(|_| damaged())?);
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
    fn new(folder: &Path) -> Result<Spool, TrainError> {
        match tempfile::tempfile_in(folder) {
            Ok(file) => Ok(Spool { folder: folder.to_owned(), file: Mutex::new(file), blocks: Vec::new() }),
            Err(source) => Err(TrainError::Spool { folder: folder.to_owned(), source }),
        }
    }

    fn error(&self, source: io::Error) -> TrainError {
        TrainError::Spool { folder: self.folder.clone(), source }
    }

    fn write(&mut self, block: &[u8]) -> Result<(), TrainError> {
        let packed = zstd::bulk::compress(block, LEVEL).map_err(|e| self.error(e))?;
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(&packed);
        written.map_err(|e| self.error(e))?;
        let start = self.blocks.last().map_or(0, |&(end, _)| end);
        self.blocks.push((start + packed.len() as u64, block.len()));
        Ok(())
    }

    fn read(&self, block: usize) -> Result<Vec<u8>, TrainError> {
        let start = block.checked_sub(1).map_or(0, |before| self.blocks[before].0);
        let (end, length) = self.blocks[block];
        let mut packed = vec![0; (end - start) as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut packed));
        drop(file);
        read.and_then(|()| zstd::bulk::decompress(&packed, length)).map_err(|e| self.error(e))
    }
}
