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
use super::style::Row;

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
    pub(crate) fn rows(&mut self, segment: &str, columns: usize) -> Vec<Row> {
        let blocks = parse::blocks(segment, self.color);
        layout::Layout { highlighter: &mut self.highlighter, color: self.color }
            .blocks(&blocks, columns, true)
    }
}

/// Appends text to a source. Definitions of links (`[name]: address`) would vanish from it and change blocks
/// far above; a zero-width space, which no drawing shows, makes them plain text.
pub(crate) fn append(source: &mut String, text: &str) {
    for c in text.chars() {
        if c == ':' && source.ends_with(']') {
            source.push(parse::ZERO_WIDTH_SPACE);
        }
        source.push(c);
    }
}

/// The top-level blocks of a text, in order. All but the last are finished: no further line can change them.
pub(crate) fn segments(source: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for range in parse::top_level(source) {
        // A block begins with its line: the indentation is part of what it is.
        let start = source[..range.start].rfind('\n').map_or(0, |i| i + 1).max(end);
        end = range.end.max(start);
        found.push(start..end);
    }
    found
}

#[cfg(test)]
mod tests;
