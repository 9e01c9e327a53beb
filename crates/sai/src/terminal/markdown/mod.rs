//! Markdown to rows.
//!
//! [`parse`] turns the text of a block into a small tree, [`layout`] turns the tree into rows of a given
//! width. Whole blocks are independent of each other, so a stream can print one as soon as the next begins:
//! [`segments`] says where they lie.

mod highlight;
mod layout;
mod parse;
mod table;

use std::ops::Range;

use self::highlight::Highlighter;
use super::style::{Row, Span, Style};
use super::wrap::wrap;

/// Lays out Markdown. It remembers the code that it has coloured, so that drawing a growing block again
/// colours only its last line.
pub(crate) struct Renderer {
    color: bool,
    highlighter: Highlighter,
}

impl Renderer {
    /// Without `color`, code and headings keep the marks by which they can still be told apart.
    pub(crate) fn new(color: bool) -> Self {
        Self { color, highlighter: Highlighter::default() }
    }

    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// The rows of one segment of a text, as [`segments`] found it.
    pub(crate) fn rows(&mut self, segment: &Segment, source: &str, columns: usize) -> Vec<Row> {
        let text = &source[segment.range.clone()];
        if segment.block {
            let blocks = parse::blocks(text, self.color);
            layout::Layout { highlighter: &mut self.highlighter, color: self.color }
                .blocks(&blocks, columns, true)
        } else {
            wrap(&[Span::new(text.trim(), Style::DIM)], columns)
        }
    }
}

/// A part of a text that can be laid out without the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) range: Range<usize>,
    /// A Markdown block; otherwise text that Markdown would swallow, such as a link's definition.
    block: bool,
}

/// The top-level blocks of a text, in order. All but the last are finished: no further line can change them.
pub(crate) fn segments(source: &str) -> Vec<Segment> {
    let mut found: Vec<Segment> = Vec::new();
    let mut end = 0;
    let gap = |from: usize, to: usize, found: &mut Vec<Segment>| {
        if !source[from..to].trim().is_empty() {
            found.push(Segment { range: from..to, block: false });
        }
    };
    for range in parse::top_level(source) {
        // A block begins with its line: the indentation is part of what it is.
        let start = source[..range.start].rfind('\n').map_or(0, |i| i + 1).max(end);
        gap(end, start, &mut found);
        end = range.end.max(start);
        found.push(Segment { range: start..end, block: true });
    }
    gap(end, source.len(), &mut found);
    found
}

#[cfg(test)]
mod tests;
