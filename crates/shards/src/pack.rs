//! From documents to shards.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sai_documents::{Batch, Options, Reader};
use sai_tokenizer::{Encoder, Tokenizer};
use sha2::{Digest, Sha256};

use crate::error::{Error, hex};
use crate::header::{self, Header, NONE};
use crate::manifest::{Entry, Language, Manifest, Totals};
use crate::shard::Shard;
use crate::write::{self, Writer};

/// How to pack.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// A shard ends with the document that brings it to so many tokens.
    pub shard_tokens: u64,
    /// Threads to encode on.
    pub threads: usize,
    /// The token behind each document; none where not given.
    pub end: Option<u32>,
    /// What the person calls the tokenizer; kept in `pack.json`.
    pub tokenizer_name: String,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that are read, as they lie on the disk.
    pub bytes_done: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// Documents that are packed, with those that an earlier run had packed.
    pub documents: u64,
    /// Tokens that this run packed.
    pub tokens: u64,
    /// Bytes of text that this run packed.
    pub text_bytes: u64,
}

/// What was packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// All documents, by language too.
    pub totals: Totals,
    /// How many shards there are.
    pub shards: usize,
    /// How many of the documents an earlier run had packed.
    pub resumed: u64,
    /// Broken documents that were passed over.
    pub skipped: u64,
}

/// Encodes the documents of `files` and writes shards of them into `folder`, which is made if it is not there.
///
/// Special tokens that a text spells stay text. Where an earlier run with the same inputs and options was interrupted,
/// the work goes on after its last whole shard, and the shards are the same in the end; where it was finished, nothing
/// is done. `progress` ends the work with [`ControlFlow::Break`], which is then returned: what is whole stays.
///
/// # Errors
/// The folder holds shards of something else, another process packs into it, a document cannot be read, or the disk
/// refuses.
pub fn pack(
    folder: &Path,
    tokenizer: &Tokenizer,
    files: Vec<PathBuf>,
    read: Options,
    options: &PackOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Packed>, Error> {
    let plan = Plan::new(tokenizer, &files, &read, options)?;
    let _claim = Claim::of(folder)?;
    let mut shards = plan.whole_shards(folder)?;
    let resumed: u64 = shards.iter().map(|shard| shard.header().documents).sum();
    if let Some(manifest) = Manifest::read(folder)? {
        if manifest.job != hex(&plan.job) {
            return Err(Error::Job { path: folder.join(crate::manifest::NAME) });
        }
        if manifest.shards.iter().eq(shards.iter().map(Entry::of).collect::<Vec<_>>().iter()) {
            let (totals, skipped) = (totals(&shards), manifest.skipped);
            return Ok(ControlFlow::Continue(Packed { totals, shards: shards.len(), resumed, skipped }));
        }
    }

    let mut reader = Reader::open(files, read)?;
    let mut sink =
        Sink { folder, plan: &plan, number: shards.len() as u32, open: None, progress: Progress::default() };
    sink.progress.documents = resumed;
    let mut skipped = 0;
    let mut left = resumed;
    while left > 0 {
        let Some(batch) = Iterator::next(&mut reader).transpose()? else {
            // As many documents as before must be there: the files were changed, their lengths not.
            return Err(Error::Job { path: folder.join(write::name(0)) });
        };
        skipped += batch.broken().len() as u64;
        let known = left.min(batch.len() as u64);
        left -= known;
        sink.progress.bytes_done = reader.bytes_done();
        sink.progress.bytes_total = reader.bytes_total();
        if progress(sink.progress).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if known < batch.len() as u64 {
            sink.take(&plan.encode(&mut Worker::new(tokenizer), batch, known as usize)?)?;
        }
    }
    let mut failed = None;
    let flow = sai_documents::in_order(
        reader,
        options.threads,
        || Worker::new(tokenizer),
        |worker, batch| plan.encode(worker, batch, 0),
        |finished| {
            sink.progress.bytes_done = finished.bytes_done;
            sink.progress.bytes_total = finished.bytes_total;
            let taken = finished.result.and_then(|encoded| {
                skipped += encoded.batch.broken().len() as u64;
                sink.take(&encoded)
            });
            match taken {
                Ok(()) => progress(sink.progress),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    if flow.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    sink.finish()?;
    for number in shards.len() as u32..sink.number {
        shards.push(Shard::open(&folder.join(write::name(number)))?);
    }
    if shards.is_empty() {
        return Err(Error::Refused("there are no documents in these files".to_owned()));
    }
    let totals = totals(&shards);
    plan.manifest(&shards, &totals, skipped).write(folder)?;
    Ok(ControlFlow::Continue(Packed { totals, shards: shards.len(), resumed, skipped }))
}

/// What all shards must have in common.
struct Plan<'t> {
    options: &'t PackOptions,
    fingerprint: [u8; 32],
    job: [u8; 32],
    vocab_size: u32,
}

/// What a thread keeps between its batches.
struct Worker<'t> {
    encoder: Encoder<'t>,
    ids: Vec<u32>,
}

impl<'t> Worker<'t> {
    fn new(tokenizer: &'t Tokenizer) -> Worker<'t> {
        Worker { encoder: tokenizer.encoder(), ids: Vec::new() }
    }
}

/// A batch with its tokens.
struct Encoded {
    batch: Batch,
    /// How many of its documents were packed before.
    known: usize,
    /// The tokens of the others as they lie in a shard, and how many each has.
    tokens: Vec<u8>,
    counts: Vec<usize>,
}

impl<'t> Plan<'t> {
    fn new(
        tokenizer: &Tokenizer,
        files: &[PathBuf],
        read: &Options,
        options: &'t PackOptions,
    ) -> Result<Plan<'t>, Error> {
        let entries = tokenizer.vocab_size();
        let vocab_size = u32::try_from(entries).map_err(|_| {
            Error::Refused(format!("the vocabulary has {entries} entries, more than a shard can name"))
        })?;
        if let Some(end) = options.end.filter(|&end| end >= vocab_size) {
            return Err(Error::Refused(format!("the end token is {end} of a vocabulary of {vocab_size}")));
        }
        let fingerprint = tokenizer.fingerprint()?;
        let mut job = Sha256::new();
        job.update(fingerprint);
        // Everything that decides on a byte of the shards, and nothing else: threads, for one, do not.
        let PackOptions { shard_tokens, end, threads: _, tokenizer_name: _ } = options;
        let Options { columns, format, separator, skip_broken, longest, block, streams } = read;
        // Blocks matter only where files take turns.
        let block = if *streams > 1 { *block } else { 0 };
        let facts = (shard_tokens, end, columns, format, separator, skip_broken, longest, block, streams);
        job.update(format!("{facts:?}"));
        for file in files {
            let length = std::fs::metadata(file).map_err(|e| Error::io(file, "open the file", e))?.len();
            job.update(format!("{:?} {length}\n", file.as_os_str()));
        }
        Ok(Plan { options, fingerprint, job: job.finalize().into(), vocab_size })
    }

    /// The shards that an earlier run left in the folder.
    fn whole_shards(&self, folder: &Path) -> Result<Vec<Shard>, Error> {
        let mut shards = Vec::new();
        loop {
            let path = folder.join(write::name(shards.len() as u32));
            if !path.exists() {
                return Ok(shards);
            }
            let shard = Shard::open(&path)?;
            let header = shard.header();
            if header.tokenizer != self.fingerprint {
                return Err(Error::Tokenizer { path, packed: header.tokenizer, given: self.fingerprint });
            }
            if header.job != self.job || header.number as usize != shards.len() {
                return Err(Error::Job { path });
            }
            shards.push(shard);
        }
    }

    /// The tokens of a batch, its first `known` documents left out.
    fn encode(&self, worker: &mut Worker<'_>, batch: Batch, known: usize) -> Result<Encoded, Error> {
        let narrow = header::width(self.vocab_size) == 2;
        let mut tokens = Vec::with_capacity(batch.text_bytes() / 2);
        let mut counts = Vec::with_capacity(batch.len());
        let Worker { encoder, ids } = worker;
        for document in batch.documents().skip(known) {
            ids.clear();
            encoder.encode_plain_into(document.text, ids);
            ids.extend(self.options.end);
            counts.push(ids.len());
            if narrow {
                lay(ids, &mut tokens, |id| (id as u16).to_le_bytes());
            } else {
                lay(ids, &mut tokens, u32::to_le_bytes);
            }
            if u32::try_from(document.text.len()).is_err() {
                let (path, place) = (document.path.display(), document.place);
                return Err(Error::Refused(format!("{path}: {place}: longer than 4 GiB; divide it")));
            }
        }
        Ok(Encoded { batch, known, tokens, counts })
    }

    fn manifest(&self, shards: &[Shard], totals: &Totals, skipped: u64) -> Manifest {
        let by_language = totals.by_language.iter();
        Manifest {
            format: "sai-shards".to_owned(),
            version: 1,
            tokenizer: self.options.tokenizer_name.clone(),
            fingerprint: hex(&self.fingerprint),
            job: hex(&self.job),
            vocab_size: self.vocab_size,
            end: self.options.end,
            skipped,
            total: totals.all,
            languages: by_language.map(|(lang, &total)| Language { lang: lang.clone(), total }).collect(),
            shards: shards.iter().map(Entry::of).collect(),
        }
    }
}

/// Takes encoded batches in their order and writes shards of them.
struct Sink<'p> {
    folder: &'p Path,
    plan: &'p Plan<'p>,
    /// The number of the shard that is written, or is next.
    number: u32,
    open: Option<Writer>,
    progress: Progress,
}

impl Sink<'_> {
    fn take(&mut self, encoded: &Encoded) -> Result<(), Error> {
        let width = header::width(self.plan.vocab_size);
        // Tokens are written some documents at once: up to a shard's end, or all.
        let (mut written, mut at) = (0, 0);
        for (document, &count) in encoded.batch.documents().skip(encoded.known).zip(&encoded.counts) {
            let writer = match &mut self.open {
                Some(writer) => writer,
                none => none.insert(Writer::start(self.folder, self.plan.header(self.number))?),
            };
            at += count * width;
            let bytes = document.text.len() as u32;
            writer.document(count as u64, bytes, document.lang, document.source)?;
            self.progress.documents += 1;
            self.progress.tokens += count as u64;
            self.progress.text_bytes += u64::from(bytes);
            if writer.tokens() >= self.plan.options.shard_tokens {
                writer.write(&encoded.tokens[written..at])?;
                written = at;
                self.finish()?;
            }
        }
        match &mut self.open {
            Some(writer) => writer.write(&encoded.tokens[written..at]),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some(writer) = self.open.take() else { return Ok(()) };
        self.number += 1;
        writer.finish()
    }
}

impl Plan<'_> {
    fn header(&self, number: u32) -> Header {
        Header {
            vocab_size: self.vocab_size,
            number,
            documents: 0,
            tokens: 0,
            text_bytes: 0,
            names: 0,
            name_bytes: 0,
            end: self.options.end.unwrap_or(NONE),
            tokenizer: self.fingerprint,
            job: self.job,
            tokens_sum: [0; 32],
            index_sum: [0; 32],
        }
    }
}

/// Adds ids as they lie in a shard, `N` bytes each.
fn lay<const N: usize>(ids: &[u32], to: &mut Vec<u8>, bytes: impl Fn(u32) -> [u8; N]) {
    let start = to.len();
    to.resize(start + ids.len() * N, 0);
    for (place, &id) in to[start..].as_chunks_mut().0.iter_mut().zip(ids) {
        *place = bytes(id);
    }
}

fn totals(shards: &[Shard]) -> Totals {
    let mut totals = Totals::default();
    for shard in shards {
        for document in (0..).map_while(|number| shard.document(number)) {
            let (tokens, bytes) = (document.tokens.len() as u64, u64::from(document.text_bytes));
            totals.all.add(tokens, bytes);
            let lang = document.lang.map(str::to_owned);
            totals.by_language.entry(lang).or_default().add(tokens, bytes);
        }
    }
    totals
}

/// The name of the file by which other processes are kept out.
const LOCK: &str = ".lock";

/// A folder that is packed into. Other processes are kept out of it; what a failed packing leaves in it is nothing but
/// whole shards, and no folder that was not there.
struct Claim {
    folder: PathBuf,
    lock: File,
    /// Whether the folder was made for this.
    made: bool,
}

impl Claim {
    /// Makes the folder if it is not there, and locks it.
    fn of(folder: &Path) -> Result<Claim, Error> {
        let made = !folder.exists();
        if !made {
            own(folder)?;
        }
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make the folder", e))?;
        let path = folder.join(LOCK);
        loop {
            let lock = File::create(&path).map_err(|e| Error::io(&path, "create the file", e))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(Error::Busy { folder: folder.to_owned() });
                }
                Err(std::fs::TryLockError::Error(e)) => return Err(Error::io(&path, "lock the file", e)),
            }
            // Whoever held it may have removed it between the two; then another file has the name, or none.
            if is_at(&lock, &path) {
                return Ok(Claim { folder: folder.to_owned(), lock, made });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Removed while it is held, so that nobody has it who could hold another.
        let _ = std::fs::remove_file(self.folder.join(LOCK));
        let _ = self.lock.unlock();
        if self.made {
            // One that holds anything stays.
            let _ = std::fs::remove_dir(&self.folder);
        }
    }
}

/// Whether an open file is the one that has a name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |found: std::io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
    id(file.metadata()).is_some_and(|open| id(std::fs::metadata(path)) == Some(open))
}

/// Where an open file cannot be removed, it is the one.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Whether a folder holds shards, or may come to hold them.
fn own(folder: &Path) -> Result<(), Error> {
    if !folder.is_dir() {
        return Err(Error::not_a_shard(folder, "a file has this name; pack into a folder of another name"));
    }
    let fail = |e| Error::io(folder, "look into the folder", e);
    let mut other = None;
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        if name == crate::manifest::NAME || name == write::name(0) {
            return Ok(());
        }
        if !name.starts_with('.') {
            other = Some(name);
        }
    }
    other.map_or(Ok(()), |name| {
        let fact =
            format!("it holds other things than shards, such as {name}; pack into a folder of their own");
        Err(Error::not_a_shard(folder, fact))
    })
}
