//! What encoding costs: megabytes a second on texts that people write and on texts made to be slow.
//!
//! `cargo run -p sai-tokenizer --example encode_speed -- FOLDER [FILE]`

#![allow(clippy::print_stdout)]

use std::time::Instant;

use sai_tokenizer::Tokenizer;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the folder of a tokenizer");
    let tokenizer = Tokenizer::from_folder(folder.as_ref()).expect("a tokenizer");
    let mut texts = vec![
        ("one word of a million letters", "a".repeat(1_000_000)),
        ("one word of a million syllables", "가나다라".repeat(250_000)),
        ("a million spaces", " ".repeat(1_000_000)),
        ("a million digits", "0123456789".repeat(100_000)),
        ("a million apostrophes", "'".repeat(1_000_000)),
        ("a million decomposed syllables", "\u{1112}\u{1161}\u{11ab}".repeat(1_000_000)),
    ];
    for file in arguments {
        texts.push(("file", std::fs::read_to_string(file).expect("a text file")));
    }
    for (name, text) in &texts {
        let start = Instant::now();
        let ids = tokenizer.encode(text);
        let seconds = start.elapsed().as_secs_f64();
        let rate = text.len() as f64 / seconds / 1e6;
        println!("{name:34} {:9} bytes {:9} ids {seconds:7.3} s {rate:7.1} MB/s", text.len(), ids.len());
    }
}
