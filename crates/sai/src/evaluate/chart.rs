//! Tables of tasks as bars: a group for each row, a bar for each model, with standard errors.

use std::path::Path;

use anyhow::Context;
use sai_evals::{Cell, Table};

use crate::svg::{Bar, Bars};

pub(super) fn write(path: &Path, tables: &[Table]) -> anyhow::Result<()> {
    let picture = draw(tables).with_context(|| format!("{}: cannot be drawn", path.display()))?;
    crate::output::write_whole(path, picture.as_bytes())
}

pub(super) fn draw(tables: &[Table]) -> anyhow::Result<String> {
    let bar = |cell: &Cell| {
        let ends = cell.stderr.map(|stderr| ((cell.value - stderr).max(0.0), cell.value + stderr));
        Bar { value: cell.value, ends }
    };
    let panel = |table: &Table| Bars {
        title: table.title.clone(),
        series: table.columns.clone(),
        rows: table
            .rows
            .iter()
            .map(|(name, cells)| (name.clone(), cells.iter().map(|cell| cell.as_ref().map(bar)).collect()))
            .collect(),
        digits: 3,
        most: None,
    };
    crate::svg::Bars::draw(&tables.iter().map(panel).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_begins_at_zero_and_has_every_name_and_figure() {
        let cell = |value, stderr| Some(Cell { value, stderr });
        let table = Table {
            title: "Korean".to_owned(),
            columns: vec!["42dot <LLM>".to_owned(), "mini".to_owned()],
            published: 1,
            rows: vec![
                ("kobest_boolq".to_owned(), vec![cell(0.369, None), cell(0.334, Some(0.012))]),
                ("kobest_copa".to_owned(), vec![None, cell(0.5, None)]),
            ],
            average: None,
            missing: Vec::new(),
        };
        let svg = draw(&[table]).expect("draws");
        for text in [
            "Korean",
            "42dot &lt;LLM&gt;",
            "mini",
            "kobest_boolq",
            "kobest_copa",
            "0.369",
            "0.334",
            "0.500",
            "0.0",
        ] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
