//! Languages of labelled lines: reads JSON lines `{"lang", "kind", "text"}` and prints, for each label and kind, how many were told
//! right, and what the others were taken for. The argument, if any, is a fastText model.

#![allow(clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::Instant;

use sai_cleaning::language::{FastText, detect_with};

#[derive(serde::Deserialize)]
struct Line {
    lang: String,
    kind: String,
    text: String,
}

/// Lines of a label, how many were told right, and what the others were taken for.
#[derive(Default)]
struct Row {
    all: usize,
    right: usize,
    others: BTreeMap<String, usize>,
}

fn main() {
    let model = std::env::args().nth(1).map(|path| FastText::open(path.as_ref()).expect("a model"));
    let lines: Vec<Line> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("a labelled line"))
        .collect();
    let start = Instant::now();
    let answers: Vec<_> = lines.iter().map(|line| detect_with(&line.text, model.as_ref())).collect();
    let seconds = start.elapsed().as_secs_f64();
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    for (line, answer) in lines.iter().zip(answers) {
        let row = rows.entry((line.lang.clone(), line.kind.clone())).or_default();
        row.all += 1;
        if answer.code == line.lang {
            row.right += 1;
        } else {
            *row.others.entry(answer.code.into_owned()).or_default() += 1;
        }
    }
    println!("| label | kind | lines | right | share | taken for |\n| --- | --- | --- | --- | --- | --- |");
    for ((lang, kind), Row { all, right, others }) in rows {
        let mut others: Vec<_> = others.into_iter().collect();
        others.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others: Vec<String> =
            others.into_iter().take(4).map(|(code, count)| format!("{code} {count}")).collect();
        println!(
            "| {lang} | {kind} | {all} | {right} | {:.3} | {} |",
            right as f64 / all as f64,
            others.join(", ")
        );
    }
    println!("\n{} lines a second", (lines.len() as f64 / seconds) as u64);
}
