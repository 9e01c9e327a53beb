//! What encoding costs: megabytes of text a second over distinct documents, cold and warm, on one thread and more.
//!
//! `cargo bench -p sai-tokenizer --bench encode -- --tokenizer tokenizer.json [--pattern gpt2,…] [--threads 1,2]
//! [--json] FILE.jsonl…`. A line of a file is an object with a `text`. Without files, texts are made; without a
//! tokenizer, the vocabulary of the tests is taken. `--pattern` puts that pre-tokeniser into the tokenizer's place.
//!
//! Cold is the first pass of a tokenizer just read and an encoder just made, warm the second pass of the same. Split
//! is the pre-tokeniser alone, lookup what the warm pass takes beyond it, merge what the cold pass takes beyond the
//! warm. The checksum is SHA-256 over the ids of each document, 32 bits each, and `ffffffff` after a document.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sai_tokenizer::Tokenizer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

struct Arguments {
    tokenizer: String,
    patterns: Vec<String>,
    threads: Vec<usize>,
    json: bool,
    files: Vec<String>,
}

impl Arguments {
    fn read() -> Arguments {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gpt2.json");
        let mut found = Arguments {
            tokenizer: fixture.to_owned(),
            patterns: vec!["own".to_owned()],
            threads: vec![1, 2],
            json: false,
            files: Vec::new(),
        };
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
            match word.as_str() {
                "--tokenizer" => found.tokenizer = value(),
                "--pattern" => found.patterns = list(value()),
                "--threads" => {
                    let counts = list(value());
                    found.threads = counts.iter().map(|n| n.parse().expect("a number of threads")).collect();
                }
                "--json" => found.json = true,
                // What `cargo bench` adds.
                "--bench" => {}
                file => found.files.push(file.to_owned()),
            }
        }
        found
    }
}

/// The texts of a file, or made ones.
fn documents(file: Option<&str>) -> Vec<String> {
    let Some(file) = file else {
        let syllable = |n: usize| char::from_u32(0xac00 + (n * 7919 % 11172) as u32).expect("a syllable");
        let word = |n: usize| format!("{}{}를 the_{n} quick's ", syllable(n), syllable(n / 7));
        return (0..200).map(|d| (0..500).map(|w| word(d * 31 + w * w % 977)).collect()).collect();
    };
    let lines = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let text = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{file}: {e}"));
        object["text"].as_str().unwrap_or_else(|| panic!("{file}: a line without a text")).to_owned()
    };
    lines.lines().map(text).collect()
}

fn read(path: &str, pattern: &str) -> Tokenizer {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut file: Value = serde_json::from_slice(&bytes).expect("JSON");
    let byte_level = |regex| json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": regex });
    let sequence =
        |first: Value, regex| json!({ "type": "Sequence", "pretokenizers": [first, byte_level(regex)] });
    let split = |regex: &str| {
        let pattern = json!({ "Regex": regex });
        sequence(
            json!({ "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false }),
            false,
        )
    };
    match pattern {
        "own" => {}
        "gpt2" => file["pre_tokenizer"] = byte_level(true),
        "smollm" => {
            file["pre_tokenizer"] = sequence(json!({ "type": "Digits", "individual_digits": true }), true);
        }
        "llama3" => file["pre_tokenizer"] = split(LLAMA3),
        "qwen2" => file["pre_tokenizer"] = split(QWEN2),
        regex => file["pre_tokenizer"] = split(regex),
    }
    let bytes = serde_json::to_vec(&file).expect("JSON");
    Tokenizer::from_tokenizer_json(&bytes, None, Path::new(path)).unwrap_or_else(|e| panic!("{e}"))
}

/// Seconds of a pass of each of `threads` over its share of the documents, twice: cold and warm.
fn passes(tokenizer: &Tokenizer, documents: &[String], threads: usize) -> [f64; 2] {
    let mut encoders: Vec<_> = (0..threads).map(|_| tokenizer.encoder()).collect();
    [(); 2].map(|()| {
        let next = AtomicUsize::new(0);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for encoder in &mut encoders {
                scope.spawn(|| {
                    let mut ids = Vec::new();
                    while let Some(text) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
                        ids.clear();
                        encoder.encode_into(text, &mut ids);
                        std::hint::black_box(&ids);
                    }
                });
            }
        });
        began.elapsed().as_secs_f64()
    })
}

fn main() {
    let arguments = Arguments::read();
    let files: Vec<Option<&str>> = match &arguments.files[..] {
        [] => vec![None],
        files => files.iter().map(|file| Some(file.as_str())).collect(),
    };
    for file in files {
        let documents = documents(file);
        let bytes: usize = documents.iter().map(String::len).sum();
        let speed = |seconds: f64| bytes as f64 / 1e6 / seconds;
        let name =
            file.map_or("made", |file| Path::new(file).file_stem().and_then(|s| s.to_str()).unwrap_or(file));
        for pattern in &arguments.patterns {
            let tokenizer = read(&arguments.tokenizer, pattern);
            let began = Instant::now();
            let words: usize = documents.iter().filter_map(|text| tokenizer.word_count(text)).sum();
            let split = began.elapsed().as_secs_f64();
            for &threads in &arguments.threads {
                let [cold, warm] = passes(&read(&arguments.tokenizer, pattern), &documents, threads);
                if arguments.json {
                    let (checksum, tokens) = checksum(&tokenizer, &documents);
                    println!(
                        "{}",
                        json!({ "file": name, "pattern": pattern, "threads": threads, "bytes": bytes,
                                "documents": documents.len(), "words": words, "tokens": tokens, "sha256": checksum,
                                "split_s": split, "cold_s": cold, "warm_s": warm })
                    );
                    continue;
                }
                let share = |seconds: f64| 100.0 * seconds / cold;
                let parts = if threads == 1 {
                    let (split, lookup, merge) = (share(split), share(warm - split), share(cold - warm));
                    format!("split {split:.0} %, lookup {lookup:.0} %, merge {merge:.0} %")
                } else {
                    String::new()
                };
                let (cold, warm) = (speed(cold), speed(warm));
                println!(
                    "{name:5} {pattern:7} {threads} threads  cold {cold:6.1} MB/s  warm {warm:6.1}  {parts}"
                );
            }
        }
    }
    if !arguments.json && arguments.files.is_empty() {
        unlucky(&read(&arguments.tokenizer, "own"));
    }
}

fn checksum(tokenizer: &Tokenizer, documents: &[String]) -> (String, usize) {
    let (mut hash, mut tokens, mut encoder) = (Sha256::new(), 0, tokenizer.encoder());
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    for text in documents {
        ids.clear();
        encoder.encode_into(text, &mut ids);
        tokens += ids.len();
        bytes.clear();
        bytes.extend(ids.iter().chain([&u32::MAX]).flat_map(|id| id.to_le_bytes()));
        hash.update(&bytes);
    }
    (hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), tokens)
}

/// Texts that are made to be slow.
fn unlucky(tokenizer: &Tokenizer) {
    for (name, unit, count) in [
        ("one word of a million letters", "a", 1_000_000),
        ("one word of a million syllables", "가나다라", 250_000),
        ("a million spaces", " ", 1_000_000),
        ("a million digits", "0123456789", 100_000),
        ("a million apostrophes", "'", 1_000_000),
        ("a million decomposed syllables", "\u{1112}\u{1161}\u{11ab}", 1_000_000),
    ] {
        let text = unit.repeat(count);
        let began = Instant::now();
        let ids = tokenizer.encode(&text);
        let speed = text.len() as f64 / 1e6 / began.elapsed().as_secs_f64();
        println!("{name:34} {speed:6.1} MB/s, {} ids", ids.len());
    }
}
