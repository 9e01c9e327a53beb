//! The comparison as a table, its columns as wide as what stands in them.

use sai_tokenizer::eval::SYLLABLES;
use unicode_width::UnicodeWidthStr;

use super::Judged;
use crate::terminal::clean::visible;
use crate::ui::Thousands;

const HEAD: [&str; 11] = [
    "tokenizer",
    "tokens",
    "syllables",
    "text",
    "bytes/token",
    "tokens/eojeol",
    "tokens/word",
    "NFC",
    "NFD",
    "unknown",
    "MB/s",
];
/// Columns of words, which begin where numbers end.
const LEFT: [usize; 2] = [0, 3];

/// A line for each vocabulary and set.
pub(super) fn draw(judged: &[Judged], names: &[&str]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for one in judged {
        for (i, (name, (figures, speed))) in names.iter().zip(&one.sets).enumerate() {
            // What is the vocabulary's own stands once.
            let own = |text: String| if i == 0 { text } else { String::new() };
            let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
            let (nfc, nfd) = figures.returned();
            rows.push([
                own(visible(&one.name).into_owned()),
                own(Thousands(one.vocab_size as u64).to_string()),
                own(percent(one.syllables as f64 / SYLLABLES as f64)),
                visible(name).into_owned(),
                format!("{:.3}", figures.bytes_per_token()),
                number(figures.tokens_per_eojeol()),
                number(figures.tokens_per_word()),
                percent(nfc),
                percent(nfd),
                Thousands(figures.unknown).to_string(),
                format!("{:.1}", speed / 1e6),
            ]);
        }
    }
    let widths: [usize; HEAD.len()] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - cell.width());
            let (before, after) =
                if LEFT.contains(&column) { ("", gap.as_str()) } else { (gap.as_str(), "") };
            line.extend([if column == 0 { "" } else { "  " }, before, cell, after]);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A share, never rounded up to all of it.
fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).floor() / 10.0;
    if share >= 1.0 { "100 %".to_owned() } else { format!("{tenths:.1} %") }
}

#[cfg(test)]
mod tests {
    use sai_tokenizer::eval::TokenizerMetrics;

    use super::*;

    #[test]
    fn columns_stand_under_each_other_in_korean_too() {
        let figures = TokenizerMetrics {
            documents: 3,
            bytes: 90,
            tokens: 30,
            eojeols: 4,
            eojeol_tokens: 10,
            ..TokenizerMetrics::default()
        };
        let one = |name: &str| Judged {
            name: name.to_owned(),
            vocab_size: 50_304,
            syllables: 11_171,
            sets: vec![(figures, 2.5e8), (figures, 1e6)],
        };
        let table = draw(&[one("사이"), one("smollm2-135m")], &["한국어", "en"]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[1].contains("50,304") && lines[1].contains("99.9 %") && lines[1].contains("3.000"));
        assert!(lines[1].contains("2.50") && lines[1].contains('–') && lines[1].ends_with("250.0"));
        let ends: Vec<usize> = lines.iter().map(|line| line.width()).collect();
        assert!(ends.iter().all(|&end| end == ends[0]), "{table}");
    }
}
