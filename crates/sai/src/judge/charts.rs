//! Pictures of a report: totals as 42dot drew them, but from zero and with intervals; criteria, categories, wins and losses.

use plotters::style::RGBColor;
use sai_judge::{Chart, Pair, Report, ScoreReport};

use crate::svg::{Bar, Bars, COLORS, Radar, Shares};

/// Files' names with their pictures.
pub(super) fn draw(report: &Report) -> anyhow::Result<Vec<(String, Chart)>> {
    let mut charts = Vec::new();
    let mut push =
        |name: String, title: &str, svg: String| charts.push((name, Chart { title: title.to_owned(), svg }));
    for (i, of) in report.scores.iter().enumerate() {
        let number = if report.scores.len() > 1 { format!("-{}", i + 1) } else { String::new() };
        let by = format!("{} ({})", of.judge, of.name);
        let most = (of.scale.1 * of.criteria.len() as i64) as f64;
        let title = format!("Total score of {most}, {by}");
        push(format!("total{number}.svg"), &title, totals(&title, of, most)?);
        let series = || of.rows.iter().map(|row| row.contestant.clone()).collect::<Vec<_>>();
        if of.criteria.len() > 1 {
            let title = format!("Score of each criterion ({} is best), {by}", of.scale.1);
            let rows = of.criteria.iter().enumerate().map(|(c, name)| {
                (name.clone(), of.rows.iter().map(|row| row.criteria[c].map(bar)).collect())
            });
            let bars = Bars {
                title: title.clone(),
                series: series(),
                rows: rows.collect(),
                digits: 2,
                most: Some(of.scale.1 as f64),
            };
            push(format!("criteria{number}.svg"), &title, Bars::draw(&[bars])?);
        }
        if report.categories.len() > 1 {
            let title = format!("Total score of each category, {by}");
            let rows = report.categories.iter().enumerate();
            let bars = Bars {
                title: title.clone(),
                series: series(),
                rows: rows
                    .clone()
                    .map(|(c, name)| {
                        (name.clone(), of.rows.iter().map(|row| row.categories[c].map(bar)).collect())
                    })
                    .collect(),
                digits: 1,
                most: Some(most),
            };
            push(format!("categories{number}.svg"), &title, Bars::draw(&[bars])?);
            let value = |c: usize| of.rows.iter().map(|row| row.categories[c].map(|of| of.value)).collect();
            let radar = Radar {
                title: title.clone(),
                series: series(),
                rows: rows.map(|(c, name)| (name.clone(), value(c))).collect(),
                most,
            };
            if let Some(svg) = radar.draw()? {
                push(format!("radar{number}.svg"), &title, svg);
            }
        }
        if !of.pairs.is_empty() {
            let title = format!("Who has the higher total, % of prompts, {by}");
            push(format!("totals-won{number}.svg"), &title, shares(&title, &of.pairs)?);
        }
    }
    for (i, of) in report.preferences.iter().enumerate() {
        let number = if report.preferences.len() > 1 { format!("-{}", i + 1) } else { String::new() };
        let title = format!("Which answer is better, % of prompts, {} ({})", of.judge, of.name);
        push(format!("pairs{number}.svg"), &title, shares(&title, &of.pairs)?);
    }
    Ok(charts)
}

fn bar(of: sai_judge::statistics::Interval) -> Bar {
    Bar { value: of.value, ends: Some((of.low, of.high)) }
}

/// One bar for each contestant; prompts that are missing are said beside its name.
fn totals(title: &str, of: &ScoreReport, most: f64) -> anyhow::Result<String> {
    let rows = of.rows.iter().map(|row| {
        let name = match row.graded < of.prompts {
            true => format!("{} ({} of {})", row.contestant, row.graded, of.prompts),
            false => row.contestant.clone(),
        };
        (name, vec![row.total.map(bar)])
    });
    let series = vec!["mean of the prompts, with its interval".to_owned()];
    Bars::draw(&[Bars { title: title.to_owned(), series, rows: rows.collect(), digits: 2, most: Some(most) }])
}

fn shares(title: &str, pairs: &[Pair]) -> anyhow::Result<String> {
    let parts = vec![
        ("A wins", COLORS[0]),
        ("tie", RGBColor(190, 197, 205)),
        ("B wins", COLORS[1]),
        ("missing", RGBColor(240, 240, 240)),
    ];
    let rows =
        pairs.iter().map(|pair| (format!("{} – {}", pair.a, pair.b), pair.shares().to_vec())).collect();
    Shares { title: title.to_owned(), parts, rows }.draw()
}
