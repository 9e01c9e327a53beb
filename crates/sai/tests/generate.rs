//! `sai generate` and `sai perplexity` on the real model, run as a person or a script runs them.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::real_model::smollm2;
use common::{Ran, fails, run, sai, succeeds};
use serde_json::Value;

const PROMPT: &str = "The capital of France is";

fn generate(home: &Path, model: &Path, args: &[&str]) -> Command {
    let mut command = sai(home);
    command.arg("generate").arg("-m").arg(model).args(["-c", "256"]).args(args);
    command
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Runs with lines for standard input.
fn with_input(command: &mut Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    child.stdin.take().expect("standard input").write_all(input.as_bytes()).expect("input is read");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn the_likeliest_text_is_always_the_same() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let greedy = ["-p", PROMPT, "-n", "8", "--temp", "0", "--repeat-penalty", "1"];
    let first = succeeds(&mut generate(home.path(), &model, &greedy));
    assert!(first.out.starts_with(PROMPT) && first.out.contains("Paris"), "{first:?}");
    assert_eq!(first.err, "");
    let second = succeeds(generate(home.path(), &model, &greedy).args(["--threads", "1"]));
    assert_eq!(first.out, second.out);
    let added = succeeds(generate(home.path(), &model, &greedy).arg("--no-display-prompt"));
    assert_eq!(format!("{PROMPT}{}", added.out), first.out);
    let json = succeeds(generate(home.path(), &model, &greedy).arg("--json"));
    let [object] = &objects(&json.out)[..] else { panic!("{json:?}") };
    assert_eq!(
        (object["prompt"].as_str(), object["text"].as_str()),
        (Some(PROMPT), Some(added.out.as_str()))
    );
    assert_eq!(
        (&object["finish_reason"], &object["usage"]["completion_tokens"]),
        (&"length".into(), &8.into())
    );
}

#[test]
fn a_forbidden_token_is_not_said() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let first = |bias: &[&str]| {
        let args =
            ["-p", PROMPT, "-n", "1", "--temp", "0", "--repeat-penalty", "1", "--logprobs", "1", "--json"];
        let ran = succeeds(generate(home.path(), &model, &args).args(bias));
        objects(&ran.out)[0]["token"].as_u64().expect("an id")
    };
    let likeliest = first(&[]);
    assert_ne!(first(&["--logit-bias", &format!("{likeliest}-inf")]), likeliest);
    assert_eq!(first(&["--logit-bias", "17+1000", "-l", "18+900"]), 17);
}

#[test]
fn a_seed_fixes_what_is_drawn() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let drawn = |seed: &str| {
        let args = ["-p", PROMPT, "-n", "8", "--temp", "1.5", "--top_k", "0", "--top_p", "1", "--seed", seed];
        succeeds(&mut generate(home.path(), &model, &args)).out
    };
    assert_eq!(drawn("7"), drawn("7"));
    assert_ne!(drawn("7"), drawn("8"));
}

#[test]
fn log_probabilities_are_those_of_the_likeliest() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let args = ["-p", PROMPT, "-n", "4", "--temp", "0", "--repeat-penalty", "1", "--logprobs", "3", "--json"];
    let lines = objects(&succeeds(&mut generate(home.path(), &model, &args)).out);
    assert_eq!(lines.len(), 5);
    let mut text = String::new();
    for step in &lines[..4] {
        let top = step["top"].as_array().expect("candidates");
        let logprobs: Vec<f64> = top.iter().map(|c| c["logprob"].as_f64().expect("a number")).collect();
        assert!(logprobs.len() == 3 && logprobs.is_sorted_by(|a, b| a >= b) && logprobs[0] <= 0.0, "{step}");
        assert!(logprobs.iter().map(|l| l.exp()).sum::<f64>() <= 1.0 + 1e-5, "{step}");
        assert_eq!(top[0]["token"], step["token"]);
        assert!((logprobs[0] - step["logprob"].as_f64().expect("a number")).abs() < 1e-4, "{step}");
        text += step["text"].as_str().expect("text");
    }
    assert_eq!(lines[4]["text"].as_str(), Some(text.as_str()));
    let plain = succeeds(&mut generate(home.path(), &model, &args[..args.len() - 1]));
    assert_eq!(plain.out.lines().count(), 4, "{plain:?}");
}

#[test]
fn a_text_to_stop_at_is_not_passed() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let args = ["-p", PROMPT, "-n", "24", "--temp", "0", "--repeat-penalty", "1", "-r", "ris", "--json"];
    let ran = succeeds(&mut generate(home.path(), &model, &args));
    let object = &objects(&ran.out)[0];
    assert_eq!(
        (object["text"].as_str(), &object["finish_reason"]),
        (Some(" Pa"), &"stop".into()),
        "{object}"
    );
}

#[test]
#[cfg(unix)]
fn an_interrupted_text_keeps_what_was_said() {
    use std::io::Read;
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let args = ["-p", "1, 2, 3,", "-n", "200", "--temp", "0", "--repeat-penalty", "1", "--no-display-prompt"];
    let mut child =
        generate(home.path(), &model, &args).stdout(Stdio::piped()).spawn().expect("the command starts");
    let mut out = child.stdout.take().expect("standard output");
    let mut first = [0];
    out.read_exact(&mut first).expect("a first character");
    let pressed =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(pressed.success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest}");
    // The first character was a space; how many numbers follow depends on who was faster.
    assert!(rest.is_empty() || rest.starts_with('4'), "{rest}");
    assert!(!rest.contains("60"), "{rest}");
}

/// The guide's command with `sai generate` for `./main`, another model and a short answer.
#[test]
fn the_command_of_42dots_guide_runs() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let mut command = sai(home.path());
    command.arg("generate").arg("-m").arg(&model);
    command.args(["--ctx-size", "512", "--keep", "-1", "--temp", "0.5", "--top_p", "0.95", "--top_k", "20"]);
    command.args(["--n-predict", "6", "--repeat-penalty", "1.2", "--escape", "--color", "--prompt"]);
    command.arg(
        "호기심 많은 인간 (human)과 인공지능 봇 (AI bot)의 대화입니다. \\n봇의 이름은 42dot LLM입니다. \\n",
    );
    command.args(["--in-prefix", "<human>: ", "--in-suffix", "<bot>:", "--interactive-first"]);
    command.args(["--n-gpu-layers", "15000"]);
    let ran = with_input(&mut command, "안녕?\n\nbye\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.starts_with("호기심 많은 인간 (human)과 인공지능 봇 (AI bot)의 대화입니다. \n봇의"),
        "{ran:?}"
    );
    assert!(!ran.out.contains('\x1b') && ran.err.contains("--n-gpu-layers"), "{ran:?}");
}

#[test]
fn each_line_is_a_turn() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let args =
        ["-p", "Q: hi\nA: hello\n", "-n", "4", "--temp", "0", "--in-prefix", "Q: ", "--in-suffix", "A:"];
    let mut command = generate(home.path(), &model, &args);
    let ran = with_input(command.args(["--interactive-first", "--json"]), "one\ntwo\n");
    let turns = objects(&ran.out);
    assert_eq!((ran.code, turns.len()), (Some(0), 2), "{ran:?}");
    // What was read for the first turn is not read again for the second.
    let usage = &turns[1]["usage"];
    assert!(usage["cached_tokens"].as_u64() >= turns[0]["usage"]["prompt_tokens"].as_u64(), "{turns:?}");
}

#[test]
fn a_full_context_forgets_the_middle_and_says_so() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let mut command = sai(home.path());
    command.arg("generate").arg("-m").arg(&model).args([
        "-c",
        "48",
        "-p",
        "Once upon",
        "-n",
        "8",
        "-i",
        "--temp",
        "0",
    ]);
    let line = "and then they went on and on through the dark wood\n";
    let ran = with_input(&mut command, &line.repeat(4));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("the context of 48 tokens is full"), "{ran:?}");
}

#[test]
fn what_cannot_be_generated_is_one_line() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let error = fails(&mut generate(home.path(), &model, &[]));
    assert!(error.contains("give --prompt TEXT or --file FILE"), "{error}");
    let error = fails(&mut generate(home.path(), &model, &["-p", &"word ".repeat(400)]));
    assert!(error.contains("the prompt has 401 tokens"), "{error}");
    let error = fails(&mut generate(home.path(), &model, &["-f", "no-such-file"]));
    assert!(error.contains("no-such-file: cannot be read"), "{error}");
    let error = fails(&mut generate(home.path(), &model, &["-p", "x", "--device", "cuda"]));
    assert!(error.contains("--device cpu"), "{error}");
    for wrong in [["--top_p", "1.5"], ["--temp", "-1"], ["--n-predict", "-2"], ["--repeat-penalty", "0"]] {
        assert_eq!(run(&mut generate(home.path(), &model, &wrong)).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn perplexity_is_one_line_or_an_object() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let text =
        "The sun rises in the east and sets in the west. Water boils at one hundred degrees. ".repeat(8);
    std::fs::write(home.path().join("text.txt"), &text).expect("a file");
    let measure = |args: &[&str]| {
        let mut command = sai(home.path());
        command
            .arg("perplexity")
            .arg("-m")
            .arg(&model)
            .args(["-f", "text.txt", "--context", "32"])
            .args(args);
        command
    };
    let ran = succeeds(&mut measure(&[]));
    assert!(ran.out.starts_with("perplexity ") && ran.out.ends_with(" windows of 32)\n"), "{ran:?}");
    let object = &objects(&succeeds(&mut measure(&["--json"])).out)[0];
    let perplexity = object["perplexity"].as_f64().expect("a number");
    assert!(perplexity > 1.0 && perplexity < 30.0, "{object}");
    assert!(ran.out.contains(&format!("{perplexity:.4}")), "{ran:?} {object}");
    let error = fails(&mut measure(&["--context", "4096"]));
    assert!(error.contains("a window takes 4096"), "{error}");
}

#[test]
fn a_prompt_cache_saves_time_and_never_changes_the_answer() {
    let Some(model) = smollm2() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let cache = home.path().join("cache");
    let answer = |more: &[&str]| {
        let mut command = sai(home.path());
        command.args([
            "generate",
            "--json",
            "--temp",
            "0",
            "-n",
            "6",
            "-p",
            "The capital of France is",
            "-m",
        ]);
        let ran = succeeds(command.arg(&model).args(more));
        let object: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        (object["text"].clone(), object["usage"]["cached_tokens"].as_u64().expect("a count"), ran.err)
    };
    let (text, cached, _) = answer(&[]);
    assert_eq!(cached, 0);
    assert_eq!(answer(&["--prompt-cache", "cache"]).0, text);
    let (same, cached, said) = answer(&["--prompt-cache", "cache"]);
    assert_eq!(same, text);
    assert!(cached > 0 && said.contains("tokens from cache"), "{cached} {said}");

    // Other settings, and damage: one line, and the answer all the same.
    let refused = |more: &[&str], words: &str| {
        let (same, cached, said) = answer(&[&["--prompt-cache", "cache"], more].concat());
        assert_eq!((&same, cached), (&text, 0));
        assert!(said.lines().any(|line| line.starts_with("sai: cache: ") && line.contains(words)), "{said}");
    };
    refused(&["--context", "64"], "context");
    refused(&["--cache-type", "f32"], "F16");
    let bytes = std::fs::read(&cache).expect("the cache");
    std::fs::write(&cache, &bytes[..bytes.len() - 1]).expect("the cache is cut");
    refused(&["--cache-type", "f32"], "damaged");
    assert!(answer(&["--prompt-cache", "cache", "--cache-type", "f32"]).1 > 0, "it was written anew");
    std::fs::write(&cache, "something else").expect("another file");
    let mut command = sai(home.path());
    command.args(["generate", "-p", "x", "-n", "1", "--prompt-cache", "cache", "-m"]);
    assert!(fails(command.arg(&model)).contains("no prompt cache"));
    assert_eq!(std::fs::read(&cache).expect("the file"), b"something else");
    let mut command = sai(home.path());
    command.args(["generate", "-p", "x", "-n", "1", "--prompt-cache", "no/such/folder/cache", "-m"]);
    assert!(fails(command.arg(&model)).contains("cannot be written"));
}
