//! Learning from preferences held to transformers and PyTorch: which tokens count, and the losses and rewards of
//! twenty-four steps. `scripts/fixtures/preferences.py` made the expectations.

#[path = "made/team.rs"]
mod team;

use sai_decoder::Cpu;
use sai_trainer::{
    Base, Conversations, Error, Event, FinetuneRecipe, One, Options, Outcome, Place, Ranks, Rewards, finetune,
};
use serde::Deserialize;
use std::cell::Cell;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use team::together;

#[derive(Deserialize)]
struct Expected {
    rate: f64,
    clip: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    beta: f64,
    smoothing: f64,
    sft: f64,
    pairs: Vec<[Marked; 2]>,
    reference: Vec<[f64; 2]>,
    curve: Curve,
    smoothed: Curve,
}

#[derive(Deserialize)]
struct Marked {
    tokens: Vec<u32>,
    mask: Vec<u8>,
}

#[derive(Deserialize)]
struct Curve {
    losses: Vec<f64>,
    norms: Vec<f64>,
    rewards: Vec<[f64; 4]>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The number of a line.
fn number(place: Place) -> u64 {
    match place {
        Place::Line(n) | Place::Row(n) | Place::Document(n) => n,
    }
}

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(fixture("pairs/expected.json")).unwrap()).unwrap()
}

/// A recipe over the fixture's model and `data`.
fn recipe(data: &Path, set: &[&str]) -> FinetuneRecipe {
    let text = format!(
        "data = {:?}\ncontext = 100\nvalidation_share = 0\n[model]\nfrom = {:?}\n[dpo]\nbeta = 0.3\n",
        data.display().to_string(),
        fixture("sft").display().to_string()
    );
    let set: Vec<String> = set.iter().map(|&said| said.to_owned()).collect();
    FinetuneRecipe::parse(&text, Path::new("r.toml"), &set).unwrap()
}

fn read(recipe: &FinetuneRecipe) -> Result<Conversations, Error> {
    let base = Base::open(recipe)?;
    let go_on = &mut |_, _| ControlFlow::Continue(());
    match Conversations::read(recipe, &base.tokenizer, &base.template, 2, go_on)? {
        ControlFlow::Continue(read) => Ok(read),
        ControlFlow::Break(()) => panic!("nobody broke off"),
    }
}

/// Trains until `stop` says so, which hears of pairs that the reference knows and of steps made.
fn run_on(
    ranks: &dyn Ranks,
    out: &Path,
    recipe: &FinetuneRecipe,
    resume: bool,
    stop: &dyn Fn(u64, u64) -> bool,
) -> Result<Outcome, Error> {
    let (known, made) = (Cell::new(0), Cell::new(0));
    let options = Options {
        out: out.to_owned(),
        resume,
        memory_limit: None,
        peak: None,
        stop: &|| stop(known.get(), made.get()),
        ranks,
    };
    let on = &mut |event: Event<'_>| {
        match event {
            Event::Reference { done, .. } => known.set(done),
            Event::Step { metrics, .. } => made.set(metrics.step),
            _ => {}
        }
        Ok(())
    };
    let (base, pairs) = (Base::open(recipe)?, read(recipe)?);
    finetune(Cpu::new(1), recipe, Path::new("r.toml"), base, pairs, &options, on)
}

fn run(out: &Path, recipe: &FinetuneRecipe) -> Outcome {
    run_on(&One::default(), out, recipe, false, &|_, _| false).unwrap()
}

#[test]
fn what_counts_is_what_transformers_marks_after_the_prompt() {
    let pairs = read(&recipe(&fixture("pairs/pairs.jsonl"), &[])).unwrap();
    let expected = expected().pairs;
    let mut seen = 0;
    for example in pairs.examples().take(expected.len()) {
        let line = number(example.place);
        for (text, expected) in example.texts.iter().zip(&expected[line as usize - 1]) {
            let mut mask = vec![0; text.tokens.len()];
            text.answers.iter().for_each(|answer| mask[answer.clone()].fill(1));
            assert_eq!((text.tokens, &mask), (&expected.tokens[..], &expected.mask), "line {line}");
        }
        seen |= 1 << line;
    }
    assert_eq!(seen, 0b11110);
    let found = pairs.found();
    assert_eq!((found.conversations, found.broken, found.straddling), (4, 0, 0));
}

#[test]
fn losses_and_rewards_follow_pytorchs() {
    let home = tempfile::tempdir().unwrap();
    let e = expected();
    let set = [
        format!("optimizer.learning_rate={}", e.rate),
        format!("optimizer.beta1={}", e.beta1),
        format!("optimizer.beta2={}", e.beta2),
        format!("optimizer.eps={}", e.eps),
        format!("optimizer.clip={}", e.clip),
        format!("dpo.beta={}", e.beta),
        "batch_conversations=4".to_owned(),
        format!("epochs={}", e.curve.losses.len()),
        "schedule.kind=constant".to_owned(),
        "schedule.warmup_steps=0".to_owned(),
    ];
    let smoothed = [format!("dpo.label_smoothing={}", e.smoothing), format!("dpo.sft={}", e.sft)];
    let rest = vec!["context=60".to_owned(), "recompute=true".to_owned()];
    for (name, more, curve) in [
        ("plain", vec![], &e.curve),
        ("smoothed", smoothed.to_vec(), &e.smoothed),
        // A pass for each pair or two.
        ("in-parts", rest, &e.curve),
    ] {
        let set: Vec<&str> = set.iter().chain(&more).map(String::as_str).collect();
        let recipe = recipe(&fixture("pairs/pairs.jsonl"), &set);
        let outcome = run(&home.path().join(name), &recipe);
        assert_eq!(outcome.metrics.len(), curve.losses.len());
        for (i, m) in outcome.metrics.iter().enumerate() {
            assert!((m.loss - curve.losses[i]).abs() < 1e-3, "{name} {m:?}: PyTorch has {}", curve.losses[i]);
            assert!((m.grad_norm / curve.norms[i] - 1.0).abs() < 1e-2, "{name} {m:?}: {}", curve.norms[i]);
            let Rewards { chosen, rejected, margin, accuracy } = m.rewards.unwrap();
            for (got, want) in [chosen, rejected, margin].iter().zip(&curve.rewards[i]) {
                assert!((got - want).abs() < 5e-3, "{name} {m:?}: {:?}", curve.rewards[i]);
            }
            // At the first step nothing has grown.
            assert!(i == 0 || accuracy == curve.rewards[i][3], "{name} {m:?}: {:?}", curve.rewards[i]);
        }
    }
    let kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.path().join("plain/reference.json")).unwrap()).unwrap();
    for (got, want) in kept["sums"].as_array().unwrap().iter().zip(&e.reference) {
        for i in 0..2 {
            assert!((got[i].as_f64().unwrap() - want[i]).abs() < 1e-3, "{got} {want:?}");
        }
    }
    let page = std::fs::read_to_string(home.path().join("plain/report.html")).unwrap();
    assert!(page.contains("Rewards") && page.contains("told apart"), "{page}");
}

/// So many short pairs, each with its number in it.
fn many(folder: &Path, count: usize) -> PathBuf {
    let mut lines = String::new();
    for i in 0..count {
        let lang = if i % 3 == 0 { "ko" } else { "en" };
        let pair = serde_json::json!({
            "prompt": format!("{i}?"), "chosen": format!("{}", i * i), "rejected": format!("no {i}"), "lang": lang
        });
        let _ = writeln!(lines, "{pair}");
    }
    let path = folder.join("pairs.jsonl");
    std::fs::write(&path, lines).unwrap();
    path
}

const MANY: [&str; 8] = [
    "batch_conversations=8",
    "epochs=2",
    "validation_share=0.1",
    "checkpoint_every=3",
    "validate_every=5",
    "optimizer.learning_rate=1e-3",
    "micro_batch=2",
    "recompute=true",
];

#[test]
fn a_run_that_is_stopped_and_resumed_is_the_same_to_the_bit() {
    let home = tempfile::tempdir().unwrap();
    let data = many(home.path(), 60);
    for (name, lora, file) in
        [("full", None, "model.safetensors"), ("lora", Some("lora.rank=2"), "adapter_model.safetensors")]
    {
        let set: Vec<&str> = MANY.into_iter().chain(lora).collect();
        let recipe = recipe(&data, &set);
        let [whole, parts] = ["whole", "parts"].map(|run| home.path().join(format!("{name}-{run}")));
        let outcome = run(&whole, &recipe);
        let validated: Vec<_> = outcome.metrics.iter().flat_map(|m| &m.validation).collect();
        assert!(outcome.finished && validated.len() >= 4, "{:?}", outcome.metrics);
        assert!(
            validated.iter().all(|v| v.rewards.is_some_and(|r| r.accuracy <= 1.0) && v.bits_per_byte > 0.0)
        );
        let last = outcome.metrics.last().unwrap();
        assert!(last.loss < 0.68 && last.rewards.unwrap().margin > 0.0, "{last:?}");
        // First while the reference is asked, then after some steps.
        let stops: [&dyn Fn(u64, u64) -> bool; 4] = [
            &|known, _| known > 20,
            &|known, made| known > 20 && made == 0,
            &|_, made| made >= 4,
            &|_, _| false,
        ];
        for (i, stop) in stops.into_iter().enumerate() {
            let outcome = run_on(&One::default(), &parts, &recipe, i > 0, stop).unwrap();
            assert_eq!(outcome.step, [0, 0, 4, last.step][i]);
        }
        let bits = |run: &Path| {
            let newest = run.join(format!("checkpoints/step-{:09}", last.step));
            [file, "optimizer.safetensors"].map(|name| std::fs::read(newest.join(name)).unwrap())
        };
        assert!(bits(&whole) == bits(&parts), "{name}: the weights differ");
        let lines = |run: &Path| {
            let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines
                .map(|line| [&line["loss"], &line["rewards"], &line["validation"]].map(Clone::clone))
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&whole), lines(&parts));
    }
    // Of another model the reference is another.
    let mut other = recipe(&data, &MANY);
    let parts = home.path().join("other");
    run_on(&One::default(), &parts, &other, false, &|known, _| known > 20).unwrap();
    other.model.from = home.path().join("full-whole");
    let error = run_on(&One::default(), &parts, &other, true, &|_, _| false).unwrap_err().to_string();
    assert!(error.contains("reference.json: is of another model"), "{error}");
}

#[test]
fn several_ranks_have_the_losses_of_one() {
    let home = tempfile::tempdir().unwrap();
    let recipe = recipe(&many(home.path(), 40), &MANY);
    let one = run(&home.path().join("one"), &recipe);
    let out = home.path().join("three");
    // The first rank alone is told to stop, in the middle of the reference.
    let stopped = together(3, |rank| run_on(rank, &out, &recipe, false, &|known, _| known > 10).unwrap());
    assert!(stopped.iter().all(|outcome| !outcome.finished && outcome.step == 0));
    let three = together(3, |rank| run_on(rank, &out, &recipe, true, &|_, _| false).unwrap());
    assert_eq!(one.metrics.len(), three[0].metrics.len());
    for (a, b) in one.metrics.iter().zip(&three[0].metrics) {
        assert!(
            (a.loss - b.loss).abs() < 1e-5 && (a.grad_norm / b.grad_norm - 1.0).abs() < 1e-3,
            "{a:?} {b:?}"
        );
        let [a, b] = [a, b].map(|m| (m.rewards.unwrap(), m.validation.iter().map(|v| v.loss).sum::<f64>()));
        assert!((a.0.margin - b.0.margin).abs() < 1e-4 && (a.1 - b.1).abs() < 1e-4, "{a:?} {b:?}");
    }
}

#[test]
fn a_short_run_asks_the_reference_about_its_own_pairs_only() {
    let home = tempfile::tempdir().unwrap();
    let data = many(home.path(), 200);
    let pairs = |set: &[&str]| read(&recipe(&data, set)).unwrap();
    assert_eq!(pairs(&["steps=3", "batch_conversations=4"]).trained(), 12);
    assert_eq!(pairs(&["epochs=0.1", "batch_conversations=4"]).trained(), 20);
    assert_eq!(pairs(&["steps=100", "batch_conversations=4"]).trained(), 200);
    let twice = [format!("data=[{0:?}, {0:?}]", data.display().to_string())];
    let set: Vec<&str> =
        twice.iter().map(String::as_str).chain(["steps=1", "batch_conversations=1"]).collect();
    let one = pairs(&set);
    assert_eq!((one.trained(), one.examples().take(3).map(|e| e.place).collect::<Vec<_>>().len()), (1, 3));
    // The same pairs in the same order as of a longer run.
    let lines = |set: &[&str]| pairs(set).examples().take(12).map(|e| e.place).collect::<Vec<_>>();
    assert_eq!(lines(&["steps=3", "batch_conversations=4"]), lines(&["steps=40", "batch_conversations=4"]));
    let recipe = recipe(&data, &["steps=2", "batch_conversations=3"]);
    run(&home.path().join("run"), &recipe);
    let kept = std::fs::read_to_string(home.path().join("run/reference.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["sums"].as_array().unwrap().len(), 6);
}

#[test]
fn what_is_no_pair_is_counted_and_said() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pairs.jsonl");
    let long = "word ".repeat(60);
    let lines = [
        serde_json::json!({"prompt": "a", "chosen": "b", "rejected": "c"}).to_string(),
        "{\"prompt\": ".to_owned(),
        serde_json::json!({"prompt": "a", "chosen": "b", "rejected": "b"}).to_string(),
        serde_json::json!({"prompt": "a", "chosen": "b", "rejected": "<|im_end|>"}).to_string(),
        serde_json::json!({"prompt": long, "chosen": "b", "rejected": "c"}).to_string(),
        serde_json::json!({"prompt": "a", "chosen": "b", "rejected": long}).to_string(),
        // The second of the chosen answers does not fit.
        serde_json::json!({"chosen": [
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
            {"role": "user", "content": long}, {"role": "assistant", "content": "c"}],
            "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "d"}]})
        .to_string(),
        serde_json::json!({"messages": [{"role": "user", "content": "a"}]}).to_string(),
    ];
    std::fs::write(&data, lines.join("\n")).unwrap();
    let pairs = read(&recipe(&data, &[])).unwrap();
    let found = pairs.found();
    assert_eq!((found.conversations, found.cut, found.too_long, found.broken), (2, 1, 2, 4));
    let facts: Vec<(u64, &str)> = found.examples.iter().map(|b| (number(b.place), b.fact.as_str())).collect();
    assert!(facts[0].0 == 2 && facts[0].1.contains("EOF"), "{facts:?}");
    assert_eq!(facts[1], (3, "`chosen` and `rejected` say the same"));
    assert_eq!(facts[2], (4, "turn 2 spells the special token <|im_end|>"));
    assert_eq!(facts[3], (8, "has no `chosen`"));
    let error = |set: &[&str]| read(&recipe(&data, set)).map(|_| ()).unwrap_err().to_string();
    assert!(error(&["strict=true"]).contains("pairs.jsonl: line 2: EOF"), "{}", error(&["strict=true"]));
    assert!(error(&["context=3"]).contains("no pair"), "{}", error(&["context=3"]));
}

#[test]
fn a_recipe_that_contradicts_its_preferences_is_refused() {
    let parse = |more: &str| {
        let text = format!("data = 'a'\n{more}\n[model]\nfrom = 'b'\n");
        FinetuneRecipe::parse(&text, Path::new("r.toml"), &[]).map_err(|e| e.to_string())
    };
    let plain = parse("[dpo]").unwrap();
    assert_eq!((plain.optimizer.learning_rate, plain.rows()), (1e-6, 2 * 2048));
    assert_eq!(parse("[dpo]\n[lora]").unwrap().optimizer.learning_rate, 1e-5);
    assert_eq!(FinetuneRecipe::parse(&plain.to_toml().unwrap(), Path::new("r.toml"), &[]).unwrap(), plain);
    let refused = |more: &str| parse(more).unwrap_err();
    assert!(refused("[dpo]\nbeat = 1").contains("line 3: `dpo.beat` is no key of a recipe; `dpo.beta` is"));
    assert!(refused("[dpo]\nbeta = 0").contains("`dpo.beta` is 0"));
    assert!(refused("[dpo]\nlabel_smoothing = 0.5").contains("`dpo.label_smoothing` is 0.5"));
    assert!(refused("[dpo]\n[loss]\nz_loss = 1e-4").contains("[dpo] knows no `loss.z_loss`"));
    let text = "data = { path = 'a', form = 'alpaca' }\n[dpo]\n[model]\nfrom = 'b'\n";
    let error = FinetuneRecipe::parse(text, Path::new("r.toml"), &[]).unwrap_err().to_string();
    assert!(error.contains("a `form` is of conversations"), "{error}");
}
