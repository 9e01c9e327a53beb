//! Verdicts of rules on documents: reads JSON lines with `text` from standard input and prints, for each, a JSON object of the name of
//! each set of rules to the reason for which it drops the document (null where it keeps it). The argument is a JSON file of names to
//! rules, as recipes have them. Seconds of all sets together go to standard error. `peers/cleaning.py` compares them with datatrove's.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod cpu;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use sai_cleaning::Rules;
use sai_cleaning::quality::{Check, Measure, first_failure};

#[derive(serde::Deserialize)]
struct Document {
    text: String,
}

fn main() {
    let path = std::env::args().nth(1).expect("a file of rules");
    let sets: BTreeMap<String, Rules> =
        serde_json::from_slice(&std::fs::read(path).expect("the file")).expect("rules");
    let documents: Vec<Document> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("a document"))
        .collect();
    let mut measure = Measure::new();
    let start = Instant::now();
    let before = cpu::seconds(start);
    let mut verdicts = Vec::with_capacity(documents.len());
    for Document { text } in &documents {
        measure.read(text);
        let verdict: BTreeMap<&str, Option<&str>> =
            sets.iter().map(|(name, rules)| (name.as_str(), reason(text, rules, &mut measure))).collect();
        verdicts.push(verdict);
    }
    let seconds = cpu::seconds(start) - before;
    let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for verdict in verdicts {
        writeln!(out, "{}", serde_json::to_string(&verdict).expect("names")).expect("standard output");
    }
    eprintln!("{{\"seconds\": {seconds}, \"documents\": {}, \"bytes\": {bytes}}}", documents.len());
}

/// The reason of datatrove's rules alone, on the text as it is.
fn reason(text: &str, rules: &Rules, measure: &mut Measure) -> Option<&'static str> {
    let mut checks: Vec<Check> = Vec::new();
    if let Some(rule) = &rules.gopher_repetition {
        rule.check(text, measure, &mut checks);
    }
    if let Some(rule) = &rules.gopher_quality {
        rule.check(text, measure, &mut checks);
    }
    if let Some(rule) = &rules.c4 {
        rule.check(text, &mut checks);
    }
    if let Some(rule) = &rules.paragraphs {
        rule.check(text, &mut checks);
    }
    if let Some(rule) = &rules.fineweb {
        rule.check(text, measure, &mut checks);
    }
    first_failure(&checks).map(|check| check.rule)
}
