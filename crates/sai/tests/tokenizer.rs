//! `sai tokenizer`: text to ids and back, for people and for pipes.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{fails, run, sai, succeeds};

fn vocabulary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokenizer/tests/fixtures/gpt2.json")
}

fn tokenizer(home: &Path, verb: &str) -> Command {
    let mut command = sai(home);
    command.args(["tokenizer", verb, "--tokenizer"]).arg(vocabulary());
    command
}

fn with_input(command: &mut Command, input: &[u8]) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sai");
    child.stdin.take().expect("a pipe").write_all(input).expect("written");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_text_comes_back_through_its_ids() {
    let home = tempfile::tempdir().expect("a folder");
    let text = "The 값이 얼마예요? 👍🏽 <|im_end|>\n";
    let ids = with_input(tokenizer(home.path(), "encode").arg("--ids"), text.as_bytes());
    assert_eq!(with_input(&mut tokenizer(home.path(), "decode"), ids.as_bytes()), format!("{text}\n"));
    let arguments: Vec<&str> = ids.split_whitespace().collect();
    let raw = succeeds(tokenizer(home.path(), "decode").arg("--raw").args(&arguments));
    assert_eq!(raw.out, text);
    let skipped = succeeds(tokenizer(home.path(), "decode").arg("--skip-special").args(&arguments));
    assert!(!skipped.out.contains("<|im_end|>"), "{}", skipped.out);
}

#[test]
fn json_says_where_each_token_lies() {
    let home = tempfile::tempdir().expect("a folder");
    let text = "값 it's <|im_end|>";
    let ran = succeeds(tokenizer(home.path(), "encode").args(["--json", text]));
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(found["bytes"], text.len());
    let offsets = found["offsets"].as_array().expect("offsets");
    assert_eq!(found["tokens"], offsets.len());
    assert_eq!(offsets.last().expect("one")[1], text.len());
    assert_eq!(found["pieces"].as_array().expect("pieces").last().expect("one"), "<|im_end|>");
    let plain = succeeds(tokenizer(home.path(), "encode").args(["--json", "--plain", text]));
    let plain: serde_json::Value = serde_json::from_str(&plain.out).expect("JSON");
    assert_ne!(plain["ids"], found["ids"]);

    let ids: Vec<String> = found["ids"].as_array().expect("ids").iter().map(ToString::to_string).collect();
    let back = succeeds(tokenizer(home.path(), "decode").arg("--json").arg(format!("[{}]", ids.join(", "))));
    let back: serde_json::Value = serde_json::from_str(&back.out).expect("JSON");
    assert_eq!(back["text"], text);
}

#[test]
fn pieces_and_counts_are_for_people() {
    let home = tempfile::tempdir().expect("a folder");
    let ran = succeeds(tokenizer(home.path(), "encode").args(["it's", "뷃"]));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].contains("<0x") && lines[0].contains('|') && !ran.out.contains('\x1b'), "{ran:?}");
    assert!(ran.err.contains("8 bytes") && ran.err.contains("bytes a token"), "{ran:?}");
    let table = succeeds(tokenizer(home.path(), "encode").args(["--offsets", "it's"]));
    assert!(table.out.lines().all(|line| line.contains("..") && line.ends_with('"')), "{table:?}");
}

#[test]
fn what_is_no_id_or_no_text_is_said() {
    let home = tempfile::tempdir().expect("a folder");
    assert!(fails(tokenizer(home.path(), "decode").arg("x")).contains("`x` is no token id"));
    assert!(fails(tokenizer(home.path(), "decode").arg("4000000")).contains("outside the vocabulary"));
    std::fs::write(home.path().join("bytes"), b"ab\xff").expect("a file");
    let error = fails(tokenizer(home.path(), "encode").args(["--file", "bytes"]));
    assert!(error.contains("bytes: byte 3 is not UTF-8"), "{error}");
    assert!(fails(sai(home.path()).args(["tokenizer", "encode", "-t", "./none.json", "a"])).contains("none"));
    assert_eq!(run(sai(home.path()).arg("tokenizer")).code, Some(2));
}

#[test]
fn a_gguf_that_does_not_say_how_it_cuts_words_says_so_in_every_verb() {
    let home = tempfile::tempdir().expect("a folder");
    let unsaid = ["--override-kv", "tokenizer.ggml.pre=str:default"];
    // What follows a text of `encode` is text too.
    for (verb, text) in [
        (&["tokenizer", "encode", "-t", "mini"][..], &["2024-11-30"][..]),
        (&["generate", "-m", "mini", "-p", "hi", "-n", "1"], &[]),
        (&["chat", "-m", "mini", "--no-save"], &[]),
    ] {
        let quiet = succeeds(sai(home.path()).args(verb).args(text));
        assert!(!quiet.err.contains("tokenizer.ggml.pre"), "{}", quiet.err);
        let told = succeeds(sai(home.path()).args(verb).args(unsaid).args(text));
        assert!(told.err.contains("mini: tokenizer.ggml.pre is `default`"), "{}", told.err);
    }
    let inspected = succeeds(sai(home.path()).args(["inspect", "mini"]).args(unsaid));
    assert!(inspected.out.contains("note: tokenizer.ggml.pre is `default`"), "{}", inspected.out);
    let inspected = succeeds(sai(home.path()).args(["inspect", "mini", "--json"]).args(unsaid));
    let found: serde_json::Value = serde_json::from_str(&inspected.out).expect("JSON");
    assert_eq!(found["notes"].as_array().map(Vec::len), Some(1), "{found}");
    let unknown = ["--override-kv", "tokenizer.ggml.pre=str:nobodys"];
    let line = fails(sai(home.path()).args(["tokenizer", "encode", "-t", "mini"]).args(unknown).arg("hi"));
    assert!(line.contains("\"nobodys\"") && line.contains("--override-kv"), "{line}");
    let wrong = run(sai(home.path()).args(["generate", "-m", "mini", "--override-kv", "x=u32:1"]));
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("the types are int, float, bool and str"), "{}", wrong.err);
}
