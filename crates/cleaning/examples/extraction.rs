//! Main text of pages: reads paths from standard input, one a line, and prints a JSON line for each with its text and the seconds.
//! `peers/extraction.py` compares it with other extractors.

#![allow(clippy::print_stdout, missing_docs)]

mod cpu;

use std::io::{BufRead, Write};
use std::time::Instant;

use sai_cleaning::{charset, html};

fn main() {
    let options = html::Extract { title: false, ..Default::default() };
    let start = Instant::now();
    let mut out = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let path = path.expect("a path a line");
        let bytes = std::fs::read(&path).expect("a page that can be read");
        let before = cpu::seconds(start);
        let (text, by, kind) = match charset::decode(&bytes, None) {
            Ok(decoded) => {
                let page = html::text(&decoded.text, &options);
                (page.text, format!("{:?}", page.by), format!("{:?}", page.kind))
            }
            Err(error) => (String::new(), error.to_string(), String::new()),
        };
        let seconds = cpu::seconds(start) - before;
        let line =
            serde_json::json!({ "path": path, "text": text, "by": by, "kind": kind, "seconds": seconds });
        writeln!(out, "{line}").expect("standard output");
    }
}
