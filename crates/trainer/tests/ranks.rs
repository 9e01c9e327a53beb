//! Runs of several ranks against runs of one: the same losses, the same checkpoints, on any number.

mod made;
#[path = "made/team.rs"]
mod team;

use sai_decoder::Cpu;
use sai_trainer::{Event, One, Options, Outcome, Ranks, Recipe, pretrain};
use std::cell::Cell;
use std::path::Path;
use team::together;

/// Twenty steps of six sequences, two in memory at a time: of two ranks each has two passes, of four not even all two.
const SET: [&str; 4] =
    ["steps=20", "batch_tokens=192", "model.tie_word_embeddings=false", "model.num_layers=2"];

/// One rank's part of a run in `home`; stops after `stop_after` steps.
fn run(home: &Path, out: &str, resume: bool, stop_after: u64, ranks: &dyn Ranks, set: &[&str]) -> Outcome {
    let set: Vec<String> = SET.iter().chain(set).map(|&said| said.to_owned()).collect();
    let recipe = Recipe::parse(&made::recipe(home), Path::new("r.toml"), &set).unwrap();
    let heard = Cell::new(0);
    let options = Options {
        out: home.join(out),
        resume,
        memory_limit: Some(1 << 30),
        peak: None,
        // The first rank alone is told.
        stop: &|| heard.get() >= stop_after,
        ranks,
    };
    pretrain(Cpu::new(1), &recipe, Path::new("r.toml"), &options, &mut |event| {
        assert_eq!(ranks.rank(), 0, "only the first hears");
        if matches!(event, Event::Step { .. }) {
            heard.set(heard.get() + 1);
        }
        Ok(())
    })
    .unwrap()
}

/// Step, loss and norm of each line, and what validations found.
fn lines(outcome: &Outcome) -> Vec<[f64; 4]> {
    let found = |m: &sai_trainer::Metrics| m.validation.iter().map(|v| v.loss).sum();
    outcome.metrics.iter().map(|m| [m.step as f64, m.loss, m.grad_norm, found(m)]).collect()
}

#[track_caller]
fn alike(a: &Outcome, b: &Outcome) {
    let (a, b) = (lines(a), lines(b));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
    }
}

#[test]
fn several_ranks_have_the_losses_of_one() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 150, 60);
    let one = run(home.path(), "one", false, u64::MAX, &One::default(), &[]);
    assert!(one.finished && one.metrics.len() == 20 && one.metrics[19].loss < one.metrics[0].loss - 0.3);
    // Eight are more than there are sequences.
    for size in [2, 3, 8] {
        let out = format!("of-{size}");
        let mut found = together(size, |rank| run(home.path(), &out, false, u64::MAX, rank, &[]));
        assert!(found.iter().all(|outcome| outcome.finished && outcome.step == 20));
        assert!(found.drain(1..).all(|other| other.metrics.is_empty()));
        alike(&one, &found[0]);
        // And the bits of the same number, once more.
        let again =
            together(size, |rank| run(home.path(), &format!("{out}-again"), false, u64::MAX, rank, &[]));
        let weights =
            |out: &str| std::fs::read(home.path().join(out).join("model/model.safetensors")).unwrap();
        assert_eq!(lines(&found[0]), lines(&again[0]));
        assert!(weights(&out) == weights(&format!("{out}-again")));
    }
    // With the embedding as the head.
    let tied = ["model.tie_word_embeddings=true"];
    let one = run(home.path(), "tied", false, u64::MAX, &One::default(), &tied);
    let two = together(2, |rank| run(home.path(), "tied-2", false, u64::MAX, rank, &tied));
    alike(&one, &two[0]);
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 150, 60);
    let whole = run(home.path(), "whole", false, u64::MAX, &One::default(), &[]);
    // What one rank is told, all know with the sums of the next step.
    let part = together(2, |rank| run(home.path(), "parts", false, 5, rank, &[]));
    assert_eq!(
        part.iter().map(|outcome| (outcome.step, outcome.finished)).collect::<Vec<_>>(),
        [(6, false); 2]
    );
    let part = run(home.path(), "parts", true, 4, &One::default(), &[]);
    assert_eq!(part.step, 10);
    let part = together(3, |rank| run(home.path(), "parts", true, 6, rank, &[]));
    assert_eq!(part[0].step, 17);
    let rest = together(2, |rank| run(home.path(), "parts", true, u64::MAX, rank, &[]));
    assert!(rest[0].finished);
    alike(&whole, &rest[0]);
}

/// Every batch that is worse than most before it is passed over: the run goes back to the step before it and reads on.
#[test]
fn ranks_go_back_together() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 150, 60);
    let back = ["steps=90", "loss.leap=0.01", "loss.on_leap=rewind", "checkpoint_every=1"];
    let one = run(home.path(), "one", false, u64::MAX, &One::default(), &back);
    assert!(one.finished);
    // What was read, but for the batches that were passed over: some were.
    assert_eq!(one.metrics.iter().map(|m| m.step).collect::<Vec<_>>(), (1..=90).collect::<Vec<_>>());
    let without = run(home.path(), "without", false, u64::MAX, &One::default(), &["steps=90"]);
    // A line that was read back may differ in the last place of a decimal.
    let apart = one.metrics.iter().zip(&without.metrics).position(|(a, b)| (a.loss - b.loss).abs() > 1e-9);
    assert!(apart.is_some_and(|at| at >= 32), "{apart:?}");
    let two = together(2, |rank| run(home.path(), "two", false, u64::MAX, rank, &back));
    assert_eq!(two[0].metrics.len(), 90);
    for (a, b) in one.metrics.iter().zip(&two[0].metrics) {
        assert!((a.loss - b.loss).abs() < 1e-3, "{a:?} {b:?}");
    }
}
