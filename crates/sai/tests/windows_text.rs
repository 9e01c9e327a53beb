//! Texts as Windows writes them, texts from pipes, and values of flags, for `sai generate` with the built-in model.

#![allow(missing_docs)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Ran, fails, run, sai, succeeds};
use serde_json::Value;

fn generate(home: &Path, args: &[&str]) -> Command {
    let mut command = sai(home);
    command.args(["generate", "-n", "3", "--temp", "0", "--json"]).args(args);
    command
}

/// The prompt that a command understood.
fn prompt(ran: &Ran) -> String {
    let object: Value = serde_json::from_str(&ran.out).expect("JSON");
    object["prompt"].as_str().expect("a prompt").to_owned()
}

fn with_input(command: &mut Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_file_of_windows_is_the_text_in_it() {
    let home = tempfile::tempdir().expect("a folder");
    for (bytes, text) in [
        ("\u{feff}Hello", "Hello"),
        ("Hello\r\n", "Hello"),
        ("\u{feff}Hello\r\nthere\r\n", "Hello\r\nthere"),
        ("Hello\n\n", "Hello\n"),
    ] {
        fs::write(home.path().join("f"), bytes).expect("a file");
        assert_eq!(prompt(&succeeds(&mut generate(home.path(), &["-f", "f"]))), text, "{bytes:?}");
        assert_eq!(prompt(&with_input(&mut generate(home.path(), &["-f", "-"]), bytes.as_bytes())), text);
        assert_eq!(prompt(&with_input(&mut generate(home.path(), &[]), bytes.as_bytes())), text);
    }
    fs::write(home.path().join("f"), b"\xff\xfeH\0i\0").expect("a file");
    for command in
        [&["generate", "-f", "f"][..], &["perplexity", "-f", "f"], &["tokenizer", "encode", "-f", "f"]]
    {
        let error = fails(sai(home.path()).args(command));
        assert!(error.contains("f: it is UTF-16") && !error.contains("cp949"), "{error}");
    }
    let error = fails(sai(home.path()).args(["chat", "--no-save", "--quiet", "--chat-template", "f"]));
    assert!(error.contains("--chat-template takes") && error.contains("UTF-16"), "{error}");
}

#[test]
fn a_prompt_is_taken_from_one_place() {
    let home = tempfile::tempdir().expect("a folder");
    // What is given wins over what a pipe holds.
    let ran = with_input(&mut generate(home.path(), &["-p", "Hello"]), b"other");
    assert_eq!(prompt(&ran), "Hello");
    let ran = with_input(&mut generate(home.path(), &["-f", "-", "--interactive"]), b"Hello\n");
    assert!(ran.code == Some(1) && ran.err.contains("from which --interactive hears"), "{ran:?}");
    assert!(fails(&mut generate(home.path(), &[])).contains("there is nothing to continue"));
}

#[test]
fn a_person_in_turns_types_on_windows_too() {
    let home = tempfile::tempdir().expect("a folder");
    let said = |input: &str| {
        let args = ["generate", "-n", "4", "--temp", "0", "--interactive-first", "--no-display-prompt"];
        let ran = with_input(sai(home.path()).args(args), input.as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out
    };
    assert_eq!(said("\u{feff}Hello\r\nWho are you?\r\n"), said("Hello\nWho are you?\n"));
}

#[test]
fn an_empty_name_of_a_model_is_none() {
    let home = tempfile::tempdir().expect("a folder");
    for empty in ["", "  "] {
        let ran = succeeds(generate(home.path(), &["-p", "Hello"]).env("SAI_MODEL", empty));
        assert_eq!(prompt(&ran), "Hello");
        let ran =
            succeeds(sai(home.path()).env("SAI_MODEL", empty).args(["tokenizer", "encode", "--ids", "Hi"]));
        assert!(!ran.out.is_empty());
    }
    let error = fails(generate(home.path(), &["-p", "Hello"]).env("SAI_MODEL", "nothing.gguf"));
    assert!(error.contains("nothing.gguf: no such file"), "{error}");
    assert!(fails(&mut generate(home.path(), &["-p", "Hello", "-m", ""])).contains("--model is empty"));
}

#[test]
fn flags_take_what_llama_cpp_takes_and_say_what_else_is_wrong() {
    let home = tempfile::tempdir().expect("a folder");
    let text = |args: &[&str]| {
        succeeds(sai(home.path()).args(["generate", "-p", "Hello", "-n", "6"]).args(args)).out
    };
    let greedy = text(&["--temp", "0"]);
    assert_eq!(text(&["--temp", "0", "--top-k", "-1"]), greedy);
    for (args, said) in [
        (&["generate", "--temp", "-1"][..], "give a number from 0 on; 0 is greedy"),
        (&["generate", "--temp", "nan"], "give a number from 0 on"),
        (&["generate", "--temp", "warm"], "give a number from 0 on"),
        (&["generate", "--top-p", "-1"], "give a number from 0 to 1"),
        (&["generate", "--min-p", "2"], "give a number from 0 to 1"),
        (&["generate", "--repeat-penalty", "-1"], "give a number above 0"),
        (&["generate", "-n", "-2"], "give a whole number from -1 to"),
        (&["generate", "--logprobs", "-1"], "give a whole number from 1 to 100"),
        (&["generate", "-c", "-1"], "give a whole number from 1 to"),
        (&["bench", "-p", "-1"], "give a whole number from 0 to"),
        (&["bench", "-n", "99999999999999999999"], "give a whole number from 0 to"),
        (&["bench", "--layers", "0"], "give a whole number from 1 to"),
        (&["imatrix", "m", "t", "-o", "o", "--chunk", "0"], "give a whole number from 4 to"),
        (&["evaluate", "mini", "--bytes", "0"], "`0` is no number of bytes"),
        (&["evaluate", "mini", "--answer-tokens", "-4"], "give a whole number from 1 to"),
        (
            &["tokenizer", "train", "--input", "x", "-o", "o", "--vocab-size", "-1"],
            "give a whole number from",
        ),
    ] {
        let ran = run(sai(home.path()).args(args));
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.err.contains(said), "{args:?}: {ran:?}");
    }
}
