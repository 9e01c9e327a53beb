//! A sample to make a small model from: documents and conversations that are drawn, and text made by rule.
//!
//! A [`SampleRecipe`] says what is drawn from where. [`sample`] reads each file once, draws evenly (see
//! [`DocumentSampler`](crate::DocumentSampler)), keeps a share of the documents and conversations apart, and writes a folder:
//!
//! | | |
//! | --- | --- |
//! | `documents/LANG.jsonl.zst`, `documents/rules-LANG.jsonl.zst` | documents to train on, drawn and made: `text`, `lang`, `source`, `license` |
//! | `conversations/LANG.jsonl`, `conversations/rules-LANG.jsonl` | conversations to train on: `messages`, `lang`, `source`, `license` |
//! | `held-out/LANG.jsonl`, `held-out/conversations.jsonl` | what is never trained on |
//!
//! Which documents are held out is decided by their text, so one that is there twice is never on both sides. What rules
//! make is held out where a language has nothing else, for it says little of other text.
//!
//! Memory: eight bytes a document that is compared with others, and what [`DocumentSampler`](crate::DocumentSampler) takes.

mod candidate;
mod clean;
mod recipe;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use clean::Clean;
pub use recipe::{Conversations, Documents, Rules as RulesShare, SampleRecipe};

use sai_documents::{Batch, BrokenDocument, Columns, FileCounts, Format, Options, Reader, in_order, json};

use crate::draw::{DocumentSampler, SampleSize};
use crate::error::Error;
use crate::random;
use crate::rules::{self, Rules, Turn};
use candidate::{About, Candidate, files};
use recipe::Choice;
use write::Folder;

/// What was taken of a source, in a language and under a licence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// `documents` or `conversations`.
    pub kind: String,
    /// Where it comes from; empty where the files do not say.
    pub source: String,
    /// Its language.
    pub lang: String,
    /// Its licence; empty where the files do not say.
    pub license: String,
    /// How many are to train on.
    pub taken: u64,
    /// Bytes of their text, or of the lines of conversations.
    pub bytes: u64,
    /// How many are held out.
    pub held_out: u64,
}

/// How far the work is, in bytes of the files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes that were read.
    pub done: u64,
    /// Bytes there are.
    pub total: u64,
}

/// What a sample came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// What was taken, sorted.
    pub counts: Vec<Count>,
    /// Documents and conversations that were passed over: broken ones, where the recipe says so, and those whose text is
    /// null.
    pub passed_over: u64,
    /// Files in the folders that the recipe names which are none of documents, such as a README.
    pub left_out: Vec<PathBuf>,
}

/// Whether a line is a conversation, and if not, why. Whoever learns from conversations knows.
pub type ConversationCheck<'c> = dyn Fn(&str) -> Result<(), String> + Sync + 'c;

/// Draws and makes the sample that `recipe` describes, and writes it to the folder `out`, which must not be there.
/// Relative inputs are beside `near`; lines of conversations are held to `check`. `progress` may end the work with
/// [`ControlFlow::Break`], and then there is nothing. Nothing depends on the number of threads.
///
/// # Errors
/// [`Error::Sample`] of a recipe that cannot be followed, errors of the files, [`Error::Rules`], [`Error::Documents`].
pub fn sample(
    recipe: &SampleRecipe,
    near: &Path,
    out: &Path,
    threads: usize,
    check: &ConversationCheck<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Sampled>, Error> {
    recipe.check()?;
    let made = match &recipe.rules {
        Some(share) => Some((share, Rules::open(&recipe::find(&share.files, near)?.files)?)),
        None => None,
    };
    let mut writing = Writing {
        recipe,
        folder: Folder::start(out)?,
        counts: BTreeMap::new(),
        languages: BTreeSet::new(),
        passed_over: 0,
        left_out: Vec::new(),
    };
    if writing.documents(near, threads, progress)?.is_break()
        || writing.conversations(near, threads, check, progress)?.is_break()
    {
        return Ok(ControlFlow::Break(()));
    }
    if let Some((share, rules)) = &made
        && writing.made(share, rules, progress)?.is_break()
    {
        return Ok(ControlFlow::Break(()));
    }
    let counts: Vec<Count> = writing.counts.into_values().collect();
    if counts.iter().all(|count| count.taken == 0) {
        return Err(Error::Sample("it is empty: no document and no conversation was taken".to_owned()));
    }
    let (passed_over, mut left_out) = (writing.passed_over, writing.left_out);
    left_out.sort();
    left_out.dedup();
    writing.folder.finish()?;
    Ok(ControlFlow::Continue(Sampled { counts, passed_over, left_out }))
}

#[derive(Serialize)]
struct DocumentLine<'a> {
    text: &'a str,
    lang: &'a str,
    source: &'a str,
    license: &'a str,
}

#[derive(Serialize)]
struct ConversationLine<'a> {
    messages: &'a [Turn],
    lang: &'a str,
    source: &'a str,
    license: &'a str,
}

/// What is looked at of a line with a conversation. A name that is no text is none.
struct Head {
    lang: String,
    source: String,
    license: String,
    /// The turns as texts with their roles, where they are no more than that.
    messages: Option<Vec<Turn>>,
}

impl Head {
    fn of(line: &str) -> Head {
        let plain = json::without_nan(line);
        let object: serde_json::Value =
            serde_json::from_str(plain.as_deref().unwrap_or(line)).unwrap_or_default();
        let name =
            |key: &str| object.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let lang = if name("lang").is_empty() { name("language") } else { name("lang") };
        let messages = object.get("messages").and_then(|turns| Vec::deserialize(turns).ok());
        Head { lang, source: name("source"), license: name("license"), messages }
    }
}

/// What came of a batch: texts that may be drawn, how many documents were good, and those that were not.
struct Sifted {
    path: PathBuf,
    candidates: Vec<Candidate>,
    good: u64,
    broken: Vec<BrokenDocument>,
}

struct Writing<'r> {
    recipe: &'r SampleRecipe,
    folder: Folder,
    counts: BTreeMap<[String; 4], Count>,
    /// Languages that documents were drawn of.
    languages: BTreeSet<String>,
    passed_over: u64,
    left_out: Vec<PathBuf>,
}

impl Writing<'_> {
    /// Draws documents.
    fn documents(
        &mut self,
        near: &Path,
        threads: usize,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let entries = &self.recipe.documents;
        let files = files(entries.iter().map(|entry| &entry.input), near, &mut self.left_out)?;
        let choices = entries.iter().map(|entry| Choice::new(&entry.only, &entry.leave_out));
        let choices = choices.collect::<Result<Vec<_>, _>>()?;
        let columns = Columns { license: Some("license".to_owned()), ..Columns::default() };
        let options = Options { columns, skip_broken: self.recipe.skip_broken, ..Options::default() };
        let reader = Reader::open(files.keys().cloned().collect(), options)?;
        let sift = |batch: Batch| {
            let takers = files.get(batch.path()).map_or(&[][..], Vec::as_slice);
            let mut candidates = Vec::new();
            for document in batch.documents() {
                let [source, license] = [document.source, document.license].map(Option::unwrap_or_default);
                let taker = takers.iter().find(|&&entry| choices[entry].takes(source, license));
                let Some(&entry) = taker else { continue };
                let lang = document.lang.or(entries[entry].lang.as_deref()).unwrap_or("und");
                let (about, clean) = (About { lang, source, license }, &entries[entry].clean);
                let texts = clean.clean(document.text);
                candidates
                    .extend(texts.iter().map(|text| Candidate::new(entry, about, clean.duplicates, text)));
            }
            let (path, broken) = (batch.path().to_owned(), batch.broken().to_vec());
            Sifted { path, candidates, good: batch.len() as u64, broken }
        };
        let takes: Vec<SampleSize> = entries.iter().map(|entry| entry.take).collect();
        self.draw(reader, &takes, threads, sift, progress, |writing, _, about, text| {
            writing.languages.insert(about.lang.to_owned());
            writing.document(about, text, true, "")
        })
    }

    /// Draws conversations.
    fn conversations(
        &mut self,
        near: &Path,
        threads: usize,
        check: &ConversationCheck<'_>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let entries = &self.recipe.conversations;
        let files = files(entries.iter().map(|entry| &entry.input), near, &mut self.left_out)?;
        let choices = entries.iter().map(|entry| Choice::new(&entry.only, &entry.leave_out));
        let choices = choices.collect::<Result<Vec<_>, _>>()?;
        // Lines as they are: a conversation is handed on in the form that it has.
        let skip_broken = self.recipe.skip_broken;
        let options = Options { format: Some(Format::Lines), skip_broken, ..Options::default() };
        let reader = Reader::open(files.keys().cloned().collect(), options)?;
        let sift = |batch: Batch| {
            let takers = files.get(batch.path()).map_or(&[][..], Vec::as_slice);
            let path = batch.path().to_owned();
            let mut sifted =
                Sifted { path, candidates: Vec::new(), good: 0, broken: batch.broken().to_vec() };
            for line in batch.documents() {
                let head = Head::of(line.text);
                let fits = |&&entry: &&usize| choices[entry].takes(&head.source, &head.license);
                let taker = takers.iter().find(fits);
                let dialogue = taker.is_some_and(|&entry| entries[entry].also_documents);
                let checked = match check(line.text) {
                    Ok(()) if dialogue && head.messages.is_none() => Err(
                        "it cannot be a document too (`also_documents`): it has no `messages` of text alone"
                            .to_owned(),
                    ),
                    checked => checked,
                };
                if let Err(fact) = checked {
                    let place = line.place;
                    sifted.broken.push(BrokenDocument { place, fact, column: None, null: false });
                    continue;
                }
                sifted.good += 1;
                let Some(&entry) = taker else { continue };
                let lang = if head.lang.is_empty() { "und" } else { &head.lang };
                let about = About { lang, source: &head.source, license: &head.license };
                sifted.candidates.push(Candidate::new(entry, about, true, line.text));
            }
            sifted
        };
        let takes: Vec<SampleSize> = entries.iter().map(|entry| entry.take).collect();
        self.draw(reader, &takes, threads, sift, progress, |writing, entry, about, line| {
            let held_out = writing.conversation(about, line, line, "")?;
            if entries[entry].also_documents && !held_out {
                let messages = Head::of(line).messages.unwrap_or_default();
                writing.document(about, &rules::dialogue(&messages), false, "")?;
            }
            Ok(())
        })
    }

    /// Reads everything, draws, and gives what was drawn to `take`.
    fn draw(
        &mut self,
        reader: Reader,
        takes: &[SampleSize],
        threads: usize,
        sift: impl Fn(Batch) -> Sifted + Sync,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
        take: impl Fn(&mut Self, usize, About<'_>, &str) -> Result<(), Error>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut draw = DocumentSampler::new(takes, self.recipe.seed, self.folder.path())?;
        let mut met = HashSet::new();
        let mut failed = None;
        let (skip, mut files) = (self.recipe.skip_broken, BTreeMap::<PathBuf, FileCounts>::new());
        let flow = in_order(
            reader,
            threads,
            || (),
            |(), batch| sift(batch),
            |finished| {
                let sifted = finished.result;
                let first = sifted.broken.iter().filter(|one| !one.null).min_by_key(|one| one.place);
                if let Some(BrokenDocument { place, fact, column, .. }) = first.filter(|_| !skip).cloned() {
                    failed =
                        Some(sai_documents::Error::Broken { path: sifted.path, place, fact, column }.into());
                    return ControlFlow::Break(());
                }
                files.entry(sifted.path).or_default().add(sifted.good, &sifted.broken);
                for candidate in sifted.candidates {
                    if !met.insert(candidate.hash) && candidate.once {
                        continue;
                    }
                    if let Err(error) = draw.add(candidate.entry, &candidate.text) {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                progress(Progress { done: finished.bytes_done, total: finished.bytes_total })
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
        if flow.is_break() {
            return Ok(flow);
        }
        for (path, counts) in &files {
            counts.check(path)?;
            self.passed_over += counts.broken + counts.null;
        }
        let drawn = draw.finish()?;
        for block in 0..drawn.blocks() {
            drawn.each(block, |entry, text| {
                let (about, text) = Candidate::parts(text);
                take(self, entry, about, text)
            })?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Makes text by rule.
    fn made(
        &mut self,
        share: &RulesShare,
        rules: &Rules,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        const LOOK: u64 = 1000;
        let total = share.documents + share.dialogues + share.conversations;
        fn about<'a>(lang: &'a str, rules: &'a Rules) -> About<'a> {
            About { lang, source: rules::SOURCE, license: rules.license() }
        }
        let seed = self.recipe.seed;
        let mut stopped =
            |done: u64| done.is_multiple_of(LOOK) && progress(Progress { done, total }).is_break();
        for (index, made) in (0..share.documents).zip(rules.documents(seed)) {
            if stopped(index) {
                return Ok(ControlFlow::Break(()));
            }
            let may = !self.languages.contains(&made.lang);
            self.document(about(&made.lang, rules), &made.text, may, "rules-")?;
        }
        if share.documents > 0 && rules.document(seed, 0).is_none() {
            return Err(Error::Sample("documents are asked for, and no rule makes one".to_owned()));
        }
        // Dialogues are other conversations than those that are taught as such.
        for index in 0..share.dialogues {
            let Some(talk) = rules.conversation(seed, share.conversations + index) else { break };
            if stopped(share.documents + index) {
                return Ok(ControlFlow::Break(()));
            }
            self.document(about(&talk.lang, rules), &rules::dialogue(&talk.messages), false, "rules-")?;
        }
        for (index, talk) in (0..share.conversations).zip(rules.conversations(seed)) {
            if stopped(share.documents + share.dialogues + index) {
                return Ok(ControlFlow::Break(()));
            }
            let about = about(&talk.lang, rules);
            let About { lang, source, license } = about;
            let line = json_line(&ConversationLine { messages: &talk.messages, lang, source, license })?;
            self.conversation(about, &line, &rules::dialogue(&talk.messages), "rules-")?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn document(
        &mut self,
        about: About<'_>,
        text: &str,
        may_hold_out: bool,
        prefix: &str,
    ) -> Result<(), Error> {
        let About { lang, source, license } = about;
        let held_out = may_hold_out && self.holds_out(text);
        let file = match held_out {
            true => format!("held-out/{}.jsonl", file_name(lang)?),
            false => format!("documents/{prefix}{}.jsonl.zst", file_name(lang)?),
        };
        self.count("documents", about, text.len(), held_out);
        self.folder.line(&file, &json_line(&DocumentLine { text, lang, source, license })?)
    }

    /// Whether it was held out, which `text` decides.
    fn conversation(
        &mut self,
        about: About<'_>,
        line: &str,
        text: &str,
        prefix: &str,
    ) -> Result<bool, Error> {
        let held_out = self.holds_out(text);
        let file = match held_out {
            true => "held-out/conversations.jsonl".to_owned(),
            false => format!("conversations/{prefix}{}.jsonl", file_name(about.lang)?),
        };
        self.count("conversations", about, line.len(), held_out);
        self.folder.line(&file, line)?;
        Ok(held_out)
    }

    fn holds_out(&self, text: &str) -> bool {
        let number = random::at(self.recipe.seed, random::of_text(text), 0);
        (number as f64) < self.recipe.held_out * u64::MAX as f64
    }

    fn count(&mut self, kind: &str, about: About<'_>, bytes: usize, held_out: bool) {
        let About { lang, source, license } = about;
        let key = [kind, lang, source, license].map(str::to_owned);
        let count = self.counts.entry(key).or_insert_with(|| Count {
            kind: kind.to_owned(),
            source: source.to_owned(),
            lang: lang.to_owned(),
            license: license.to_owned(),
            ..Count::default()
        });
        match held_out {
            true => count.held_out += 1,
            false => {
                count.taken += 1;
                count.bytes += bytes as u64;
            }
        }
    }
}

fn json_line(line: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(line).map_err(|e| Error::Sample(format!("a line cannot be written: {e}")))
}

/// A language as a part of a file's name.
fn file_name(lang: &str) -> Result<&str, Error> {
    let good =
        !lang.is_empty() && lang.len() <= 16 && lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !good {
        return Err(Error::Sample(format!(
            "`{}` is no name of a language, such as `ko`",
            lang.escape_debug()
        )));
    }
    Ok(lang)
}
