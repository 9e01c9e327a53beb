//! A build, step after step: what is done already is passed over, and what is whole stays when the work is ended.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::cleaner::{Cleaner, Kit, Perplexity};
use crate::error::Error;
use crate::finisher::Finisher;
use crate::manifest::Manifest;
use crate::map::Part;
use crate::plan::{Plan, write_json};
use crate::write::{Writing, gather};

/// A step of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Records become clean documents and keys.
    Map,
    /// Keys meet, and of documents that are alike one stays.
    Keys,
    /// What stays is mixed and written.
    Write,
}

/// How a build is done.
#[derive(Clone, Default)]
pub struct Options {
    /// Threads.
    pub threads: usize,
    /// Bytes of memory that what grows with the corpus may take.
    pub memory: u64,
    /// Which of how many shares of the work is done here, of the first and the fourth step: `(0, 1)` is all of it.
    pub share: (usize, usize),
    /// The only step to do; all where not given.
    pub only: Option<Step>,
    /// Gives the perplexity of a text, where a set of rules asks for it.
    pub perplexity: Option<Arc<Perplexity>>,
}

/// How far a build is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The step.
    pub step: Step,
    /// Bytes that are done of it: of the files in the first, of text in the others.
    pub done: u64,
    /// Bytes that there are.
    pub total: u64,
}

/// What a build came to.
#[derive(Debug)]
pub enum Outcome {
    /// The corpus is whole.
    Whole(Box<Manifest>),
    /// The share, or the step, that was asked for is done. Units or shards that others have still to do.
    Part {
        /// The step that is not done yet.
        step: Step,
        /// How many units or shards of it are missing.
        missing: usize,
    },
    /// It was ended before.
    Interrupted,
}

/// Told how far the work is; may end it.
pub type Watch<'w> = dyn Fn(Progress) -> ControlFlow<()> + Sync + 'w;

impl Plan {
    /// Builds the corpus, or the part of it that `options` name.
    ///
    /// # Errors
    /// A rule that cannot be followed, a source that cannot be read, a disk that refuses. What is whole by then stays.
    pub fn build(&self, options: &Options, watch: &Watch<'_>) -> Result<Outcome, Error> {
        let mut kit = Kit::open(&self.recipe, &self.near, options.perplexity.clone())?;
        self.begin()?;
        if !self.is_done()? {
            // What an older recipe made is no corpus of this one.
            let path = self.folder.join(sai_documents::MANIFEST);
            if path.exists() {
                std::fs::remove_file(&path).map_err(|source| Error::write(&path, source))?;
            }
        }
        let wants = |step| options.only.is_none_or(|only| only == step);
        if wants(Step::Map) && self.map_all(options, &kit, watch)?.is_break() {
            return Ok(Outcome::Interrupted);
        }
        let parts: Vec<Option<Vec<Part>>> = (0..self.units.len()).map(|unit| self.parts(unit)).collect();
        let missing = parts.iter().filter(|parts| parts.is_none()).count();
        let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(Outcome::Part { step: Step::Map, missing });
        };
        let text = parts.iter().flatten().map(|part| part.bytes).sum();
        let duplicated = match self.duplicated() {
            Some(done) => done,
            // Only one machine may do this step.
            None if wants(Step::Keys) && (options.share.1 == 1 || options.only.is_some()) => {
                let progress =
                    |done: u64| watch(Progress { step: Step::Keys, done: done.min(text), total: text });
                match self.sort_out(&parts, options.memory, options.threads, &progress)? {
                    ControlFlow::Continue(done) => done,
                    ControlFlow::Break(()) => return Ok(Outcome::Interrupted),
                }
            }
            None => return Ok(Outcome::Part { step: Step::Keys, missing: 1 }),
        };
        let print = self.write_print()?;
        let mixed = match self.mixed(&print) {
            Some(mixed) => mixed,
            None => self.mix(print.clone(), &parts)?,
        };
        if wants(Step::Write) {
            kit.read_evaluations(&self.recipe, &self.near)?;
            let finisher = || kit.finisher();
            let total =
                mixed.shards.iter().flatten().map(|piece| parts[piece.unit][piece.part as usize].bytes).sum();
            let at = AtomicU64::new(0);
            let progress = |bytes: u64| {
                let done = at.fetch_add(bytes, Ordering::Relaxed) + bytes;
                watch(Progress { step: Step::Write, done: done.min(total), total })
            };
            // Each shard that is made at once is in memory.
            let beside = (options.memory / (3 * self.recipe.output.shard).max(1)).max(1) as usize;
            let mine: Vec<usize> = self
                .mine(mixed.shards.len(), options.share)
                .filter(|&s| self.shard(s, &print).is_none())
                .collect();
            let writing = Writing::new(self, &mixed, &parts, &duplicated, &print);
            let work = |finisher: &mut Finisher, shard: usize| writing.shard(shard, finisher, &progress);
            if each(&mine, options.threads.min(beside), finisher, work)?.is_break() {
                return Ok(Outcome::Interrupted);
            }
        }
        let shards: Vec<_> = (0..mixed.shards.len()).map(|shard| self.shard(shard, &print)).collect();
        let missing = shards.iter().filter(|shard| shard.is_none()).count();
        let Some(shards) = shards.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(Outcome::Part { step: Step::Write, missing });
        };
        self.remove_others(shards.len())?;
        self.remove_unfinished();
        let gathered = gather(shards);
        self.list_contaminated(&gathered.contaminated)?;
        let manifest = Manifest::new(self, &parts, duplicated, mixed, gathered);
        write_json(&self.folder.join(sai_documents::MANIFEST), &manifest)?;
        Ok(Outcome::Whole(Box::new(manifest)))
    }

    /// Whether every step is done.
    fn is_done(&self) -> Result<bool, Error> {
        if (0..self.units.len()).any(|unit| self.parts(unit).is_none()) || self.duplicated().is_none() {
            return Ok(false);
        }
        let print = self.write_print()?;
        let Some(mixed) = self.mixed(&print) else { return Ok(false) };
        Ok((0..mixed.shards.len()).all(|shard| self.shard(shard, &print).is_some()))
    }

    /// Takes away what a build that was killed left behind without a name. Once the corpus is whole nobody writes any more.
    fn remove_unfinished(&self) {
        let work = self.work();
        for folder in [&self.folder, &work, &work.join("map"), &work.join("fates"), &work.join("write")] {
            for entry in folder.read_dir().into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".writing-") {
                    // It does no harm where it stays.
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }

    /// Writes what was found of evaluation sets, a line each, for a person to look at.
    fn list_contaminated(&self, found: &[crate::Contaminated]) -> Result<(), Error> {
        let path = self.folder.join("contaminated.jsonl");
        if self.recipe.decontamination.sets.is_empty() {
            // Of an older recipe.
            let _ = std::fs::remove_file(path);
            return Ok(());
        }
        let lines = found.iter().filter_map(|found| serde_json::to_string(found).ok());
        let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
        Ok(sai_documents::write_whole(&path, text.as_bytes())?)
    }

    /// The first step, of the units that are not done. Several are worked on at once, so that many cores have work even where
    /// one file cannot be decompressed fast enough for all.
    fn map_all(&self, options: &Options, kit: &Kit, watch: &Watch<'_>) -> Result<ControlFlow<()>, Error> {
        let todo: Vec<usize> =
            self.mine(self.units.len(), options.share).filter(|&unit| self.parts(unit).is_none()).collect();
        let bytes = |units: &[usize]| units.iter().map(|&unit| self.units[unit].bytes()).sum::<u64>();
        let all: Vec<usize> = self.mine(self.units.len(), options.share).collect();
        let total = bytes(&all);
        let before = total - bytes(&todo);
        let at: Mutex<Vec<u64>> = Mutex::new(vec![0; self.units.len()]);
        let beside = options.threads.div_ceil(4).clamp(1, todo.len().max(1));
        let threads = options.threads.div_ceil(beside);
        let cleaner = || kit.cleaner();
        let cleaner: &(dyn Fn() -> Cleaner + Sync) = &cleaner;
        each(
            &todo,
            beside,
            || (),
            |(), unit| {
                let progress = |read: u64| {
                    let mut at = at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    at[unit] = read.min(self.units[unit].bytes());
                    let done = before + at.iter().sum::<u64>();
                    drop(at);
                    watch(Progress { step: Step::Map, done, total })
                };
                self.map(unit, threads, cleaner, &progress)
            },
        )
    }

    /// The numbers below `count` that are of a share of the work.
    fn mine(&self, count: usize, (share, of): (usize, usize)) -> impl Iterator<Item = usize> + use<> {
        (0..count).filter(move |number| number % of.max(1) == share)
    }

    /// What a build that was begun in `folder` was begun with: its recipe and files.
    ///
    /// # Errors
    /// A folder without a build.
    pub fn of_folder(folder: &Path) -> Result<Plan, Error> {
        #[derive(serde::Deserialize)]
        struct Written {
            recipe: crate::Recipe,
            near: PathBuf,
            units: Vec<crate::Unit>,
            resources: Vec<crate::InputFile>,
        }
        let path = folder.join(".build/plan.json");
        let found: Option<Written> = crate::plan::read_json(&path);
        let Written { recipe, near, units, resources } = found.ok_or_else(|| {
            Error::file(folder, "no build of a corpus that this sai knows; `sai corpus build` makes one")
        })?;
        Ok(Plan { recipe, near, folder: folder.to_owned(), units, left_out: Vec::new(), resources })
    }
}

/// What a piece of work came to.
type Done = Result<ControlFlow<()>, Error>;

/// Does `work` for each of `numbers` on `threads` threads, each with what `worker` makes. The first error, in the order of the
/// numbers, is that of all.
fn each<W>(
    numbers: &[usize],
    threads: usize,
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> Result<ControlFlow<()>, Error> + Sync,
) -> Result<ControlFlow<()>, Error> {
    let next = AtomicUsize::new(0);
    let stopped: Mutex<Option<(usize, Done)>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, numbers.len().max(1)) {
            let run = || {
                let mut own = worker();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&number) = numbers.get(at) else { return };
                    let done = work(&mut own, number);
                    if !matches!(done, Ok(ControlFlow::Continue(()))) {
                        // Nobody begins anything more.
                        next.store(numbers.len(), Ordering::Relaxed);
                        let mut stopped = stopped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        if stopped.as_ref().is_none_or(|(first, _)| at < *first) {
                            *stopped = Some((at, done));
                        }
                        return;
                    }
                }
            };
            std::thread::Builder::new()
                .name("sai-corpus".to_owned())
                .spawn_scoped(scope, run)
                .map_err(Error::Threads)?;
        }
        Ok::<(), Error>(())
    })?;
    let stopped = stopped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    stopped.map_or(Ok(ControlFlow::Continue(())), |(_, done)| done)
}
