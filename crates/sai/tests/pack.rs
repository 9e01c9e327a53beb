//! `sai tokenizer pack`, `inspect` and `eval`: documents to shards and back, killed and not, and what is said of it.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{fails, run, sai, succeeds};

fn vocabulary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokenizer/tests/fixtures").join(name)
}

/// So many documents of Korean and English, a file for each.
fn documents(home: &Path, count: usize) {
    let write = |name: &str, line: &dyn Fn(usize) -> String| {
        let lines: String = (0..count).map(|i| format!("{}\n", line(i))).collect();
        std::fs::write(home.join(name), lines).expect("a file");
    };
    let object = |text: String, lang: &str| {
        serde_json::json!({"text": text, "lang": lang, "source": lang}).to_string()
    };
    write("ko.jsonl", &|i| object(format!("{i}번째 문서는 한국어로 쓰여 있습니다. ").repeat(8), "ko"));
    write("en.jsonl", &|i| object(format!("Document {i} is written in English. ").repeat(8), "en"));
}

fn pack(home: &Path, target: &str) -> Command {
    let mut command = sai(home);
    command.args([
        "tokenizer",
        "pack",
        "--input",
        "ko.jsonl",
        "en.jsonl",
        "-o",
        target,
        "--eos",
        "<|endoftext|>",
    ]);
    command.args(["--shard-size", "20k", "--tokenizer"]).arg(vocabulary("gpt2.json"));
    command
}

/// All files of a folder but locks and what was begun.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            (entry.file_name().into_string().expect("a name"), std::fs::read(entry.path()).expect("a file"))
        })
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    all.sort();
    all
}

#[test]
fn a_document_comes_back_from_its_shard() {
    let home = tempfile::tempdir().expect("a folder");
    documents(home.path(), 300);
    let ran = succeeds(pack(home.path(), "packed").arg("--json"));
    let packed: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(packed["total"]["documents"], 600);
    assert!(packed["shards"].as_u64().expect("a count") > 2, "{packed}");
    let inspect = |arguments: &[&str]| {
        let mut command = sai(home.path());
        command.args(["tokenizer", "inspect", "packed"]).args(arguments);
        command
    };
    // Files are read in the order of their names: English first.
    let found = succeeds(&mut inspect(&["--document", "307"]));
    assert_eq!(found.out, "7번째 문서는 한국어로 쓰여 있습니다. ".repeat(8));
    assert!(found.err.contains("document 307 of 600 · ko · ko"), "{}", found.err);
    let ids = succeeds(&mut inspect(&["--document", "0", "--ids"]));
    let back = succeeds(
        sai(home.path())
            .args(["tokenizer", "decode", "--tokenizer"])
            .arg(vocabulary("gpt2.json"))
            .args(ids.out.split_whitespace()),
    );
    assert_eq!(
        back.out.trim_end_matches('\n'),
        "Document 0 is written in English. ".repeat(8) + "<|endoftext|>"
    );
    let summary = succeeds(&mut inspect(&["--verify"]));
    assert!(summary.out.contains("600 documents") && summary.out.contains("\nko "), "{}", summary.out);
    assert!(fails(&mut inspect(&["--document", "600"])).contains("no document 600; it has 600"));
    let other = vocabulary("qwen2.json");
    let other = fails(inspect(&["--document", "1", "--tokenizer"]).arg(other));
    assert!(other.contains("shard-00000.tokens: packed with another tokenizer"), "{other}");
    let path = home.path().join("packed/shard-00001.tokens");
    let bytes = std::fs::read(&path).expect("a shard");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("cut");
    assert!(fails(&mut inspect(&[])).contains("shard-00001.tokens: "));
    assert_eq!(run(pack(home.path(), "x").args(["--shard-size", "no"])).code, Some(2));
    let mut unknown = sai(home.path());
    unknown.args([
        "tokenizer",
        "pack",
        "--input",
        "ko.jsonl",
        "-o",
        "x",
        "--eos",
        "nothing such",
        "--tokenizer",
    ]);
    assert!(fails(unknown.arg(vocabulary("gpt2.json"))).contains("not a token"));
}

#[cfg(unix)]
#[test]
fn killed_over_and_over_it_makes_the_same_bytes() {
    let home = tempfile::tempdir().expect("a folder");
    documents(home.path(), 4000);
    succeeds(&mut pack(home.path(), "whole"));
    let expected = files(&home.path().join("whole"));
    assert!(expected.len() > 10);
    // Killed when another shard or two are there, however fast the machine.
    let target = home.path().join("killed");
    let shards = || files_named(&target, ".tokens");
    let mut kills = 0;
    loop {
        let before = shards();
        let mut child =
            pack(home.path(), "killed").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sai");
        let ended = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break Some(status);
            }
            if kills < 4 && shards() > before + 1 {
                // SIGKILL: nothing can be tidied up.
                child.kill().expect("killed");
                child.wait().expect("an end");
                kills += 1;
                break None;
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        if !target.join("pack.json").exists() {
            let unfinished = fails(sai(home.path()).args(["tokenizer", "inspect", "killed"]));
            assert!(unfinished.contains("interrupted"), "{unfinished}");
        }
    }
    assert!(kills > 0);
    assert!(files(&target) == expected);
}

fn files_named(folder: &Path, end: &str) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(end))
        .filter(|e| !e.file_name().to_string_lossy().starts_with('.'))
        .count()
}

#[test]
fn vocabularies_are_compared() {
    let home = tempfile::tempdir().expect("a folder");
    documents(home.path(), 20);
    let eval = |more: &[&str]| {
        let mut command = sai(home.path());
        command.args(["tokenizer", "eval"]).args([vocabulary("gpt2.json"), vocabulary("qwen2.json")]);
        command.args(["--text", "한국어=ko.jsonl", "--text", "en=en.jsonl"]).args(more);
        command
    };
    let table = succeeds(&mut eval(&["--plot", "picture.svg"]));
    let lines: Vec<&str> = table.out.lines().collect();
    assert_eq!(lines.len(), 5, "{}", table.out);
    assert!(lines[0].contains("tokens/eojeol") && lines[1].contains("한국어") && lines[4].contains("en"));
    let picture = std::fs::read_to_string(home.path().join("picture.svg")).expect("a picture");
    assert!(picture.starts_with("<svg") && picture.contains("한국어"));
    let ran = succeeds(&mut eval(&["--json"]));
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let korean = &found["tokenizers"][0]["sets"][0];
    assert_eq!(korean["documents"], 20);
    assert_eq!(korean["returned_nfc"], 1.0);
    assert!(korean["tokens_per_eojeol"].as_f64().expect("a number") > 1.0);
    assert!(korean["tokens_per_english_word"].is_null());
    assert!(fails(&mut eval(&["--plot", "picture.png"])).contains(".svg"));
    assert_eq!(run(&mut eval(&["--text", "nothing"])).code, Some(2));
    assert!(fails(&mut eval(&["--text", "x=missing.jsonl"])).contains("missing.jsonl: no such file"));
}
