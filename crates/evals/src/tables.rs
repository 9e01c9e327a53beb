//! Tables as 42dot published them: rows of tasks, models side by side.

use crate::{Figure, Metric, Task, TaskResult};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const PUBLISHED: &str = include_str!("published.toml");

/// A cell: a figure and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// From 0 to 1; bits in the table of those.
    pub value: f64,
    /// Where there is one.
    pub stderr: Option<f64>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The columns: models that were published, then those that were measured.
    pub columns: Vec<String>,
    /// How many of the columns are published ones.
    pub published: usize,
    /// Names of rows, and a cell for each column.
    pub rows: Vec<(String, Vec<Option<Cell>>)>,
    /// The mean of each column; of a published one as it is printed. None where a cell is missing, and for a table that is
    /// none of 42dot's.
    pub average: Option<Vec<Option<f64>>>,
    /// Rows of the published table that nothing was measured for.
    pub missing: Vec<String>,
}

#[derive(Deserialize)]
struct Published {
    title: String,
    models: Vec<String>,
    average: Vec<f64>,
    rows: BTreeMap<String, Vec<f64>>,
}

/// The tables that some models' results fill; `with_published` puts 42dot's columns before theirs.
pub fn tables(tasks: &[&Task], models: &[(String, Vec<TaskResult>)], with_published: bool) -> Vec<Table> {
    let published: BTreeMap<String, Published> = toml::from_str(PUBLISHED).unwrap_or_default();
    let measured = |task: &str, metric: Metric, filter: Option<&str>| -> Vec<Option<Cell>> {
        let of_model = |(_, results): &(String, Vec<TaskResult>)| {
            let figures = &results.iter().find(|result| result.task == task)?.figures;
            let is = |figure: &&Figure| {
                figure.metric == metric
                    && filter.is_none_or(|filter| figure.filter.as_deref() == Some(filter))
            };
            let figure = figures.iter().find(is)?;
            Some(Cell { value: figure.value, stderr: figure.stderr })
        };
        models.iter().map(of_model).collect()
    };
    let names = || models.iter().map(|(name, _)| name.clone());
    let mut tables = Vec::new();
    for key in ["korean", "english"] {
        let Some(theirs) = published.get(key) else { continue };
        let before = if with_published { theirs.models.len() } else { 0 };
        let mut rows = Vec::new();
        for (task, row) in tasks.iter().flat_map(|task| task.file.rows.iter().map(move |row| (task, row))) {
            if row.table == key {
                let published = theirs.rows.get(&row.row);
                let cell = |i: usize| Some(Cell { value: *published?.get(i)?, stderr: None });
                let cells = (0..before).map(cell).chain(measured(task.name(), row.metric, None));
                rows.push((row.row.clone(), cells.collect::<Vec<_>>()));
            }
        }
        if rows.is_empty() {
            continue;
        }
        let missing: Vec<String> =
            theirs.rows.keys().filter(|name| !rows.iter().any(|(row, _)| row == *name)).cloned().collect();
        let average = missing.is_empty().then(|| {
            let mean = |i: usize| match theirs.average.get(i).filter(|_| i < before) {
                Some(&printed) => Some(printed),
                None => mean(rows.iter().map(|(_, cells)| cells[i].map(|cell| cell.value))),
            };
            (0..before + models.len()).map(mean).collect()
        });
        let columns = theirs.models[..before].iter().cloned().chain(names()).collect();
        tables.push(Table {
            title: theirs.title.clone(),
            columns,
            published: before,
            rows,
            average,
            missing,
        });
    }
    let plain = |title: &str, rows: Vec<(String, Vec<Option<Cell>>)>| Table {
        title: title.to_owned(),
        columns: names().collect(),
        published: 0,
        rows,
        average: None,
        missing: Vec::new(),
    };
    let others: Vec<_> = tasks
        .iter()
        .filter(|task| task.file.rows.is_empty())
        .flat_map(|task| {
            let filters: Vec<Option<&str>> = match &task.file.generate {
                Some(how) if !how.filters.is_empty() => {
                    how.filters.iter().map(|filter| Some(filter.name.as_str())).collect()
                }
                _ => vec![None],
            };
            let metrics = task.file.metrics.iter();
            metrics.flat_map(move |&metric| {
                filters.clone().into_iter().map(move |filter| (task, metric, filter))
            })
        })
        .map(|(task, metric, filter)| {
            let behind = filter.map(|filter| format!("/{filter}")).unwrap_or_default();
            (format!("{}/{}{behind}", task.name(), metric.key()), measured(task.name(), metric, filter))
        })
        .collect();
    if !others.is_empty() {
        tables.push(plain("Other tasks", others));
    }
    let bits = |task: &&Task| {
        let of_model = |(_, results): &(String, Vec<TaskResult>)| {
            let result = results.iter().find(|result| result.task == task.name())?;
            Some(Cell { value: result.bits_per_byte?, stderr: None })
        };
        (task.name().to_owned(), models.iter().map(of_model).collect())
    };
    let chosen = tasks.iter().filter(|task| task.file.generate.is_none());
    let bits: Vec<_> = chosen.map(bits).collect();
    if !bits.is_empty() {
        tables.push(plain("Bits a byte of the right answer (less is better)", bits));
    }
    tables
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
}
