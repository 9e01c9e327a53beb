//! A model from nothing, small enough to be made in seconds: what is done again, what is not, and what is gone on with.

use sai_make::{Event, MakeRecipe, Manifest, Options, Reason, Stage, StageAction, make, plan};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A recipe beside its texts, of which there are a few hundred lines.
fn recipe(home: &Path) -> String {
    let cities =
        [("한국", "서울"), ("일본", "도쿄"), ("France", "Paris"), ("Peru", "Lima"), ("Kenya", "Nairobi")];
    let (mut documents, mut conversations) = (String::new(), String::new());
    for i in 0..600 {
        let (country, city) = cities[i % 5];
        let lang = if i % 5 < 2 { "ko" } else { "en" };
        let text = format!("{i}: {country}, {city}. {city} {} {country}.", i * i % 97);
        documents +=
            &format!("{{\"text\":\"{text}\",\"lang\":\"{lang}\",\"source\":\"made\",\"license\":\"CC0\"}}\n");
        conversations += &format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"{i} {country}?\"}},\
             {{\"role\":\"assistant\",\"content\":\"{city}.\"}}],\"lang\":\"{lang}\",\"source\":\"made\",\"license\":\"CC0\"}}\n"
        );
    }
    fs::write(home.join("documents.jsonl"), documents).unwrap();
    fs::write(home.join("conversations.jsonl"), conversations).unwrap();
    r#"
name = "tiny"
seed = 7
[sample]
held_out = 0.1
documents = [{ input = ["documents.jsonl"] }]
conversations = [{ input = ["conversations.jsonl"] }]
[tokenizer]
vocab_size = 300
[pretrain]
steps = 12
context = 64
batch_tokens = 256
checkpoint_every = 3
[pretrain.model]
vocab_size = 320
hidden_size = 32
intermediate_size = 64
num_layers = 1
num_heads = 2
[finetune]
steps = 6
context = 128
checkpoint_every = 2
[evaluate]
ask = ["1 France?", ["2 Peru?", "3 Kenya?"]]
answer_tokens = 8
[card]
title = "Tiny"
languages = ["ko", "en"]
license = "cc0-1.0"
limits = "It knows nothing."
"#
    .to_owned()
}

/// What was heard of a making.
#[derive(Default)]
struct Heard {
    done: Vec<Stage>,
    kept: Vec<Stage>,
    reasons: Vec<(Stage, String)>,
}

struct Making<'m> {
    home: &'m Path,
    out: &'m str,
    overrides: &'m [&'m str],
    from: Option<Stage>,
    until: Option<Stage>,
    /// After how many steps of progress to stop.
    stop_after: u64,
}

impl Making<'_> {
    fn follow(&self) -> (bool, Heard) {
        let (recipe, stopped, so_far) = (self.recipe(), AtomicBool::new(false), AtomicU64::new(0));
        let mut heard = Heard::default();
        let stop = || stopped.load(Ordering::Relaxed);
        let finished = make(&recipe, &self.options(&stop), &mut |event| match event {
            Event::Done { stage, .. } => heard.done.push(stage),
            Event::Kept { stage, .. } => heard.kept.push(stage),
            Event::Begins { stage, reasons } => {
                heard.reasons.extend(reasons.iter().map(|reason| (stage, reason.to_string())));
            }
            Event::Progress { .. } => {
                let enough = so_far.fetch_add(1, Ordering::Relaxed) + 1 >= self.stop_after;
                stopped.fetch_or(enough, Ordering::Relaxed);
            }
            _ => {}
        });
        (finished.unwrap(), heard)
    }

    fn recipe(&self) -> MakeRecipe {
        let path = self.home.join("tiny.toml");
        let overrides: Vec<String> = self.overrides.iter().map(|said| (*said).to_owned()).collect();
        MakeRecipe::open(&path, &overrides).unwrap()
    }

    fn options<'o>(&self, stop: &'o (dyn Fn() -> bool + Sync)) -> Options<'o> {
        Options {
            out: self.home.join(self.out),
            from: self.from,
            until: self.until,
            threads: 2,
            memory: None,
            judge: None,
            machine: vec![("Processor".to_owned(), "of a test".to_owned())],
            stop,
        }
    }
}

/// The stages of a recipe that names no judge.
fn without_judge() -> Vec<Stage> {
    Stage::ALL.into_iter().filter(|&stage| stage != Stage::Judge).collect()
}

#[test]
fn a_model_is_made_once_and_only_what_changed_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.toml"), recipe(home.path())).unwrap();
    let making = Making {
        home: home.path(),
        out: "out",
        overrides: &[],
        from: None,
        until: None,
        stop_after: u64::MAX,
    };
    let out = home.path().join("out");

    // Before there is anything, everything is planned and nothing written.
    let planned = plan(&making.recipe(), &making.options(&|| false)).unwrap();
    assert!(planned.iter().all(|one| one.what == StageAction::Runs(vec![Reason::New])), "{planned:?}");
    assert!(
        planned.iter().all(|one| one.time.is_some() && one.disk.is_some() != (one.stage == Stage::Evaluate))
    );
    assert!(!out.exists());

    let (finished, heard) = making.follow();
    assert!(finished);
    assert_eq!(heard.done, without_judge());
    for name in [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tiny-f16.gguf",
        "tiny-q8_0.gguf",
        "README.md",
        "report.html",
        "manifest.json",
        "stages/pretrain/metrics.jsonl",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    for part in [
        "language:\n- ko\n- en\n",
        "license: cc0-1.0",
        "# Tiny",
        "| made | ko | CC0 | documents |",
        "It knows nothing.",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.matches("<svg").count() >= 8 && report.contains("of a test") && !report.contains("src="));

    // Again, nothing is done; and a plan says so.
    let (finished, heard) = making.follow();
    assert!(finished && heard.done.is_empty() && heard.kept == without_judge());
    let planned = plan(&making.recipe(), &making.options(&|| false)).unwrap();
    assert!(planned.iter().all(|one| one.what == StageAction::Kept), "{planned:?}");

    // Another type of quantisation changes what follows from it, and nothing else.
    let other = Making { overrides: &["quantize.type=q4_0"], ..making };
    let weights = fs::read(out.join("model.safetensors")).unwrap();
    let (_, heard) = other.follow();
    assert_eq!(heard.done, [Stage::Quantize, Stage::Evaluate, Stage::Card]);
    assert!(heard.reasons.contains(&(Stage::Quantize, "settings changed: type q8_0 → q4_0".to_owned())));
    assert!(out.join("tiny-q4_0.gguf").is_file() && !out.join("tiny-q8_0.gguf").exists());
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), weights);

    // More steps are another training; how often it saves is not.
    let often = Making { overrides: &["quantize.type=q4_0", "pretrain.keep_last=1"], ..making };
    assert_eq!(often.follow().1.done, [Stage::Card]);
    let longer = Making {
        overrides: &["quantize.type=q4_0", "pretrain.steps=14"],
        until: Some(Stage::Pretrain),
        ..making
    };
    let (_, heard) = longer.follow();
    assert_eq!((heard.done, heard.kept), (vec![Stage::Pretrain], Stage::ALL[..3].to_vec()));
    assert!(heard.reasons.contains(&(Stage::Pretrain, "settings changed: steps 12 → 14".to_owned())));

    // A file that is gone is made again, and a stage that is asked for; the same bytes change nothing after it.
    fs::remove_file(out.join("stages/tokenizer/tokenizer.json")).unwrap();
    let (_, heard) = longer.follow();
    assert_eq!(heard.done, [Stage::Tokenizer]);
    let asked = Making { from: Some(Stage::Pack), ..longer };
    let (_, heard) = asked.follow();
    assert_eq!(heard.done, [Stage::Pack]);

    // A touched file is the same file; a changed one is not.
    let documents = home.path().join("documents.jsonl");
    let text = fs::read_to_string(&documents).unwrap();
    fs::write(&documents, &text).unwrap();
    assert!(longer.follow().1.done.is_empty());
    fs::write(&documents, text.replacen("서울", "Seoul", 1)).unwrap();
    let (_, heard) = Making { until: Some(Stage::Sample), ..making }.follow();
    assert_eq!(heard.done, [Stage::Sample]);
    assert!(
        heard.reasons.iter().any(|(_, reason)| reason.starts_with("inputs changed: ")),
        "{:?}",
        heard.reasons
    );
}

#[test]
fn what_was_stopped_goes_on_to_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.toml"), recipe(home.path())).unwrap();
    let whole = Making {
        home: home.path(),
        out: "whole",
        overrides: &[],
        from: None,
        until: None,
        stop_after: u64::MAX,
    };
    assert!(whole.follow().0);
    // Stopped after every few steps, over and over; a step is only lost where it was not saved.
    let mut tries = 0;
    // What takes no more than seconds is begun anew, so that more is done each time.
    while !(Making { out: "pieces", stop_after: 5 + tries * tries / 2, ..whole }).follow().0 {
        tries += 1;
        assert!(tries < 100);
    }
    assert!(tries >= 5, "{tries}");
    for name in [
        "model.safetensors",
        "tiny-f16.gguf",
        "tiny-q8_0.gguf",
        "stages/evaluate/evaluation.json",
        "README.md",
    ] {
        let [a, b] = ["whole", "pieces"].map(|out| fs::read(home.path().join(out).join(name)).unwrap());
        assert!(a == b, "{name}");
    }
}

#[test]
fn a_strangers_folder_and_stages_that_are_not_there_are_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.toml"), recipe(home.path())).unwrap();
    let making =
        Making { home: home.path(), out: ".", overrides: &[], from: None, until: None, stop_after: u64::MAX };
    let error = make(&making.recipe(), &making.options(&|| false), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("none is a manifest of `sai make`"), "{error}");
    let late = Making { out: "out", from: Some(Stage::Finetune), ..making };
    let error = make(&late.recipe(), &late.options(&|| false), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("sample has not been done"), "{error}");
}

#[test]
fn without_held_out_text_the_card_says_so_and_publishes_no_figures() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.toml"), recipe(home.path())).unwrap();
    let making = Making {
        home: home.path(),
        out: "out",
        overrides: &["sample.held_out=0.0", "pretrain.steps=2", "finetune.steps=2"],
        from: None,
        until: None,
        stop_after: u64::MAX,
    };
    let (finished, heard) = making.follow();
    assert!(finished);
    assert_eq!(heard.done, without_judge());
    let out = home.path().join("out");
    for name in ["README.md", "report.html"] {
        let text = fs::read_to_string(out.join(name)).unwrap();
        assert!(text.contains("No text was held out"), "{name}: {text}");
        let figures = text.contains("| bits a byte |") || text.contains("<th>bits a byte");
        assert!(!figures, "{name}");
    }
    assert!(fs::read_to_string(out.join("README.md")).unwrap().contains("2 Peru?"));
    // And what is made is kept.
    assert!(making.follow().1.done.is_empty());
}

#[test]
fn documents_in_the_place_of_conversations_end_the_making_at_its_first_stage() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.toml"), recipe(home.path())).unwrap();
    fs::copy(home.path().join("documents.jsonl"), home.path().join("conversations.jsonl")).unwrap();
    let making = Making {
        home: home.path(),
        out: "out",
        overrides: &[],
        from: None,
        until: None,
        stop_after: u64::MAX,
    };
    let error = make(&making.recipe(), &making.options(&|| false), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("conversations.jsonl: line 1: has `text`"), "{error}");
}

#[test]
fn a_sample_of_which_nothing_is_left_ends_the_making_at_its_first_stage() {
    let home = tempfile::tempdir().unwrap();
    let making = Making {
        home: home.path(),
        out: "out",
        overrides: &[],
        from: None,
        until: None,
        stop_after: u64::MAX,
    };
    for (from, to, kind) in [
        ("\"documents.jsonl\"] }", "\"documents.jsonl\"], clean = { shortest = 10000 } }", "documents"),
        ("\"conversations.jsonl\"] }", "\"conversations.jsonl\"], take = 0 }", "conversations"),
    ] {
        fs::write(home.path().join("tiny.toml"), recipe(home.path()).replacen(from, to, 1)).unwrap();
        let error = make(&making.recipe(), &making.options(&|| false), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(&format!("tiny.toml: [sample] takes no {kind} to learn from")), "{error}");
    }
}

#[test]
fn tasks_of_a_recipe_are_asked_of_each_model_and_stand_in_the_card() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("evals");
    fs::create_dir(&data).unwrap();
    let row = |i: usize, premise: &str, label: usize| {
        format!(
            "{{\"premise\": \"{premise}\", \"question\": \"{}\", \"alternative_1\": \"문이 열렸다.\", \
             \"alternative_2\": \"꽃이 피었다.\", \"label\": {label}}}\n",
            if i.is_multiple_of(2) { "결과" } else { "원인" }
        )
    };
    let write = |last: &str| {
        let rows = [row(0, "바람이 불었다.", 0), row(1, "봄이 왔다.", 1), row(2, last, 0)];
        fs::write(data.join("kobest_copa.test.jsonl"), rows.concat()).unwrap();
    };
    write("열쇠를 돌렸다.");
    let with = |line: &str| {
        let text =
            recipe(home.path()).replacen("answer_tokens = 8\n", &format!("answer_tokens = 8\n{line}\n"), 1);
        fs::write(home.path().join("tiny.toml"), text).unwrap();
    };
    with("tasks = [\"kobest_copa\"]\ndata = \"evals\"\nprofile = \"main\"");
    let making = Making {
        home: home.path(),
        out: "out",
        overrides: &[],
        from: None,
        until: None,
        stop_after: u64::MAX,
    };
    assert!(making.follow().0);
    let card = fs::read_to_string(home.path().join("out/README.md")).unwrap();
    assert!(card.contains("lm-evaluation-harness (0.4.13)"), "{card}");
    assert!(card.contains("| Korean (macro-F1) | pretrained | fine-tuned | q8_0 |"), "{card}");
    assert!(card.contains("\n| kobest_copa | 0."), "{card}");
    let scores = home.path().join("out/stages/evaluate/scores.jsonl");
    // Of three models, the third with other weights.
    assert_eq!(fs::read_to_string(&scores).unwrap().lines().count(), 18);
    // Other data is asked, and nothing before it is done again.
    let before = fs::read_to_string(&scores).unwrap();
    write("열쇠를 찾았다.");
    let (_, heard) = making.follow();
    assert_eq!(heard.done, [Stage::Evaluate, Stage::Card]);
    assert_ne!(fs::read_to_string(&scores).unwrap(), before);

    for (line, fact) in [
        ("tasks = [\"kobest\"]", "`evaluate.tasks` wants `evaluate.data`"),
        ("data = \"evals\"", "name the tasks with `evaluate.tasks`"),
        ("tasks = [\"kobset\"]\ndata = \"evals\"", "no task or group `kobset`"),
        ("tasks = [\"kobest\"]\ndata = \"evals\"\nprofile = \"master\"", "`polyglot` or `main`"),
    ] {
        with(line);
        let error =
            MakeRecipe::open(&home.path().join("tiny.toml"), &[]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(fact) && error.contains("tiny.toml"), "{error}");
    }
}

#[test]
fn no_text_is_not_predicted_perfectly() {
    let home = tempfile::tempdir().unwrap();
    let empty = home.path().join("empty.jsonl");
    let options = |bytes| sai_make::EvaluationOptions {
        models: Vec::new(),
        texts: vec![("ko".to_owned(), vec![empty.clone()])],
        reading: sai_documents::Options::default(),
        bytes,
        ask: Vec::new(),
        answer_tokens: 8,
        threads: 1,
    };
    for (lines, bytes) in
        [("", 1000), ("\n\n", 1000), ("{\"text\": \"\"}\n", 1000), ("{\"text\": \"a\"}\n", 0)]
    {
        fs::write(&empty, lines).unwrap();
        let found = sai_make::evaluate(&options(bytes), &mut |_, _| std::ops::ControlFlow::Continue(()));
        let error = found.unwrap_err().to_string();
        assert!(error.contains("empty.jsonl: there is no text to read for ko"), "{lines:?}: {error}");
    }
}

/// The files of stages that are the same on every machine. Where this fails because a stage makes other files of the same
/// texts, raise its number in `Stage::code`, so that models that were made before are made anew; then put the new sums
/// here.
#[test]
fn other_files_of_the_same_texts_have_another_code() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.toml"), recipe(home.path())).unwrap();
    let making = Making {
        home: home.path(),
        out: "out",
        overrides: &[],
        from: None,
        until: Some(Stage::Tokenizer),
        stop_after: u64::MAX,
    };
    assert!(making.follow().0);
    let manifest = Manifest::open(&home.path().join("out")).unwrap().unwrap();
    let found =
        [(Stage::Sample, "held-out/ko.jsonl"), (Stage::Tokenizer, "tokenizer.json")].map(|(stage, name)| {
            let sum = &manifest.stages[&stage].outputs[&format!("stages/{stage}/{name}")].sha256;
            (stage, stage.code(), sum[..16].to_owned())
        });
    let known = [(Stage::Sample, 1, "b8a26872eac3862c"), (Stage::Tokenizer, 1, "135f5298625a33d6")];
    assert_eq!(found, known.map(|(stage, code, sum)| (stage, code, sum.to_owned())));
}
