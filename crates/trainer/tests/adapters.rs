//! Fine-tuning of an adapter: stopped and resumed to the bit, and saved as `peft` has it.

#[path = "made/team.rs"]
mod team;

use sai_decoder::{Config, Cpu, PeftAdapter, Target, merge};
use sai_trainer::{
    Base, Conversations, Error, Event, FinetuneRecipe, One, Options, Outcome, Ranks, finetune,
};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sft")
}

fn recipe(lora: &str) -> FinetuneRecipe {
    recipe_from(lora, &fixture())
}

fn recipe_from(lora: &str, from: &Path) -> FinetuneRecipe {
    let text = format!(
        "data = {:?}\ncontext = 100\nvalidation_share = 0\nepochs = 6\nbatch_conversations = 2\n\
         checkpoint_every = 3\n{lora}\n[model]\nfrom = {:?}\n",
        fixture().join("chat.jsonl").display().to_string(),
        from.display().to_string()
    );
    FinetuneRecipe::parse(&text, Path::new("r.toml"), &["optimizer.learning_rate=2e-2".to_owned()]).unwrap()
}

/// Trains until so many steps are made.
fn run(out: &Path, recipe: &FinetuneRecipe, resume: bool, stop: u64) -> Outcome {
    run_on(&One::default(), out, recipe, resume, stop).unwrap()
}

/// One rank's part of it.
fn run_on(
    ranks: &dyn Ranks,
    out: &Path,
    recipe: &FinetuneRecipe,
    resume: bool,
    stop: u64,
) -> Result<Outcome, Error> {
    let base = Base::open(recipe).unwrap();
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let read = Conversations::read(recipe, &base.tokenizer, &base.template, 1, go_on).unwrap();
    let ControlFlow::Continue(conversations) = read else { panic!("nobody broke off") };
    let made = Cell::new(0);
    let options = Options {
        out: out.to_owned(),
        resume,
        memory_limit: None,
        peak: None,
        stop: &|| made.get() >= stop,
        ranks,
    };
    finetune(Cpu::new(2), recipe, Path::new("r.toml"), base, conversations, &options, &mut |event| {
        if let Event::Step { metrics, .. } = event {
            made.set(metrics.step);
        }
        Ok(())
    })
}

#[test]
fn an_adapter_goes_on_beside_the_weights_that_it_was_trained_for() {
    let home = tempfile::tempdir().unwrap();
    let from = home.path().join("base");
    std::fs::create_dir(&from).unwrap();
    for entry in std::fs::read_dir(fixture()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), from.join(entry.file_name())).unwrap();
    }
    let (recipe, out) = (recipe_from("[lora]\nrank = 4", &from), home.path().join("run"));
    run(&out, &recipe, false, 4);
    run(&out, &recipe, true, 5);
    let weights = from.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let error = run_on(&One::default(), &out, &recipe, true, 6).unwrap_err().to_string();
    assert!(error.contains("began from another model than `model.from` is now"), "{error}");
}

#[test]
fn an_adapter_that_is_stopped_and_resumed_is_the_same_to_the_bit() {
    let home = tempfile::tempdir().unwrap();
    let recipe = recipe("[lora]\nrank = 4\ntargets = [\"v_proj\", \"q_proj\", \"down_proj\"]");
    let lora = recipe.lora.clone().unwrap();
    assert_eq!(lora.targets, [Target::Query, Target::Value, Target::Down]);
    assert_eq!((lora.rank, lora.alpha), (4, 8.0));
    let whole = run(&home.path().join("whole"), &recipe, false, u64::MAX);
    let (first, last) = (&whole.metrics[0], &whole.metrics[whole.metrics.len() - 1]);
    assert!(whole.finished && last.loss < first.loss - 0.1, "{first:?} {last:?}");
    for (resume, stop) in [(false, 4), (true, 5), (true, u64::MAX)] {
        run(&home.path().join("parts"), &recipe, resume, stop);
    }
    let newest = |run: &str| home.path().join(run).join(format!("checkpoints/step-{:09}", whole.step));
    for name in ["adapter_model.safetensors", "optimizer.safetensors"] {
        let read = |run: &str| std::fs::read(newest(run).join(name)).unwrap();
        assert!(read("whole") == read("parts"), "{name} differs");
    }
    let saved = newest("whole");
    assert!(!saved.join("model.safetensors").exists() && saved.join("tokenizer.json").is_file());

    // What was saved goes into the model that it was trained for.
    let adapter = PeftAdapter::open(&saved).unwrap();
    assert_eq!(adapter.base.as_deref(), fixture().to_str());
    let (container, config) = Config::open(&fixture()).unwrap();
    assert_eq!(adapter.changes.len(), 3 * config.num_layers);
    for converted in merge(&config, container.tensors(), &adapter, None).unwrap() {
        let before = container.tensors().get(&converted.spec.name).unwrap();
        let changed = adapter.changes.iter().any(|change| change.weight == converted.spec.name);
        assert_eq!(converted.tensor().unwrap().data != before.data, changed, "{}", converted.spec.name);
    }
}

#[test]
fn several_ranks_train_the_adapter_of_one() {
    let home = tempfile::tempdir().unwrap();
    let recipe = recipe("[lora]\nrank = 4");
    let one = run(&home.path().join("one"), &recipe, false, u64::MAX);
    // Of three, one has none of a step's two conversations.
    for size in [2, 3] {
        let out = home.path().join(size.to_string());
        let found = team::together(size, |rank| run_on(rank, &out, &recipe, false, u64::MAX).unwrap());
        assert_eq!(found[0].metrics.len(), one.metrics.len());
        for (a, b) in one.metrics.iter().zip(&found[0].metrics) {
            assert!((a.loss - b.loss).abs() < 1e-4 && a.trained == b.trained, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_recipe_says_an_adapter_whole_or_is_refused() {
    let every = recipe("[lora]");
    let lora = every.lora.clone().unwrap();
    assert_eq!((lora.rank, lora.alpha, lora.targets), (16, 32.0, Target::ALL.to_vec()));
    let text = every.to_toml().unwrap();
    assert_eq!(FinetuneRecipe::parse(&text, Path::new("r.toml"), &[]).unwrap(), every);
    let refused = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|&said| said.to_owned()).collect();
        FinetuneRecipe::parse(&text, Path::new("r.toml"), &set).unwrap_err().to_string()
    };
    assert!(refused(&["lora.dropout=0.1"]).contains("`lora.dropout` is no key"));
    assert!(refused(&["lora.rank=0"]).contains("`lora.rank`"));
    assert!(refused(&["lora.alpha=-1"]).contains("`lora.alpha`"));
    assert!(refused(&["lora.targets=[]"]).contains("`lora.targets` is empty"));
    assert!(refused(&["lora.targets=['c_attn']"]).contains("q_proj"));
    assert!(refused(&["samples=['hello']"]).contains("leave `samples` out"));
}
