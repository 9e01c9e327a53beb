//! Megabytes of text a second of CPU time for each step of the rules, on one thread: reads JSON lines with `text` from standard input. The
//! argument is the name of a set of rules.

#![allow(clippy::print_stdout, missing_docs)]

mod cpu;

use std::io::BufRead;
use std::time::Instant;

use sai_cleaning::minhash::MinHash;
use sai_cleaning::quality::Measure;
use sai_cleaning::{Cleaner, Resources, Rules, hashes, language};

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "korean".to_owned());
    let rules = Rules::preset(&name).expect("the name of a set of rules");
    let texts: Vec<String> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.expect("a line")).expect("a document"))
        .filter_map(|document| document["text"].as_str().map(str::to_owned))
        .collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    let start = Instant::now();
    let time = |step: &str, work: &mut dyn FnMut(&str)| {
        let before = cpu::seconds(start);
        for text in &texts {
            work(text);
        }
        let seconds = (cpu::seconds(start) - before).max(1e-9);
        println!(
            "| {step} | {:.0} MB/s | {:.0} documents/s |",
            bytes as f64 / 1e6 / seconds,
            texts.len() as f64 / seconds
        );
    };
    println!(
        "{} documents, {:.1} MB\n\n| step | text | |\n| --- | --- | --- |",
        texts.len(),
        bytes as f64 / 1e6
    );
    time("characters", &mut |text| drop(rules.normalise.apply(text)));
    if let Some(lines) = &rules.lines {
        time("lines", &mut |text| drop(lines.remove(text)));
    }
    if let Some(personal) = &rules.personal {
        time("personal data", &mut |text| drop(personal.mask(text)));
    }
    time("language", &mut |text| drop(language::document(text, None)));
    let mut measure = Measure::new();
    time("words", &mut |text| measure.read(text));
    let mut checks = Vec::new();
    if let Some(rule) = &rules.gopher_repetition {
        time("words, repetition", &mut |text| {
            measure.read(text);
            rule.check(text, &mut measure, &mut checks);
            checks.clear();
        });
    }
    if let (Some(quality), Some(lines)) = (&rules.gopher_quality, &rules.fineweb) {
        time("words, quality, lines", &mut |text| {
            measure.read(text);
            quality.check(text, &measure, &mut checks);
            lines.check(text, &mut measure, &mut checks);
            checks.clear();
        });
    }
    if let Some(rule) = &rules.c4 {
        time("C4", &mut |text| {
            drop(rule.check(text, &mut checks));
            checks.clear();
        });
    }
    if let (Some(korean), Some(spam)) = (&rules.korean, &rules.spam) {
        time("words, Korean, spam", &mut |text| {
            measure.read(text);
            korean.check(text, &measure, &mut checks);
            spam.check(text, &measure, &mut checks);
            checks.clear();
        });
    }
    time("hashes of lines", &mut |text| drop(hashes::lines(text)));
    let mut cleaner = Cleaner::new(rules.clone(), Resources::default());
    time("all rules", &mut |text| drop(cleaner.clean(text, None)));
    if let Some(options) = rules.minhash {
        let mut hash = MinHash::new(options);
        time("MinHash", &mut |text| drop(hash.bands(text)));
    }
}
