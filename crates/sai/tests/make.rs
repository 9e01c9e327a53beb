//! `sai make`: a model from nothing, as a person makes it, talks to it, makes it again, and as a machine kills it.

mod common;
#[path = "../../judge/tests/mock/mod.rs"]
#[allow(dead_code)]
mod mock;

use common::{fails, run, sai, succeeds};
use mock::{Act, Mock};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A recipe that comes with sai.
fn recipe(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(name)
}

/// `sai make` of nano with further arguments.
fn make(home: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = sai(home);
    command.arg("make").arg(recipe("nano.toml")).args(arguments);
    command
}

/// The answers of a model in JSON, and whether it ended them by itself.
fn answers(home: &Path, model: &str, questions: &[&str]) -> Vec<(String, bool)> {
    let ask = questions.iter().flat_map(|question| ["--ask", question]);
    let ran = succeeds(sai(home).args(["evaluate", model, "--json"]).args(ask));
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let turns = found["conversations"].as_array().unwrap().iter().map(|talk| &talk[0]);
    turns.map(|turn| (turn["answer"].as_str().unwrap().to_owned(), turn["ended"] == true)).collect()
}

#[test]
fn nano_is_made_from_nothing_and_talks() {
    let home = tempfile::tempdir().unwrap();
    let ran = succeeds(&mut make(home.path(), &["--dry-run"]));
    assert!(ran.out.contains("9 of 9 stages") && !home.path().join("nano").exists(), "{ran:?}");
    let ran = succeeds(&mut make(home.path(), &[]));
    for stage in
        ["sample", "tokenizer", "pack", "pretrain", "finetune", "convert", "quantize", "evaluate", "card"]
    {
        assert!(ran.err.contains(&format!("✓ {stage:<10}")), "{stage}: {}", ran.err);
    }
    assert!(ran.err.contains("nano: sai chat -m nano"), "{}", ran.err);

    // It answers what it was taught, and ends its turns, as it was trained and in fewer bits.
    for model in ["nano", "nano/nano-q8_0.gguf"] {
        let said = answers(
            home.path(),
            model,
            &["안녕?", "한국의 수도는 어디야?", "Hello!", "What is the capital of France?"],
        );
        assert!(
            said.iter().all(|(text, ended)| *ended && !text.trim().is_empty() && !text.contains('\u{fffd}')),
            "{said:?}"
        );
        assert!(said[1].0.contains("서울") && said[3].0.contains("Paris"), "{said:?}");
    }
    // As a person talks to it.
    let mut chat = sai(home.path())
        .args(["chat", "-m", "nano", "--temperature", "0", "--repetition-penalty", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    chat.stdin.take().unwrap().write_all("안녕?\nWhat is the capital of France?\n".as_bytes()).unwrap();
    let done = chat.wait_with_output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && text.contains("Paris"), "{text}");

    // Nothing has changed, so nothing is done; another type changes what follows from it.
    let ran = succeeds(&mut make(home.path(), &[]));
    assert_eq!(ran.err.matches("as before").count(), 9, "{}", ran.err);
    let ran = succeeds(&mut make(home.path(), &["--set", "quantize.type=q4_0", "--dry-run"]));
    assert!(ran.out.contains("3 of 9 stages") && ran.out.contains("type q8_0 → q4_0"), "{ran:?}");
    let ran = succeeds(&mut make(home.path(), &["--set", "quantize.type=q4_0"]));
    assert_eq!(ran.err.matches("as before").count(), 6, "{}", ran.err);
    assert!(home.path().join("nano/nano-q4_0.gguf").is_file());
    assert!(!home.path().join("nano/nano-q8_0.gguf").exists());
    let card = std::fs::read_to_string(home.path().join("nano/README.md")).unwrap();
    assert!(card.contains("sai make nano.toml --set 'quantize.type=q4_0' -o nano"), "{card}");
    judged(home.path());
}

/// nano and mini answer the set that comes with sai and are graded; and a recipe names a judge.
fn judged(home: &Path) {
    let mock = Mock::start(|asked| {
        let names = ["Accuracy", "Robustness", "Fairness", "Bias", "Toxicity", "Efficiency"];
        let score = if asked.text().contains("안녕") { 5 } else { 3 };
        let one = |name| format!("\"{name}\":{{\"Explanation\":\"\",\"Score\":{score}}}");
        Act::Say(format!("{{{}}}", names.map(one).join(",")))
    });
    let ran = succeeds(sai(home).args([
        "judge",
        "answer",
        "--models",
        "mini,nano",
        "-o",
        "run",
        "--max-tokens",
        "64",
    ]));
    assert!(ran.out.contains("60 prompts, 2 contestants"), "{ran:?}");
    succeeds(sai(home).args(["judge", "grade", "run", "--judge-api", &format!("mock={}", mock.url)]));
    let ran = succeeds(sai(home).args(["judge", "report", "run", "--resamples", "200"]));
    for text in ["Scores, mock (criteria)", "translation", "honesty", "mini", "nano"] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    assert!(home.join("run/report/radar.svg").is_file());

    // The prompts of sai's templates do not fit into mini's context: a judge that can grade nothing costs no score.
    let set = ["--set", "quantize.type=q4_0", "--set", "judge.model=mini", "--set", "judge.limit=3"];
    let ran = succeeds(&mut make(home, &set));
    assert!(ran.err.contains("✓ judge") && ran.err.matches("as before").count() == 8, "{}", ran.err);
    let card = std::fs::read_to_string(home.join("nano/README.md")).unwrap();
    assert!(card.contains("## What a judge says") && card.contains("0 of 3"), "{card}");
    assert!(home.join("nano/stages/judge/report.html").is_file());
    let refused = fails(&mut make(home, &["--set", "judge.limit=3"]));
    assert!(refused.contains("names no judge"), "{refused}");
}

/// A making of seconds: fewer texts and steps.
const SHORT: [&str; 12] = [
    "--set",
    "sample.rules.documents=300",
    "--set",
    "sample.rules.dialogues=0",
    "--set",
    "sample.rules.conversations=200",
    "--set",
    "pretrain.steps=24",
    "--set",
    "pretrain.schedule.warmup_steps=4",
    "--set",
    "pretrain.checkpoint_every=4",
];

#[cfg(unix)]
#[test]
fn killed_and_begun_again_it_makes_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let short = |out: &str| {
        let mut command = make(home.path(), &SHORT);
        command.args(["--set", "finetune.steps=12", "--set", "finetune.checkpoint_every=3", "-o", out]);
        command
    };
    succeeds(&mut short("whole"));
    let mut kills = 0;
    // Each time it is left alone for longer.
    for patience in (1..200).map(|n| Duration::from_millis(250 * n)) {
        let mut child = short("killed").stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(patience);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 2, "{kills}");
    for name in ["model.safetensors", "nano-f16.gguf", "nano-q8_0.gguf", "README.md"] {
        let [a, b] = ["whole", "killed"].map(|out| std::fs::read(home.path().join(out).join(name)).unwrap());
        assert!(a == b, "{name} differs after {kills} kills");
    }
}

#[test]
fn what_makes_no_sense_is_said_in_a_line() {
    let home = tempfile::tempdir().unwrap();
    let error = fails(&mut make(home.path(), &["--set", "pretrain.stepz=1"]));
    assert!(error.contains("--set pretrain.stepz=1: `stepz` is no key of a recipe; `steps` is"), "{error}");
    let error = fails(&mut make(home.path(), &["--set", "sample.rules.conversations=0", "--dry-run"]));
    assert!(error.contains("`sample.conversations` and `rules` give no conversations"), "{error}");
    let error = fails(&mut make(home.path(), &["--set", "sample.held_out=2", "--dry-run"]));
    assert!(error.contains("sample: `held_out` is 2"), "{error}");
    let error = fails(&mut make(home.path(), &["--from", "finetune"]));
    assert!(error.contains("sample has not been done in this folder"), "{error}");
    let ran = run(&mut make(home.path(), &["--until", "cake"]));
    assert!(ran.code == Some(2) && ran.err.contains("the stages are sample, tokenizer"), "{ran:?}");
    std::fs::create_dir(home.path().join("mine")).unwrap();
    std::fs::write(home.path().join("mine/thesis"), "").unwrap();
    let error = fails(&mut make(home.path(), &["-o", "mine"]));
    assert!(error.contains("none is a manifest of `sai make`"), "{error}");
}
