//! From a pipe: each line is a turn, and standard output holds the answers alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Home;

const SHORT: &[&str] = &["--temperature", "0", "--repetition-penalty", "1", "--max-new-tokens", "12"];

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sai"));
    command.arg("chat").args(arguments).env_clear().envs(home.environment()).current_dir(home.path(""));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(super) fn chat(home: &Home, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(home, arguments).spawn().expect("sai starts");
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("sai ends")
}

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("is UTF-8")
}

pub(super) fn json_lines(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout).lines();
    lines.map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn each_line_is_a_turn_and_answers_stand_alone() {
    let Some(home) = Home::new() else { return };
    let output = chat(&home, SHORT, "What is the capital of France?\n\n그럼 한국은?\n".as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.lines().filter(|line| !line.trim().is_empty()).count() >= 2, "two answers: {out}");
    assert!(!out.contains("tok/s") && !out.contains('\x1b') && out.ends_with('\n'), "{out:?}");
    assert_eq!(err.matches("tok/s").count(), 2, "{err}");
    assert!(err.contains("CPU, ") && err.contains("loaded in") && !err.contains('\x1b'), "{err}");
    let talks = home.conversations();
    assert_eq!((talks.len(), talks[0].len()), (1, 5));
}

#[test]
fn json_gives_one_object_a_turn() {
    let Some(home) = Home::new() else { return };
    let arguments = &["--json", "--temperature", "0.8", "--seed", "7", "--max-new-tokens", "12"];
    let input = b"What is the capital of France?\nAnd of Italy?\n";
    let output = chat(&home, arguments, input);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let turns = json_lines(&output);
    assert_eq!(turns.len(), 2);
    for turn in &turns {
        assert_eq!(turn["role"], "assistant");
        assert_eq!(turn["seed"], 7);
        assert!(turn["content"].as_str().is_some_and(|content| !content.is_empty()));
        assert!(turn["finish_reason"] == "stop" || turn["finish_reason"] == "length", "{turn}");
        assert!(turn["usage"]["completion_tokens"].as_u64().is_some_and(|n| (1..=12).contains(&n)));
        assert!(turn["timings"]["tokens_per_second"].as_f64().is_some_and(|n| n >= 0.0));
    }
    let (first, second) = (&turns[0]["usage"], &turns[1]["usage"]);
    assert_eq!(first["cached_tokens"], 0);
    // The whole first prompt and all of the answer but its last token were computed already.
    let known =
        first["prompt_tokens"].as_u64().unwrap_or(0) + first["completion_tokens"].as_u64().unwrap_or(0);
    let cached = second["cached_tokens"].as_u64().unwrap_or(0);
    assert!(cached + 2 >= known, "{cached} of {known} tokens were kept");
    let again = json_lines(&chat(&home, arguments, input));
    let contents = |turns: &[Value]| turns.iter().map(|turn| turn["content"].clone()).collect::<Vec<_>>();
    assert_eq!(contents(&turns), contents(&again), "the same seed says the same");
}

#[test]
fn what_cannot_be_is_one_clear_line() {
    let Some(home) = Home::new() else { return };
    let cp949 = b"fine\n\xbe\xc8\xb3\xe7\n";
    for (arguments, input, fact) in [
        (SHORT, &cp949[..], "standard input, line 2: byte 1 is not UTF-8"),
        (&["--device", "cuda"], b"", "--device cuda"),
        (&["--resume", "nothing"], b"", "no conversation `nothing`"),
        (&["--model", "nosuchmodel"], b"", "nosuchmodel"),
    ] {
        let output = chat(&home, arguments, input);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        let last = err.trim_end().lines().next_back().unwrap_or("");
        assert!(last.starts_with("sai: ") && last.contains(fact), "{err}");
        assert_eq!(err.matches("sai: ").count(), 1, "{err}");
    }
    let output = chat(&home, &["--temperature", "-1"], b"");
    assert_eq!(output.status.code(), Some(2), "asked wrongly");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let Some(home) = Home::new() else { return };
    let arguments = ["--temperature", "0", "--max-new-tokens", "2000", "--quiet"];
    let mut child = command(&home, &arguments).spawn().expect("sai starts");
    child.stdin.take().expect("a pipe").write_all(b"Write a very long story.\n").expect("is read");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a first line");
    drop(out);
    assert!(child.wait().expect("sai ends").success());
    let mut err = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
    assert_eq!(err, "");
}

#[test]
fn a_conversation_goes_on_from_a_pipe() {
    let Some(home) = Home::new() else { return };
    assert!(chat(&home, SHORT, b"My name is Minji.\n").status.success());
    let arguments = [SHORT, &["--resume", "last"]].concat();
    assert!(chat(&home, &arguments, b"What is my name?\n").status.success());
    let arguments = [SHORT, &["--no-save"]].concat();
    assert!(chat(&home, &arguments, b"Hello\n").status.success());
    let talks = home.conversations();
    assert_eq!((talks.len(), talks[0].len()), (1, 5));
}

#[test]
fn debug_shows_candidates_and_a_summary() {
    let Some(home) = Home::new() else { return };
    let arguments = [SHORT, &["--debug"]].concat();
    let output = chat(&home, &arguments, b"What is the capital of France?\n");
    let err = text(&output.stderr);
    let said = text(&output.stdout).trim();
    assert!(!said.is_empty());
    let summary = &err[err.find("\n{").expect("a summary")..];
    let summary = summary.rsplit_once("\n}").map_or(summary, |(body, _)| body).to_owned() + "\n}";
    let summary: Value = serde_json::from_str(&summary).expect("is JSON");
    assert!(summary["prompt"].as_str().is_some_and(|prompt| prompt.contains("capital of France")));
    assert_eq!(summary["output"].as_str().map(str::trim), Some(said));
    assert_eq!(summary["device"], "cpu");
    let steps = summary["usage"]["completion_tokens"].as_u64().unwrap_or(0);
    assert_eq!(err.matches("\nstep ").count() as u64, steps, "a table for each step");
    let table: Vec<&str> = err.split("step 2:").nth(1).unwrap_or("").lines().skip(1).take(5).collect();
    assert!(table.iter().all(|row| row.contains(" │ ") || row.ends_with('│')), "{table:?}");
    assert!(table.iter().any(|row| row.trim_start().starts_with('▸')), "the pick is marked: {table:?}");
}

#[test]
fn a_full_context_drops_the_oldest_and_says_so() {
    let Some(home) = Home::new() else { return };
    let arguments = [SHORT, &["--context", "160"]].concat();
    let input = "Tell me about the sea and the sky and the wind.\n".repeat(5);
    let output = chat(&home, &arguments, input.as_bytes());
    let err = text(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(err.contains("the oldest exchange left it"), "{err}");
    assert_eq!(err.matches("tok/s").count(), 5, "{err}");
    assert_eq!(home.conversations()[0].len(), 11, "what left the context is still saved");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_wait_for_the_next_line() {
    let Some(home) = Home::new() else { return };
    for (signal, code) in [("TERM", Some(0)), ("INT", Some(130))] {
        let mut child = command(&home, SHORT).spawn().expect("sai starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"Hello\n").expect("is read");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("an answer");
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        assert_eq!(child.wait().expect("sai ends").code(), code, "{signal}");
        drop(input);
    }
}

/// Greedy answers of the built-in model, which are known.
const GREEDY: &[&str] = &["--temperature", "0", "--no-save", "--quiet"];

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_question() {
    let home = Home::bare();
    let plain = chat(&home, GREEDY, b"Hello\n");
    assert!(plain.status.success(), "{}", text(&plain.stderr));
    for input in ["\u{feff}Hello\n", "\u{feff}Hello\r\n", "\u{feff}Hello"] {
        assert_eq!(text(&chat(&home, GREEDY, input.as_bytes()).stdout), text(&plain.stdout), "{input:?}");
    }
    let output = chat(&home, GREEDY, b"\xff\xfeH\0i\0\n\0");
    assert_eq!(output.status.code(), Some(1));
    let err = text(&output.stderr);
    assert!(err.contains("standard input, line 1: it is UTF-16") && !err.contains("cp949"), "{err}");
}

#[test]
fn a_line_that_is_too_long_ends_its_turn_and_not_the_run() {
    let home = Home::bare();
    let expected = chat(&home, GREEDY, b"Hello\n");
    let long = "word ".repeat(2000);
    let huge = "x".repeat((16 << 20) + 5);
    for (line, said) in [(&long, "line 1: the prompt has"), (&huge, "line 1: longer than 16777216 bytes")] {
        let input = format!("{line}\nHello\n");
        let output = chat(&home, GREEDY, input.as_bytes());
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains(&format!("standard input, {said}")), "{err}");
        assert!(err.contains("1 of 2 lines of standard input were not answered"), "{err}");
        assert_eq!(text(&output.stdout), text(&expected.stdout));
        // Answers stay in the places of their questions.
        let json = chat(&home, &[GREEDY, &["--json"]].concat(), input.as_bytes());
        let lines = json_lines(&json);
        assert_eq!(lines.len(), 2);
        assert!(lines[0]["error"].as_str().is_some_and(|error| error.contains("line 1")), "{lines:?}");
        assert!(lines[1]["content"].is_string(), "{lines:?}");
    }
}

#[test]
fn a_question_of_more_than_half_the_context_is_asked_and_the_rest_is_said() {
    let home = Home::bare();
    let question = "Tell me about the capital of France and about the capital of Korea.\n".as_bytes();
    let output = chat(&home, &[GREEDY, &["-c", "24"]].concat(), question);
    let err = text(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(err.contains("of the context's 24 tokens") && err.contains("are left for the answer"), "{err}");
    let output = chat(&home, &[GREEDY, &["-c", "8"]].concat(), question);
    let err = text(&output.stderr);
    assert!(err.contains("and the context holds 8"), "{err}");
}

#[test]
fn values_that_make_no_sense_say_what_would() {
    let home = Home::bare();
    for (arguments, said) in [
        (["--temperature", "-1"], "a temperature: 0 or more"),
        (["--temperature", "nan"], "a temperature: 0 or more"),
        (["--top-k", "-3"], "a whole number from 0"),
        (["--top-p", "-0.5"], "more than 0 and at most 1"),
        (["--seed", "-1"], "a whole number from 0"),
        (["--max-new-tokens", "-1"], "a number of tokens from 1"),
        (["-c", "0"], "give a whole number from 1 to"),
        (["-c", "99999999999999999999"], "give a whole number from 1 to"),
        (["--threads", "-1"], "give a whole number from 0 to 512"),
    ] {
        let output = chat(&home, &arguments, b"");
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}
