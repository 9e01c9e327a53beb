//! Tables, aligned by the columns that characters take on the screen.

use pulldown_cmark::Alignment;

use super::parse::Inline;
use crate::terminal::style::{Row, Span, Style, row_width};
use crate::terminal::wrap::wrap;

/// A column narrower than this says nothing; a table that needs it is shown as a list of its cells.
const NARROWEST: usize = 3;
const BETWEEN: &str = " │ ";

/// The table with its header first. Columns that do not fit give way, the widest first, and their cells wrap.
pub(super) fn rows(alignment: &[Alignment], table: &[Vec<Inline>], columns: usize) -> Vec<Row> {
    let count = alignment.len();
    let between = 3 * count.saturating_sub(1);
    if count == 0 || columns < between + count * NARROWEST {
        return listed(table, columns);
    }
    let mut widths: Vec<usize> = (0..count)
        .map(|c| {
            table.iter().filter_map(|row| row.get(c)).map(|cell| row_width(cell)).max().unwrap_or(0).max(1)
        })
        .collect();
    narrow(&mut widths, columns - between);

    let mut out = Vec::new();
    for (r, row) in table.iter().enumerate() {
        let cells: Vec<Vec<Row>> = widths
            .iter()
            .enumerate()
            .map(|(c, &w)| row.get(c).map_or_else(|| vec![Row::new()], |cell| wrap(cell, w)))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        for line in 0..height {
            let mut spans = Row::new();
            for (c, cell) in cells.iter().enumerate() {
                if c > 0 {
                    spans.push(Span::new(BETWEEN, Style::DIM));
                }
                let content = cell.get(line).cloned().unwrap_or_default();
                let free = widths[c].saturating_sub(row_width(&content));
                let left = match alignment[c] {
                    Alignment::Right => free,
                    Alignment::Center => free / 2,
                    Alignment::None | Alignment::Left => 0,
                };
                // Nothing stands to the right of the last column, not even spaces.
                let right = if c + 1 == count { 0 } else { free - left };
                spans.push(Span::plain(&" ".repeat(left)));
                spans.extend(content);
                spans.push(Span::plain(&" ".repeat(right)));
            }
            out.push(spans);
        }
        if r == 0 {
            let line = widths.iter().map(|&w| "─".repeat(w)).collect::<Vec<_>>().join("─┼─");
            out.push(vec![Span::new(&line, Style::DIM)]);
        }
    }
    out
}

/// Takes columns from the widest until all fit.
fn narrow(widths: &mut [usize], room: usize) {
    let mut total: usize = widths.iter().sum();
    while total > room {
        let Some(widest) = widths.iter_mut().max_by_key(|w| **w) else { return };
        *widest -= 1;
        total -= 1;
    }
}

/// A table for a window that is too narrow for one: each row a paragraph of `header: cell` lines.
fn listed(table: &[Vec<Inline>], columns: usize) -> Vec<Row> {
    let Some((header, body)) = table.split_first() else { return Vec::new() };
    let mut out = Vec::new();
    for (r, row) in body.iter().enumerate() {
        if r > 0 {
            out.push(Row::new());
        }
        for (head, cell) in header.iter().zip(row) {
            let mut line = head.clone();
            line.push(Span::new(": ", Style::DIM));
            line.extend(cell.iter().cloned());
            out.extend(wrap(&line, columns));
        }
    }
    if body.is_empty() {
        out = header.iter().flat_map(|head| wrap(head, columns)).collect();
    }
    out
}
