//! An answer that is drawn while it is said.
//!
//! Blocks that are finished are written once, as text that scrolls away and can be copied. The block that is
//! still growing is drawn again in place: only from the first row that changed, and never above the top of
//! the window. Drawing the text in any pieces ends with the same screen.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::clean::Cleaner;
use super::markdown::{Renderer, append, segments};
use super::style::{Row, paint, row_width, width};

/// Draws an answer on a terminal.
pub(crate) struct Live<W: Write> {
    out: W,
    size: fn() -> (usize, usize),
    renderer: Renderer,
    cleaner: Cleaner,
    /// What was said and is not finished.
    tail: String,
    /// Finished rows that are not yet both written and above the cursor's row.
    finished: Vec<Painted>,
    /// Rows on the screen that may be drawn again; the cursor stands at the end of the last.
    shown: Vec<Painted>,
    /// Whether a block came before the tail.
    begun: bool,
    columns: usize,
    pause: Duration,
    drawn: Option<Instant>,
}

#[derive(Clone, PartialEq, Eq)]
struct Painted {
    text: String,
    width: usize,
}

impl<W: Write> Live<W> {
    /// `size` gives the window's columns and rows whenever it is asked; `pause` is the least time between two
    /// drawings.
    pub(crate) fn new(out: W, size: fn() -> (usize, usize), color: bool, pause: Duration) -> Self {
        Self {
            out,
            size,
            renderer: Renderer::new(color),
            cleaner: Cleaner::default(),
            tail: String::new(),
            finished: Vec::new(),
            shown: Vec::new(),
            begun: false,
            columns: size().0,
            pause,
            drawn: None,
        }
    }

    /// More of the answer.
    pub(crate) fn push(&mut self, piece: &str) -> io::Result<()> {
        let piece = self.cleaner.push(piece);
        append(&mut self.tail, &piece);
        if !piece.is_empty() && self.drawn.is_none_or(|last| last.elapsed() >= self.pause) {
            self.draw(false)?;
            self.drawn = Some(Instant::now());
        }
        Ok(())
    }

    /// Draws what is left and ends the last row.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.draw(true)?;
        if !self.shown.is_empty() {
            self.out.write_all(b"\r\n")?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn draw(&mut self, last: bool) -> io::Result<()> {
        let (columns, height) = (self.size)();
        // The last column stays free: terminals differ in what a full row does to the cursor.
        let room = columns.saturating_sub(1).max(1);

        let complete = if last { self.tail.len() } else { self.tail.rfind('\n').map_or(0, |i| i + 1) };
        let blocks = segments(&self.tail[..complete]);
        let settled = if last { blocks.len() } else { blocks.len().saturating_sub(1) };
        for segment in &blocks[..settled] {
            let rows = self.renderer.rows(&self.tail[segment.clone()], room);
            let painted = self.painted(rows);
            self.finished.extend(painted);
        }
        let rest = blocks.get(settled).map_or(if settled > 0 { complete } else { 0 }, |block| block.start);
        self.tail.drain(..rest);

        let mut wanted = self.finished.clone();
        let begun = self.begun;
        let growing = drawable(&self.tail).to_owned();
        for segment in segments(&growing) {
            let rows = self.renderer.rows(&growing[segment], room);
            wanted.extend(self.painted(rows));
        }
        self.begun = begun;

        self.rewrite(&wanted, columns, height)?;
        // The cursor's row stays known, for what follows is written from there.
        let above = self.finished.len().min(self.shown.len().saturating_sub(1));
        self.finished.drain(..above);
        self.shown.drain(..above);
        self.out.flush()
    }

    /// A block's rows as bytes, with a blank row above all but the first block.
    fn painted(&mut self, rows: Vec<Row>) -> Vec<Painted> {
        let blank = std::mem::replace(&mut self.begun, true).then(Row::new);
        let color = self.renderer.color();
        blank
            .into_iter()
            .chain(rows)
            .map(|row| Painted { text: paint(&row, color), width: row_width(&row) })
            .collect()
    }

    /// Makes the screen show `wanted` in place of `shown`.
    fn rewrite(&mut self, wanted: &[Painted], columns: usize, height: usize) -> io::Result<()> {
        let resized = std::mem::replace(&mut self.columns, columns) != columns;
        let same =
            if resized { 0 } else { self.shown.iter().zip(wanted).take_while(|(a, b)| a == b).count() };
        if same == self.shown.len() && same == wanted.len() {
            return Ok(());
        }
        if self.shown.is_empty() {
            return self.write_rows(wanted);
        }
        // Rows above the window cannot be reached any more and stay as they are.
        let mut top = self.shown.len() - 1;
        let mut up = 0;
        let first = same.min(wanted.len().saturating_sub(1));
        while top > first {
            let rows = screen_rows(self.shown[top - 1].width, columns);
            if up + rows >= height {
                break;
            }
            up += rows;
            top -= 1;
        }
        // In a window that became narrower, the cursor's own row was broken as well.
        let own = screen_rows(self.shown[self.shown.len() - 1].width, columns) - 1;
        if first >= self.shown.len() {
            self.out.write_all(b"\r\n")?;
            return self.write_rows(&wanted[first..]);
        }
        if up + own > 0 {
            write!(self.out, "\x1b[{}A", up + own)?;
        }
        self.out.write_all(b"\r\x1b[J")?;
        self.shown.truncate(top);
        match wanted.get(top..) {
            Some(rows) if !rows.is_empty() => self.write_rows(rows),
            // The text became shorter than what can be reached: the cursor's row stays, empty.
            _ if top > 0 => {
                self.shown.push(Painted { text: String::new(), width: 0 });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write_rows(&mut self, rows: &[Painted]) -> io::Result<()> {
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                self.out.write_all(b"\r\n")?;
            }
            self.out.write_all(row.text.as_bytes())?;
        }
        self.shown.extend_from_slice(rows);
        Ok(())
    }
}

/// Rows of the screen that a written row takes after the window changed its width.
fn screen_rows(row_width: usize, columns: usize) -> usize {
    row_width.div_ceil(columns.max(1)).max(1)
}

/// The tail without a last line that so far holds only marks: `-` may become a list, a rule or a heading,
/// and drawing each guess would flicker.
fn drawable(tail: &str) -> &str {
    let line = tail.rfind('\n').map_or(0, |i| i + 1);
    let marks =
        tail[line..].chars().all(|c| c.is_whitespace() || c.is_ascii_digit() || "-=*_#`~>|+.:".contains(c));
    if marks && width(&tail[line..]) < 80 { &tail[..line] } else { tail }
}

#[cfg(test)]
mod tests;
