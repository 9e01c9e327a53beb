//! `report.html`: a run on one page, with nothing fetched from elsewhere.

use crate::folder::whole;
use crate::{Error, Metrics, Rewards, Sample, Validation, samples};
use html_escape::encode_text as escape;
use plotters::prelude::*;
use std::fmt::Write;
use std::path::Path;

const SIZE: (u32, u32) = (860, 320);
/// Points of a curve at most; a curve of more is thinned.
const POINTS: usize = 2000;
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:880px;margin:2rem auto;padding:0 1rem;color:#222}\
    svg{width:100%;height:auto}pre{background:#f5f5f5;padding:1rem;overflow:auto;font-size:13px}\
    td,th{padding:.15rem .8rem .15rem 0;text-align:left}";

/// Writes the page into the run's folder. `recipe` is the resolved one as TOML.
///
/// # Errors
/// The disk refuses, or a curve cannot be drawn.
pub fn report(
    out: &Path,
    recipe: &str,
    steps: u64,
    parameters: u64,
    metrics: &[Metrics],
) -> Result<(), Error> {
    let name = out.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut page = page(&name);
    page += &figures(steps, parameters, metrics);
    page += &curves(out, metrics)?;
    page += &said(&samples::read(out));
    let _ = writeln!(page, "<h2>Recipe</h2><pre>{}</pre></html>", escape(recipe));
    whole(&out.join("report.html"), page.as_bytes())
}

/// The beginning of a page, up to its heading, which is `title`.
pub fn page(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    )
}

/// The curves of a run in `out`, as HTML: loss, held-out text, gradients, learning rate and speed.
///
/// # Errors
/// A curve cannot be drawn.
pub fn curves(out: &Path, metrics: &[Metrics]) -> Result<String, Error> {
    let of =
        |value: fn(&Metrics) -> f64| metrics.iter().map(|m| (m.step as f64, value(m))).collect::<Vec<_>>();
    let draw = |title: &str, curves: &[Curve]| {
        curve(title, curves)
            .map_err(|e| Error::Data { path: out.join("report.html"), fact: format!("cannot be drawn: {e}") })
    };
    let preferences = metrics.iter().any(|m| m.rewards.is_some());
    let unit = if preferences { "Loss, nats a pair" } else { "Loss, nats a token" };
    let mut html = draw(unit, &[("training".to_owned(), of(|m| m.loss))])?;
    if preferences {
        let both = [rewards(metrics, "chosen", |r| r.chosen), rewards(metrics, "rejected", |r| r.rejected)];
        html += &draw("Rewards", &both)?;
        html += &draw("Share of pairs told apart", &[rewards(metrics, "training", |r| r.accuracy)])?;
        html +=
            &draw("Held-out pairs: share told apart", &by_language(metrics, |v| Some(v.rewards?.accuracy)))?;
    }
    let validation = by_language(metrics, |found| Some(found.bits_per_byte));
    if !validation.is_empty() {
        html += &draw("Held-out text, bits a byte", &validation)?;
    }
    html += &draw("Gradient's norm", &[("norm".to_owned(), of(|m| m.grad_norm))])?;
    html += &draw("Learning rate", &[("rate".to_owned(), of(|m| m.learning_rate))])?;
    html += &draw("Tokens a second", &[("speed".to_owned(), of(|m| m.tokens_per_second))])?;
    Ok(html)
}

fn figures(steps: u64, parameters: u64, metrics: &[Metrics]) -> String {
    let mut rows = vec![
        ("Parameters".to_owned(), parameters.to_string()),
        ("Steps".to_owned(), format!("{} of {}", metrics.len(), steps)),
        ("Tokens".to_owned(), metrics.last().map_or(0, |m| m.tokens).to_string()),
    ];
    let mut speeds: Vec<f64> = metrics.iter().map(|m| m.tokens_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    if let (Some(last), Some(median)) = (metrics.last(), speeds.get(speeds.len() / 2)) {
        rows.push(("Loss of the last step".to_owned(), format!("{:.4} nats", last.loss)));
        rows.push(("Tokens a second, median".to_owned(), format!("{median:.0}")));
    }
    if let Some(share) = metrics.iter().rev().find_map(|m| m.peak_share) {
        rows.push(("Share of the machine's peak".to_owned(), format!("{:.0} %", 100.0 * share)));
    }
    if let Some(last) = metrics.iter().rev().find(|m| !m.validation.is_empty()) {
        for found in &last.validation {
            let value = match &found.rewards {
                None => format!("{:.4} bits a byte, {:.4} nats a token", found.bits_per_byte, found.loss),
                Some(rewards) => format!(
                    "{:.1} % of pairs told apart, loss {:.4}; {:.4} bits a byte of chosen answers",
                    100.0 * rewards.accuracy,
                    found.loss,
                    found.bits_per_byte
                ),
            };
            rows.push((format!("Held-out text, {}", escape(&found.language)), value));
        }
    }
    let rows: String = rows.iter().map(|(name, value)| format!("<tr><th>{name}<td>{value}")).collect();
    format!("<table>{rows}</table>")
}

/// A curve over the steps, with its name.
type Curve = (String, Vec<(f64, f64)>);

/// A figure of the steps' rewards.
fn rewards(metrics: &[Metrics], name: &str, value: fn(&Rewards) -> f64) -> Curve {
    let points = metrics.iter().filter_map(|m| Some((m.step as f64, value(m.rewards.as_ref()?))));
    (name.to_owned(), points.collect())
}

/// What validations found of each language over the steps.
fn by_language(metrics: &[Metrics], figure: fn(&Validation) -> Option<f64>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (step, found) in
        metrics.iter().flat_map(|m| m.validation.iter().map(move |found| (m.step as f64, found)))
    {
        let Some(value) = figure(found) else { continue };
        let point = (step, value);
        match curves.iter_mut().find(|(language, _)| *language == found.language) {
            Some((_, points)) => points.push(point),
            None => curves.push((found.language.clone(), vec![point])),
        }
    }
    curves
}

/// The samples, the newest of a step and beginning where a run passed twice.
fn said(samples: &[Sample]) -> String {
    let mut shown: Vec<&Sample> = Vec::new();
    for sample in samples {
        shown.retain(|other| (other.step, &other.prompt) != (sample.step, &sample.prompt));
        shown.push(sample);
    }
    if shown.is_empty() {
        return String::new();
    }
    let item = |s: &&Sample| {
        format!("<p>After step {}: <b>{}</b>{}</p>", s.step, escape(&s.prompt), escape(&s.text))
    };
    format!("<h2>Samples</h2>{}", shown.iter().map(item).collect::<String>())
}

/// Curves over the steps as SVG.
fn curve(title: &str, curves: &[Curve]) -> Result<String, String> {
    let finite = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        let every = points.len().div_ceil(POINTS).max(1);
        points.iter().copied().step_by(every).filter(|(_, y)| y.is_finite()).collect()
    };
    let curves: Vec<(&str, Vec<(f64, f64)>)> =
        curves.iter().map(|(name, points)| (name.as_str(), finite(points))).collect();
    let all = || curves.iter().flat_map(|(_, points)| points.iter());
    let (low, high) = all().fold((f64::MAX, f64::MIN), |(low, high), &(_, y)| (low.min(y), high.max(y)));
    if all().next().is_none() {
        return Ok(String::new());
    }
    let last = all().map(|&(x, _)| x).fold(1.0, f64::max);
    let margin = ((high - low) * 0.05).max(high.abs() * 1e-3).max(1e-9);
    let mut svg = String::new();
    let drawn = (|| -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            // For half of the last label.
            .margin_right(24)
            .x_label_area_size(30)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
        chart.configure_mesh().light_line_style(WHITE).x_desc("step").draw()?;
        for (i, (name, points)) in curves.iter().enumerate() {
            let color = Palette99::pick(i).stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        if curves.len() > 1 {
            chart.configure_series_labels().background_style(WHITE.mix(0.8)).draw()?;
        }
        area.present()?;
        Ok(())
    })();
    drawn.map_err(|e| e.to_string())?;
    Ok(format!("<h2>{}</h2>{svg}", escape(title)))
}
