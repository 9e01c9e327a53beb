//! The report as CSV: the figures, and every single grade.

use super::Report;
use crate::Error;
use crate::grading::Graded;
use crate::reply::Verdict;
use crate::statistics::Interval;
use crate::{Prompt, Run};
use std::path::Path;

fn written(name: &str, rows: &[Vec<String>]) -> Result<Vec<u8>, Error> {
    let path = Path::new(name);
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(|e| Error::file(path, std::io::Error::other(e)))?;
    }
    writer.into_inner().map_err(|e| Error::file(path, std::io::Error::other(e.to_string())))
}

/// A text that no spreadsheet takes for a formula.
fn text(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

impl Report {
    /// `figures.csv`: a figure a row, with the ends of its interval.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn figures_csv(&self) -> Result<Vec<u8>, Error> {
        let heads =
            ["judge", "template", "figure", "of", "contestant", "against", "value", "low", "high", "n"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        let mut push = |place: [&str; 6], of: Option<Interval>, n: usize| {
            let mut row: Vec<String> = place.iter().map(|part| text(part)).collect();
            let number =
                |value: fn(Interval) -> f64| of.map_or(String::new(), |of| format!("{:.6}", value(of)));
            row.extend([number(|of| of.value), number(|of| of.low), number(|of| of.high), n.to_string()]);
            rows.push(row);
        };
        for of in &self.scores {
            for row in &of.rows {
                let name = row.contestant.as_str();
                push([&of.judge, &of.name, "total", "", name, ""], row.total, row.graded);
                for (criterion, value) in of.criteria.iter().zip(&row.criteria) {
                    push([&of.judge, &of.name, "criterion", criterion, name, ""], *value, row.graded);
                }
                for (category, value) in self.categories.iter().zip(&row.categories) {
                    push([&of.judge, &of.name, "category", category, name, ""], *value, row.graded);
                }
            }
        }
        let compared = self.scores.iter().map(|of| (&of.judge, &of.name, "totals", &of.pairs));
        let compared =
            compared.chain(self.preferences.iter().map(|of| (&of.judge, &of.name, "pairs", &of.pairs)));
        for (judge, name, by, pairs) in compared {
            for pair in pairs {
                let given = pair.wins + pair.ties + pair.losses;
                for (figure, count) in [
                    ("wins", pair.wins),
                    ("ties", pair.ties),
                    ("losses", pair.losses),
                    ("missing", pair.missing),
                ] {
                    let value = count as f64;
                    let count = Some(Interval { value, low: value, high: value });
                    push([judge, name, figure, by, &pair.a, &pair.b], count, given + pair.missing);
                }
                push([judge, name, "win rate", by, &pair.a, &pair.b], pair.win_rate, given);
                push(
                    [judge, name, "length-controlled win rate", by, &pair.a, &pair.b],
                    pair.length_controlled,
                    given,
                );
            }
        }
        for of in &self.preferences {
            for (name, strength) in &of.strengths {
                push([&of.judge, &of.name, "strength", "", name, ""], Some(*strength), self.count);
            }
        }
        written("figures.csv", &rows)
    }

    /// `grades.csv`: a grade a row, missing ones with the reason.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn grades_csv(&self, run: &Run) -> Result<Vec<u8>, Error> {
        let heads = [
            "judge",
            "template",
            "prompt",
            "category",
            "turn",
            "repeat",
            "first",
            "second",
            "criterion",
            "verdict",
            "missing",
            "explanation",
        ];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for of in &self.graders {
            for (item, graded) in &of.grades {
                let Prompt { id, category, .. } = &run.prompts[item.prompt];
                let seat = |seat: usize| {
                    item.seats.get(seat).map_or("", |who| run.facts.contestants[*who].name.as_str())
                };
                let (turn, repeat) = (item.turn.to_string(), item.repeat.to_string());
                let mut push = |criterion: &str, verdict: &str, missing: &str, explanation: &str| {
                    let row = [
                        of.judge.as_str(),
                        &of.name,
                        id,
                        category,
                        &turn,
                        &repeat,
                        seat(0),
                        seat(1),
                        criterion,
                        verdict,
                        missing,
                        explanation,
                    ];
                    rows.push(row.map(text).to_vec());
                };
                match graded {
                    Graded::Verdict(Verdict::Scores(scores)) => {
                        let crate::templates::Form::Scores { criteria, .. } = &of.form else { continue };
                        for (name, score) in criteria.iter().zip(scores) {
                            push(name, &score.score.to_string(), "", &score.explanation);
                        }
                    }
                    Graded::Verdict(Verdict::Preference { winner, explanation }) => {
                        let winner = match winner {
                            crate::Seat::First => "first",
                            crate::Seat::Second => "second",
                            crate::Seat::Tie => "tie",
                        };
                        push("", winner, "", explanation);
                    }
                    Graded::Unreadable(why) => push("", "", &why.to_string(), ""),
                    Graded::Unasked => push("", "", "not asked, or failed", ""),
                }
            }
        }
        written("grades.csv", &rows)
    }
}
