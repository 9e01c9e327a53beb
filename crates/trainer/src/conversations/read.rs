//! Files of conversations, read on every core, in their order.

use super::files;
use super::tokenize::{Fit, Refusal, Teacher, TokenizedConversation};
use super::{forms, table};
use crate::{ConversationFile, Error, RowForm};
use sai_documents::{Batch, Format, InputFiles, Options, Place, Reader};
use sai_tokenizer::{ChatTemplate, Tokenizer};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

/// Broken conversations that are remembered; more are only counted.
const REMEMBERED: usize = 100;

/// A conversation that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenConversation {
    /// The file.
    pub path: PathBuf,
    /// Its line or row.
    pub place: Place,
    /// What is wrong.
    pub fact: String,
}

/// What was found in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationCounts {
    /// Conversations to learn from, or pairs, held-out ones with them.
    pub conversations: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Of these, tokens of answers.
    pub trained: u64,
    /// Conversations whose end was cut off for length, after an answer.
    pub cut: u64,
    /// Conversations that were passed over because not even the first answer fits, and pairs because one of theirs does not.
    pub too_long: u64,
    /// Conversations that were passed over because they are none.
    pub broken: u64,
    /// The first of these.
    pub examples: Vec<BrokenConversation>,
    /// Answers whose first token is not trained on, because it begins in the template's opening of an answer.
    pub straddling: u64,
    /// Files of folders that were not read, because they hold something else.
    pub left_out: Vec<PathBuf>,
}

/// How conversations are read.
pub(super) struct Reading<'r> {
    pub(super) tokenizer: &'r Tokenizer,
    pub(super) template: &'r ChatTemplate,
    pub(super) context: usize,
    /// Broken conversations end the reading.
    pub(super) strict: bool,
    /// Lines are pairs.
    pub(super) pairs: bool,
    pub(super) threads: usize,
}

/// A conversation, or the two of a pair, and where it stands.
pub(super) struct Read {
    pub(super) place: Place,
    pub(super) lessons: Vec<TokenizedConversation>,
    pub(super) language: Option<String>,
}

/// Reads all conversations of `file`, and hands them to `take` with the file's path. `progress` hears the bytes that are
/// done and those that there are, and ends the reading with a break, which is then returned.
pub(super) fn read(
    reading: &Reading<'_>,
    file: &ConversationFile,
    found: &mut ConversationCounts,
    take: &mut dyn FnMut(&PathBuf, Read),
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let InputFiles { files, left_out } = files::find(&file.path)?;
    found.left_out.extend(left_out);
    let length = |path: &PathBuf| std::fs::metadata(path).map_or(0, |about| about.len());
    let total: u64 = files.iter().map(length).sum();
    let job = Job { reading, form: file.form, teacher: Teacher::new(reading.tokenizer, reading.template) };
    let mut before = 0;
    for path in &files {
        let mut tally = Tally::default();
        let mut on = |block: Block, done: u64| {
            tally.add(&block);
            reading.count(path, &block, found)?;
            for read in block.good {
                take(path, read);
            }
            Ok(progress((before + done).min(total), total))
        };
        let flow = match sai_documents::is_parquet(path)? {
            true => job.table(path, &mut on)?,
            false => job.lines(path, &mut on)?,
        };
        if flow.is_break() {
            return Ok(flow);
        }
        tally.check(path, reading.what())?;
        before += length(path);
    }
    Ok(ControlFlow::Continue(()))
}

/// Hears of a block of rows, and of the bytes of the file that are done with it.
type OnBlock<'o> = &'o mut dyn FnMut(Block, u64) -> Result<ControlFlow<()>, Error>;

/// The reading of one entry of a recipe.
struct Job<'j> {
    reading: &'j Reading<'j>,
    form: Option<RowForm>,
    teacher: Teacher<'j>,
}

impl Job<'_> {
    fn lines(&self, path: &Path, on: OnBlock<'_>) -> Result<ControlFlow<()>, Error> {
        // Lines as they are: what is in them is looked at here.
        let options = Options { format: Some(Format::Lines), skip_broken: true, ..Options::default() };
        let mut failed = None;
        let work = |(): &mut (), batch: Batch| {
            let mut block = self.block(batch.documents().map(|line| (line.place, line.text)));
            block.broken.extend(batch.broken().iter().map(|broken| (broken.place, broken.fact.clone())));
            block.broken.sort();
            block
        };
        let reader = Reader::open(vec![path.to_owned()], options)?;
        let flow = sai_documents::in_order(
            reader,
            self.reading.threads,
            || (),
            work,
            |finished| {
                on(finished.result, finished.bytes_done).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
            },
        )?;
        failed.map_or(Ok(flow), Err)
    }

    fn table(&self, path: &Path, on: OnBlock<'_>) -> Result<ControlFlow<()>, Error> {
        let length = std::fs::metadata(path).map_or(0, |about| about.len());
        let mut failed = None;
        let flow = table::read(path, &mut |rows| {
            let done = (length as f64 * rows.share) as u64;
            let each = rows.lines.len().div_ceil(self.reading.threads.max(1)).max(1);
            let blocks: Vec<Block> = std::thread::scope(|scope| {
                let part = |(i, lines): (usize, &'_ [String])| {
                    let first = rows.first + (i * each) as u64;
                    let rows = (first..).zip(lines).map(|(n, line)| (Place::Row(n), line.as_str()));
                    self.block(rows)
                };
                let parts: Vec<_> = rows
                    .lines
                    .chunks(each)
                    .enumerate()
                    .map(|lines| scope.spawn(move || part(lines)))
                    .collect();
                let joined =
                    |part: ScopedJoinHandle<'_, Block>| part.join().unwrap_or_else(|p| resume_unwind(p));
                parts.into_iter().map(joined).collect()
            });
            blocks.into_iter().try_for_each(|block| {
                on(block, done).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
            })
        })?;
        failed.map_or(Ok(flow), Err)
    }

    /// Takes rows apart, up to the first that the template fails on.
    fn block<'t>(&self, rows: impl Iterator<Item = (Place, &'t str)>) -> Block {
        let mut block = Block::default();
        for (place, text) in rows {
            match self.row(text) {
                Ok(Row::Good { lessons, language, cut }) => {
                    block.cut += u64::from(cut);
                    block.good.push(Read { place, lessons, language });
                }
                Ok(Row::TooLong) => block.too_long += 1,
                Err(Refusal::Conversation(fact)) => block.broken.push((place, fact)),
                Err(Refusal::Template(fact)) => {
                    block.failed = Some((place, fact));
                    break;
                }
            }
        }
        block
    }

    fn row(&self, text: &str) -> Result<Row, Refusal> {
        let said = forms::parse(text, self.form, self.reading.pairs).map_err(Refusal::Conversation)?;
        let lessons: Result<Vec<TokenizedConversation>, Refusal> =
            said.texts.iter().map(|conversation| self.teacher.lesson(conversation)).collect();
        let mut lessons = lessons?;
        let fit = lessons.iter_mut().map(|lesson| lesson.fit(self.reading.context)).max();
        if fit == Some(Fit::TooLong) {
            return Ok(Row::TooLong);
        }
        if let [chosen, rejected] = &lessons[..]
            && chosen.tokens == rejected.tokens
        {
            let fact = "both answers are the same tokens as the chat template writes them";
            return Err(Refusal::Conversation(fact.to_owned()));
        }
        Ok(Row::Good { lessons, language: said.language, cut: fit == Some(Fit::Cut) })
    }
}

/// What came of a row that is one.
enum Row {
    Good { lessons: Vec<TokenizedConversation>, language: Option<String>, cut: bool },
    TooLong,
}

/// What came of a block of rows.
#[derive(Default)]
struct Block {
    good: Vec<Read>,
    broken: Vec<(Place, String)>,
    cut: u64,
    too_long: u64,
    /// The template or the tokenizer failed, at this row.
    failed: Option<(Place, String)>,
}

/// What a file held so far.
#[derive(Default)]
struct Tally {
    good: u64,
    too_long: u64,
    broken: u64,
    first: Option<(Place, String)>,
}

impl Tally {
    fn add(&mut self, block: &Block) {
        self.good += block.good.len() as u64;
        self.too_long += block.too_long;
        self.broken += block.broken.len() as u64;
        self.first = self.first.take().or_else(|| block.broken.first().cloned());
    }

    /// Holds what is broken against what is not: a file of which most is broken is not what somebody took it for.
    fn check(&self, path: &Path, what: &str) -> Result<(), Error> {
        let Some((place, fact)) = &self.first else { return Ok(()) };
        let whole = self.good + self.too_long;
        let fact = match whole {
            0 => format!("has no {what} to train on; {place}: {fact}"),
            _ if self.broken > whole || whole == 1 => format!(
                "{} of its {} rows are no {what}s, the first of them {place}: {fact}; mend the file, or leave them out \
                 of it",
                self.broken,
                self.broken + whole
            ),
            _ => return Ok(()),
        };
        Err(Error::Data { path: path.to_owned(), fact })
    }
}

impl Reading<'_> {
    /// What a row is called.
    pub(super) fn what(&self) -> &'static str {
        if self.pairs { "pair" } else { "conversation" }
    }

    fn count(&self, path: &Path, block: &Block, found: &mut ConversationCounts) -> Result<(), Error> {
        let wrong = |place: Place, fact: &str| Error::Data {
            path: path.to_owned(),
            fact: format!("{place}: {fact}"),
        };
        if let Some((place, fact)) = &block.failed {
            return Err(wrong(*place, fact));
        }
        if let Some((place, fact)) = block.broken.first().filter(|_| self.strict) {
            return Err(wrong(*place, &format!("{fact}; mend it, or leave out `strict`")));
        }
        found.cut += block.cut;
        found.too_long += block.too_long;
        found.broken += block.broken.len() as u64;
        let room = REMEMBERED.saturating_sub(found.examples.len());
        found.examples.extend(block.broken.iter().take(room).map(|(place, fact)| BrokenConversation {
            path: path.to_owned(),
            place: *place,
            fact: fact.clone(),
        }));
        found.conversations += block.good.len() as u64;
        for lesson in block.good.iter().flat_map(|read| &read.lessons) {
            found.tokens += lesson.tokens.len() as u64;
            found.trained += lesson.answers.iter().map(|answer| answer.len() as u64).sum::<u64>();
            found.straddling += lesson.straddling as u64;
        }
        Ok(())
    }
}
