//! A model runs with weights of any type: random blocks of each, against the same blocks expanded to f32.

use sai_decoder::{Batch, CacheType, Config, Cpu, Decoder, KvCache, LogitRows, RunState};
use sai_formats::{Container, DType, Tensor, Tensors};
use std::path::Path;

const HIDDEN: usize = 256;
const INTERMEDIATE: usize = 512;
const VOCAB: usize = 72;
const KEYS: usize = 64;

fn config() -> Config {
    let json = serde_json::json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 128, "tie_word_embeddings": false,
    });
    Config::from_json(&json.to_string(), Path::new("config.json")).unwrap()
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Where a block keeps its halves, and their sign and exponent: all weights come out well below one.
fn halves(dtype: DType) -> &'static [(usize, u16)] {
    match dtype {
        DType::Q8_0 => &[(0, 0x1000)],
        DType::Q4_0 | DType::Q5_0 => &[(0, 0x2000)],
        // The minimum is about minus half of the range.
        DType::Q4_1 => &[(0, 0x2000), (2, 0xac00)],
        DType::Q5_1 => &[(0, 0x1c00), (2, 0xac00)],
        DType::Q2_K => &[(80, 0x1800), (82, 0x1c00)],
        DType::Q3_K => &[(108, 0x1000)],
        DType::Q4_K => &[(0, 0x0c00), (2, 0x1400)],
        DType::Q5_K => &[(0, 0x0800), (2, 0x1400)],
        DType::Q6_K => &[(208, 0x0400)],
        _ => &[],
    }
}

fn blocks(dtype: DType, elements: usize, state: &mut u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..dtype.bytes_for(elements).unwrap()).map(|_| random(state) as u8).collect();
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        match dtype {
            DType::F32 => {
                let value = (random(state) >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
                block.copy_from_slice(&(value * 0.2).to_le_bytes());
            }
            // Sign and a middling exponent, for both kinds of half.
            DType::F16 => block[1] = block[1] & 0x83 | 0x28,
            DType::BF16 => block[1] = block[1] & 0x80 | 0x3d,
            _ => {
                for &(at, half) in halves(dtype) {
                    block[at..at + 2].copy_from_slice(&(half | random(state) as u16 & 0x00ff).to_le_bytes());
                }
            }
        }
    }
    bytes
}

fn tensors(dtype: DType) -> Vec<Tensor> {
    let mut state = 42;
    let mut all = Vec::new();
    let mut add = |name: &str, dtype: DType, shape: &[usize], data: Vec<u8>| {
        all.push(Tensor {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            data: data.into(),
            file: Path::new("random.safetensors").into(),
        });
    };
    let ones: Vec<u8> = (0..HIDDEN).flat_map(|_| 1f32.to_le_bytes()).collect();
    for name in ["layers.0.input_layernorm", "layers.0.post_attention_layernorm", "norm"] {
        add(&format!("model.{name}.weight"), DType::F32, &[HIDDEN], ones.clone());
    }
    for (name, rows, columns) in [
        ("model.embed_tokens", VOCAB, HIDDEN),
        ("lm_head", VOCAB, HIDDEN),
        ("model.layers.0.self_attn.q_proj", HIDDEN, HIDDEN),
        ("model.layers.0.self_attn.k_proj", KEYS, HIDDEN),
        ("model.layers.0.self_attn.v_proj", KEYS, HIDDEN),
        ("model.layers.0.self_attn.o_proj", HIDDEN, HIDDEN),
        ("model.layers.0.mlp.gate_proj", INTERMEDIATE, HIDDEN),
        ("model.layers.0.mlp.up_proj", INTERMEDIATE, HIDDEN),
        ("model.layers.0.mlp.down_proj", HIDDEN, INTERMEDIATE),
    ] {
        let data = blocks(dtype, rows * columns, &mut state);
        add(&format!("{name}.weight"), dtype, &[rows, columns], data);
    }
    all
}

fn logits(tensors: Vec<Tensor>, tokens: &[u32], piece: usize) -> Vec<f32> {
    let container = Container::Safetensors(Tensors::new(Path::new("random"), tensors).unwrap());
    let decoder = Decoder::load(Cpu::new(2), config(), &container).unwrap();
    let mut cache = KvCache::new(&decoder.device, &decoder.config, 64, CacheType::F32).unwrap();
    let sequence = cache.start();
    let mut run = RunState::new(&decoder);
    let mut all = Vec::new();
    for piece in tokens.chunks(piece) {
        let mut batch = Batch::new();
        batch.push(&sequence, piece, LogitRows::All);
        all.extend_from_slice(decoder.forward(&mut cache, &batch, &mut run).unwrap().values());
    }
    all
}

#[test]
fn every_type_is_its_expansion() {
    let tokens: Vec<u32> = (0..21).map(|i| i * 31 % VOCAB as u32).collect();
    for dtype in DType::KNOWN {
        let stored = tensors(dtype);
        let expanded: Vec<Tensor> = stored
            .iter()
            .map(|t| {
                let bytes: Vec<u8> = t.to_f32().unwrap().iter().flat_map(|x| x.to_le_bytes()).collect();
                Tensor { dtype: DType::F32, data: bytes.into(), ..t.clone() }
            })
            .collect();
        let want = logits(expanded, &tokens, tokens.len());
        let size = (want.iter().map(|x| x * x).sum::<f32>() / want.len() as f32).sqrt();
        assert!(size > 1e-3 && size.is_finite(), "{dtype}: the model says nothing: {size}");
        // Floats differ by the order of sums alone; quantised products also round their activations to bytes.
        let tolerance = if dtype.is_float() { 1e-4 } else { 0.03 };
        for piece in [1, tokens.len()] {
            let got = logits(stored.clone(), &tokens, piece);
            let error =
                got.iter().zip(&want).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / want.len() as f32;
            let error = error.sqrt() / size;
            assert!(error <= tolerance, "{dtype} in pieces of {piece}: relative error {error}");
        }
    }
}
