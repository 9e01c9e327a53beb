//! Breaking styled text into rows.
//!
//! Rows break at spaces, so a Korean word stays whole as its writers expect; Chinese and Japanese, which
//! write no spaces, break between characters. A word longer than the row breaks per syllable.

use unicode_segmentation::UnicodeSegmentation;

use super::style::{Row, Span, Style, width};

/// A cluster of the text: what one backspace would remove.
struct Cell<'a> {
    text: &'a str,
    width: usize,
    style: Style,
}

/// The text in rows of at most `columns`. A newline in it breaks the row. Never without a row; a cluster
/// wider than `columns` still gets a row of its own.
pub(crate) fn wrap(spans: &[Span], columns: usize) -> Vec<Row> {
    let cells: Vec<Cell<'_>> = spans
        .iter()
        .flat_map(|span| {
            span.text().graphemes(true).map(|text| Cell { text, width: width(text), style: span.style })
        })
        .collect();
    let mut rows = Vec::new();
    let mut start = 0;
    loop {
        let (end, next) = row_end(&cells, start, columns);
        rows.push(join(&cells[start..end]));
        match next {
            Some(next) => start = next,
            None => return rows,
        }
    }
}

/// Where the row from `start` ends, and where the next begins.
fn row_end(cells: &[Cell<'_>], start: usize, columns: usize) -> (usize, Option<usize>) {
    let mut used = 0;
    let mut border = start;
    for (i, cell) in cells.iter().enumerate().skip(start) {
        if cell.text == "\n" {
            return (trimmed(cells, start, i), Some(i + 1));
        }
        if i > start && may_break(&cells[i - 1], cell) {
            border = i;
        }
        if used + cell.width > columns && i > start {
            if cell.text == " " {
                let next = (i..cells.len()).find(|&j| cells[j].text != " ");
                let next = next.map(|j| if cells[j].text == "\n" { j + 1 } else { j });
                return (trimmed(cells, start, i), next);
            }
            let end = if border > start { border } else { i };
            return (trimmed(cells, start, end), Some(end));
        }
        used += cell.width;
    }
    (trimmed(cells, start, cells.len()), None)
}

fn trimmed(cells: &[Cell<'_>], start: usize, end: usize) -> usize {
    let spaces = cells[start..end].iter().rev().take_while(|cell| cell.text == " ").count();
    // Spaces alone are somebody's indentation.
    if spaces == end - start { end } else { end - spaces }
}

fn may_break(before: &Cell<'_>, after: &Cell<'_>) -> bool {
    if after.text == " " {
        return false;
    }
    before.text == " "
        || ((unspaced(before.text) || unspaced(after.text)) && !closes(after.text) && !opens(before.text))
}

/// Scripts that write without spaces: ideographs, kana and their full-width punctuation. Hangul is not one.
fn unspaced(text: &str) -> bool {
    text.chars().next().is_some_and(|c| {
        matches!(c, '\u{2e80}'..='\u{312f}' | '\u{31a0}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{ff01}'..='\u{ff60}' | '\u{20000}'..='\u{3fffd}')
    })
}

fn closes(text: &str) -> bool {
    matches!(
        text,
        "、" | "。"
            | "，"
            | "．"
            | "！"
            | "？"
            | "："
            | "；"
            | "」"
            | "』"
            | "）"
            | "】"
            | "》"
            | "〉"
            | "ー"
    ) || matches!(text, "." | "," | "!" | "?" | ":" | ";" | ")" | "]" | "}" | "\"" | "'" | "”" | "’")
}

fn opens(text: &str) -> bool {
    matches!(text, "「" | "『" | "（" | "【" | "《" | "〈" | "(" | "[" | "{" | "“" | "‘")
}

/// Neighbours of one style become one span.
fn join(cells: &[Cell<'_>]) -> Row {
    let mut row: Vec<(String, Style)> = Vec::new();
    for cell in cells {
        match row.last_mut() {
            Some((text, style)) if *style == cell.style => text.push_str(cell.text),
            _ => row.push((cell.text.to_owned(), cell.style)),
        }
    }
    row.into_iter().map(|(text, style)| Span::new(&text, style)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::style::row_width;

    fn rows(text: &str, columns: usize) -> Vec<String> {
        let rows = wrap(&[Span::plain(text)], columns);
        assert!(rows.iter().all(|row| row_width(row) <= columns.max(2)), "{rows:?}");
        rows.iter().map(|row| row.iter().map(Span::text).collect()).collect()
    }

    #[test]
    fn korean_breaks_at_words_and_long_words_per_syllable() {
        assert_eq!(rows("대한민국의 수도는 서울입니다", 12), ["대한민국의", "수도는", "서울입니다"]);
        assert_eq!(rows("가나다라마바사", 5), ["가나", "다라", "마바", "사"]);
        assert_eq!(rows("ab 가나다라", 6), ["ab", "가나다", "라"]);
    }

    #[test]
    fn other_scripts_and_edges() {
        assert_eq!(rows("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(rows("日本語です。はい", 10), ["日本語で", "す。はい"]);
        assert_eq!(rows("", 10), [""]);
        assert_eq!(rows("a\n\nb\n", 10), ["a", "", "b", ""]);
        assert_eq!(rows("가나", 1), ["가", "나"]);
        assert_eq!(rows("가나", 0), ["가", "나"]);
        assert_eq!(rows("ab    cd", 3), ["ab", "cd"]);
        assert_eq!(rows("  a", 10), ["  a"]);
    }
}
