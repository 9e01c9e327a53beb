//! Hugging Face folders made on the spot: a tiny random model with one of the tokenizer's own fixtures.

use sai_decoder::Config;
use sai_formats::{DType, TensorSpec, safetensors};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A file of the tokenizer's fixtures, from here and from `peers/llama-cpp`, whose tests share this file.
pub(crate) fn vocabulary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/tokenizer/tests/fixtures").join(name)
}

/// SplitMix64, as a number about zero.
fn random(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// The description of a tiny model; `more` replaces and adds fields.
pub(crate) fn config(more: Value) -> Value {
    let mut config = json!({
        "model_type": "llama", "vocab_size": 1024, "hidden_size": 48, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 256, "tie_word_embeddings": false, "rope_theta": 10000.0,
    });
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

/// Writes `config.json` and random weights of `dtype` into `folder`.
pub(crate) fn write_model(folder: &Path, config: &Value, dtype: DType) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("config.json"), config.to_string()).expect("a file");
    let c = Config::from_json(&config.to_string(), folder).expect("a configuration");
    let (d, f) = (c.hidden_size, c.intermediate_size);
    let (queries, keys) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![c.vocab_size, d]),
        ("model.norm.weight".into(), vec![d]),
    ];
    if !c.tie_word_embeddings {
        shapes.push(("lm_head.weight".into(), vec![c.vocab_size, d]));
    }
    for layer in 0..c.num_layers {
        for (name, shape) in [
            ("input_layernorm.weight", vec![d]),
            ("post_attention_layernorm.weight", vec![d]),
            ("self_attn.q_proj.weight", vec![queries, d]),
            ("self_attn.k_proj.weight", vec![keys, d]),
            ("self_attn.v_proj.weight", vec![keys, d]),
            ("self_attn.o_proj.weight", vec![d, queries]),
            ("mlp.gate_proj.weight", vec![f, d]),
            ("mlp.up_proj.weight", vec![f, d]),
            ("mlp.down_proj.weight", vec![d, f]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}"), shape));
        }
        if c.qkv_bias {
            for (name, length) in [("q", queries), ("k", keys), ("v", keys)] {
                shapes.push((format!("model.layers.{layer}.self_attn.{name}_proj.bias"), vec![length]));
            }
        }
    }
    let specs = shapes.into_iter().map(|(name, shape)| TensorSpec { name, dtype, shape }).collect();
    let mut writer = safetensors::create(&folder.join("model.safetensors"), &[], specs).expect("a file");
    let mut state = 42;
    while let Some(spec) = writer.next_tensor().cloned() {
        let elements: usize = spec.shape.iter().product();
        let size = 3.0 / (spec.shape.last().copied().unwrap_or(1) as f32).sqrt();
        let bytes: Vec<u8> = (0..elements)
            .flat_map(|_| {
                let x = if spec.shape.len() == 1 {
                    1.0 + 0.3 * random(&mut state)
                } else {
                    size * random(&mut state)
                };
                // The upper half of an f32 is a bf16, and a bf16 is an f32 whose lower half is zero.
                let bits = x.to_bits() & 0xffff_0000;
                let f32_bytes = bits.to_le_bytes();
                f32_bytes[if dtype == DType::F32 { 0 } else { 2 }..].to_vec()
            })
            .collect();
        writer.write(&bytes).expect("a tensor");
    }
    writer.finish().expect("a file");
}

/// A folder of a tiny model with the vocabulary `name.json` of the fixtures.
pub(crate) fn with_tokenizer_json(folder: &Path, name: &str, more: Value) {
    let family = if name == "qwen2" { "qwen2" } else { "llama" };
    let mut fields = json!({ "model_type": family });
    for (key, value) in more.as_object().expect("an object") {
        fields[key] = value.clone();
    }
    write_model(folder, &config(fields), DType::BF16);
    std::fs::copy(vocabulary(&format!("{name}.json")), folder.join("tokenizer.json")).expect("a copy");
    let roles = json!({ "eos_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast" });
    std::fs::write(folder.join("tokenizer_config.json"), roles.to_string()).expect("a file");
}

/// A folder as 42dot publishes it: `vocab.json` and `merges.txt`, no template, more rows than tokens.
pub(crate) fn fortytwo_dot(folder: &Path) {
    write_model(folder, &config(json!({ "vocab_size": 640, "num_key_value_heads": 4 })), DType::F32);
    for name in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"] {
        std::fs::copy(vocabulary(&format!("fortytwo_dot/{name}")), folder.join(name)).expect("a copy");
    }
}
