//! Logits and greedy text against `transformers` in f32, on random models of odd shapes and on SmolLM2.
//! `scripts/fixtures/README.md` says how the expectations were made.

#[path = "../../../tests/real_model.rs"]
mod real_model;

use real_model::{gemma3_270m, smollm2};
use sai_decoder::{Batch, CacheType, Config, Cpu, Decoder, KvCache, LogitRows, RunState};
use sai_formats::{Container, DType, Tensor, Tensors, gguf::Gguf, safetensors};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What the design allows in f32.
const TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
struct Expected {
    prompt: Vec<u32>,
    greedy: Vec<u32>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn load(path: &Path) -> Decoder<Cpu> {
    let (container, config) = Config::open(path).unwrap();
    Decoder::load(Cpu::new(2), config, &container).unwrap()
}

/// The likeliest token of the last row.
fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or(0, |(id, _)| id as u32)
}

/// Logits of all rows of the prompt, the greedy continuation, and the logits after its last token.
fn run(decoder: &Decoder<Cpu>, prompt: &[u32], tokens: usize) -> (Vec<f32>, Vec<u32>, Vec<f32>) {
    let mut cache =
        KvCache::new(&decoder.device, &decoder.config, prompt.len() + tokens, CacheType::F32).unwrap();
    let sequence = cache.start();
    let mut run = RunState::new(decoder);
    let mut batch = Batch::new();
    batch.push(&sequence, prompt, LogitRows::All);
    let prompt_logits = decoder.forward(&mut cache, &batch, &mut run).unwrap().values().to_vec();
    let vocab_size = decoder.config.vocab_size;
    let mut last = prompt_logits[prompt_logits.len() - vocab_size..].to_vec();
    let mut greedy = Vec::new();
    for _ in 0..tokens {
        let token = likeliest(&last);
        greedy.push(token);
        batch.clear();
        batch.push(&sequence, &[token], LogitRows::Last);
        last = decoder.forward(&mut cache, &batch, &mut run).unwrap().values().to_vec();
    }
    (prompt_logits, greedy, last)
}

fn largest_difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check_random_model(name: &str) {
    let folder = fixtures().join(name);
    let decoder = load(&folder);
    let expected: Expected =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let tensors = safetensors::open(&folder.join("expected.safetensors")).unwrap();
    let want = tensors.get("logits").unwrap().to_f32().unwrap();
    let want_last = tensors.get("last_logits").unwrap().to_f32().unwrap();

    let (logits, greedy, last) = run(&decoder, &expected.prompt, expected.greedy.len());
    let difference = largest_difference(&logits[logits.len() - want.len()..], &want);
    assert!(difference <= TOLERANCE, "{name}: prompt logits differ by {difference}");
    assert_eq!(greedy, expected.greedy, "{name}");
    // The fixture's last logits come after the whole greedy text, or before its last token was fed.
    let difference = largest_difference(&last, &want_last);
    assert!(difference <= TOLERANCE, "{name}: logits after 200 tokens differ by {difference}");
}

#[test]
fn random_models_of_odd_shapes_are_transformers() {
    for name in [
        "odd-heads",
        "vocab-50257",
        "qwen2",
        "rope-linear",
        "rope-llama3",
        "rope-yarn",
        "rope-yarn-full",
        "sharded",
        "biases",
    ] {
        check_random_model(name);
    }
}

/// The same model with every tensor as f32.
fn expanded(gguf: &Gguf) -> Container {
    let tensors = gguf
        .tensors
        .iter()
        .map(|tensor| Tensor {
            dtype: DType::F32,
            data: tensor.to_f32().unwrap().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>().into(),
            ..tensor.clone()
        })
        .collect();
    let tensors = Tensors::new(gguf.tensors.path(), tensors).unwrap();
    Container::Gguf(Gguf { tensors, ..gguf.clone() })
}

/// Every so many ids' logits are held to those of a model's f32 expansion.
fn check_real_model(path: &Path, fixture: &str, prompts: &[&str], every: usize) {
    let gguf = Gguf::open(path).unwrap();
    let config = Config::from_gguf(&gguf).unwrap();
    let decoder = Decoder::load(Cpu::new(0), config, &expanded(&gguf)).unwrap();

    let folder = fixtures().join(fixture);
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let tensors = safetensors::open(&folder.join("expected.safetensors")).unwrap();
    for name in prompts {
        let case: Expected = serde_json::from_value(expected[name].clone()).unwrap();
        let (logits, greedy, last) = run(&decoder, &case.prompt, case.greedy.len());
        assert_eq!(greedy, case.greedy, "{name}");
        let last_row = &logits[logits.len() - decoder.config.vocab_size..];
        for (got, key) in [(last_row, "logits"), (&last[..], "last_logits")] {
            let got: Vec<f32> = got.iter().step_by(every).copied().collect();
            let want = tensors.get(&format!("{name}.{key}")).unwrap().to_f32().unwrap();
            let difference = largest_difference(&got, &want);
            assert!(difference <= TOLERANCE, "{name} {key}: logits differ by {difference}");
        }
    }
}

#[test]
fn smollm2_expanded_is_transformers() {
    let Some(path) = smollm2() else { return };
    check_real_model(&path, "smollm2", &["english", "korean", "code"], 8);
}

#[test]
fn gemma3_270m_expanded_is_transformers() {
    let Some(path) = gemma3_270m() else { return };
    check_real_model(&path, "gemma3-270m", &["korean", "english", "code"], 64);
}
