//! Files of conversations, read on every core, in their order.

use super::tokenize::{Fit, Refusal, Teacher, TokenizedConversation};
use super::{form, pair};
use crate::{ConversationFile, Error, RowForm};
use sai_corpus::{Batch, Format, Options, Place, Reader};
use sai_tokenizer::{ChatTemplate, Tokenizer};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Broken conversations that are remembered; more are only counted.
const REMEMBERED: usize = 100;

/// A conversation that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenConversation {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1.
    pub line: u64,
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
    pub(super) line: u64,
    pub(super) lessons: Vec<TokenizedConversation>,
    pub(super) language: Option<String>,
}

/// What came of a block of lines.
struct Block {
    path: PathBuf,
    good: Vec<Read>,
    broken: Vec<(u64, String)>,
    cut: u64,
    too_long: u64,
    /// The template or the tokenizer failed, at this line.
    failed: Option<(u64, String)>,
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
    let files = sai_corpus::find(&[file.path.to_string_lossy()])?;
    // Lines as they are: what is in them is looked at here.
    let options = Options {
        format: Some(Format::Text),
        separator: Some("\n".to_owned()),
        skip_broken: true,
        ..Options::default()
    };
    let teacher = Teacher::new(reading.tokenizer, reading.template);
    let mut failed = None;
    let flow = sai_corpus::in_order(
        Reader::open(files, options)?,
        reading.threads,
        || (),
        |(), batch| block(&teacher, reading, file.form, &batch),
        |finished| {
            let block = finished.result;
            if let Err(error) = reading.count(&block, found) {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            for read in block.good {
                take(&block.path, read);
            }
            progress(finished.bytes_done, finished.bytes_total)
        },
    )?;
    failed.map_or(Ok(flow), Err)
}

impl Reading<'_> {
    fn count(&self, block: &Block, found: &mut ConversationCounts) -> Result<(), Error> {
        let wrong = |line: u64, fact: &str| Error::Data {
            path: block.path.clone(),
            fact: format!("line {line}: {fact}"),
        };
        if let Some((line, fact)) = &block.failed {
            return Err(wrong(*line, fact));
        }
        if let Some((line, fact)) = block.broken.first().filter(|_| self.strict) {
            return Err(wrong(*line, &format!("{fact}; mend it, or leave out `strict`")));
        }
        found.cut += block.cut;
        found.too_long += block.too_long;
        found.broken += block.broken.len() as u64;
        let room = REMEMBERED.saturating_sub(found.examples.len());
        found.examples.extend(block.broken.iter().take(room).map(|(line, fact)| BrokenConversation {
            path: block.path.clone(),
            line: *line,
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

/// Takes a block of lines apart, up to the first that the template fails on.
fn block(teacher: &Teacher<'_>, reading: &Reading<'_>, form: Option<RowForm>, batch: &Batch) -> Block {
    let path = batch.path().to_owned();
    let mut block = Block { path, good: Vec::new(), broken: Vec::new(), cut: 0, too_long: 0, failed: None };
    block.broken.extend(batch.broken().iter().map(|broken| (number(broken.place), broken.fact.clone())));
    for document in batch.documents() {
        let line = number(document.place);
        let said = if reading.pairs { pair::parse(document.text) } else { form::parse(document.text, form) };
        let said = match said {
            Ok(said) => said,
            Err(fact) => {
                block.broken.push((line, fact));
                continue;
            }
        };
        let lessons: Result<Vec<TokenizedConversation>, Refusal> =
            said.texts.iter().map(|messages| teacher.lesson(messages, said.prompt)).collect();
        let mut lessons = match lessons {
            Ok(lessons) => lessons,
            Err(Refusal::Conversation(fact)) => {
                block.broken.push((line, fact));
                continue;
            }
            Err(Refusal::Template(fact)) => {
                block.failed = Some((line, fact));
                break;
            }
        };
        match lessons.iter_mut().map(|lesson| lesson.fit(reading.context)).max() {
            Some(Fit::TooLong) => {
                block.too_long += 1;
                continue;
            }
            Some(Fit::Cut) => block.cut += 1,
            Some(Fit::Whole) | None => {}
        }
        block.good.push(Read { line, lessons, language: said.language });
    }
    block.broken.sort();
    block
}

/// The line of a document; a line of text is a document to the reader.
fn number(place: Place) -> u64 {
    match place {
        Place::Line(n) | Place::Row(n) | Place::Document(n) => n,
    }
}
