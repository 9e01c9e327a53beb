//! Tables of text on a terminal.

use unicode_width::UnicodeWidthStr;

/// Columns as wide as what stands in them, the rows' names to the left and figures to the right.
pub(crate) fn columns(cells: &[Vec<String>]) -> String {
    let count = cells.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.width());
    let widths: Vec<usize> =
        (0..count).map(|column| cells.iter().map(|row| cell(row, column)).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in cells {
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - cell.width());
            match column {
                0 => out.extend([cell.as_str(), &gap]),
                _ => out.extend(["  ", &gap, cell]),
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}
