//! Texts through all rules: reads JSON lines with `text` (or `dirty`) from standard input and prints what comes of each. The argument is the name of a set of
//! rules (korean, english, fineweb2, gopher, c4), or a JSON file of rules. Megabytes of text a second go to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod cpu;

use std::io::{BufRead, Write};
use std::time::Instant;

use sai_cleaning::{Cleaner, Resources, Rules};

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "korean".to_owned());
    let rules = Rules::preset(&name).unwrap_or_else(|| {
        serde_json::from_slice(&std::fs::read(&name).expect("a file of rules")).expect("rules")
    });
    let mut cleaner = Cleaner::new(rules, Resources::default());
    let start = Instant::now();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut bytes, mut seconds, mut kept, mut documents) = (0, 0.0, 0, 0);
    for line in std::io::stdin().lock().lines() {
        let document: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("a document");
        let text = document["text"].as_str().or_else(|| document["dirty"].as_str()).unwrap_or_default();
        let before = cpu::seconds(start);
        let cleaned = cleaner.clean(text, None);
        seconds += cpu::seconds(start) - before;
        bytes += text.len();
        documents += 1;
        kept += usize::from(cleaned.is_kept());
        let reason = cleaned.dropped_for().map(|check| check.rule);
        let line = serde_json::json!({ "reason": reason, "cleaned": cleaned });
        writeln!(out, "{line}").expect("standard output");
    }
    eprintln!("{documents} documents, {kept} kept, {:.1} MB/s", bytes as f64 / seconds / 1e6);
}
