//! The files of a corpus, read and decompressed on threads of their own, in an order that is always the same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::{Batch, FileCounts};
use crate::cut::{Cutter, Piece};
use crate::error::{Error, Place};
use crate::options::{Format, Options};
use crate::parse::{Collector, too_long};
use crate::source::{self, Source};
use crate::spares::Spares;

/// How many blocks wait between a file and who asks for them.
const QUEUE: usize = 4;

/// Some documents of a file, read and decompressed, not yet taken apart.
#[derive(Debug)]
pub struct Raw {
    path: Arc<PathBuf>,
    options: Arc<Options>,
    spares: Arc<Spares>,
    tally: Arc<Tally>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Lines of objects.
    Objects {
        first: u64,
        bytes: Vec<u8>,
    },
    /// Lines that stay as they are.
    Lines {
        first: u64,
        bytes: Vec<u8>,
    },
    Text {
        first: u64,
        bytes: Vec<u8>,
    },
    TooLong(Place),
    Ready(Batch),
    /// The file's end: no documents, but all of it is handed out now.
    End,
}

impl Raw {
    /// The documents in it. This is where JSON is taken apart, on the thread that calls.
    ///
    /// # Errors
    /// A document that is none, unless broken ones are passed over.
    pub fn parse(self) -> Result<Batch, Error> {
        // A file that is a document says nothing of itself by being broken.
        let one = self.options.separator.is_none()
            && matches!(self.body, Body::Text { .. } | Body::TooLong(Place::Document(_)));
        let mut collector = Collector::new(self.path, &self.options);
        match self.body {
            Body::Objects { first, bytes } => {
                collector.objects(&bytes, first)?;
                self.spares.give(bytes, self.options.block);
            }
            Body::Lines { first, bytes } => {
                collector.texts(&bytes, first, Some("\n"), Place::Line)?;
                self.spares.give(bytes, self.options.block);
            }
            Body::Text { first, bytes } => {
                collector.texts(&bytes, first, self.options.separator.as_deref(), Place::Document)?;
                self.spares.give(bytes, self.options.block);
            }
            Body::TooLong(place) => collector.broken(place, too_long(self.options.longest))?,
            Body::Ready(batch) => collector.batch = batch,
            Body::End => {}
        }
        self.tally.add(&collector.batch, one)?;
        Ok(collector.batch)
    }
}

/// What the blocks of a file came to, whichever threads take them apart, and how many are not taken apart, the end among
/// them.
#[derive(Debug, Default)]
struct Tally(Mutex<(u64, FileCounts)>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, (u64, FileCounts)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more block is on its way.
    fn expect(&self) {
        self.lock().0 += 1;
    }

    /// Counts a block's documents, but where the whole file is `one`. With the last block of a file it is looked at
    /// whether most of it is broken.
    fn add(&self, batch: &Batch, one: bool) -> Result<(), Error> {
        let (waiting, counts) = &mut *self.lock();
        *waiting -= 1;
        if !one {
            counts.add(batch.len() as u64, batch.broken());
        }
        if *waiting == 0 { counts.check(batch.path()) } else { Ok(()) }
    }
}

/// Reads files. Gives [`Raw`] blocks by [`Reader::next_raw`], and as an iterator [`Batch`]es.
#[derive(Debug)]
pub struct Reader {
    /// A queue for each file that is read beside others; `None` where one has ended.
    streams: Vec<Option<Receiver<Result<Raw, Error>>>>,
    turn: usize,
    done: Arc<AtomicU64>,
    total: u64,
}

impl Reader {
    /// Starts to read `files`, in their order. [`find`](crate::find) makes the list of what a person names.
    ///
    /// # Errors
    /// A file whose length cannot be asked for, or an empty separator.
    pub fn open(files: Vec<PathBuf>, options: Options) -> Result<Reader, Error> {
        if options.separator.as_deref() == Some("") {
            return Err(Error::Setup("the separator is empty".to_owned()));
        }
        let mut total = 0;
        for path in &files {
            let found =
                std::fs::metadata(path).map_err(|source| Error::Read { path: path.clone(), source })?;
            total += found.len();
        }
        let done = Arc::new(AtomicU64::new(0));
        let options = Arc::new(options);
        let spares = Arc::default();
        let beside = options.streams.clamp(1, files.len().max(1));
        let mut shares: Vec<Vec<PathBuf>> = vec![Vec::new(); beside];
        for (i, file) in files.into_iter().enumerate() {
            shares[i % beside].push(file);
        }
        let mut streams = Vec::new();
        for share in shares {
            let (sender, receiver) = sync_channel(QUEUE);
            let stream = Stream {
                sender,
                options: Arc::clone(&options),
                spares: Arc::clone(&spares),
                done: Arc::clone(&done),
            };
            std::thread::Builder::new()
                .name("sai-read".to_owned())
                .spawn(move || stream.run(share))
                .map_err(|e| Error::Setup(format!("no thread can be started: {e}")))?;
            streams.push(Some(receiver));
        }
        Ok(Reader { streams, turn: 0, done, total })
    }

    /// The next block; `None` when all files are read. After an error comes nothing more of the file it is about, nor
    /// of those behind it.
    pub fn next_raw(&mut self) -> Option<Result<Raw, Error>> {
        while self.streams.iter().any(Option::is_some) {
            let at = self.turn % self.streams.len();
            self.turn += 1;
            match self.streams[at].as_ref().map(Receiver::recv) {
                Some(Ok(raw)) => return Some(raw),
                Some(Err(_)) => self.streams[at] = None,
                None => {}
            }
        }
        None
    }

    /// How many bytes of the files are read, as they lie on the disk. Somewhat ahead of what was handed out.
    pub fn bytes_done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.total)
    }

    /// How many bytes the files have on the disk.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }
}

impl Iterator for Reader {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Result<Batch, Error>> {
        self.next_raw().map(|raw| raw.and_then(Raw::parse))
    }
}

/// A thread's end of a queue.
struct Stream {
    sender: SyncSender<Result<Raw, Error>>,
    options: Arc<Options>,
    spares: Arc<Spares>,
    done: Arc<AtomicU64>,
}

/// Nobody asks any more.
struct Gone;

impl Stream {
    fn run(self, files: Vec<PathBuf>) {
        for path in files {
            let path = Arc::new(path);
            // The libraries that take Parquet and compression apart were not written for hostile files alone; should
            // one fail in a way of its own, it is the file's fault and said so.
            let read = catch_unwind(AssertUnwindSafe(|| self.file(&path)));
            let error = match read {
                Ok(Ok(Ok(()))) => continue,
                Ok(Err(Gone)) => return,
                Ok(Ok(Err(error))) => error,
                Err(_) => {
                    Error::file(&path, "damaged in a way that its reader does not bear; fetch it again")
                }
            };
            let _ = self.sender.send(Err(error));
            return;
        }
    }

    fn send(&self, path: &Arc<PathBuf>, tally: &Arc<Tally>, body: Body) -> Result<(), Gone> {
        let (path, options, spares) = (Arc::clone(path), Arc::clone(&self.options), Arc::clone(&self.spares));
        let raw = Raw { path, options, spares, tally: Arc::clone(tally), body };
        self.sender.send(Ok(raw)).map_err(|_| Gone)
    }

    /// Sends all of a file. The inner error is the file's.
    fn file(&self, path: &Arc<PathBuf>) -> Result<Result<(), Error>, Gone> {
        let tally = Arc::new(Tally::default());
        // The end, which is sent last, is waited for from the beginning.
        tally.expect();
        let mut send = |body| {
            tally.expect();
            self.send(path, &tally, body)
        };
        if let Err(error) = self.bodies(path, &mut send)? {
            return Ok(Err(error));
        }
        self.send(path, &tally, Body::End).map(Ok)
    }

    /// Gives all of a file to `send`, but its end.
    fn bodies(
        &self,
        path: &Arc<PathBuf>,
        send: &mut dyn FnMut(Body) -> Result<(), Gone>,
    ) -> Result<Result<(), Error>, Gone> {
        let before = Arc::new(AtomicU64::new(0));
        let (format, bytes) = match source::open(path, self.options.format, Arc::clone(&before)) {
            Ok(Source::Plain { format, bytes }) => (format, bytes),
            Ok(Source::Parquet(file)) => return self.table(path, file, send),
            Err(error) => return Ok(Err(error)),
        };
        let delimiter = match format {
            Format::Jsonl | Format::Lines => Some("\n"),
            _ => self.options.separator.as_deref(),
        };
        let Options { block, longest, .. } = *self.options;
        let mut cutter =
            Cutter::new(bytes, delimiter.map(str::as_bytes), block, longest, Arc::clone(&self.spares));
        let mut counted = 0;
        loop {
            let piece = match cutter.next() {
                Ok(piece) => piece,
                Err(e) => return Ok(Err(source::damaged(path, &e))),
            };
            let read = before.load(Ordering::Relaxed);
            self.done.fetch_add(read - counted, Ordering::Relaxed);
            counted = read;
            let lines = matches!(format, Format::Jsonl | Format::Lines);
            let body = match (piece, format) {
                (None, _) => return Ok(Ok(())),
                (Some(Piece::Block { first, bytes }), Format::Jsonl) => Body::Objects { first, bytes },
                (Some(Piece::Block { first, bytes }), Format::Lines) => Body::Lines { first, bytes },
                (Some(Piece::Block { first, bytes }), _) => Body::Text { first, bytes },
                (Some(Piece::TooLong { number }), _) if lines => Body::TooLong(Place::Line(number)),
                (Some(Piece::TooLong { number }), _) => Body::TooLong(Place::Document(number)),
            };
            send(body)?;
        }
    }

    fn table(
        &self,
        path: &Arc<PathBuf>,
        file: std::fs::File,
        send: &mut dyn FnMut(Body) -> Result<(), Gone>,
    ) -> Result<Result<(), Error>, Gone> {
        let length = file.metadata().map_or(0, |m| m.len());
        let mut table = match crate::parquet::Table::open(path, file, &self.options) {
            Ok(table) => table,
            Err(error) => return Ok(Err(error)),
        };
        let mut counted = 0;
        loop {
            match table.next(path, &self.options) {
                Ok(None) => break,
                Ok(Some(batch)) => {
                    let read = (length as f64 * table.share()) as u64;
                    self.done.fetch_add(read.saturating_sub(counted), Ordering::Relaxed);
                    counted = read.max(counted);
                    send(Body::Ready(batch))?;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        self.done.fetch_add(length.saturating_sub(counted), Ordering::Relaxed);
        Ok(Ok(()))
    }
}
