//! Tasks that a recipe names, asked of the models of a making.

use crate::Error;
use crate::evaluation::Evaluation;
use crate::recipe::Evaluate;
use sai_evals::{DataPaths, Exam, ExamOptions, Journal, Table, Task, TaskResult};
use sai_formats::Source;
use sai_generation::{CacheType, LoadOptions, Model};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The files of the tasks' data, those of examples too.
pub(crate) fn data(asked: &Evaluate, near: &Path) -> Result<Vec<PathBuf>, Error> {
    let all = Task::own()?;
    let mut files = Vec::new();
    for (task, options) in exams(asked, &all)? {
        let paths = DataPaths::in_folder(&folder(asked, near), &task.file, options.examples > 0)?;
        files.extend(paths.documents);
        files.extend(paths.examples);
    }
    files.sort();
    // Tasks may share a file.
    files.dedup();
    Ok(files)
}

/// Asks each model the tasks and adds what came of it. Scores are kept in `journal`, so that a stopped making goes on.
pub(crate) fn ask(
    asked: &Evaluate,
    near: &Path,
    models: &[(String, Source)],
    threads: usize,
    journal: &Path,
    found: &mut Evaluation,
    progress: &mut dyn FnMut(f64, &str) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let all = Task::own()?;
    let folder = folder(asked, near);
    let mut read = Vec::new();
    for (task, options) in exams(asked, &all)? {
        read.push(Exam::read(task, &folder, options)?);
    }
    let mut journal = Journal::open(journal)?;
    let total = (models.len() * read.iter().map(Exam::requests).sum::<usize>()).max(1) as f64;
    let (mut done, mut results) = (0, Vec::new());
    for (name, source) in models {
        let options = LoadOptions { threads, cache_type: CacheType::F32, ..LoadOptions::default() };
        let model = Model::open(source, &options)?;
        let mut of_model: Vec<TaskResult> = Vec::new();
        for exam in &read {
            let now = format!("{}, {name}", exam.task.name());
            let result = sai_evals::run(&model, exam, 0, &mut journal, &mut |so_far, _| {
                progress((done + so_far) as f64 / total, &now)
            })?;
            let ControlFlow::Continue(result) = result else { return Ok(ControlFlow::Break(())) };
            done += exam.requests();
            of_model.push(result);
        }
        results.push((name.clone(), of_model));
    }
    let tasks: Vec<&Task> = read.iter().map(|exam| exam.task).collect();
    found.tables = sai_evals::tables(&tasks, &results, false);
    found.tasks = results.iter().map(|(name, of)| sai_evals::harness(name, asked.profile, of)).collect();
    Ok(ControlFlow::Continue(()))
}

fn folder(asked: &Evaluate, near: &Path) -> PathBuf {
    near.join(asked.data.as_deref().unwrap_or(Path::new("")))
}

fn exams<'t>(asked: &Evaluate, all: &'t [Task]) -> Result<Vec<(&'t Task, ExamOptions)>, Error> {
    let of = |task: &'t Task| {
        let examples = asked.fewshot.unwrap_or(task.file.fewshot);
        (task, ExamOptions { profile: asked.profile, examples, limit: asked.limit })
    };
    Ok(sai_evals::select(all, &asked.tasks)?.into_iter().map(of).collect())
}

/// A table in Markdown.
pub(crate) fn markdown(table: &Table) -> String {
    let plain = |text: &str| text.replace(['\n', '\r'], " ").replace('|', "\\|");
    let mut out = format!("| {} |", plain(&table.title));
    table.columns.iter().for_each(|name| out += &format!(" {} |", plain(name)));
    out += "\n| --- |";
    out += &" ---: |".repeat(table.columns.len());
    out.push('\n');
    let averages = table.average.iter().map(|means| {
        let cells: Vec<String> =
            means.iter().map(|mean| mean.map_or("–".to_owned(), |mean| format!("{mean:.3}"))).collect();
        ("average".to_owned(), cells)
    });
    let figures = table.rows.iter().map(|(name, cells)| {
        let cell = |cell: &Option<sai_evals::Cell>| match cell {
            None => "–".to_owned(),
            Some(cell) => {
                let error = cell.stderr.map(|stderr| format!(" ±{stderr:.3}")).unwrap_or_default();
                format!("{:.3}{error}", cell.value)
            }
        };
        (name.clone(), cells.iter().map(cell).collect::<Vec<_>>())
    });
    for (name, cells) in figures.chain(averages) {
        out += &format!("| {} | {} |\n", plain(&name), cells.join(" | "));
    }
    out
}
