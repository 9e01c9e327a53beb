//! Preferences against PyTorch: margins, loss and gradients of a batch, and the losses of forty steps.
//! `scripts/fixtures/adapters.py` made the expectations.

use sai_decoder::training::{AdamW, Model, Moments, Packed, Pass, Recompute};
use sai_decoder::{Config, Cpu, Lora, Target};
use sai_formats::safetensors;
use sai_trainer::{Dpo, PreferenceSums, sums};
use serde::Deserialize;
use std::ops::Range;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Expected {
    beta: f64,
    gradient: Gradient,
    curve: Curve,
}

#[derive(Deserialize)]
struct Gradient {
    #[serde(flatten)]
    pairs: Pairs,
    reference: Vec<f64>,
    smoothing: f64,
    sft: f64,
    loss: f64,
    margins: Vec<f64>,
}

#[derive(Deserialize)]
struct Curve {
    rate: f64,
    batches: Vec<Pairs>,
    losses: Vec<f64>,
}

#[derive(Deserialize)]
struct Pairs {
    tokens: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    lengths: Vec<usize>,
}

impl Pairs {
    fn documents(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let next = |n: &usize| {
            start += n;
            start - n..start
        };
        self.lengths.iter().map(next).collect()
    }

    fn packed<'a>(&'a self, documents: &'a [Range<usize>]) -> Packed<'a> {
        Packed { tokens: &self.tokens, targets: &self.targets, weights: &self.weights, documents }
    }
}

fn expected() -> Expected {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preferences.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn models(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../decoder/tests/fixtures").join(name)
}

fn likelihoods(model: &Model<Cpu>, pass: &mut Pass<Cpu>, pairs: &Pairs) -> Vec<f64> {
    let documents = pairs.documents();
    sums(&model.log_likelihoods(pass, &pairs.packed(&documents)).unwrap(), &documents)
}

#[test]
fn the_gradient_of_preferences_is_autograds() {
    let Expected { beta, gradient: g, .. } = expected();
    let (container, config) = Config::open(&models("training/untied")).unwrap();
    let lora = Lora { rank: 3, alpha: 5.0, targets: Target::ALL.to_vec() };
    let mut model = Model::adapt(Cpu::new(2), config, container.tensors(), lora, 1).unwrap();
    let mut pass = Pass::new(&model, g.pairs.tokens.len(), Recompute::SwigluAndNorms).unwrap();
    // An adapter that was not trained changes nothing: the reference.
    let reference = likelihoods(&model, &mut pass, &g.pairs);
    for (got, want) in reference.iter().zip(&g.reference) {
        assert!((got - want).abs() < 1e-3, "{got} {want}");
    }
    let values = safetensors::open(&models("adapters/all/adapter_model.safetensors")).unwrap();
    let Model { device, adapter, .. } = &mut model;
    adapter.as_mut().unwrap().load(device, &values).unwrap();

    let dpo = Dpo { beta, label_smoothing: g.smoothing, sft: g.sft };
    let (documents, mut preferred) = (g.pairs.documents(), PreferenceSums::default());
    let pairs = documents.len() / 2;
    let mut weigh =
        |found: &[f32]| dpo.weights(found, &g.pairs.weights, &documents, &g.reference, &mut preferred);
    let packed = g.pairs.packed(&documents);
    model
        .forward_weigh_backward(&mut pass, &packed, 1.0 / pairs as f32, &mut weigh, &mut |_, _, _| {})
        .unwrap();
    assert_eq!(preferred.pairs, pairs as u64);
    assert!((preferred.loss / pairs as f64 - g.loss).abs() < 1e-4, "{preferred:?} {}", g.loss);
    assert!((preferred.margin() - g.margins.iter().sum::<f64>()).abs() < 1e-3, "{preferred:?}");
    assert_eq!(preferred.right, g.margins.iter().filter(|&&margin| margin > 0.0).count() as u64);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preferences.safetensors");
    let want = safetensors::open(&file).unwrap();
    for tensor in &model.adapter.as_ref().unwrap().tensors {
        let want = want.get(&tensor.name).unwrap().to_f32().unwrap();
        let got = &model.gradients.values()[tensor.view.range()];
        let square = |x: f32| f64::from(x) * f64::from(x);
        let apart: f64 = got.iter().zip(&want).map(|(a, b)| square(a - b)).sum();
        let distance = (apart / want.iter().map(|&x| square(x)).sum::<f64>()).sqrt();
        assert!(distance < 1e-4, "{}: {distance:e}", tensor.name);
    }
}

#[test]
fn steps_on_preferences_are_pytorchs() {
    let Expected { beta, curve, .. } = expected();
    let (container, config) = Config::open(&models("training/tied")).unwrap();
    let mut model = Model::load(Cpu::new(2), config, container.tensors()).unwrap();
    let mut moments = Moments::new(&model, 0..model.trained()).unwrap();
    let rows = curve.batches.iter().map(|pairs| pairs.tokens.len()).max().unwrap();
    let mut pass = Pass::new(&model, rows, Recompute::SwigluAndNorms).unwrap();
    let references: Vec<Vec<f64>> =
        curve.batches.iter().map(|pairs| likelihoods(&model, &mut pass, pairs)).collect();
    let dpo = Dpo { beta, label_smoothing: 0.0, sft: 0.0 };
    let adamw = AdamW { decay: 0.0, ..AdamW::default() };
    for (step, want) in curve.losses.iter().enumerate() {
        let at = step % curve.batches.len();
        let (pairs, reference) = (&curve.batches[at], &references[at]);
        let (documents, mut preferred) = (pairs.documents(), PreferenceSums::default());
        let mut weigh =
            |found: &[f32]| dpo.weights(found, &pairs.weights, &documents, reference, &mut preferred);
        let packed = pairs.packed(&documents);
        let scale = 2.0 / documents.len() as f32;
        model.forward_weigh_backward(&mut pass, &packed, scale, &mut weigh, &mut |_, _, _| {}).unwrap();
        let loss = preferred.loss / preferred.pairs as f64;
        assert!((loss - want).abs() < 1e-3, "step {step}: {loss}, not {want}");
        model.step(&mut moments, &adamw, curve.rate, 1.0);
    }
    assert!(curve.losses[curve.losses.len() - 1] < 0.1);
}
