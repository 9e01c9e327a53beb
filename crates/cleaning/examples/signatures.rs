//! MinHash signatures: reads JSON lines with `text` from standard input and prints each document's keys of bands, and with `--signatures` the
//! signatures themselves. The first argument is `words` or `characters`. Documents a second go to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod cpu;

use std::io::{BufRead, Write};
use std::time::Instant;

use sai_cleaning::minhash::{MinHash, MinHashOptions, Unit, bands};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let unit = if arguments.next().as_deref() == Some("characters") { Unit::Characters } else { Unit::Words };
    let whole = arguments.next().as_deref() == Some("--signatures");
    let options = MinHashOptions { unit, ..MinHashOptions::default() };
    let mut hash = MinHash::new(options);
    let documents: Vec<serde_json::Value> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("a document"))
        .collect();
    let start = Instant::now();
    let before = cpu::seconds(start);
    let signatures: Vec<_> = documents
        .iter()
        .map(|document| hash.signature(document["text"].as_str().unwrap_or_default()))
        .collect();
    let seconds = cpu::seconds(start) - before;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for signature in &signatures {
        let line = match (signature, whole) {
            (Some(signature), true) => serde_json::json!(signature),
            (Some(signature), false) => serde_json::json!(bands(signature, options.rows)),
            (None, _) => serde_json::Value::Null,
        };
        writeln!(out, "{line}").expect("standard output");
    }
    eprintln!("{{\"seconds\": {seconds}, \"documents\": {}}}", documents.len());
}
