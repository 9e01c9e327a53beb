//! Tables of tasks as bars: a group for each row, a bar for each model, all from zero, with standard errors.

use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;
use sai_evals::Table;

use crate::svg::COLORS;

const WIDTH: u32 = 900;
/// Of a bar, of the space between groups, and of what stands above and below a table's bars.
const BAR: u32 = 13;
const GAP: u32 = 12;
const FRAME: u32 = 76;

pub(super) fn write(path: &Path, tables: &[Table]) -> anyhow::Result<()> {
    let picture = draw(tables).with_context(|| format!("{}: cannot be drawn", path.display()))?;
    crate::output::write_whole(path, picture.as_bytes())
}

fn height(table: &Table) -> u32 {
    FRAME + 18 * table.columns.len() as u32 + table.rows.len() as u32 * group(table)
}

fn group(table: &Table) -> u32 {
    GAP + BAR * table.columns.len() as u32
}

pub(super) fn draw(tables: &[Table]) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let all: u32 = tables.iter().map(height).sum();
        let mut rest = SVGBackend::with_string(&mut svg, (WIDTH, all.max(1))).into_drawing_area();
        rest.fill(&WHITE)?;
        for table in tables {
            let (panel, below) = rest.split_vertically(height(table));
            draw_table(&panel, table)?;
            rest = below;
        }
        rest.present()?;
    }
    Ok(svg)
}

fn draw_table(area: &DrawingArea<SVGBackend<'_>, Shift>, table: &Table) -> anyhow::Result<()> {
    let cells = || table.rows.iter().flat_map(|(_, cells)| cells.iter().flatten());
    let highest = cells().map(|cell| cell.value + cell.stderr.unwrap_or(0.0)).fold(0.0, f64::max);
    let (legend, bars) = area.split_vertically(30 + 18 * table.columns.len() as u32);
    legend.draw(&Text::new(table.title.clone(), (16, 8), ("sans-serif", 17)))?;
    for (i, (name, color)) in table.columns.iter().zip(COLORS.iter().cycle()).enumerate() {
        let y = 32 + 18 * i as i32;
        legend.draw(&Rectangle::new([(16, y), (28, y + 12)], color.filled()))?;
        legend.draw(&Text::new(name.clone(), (34, y), ("sans-serif", 13)))?;
    }
    // Rows from top to bottom: the axis is upside down.
    let (n, group) = (table.rows.len() as f64, f64::from(group(table)));
    let mut chart = ChartBuilder::on(&bars)
        .margin_right(60)
        .y_label_area_size(190)
        .x_label_area_size(24)
        .build_cartesian_2d(0.0..(highest * 1.05).max(0.1), n * group..0.0)?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().x_labels(8).light_line_style(WHITE).draw()?;
    for (row, (name, cells)) in table.rows.iter().enumerate() {
        let top = row as f64 * group + f64::from(GAP) / 2.0;
        for (i, (cell, color)) in cells.iter().zip(COLORS.iter().cycle()).enumerate() {
            let Some(cell) = cell else { continue };
            let y = top + f64::from(BAR) * i as f64;
            let bar = [(0.0, y), (cell.value, y + f64::from(BAR) - 2.0)];
            chart.draw_series([Rectangle::new(bar, color.filled())])?;
            let middle = y + f64::from(BAR) / 2.0 - 1.0;
            let mut end = cell.value;
            if let Some(stderr) = cell.stderr {
                end += stderr;
                let whisker = [((cell.value - stderr).max(0.0), middle), (end, middle)];
                chart.draw_series([PathElement::new(whisker.to_vec(), BLACK.stroke_width(1))])?;
            }
            let at = chart.backend_coord(&(end, y));
            bars.draw(&Text::new(
                format!("{:.3}", cell.value),
                local(&bars, (at.0 + 4, at.1)),
                ("sans-serif", 11),
            ))?;
        }
        let at = chart.backend_coord(&(0.0, top + (group - f64::from(GAP)) / 2.0));
        let label = local(&bars, (at.0 - 184, at.1 - 7));
        bars.draw(&Text::new(name.clone(), label, ("sans-serif", 13)))?;
    }
    Ok(())
}

/// A place of the whole picture as the area counts it.
fn local(area: &DrawingArea<SVGBackend<'_>, Shift>, at: (i32, i32)) -> (i32, i32) {
    let (x, y) = area.get_base_pixel();
    (at.0 - x, at.1 - y)
}

#[cfg(test)]
mod tests {
    use sai_evals::Cell;

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
