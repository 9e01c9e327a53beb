//! The pictures of a report, as SVG.

use std::fmt::Write;

use super::{by_size, escaped, size, thousands};
use crate::manifest::Flow;
use crate::tally::{Count, Histogram, least_of, step_of};

/// Reasons that have a band of their own at each step.
const BANDS: usize = 4;

/// The flow of documents: what is left goes on to the right, what is dropped goes down.
pub(super) fn sankey(flow: &[Flow]) -> String {
    let (width, height, top) = (1000.0, 220.0, 40.0);
    let all = flow.first().map_or(0, |flow| flow.left.documents).max(1) as f64;
    let high = |documents: u64| documents as f64 / all * height;
    let step = width / flow.len().max(1) as f64;
    // What goes down is listed below, a line a reason.
    let lines = flow
        .iter()
        .map(|flow| flow.dropped.iter().filter(|(_, count)| count.documents > 0).count().min(BANDS + 1))
        .max();
    let bottom = top + height + 34.0 + lines.unwrap_or(0) as f64 * 16.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {width} {bottom}\" role=\"img\" aria-label=\"flow of documents\">\n");
    for (at, this) in flow.iter().enumerate() {
        let x = at as f64 * step;
        let tall = high(this.left.documents);
        if at > 0 {
            let (left, before) = (x - step + 12.0, high(flow[at - 1].left.documents));
            ribbon(&mut svg, left, top, top + before.min(tall), x, top, top + tall, "var(--kept)", 0.35);
            if before > tall {
                let (y, down) = (top + tall, top + height + 14.0);
                let wide = (before - tall).min(step * 0.3).max(1.0);
                let _ = writeln!(
                    svg,
                    "<path d=\"M{left} {y} C{m} {y} {x0} {y} {x0} {down} L{x1} {down} C{x1} {b} {m} {b} {left} {b} Z\" fill=\"var(--gone)\" opacity=\".45\"/>",
                    m = left + step * 0.4,
                    x0 = x + wide,
                    x1 = x,
                    b = top + before,
                );
            }
        }
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{top}\" width=\"12\" height=\"{tall:.1}\" fill=\"var(--kept)\"/>\
             <text x=\"{x}\" y=\"14\">{}</text><text class=\"soft\" x=\"{x}\" y=\"30\">{} · {}</text>",
            escaped(&this.step),
            thousands(this.left.documents),
            size(this.left.bytes)
        );
        let reasons = by_size(this.dropped.iter().map(|(reason, count)| (reason.as_str(), *count)));
        let (shown, others) = reasons.split_at(reasons.len().min(BANDS));
        let mut y = top + height + 32.0;
        for (reason, count) in shown {
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\">{} {}</text>",
                thousands(count.documents),
                escaped(reason)
            );
            y += 16.0;
        }
        if !others.is_empty() {
            let rest: u64 = others.iter().map(|(_, count)| count.documents).sum();
            let _ = writeln!(
                svg,
                "<text class=\"soft\" x=\"{x}\" y=\"{y}\">{} for {} others</text>",
                thousands(rest),
                others.len()
            );
        }
    }
    svg += "</svg>\n";
    svg
}

/// A band from one edge to another.
#[expect(clippy::too_many_arguments, reason = "two edges, a colour")]
fn ribbon(
    svg: &mut String,
    x0: f64,
    a0: f64,
    b0: f64,
    x1: f64,
    a1: f64,
    b1: f64,
    colour: &str,
    opacity: f64,
) {
    let m = f64::midpoint(x0, x1);
    let _ = writeln!(
        svg,
        "<path d=\"M{x0} {a0:.1} C{m} {a0:.1} {m} {a1:.1} {x1} {a1:.1} L{x1} {b1:.1} C{m} {b1:.1} {m} {b0:.1} {x0} {b0:.1} Z\" fill=\"{colour}\" opacity=\"{opacity}\"/>"
    );
}

/// The values of a signal, with its thresholds. What is dropped has another colour; heights are by the root, so that few are seen
/// beside many.
pub(super) fn histogram(name: &str, signal: &Histogram) -> String {
    let (width, height) = (300.0, 96.0);
    let steps = signal.steps.iter().filter(|(_, count)| **count > 0);
    let (mut first, mut last) = (i32::MAX, i32::MIN);
    let marks: Vec<i32> = signal.thresholds.values().map(|&threshold| step_of(threshold)).collect();
    for step in steps.map(|(step, _)| *step).chain(marks) {
        first = first.min(step);
        last = last.max(step);
    }
    if first > last {
        return String::new();
    }
    let wide = width / f64::from(last - first + 1);
    let x = |step: i32| f64::from(step - first) * wide;
    let most = signal.steps.values().copied().max().unwrap_or(1).max(1) as f64;
    let strictest = match signal.at_least {
        true => signal.thresholds.values().copied().fold(f64::NEG_INFINITY, f64::max),
        false => signal.thresholds.values().copied().fold(f64::INFINITY, f64::min),
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"values of {}\">\n",
        height + 18.0,
        escaped(name)
    );
    for (&step, &count) in &signal.steps {
        let tall = (count as f64 / most).sqrt() * (height - 6.0);
        let gone = match signal.at_least {
            true => step < step_of(strictest),
            false => step > step_of(strictest),
        };
        let colour = if gone { "var(--gone)" } else { "var(--kept)" };
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"{colour}\"><title>from {:.3}: {}</title></rect>",
            x(step),
            height - tall,
            (wide - 0.6).max(0.8),
            least_of(step),
            thousands(count)
        );
    }
    for (set, &threshold) in &signal.thresholds {
        let at = x(step_of(threshold));
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height}\" stroke=\"var(--ink)\" stroke-dasharray=\"3 2\"><title>{}: {threshold}</title></line>",
            escaped(set)
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"soft\" x=\"0\" y=\"{y}\">{:.3}</text><text class=\"soft\" x=\"{width}\" y=\"{y}\" text-anchor=\"end\">{:.3}</text></svg>",
        least_of(first),
        least_of(last + 1),
        y = height + 14.0
    );
    let must = if signal.at_least { "at least" } else { "at most" };
    let thresholds: Vec<String> =
        signal.thresholds.iter().map(|(set, threshold)| format!("{threshold} ({})", escaped(set))).collect();
    format!(
        "<figure><figcaption><strong>{}</strong> {must} {}<br><span class=soft>{} beyond, {} of them alone</span></figcaption>{svg}</figure>\n",
        escaped(name),
        thresholds.join(", "),
        thousands(signal.failed),
        thousands(signal.alone)
    )
}

/// Counts as bars.
pub(super) fn bars(counts: &[(&str, Count)]) -> String {
    const SHOWN: usize = 20;
    let most = counts.first().map_or(1, |(_, count)| count.documents.max(1)) as f64;
    let high = counts.len().min(SHOWN) as f64 * 20.0;
    let mut svg = format!("<svg viewBox=\"0 0 1000 {high}\" role=\"img\" aria-label=\"languages\">\n");
    for (at, (name, count)) in counts.iter().take(SHOWN).enumerate() {
        let y = at as f64 * 20.0;
        let wide = count.documents as f64 / most * 640.0;
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\">{}</text><rect x=\"90\" y=\"{}\" width=\"{wide:.1}\" height=\"14\" fill=\"var(--kept)\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{}\">{} · {}</text>",
            y + 14.0,
            escaped(name),
            y + 3.0,
            98.0 + wide,
            y + 14.0,
            thousands(count.documents),
            size(count.bytes)
        );
    }
    svg += "</svg>\n";
    svg
}
