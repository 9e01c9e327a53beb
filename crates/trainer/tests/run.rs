//! Whole runs of a tiny model: stopped and resumed, damaged, and going wrong.

mod made;

use sai_decoder::Cpu;
use sai_trainer::{Error, Event, One, Options, Outcome, Recipe, pretrain};
use std::cell::Cell;
use std::path::Path;
use tempfile::TempDir;

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 150, 60);
    home
}

/// Runs until it is done, or until `stop_after` steps were made. Returns notes too.
fn run(
    home: &Path,
    out: &str,
    overrides: &[&str],
    resume: bool,
    stop_after: u64,
) -> Result<(Outcome, Vec<String>), Error> {
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    let path = Path::new("r.toml");
    let recipe = Recipe::parse(&made::recipe(home), path, &overrides)?;
    let (made, mut notes) = (Cell::new(0), Vec::new());
    let options = Options {
        out: home.join(out),
        resume,
        memory_limit: Some(1 << 30),
        peak: None,
        stop: &|| made.get() >= stop_after,
        ranks: &One::default(),
    };
    let outcome = pretrain(Cpu::new(1), &recipe, path, &options, &mut |event| {
        match event {
            Event::Step { .. } => made.set(made.get() + 1),
            Event::Note(note) => notes.push(note),
            _ => {}
        }
        Ok(())
    })?;
    Ok((outcome, notes))
}

fn losses(outcome: &Outcome) -> Vec<(u64, u64)> {
    outcome.metrics.iter().map(|m| (m.step, m.loss.to_bits())).collect()
}

fn weights(home: &Path, out: &str) -> [Vec<u8>; 2] {
    let newest = home.join(out).join("checkpoints/step-000000012");
    ["model.safetensors", "optimizer.safetensors"].map(|name| std::fs::read(newest.join(name)).unwrap())
}

#[test]
fn a_run_that_is_stopped_and_resumed_is_the_same_to_the_bit() {
    let home = home();
    let (whole, notes) = run(home.path(), "whole", &[], false, u64::MAX).unwrap();
    assert!(whole.finished && notes.is_empty(), "{notes:?}");
    assert!(whole.metrics[11].loss < whole.metrics[0].loss - 0.3, "{:?}", whole.metrics);
    let validated: Vec<u64> =
        whole.metrics.iter().filter(|m| !m.validation.is_empty()).map(|m| m.step).collect();
    assert_eq!(validated, [6, 12]);
    let [en, ko] = &whole.metrics[11].validation[..] else { panic!("two languages") };
    assert_eq!((en.language.as_str(), ko.language.as_str()), ("en", "ko"));
    // A token is a byte here, but for the end of a document.
    assert!((en.bits_per_byte * std::f64::consts::LN_2 / en.loss - 1.0).abs() < 0.1);

    let (part, _) = run(home.path(), "parts", &[], false, 5).unwrap();
    assert_eq!((part.step, part.finished), (5, false));
    let (part, _) = run(home.path(), "parts", &[], true, 4).unwrap();
    assert_eq!(part.step, 9);
    let (rest, _) = run(home.path(), "parts", &[], true, u64::MAX).unwrap();
    assert_eq!(rest.metrics.iter().map(|m| m.step).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    assert_eq!(weights(home.path(), "whole"), weights(home.path(), "parts"));
    // A line that was read back may differ in the last place of a decimal.
    for (a, b) in whole.metrics.iter().zip(&rest.metrics) {
        assert!((a.loss - b.loss).abs() < 1e-12, "{a:?} {b:?}");
    }
    let page = std::fs::read_to_string(home.path().join("parts/report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("bits a byte") && !page.contains("http-equiv"));
    assert_eq!(losses(&whole).len(), 12);
    // What is kept: the last two, and the best.
    let kept = std::fs::read_dir(home.path().join("whole/checkpoints")).unwrap().count();
    assert!((2..=3).contains(&kept));
}

#[test]
fn a_broken_checkpoint_is_passed_over() {
    let home = home();
    run(home.path(), "whole", &[], false, u64::MAX).unwrap();
    run(home.path(), "broken", &[], false, 8).unwrap();
    let newest = home.path().join("broken/checkpoints/step-000000008");
    let file = newest.join("optimizer.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    // What a killed process leaves.
    std::fs::create_dir(home.path().join("broken/checkpoints/.sai-half.part")).unwrap();
    let (rest, notes) = run(home.path(), "broken", &[], true, u64::MAX).unwrap();
    assert!(
        notes[0].contains("step-000000008: optimizer.safetensors differs from its checksum"),
        "{notes:?}"
    );
    assert_eq!((rest.step, rest.metrics.len()), (12, 12));
    assert_eq!(weights(home.path(), "whole"), weights(home.path(), "broken"));
    assert!(!home.path().join("broken/checkpoints/.sai-half.part").exists());
}

#[test]
fn a_folder_holds_one_run() {
    let home = home();
    run(home.path(), "run", &[], false, 4).unwrap();
    let error = run(home.path(), "run", &[], false, 4).unwrap_err().to_string();
    assert!(error.contains("has a run already; give --resume"), "{error}");
    let error = run(home.path(), "run", &["seed=7", "optimizer.clip=2"], true, 4).unwrap_err().to_string();
    assert!(error.contains("another `optimizer`, `seed`"), "{error}");
    // Keys that do not decide the weights may change.
    assert!(run(home.path(), "run", &["checkpoint_every=2"], true, u64::MAX).unwrap().0.finished);
    let error = run(home.path(), "none", &["model.hidden_size=4096", "model.num_layers=99"], false, 1);
    assert!(error.unwrap_err().to_string().contains("give a smaller micro_batch"));
    assert!(!home.path().join("none").exists());
}

#[test]
fn a_loss_that_leaps_stops_or_goes_back_and_names_its_documents() {
    let home = home();
    // With no leap allowed, the first loss above the median is one.
    let leap = ["steps=200", "loss.leap=0", "checkpoint_every=20", "loss.on_leap=stop"];
    let error = run(home.path(), "stop", &leap, false, u64::MAX).unwrap_err();
    let Error::BadLoss { step, .. } = &error else { panic!("{error}") };
    assert!(*step > 32, "{error}");
    let error = error.to_string();
    assert!(error.contains("packed #") && error.contains("where the recent ones are about"), "{error}");

    let rewind = ["steps=200", "loss.leap=0", "checkpoint_every=20", "loss.on_leap=rewind"];
    let error = run(home.path(), "rewind", &rewind, false, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("going back did not help three times"), "{error}");
    // The checkpoint is as it was.
    assert!(run(home.path(), "rewind", &rewind, true, 1).is_ok());
}
