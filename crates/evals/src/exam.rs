//! An exam: which documents of a task are asked, with which examples before them.

use crate::data::{self, Row};
use crate::python::Random;
use crate::{DataFile, Error, Profile, Question, Task};
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
    /// The question, with the examples in its contexts.
    pub question: Question,
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
        let (rows, mut data) = data::read(&data::find(folder, &task.file, &task.file.split)?)?;
        let mut options = options;
        let mut examples = Vec::new();
        match &task.file.examples {
            Some(_) if options.examples == 0 => {}
            None => options.examples = 0,
            Some(split) if *split == task.file.split => examples = rows.clone(),
            Some(split) => {
                let files = data::find(folder, &task.file, split);
                // The short name of a part that is kept for examples.
                let files = files.or_else(|e| data::find(folder, &task.file, "fewshot").map_err(|_| e))?;
                let (found, files) = data::read(&files)?;
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
    let mut documents = Vec::with_capacity(order.len());
    for number in order {
        let row = &rows[number];
        let mut question = question(task, row, options.profile)?;
        if options.examples > 0 {
            let not = same_split.then_some(row);
            let drawn = draw(examples, options.examples, not, &mut random).ok_or_else(|| Error::Task {
                origin: task.origin.clone(),
                fact: format!("{} rows are too few for {} examples", examples.len(), options.examples),
            })?;
            let mut before = String::new();
            for row in drawn {
                before += &self::question(task, row, options.profile)?.example();
                before += "\n\n";
            }
            for context in &mut question.contexts {
                context.insert_str(0, &before);
            }
        }
        documents.push(Document { number, place: row.place.clone(), question });
    }
    Ok(documents)
}

fn question(task: &Task, row: &Row, profile: Profile) -> Result<Question, Error> {
    task.question(&row.columns, profile).map_err(|fact| Error::Row { place: row.place.clone(), fact })
}

/// Draws examples. Where they are drawn from the documents themselves, one more is drawn and `not`, the one that is asked,
/// left out; copies of it could leave too few, and then all are drawn again without them.
fn draw<'r>(rows: &'r [Row], n: usize, not: Option<&Row>, random: &mut Random) -> Option<Vec<&'r Row>> {
    let Some(not) = not else {
        return Some(random.sample(rows.len(), n)?.into_iter().map(|i| &rows[i]).collect());
    };
    let other = |row: &&Row| row.columns != not.columns;
    let drawn = random.sample(rows.len(), n + 1)?;
    let mut drawn: Vec<&Row> = drawn.into_iter().map(|i| &rows[i]).filter(other).collect();
    drawn.truncate(n);
    if drawn.len() < n {
        let pool: Vec<&Row> = rows.iter().filter(other).collect();
        drawn = random.sample(pool.len(), n)?.into_iter().map(|i| pool[i]).collect();
    }
    Some(drawn)
}
