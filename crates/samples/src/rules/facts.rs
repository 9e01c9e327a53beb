//! Tables of linked facts: rows that are written, or that numbers and their sums make.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::Spanned;

use super::Table;
use super::pattern::Word;
use super::read::Source;
use crate::error::Error;

/// Rows that ranges of numbers may make.
const MOST_ROWS: usize = 10_000;
/// Numbers and results of a row, so that a short file makes no large table.
const MOST_NUMBERS: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTable {
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    rows: Vec<Spanned<Vec<String>>>,
    #[serde(default)]
    numbers: BTreeMap<String, (i64, i64)>,
    #[serde(default)]
    results: BTreeMap<String, String>,
}

/// The table of rows that are written, or of every choice of numbers with its results.
pub(super) fn made(source: &Source<'_>, name: &str, spanned: &Spanned<FileTable>) -> Result<Table, Error> {
    let (at, file) = (spanned.span().start, spanned.get_ref());
    let wrong = |at: usize, fact: String| source.wrong(at, format!("table `{name}`: {fact}"));
    if !file.numbers.is_empty() {
        if !file.columns.is_empty() || !file.rows.is_empty() {
            return Err(wrong(at, "it has rows or numbers, not both".into()));
        }
        return sums(file).map_err(|fact| wrong(at, fact));
    }
    for row in &file.rows {
        if row.get_ref().len() != file.columns.len() {
            let (has, wants) = (row.get_ref().len(), file.columns.len());
            return Err(wrong(
                row.span().start,
                format!("a row has {has} cells, and there are {wants} columns"),
            ));
        }
    }
    let rows: Vec<Vec<Word>> =
        file.rows.iter().map(|row| row.get_ref().iter().map(|cell| Word::new(cell)).collect()).collect();
    if rows.is_empty() || file.columns.is_empty() {
        return Err(wrong(at, "it has no rows".into()));
    }
    if let Some(column) = repeated(file.columns.iter()) {
        return Err(wrong(at, format!("there are two columns `{column}`")));
    }
    if let Some(twice) = repeated(rows.iter().map(|row| &row[0].text)) {
        let fact = format!("two rows begin with `{twice}`, and say different things of it");
        return Err(wrong(at, fact));
    }
    Ok(Table { columns: file.columns.clone(), rows })
}

/// Every choice of numbers whose results are not negative.
fn sums(file: &FileTable) -> Result<Table, String> {
    if file.numbers.len() + file.results.len() > MOST_NUMBERS {
        return Err(format!("it has more than {MOST_NUMBERS} numbers and results"));
    }
    let mut rows: Vec<Vec<i64>> = vec![Vec::new()];
    let mut columns: Vec<String> = Vec::new();
    for (name, &(first, last)) in &file.numbers {
        let count =
            last.checked_sub(first).and_then(|n| usize::try_from(n).ok()).map(|n| n.saturating_add(1));
        let count = count.filter(|_| first >= 0 && last <= 1_000_000);
        let fact = || format!("`{name}` is to go from a number to a larger one, 0 to 1000000");
        let count = count.ok_or_else(fact)?;
        if rows.len().saturating_mul(count) > MOST_ROWS {
            return Err(format!("its numbers make more than {MOST_ROWS} rows"));
        }
        rows = rows
            .iter()
            .flat_map(|row| (first..=last).map(move |number| [row.as_slice(), &[number]].concat()))
            .collect();
        columns.push(name.clone());
    }
    for (name, formula) in &file.results {
        if columns.contains(name) {
            return Err(format!("`{name}` is a number and a result"));
        }
        let result = formula_of(formula, &columns)?;
        for row in &mut rows {
            row.push(result(row));
        }
        columns.push(name.clone());
    }
    rows.retain(|row| row.iter().all(|&number| number >= 0));
    if rows.is_empty() {
        return Err("no choice of its numbers has results that are not negative".to_owned());
    }
    let rows = rows.iter().map(|row| row.iter().map(|n| Word::new(&n.to_string())).collect()).collect();
    Ok(Table { columns, rows })
}

/// `a + b`: what a row's result is.
fn formula_of(formula: &str, columns: &[String]) -> Result<impl Fn(&[i64]) -> i64 + use<>, String> {
    let fact = || format!("`{formula}` is no sum such as `a + b`, `a - b` or `a * b` of its numbers");
    let mut words = formula.split_whitespace();
    let (Some(a), Some(operation), Some(b), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(fact());
    };
    let column = |name: &str| columns.iter().position(|column| column == name).ok_or_else(fact);
    let (a, b) = (column(a)?, column(b)?);
    let compute: fn(i64, i64) -> i64 = match operation {
        "+" => i64::saturating_add,
        "-" => i64::saturating_sub,
        "*" => i64::saturating_mul,
        _ => return Err(fact()),
    };
    Ok(move |row: &[i64]| compute(row[a], row[b]))
}

/// The first word that was met before.
pub(super) fn repeated<'w>(words: impl Iterator<Item = &'w String>) -> Option<&'w String> {
    let mut met = HashSet::new();
    words.into_iter().find(|word| !met.insert(*word))
}
