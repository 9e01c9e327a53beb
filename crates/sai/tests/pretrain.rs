//! `sai pretrain`, as a person runs it, and as a machine kills it.

mod common;
#[allow(dead_code)] // the crate that it was written for uses more
#[path = "../../trainer/tests/made/mod.rs"]
mod made;

use common::{fails, sai, succeeds};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Step and loss of each line of a run's metrics, and the bits of its newest weights and moments.
fn made_of(home: &Path, run: &str) -> (Vec<String>, [Vec<u8>; 2]) {
    let text = std::fs::read_to_string(home.join(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {} {}", line["step"], line["loss"], line["grad_norm"])
    });
    let read = |name: &str| std::fs::read(home.join(run).join("model").join(name)).unwrap();
    (lines.collect(), ["model.safetensors", "optimizer.safetensors"].map(read))
}

#[test]
fn a_run_that_is_killed_a_hundred_times_ends_as_one_that_was_not() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 60, 40);
    std::fs::write(home.path().join("r.toml"), made::recipe(home.path())).unwrap();
    let recipe =
        ["pretrain", "r.toml", "-q", "--threads", "1", "--set", "steps=160", "--set", "checkpoint_every=3"];
    succeeds(sai(home.path()).args(recipe).args(["--out", "whole"]));
    let whole = made_of(home.path(), "whole");
    assert_eq!(whole.0.len(), 160);

    let mut state = 42u64;
    let mut newest = 0;
    for _ in 0..100 {
        let mut command = sai(home.path());
        command
            .args(recipe)
            .args(["--out", "killed", "--resume"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((state >> 33) % 120));
        child.kill().unwrap();
        child.wait().unwrap();
        // No checkpoint is ever lost.
        let found = std::fs::read_dir(home.path().join("killed/checkpoints")).into_iter().flatten();
        let steps =
            found.filter_map(|e| e.unwrap().file_name().to_str()?.strip_prefix("step-")?.parse::<u64>().ok());
        let now = steps.max().unwrap_or(0);
        assert!(now >= newest, "{now} after {newest}");
        newest = now;
    }
    assert!(newest > 0, "no step was made between kills");
    succeeds(sai(home.path()).args(recipe).args(["--out", "killed", "--resume"]));
    let killed = made_of(home.path(), "killed");
    assert_eq!(whole.0, killed.0);
    assert!(whole.1 == killed.1, "the weights differ");
}

#[test]
fn what_was_trained_can_be_talked_to() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 60, 40);
    std::fs::write(home.path().join("r.toml"), made::recipe(home.path())).unwrap();
    let set = ["--set", "samples=['CAT']", "--set", "sample_tokens=4"];
    let ran = succeeds(sai(home.path()).args(["pretrain", "r.toml", "--out", "run"]).args(set));
    assert!(ran.out.is_empty() && ran.err.contains("12 steps · loss"), "{ran:?}");
    assert!(
        ran.err.contains("of memory") && ran.err.contains("bits a byte") && ran.err.contains("CAT ▸"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("warning"), "{ran:?}");
    let ran = succeeds(sai(home.path()).args([
        "generate",
        "-m",
        "run/model",
        "-p",
        "CAT",
        "-n",
        "4",
        "--temp",
        "0",
    ]));
    assert!(ran.out.starts_with("CAT"), "{ran:?}");
    for file in ["recipe.toml", "report.html", "samples.jsonl", "metrics.jsonl"] {
        assert!(home.path().join("run").join(file).is_file(), "{file}");
    }
    let error = fails(sai(home.path()).args(["pretrain", "r.toml", "--out", "x", "--set", "stepz=3"]));
    assert!(error.contains("--set stepz=3: `stepz` is no key of a recipe; `steps` is"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_signal_saves_and_leaves() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 60, 40);
    std::fs::write(home.path().join("r.toml"), made::recipe(home.path())).unwrap();
    let mut command = sai(home.path());
    command.args([
        "pretrain",
        "r.toml",
        "--out",
        "run",
        "--set",
        "steps=100000000",
        "--set",
        "checkpoint_every=1000000",
    ]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let metrics = home.path().join("run/metrics.jsonl");
    while std::fs::metadata(&metrics).map_or(0, |m| m.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(home.path().join("run/model/state.json").is_file());
}
