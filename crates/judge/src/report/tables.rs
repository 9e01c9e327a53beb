//! The report as tables of text, for a terminal and for Markdown.

use super::{Report, ScoreReport};
use crate::Pair;
use crate::statistics::Interval;
use serde::{Deserialize, Serialize};

/// A table: a title, rows of cells of which the first is the head, and what is to be said below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextTable {
    /// What it shows.
    pub title: String,
    /// Rows; the first has the columns' names.
    pub cells: Vec<Vec<String>>,
    /// A remark, or nothing.
    pub remark: String,
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn interval(of: Option<Interval>, digits: usize) -> String {
    of.map_or_else(
        || "–".to_owned(),
        |of| format!("{:.digits$} [{:.digits$}, {:.digits$}]", of.value, of.low, of.high),
    )
}

fn percent(of: Option<Interval>) -> String {
    let hundred =
        |of: Interval| Interval { value: 100.0 * of.value, low: 100.0 * of.low, high: 100.0 * of.high };
    interval(of.map(hundred), 1)
}

fn row(cells: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    cells.into_iter().map(Into::into).collect()
}

impl Report {
    /// All tables, in order.
    pub fn tables(&self) -> Vec<TextTable> {
        let mut tables = vec![self.answers_table()];
        for of in &self.scores {
            tables.push(self.totals(of));
            if !self.categories.is_empty() {
                tables.push(self.by_category(of));
            }
            if of.rows.len() > 1 {
                let title = format!("Who has the higher total, {} ({})", of.judge, of.name);
                let remark = "A prompt is won by the higher sum of scores; each answer was graded by itself.";
                tables.push(pairs(title, &of.pairs, false, remark.to_owned()));
            }
        }
        for of in &self.preferences {
            let rate =
                |rate: Option<f64>| rate.map_or("–".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
            let p = of.position.p_value().map_or("–".to_owned(), |p| format!("{p:.3}"));
            let remark = format!(
                "Both orders were asked; where they disagree it is a tie. They disagreed on {} of {} ({}); the first seat won {} of decided verdicts (50 % without a liking for a seat; p {p}).",
                of.position.flips,
                of.position.pairs,
                rate(of.position.flip_rate()),
                rate(of.position.first_rate()),
            );
            tables.push(pairs(
                format!("Which answer is better, {} ({})", of.judge, of.name),
                &of.pairs,
                true,
                remark,
            ));
            if !of.strengths.is_empty() {
                let mut cells = vec![row(["contestant", "strength"])];
                cells
                    .extend(of.strengths.iter().map(|(name, of)| vec![name.clone(), interval(Some(*of), 2)]));
                let title = format!("Bradley–Terry strengths, {} ({})", of.judge, of.name);
                let remark = "Log-odds, their mean 0: 1.0 more wins 73 of 100 games.".to_owned();
                tables.push(TextTable { title, cells, remark });
            }
        }
        if !self.agreements.is_empty() {
            tables.push(self.agreement());
        }
        tables
    }

    fn answers_table(&self) -> TextTable {
        let mut cells = vec![row(["contestant", "answered", "cut", "empty", "characters"])];
        for of in &self.contestants {
            cells.push(vec![
                of.name.clone(),
                format!("{} of {}", of.answered, self.count),
                of.cut.to_string(),
                of.empty.to_string(),
                number(of.length, 0),
            ]);
        }
        let title = format!("Answers to {} prompts of {}", self.count, self.prompts);
        TextTable { title, cells, remark: String::new() }
    }

    fn totals(&self, of: &ScoreReport) -> TextTable {
        let most = of.scale.1 * of.criteria.len() as i64;
        let mut head = vec!["contestant".to_owned(), format!("total of {most}")];
        head.extend(of.criteria.iter().filter(|_| of.criteria.len() > 1).cloned());
        head.push("graded".to_owned());
        let with_zeros = of.scale.0 <= 0;
        head.extend(with_zeros.then(|| "zeros".to_owned()));
        let with_repeats = of.rows.iter().any(|row| row.repeats_deviation.is_some());
        head.extend(with_repeats.then(|| "repeats ±".to_owned()));
        let mut cells = vec![head];
        for row in &of.rows {
            let mut line = vec![row.contestant.clone(), interval(row.total, 2)];
            let each = row.criteria.iter().filter(|_| of.criteria.len() > 1);
            line.extend(each.map(|of| number(of.map(|of| of.value), 2)));
            line.push(format!("{} of {}", row.graded, of.prompts));
            line.extend(with_zeros.then(|| row.zeros.to_string()));
            line.extend(with_repeats.then(|| number(row.repeats_deviation, 2)));
            cells.push(line);
        }
        let mut remark = format!("{} is best, of every criterion.", of.scale.1);
        let unread: usize = of.missing.values().sum();
        if unread > 0 {
            remark += &format!(" {unread} of {} grades are missing.", of.asked);
        }
        if !of.repeats_alpha.is_empty() {
            let each = of.criteria.iter().zip(&of.repeats_alpha);
            let each: Vec<_> = each.map(|(name, alpha)| format!("{name} {}", number(*alpha, 2))).collect();
            remark += &format!(" Krippendorff's alpha of repeats: {}.", each.join(", "));
        }
        TextTable { title: format!("Scores, {} ({})", of.judge, of.name), cells, remark }
    }

    fn by_category(&self, of: &ScoreReport) -> TextTable {
        let mut cells = vec![vec!["total by category".to_owned()]];
        cells[0].extend(of.rows.iter().map(|row| row.contestant.clone()));
        for (i, category) in self.categories.iter().enumerate() {
            let mut line = vec![category.clone()];
            line.extend(of.rows.iter().map(|row| interval(row.categories[i], 1)));
            cells.push(line);
        }
        TextTable { title: format!("Categories, {} ({})", of.judge, of.name), cells, remark: String::new() }
    }

    fn agreement(&self) -> TextTable {
        let mut cells =
            vec![row(["judges", "of", "in common", "the same", "kappa", "rank correlation", "alpha"])];
        for of in &self.agreements {
            cells.push(vec![
                of.judges.join(" · "),
                of.what.clone(),
                of.common.to_string(),
                of.exact.map_or("–".to_owned(), |part| format!("{:.0} %", 100.0 * part)),
                number(of.kappa, 2),
                number(of.spearman, 2),
                number(of.alpha, 2),
            ]);
        }
        let remark = "Cohen's kappa (quadratic weights for scores), Spearman's correlation of totals, Krippendorff's alpha (ordinal for scores): 1 is full agreement, 0 what chance gives.";
        TextTable { title: "Agreement between judges".to_owned(), cells, remark: remark.to_owned() }
    }

    /// The report in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "# {}\n\n{} prompts, SHA-256 of the file `{}`.\n",
            cell(&self.prompts),
            self.count,
            self.prompts_sha256
        );
        for warning in &self.warnings {
            out += &format!("\n> **Warning:** {}\n", cell(warning));
        }
        for table in self.tables() {
            out += &format!("\n## {}\n\n", cell(&table.title));
            out += &table.markdown();
            if !table.remark.is_empty() {
                out += &format!("\n{}\n", cell(&table.remark));
            }
        }
        for note in &self.notes {
            out += &format!("\n{}\n", cell(note));
        }
        out
    }
}

/// Wins, ties, losses and missing ones of each pair.
fn pairs(title: String, of: &[Pair], seats: bool, remark: String) -> TextTable {
    let mut head = row([
        "A",
        "B",
        "A wins",
        "tie",
        "B wins",
        "missing",
        "A's win rate, %",
        "at equal length, %",
        "length effect",
        "characters",
    ]);
    if seats {
        head.push("flips".to_owned());
    }
    let mut cells = vec![head];
    for pair in of {
        let mut line = vec![pair.a.clone(), pair.b.clone()];
        let counts = [pair.wins, pair.ties, pair.losses, pair.missing];
        line.extend(counts.iter().zip(pair.shares()).map(|(count, share)| format!("{count} ({share:.1} %)")));
        line.extend([percent(pair.win_rate), percent(pair.length_controlled)]);
        line.push(pair.length_effect.map_or("–".to_owned(), |effect| format!("{effect:+.2}")));
        line.push(format!("{} · {}", number(pair.lengths.0, 0), number(pair.lengths.1, 0)));
        if seats {
            line.push(format!("{} of {}", pair.position.flips, pair.position.pairs));
        }
        cells.push(line);
    }
    TextTable { title, cells, remark }
}

/// A text as Markdown shows it: one line, no cell's end, no HTML.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            c => out.push(c),
        }
    }
    out
}

impl TextTable {
    /// The table alone, in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for (i, row) in self.cells.iter().enumerate() {
            let row: Vec<_> = row.iter().map(|text| cell(text)).collect();
            out += &format!("| {} |\n", row.join(" | "));
            if i == 0 {
                out += &format!("| --- |{}\n", " ---: |".repeat(row.len().saturating_sub(1)));
            }
        }
        out
    }
}
