//! Files of rules, read strictly: what is wrong is named with its file and line.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::facts::{FileTable, made, repeated};
use super::pattern::{Form, Pattern, Word};
use super::{Exchange, List, Place, Rules, Slot, Story, Topic, Variables};
use crate::error::Error;

/// Ways of asking that are compared with those of other topics, of one pattern.
const MOST_WAYS: usize = 512;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    license: String,
    #[serde(default)]
    words: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    table: BTreeMap<String, Spanned<FileTable>>,
    #[serde(default)]
    topic: Vec<Spanned<FileTopic>>,
    #[serde(default)]
    document: Vec<Spanned<FileDocument>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTopic {
    name: String,
    lang: String,
    #[serde(default)]
    place: Place,
    to: Option<String>,
    weight: Option<f64>,
    #[serde(default)]
    hail: bool,
    #[serde(default)]
    with: BTreeMap<String, String>,
    ask: Vec<Spanned<String>>,
    answer: Vec<Spanned<String>>,
    #[serde(default)]
    more: Vec<Spanned<String>>,
    #[serde(default)]
    follow: Vec<FileExchange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileExchange {
    ask: Vec<Spanned<String>>,
    answer: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDocument {
    name: String,
    lang: String,
    weight: Option<f64>,
    #[serde(default)]
    with: BTreeMap<String, String>,
    repeat: Option<(usize, usize)>,
    parts: Vec<Vec<Spanned<String>>>,
}

/// A file, and where in it something stands.
pub(super) struct Source<'s> {
    path: &'s Path,
    text: &'s str,
}

impl Source<'_> {
    /// An error about the line of byte `at`.
    pub(super) fn wrong(&self, at: usize, fact: impl Into<String>) -> Error {
        let line = 1 + self.text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count();
        Error::Rules { path: self.path.to_owned(), line, fact: fact.into() }
    }
}

/// Reads the files together: a list or table of one can be used in all.
pub(super) fn read(files: &[PathBuf]) -> Result<Rules, Error> {
    let texts = files
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).map_err(|source| Error::read(path, source))?;
            let text = String::from_utf8(bytes).map_err(|e| {
                Error::file(path, format!("byte {} is not UTF-8", e.utf8_error().valid_up_to()))
            })?;
            Ok((path.as_path(), text))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    from_texts(&texts)
}

/// The rules that texts are, each with the path that its errors name.
pub(super) fn from_texts(texts: &[(&Path, String)]) -> Result<Rules, Error> {
    let mut read = Vec::new();
    for (path, text) in texts {
        let source = Source { path, text };
        let file: File = toml::from_str(text).map_err(|e| {
            let fact = e.message().lines().next().unwrap_or_default().to_owned();
            source.wrong(e.span().map_or(0, |span| span.start), fact)
        })?;
        read.push((source, file));
    }
    let mut reading = Reading::default();
    for (source, file) in &read {
        reading.facts(source, file)?;
    }
    for (source, file) in &read {
        reading.topics(source, file)?;
        reading.documents(source, file)?;
    }
    reading.rules.index();
    Ok(reading.rules)
}

#[derive(Default)]
struct Reading {
    rules: Rules,
    lists: HashMap<String, usize>,
    tables: HashMap<String, usize>,
    names: HashMap<String, ()>,
    /// Who asks so, by language and question.
    asked: HashMap<(String, String), String>,
}

impl Reading {
    fn facts(&mut self, source: &Source<'_>, file: &File) -> Result<(), Error> {
        for (name, words) in &file.words {
            let at = words.span().start;
            let list = List { words: words.get_ref().iter().map(|word| Word::new(word)).collect() };
            if list.words.is_empty() {
                return Err(source.wrong(at, format!("the list `{name}` has no words")));
            }
            if let Some(twice) = repeated(list.words.iter().map(|word| &word.text)) {
                return Err(source.wrong(at, format!("the list `{name}` has `{twice}` twice")));
            }
            if self.lists.insert(name.clone(), self.rules.lists.len()).is_some() {
                return Err(source.wrong(at, format!("there are two lists `{name}`")));
            }
            self.rules.lists.push(list);
        }
        for (name, table) in &file.table {
            let made = made(source, name, table)?;
            if self.tables.insert(name.clone(), self.rules.tables.len()).is_some() {
                return Err(source.wrong(table.span().start, format!("there are two tables `{name}`")));
            }
            self.rules.tables.push(made);
        }
        if file.license.trim().is_empty() {
            return Err(source.wrong(0, "`license` is empty"));
        }
        if self.rules.license.is_empty() {
            self.rules.license.clone_from(&file.license);
        } else if self.rules.license != file.license {
            let fact = format!("is licensed {}, other files {}", file.license, self.rules.license);
            return Err(source.wrong(0, format!("{fact}; read them apart")));
        }
        Ok(())
    }

    fn topics(&mut self, source: &Source<'_>, file: &File) -> Result<(), Error> {
        for spanned in &file.topic {
            let (at, topic) = (spanned.span().start, spanned.get_ref());
            let wrong = |fact: String| source.wrong(at, format!("topic `{}`: {fact}", topic.name));
            self.name(&topic.name).map_err(wrong)?;
            if (topic.place == Place::Switch) != topic.to.is_some() {
                return Err(wrong(
                    "`to` names the language that a topic with place = \"switch\" goes on in".into(),
                ));
            }
            let mut slots = self.variables(&topic.with).map_err(wrong)?;
            let mut exchange = |ask: &[Spanned<String>], answer: &[Spanned<String>]| {
                if ask.is_empty() || answer.is_empty() {
                    return Err(wrong("somebody asks or answers nothing: `ask` or `answer` is empty".into()));
                }
                Ok(Exchange {
                    ask: self.patterns(source, &topic.name, ask, &mut slots)?,
                    answer: self.patterns(source, &topic.name, answer, &mut slots)?,
                })
            };
            let first = exchange(&topic.ask, &topic.answer)?;
            let follow = topic.follow.iter().map(|f| exchange(&f.ask, &f.answer));
            let follow = follow.collect::<Result<Vec<_>, _>>()?;
            let more = self.patterns(source, &topic.name, &topic.more, &mut slots)?;
            self.ask_once(source, topic, &first.ask)?;
            self.rules.topics.push(Topic {
                lang: topic.lang.clone(),
                place: topic.place,
                to: topic.to.clone(),
                weight: weight(topic.weight).map_err(wrong)?,
                variables: slots,
                first,
                more,
                hail: topic.hail,
                follow,
            });
        }
        Ok(())
    }

    fn documents(&mut self, source: &Source<'_>, file: &File) -> Result<(), Error> {
        for spanned in &file.document {
            let (at, document) = (spanned.span().start, spanned.get_ref());
            let wrong = |fact: String| source.wrong(at, format!("document `{}`: {fact}", document.name));
            self.name(&document.name).map_err(wrong)?;
            if document.parts.is_empty() || document.parts.iter().any(Vec::is_empty) {
                return Err(wrong("a part says nothing: `parts` or one of them is empty".into()));
            }
            let repeat = document.repeat.unwrap_or((1, 1));
            if repeat.0 == 0 || repeat.1 < repeat.0 || repeat.1 > 100 {
                return Err(wrong("`repeat` is from how many to how many times, 1 to 100".into()));
            }
            let mut slots = self.variables(&document.with).map_err(wrong)?;
            let parts = document.parts.iter();
            let parts = parts.map(|part| self.patterns(source, &document.name, part, &mut slots));
            self.rules.stories.push(Story {
                lang: document.lang.clone(),
                parts: parts.collect::<Result<Vec<_>, _>>()?,
                weight: weight(document.weight).map_err(wrong)?,
                variables: slots,
                repeat,
            });
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        match self.names.insert(name.to_owned(), ()) {
            None => Ok(()),
            Some(()) => Err("there are two of this name".to_owned()),
        }
    }

    fn variables(&self, with: &BTreeMap<String, String>) -> Result<Variables, String> {
        let rows = with.iter().map(|(name, table)| match self.tables.get(table) {
            Some(&table) => Ok((name.clone(), table)),
            None => Err(format!("there is no table `{table}`")),
        });
        Ok(Variables { rows: rows.collect::<Result<_, _>>()?, slots: Vec::new() })
    }

    fn patterns(
        &self,
        source: &Source<'_>,
        topic: &str,
        texts: &[Spanned<String>],
        variables: &mut Variables,
    ) -> Result<Vec<Pattern>, Error> {
        let read = texts.iter().map(|text| {
            Pattern::new(text.get_ref(), &mut |name, form| self.slot(name, form, variables))
                .map_err(|fact| source.wrong(text.span().start, format!("`{topic}`: {fact}")))
        });
        read.collect()
    }

    /// The number of the slot `name`, all words of which can be written as `form` says.
    fn slot(&self, name: &str, form: Form, variables: &mut Variables) -> Result<usize, String> {
        let slot = match name.split_once('.') {
            Some((variable, column)) => {
                let unknown = || format!("`{{{name}}}`: `with` has no `{variable}`");
                let row = variables.rows.iter().position(|(name, _)| name == variable).ok_or_else(unknown)?;
                let table = &self.rules.tables[variables.rows[row].1];
                let unknown = || format!("`{{{name}}}`: its table has no column `{column}`");
                let column = table.columns.iter().position(|name| name == column).ok_or_else(unknown)?;
                if let Some(word) = table.rows.iter().map(|row| &row[column]).find(|word| !form.fits(word)) {
                    return Err(unreadable(name, word));
                }
                Slot::Cell { row, column }
            }
            None => {
                let (list, number) = name.split_once('#').unwrap_or((name, "1"));
                let number: usize =
                    number.parse().map_err(|_| format!("`{{{name}}}`: `{number}` is no number"))?;
                let list = *self.lists.get(list).ok_or_else(|| format!("there is no list `{list}`"))?;
                let words = &self.rules.lists[list].words;
                if number == 0 || number > words.len() {
                    return Err(format!("`{{{name}}}`: the list has words from 1 to {}", words.len()));
                }
                if let Some(word) = words.iter().find(|word| !form.fits(word)) {
                    return Err(unreadable(name, word));
                }
                Slot::Word { list, number }
            }
        };
        if let Some(known) = variables.slots.iter().position(|known| *known == slot) {
            return Ok(known);
        }
        variables.slots.push(slot);
        Ok(variables.slots.len() - 1)
    }

    /// Refuses a question that another topic of the language asks too: it would have two answers.
    fn ask_once(&mut self, source: &Source<'_>, topic: &FileTopic, asks: &[Pattern]) -> Result<(), Error> {
        for (pattern, text) in asks.iter().zip(&topic.ask) {
            for way in pattern.ways(MOST_WAYS).unwrap_or_default() {
                // What differs from topic to topic is which slot has which number.
                if way.contains('{') {
                    continue;
                }
                let plain = plain(&way);
                if plain.is_empty() {
                    let fact = format!("topic `{}` asks nothing", topic.name);
                    return Err(source.wrong(text.span().start, fact));
                }
                let key = (topic.lang.clone(), plain);
                if let Some(other) = self.asked.get(&key).filter(|other| **other != topic.name) {
                    let fact = format!("topics `{other}` and `{}` both ask `{way}`", topic.name);
                    return Err(source.wrong(text.span().start, format!("{fact}, and answer differently")));
                }
                self.asked.insert(key, topic.name.clone());
            }
        }
        Ok(())
    }
}

/// A question without what people leave out, where more than that is left.
fn plain(way: &str) -> String {
    let bare = |c: &char| !c.is_whitespace() && !".?!,~".contains(*c);
    let plain: String = way.chars().filter(bare).flat_map(char::to_lowercase).collect();
    if plain.is_empty() { way.trim().to_owned() } else { plain }
}

fn unreadable(slot: &str, word: &Word) -> String {
    let text = &word.text;
    format!("`{{{slot}}}`: how `{text}` ends when it is said is not known; write it as `{text}|발음`")
}

fn weight(said: Option<f64>) -> Result<f64, String> {
    match said.unwrap_or(1.0) {
        weight if weight > 0.0 && weight <= 1000.0 => Ok(weight),
        weight => Err(format!("`weight` is {weight}; it is to be above 0, and 1000 at most")),
    }
}
