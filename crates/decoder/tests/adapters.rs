//! Adapters against the `peft` library: gradients, steps, the folder, and what is merged.
//! `scripts/fixtures/adapters.py` made the expectations.

use sai_decoder::training::{AdamW, Memory, Model, Moments, Packed, Pass, Recompute};
use sai_decoder::{Config, Cpu, Error, Lora, PeftAdapter, Target, merge};
use sai_formats::{Container, DType, safetensors};
use serde::Deserialize;
use std::ops::Range;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn json<T: for<'de> Deserialize<'de>>(path: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(folder(path)).unwrap()).unwrap()
}

fn open(base: &str) -> (Container, Config) {
    Config::open(&folder(&format!("training/{base}"))).unwrap()
}

/// A model with an adapter, whose values are those of a folder.
fn adapted(base: &str, adapter: &str, lora: Lora, threads: usize) -> Model<Cpu> {
    let (container, config) = open(base);
    let mut model = Model::adapt(Cpu::new(threads), config, container.tensors(), lora, 1).unwrap();
    let values =
        safetensors::open(&folder(&format!("adapters/{adapter}/adapter_model.safetensors"))).unwrap();
    let Model { device, adapter, .. } = &mut model;
    adapter.as_mut().unwrap().load(device, &values).unwrap();
    model
}

fn every() -> Lora {
    Lora { rank: 3, alpha: 5.0, targets: Target::ALL.to_vec() }
}

fn documents(lengths: &[usize]) -> Vec<Range<usize>> {
    lengths
        .iter()
        .scan(0, |start, n| {
            *start += n;
            Some(*start - n..*start)
        })
        .collect()
}

#[derive(Deserialize)]
struct Case {
    lengths: Vec<usize>,
    scale: f32,
    z: f32,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
}

/// The distance over the length of what is wanted.
fn relative(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let apart: f64 = got.iter().zip(want).map(|(a, b)| square(a - b)).sum();
    (apart / want.iter().map(|&x| square(x)).sum::<f64>()).sqrt()
}

#[test]
fn every_gradient_of_an_adapter_is_autograds() {
    let case: Case = json("training/untied/packed.json");
    let documents = documents(&case.lengths);
    let Case { tokens, targets, weights, .. } = &case;
    let packed = Packed { tokens, targets, weights, documents: &documents };
    let want = safetensors::open(&folder("adapters/all/gradients.safetensors")).unwrap();
    let mut bits = Vec::new();
    for (threads, recompute) in
        [(1, Recompute::SwigluAndNorms), (3, Recompute::SwigluAndNorms), (2, Recompute::Layers)]
    {
        let mut model = adapted("untied", "all", every(), threads);
        let mut pass = Pass::new(&model, tokens.len() + 1, recompute).unwrap();
        let found = model.log_likelihoods(&mut pass, &packed).unwrap();
        let likelihoods = want.get("likelihoods").unwrap().to_f32().unwrap();
        for (row, (got, want)) in found.iter().zip(likelihoods).enumerate() {
            assert!(weights[row] == 0.0 || (got - want).abs() < 1e-4, "row {row}: {got} {want}");
        }
        model.forward_backward(&mut pass, &packed, case.scale, case.z).unwrap();
        let adapter = model.adapter.as_ref().unwrap();
        assert_eq!(adapter.tensors.len() + 1, want.len());
        for tensor in &adapter.tensors {
            let want = want.get(&tensor.name).unwrap().to_f32().unwrap();
            let got = &model.gradients.values()[tensor.view.range()];
            let largest = want.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let distance = relative(got, &want);
            assert!(distance < 1e-4 && worst < 1e-4 * largest, "{}: {distance:e}", tensor.name);
        }
        bits.push(model.gradients.values().to_vec());
    }
    assert!(bits[1..] == vec![bits[0].clone(); 2], "other bits on other threads, or recomputed");
}

#[derive(Deserialize)]
struct Batches {
    lengths: Vec<usize>,
    batches: Vec<Batch>,
}

#[derive(Deserialize)]
struct Batch {
    tokens: Vec<u32>,
    targets: Vec<u32>,
}

#[derive(Deserialize)]
struct Curve {
    rate: f64,
    decay: f64,
    losses: Vec<f64>,
}

#[test]
fn steps_of_an_adapter_are_pytorchs() {
    let Batches { lengths, batches } = json("training/curve.json");
    let curve: Curve = json("adapters/curve.json");
    let targets = vec![Target::Query, Target::Value, Target::Up, Target::Down];
    let mut model = adapted("tied", "start", Lora { rank: 4, alpha: 12.0, targets }, 2);
    let frozen = model.parameters.values().to_vec();
    let mut moments = Moments::new(&model, 0..model.trained()).unwrap();
    let documents = documents(&lengths);
    let rows: usize = lengths.iter().sum();
    let mut pass = Pass::new(&model, rows, Recompute::SwigluAndNorms).unwrap();
    let adamw = AdamW { decay: curve.decay, ..AdamW::default() };
    let weights = vec![1.0; rows];
    for (step, want) in curve.losses.iter().enumerate() {
        let Batch { tokens, targets } = &batches[step % batches.len()];
        let packed = Packed { tokens, targets, weights: &weights, documents: &documents };
        let sums = model.forward_backward(&mut pass, &packed, 1.0 / rows as f32, 0.0).unwrap();
        let loss = sums.loss / rows as f64;
        assert!((loss - want).abs() < 1e-3, "step {step}: {loss}, not {want}");
        model.step(&mut moments, &adamw, curve.rate, 1.0);
    }
    assert!(curve.losses[curve.losses.len() - 1] < curve.losses[0] - 0.5, "a curve that falls");
    assert!(model.parameters.values() == frozen, "the model's own weights stay");
}

#[test]
fn an_adapter_begins_as_nothing_and_is_the_same_for_a_seed() {
    let make = |threads, seed| {
        let (container, config) = open("untied");
        Model::adapt(Cpu::new(threads), config, container.tensors(), every(), seed).unwrap()
    };
    let [a, b, other] = [make(1, 7), make(3, 7), make(1, 8)];
    let values = |model: &Model<Cpu>| model.adapter.as_ref().unwrap().parameters.values().to_vec();
    assert!(values(&a) == values(&b) && values(&a) != values(&other));
    assert_eq!(a.trained() as u64, every().parameters(&a.config));
    let tokens = [1, 2, 3, 4, 5];
    let packed = Packed { tokens: &tokens, targets: &tokens, weights: &[1.0; 5], documents: &[0..2, 2..5] };
    let mut pass = Pass::new(&a, 5, Recompute::SwigluAndNorms).unwrap();
    let with = a.log_likelihoods(&mut pass, &packed).unwrap();
    let (container, config) = open("untied");
    let base = Model::load(Cpu::new(2), config, container.tensors()).unwrap();
    assert!(base.log_likelihoods(&mut pass, &packed).unwrap() == with);
}

#[test]
fn pefts_folder_is_read_and_written() {
    let made = folder("adapters/all");
    let model = adapted("untied", "all", every(), 1);
    let adapter = model.adapter.as_ref().unwrap();
    let target = tempfile::tempdir().unwrap();
    adapter.save(&model.device, &target.path().join("adapter_model.safetensors")).unwrap();
    let settings = adapter.lora.to_peft(Some("untied"));
    std::fs::write(
        target.path().join("adapter_config.json"),
        serde_json::Value::Object(settings.clone()).to_string(),
    )
    .unwrap();
    let theirs = std::fs::read_to_string(made.join("adapter_config.json")).unwrap();
    let theirs: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&theirs).unwrap();
    for (key, value) in settings.iter().filter(|(key, _)| *key != "target_modules") {
        assert_eq!(Some(value), theirs.get(key), "{key}");
    }
    let (a, b) = (PeftAdapter::open(&made).unwrap(), PeftAdapter::open(target.path()).unwrap());
    assert_eq!((a.changes.len(), &a.base), (b.changes.len(), &b.base));
    for (a, b) in a.changes.iter().zip(&b.changes) {
        assert_eq!((&a.weight, a.scale), (&b.weight, b.scale));
        assert!(a.a.data == b.a.data && a.b.data == b.b.data);
    }
}

#[test]
fn merged_weights_are_pefts() {
    // sai rounds to bf16 once, and peft the model before and the sum after.
    let cases = [("all", "untied", None, 1e-6), ("patterns", "tied", Some(DType::BF16), 4e-3)];
    for (name, base, dtype, rounding) in cases {
        let (container, config) = open(base);
        let adapter = PeftAdapter::open(&folder(&format!("adapters/{name}"))).unwrap();
        let merged = merge(&config, container.tensors(), &adapter, dtype).unwrap();
        assert_eq!(merged.len(), container.tensors().len());
        let want = safetensors::open(&folder(&format!("adapters/{name}/merged.safetensors"))).unwrap();
        assert_eq!(want.len(), adapter.changes.len());
        for moved in merged {
            let got = moved.tensor().unwrap();
            assert_eq!(got.dtype, dtype.unwrap_or(DType::F32));
            let before = container.tensors().get(&got.name).unwrap();
            match want.get(&got.name) {
                None => assert!(got.data == before.to_floats(got.dtype).unwrap(), "{}", got.name),
                Some(want) => {
                    let distance = relative(&got.to_f32().unwrap(), &want.to_f32().unwrap());
                    assert!(distance < rounding, "{}: {distance:e}", got.name);
                    assert!(relative(&got.to_f32().unwrap(), &before.to_f32().unwrap()) > 0.01);
                }
            }
        }
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let (tied, config) = open("tied");
    let of_another = PeftAdapter::open(&folder("adapters/all")).unwrap();
    let fact = merge(&config, tied.tensors(), &of_another, None).unwrap_err().to_string();
    assert!(fact.contains("k_proj") && fact.contains("another model"), "{fact}");

    let source = folder("adapters/all");
    let text = std::fs::read_to_string(source.join("adapter_config.json")).unwrap();
    let refused = |from: &str, to: &str| {
        let target = tempfile::tempdir().unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(target.path().join("adapter_config.json"), text.replace(from, to)).unwrap();
        let name = "adapter_model.safetensors";
        std::fs::copy(source.join(name), target.path().join(name)).unwrap();
        PeftAdapter::open(target.path()).unwrap_err().to_string()
    };
    let cases = [
        (r#""use_dora": false"#, r#""use_dora": true"#, "`use_dora`"),
        (r#""modules_to_save": null"#, r#""modules_to_save": ["lm_head"]"#, "`modules_to_save`"),
        (r#""bias": "none""#, r#""bias": "all""#, "`bias`"),
        (r#""peft_type": "LORA""#, r#""peft_type": "IA3""#, "IA3"),
        (r#""init_lora_weights": true"#, r#""init_lora_weights": "pissa_niter_4""#, "pissa"),
        (r#""r": 3"#, r#""r": 4"#, "rank 4"),
        (r#""r": 3"#, r#""r": 0"#, "rank 0"),
        (r#""rank_pattern": {}"#, r#""rank_pattern": {"(": 3}"#, "strange"),
        (r#""kasa_config": null"#, r#""kasa_config": {"beta": 1}"#, "`kasa_config`"),
        (r#""lora_alpha": 5"#, r#""lora_alpha": "five""#, "`lora_alpha`"),
        ("{", "[", "no description"),
    ];
    for (from, to, fact) in cases {
        let said = refused(from, to);
        assert!(said.contains(fact), "{said}");
    }
    assert!(matches!(PeftAdapter::open(&folder("training/tied")), Err(Error::Read { .. })));
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let (container, config) = open("tied");
    let refused = |lora: Lora| match Model::adapt(Cpu::new(1), config.clone(), container.tensors(), lora, 1) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("it was taken"),
    };
    assert!(refused(Lora { rank: 0, ..every() }).contains("rank 0"));
    assert!(refused(Lora { rank: 37, ..every() }).contains("rank 37"));
    assert!(refused(Lora { alpha: f64::NAN, ..every() }).contains("alpha"));
    assert!(refused(Lora { targets: Vec::new(), ..every() }).contains("no matrices"));
    assert!(refused(Lora { targets: vec![Target::Up; 2], ..every() }).contains("`up_proj` twice"));
}

#[test]
fn an_adapters_memory_is_said_beforehand() {
    let (_, config) = open("untied");
    let whole = Memory::of(&config, 100, Recompute::SwigluAndNorms);
    let memory = Memory::of_adapter(&config, &every(), 100, Recompute::SwigluAndNorms);
    let adapter = 4 * every().parameters(&config);
    assert_eq!(memory.parameters, whole.parameters + adapter);
    assert_eq!((memory.gradients, memory.optimiser), (adapter, 2 * adapter));
    assert_eq!(memory.activations, whole.activations + 4 * 100 * 3);
    let cpu = Cpu::new(2);
    assert!(memory.on(&cpu, &config, 4096).scratch > memory.on(&cpu, &config, 64).scratch);
    assert!(memory.on(&cpu, &config, usize::MAX).total() > memory.total());
}
