//! `sai judge`: from models' answers to a report, on the command line.

mod common;
#[path = "../../judge/tests/mock/mod.rs"]
#[allow(dead_code)]
mod mock;

use common::{fails, real_model, run, sai, succeeds};
use mock::{Act, Mock};
use std::fs;
use std::path::Path;

const KEY: &str = "sk-very-secret-42";

fn good(text: &str) -> String {
    let names = ["Accuracy", "Robustness", "Fairness", "Bias", "Toxicity", "Efficiency"];
    let score = 2 + text.len() % 4;
    let one = |name| format!("\"{name}\":{{\"Explanation\":\"ok\",\"Score\":{score}}}");
    match text.contains("\"Winner\"") {
        true => "{\"Explanation\":\"\",\"Winner\":\"A\"}".to_owned(),
        false if text.contains("\"Correctness\"") => {
            "{\"Correctness\":{\"Explanation\":\"\",\"Score\":4}}".to_owned()
        }
        false => format!("{{{}}}", names.map(one).join(",")),
    }
}

/// The answers of `mini`, and of a service.
fn answered(home: &Path, url: &str) {
    let ran = succeeds(sai(home).env("KEY", KEY).args([
        "judge",
        "answer",
        "--limit",
        "8",
        "--models",
        "mini",
        "--api",
        &format!("service={url}"),
        "--key-env",
        "KEY",
        "-o",
        "run",
        "--max-tokens",
        "64",
    ]));
    assert!(ran.out.contains("8 prompts, 2 contestants") && !ran.err.contains(KEY), "{ran:?}");
}

#[test]
fn models_answer_a_judge_grades_and_the_report_is_written() {
    let home = tempfile::tempdir().unwrap();
    let mock = Mock::start(|asked| match asked.text() {
        text if text.contains("JSON") => Act::Say(good(text)),
        text => Act::Say(format!("A reply to: {text}")),
    });
    answered(home.path(), &mock.url);
    let judge = format!("grader={}", mock.url);
    let grade = |more: &[&str]| {
        let mut command = sai(home.path());
        command
            .env("KEY", KEY)
            .args(["judge", "grade", "run", "--judge-api", &judge, "--key-env", "KEY"])
            .args(more);
        command
    };
    let before = mock.count();
    let ran = succeeds(&mut grade(&["--template", "criteria,pairwise,reference", "--dry-run"]));
    assert_eq!(mock.count(), before, "nothing is asked");
    assert_eq!(ran.out.matches("\n--- ").count(), 9, "three of each template: {}", ran.out);
    assert!(ran.err.contains("16 requests") && ran.err.contains("price not known"), "{ran:?}");
    let ran = succeeds(&mut grade(&["--template", "criteria,pairwise,reference"]));
    assert_eq!(mock.count() - before, 16 + 16 + 16, "{ran:?}");
    succeeds(&mut grade(&["--template", "criteria,pairwise,reference"]));
    assert_eq!(mock.count() - before, 48, "nothing is asked twice");
    let ran = succeeds(sai(home.path()).args(["judge", "report", "run", "--resamples", "100"]));
    for text in [
        "Scores, grader (criteria)",
        "Which answer is better",
        "the first seat won 100.0 %",
        "5 is best",
        "8 of 8",
    ] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    assert!(ran.err.contains("prefers a seat"), "{}", ran.err);
    let report = home.path().join("run/report");
    for file in [
        "report.html",
        "report.md",
        "figures.csv",
        "grades.csv",
        "total-1.svg",
        "criteria-1.svg",
        "pairs.svg",
    ] {
        assert!(report.join(file).is_file(), "{file}");
    }
    let svg = fs::read_to_string(report.join("total-1.svg")).unwrap();
    assert!(svg.contains("0.0") && svg.contains("mini") && svg.contains("Total score of 30"), "{svg}");
    let json = succeeds(sai(home.path()).args(["judge", "report", "run", "--json", "--resamples", "50"]));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let pair = &json["preferences"][0]["pairs"][0];
    assert_eq!(pair["ties"], 8);
    for entry in walk(home.path()) {
        assert!(!String::from_utf8_lossy(&fs::read(&entry).unwrap()).contains(KEY), "{}", entry.display());
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(walk(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn a_model_on_this_machine_judges_and_what_it_cannot_say_is_missing() {
    let Some(judge) = real_model::smollm2() else { return };
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("one.jsonl"), "{\"id\":\"greeting-4\",\"answer\":\"Good morning! How can I help?\"}\n")
        .unwrap();
    succeeds(sai(home.path()).args([
        "judge",
        "answer",
        "--limit",
        "4",
        "--models",
        "mini",
        "--answers",
        "one=one.jsonl",
        "-o",
        "run",
        "--max-tokens",
        "32",
    ]));
    // The fourth prompt is the first English one.
    let ran = succeeds(
        sai(home.path())
            .args(["judge", "grade", "run", "--template", "reference-en", "--attempts", "1"])
            .args(["--max-tokens", "48", "--judge", judge.to_str().unwrap()]),
    );
    assert!(ran.err.contains("2 requests") && ran.err.contains("free"), "{ran:?}");
    let ran = succeeds(sai(home.path()).args(["judge", "report", "run", "--resamples", "20"]));
    assert!(ran.out.contains("Correctness") || ran.out.contains("total of 5"), "{}", ran.out);
    assert!(ran.out.contains(" of 1"), "{}", ran.out);
}

#[test]
fn what_cannot_be_asked_for_is_said_in_a_line() {
    let home = tempfile::tempdir().unwrap();
    let judge = |arguments: &[&str]| {
        let mut command = sai(home.path());
        command.arg("judge").args(arguments);
        command
    };
    let refused = |arguments: &[&str]| fails(&mut judge(arguments));
    assert!(refused(&["answer", "-o", "r"]).contains("nobody to answer"));
    assert!(refused(&["answer", "-o", "r", "--models", "mini,mini"]).contains("called `mini`"));
    assert!(refused(&["answer", "-o", "r", "--api", "m=ftp://x"]).contains("NAME=URL"));
    assert!(
        refused(&["answer", "-o", "r", "--api", "m=http://x/v1", "--key-env", "NO_SUCH"]).contains("NO_SUCH")
    );
    assert!(
        refused(&["answer", "-o", "r", "--api", "m=http://x/v1", "--max-cost", "1"]).contains("--prices")
    );
    assert!(
        refused(&["answer", "-o", "r", "--prompts", "none.csv", "--models", "mini"]).contains("none.csv")
    );
    assert!(refused(&["report", "r"]).contains("run.json"));
    assert!(refused(&["grade", "r"]).contains("nobody to grade"));
    assert_eq!(run(&mut judge(&["answer", "-o", "r", "--max-cost", "much"])).code, Some(2));
    fs::create_dir(home.path().join("mine")).unwrap();
    fs::write(home.path().join("mine/notes"), "").unwrap();
    assert!(refused(&["answer", "-o", "mine", "--models", "mini"]).contains("none is a run"));
    fs::write(home.path().join("p.jsonl"), "{\"prompt\":\"hi\"}\n").unwrap();
    succeeds(&mut judge(&[
        "answer",
        "-o",
        "r",
        "--prompts",
        "p.jsonl",
        "--models",
        "mini",
        "--max-tokens",
        "8",
    ]));
    assert!(refused(&["grade", "r", "--judge", "mini", "--template", "nope"]).contains("criteria, pairwise"));
    assert!(
        refused(&["grade", "r", "--judge", "mini", "--template", "pairwise", "--against", "x"])
            .contains("no contestant")
    );
    assert!(refused(&["grade", "r", "--judge", "mini", "--repeats", "3"]).contains("--temperature"));
    let other = refused(&["answer", "-o", "r", "--models", "mini"]);
    assert!(other.contains("SHA-256") && other.contains("another folder"), "{other}");
}
