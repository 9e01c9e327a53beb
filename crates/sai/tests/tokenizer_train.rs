//! `sai tokenizer train`, as a person runs it.

mod common;

use std::io::Write;
use std::path::Path;

use common::{fails, run, sai, succeeds};
use serde_json::{Value, json};

/// Documents of two languages and of none, a file each for two kinds of files.
fn corpus(folder: &Path) {
    let mut file = std::fs::File::create(folder.join("a.jsonl")).unwrap();
    for i in 0..300 {
        let (lang, text) = match i % 3 {
            0 => (Some("ko"), format!("안녕하세요 {i}번째 문서입니다. 한국어로 쓴 글이고 한국의 글입니다.")),
            1 => (Some("en"), format!("Document {i} is written in English, as the others of its kind are.")),
            _ => (None, format!("?? {i} !!")),
        };
        writeln!(file, "{}", json!({ "text": text, "lang": lang })).unwrap();
    }
    std::fs::write(folder.join("b.txt"), "Ein Text auf Deutsch. ".repeat(40)).unwrap();
}

fn train(home: &Path, more: &[&str]) -> std::process::Command {
    let mut command = sai(home);
    command.args(["tokenizer", "train", "--vocab-size", "360", "-o", "out"]).args(more);
    command
}

fn left(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_folder_of_documents_becomes_a_vocabulary_that_encodes() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("corpus")).unwrap();
    corpus(&home.path().join("corpus"));
    let ran = succeeds(&mut train(home.path(), &["--input", "corpus", "--json"]));
    let done: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (done["tokens"].as_u64(), done["text_bytes"].as_u64().map(|n| n > 10_000)),
        (Some(360), Some(true))
    );
    assert!(ran.err.contains("out: 360 tokens"), "{ran:?}");
    assert_eq!(left(home.path()), ["corpus", "out"]);
    let names =
        ["merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json"];
    assert_eq!(left(&home.path().join("out")), names);
    let config = std::fs::read(home.path().join("out/tokenizer_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert!(config["chat_template"].as_str().unwrap().contains("<|im_start|>"));
    assert_eq!((&config["eos_token"], &config["pad_token"]), (&json!("<|endoftext|>"), &json!("<|pad|>")));
    let ids =
        succeeds(sai(home.path()).args(["tokenizer", "encode", "-t", "out", "--ids", "<|im_end|>한국의"]));
    assert!(ids.out.starts_with("2 ") && ids.out.split_whitespace().count() < 9, "{ids:?}");

    // The same again, on another number of threads, is the same.
    let files = |folder: &str| names.map(|name| std::fs::read(home.path().join(folder).join(name)).unwrap());
    let one = files("out");
    std::fs::rename(home.path().join("out"), home.path().join("one")).unwrap();
    succeeds(&mut train(home.path(), &["--input", "corpus", "--threads", "3"]));
    assert!(one == files("out"));
    // What is there is not replaced.
    let said = fails(&mut train(home.path(), &["--input", "corpus"]));
    assert!(said.contains("out: it is there already"), "{said}");
}

#[test]
fn a_sample_takes_so_many_documents_of_each_language() {
    let home = tempfile::tempdir().unwrap();
    corpus(home.path());
    let take = |seed: &str, out: &str| {
        let more = ["--input", "a.jsonl", "--sample", "ko=40,en=1k", "--seed", seed, "--json"];
        let ran = succeeds(&mut train(home.path(), &more));
        std::fs::rename(home.path().join("out"), home.path().join(out)).unwrap();
        (ran, std::fs::read_to_string(home.path().join(out).join("merges.txt")).unwrap())
    };
    let (ran, merges) = take("1", "first");
    assert!(ran.err.contains("ko: 40 of 100 documents") && ran.err.contains("en: 100 of 100"), "{ran:?}");
    assert!(ran.err.contains("warning: en: 1,000 documents were asked for, and there are 100"), "{ran:?}");
    assert!(take("1", "again").1 == merges);
    assert_eq!(left(home.path()), ["a.jsonl", "again", "b.txt", "first"]);
}

#[test]
fn what_cannot_be_done_is_said_in_one_line_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    corpus(home.path());
    let said = |more: &[&str], fact: &str| {
        let ran = run(&mut train(home.path(), more));
        assert!(ran.code != Some(0) && ran.err.contains(fact), "{more:?}: {ran:?}");
        assert_eq!(left(home.path()), ["a.jsonl", "b.txt"], "{more:?}");
    };
    said(&["--input", "a.jsonl", "--memory", "100k"], "distinct words in");
    said(&["--input", "a.jsonl", "--memory", "much"], "no number of bytes");
    said(&["--input", "a.jsonl", "--sample", "ko"], "ko=10M");
    said(&["--input", "a.jsonl", "--sample", "fr=10"], "none in the sample's languages");
    said(&["--input", "a.jsonl", "--vocab-size", "200"], "no room");
    said(&["--input", "a.jsonl", "--special", "a"], "\"a\" would stand for a byte");
    said(&["--input", "a.jsonl", "--eos", "<|eos|>"], "none of the special tokens");
    said(&["--input", "a.jsonl", "--text-column", "body"], "a.jsonl: line 1");
    said(&["--input", "none.jsonl"], "none.jsonl");
    said(&["--input", "a.jsonl", "--chat-template", "none.jinja"], "none.jinja");
    let ran = succeeds(&mut train(home.path(), &["--input", "a.jsonl", "--vocab-size", "50000"]));
    assert!(ran.err.contains("no more pairs are met 2 times"), "{ran:?}");
}
