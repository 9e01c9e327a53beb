//! Logits and greedy text of every family against `transformers` in f32, on small random models.
//! `scripts/fixtures/families.py` made them, and says whose arithmetic the expectations are.

use sai_decoder::{
    ActivationRecorder, Batch, CacheType, Config, Cpu, Decoder, Error, KvCache, LogitRows, Mix, Plan,
    RunState, Sequence, to_gguf,
};
use sai_formats::safetensors;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What the design allows in f32.
const TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
struct Expected {
    prompt: Vec<u32>,
    greedy: Vec<u32>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name)
}

fn families() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn load(name: &str) -> Decoder<Cpu> {
    let (container, config) = Config::open(&folder(name)).unwrap();
    Decoder::load(Cpu::new(2), config, &container).unwrap()
}

fn expected(name: &str) -> Expected {
    serde_json::from_str(&std::fs::read_to_string(folder(name).join("expected.json")).unwrap()).unwrap()
}

/// A sequence that is begun again where the model turns positions otherwise from there on.
struct Text<'d> {
    decoder: &'d Decoder<Cpu>,
    cache: KvCache<Cpu>,
    sequence: Sequence,
    run: RunState<Cpu>,
    tokens: Vec<u32>,
}

impl<'d> Text<'d> {
    fn new(decoder: &'d Decoder<Cpu>, length: usize) -> Text<'d> {
        let mut cache = KvCache::new(&decoder.device, &decoder.config, length, CacheType::F32).unwrap();
        let sequence = cache.start();
        Text { decoder, cache, sequence, run: RunState::new(decoder), tokens: Vec::new() }
    }

    /// The logits of these rows.
    fn push(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.tokens.extend(tokens);
        let mut batch = Batch::new();
        batch.push(&self.sequence, tokens, LogitRows::All);
        let logits = match self.decoder.forward(&mut self.cache, &batch, &mut self.run) {
            Ok(logits) => logits,
            Err(Error::OtherTurn { .. }) => {
                self.cache.truncate(&self.sequence, 0);
                batch.clear();
                batch.push(&self.sequence, &self.tokens, LogitRows::All);
                self.decoder.forward(&mut self.cache, &batch, &mut self.run).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        let wanted = tokens.len() * self.decoder.config.vocab_size;
        logits.values()[logits.values().len() - wanted..].to_vec()
    }
}

/// The likeliest token of the last row.
fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or(0, |(id, _)| id as u32)
}

fn difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(name: &str) -> Result<(), String> {
    let (decoder, expected) = (load(name), expected(name));
    let tensors = safetensors::open(&folder(name).join("expected.safetensors")).unwrap();
    let values = |name: &str| tensors.get(name).unwrap().to_f32().unwrap();
    let mut text = Text::new(&decoder, expected.prompt.len() + expected.greedy.len());
    let logits = text.push(&expected.prompt);
    let apart = difference(&logits, &values("logits"));
    if apart > TOLERANCE || apart.is_nan() {
        return Err(format!("{name}: the prompt's logits differ by {apart}"));
    }
    let vocab_size = decoder.config.vocab_size;
    let mut last = logits[logits.len() - vocab_size..].to_vec();
    for (i, &want) in expected.greedy.iter().enumerate() {
        let token = likeliest(&last);
        if token != want {
            return Err(format!("{name}: token {i} is {token} and not {want}"));
        }
        last = text.push(&[token]);
    }
    let apart = difference(&last, &values("last_logits"));
    if apart > TOLERANCE {
        return Err(format!("{name}: the logits after the text differ by {apart}"));
    }
    Ok(())
}

#[test]
fn every_family_is_transformers() {
    let wrong: Vec<String> = families().iter().filter_map(|name| check(name).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn both_words_of_a_description_mean_the_same() {
    let mut wrong = Vec::new();
    for name in families() {
        let path = folder(&name).join("config.v5.json");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let (_, config) = Config::open(&folder(&name)).unwrap();
        match Config::from_json(&text, &path) {
            Ok(other) if other == config => {}
            Ok(other) => wrong.push(format!("{name}: {other:?} instead of {config:?}")),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_parameters_are_those_of_the_file() {
    for name in families() {
        let (container, config) = Config::open(&folder(&name)).unwrap();
        let mut sum = 0;
        for tensor in container.tensors() {
            let beside = [".attn.bias", "masked_bias", ".attention.bias", "inv_freq"];
            let head = ["lm_head.weight"];
            let extra = beside.iter().any(|end| tensor.name.ends_with(end))
                || config.tie_word_embeddings && head.contains(&tensor.name.as_str());
            sum += if extra { 0 } else { tensor.elements() as u64 };
        }
        assert_eq!(config.parameters(), sum, "{name}");
    }
}

/// What goes into each matrix is known by GGUF's names, whatever a folder calls it and however it fuses it.
#[test]
fn importances_of_every_family_fit_its_gguf() {
    for name in families() {
        let (container, config) = Config::open(&folder(&name)).unwrap();
        let recorder = ActivationRecorder::new(Cpu::new(1));
        let decoder = Decoder::load(recorder, config.clone(), &container).unwrap();
        let mut cache = KvCache::new(&decoder.device, &config, 64, CacheType::F32).unwrap();
        let (sequence, mut run, mut batch) = (cache.start(), RunState::new(&decoder), Batch::new());
        batch.push(&sequence, &[3, 5, 7, 11], LogitRows::None);
        decoder.forward(&mut cache, &batch, &mut run).unwrap();
        let imatrix = decoder.device.imatrix(Vec::new(), 1, 64);
        let tensors = to_gguf(&config, container.tensors(), None).unwrap().tensors;
        let plan = Plan::new(&config, &[], &tensors, Mix::Q4_K_M, Some(&imatrix));
        let plan = plan.unwrap_or_else(|error| panic!("{name}: {error}"));
        // Rows of these widths fit no block, but none is left as it was: halves for matrices, and vectors as they are.
        for tensor in plan.tensors() {
            let matrix = tensor.shape().len() == 2 && tensor.name() != "position_embd.weight";
            assert_eq!(tensor.wanted.is_some(), matrix, "{name}: {}", tensor.name());
        }
    }
}
