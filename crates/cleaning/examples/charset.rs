//! Encodings of files: reads paths from standard input, one a line, and prints for each a JSON line with its encoding and its text.

#![allow(clippy::print_stdout, missing_docs)]

use std::io::{BufRead, Write};

use sai_cleaning::charset;

fn main() {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::io::stdin().lock().lines() {
        let path = path.expect("a path a line");
        let bytes = std::fs::read(&path).expect("a file that can be read");
        let line = match charset::decode(&bytes, None) {
            Ok(decoded) => {
                serde_json::json!({ "path": path, "encoding": decoded.encoding, "found": decoded.found, "text": decoded.text })
            }
            Err(error) => serde_json::json!({ "path": path, "error": error.to_string() }),
        };
        writeln!(out, "{line}").expect("standard output");
    }
}
