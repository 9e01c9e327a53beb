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

/// A damaged one of a later step is not the newest of those that are kept.
#[test]
fn a_checkpoint_that_was_just_written_stays() {
    let home = home();
    let keep = ["keep_last=1", "keep_best=0", "validate_every=100", "checkpoint_every=1"];
    run(home.path(), "run", &["keep_last=2", keep[1], keep[2], keep[3]], false, 8).unwrap();
    let checkpoints = home.path().join("run/checkpoints");
    let later = checkpoints.join("step-000000011");
    std::fs::rename(checkpoints.join("step-000000008"), &later).unwrap();
    std::fs::write(later.join("state.json"), "{").unwrap();
    let (part, _) = run(home.path(), "run", &keep, true, 2).unwrap();
    assert_eq!(part.step, 9);
    let mut names: Vec<String> = std::fs::read_dir(&checkpoints)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["damaged-step-000000011", "step-000000009"]);
    assert!(home.path().join("run/model/model.safetensors").exists());
}

#[test]
fn a_run_goes_on_with_its_own_data_only() {
    let home = home();
    run(home.path(), "run", &[], false, 4).unwrap();
    std::fs::remove_dir_all(home.path().join("packed")).unwrap();
    made::shards(home.path(), 150, 61);
    let error = run(home.path(), "run", &[], true, 4).unwrap_err().to_string();
    assert!(error.contains("is of other data than lies there now"), "{error}");
}

#[test]
fn a_run_whose_shards_were_moved_goes_on_with_their_new_place() {
    let home = home();
    run(home.path(), "run", &[], false, 4).unwrap();
    std::fs::rename(home.path().join("packed"), home.path().join("elsewhere")).unwrap();
    let error = run(home.path(), "run", &[], true, 4).unwrap_err().to_string();
    assert!(error.contains("packed: no such folder") && error.contains("--set data=FOLDER"), "{error}");
    let moved = format!("data={:?}", home.path().join("elsewhere").display().to_string());
    let (outcome, _) = run(home.path(), "run", &[&moved], true, 100).unwrap();
    assert!(outcome.finished && outcome.metrics.len() == 12);
}

#[test]
fn weights_go_on_with_the_tokenizer_that_they_know() {
    let home = home();
    run(home.path(), "first", &[], false, 4).unwrap();
    let other = tempfile::tempdir().unwrap();
    made::shards(other.path(), 150, 60);
    let from = home.path().join("first");
    let recipe = made::recipe(other.path());
    let (head, tables) = recipe.split_once("[model]").unwrap();
    let tables = &tables[tables.find("[optimizer]").unwrap()..];
    let recipe = format!("{head}[model]\nfrom = {:?}\n{tables}", from.display().to_string());
    let trained = |name: &str| {
        let path = Path::new("r.toml");
        let options = Options {
            out: other.path().join(name),
            resume: false,
            memory_limit: None,
            peak: None,
            stop: &|| false,
            ranks: &One::default(),
        };
        pretrain(Cpu::new(1), &Recipe::parse(&recipe, path, &[])?, path, &options, &mut |_| Ok(()))
    };
    assert!(trained("same").unwrap().finished);
    // The same number of tokens in another order.
    let file = from.join("model/tokenizer.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace(r#""A":32"#, r#""A":99"#)
        .replace(r#""B":33"#, r#""B":32"#)
        .replace(r#""A":99"#, r#""A":33"#);
    assert!(text.contains(r#""A":33"#), "{text}");
    std::fs::write(&file, text).unwrap();
    let error = trained("permuted").unwrap_err().to_string();
    assert!(
        error.contains("has another tokenizer than") && error.contains("with which the shards"),
        "{error}"
    );
}

#[test]
fn a_run_takes_the_tokenizers_own_file() {
    let home = home();
    let mine = home.path().join("mine.json");
    std::fs::copy(home.path().join("vocabulary/tokenizer.json"), &mine).unwrap();
    // Of something else.
    std::fs::write(home.path().join("tokenizer.json"), "{}").unwrap();
    let said = format!("tokenizer={:?}", mine.display().to_string());
    let (_, notes) = run(home.path(), "run", &[&said], false, 4).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let beside = home.path().join("run/model");
    assert_eq!(std::fs::read(beside.join("tokenizer.json")).unwrap(), std::fs::read(&mine).unwrap());
    assert!(!beside.join("tokenizer_config.json").exists());
}

#[test]
fn a_run_goes_on_without_its_log() {
    let home = home();
    run(home.path(), "whole", &[], false, u64::MAX).unwrap();
    run(home.path(), "run", &[], false, 5).unwrap();
    let log = home.path().join("run/metrics.jsonl");
    let lines = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, lines.split_inclusive('\n').take(3).collect::<String>()).unwrap();
    let error = run(home.path(), "run", &[], true, u64::MAX).unwrap_err().to_string();
    assert!(
        error.contains("ends after step 3, before the checkpoint of step 5") && error.contains("remove it")
    );
    std::fs::remove_file(&log).unwrap();
    let (part, _) = run(home.path(), "run", &[], true, 3).unwrap();
    assert_eq!(part.metrics.iter().map(|m| m.step).collect::<Vec<_>>(), [6, 7, 8]);
    let (rest, _) = run(home.path(), "run", &[], true, u64::MAX).unwrap();
    assert_eq!(rest.metrics.iter().map(|m| m.step).collect::<Vec<_>>(), (6..=12).collect::<Vec<_>>());
    assert_eq!(weights(home.path(), "whole"), weights(home.path(), "run"));
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
    let error = run(home.path(), "packed", &[], false, 1).unwrap_err().to_string();
    assert!(error.contains("has other things in it, such as pack.json"), "{error}");
    assert!(!home.path().join("packed/checkpoints").exists());
    // A person's own recipe is not overwritten.
    let mine = home.path().join("mine/recipe.toml");
    std::fs::create_dir(mine.parent().unwrap()).unwrap();
    std::fs::write(&mine, "# why\nsteps = 1\n").unwrap();
    let error = run(home.path(), "mine", &[], false, 1).unwrap_err().to_string();
    assert!(error.contains("recipe.toml with comments"), "{error}");
    assert!(std::fs::read_to_string(&mine).unwrap().starts_with("# why"));
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
    // What it advises can be done, and helps where only this batch is bad.
    assert!(error.contains("--set loss.on_leap=rewind and --resume"), "{error}");
    let advised = ["steps=200", "loss.leap=0", "checkpoint_every=20", "loss.on_leap=rewind"];
    let (part, notes) = run(home.path(), "stop", &advised, true, 1).unwrap();
    assert_eq!(part.step, *step / 20 * 20 + 1);
    assert!(notes.is_empty(), "{notes:?}");

    let rewind = ["steps=200", "loss.leap=0", "checkpoint_every=20", "loss.on_leap=rewind"];
    let error = run(home.path(), "rewind", &rewind, false, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("going back did not help three times"), "{error}");
    // The checkpoint is as it was.
    assert!(run(home.path(), "rewind", &rewind, true, 1).is_ok());
}

#[test]
fn a_token_that_the_model_does_not_know_is_named_with_its_document() {
    let home = home();
    let packed = home.path().join("packed");
    for entry in std::fs::read_dir(&packed).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().ends_with(".tokens") {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            // Tokens of the first document, behind the header.
            bytes[256..258].fill(0xFF);
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
    let error = run(home.path(), "run", &["steps=60"], false, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("packed #") && error.contains("has token 65535, and the model has 72"), "{error}");
}
