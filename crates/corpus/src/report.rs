//! A corpus as one page of HTML: what went where, every signal with its threshold and whom it costs, texts that were kept
//! and dropped for each reason. Nothing in it is fetched from anywhere, and every text is escaped.

mod charts;

use std::fmt::Write;

use crate::manifest::Manifest;
use crate::tally::{Count, Sample};
use charts::{bars, histogram, sankey};

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6b7b; --line: #d8dfe6; --paper: #fff; --kept: #2a78b5; --gone: #c8553d; --even: #f5f7f9 }\
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf0; --soft: #9aabbb; --line: #36424e; --paper: #14191f; --kept: #5aa9e6; --gone: #e8806a; --even: #1b222a } }\
* { box-sizing: border-box } body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 1080px; padding: 24px }\
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 19px; margin: 36px 0 8px } h3 { font-size: 15px; margin: 18px 0 4px }\
p.lead, .soft { color: var(--soft) } table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top }\
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } tr.off td { color: var(--soft) }\
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 14px } figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px }\
figcaption { font-size: 13px } svg { width: 100%; height: auto; display: block } svg text { fill: var(--ink); font: 12px system-ui, sans-serif } svg .soft { fill: var(--soft) }\
blockquote { margin: 6px 0 12px; padding: 8px 12px; background: var(--even); border-left: 3px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; max-height: 15em; overflow: auto }\
details { margin: 4px 0 } summary { cursor: pointer } code { font-size: 13px }";

/// The page. `name` is what the corpus is called.
pub fn report(manifest: &Manifest, name: &str) -> String {
    let mut page = String::new();
    let Manifest { rules, dropped, made, .. } = manifest;
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{0}: corpus</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p class=\"lead\">{1} documents, {2} of text, in {3} shards; \
         from {4} records of {5} files, {6}. sai {7}.</p>\n",
        escaped(name),
        thousands(manifest.written.documents),
        size(manifest.written.bytes),
        manifest.shards.len(),
        thousands(rules.read.documents),
        thousands(manifest.files),
        size(manifest.input),
        escaped(&manifest.sai),
    );
    page += "<h2>What went where</h2>\n";
    page += &sankey(&manifest.flow);
    page +=
        "<table><tr><th>step</th><th class=n>documents</th><th class=n>bytes</th><th>dropped for</th></tr>\n";
    for flow in &manifest.flow {
        let reasons: Vec<String> =
            by_size(flow.dropped.iter().map(|(reason, count)| (reason.as_str(), *count)))
                .into_iter()
                .map(|(reason, count)| format!("{} {}", escaped(reason), thousands(count.documents)))
                .collect();
        row(&mut page, &flow.step, flow.left, &reasons.join(" · "));
    }
    page += "</table>\n";
    faults(&mut page, manifest);

    page += "<h2>Sources, languages, licences</h2>\n";
    page += "<table><tr><th>source</th><th>language</th><th>licence</th><th class=n>documents</th><th class=n>bytes</th></tr>\n";
    for (group, count) in &manifest.groups {
        let license = if group.license.is_empty() { "not said" } else { &group.license };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
            escaped(&group.source),
            escaped(&group.lang),
            escaped(license),
            thousands(count.documents),
            size(count.bytes)
        );
    }
    page += "</table>\n<h3>Languages of all that had a text</h3>\n";
    page += &bars(&by_size(rules.languages.iter().map(|(name, count)| (name.as_str(), *count))));
    page += "<h3>Dropped by the rules, by source</h3>\n<table><tr><th>source</th><th class=n>read</th><th>dropped for</th></tr>\n";
    for (source, count) in &rules.sources {
        let reasons = rules.dropped_of.get(source);
        let mut reasons: Vec<_> = reasons.into_iter().flatten().collect();
        reasons.sort_by_key(|&(reason, count)| (std::cmp::Reverse(*count), reason.clone()));
        let said: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{} {}", escaped(reason), thousands(**count)))
            .collect();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=n>{}</td><td>{}</td></tr>",
            escaped(source),
            thousands(count.documents),
            said.join(" · ")
        );
    }
    page += "</table>\n";
    shares(&mut page, manifest);

    page += "<h2>Signals and thresholds</h2>\n<p class=\"soft\">Every text that reached the rules. What lies beyond a threshold is dropped; \
             <em>alone</em> are documents that no other rule drops, so those that moving this threshold brings back.</p>\n<div class=grid>\n";
    for (name, signal) in &rules.signals {
        page += &histogram(name, signal);
    }
    page += "</div>\n";

    if !(rules.changes.is_empty() && made.changes.is_empty()) {
        page +=
            "<h2>What was changed in texts</h2>\n<table><tr><th>what</th><th class=n>how often</th></tr>\n";
        for (kind, count) in rules.changes.iter().chain(&made.changes) {
            let _ =
                writeln!(page, "<tr><td>{}</td><td class=n>{}</td></tr>", escaped(kind), thousands(*count));
        }
        page += "</table>\n";
    }
    clusters(&mut page, manifest);

    page += "<h2>Texts</h2>\n";
    let all = rules.samples.iter().chain(&dropped.samples);
    for (reason, samples) in all.filter(|(reason, _)| !reason.starts_with("cluster ")) {
        let open = if reason == "kept" { " open" } else { "" };
        let title = if reason == "kept" {
            "kept by the rules".to_owned()
        } else {
            format!("dropped: {}", escaped(reason))
        };
        let _ = writeln!(page, "<details{open}><summary>{title}</summary>");
        samples.iter().for_each(|sample| text(&mut page, sample));
        page += "</details>\n";
    }
    page += "</body></html>\n";
    page
}

fn row(page: &mut String, name: &str, count: Count, more: &str) {
    let _ = writeln!(
        page,
        "<tr><td>{}</td><td class=n>{}</td><td class=n>{}</td><td>{more}</td></tr>",
        escaped(name),
        thousands(count.documents),
        size(count.bytes)
    );
}

fn faults(page: &mut String, manifest: &Manifest) {
    let faults = &manifest.rules.faults;
    if faults.broken.is_empty() && faults.passed_over.is_empty() {
        return;
    }
    *page += "<h3>Broken or passed over before that</h3>\n<table><tr><th>what</th><th class=n>how often</th></tr>\n";
    for (kind, count) in faults.broken.iter().chain(&faults.passed_over) {
        let _ = writeln!(page, "<tr><td>{}</td><td class=n>{}</td></tr>", escaped(kind), thousands(*count));
    }
    *page += "</table>\n";
}

fn shares(page: &mut String, manifest: &Manifest) {
    if manifest.shares.is_empty() {
        return;
    }
    *page += "<h3>Mixture</h3>\n<table><tr><th>share</th><th class=n>wanted</th><th class=n>there is</th><th class=n>taken</th><th class=n>epochs</th></tr>\n";
    for share in &manifest.shares {
        let name = [&share.source, &share.lang].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        let name = if name.is_empty() { "all others".to_owned() } else { name };
        let short = if share.short { " (all there is)" } else { "" };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=n>{:.1} %</td><td class=n>{}</td><td class=n>{}{short}</td><td class=n>{:.2}</td></tr>",
            escaped(&name),
            share.wanted * 100.0,
            size(share.available.bytes),
            size(share.taken),
            share.epochs
        );
    }
    *page += "</table>\n";
}

fn clusters(page: &mut String, manifest: &Manifest) {
    let duplicates = &manifest.duplicates;
    if duplicates.sizes.is_empty() {
        return;
    }
    let clusters: u64 = duplicates.sizes.values().sum();
    let _ = writeln!(
        page,
        "<h2>Largest clusters</h2>\n<p class=\"soft\">{} clusters of documents that are alike; one of each stays.</p>",
        thousands(clusters)
    );
    for cluster in &duplicates.largest {
        let samples = manifest.dropped.samples.get(&format!("cluster {}", cluster.document));
        let _ = writeln!(page, "<details><summary>{} documents</summary>", thousands(cluster.size));
        match samples.and_then(|samples| samples.first()) {
            Some(sample) => text(page, sample),
            None => *page += "<p class=\"soft\">none of it was written</p>",
        }
        *page += "</details>\n";
    }
}

fn text(page: &mut String, sample: &Sample) {
    let fact = if sample.fact.is_empty() { String::new() } else { format!(" · {}", escaped(&sample.fact)) };
    let _ = writeln!(
        page,
        "<div class=soft><code>{}</code>{fact}</div><blockquote>{}</blockquote>",
        escaped(&sample.place),
        escaped(&sample.text)
    );
}

fn by_size<'n>(counts: impl Iterator<Item = (&'n str, Count)>) -> Vec<(&'n str, Count)> {
    let mut counts: Vec<_> = counts.filter(|(_, count)| count.documents > 0).collect();
    counts.sort_by_key(|&(name, count)| (std::cmp::Reverse(count.documents), name));
    counts
}

/// A text in HTML, without the control characters that no page may hold.
fn escaped(text: &str) -> String {
    let plain = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    let text: String = text.chars().map(plain).collect();
    html_escape::encode_quoted_attribute(&text).into_owned()
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}
