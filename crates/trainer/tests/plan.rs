//! Plans, held against a training that others published, one that was measured, and runs that are made.

use sai_trainer::{
    Accelerator, Base, BatchUnit, Conversations, FinetuneRecipe, Fleet, Plan, Precision, Recipe, measured,
    plan, plan_finetune,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn recipe(name: &str, overrides: &[&str]) -> (Recipe, PathBuf) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(name);
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    (Recipe::open(&path, &overrides).unwrap(), path)
}

fn a100s(count: usize, share: f64) -> Fleet {
    let device = Accelerator::named("a100-80g").unwrap();
    Fleet { device, count, precision: Precision::Bf16, share, price: Some(2.0) }
}

#[test]
fn the_large_recipe_takes_what_42dot_says() {
    let (recipe, path) = recipe("plm-1.3b.toml", &[]);
    let plan = |share| plan(&recipe, &path, a100s(256, share)).unwrap();
    // 1.4T tokens in 49,152 hours of A100 are 7,912 tokens a second and device.
    let found: Plan = plan(0.24);
    assert!((found.device_hours / 49_152.0 - 1.0).abs() < 0.03, "{}", found.device_hours);
    assert!((found.tokens_per_second / 256.0 / 7_912.0 - 1.0).abs() < 0.03, "{}", found.tokens_per_second);
    assert_eq!(found.cost, Some(2.0 * found.device_hours));
    // Their hours exactly are 24 % of the peak to within a percent of it.
    let share = 0.24 * found.device_hours / 49_152.0;
    assert!((share - 0.24).abs() < 0.01, "{share}");
    assert!((plan(share).seconds / 86_400.0 - 8.0).abs() < 1e-3);

    let p = found.parameters;
    let sai_trainer::Model::Shape(shape) = &recipe.model else { panic!("a shape") };
    assert_eq!(p.total, shape.config(recipe.context, &path).unwrap().parameters());
    assert_eq!(p.embedding + p.head + p.attention + p.feed_forward + p.norms, p.total);
    assert_eq!((p.embedding, p.head, p.norms), (50_304 * 2048, 50_304 * 2048, 49 * 2048));
    // Six for each weight that multiplies, and PaLM's 12 · layers · width · tokens for attention, half of it causal.
    let weights = (p.total - p.embedding - p.norms) as f64;
    assert!((found.operations_per_token - found.attention_per_token - 6.0 * weights).abs() < 1.0);
    assert!((found.attention_per_token / (12.0 * 24.0 * 2048.0 * 4096.0 / 2.0) - 1.0).abs() < 1e-3);
}

#[test]
fn memory_is_shared_out_as_zero_does() {
    let (recipe, path) = recipe("plm-1.3b.toml", &[]);
    let found = plan(&recipe, &path, a100s(64, 0.4)).unwrap();
    let (n, [none, one, two, three]) = (found.parameters.total as f64, found.memory);
    // Figure 1 of the paper: 16 bytes a parameter, 4 and 12 parts in 64, 2 and 14, 16.
    let states = |m: sai_trainer::Sharded| (m.kept - found.activations) as f64 / n;
    for (memory, bytes) in
        [(none, 16.0), (one, 4.0 + 12.0 / 64.0), (two, 2.0 + 14.0 / 64.0), (three, 16.0 / 64.0)]
    {
        assert!((states(memory) - bytes).abs() < 1e-6, "{memory:?}");
    }
    assert!(found.activations_recomputed * 4 < found.activations);
    assert_eq!(one.kept - one.recomputed, found.activations - found.activations_recomputed);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (recipe, path) = recipe("20m.toml", &[]);
    let refused = |fleet| plan(&recipe, &path, fleet).unwrap_err().to_string();
    assert!(refused(a100s(33, 0.4)).contains("a step has 32 sequences of 512 tokens, which 33 devices"));
    assert!(refused(a100s(0, 0.4)).contains("0 devices"));
    for share in [0.0, 1.1, f64::NAN] {
        assert!(refused(a100s(1, share)).contains("of the peak"));
    }
    assert!(refused(Fleet { price: Some(f64::NAN), ..a100s(1, 0.4) }).contains("price"));
    let mut fleet = a100s(1, 0.4);
    fleet.device.bf16_flops = 0.0;
    assert!(refused(fleet).contains("no peak"));
    // Three devices for 32 sequences wait for the one that has eleven.
    let uneven = plan(&recipe, &path, a100s(3, 0.4)).unwrap();
    let even = plan(&recipe, &path, a100s(1, 0.4)).unwrap();
    assert_eq!(uneven.sequences_per_device, 11);
    assert!((uneven.tokens_per_second / even.tokens_per_second - 32.0 / 11.0).abs() < 1e-9);
}

/// `metrics.jsonl` of a run of the 20M recipe on two cores whose peak was measured in it.
#[test]
fn a_plan_at_the_share_of_a_run_has_its_speed() {
    let (recipe, path) = recipe("20m.toml", &[]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-20m");
    let run = measured(&folder).unwrap();
    let text = std::fs::read_to_string(folder.join("peak.json")).unwrap();
    let f32_flops = serde_json::from_str::<serde_json::Value>(&text).unwrap()["f32_flops"].as_f64().unwrap();
    let device = Accelerator { name: "cpu".to_owned(), bf16_flops: 0.0, f32_flops, memory: 1 << 34 };
    let fleet = Fleet { device, count: 1, precision: Precision::F32, share: run.peak_share, price: None };
    let found = plan(&recipe, &path, fleet).unwrap();
    // Its documents are shorter than its sequences, which a plan cannot know.
    let ratio = found.tokens_per_second / run.tokens_per_second;
    assert!((0.93..1.03).contains(&ratio), "{ratio}");
}

#[test]
fn a_run_without_a_share_says_so() {
    let home = tempfile::tempdir().unwrap();
    assert!(measured(home.path()).unwrap_err().to_string().contains("metrics.jsonl: cannot read"));
    std::fs::write(home.path().join("metrics.jsonl"), "{\"step\": 1}\n").unwrap();
    assert!(measured(home.path()).unwrap_err().to_string().contains("share of the peak"));
}

/// Pairs and an adapter, from their lengths.
#[test]
fn a_fine_tuning_is_planned_from_what_it_reads() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = format!(
        "data = {:?}\nepochs = 3\ncontext = 100\nbatch_conversations = 2\nvalidation_share = 0\n[model]\nfrom = {:?}\n",
        fixtures.join("pairs/pairs.jsonl").display().to_string(),
        fixtures.join("sft").display().to_string()
    );
    let found = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|&said| said.to_owned()).collect();
        let recipe = FinetuneRecipe::parse(&text, Path::new("r.toml"), &set).unwrap();
        let base = Base::open(&recipe).unwrap();
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let read = Conversations::read(&recipe, &base.tokenizer, &base.template, 1, go_on).unwrap();
        let ControlFlow::Continue(read) = read else { panic!("nobody broke off") };
        let rows: usize =
            read.examples().take(4).flat_map(|e| e.texts).map(|text| text.tokens.len() - 1).sum();
        (plan_finetune(&recipe, Path::new("r.toml"), &base.config, &read, a100s(1, 0.4)).unwrap(), rows)
    };
    let (full, rows) = found(&["dpo.beta=0.1"]);
    assert_eq!((full.unit, full.sequences, full.steps), (BatchUnit::Pairs, 2, 6));
    assert!((full.tokens as f64 / (3 * rows) as f64 - 1.0).abs() < 0.02, "{full:?}");
    // A third of an epoch's time.
    let epoch = 2.0 * full.step_seconds;
    assert!((full.reference_seconds.unwrap() / (epoch / 3.0) - 1.0).abs() < 1e-6, "{full:?}");
    assert_eq!(full.trained, full.parameters.total);
    let (adapter, _) = found(&["dpo.beta=0.1", "lora.rank=2"]);
    assert!(adapter.trained < full.trained && adapter.memory[0].kept < full.memory[0].kept);
    assert!((adapter.step_seconds / full.step_seconds - 2.0 / 3.0).abs() < 1e-9);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let meant = |name: &str| FinetuneRecipe::is_meant(&path.join(name), &[]).unwrap();
    assert!(meant("dpo-20m.toml") && meant("sft-1.3b.toml") && !meant("20m.toml") && !meant("plm-1.3b.toml"));
}
