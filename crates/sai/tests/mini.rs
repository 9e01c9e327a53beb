//! The model that ships with sai: it is what its card says, and it is there on a machine that has nothing else.

mod common;

use common::{fails, run, sai, succeeds};
use sai_generation::{LoadOptions, Message, Model, Request, Sampling, Session, score};
use sai_make::{Evaluation, RecordedTurn};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of `models/mini` at most.
const MOST: u64 = 16_000_000;
/// Instruction sets round sums in different orders, so that bits a byte differ a little between machines,
const BITS: f64 = 0.005;
/// and of two tokens that are almost as likely either may be chosen: so much less likely, in nats.
const TIE: f32 = 0.1;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini").join(name)
}

/// What `scripts/ship-mini` found of it.
fn figures() -> Evaluation {
    serde_json::from_str(&fs::read_to_string(shipped("figures.json")).unwrap()).unwrap()
}

#[test]
fn it_is_small_and_its_card_has_its_figures() {
    let files = fs::read_dir(shipped("")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let bytes: u64 = files.sum();
    assert!(bytes <= MOST, "models/mini has {bytes} bytes");
    let card = fs::read_to_string(shipped("README.md")).unwrap();
    let found = figures();
    assert_eq!(found.models.len(), 1);
    let languages: Vec<&str> = found.models[0].languages.iter().map(|of| of.language.as_str()).collect();
    assert_eq!(languages, ["ko", "en"]);
    for of in &found.models[0].languages {
        let row = format!("| {} | {} | {:.4} |", of.language, of.text_bytes, of.bits_per_byte);
        assert!(card.contains(&row), "models/mini/README.md lacks {row}");
        let text = fs::read_to_string(shipped(&format!("held-out.{}.jsonl", of.language))).unwrap();
        for line in text.lines() {
            let document: serde_json::Value = serde_json::from_str(line).unwrap();
            // The film reviews are not openly licensed, and nothing is there without a licence.
            assert!(document["license"].as_str().is_some_and(|license| !license.is_empty()), "{line}");
            assert_ne!(document["source"], "e9t/nsmc");
        }
    }
    assert!(found.conversations.len() >= 10, "{} recorded conversations", found.conversations.len());
}

#[test]
fn it_knows_as_much_as_its_card_says() {
    let home = tempfile::tempdir().unwrap();
    let texts =
        ["ko", "en"].map(|of| format!("--texts={of}={}", shipped(&format!("held-out.{of}.jsonl")).display()));
    let mut command = sai(home.path());
    command.args(["evaluate", "mini", "--json"]).args(texts);
    let found: Evaluation = serde_json::from_str(&succeeds(&mut command).out).unwrap();
    let known = figures();
    let (now, then) = (&found.models[0], &known.models[0]);
    assert_eq!(now.bytes, then.bytes, "the built-in file is not the one that was measured");
    for (now, then) in now.languages.iter().zip(&then.languages) {
        assert_eq!(
            (&now.language, now.text_bytes, now.tokens),
            (&then.language, then.text_bytes, then.tokens)
        );
        let [now_bits, then_bits] = [now, then].map(|of| of.bits_per_byte);
        assert!(
            (now_bits - then_bits).abs() < BITS,
            "{}: {now_bits} and {then_bits} bits a byte",
            now.language
        );
    }
}

#[test]
fn it_says_what_was_recorded() {
    let model =
        Model::open(&shipped("mini.gguf"), &LoadOptions { threads: 2, ..LoadOptions::default() }).unwrap();
    for talk in figures().conversations {
        holds_to(&model, &talk);
    }
}

/// Holds every token of a recorded conversation to being the likeliest after those before it, or as good as that.
fn holds_to(model: &Model, talk: &[RecordedTurn]) {
    let mut session = Session::new(model).unwrap();
    let one = Request { sampling: Sampling::greedy(), max_new_tokens: 1, ..Request::default() };
    let mut messages = Vec::new();
    for turn in talk {
        messages.push(Message::new("user", turn.said.clone()));
        let mut text = session.chat_prompt(&messages, model.context).unwrap().tokens;
        let recorded = turn.tokens.iter().copied().map(Some).chain(turn.ended.then_some(None));
        for (place, token) in recorded.enumerate() {
            let said = session.generate(&text, &one, &mut |_| ControlFlow::Continue(())).unwrap();
            let chosen = said.tokens.first().copied();
            if chosen != token {
                let gap = likelihood(model, &text, chosen) - likelihood(model, &text, token);
                assert!(
                    gap < TIE,
                    "{:?}: {:?}: token {place} is {chosen:?} and was {token:?}, which is {gap} less likely",
                    turn.said,
                    turn.answer
                );
            }
            text.extend(token);
        }
        assert_eq!(model.tokenizer.decode(&turn.tokens), turn.answer);
        messages.push(Message::new("assistant", turn.answer.clone()));
    }
}

/// The log-probability of a token after a text, or of the likeliest of those that end an answer.
fn likelihood(model: &Model, text: &[u32], token: Option<u32>) -> f32 {
    let next = match token {
        Some(token) => vec![token],
        None => model.tokenizer.eos().to_vec(),
    };
    let of = |&token: &u32| *score(model, &[text, &[token]].concat()).unwrap().last().unwrap();
    next.iter().map(of).fold(f32::NEG_INFINITY, f32::max)
}

#[test]
fn every_verb_takes_it() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("text");
    fs::write(&text, "The people of the town came to the market. ".repeat(120)).unwrap();
    let text = text.to_str().unwrap();
    let said = |arguments: &[&str]| succeeds(sai(home.path()).args(arguments)).out;
    let shown = said(&["inspect", "mini"]);
    assert!(shown.starts_with("mini (built in)\n") && shown.contains("sai can run it"), "{shown}");
    assert!(said(&["perplexity", "-m", "mini", "-f", text, "-c", "128"]).starts_with("perplexity "));
    assert!(said(&["bench", "-m", "mini", "-p", "8", "-n", "4", "-r", "1"]).contains("tok/s"));
    let ids = said(&["tokenizer", "encode", "--tokenizer", "mini", "--json", "안녕하세요"]);
    assert_eq!(ids, said(&["tokenizer", "encode", "--json", "안녕하세요"]));
    assert!(!said(&["generate", "-p", "The people", "-n", "8", "--seed", "1"]).is_empty());
    let asked = home.path().join("asked.jsonl");
    let asks = asked.to_str().unwrap();
    fs::write(&asked, "\"안녕?\"\n\n[\"Hello!\", \"Who are you?\"]\n").unwrap();
    let found: Evaluation =
        serde_json::from_str(&said(&["evaluate", "mini", "--json", "--ask-file", asks])).unwrap();
    assert_eq!(found.conversations.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    assert!(found.conversations.iter().flatten().all(|turn| !turn.tokens.is_empty()));
    fs::write(&asked, "\"안녕?\"\n안녕?\n").unwrap();
    let error = fails(sai(home.path()).args(["evaluate", "mini", "--ask-file", asks]));
    assert!(error.contains("asked.jsonl: line 2 is no question"), "{error}");
    // Out of the program: a folder, and a file in fewer bits.
    said(&["convert", "mini", "folder", "--dtype", "f16"]);
    said(&["quantize", "mini", "small.gguf", "q4_0"]);
    for made in ["folder", "small.gguf"] {
        assert!(said(&["inspect", made]).contains("sai can run it"));
    }
    let error = fails(sai(home.path()).args(["merge", "mini", "adapter", "merged"]));
    assert!(error.contains("mini (built in)") && error.contains("sai convert mini FOLDER"), "{error}");

    // A folder of its name is called as a path.
    fs::rename(home.path().join("folder"), home.path().join("mini")).unwrap();
    let ran = succeeds(sai(home.path()).args(["inspect", "mini"]));
    assert!(ran.out.starts_with("mini (built in)\n") && ran.err.contains("./mini"), "{ran:?}");
    assert!(said(&["inspect", "./mini"]).starts_with("./mini\n"));
}

/// A first run: nothing in the home, nothing in the environment, no network.
fn first_run(home: &Path, arguments: &[&str]) -> Command {
    let sai = env!("CARGO_BIN_EXE_sai");
    // Where the system lets anyone, in a network that has no other end; else behind a proxy that is not there.
    let apart = ["--user", "--map-root-user", "--net"];
    let able = Command::new("unshare").args(apart).arg("true").stderr(Stdio::null()).status();
    let mut command = match able.is_ok_and(|status| status.success()) {
        true => {
            let mut command = Command::new("unshare");
            command.args(apart).arg(sai);
            command
        }
        false => Command::new(sai),
    };
    command.args(arguments).env_clear().current_dir(home);
    for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env(proxy, "http://127.0.0.1:9");
    }
    command.env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_first_run_is_a_chat_without_a_network() {
    let home = tempfile::tempdir().unwrap();
    let mut chat = first_run(home.path(), &["chat", "--no-save"]).spawn().unwrap();
    chat.stdin.take().unwrap().write_all("안녕?\nWho are you?\n".as_bytes()).unwrap();
    let done = chat.wait_with_output().unwrap();
    let [out, err] = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(done.status.success(), "{err}");
    assert!(
        out.lines().filter(|line| !line.trim().is_empty()).count() >= 2 && !out.contains('\u{fffd}'),
        "{out}"
    );
    assert!(err.contains("mini is the small built-in model"), "{err}");
    assert!(
        err.contains("knows Korean well") && err.contains("sai chat --model hyperclovax-seed-0.5b"),
        "{err}"
    );
    // Nothing is unpacked anywhere.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    // What needs the network says so.
    let done = first_run(home.path(), &["chat", "--model", "42dot-sft"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8(done.stderr).unwrap().contains("cannot be reached"));
}

#[test]
fn without_a_person_nothing_asked_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let ran = run(sai(home.path()).stdin(Stdio::null()));
    assert!(ran.code == Some(2) && ran.out.is_empty() && ran.err.contains("Usage: sai"), "{ran:?}");
}
