//! From a tree of blocks to rows.

use unicode_segmentation::UnicodeSegmentation;

use super::highlight::Highlighter;
use super::parse::{Block, Placed};
use super::table;
use crate::terminal::style::{Row, Span, Style, row_width, width};
use crate::terminal::wrap::wrap;

/// However narrow the window, text gets this much.
const NARROWEST: usize = 4;
const RULE: usize = 40;

pub(super) struct Layout<'a> {
    pub(super) highlighter: &'a mut Highlighter,
    pub(super) color: bool,
}

impl Layout<'_> {
    /// `airy` puts a blank row between all blocks; otherwise the source decides.
    pub(super) fn blocks(&mut self, blocks: &[Placed], columns: usize, airy: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        for (i, block) in blocks.iter().enumerate() {
            if i > 0 && (airy || block.apart) {
                rows.push(Row::new());
            }
            rows.extend(self.block(&block.it, columns.max(NARROWEST)));
        }
        rows
    }

    fn block(&mut self, block: &Block, columns: usize) -> Vec<Row> {
        match block {
            Block::Paragraph(text) => wrap(text, columns),
            Block::Heading { level, text } => {
                let mut text = text.clone();
                if !self.color {
                    text.insert(0, Span::new(&format!("{} ", "#".repeat(*level)), Style::BOLD));
                } else if *level == 1 {
                    text.iter_mut().for_each(|span| span.style.underline = true);
                }
                wrap(&text, columns)
            }
            Block::Code { language, text } => self.code(language, text, columns),
            Block::Quote(blocks) => {
                let rows = self.blocks(blocks, columns.saturating_sub(2), false);
                indented(rows, &Span::new("│ ", Style::DIM), &Span::new("│ ", Style::DIM))
            }
            Block::List { first, items } => {
                let mut rows = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    let marker = match first {
                        Some(first) => format!("{}. ", first.saturating_add(i as u64)),
                        None => "• ".to_owned(),
                    };
                    let indent = width(&marker);
                    if i > 0 && item.apart {
                        rows.push(Row::new());
                    }
                    let mut inner = self.blocks(&item.it, columns.saturating_sub(indent), false);
                    if inner.is_empty() {
                        inner.push(Row::new());
                    }
                    rows.extend(indented(inner, &Span::plain(&marker), &Span::plain(&" ".repeat(indent))));
                }
                rows
            }
            Block::Table { alignment, rows } => table::rows(alignment, rows, columns),
            Block::Rule => vec![vec![Span::new(&"─".repeat(columns.min(RULE)), Style::DIM)]],
        }
    }

    /// Code keeps its lines; one that is too long goes on in the next row.
    fn code(&mut self, language: &str, text: &str, columns: usize) -> Vec<Row> {
        let columns = columns.saturating_sub(2).max(2);
        let mut rows = Vec::new();
        for line in self.highlighter.lines(language, text, self.color) {
            rows.extend(chop(&line, columns));
        }
        indented(rows, &Span::plain("  "), &Span::plain("  "))
    }
}

fn indented(rows: Vec<Row>, first: &Span, rest: &Span) -> Vec<Row> {
    rows.into_iter()
        .enumerate()
        .map(|(i, mut row)| {
            let mark = if i == 0 { first } else { rest };
            // A blank row needs no trailing spaces.
            if !row.is_empty() || !mark.text().trim().is_empty() {
                row.insert(0, mark.clone());
            }
            row
        })
        .collect()
}

/// The line cut wherever the row is full.
fn chop(line: &[Span], columns: usize) -> Vec<Row> {
    let mut rows = vec![Row::new()];
    let mut used = 0;
    for span in line {
        let mut piece = String::new();
        for grapheme in span.text().graphemes(true) {
            let w = width(grapheme);
            if used + w > columns && used > 0 {
                if let Some(row) = rows.last_mut() {
                    row.push(Span::new(&piece, span.style));
                }
                piece.clear();
                rows.push(Row::new());
                used = 0;
            }
            piece.push_str(grapheme);
            used += w;
        }
        if let Some(row) = rows.last_mut().filter(|_| !piece.is_empty()) {
            row.push(Span::new(&piece, span.style));
        }
    }
    debug_assert!(rows.iter().all(|row| row_width(row) <= columns.max(2)), "rows wider than the window");
    rows
}
