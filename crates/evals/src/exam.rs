//! An exam: which documents of a task are asked, with which examples before them.

use crate::data::{self, DataPaths, Row};
use crate::python::Random;
use crate::task_file::{Configs, Sampler};
use crate::{DataFile, DatasetOnHub, Error, Profile, Question, Task};
use std::path::Path;

/// The seed by which the branch `polyglot` shuffles documents and draws examples.
const SHUFFLE_SEED: u64 = 42;
/// The seed by which `main` draws examples.
const EXAMPLES_SEED: u64 = 1234;

/// What of a task is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ExamOptions {
    /// Whose prompts, order and drawing.
    pub profile: Profile,
    /// Examples before each question; tasks that have none to draw from are asked without.
    pub examples: usize,
    /// Documents at most. `polyglot` takes them from a shuffled order, `main` the first.
    pub limit: Option<usize>,
}

/// A document and what comes before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its number in the data, from 0.
    pub number: usize,
    /// File and line.
    pub place: String,
    /// What it belongs to within the task, where that has parts.
    pub subtask: Option<String>,
    /// The question, with the examples in its contexts.
    pub question: Question,
    /// The texts of the task's columns as they lie, by which it is looked for in a corpus.
    pub texts: Vec<String>,
}

/// The documents of a task.
#[derive(Clone, Debug)]
pub struct Exam<'t> {
    /// The task.
    pub task: &'t Task,
    /// How it was asked for; the number of examples is what there really are.
    pub options: ExamOptions,
    /// Documents in the order that they are asked in.
    pub documents: Vec<Document>,
    /// Documents that the data has.
    pub available: usize,
    /// The files that they are from, those of the examples last.
    pub data: Vec<DataFile>,
}

impl<'t> Exam<'t> {
    /// Reads a task's data from a folder.
    ///
    /// # Errors
    /// The data is not there, or a row does not fit the task: file, line, fact.
    pub fn read(task: &'t Task, folder: &Path, options: ExamOptions) -> Result<Exam<'t>, Error> {
        Exam::of(task, &DataPaths::in_folder(folder, &task.file, options.examples > 0)?, options)
    }

    /// Reads a task's data from its files.
    ///
    /// # Errors
    /// A file cannot be read, or a row does not fit the task: file, line, fact.
    pub fn of(task: &'t Task, paths: &DataPaths, options: ExamOptions) -> Result<Exam<'t>, Error> {
        let several = |of: &DatasetOnHub| of.config.as_ref().is_some_and(Configs::are_several);
        let say_config = task.file.dataset.as_ref().is_some_and(several);
        let (rows, mut data) = data::read(&paths.documents, say_config)?;
        let mut options = options;
        let mut examples = Vec::new();
        match &task.file.examples {
            Some(_) if options.examples == 0 => {}
            None => options.examples = 0,
            Some(split) if *split == task.file.split => examples = rows.clone(),
            Some(_) => {
                let (found, files) = data::read(&paths.examples, say_config)?;
                examples = found;
                data.extend(files);
            }
        }
        let (documents, available) = (documents(task, &rows, &examples, options)?, rows.len());
        Ok(Exam { task, options, documents, available, data })
    }

    /// Texts that are to be scored.
    pub fn requests(&self) -> usize {
        self.documents.iter().map(|document| document.question.choices.len()).sum()
    }
}

fn documents(
    task: &Task,
    rows: &[Row],
    examples: &[Row],
    options: ExamOptions,
) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    let mut pools = parts(task, examples)?;
    for (subtask, rows) in parts(task, rows)? {
        let pool = pools.iter_mut().find(|(of, _)| *of == subtask).map(|(_, rows)| std::mem::take(rows));
        part(task, subtask.as_ref(), &rows, &pool.unwrap_or_default(), options, &mut documents)?;
    }
    Ok(documents)
}

/// A part of a task, and its rows with their numbers.
type Part<'r> = (Option<String>, Vec<(usize, &'r Row)>);

/// The parts of a task, in the order that rows name them in.
fn parts<'r>(task: &Task, rows: &'r [Row]) -> Result<Vec<Part<'r>>, Error> {
    let mut parts: Vec<Part<'r>> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let of = task.subtask(&row.columns).map_err(|fact| Error::Row { place: row.place.clone(), fact })?;
        match parts.iter_mut().find(|(known, _)| *known == of) {
            Some((_, rows)) => rows.push((number, row)),
            None => parts.push((of, vec![(number, row)])),
        }
    }
    Ok(parts)
}

/// The documents of a part. Each is shuffled and has its examples drawn as if it were a task of its own.
fn part(
    task: &Task,
    subtask: Option<&String>,
    rows: &[(usize, &Row)],
    examples: &[(usize, &Row)],
    options: ExamOptions,
    documents: &mut Vec<Document>,
) -> Result<(), Error> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut random = match options.profile {
        Profile::Polyglot => Random::new(SHUFFLE_SEED),
        Profile::Main => Random::new(EXAMPLES_SEED),
    };
    if options.profile == Profile::Polyglot {
        random.shuffle(&mut order);
    }
    order.truncate(options.limit.unwrap_or(usize::MAX));
    let same_split = task.file.examples.as_ref() == Some(&task.file.split);
    let pool: Vec<&Row> = examples.iter().map(|(_, row)| *row).collect();
    for at in order {
        let (number, row) = rows[at];
        let mut question = question(task, row, options.profile)?;
        let description = task.description(&row.columns, options.profile);
        let mut before = description.map_err(|fact| Error::Row { place: row.place.clone(), fact })?;
        if options.examples > 0 {
            let not = same_split.then_some(row);
            let drawn = match task.file.sampler {
                Sampler::Random => draw(&pool, options.examples, not, &mut random),
                Sampler::FirstN => first(&pool, options.examples, not),
            };
            let drawn = drawn.ok_or_else(|| Error::Task {
                origin: task.origin.clone(),
                fact: format!(
                    "{} rows{} are too few for {} examples",
                    pool.len(),
                    subtask.map(|of| format!(" of {of}")).unwrap_or_default(),
                    options.examples
                ),
            })?;
            for row in drawn {
                before += &self::question(task, row, options.profile)?.example();
                before += "\n\n";
            }
        }
        for context in &mut question.contexts {
            context.insert_str(0, &before);
        }
        let mut texts = Vec::new();
        task.file.columns.iter().for_each(|column| texts_of(&row.columns[column], &mut texts));
        let (place, subtask) = (row.place.clone(), subtask.cloned());
        documents.push(Document { number, place, subtask, question, texts });
    }
    Ok(())
}

/// The texts in a value of a column.
fn texts_of(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts_of(item, texts)),
        serde_json::Value::Object(items) => items.values().for_each(|item| texts_of(item, texts)),
        _ => {}
    }
}

fn question(task: &Task, row: &Row, profile: Profile) -> Result<Question, Error> {
    task.question(&row.columns, profile).map_err(|fact| Error::Row { place: row.place.clone(), fact })
}

/// Draws examples. Where they are drawn from the documents themselves, one more is drawn and `not`, the one that is asked,
/// left out; copies of it could leave too few, and then all are drawn again without them.
fn draw<'r>(rows: &[&'r Row], n: usize, not: Option<&Row>, random: &mut Random) -> Option<Vec<&'r Row>> {
    let Some(not) = not else {
        return Some(random.sample(rows.len(), n)?.into_iter().map(|i| rows[i]).collect());
    };
    let other = |row: &&Row| row.columns != not.columns;
    let drawn = random.sample(rows.len(), n + 1)?;
    let mut drawn: Vec<&Row> = drawn.into_iter().map(|i| rows[i]).filter(other).collect();
    drawn.truncate(n);
    if drawn.len() < n {
        let pool: Vec<&Row> = rows.iter().copied().filter(other).collect();
        drawn = random.sample(pool.len(), n)?.into_iter().map(|i| pool[i]).collect();
    }
    Some(drawn)
}

/// The first examples that are not the document itself.
fn first<'r>(rows: &[&'r Row], n: usize, not: Option<&Row>) -> Option<Vec<&'r Row>> {
    let other = |row: &&Row| not.is_none_or(|not| row.columns != not.columns);
    let found: Vec<&Row> = rows.iter().copied().filter(other).take(n).collect();
    (found.len() == n).then_some(found)
}
