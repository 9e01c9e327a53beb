//! Gradients against `torch.autograd`, a hundred steps against `torch.optim.AdamW`, and the training forward against the
//! decoder's own. `scripts/fixtures/training.py` made the expectations.

// A document is a range of rows, and there may be one.
#![allow(clippy::single_range_in_vec_init)]

use sai_decoder::training::{AdamW, Layout, Memory, Model, Moments, Packed, Pass, Recompute};
use sai_decoder::{Batch, CacheType, Config, Cpu, Decoder, Device, Error, KvCache, LogitRows, RunState};
use sai_formats::{DType, safetensors};
use serde::Deserialize;
use std::ops::Range;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn load(name: &str, threads: usize) -> Model<Cpu> {
    let (container, config) = Config::open(&folder(name)).unwrap();
    Model::load(Cpu::new(threads), config, container.tensors()).unwrap()
}

fn json<T: for<'de> Deserialize<'de>>(path: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(folder(path)).unwrap()).unwrap()
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
    loss: f64,
    log_sum_squares: f64,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
}

impl Case {
    fn packed<'a>(&'a self, documents: &'a [Range<usize>]) -> Packed<'a> {
        Packed { tokens: &self.tokens, targets: &self.targets, weights: &self.weights, documents }
    }
}

/// The distance over the length of what is wanted.
fn relative(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let apart: f64 = got.iter().zip(want).map(|(a, b)| square(a - b)).sum();
    (apart / want.iter().map(|&x| square(x)).sum::<f64>()).sqrt()
}

#[test]
fn every_gradient_is_autograds() {
    for name in ["training/tied", "training/untied", "training/qwen3"] {
        let case: Case = json(&format!("{name}/packed.json"));
        let documents = documents(&case.lengths);
        let packed = case.packed(&documents);
        let want = safetensors::open(&folder(name).join("gradients.safetensors")).unwrap();
        let mut bits = Vec::new();
        for (threads, recompute) in
            [(1, Recompute::SwigluAndNorms), (3, Recompute::SwigluAndNorms), (2, Recompute::Layers)]
        {
            let mut model = load(name, threads);
            let mut pass = Pass::new(&model, case.tokens.len() + 3, recompute).unwrap();
            let sums = model.forward_backward(&mut pass, &packed, case.scale, case.z).unwrap();
            assert!((sums.loss / case.loss - 1.0).abs() < 1e-5, "{name}: {sums:?}");
            assert!((sums.log_sum_squares / case.log_sum_squares - 1.0).abs() < 1e-5, "{name}: {sums:?}");
            for tensor in model.layout.tensors() {
                let want = want.get(&tensor.name).unwrap().to_f32().unwrap();
                let got = &model.gradients.values()[tensor.view.range()];
                let largest = want.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let distance = relative(got, &want);
                assert!(distance < 1e-4 && worst < 1e-4 * largest, "{name} {}: {distance:e}", tensor.name);
            }
            bits.push(model.gradients.values().to_vec());
        }
        assert!(bits[1..] == vec![bits[0].clone(); 2], "{name}: other bits on other threads, or recomputed");
    }
}

#[test]
fn gradients_are_handed_out_when_they_are_final() {
    for name in ["training/tied", "training/untied", "training/qwen3"] {
        let case: Case = json(&format!("{name}/packed.json"));
        let documents = documents(&case.lengths);
        let packed = case.packed(&documents);
        let mut model = load(name, 2);
        let mut pass = Pass::new(&model, case.tokens.len(), Recompute::SwigluAndNorms).unwrap();
        let (mut ranges, mut early) = (Vec::new(), vec![0.0; model.layout.len()]);
        let mut done = |_: &Cpu, gradients: &mut <Cpu as Device>::Buffer, range: Range<usize>| {
            early[range.clone()].copy_from_slice(&gradients.values()[range.clone()]);
            ranges.push(range);
        };
        model.forward_backward_in_parts(&mut pass, &packed, case.scale, case.z, &mut done).unwrap();
        assert!(early == model.gradients.values(), "{name}: some change afterwards");
        assert_eq!(ranges, model.layout.in_backward().collect::<Vec<_>>());
        ranges.sort_by_key(|range| range.start);
        let end = ranges.iter().fold(0, |end, range| if range.start == end { range.end } else { usize::MAX });
        assert_eq!(end, model.layout.len(), "{name}: {ranges:?}");
    }
}

#[test]
fn likelihoods_are_pytorchs_and_micro_batches_add_up() {
    let case: Case = json("training/tied/packed.json");
    let all = documents(&case.lengths);
    let mut model = load("training/tied", 2);
    let mut pass = Pass::new(&model, case.tokens.len(), Recompute::SwigluAndNorms).unwrap();
    let found = model.log_likelihoods(&mut pass, &case.packed(&all)).unwrap();
    let want = safetensors::open(&folder("training/tied/gradients.safetensors")).unwrap();
    let want = want.get("likelihoods").unwrap().to_f32().unwrap();
    for (row, (got, want)) in found.iter().zip(want).enumerate() {
        let want = if case.weights[row] == 0.0 { 0.0 } else { want };
        assert!((got - want).abs() < 1e-4, "row {row}: {got} instead of {want}");
    }
    model.forward_backward(&mut pass, &case.packed(&all), case.scale, case.z).unwrap();
    let whole = model.gradients.values().to_vec();
    model.clear_gradients();
    for rows in &all {
        let part = Packed {
            tokens: &case.tokens[rows.clone()],
            targets: &case.targets[rows.clone()],
            weights: &case.weights[rows.clone()],
            documents: &[0..rows.len()],
        };
        model.forward_backward(&mut pass, &part, case.scale, case.z).unwrap();
    }
    assert!(relative(model.gradients.values(), &whole) < 1e-5);
}

#[derive(Deserialize)]
struct Curve {
    model: String,
    lengths: Vec<usize>,
    warm_up: usize,
    rate: f64,
    least: f64,
    clip: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
    batches: Vec<Tokens>,
    losses: Vec<f64>,
    norms: Vec<f64>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<u32>,
    targets: Vec<u32>,
}

#[test]
fn a_hundred_steps_are_pytorchs() {
    let curve: Curve = json("training/curve.json");
    let mut model = load(&format!("training/{}", curve.model), 2);
    let mut moments = Moments::new(&model, 0..model.layout.len()).unwrap();
    let documents = documents(&curve.lengths);
    let rows: usize = curve.lengths.iter().sum();
    let mut pass = Pass::new(&model, rows, Recompute::SwigluAndNorms).unwrap();
    let adamw = AdamW { beta1: curve.beta1, beta2: curve.beta2, eps: curve.eps, decay: curve.decay };
    let (steps, weights) = (curve.losses.len(), vec![1.0; rows]);
    for step in 0..steps {
        let Tokens { tokens, targets } = &curve.batches[step % curve.batches.len()];
        let packed = Packed { tokens, targets, weights: &weights, documents: &documents };
        let sums = model.forward_backward(&mut pass, &packed, 1.0 / rows as f32, 0.0).unwrap();
        let (loss, norm) = (sums.loss / rows as f64, model.gradient_norm());
        assert!((loss - curve.losses[step]).abs() < 1e-3, "step {step}: {loss}, not {}", curve.losses[step]);
        assert!((norm / curve.norms[step] - 1.0).abs() < 1e-2, "step {step}: norm {norm}");
        let share = step.saturating_sub(curve.warm_up) as f64 / (steps - curve.warm_up) as f64;
        let rate = match step < curve.warm_up {
            true => curve.rate * (step + 1) as f64 / curve.warm_up as f64,
            false => {
                curve.least + 0.5 * (curve.rate - curve.least) * (1.0 + (std::f64::consts::PI * share).cos())
            }
        };
        // As `clip_grad_norm_` has it.
        let clip = (curve.clip / (norm + 1e-6)).min(1.0);
        model.step(&mut moments, &adamw, rate, clip);
    }
    assert!(curve.losses[steps - 1] < curve.losses[0] - 0.5, "a curve that falls");
}

#[test]
fn moments_of_parts_make_the_step_of_all() {
    let case: Case = json("training/untied/packed.json");
    let documents = documents(&case.lengths);
    let mut results = Vec::new();
    for parts in [1, 3] {
        let mut model = load("training/untied", 2);
        let length = model.layout.len();
        let mut moments: Vec<_> = (0..parts)
            .map(|i| Moments::new(&model, i * length / parts..(i + 1) * length / parts).unwrap())
            .collect();
        let mut pass = Pass::new(&model, case.tokens.len(), Recompute::SwigluAndNorms).unwrap();
        for _ in 0..2 {
            model.forward_backward(&mut pass, &case.packed(&documents), case.scale, 0.0).unwrap();
            for moments in &mut moments {
                model.step(moments, &AdamW::default(), 1e-3, 1.0);
            }
            assert!(model.gradients.values().iter().all(|&g| g == 0.0));
        }
        results.push(model.parameters.values().to_vec());
    }
    assert!(results[0] == results[1]);
}

/// Both forwards, and the way through a file: what is saved after training is loaded by the decoder.
#[test]
fn both_forwards_agree_on_every_fixture() {
    for name in ["odd-heads", "qwen2", "rope-linear", "rope-llama3", "rope-yarn", "rope-yarn-full", "biases"]
    {
        let model = load(name, 2);
        let tokens: Vec<u32> = (0..150).map(|i| i * 7919 % model.config.vocab_size as u32).collect();
        let targets: Vec<u32> = tokens[1..].iter().copied().chain([0]).collect();
        let mut weights = vec![1.0; tokens.len()];
        (weights[69], weights[149]) = (0.0, 0.0);
        let documents = [0..70, 70..150];
        let packed = Packed { tokens: &tokens, targets: &targets, weights: &weights, documents: &documents };
        let mut pass = Pass::new(&model, tokens.len(), Recompute::Layers).unwrap();
        let found = model.log_likelihoods(&mut pass, &packed).unwrap();

        let target = tempfile::tempdir().unwrap();
        model.save(&target.path().join("model.safetensors"), DType::F32).unwrap();
        std::fs::copy(folder(name).join("config.json"), target.path().join("config.json")).unwrap();
        let (container, config) = Config::open(target.path()).unwrap();
        let decoder = Decoder::load(Cpu::new(2), config, &container).unwrap();
        let mut cache = KvCache::new(&decoder.device, &decoder.config, 256, CacheType::F32).unwrap();
        let mut batch = Batch::new();
        for rows in documents {
            let sequence = cache.start();
            batch.push(&sequence, &tokens[rows], LogitRows::All);
        }
        let mut run = RunState::new(&decoder);
        let logits = decoder.forward(&mut cache, &batch, &mut run).unwrap().values();
        for (row, logits) in logits.chunks(decoder.config.vocab_size).enumerate() {
            let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
            let want = f64::from(logits[targets[row] as usize]) - sum.ln();
            let want = if weights[row] == 0.0 { 0.0 } else { want };
            assert!((f64::from(found[row]) - want).abs() < 1e-3, "{name}, row {row}: {} {want}", found[row]);
        }
    }
}

#[test]
fn a_model_begins_the_same_and_is_saved_in_half() {
    let config = load("training/untied", 1).config;
    let [a, b, other] = [(1, 7), (3, 7), (1, 8)]
        .map(|(threads, seed)| Model::new(Cpu::new(threads), config.clone(), seed).unwrap());
    assert!(a.parameters.values() == b.parameters.values());
    assert!(a.parameters.values() != other.parameters.values());
    assert_eq!(a.layout.len() as u64, config.parameters());
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("model.safetensors");
    a.save(&path, DType::BF16).unwrap();
    let back = Model::load(Cpu::new(1), config, &safetensors::open(&path).unwrap()).unwrap();
    assert!(relative(back.parameters.values(), a.parameters.values()) < 4e-3);
}

#[test]
fn memory_is_said_beforehand() {
    let config = load("training/untied", 1).config;
    let memory = Memory::of(&config, 100, Recompute::SwigluAndNorms);
    assert_eq!(memory.parameters, 4 * config.parameters());
    assert_eq!(memory.total(), 4 * memory.parameters + memory.activations);
    assert!(Memory::of(&config, 100, Recompute::Layers).activations < memory.activations);
    assert!(Memory::of(&config, usize::MAX, Recompute::Layers).total() > 1 << 60);
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let mut model = load("training/tied", 1);
    let mut pass = Pass::new(&model, 4, Recompute::SwigluAndNorms).unwrap();
    let mut refused = |tokens: &[u32], targets: &[u32], weights: &[f32], documents: &[Range<usize>]| {
        let packed = Packed { tokens, targets, weights, documents };
        model.forward_backward(&mut pass, &packed, 1.0, 0.0).unwrap_err().to_string()
    };
    let ones = [1.0; 5];
    assert!(refused(&[1; 5], &[1; 5], &ones, &[0..5]).contains("made for 4"));
    assert!(refused(&[1; 4], &[1; 3], &ones[..4], &[0..4]).contains("3 targets"));
    assert!(refused(&[1; 4], &[1; 4], &ones[..4], &[0..2]).contains("documents of 2 rows"));
    assert!(refused(&[1; 4], &[1; 4], &ones[..4], &[0..2, 3..4]).contains("after row 2"));
    assert!(refused(&[1, 99, 1, 1], &[1; 4], &ones[..4], &[0..4]).contains("99"));
    assert!(refused(&[1; 4], &[1, 1, 1, 99], &ones[..4], &[0..4]).contains("99"));
    let mut gguf = load("training/tied", 1).config;
    gguf.ropes[0].style = sai_decoder::RopeStyle::Pairs;
    assert!(matches!(Layout::of(&gguf), Err(Error::Training { .. })));
}

/// A fact that backward does not know is named.
#[test]
fn what_is_not_trained_is_refused_by_the_fact() {
    for (name, fact) in [
        ("gpt2", "LayerNorm"),
        ("gemma2", "norms after attention"),
        ("mistral", "sliding windows"),
        ("smollm3", "layers that turn positions otherwise"),
        ("granite", "a scale of attention of its own"),
        ("phi3", "sliding windows"),
        ("phi3-longrope", "LongRoPE"),
        ("hyperclovax-without-post-norm", "a scale of attention of its own"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name);
        let (_, config) = Config::open(&folder).unwrap();
        let error = Layout::of(&config).unwrap_err().to_string();
        assert!(error.contains("sai does not train a model with") && error.contains(fact), "{name}: {error}");
    }
    for name in ["llama", "qwen3"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name);
        let (_, config) = Config::open(&folder).unwrap();
        assert!(Layout::of(&config).is_ok(), "{name}");
    }
}
