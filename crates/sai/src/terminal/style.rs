//! Styled text and how it is written to a terminal.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::clean::visible;

/// One of the sixteen colours that every terminal has and the person's own theme decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl Color {
    fn code(self) -> u8 {
        match self {
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Magenta => 35,
            Self::Cyan => 36,
        }
    }
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) color: Option<Color>,
    pub(crate) bold: bool,
    pub(crate) dim: bool,
    pub(crate) italic: bool,
    pub(crate) underline: bool,
    pub(crate) strike: bool,
}

impl Style {
    pub(crate) const PLAIN: Self =
        Self { color: None, bold: false, dim: false, italic: false, underline: false, strike: false };
    pub(crate) const DIM: Self = Self { dim: true, ..Self::PLAIN };
    pub(crate) const BOLD: Self = Self { bold: true, ..Self::PLAIN };

    pub(crate) const fn color(color: Color) -> Self {
        Self { color: Some(color), ..Self::PLAIN }
    }
}

/// A piece of text in one style. Its text is safe to print and holds no tabs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    text: String,
    pub(crate) style: Style,
}

impl Span {
    /// Cleans the text; tabs become four spaces, newlines stay (they break a row when wrapped).
    pub(crate) fn new(text: &str, style: Style) -> Self {
        let text = visible(text);
        Self { text: if text.contains('\t') { text.replace('\t', "    ") } else { text.into_owned() }, style }
    }

    pub(crate) fn plain(text: &str) -> Self {
        Self::new(text, Style::PLAIN)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// One row of the screen.
pub(crate) type Row = Vec<Span>;

/// Columns that a text takes, cluster by cluster: a Hangul syllable takes two, composed or not.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// Columns that a row takes.
pub(crate) fn row_width(row: &[Span]) -> usize {
    row.iter().map(|span| width(&span.text)).sum()
}

/// The row as bytes for the terminal. Without colour the other attributes stay, as `NO_COLOR` asks.
pub(crate) fn paint(row: &[Span], color: bool) -> String {
    let mut out = String::new();
    for span in row {
        let style = span.style;
        let mut codes = String::new();
        for (on, code) in
            [(style.bold, 1), (style.dim, 2), (style.italic, 3), (style.underline, 4), (style.strike, 9)]
        {
            if on {
                let _ = write!(codes, "{code};");
            }
        }
        if let Some(c) = style.color.filter(|_| color) {
            let _ = write!(codes, "{};", c.code());
        }
        match codes.strip_suffix(';') {
            Some(codes) => {
                let _ = write!(out, "\x1b[{codes}m{}\x1b[0m", span.text);
            }
            None => out.push_str(&span.text),
        }
    }
    out
}

/// The text padded with spaces to `columns`, or cut there with `…`.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    if width(text) <= columns {
        out.push_str(text);
        used = width(text);
    } else if columns > 0 {
        for grapheme in text.graphemes(true) {
            let w = width(grapheme);
            if used + w + 1 > columns {
                break;
            }
            out.push_str(grapheme);
            used += w;
        }
        out.push('…');
        used += 1;
    }
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(width("한글ab"), 6);
        assert_eq!(width("\u{1112}\u{1161}\u{11ab}"), 2, "a syllable of three letters");
        assert_eq!(width("👩‍👩‍👧"), 2);
        assert_eq!(fit("한국어", 5), "한국…");
        assert_eq!(fit("한국어", 4), "한… ");
        assert_eq!(fit("가", 4), "가  ");
        assert_eq!(fit("가", 0), "");
    }

    #[test]
    fn no_color_keeps_weight() {
        let style = Style { color: Some(Color::Red), bold: true, ..Style::PLAIN };
        let row = vec![Span::plain("a"), Span::new("b", style)];
        assert_eq!(paint(&row, true), "a\x1b[1;31mb\x1b[0m");
        assert_eq!(paint(&row, false), "a\x1b[1mb\x1b[0m");
    }
}
