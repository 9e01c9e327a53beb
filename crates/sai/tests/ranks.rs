//! `sai pretrain` as several processes under `mpirun`.
#![cfg(feature = "mpi")]

mod common;
#[allow(dead_code)] // the crate that it was written for uses more
#[path = "../../trainer/tests/made/mod.rs"]
mod made;

use common::{run, sai, succeeds};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Twenty steps of six sequences, two in memory at a time.
const RECIPE: [&str; 9] = [
    "pretrain",
    "r.toml",
    "--set",
    "steps=20",
    "--set",
    "batch_tokens=192",
    "--set",
    "model.num_layers=2",
    "--out",
];

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 150, 60);
    std::fs::write(home.path().join("r.toml"), made::recipe(home.path())).unwrap();
    home
}

/// The command on so many ranks of this machine, however many cores it has and whoever asks.
fn mpirun(home: &Path, ranks: usize) -> Command {
    let alone = sai(home);
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()]);
    command.arg(alone.get_program()).current_dir(home).stdin(Stdio::null());
    for (name, value) in alone.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn losses(home: &Path, run: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(home.join(run).join("metrics.jsonl")).unwrap();
    let line =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap();
    text.lines().map(line).collect()
}

#[track_caller]
fn alike(a: &[f64], b: &[f64]) {
    assert_eq!((a.len(), b.len()), (20, 20));
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
}

#[test]
fn two_ranks_have_the_losses_of_one_and_a_run_goes_on_with_either() {
    let home = home();
    let home = home.path();
    succeeds(sai(home).args(RECIPE).arg("one"));
    let ran = succeeds(mpirun(home, 2).args(RECIPE).arg("two"));
    assert_eq!(ran.err.matches("20 steps · loss").count(), 1, "{ran:?}");
    alike(&losses(home, "one"), &losses(home, "two"));

    // In parts: some steps on two ranks, some on one, some on two again.
    for ranks in [2, 1, 2] {
        let mut command = if ranks == 1 { sai(home) } else { mpirun(home, ranks) };
        command.args(RECIPE).args(["parts", "--resume"]).stdout(Stdio::null()).stderr(Stdio::null());
        let before = newest(home, "parts");
        let mut child = command.spawn().unwrap();
        // Killed after a checkpoint, as a machine does it.
        while newest(home, "parts") < (before + 4).min(20) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        child.wait().unwrap();
        // What is left of the ranks ends with their mpirun.
        wait_until_free(home, "parts");
    }
    succeeds(sai(home).args(RECIPE).args(["parts", "--resume"]));
    alike(&losses(home, "one"), &losses(home, "parts"));
}

/// The step of the newest checkpoint.
fn newest(home: &Path, run: &str) -> u64 {
    let found = std::fs::read_dir(home.join(run).join("checkpoints")).into_iter().flatten();
    let step = |name: &str| name.strip_prefix("step-")?.parse().ok();
    found.filter_map(|entry| step(entry.ok()?.file_name().to_str()?)).max().unwrap_or(0)
}

fn wait_until_free(home: &Path, run: &str) {
    let lock = std::fs::File::create(home.join(run).join(".lock")).unwrap();
    let began = Instant::now();
    while lock.try_lock().is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "a rank goes on without its mpirun");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_rank_that_fails_ends_all_with_one_line() {
    let home = home();
    let home = home.path();
    let ran = run(mpirun(home, 2).args(RECIPE).args(["x", "--set", "stepz=3"]));
    assert_ne!(ran.code, Some(0));
    assert_eq!(ran.err.matches("`stepz` is no key of a recipe").count(), 1, "{ran:?}");

    // One that is killed, too.
    let mut command = mpirun(home, 2);
    command.args(RECIPE).args(["killed", "--set", "steps=100000000", "--set", "checkpoint_every=1000000"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let metrics = home.join("killed/metrics.jsonl");
    while std::fs::metadata(&metrics).map_or(0, |m| m.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ranks = Command::new("pgrep").args(["-P", &child.id().to_string()]).output().unwrap();
    let rank = String::from_utf8(ranks.stdout).unwrap().lines().last().unwrap().to_owned();
    assert!(Command::new("kill").args(["-KILL", &rank]).status().unwrap().success());
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(30), "the others wait for a rank that is dead");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_lets_all_save_and_leave() {
    let home = home();
    let home = home.path();
    let mut command = mpirun(home, 2);
    command.args(RECIPE).args(["run", "--set", "steps=100000000", "--set", "checkpoint_every=1000000"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let metrics = home.join("run/metrics.jsonl");
    while std::fs::metadata(&metrics).map_or(0, |m| m.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    child.wait().unwrap();
    assert!(home.join("run/model/state.json").is_file());
}
