//! What the tests of the command share: running it, and small models made on the spot.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub(crate) mod http;
#[path = "../../../../tests/real_model.rs"]
pub(crate) mod real_model;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command, with an environment in which nothing of this machine is found unless a test says so.
pub(crate) fn sai(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sai"));
    for name in [
        "HF_ENDPOINT",
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HUGGING_FACE_HUB_TOKEN",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SAI_MODEL",
        "SAI_MODELS",
    ] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("HF_HOME", home.join("hf")).env("XDG_CACHE_HOME", home.join("cache"));
    command.env("XDG_DATA_HOME", home.join("data")).env("XDG_STATE_HOME", home.join("state"));
    // sai speaks English here, whatever the machine speaks.
    command.env("LC_ALL", "C.UTF-8");
    command.current_dir(home).stdin(Stdio::null());
    command
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// The one line that a failure is, beginning with `sai: `.
#[track_caller]
pub(crate) fn fails(command: &mut Command) -> String {
    let ran = run(command);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.starts_with("sai: ") && ran.err.trim_end().lines().count() == 1, "{ran:?}");
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    ran.err
}

#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> Ran {
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// Bytes of a safetensors file with f32 tensors of zeros.
pub(crate) fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in tensors {
        let bytes = shape.iter().product::<usize>() * 4;
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, at + bytes] });
        header.insert((*name).to_owned(), entry);
        at += bytes;
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + at, 0);
    file
}

/// The config of a tiny model of the family `architecture`.
pub(crate) fn config(architecture: &str) -> String {
    serde_json::json!({
        "architectures": [architecture], "model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8,
        "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "vocab_size": 32, "max_position_embeddings": 64, "hidden_act": "silu",
        "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "float32",
    })
    .to_string()
}

/// The tensors that [`config`] asks for.
pub(crate) fn weights() -> Vec<u8> {
    safetensors(&[
        ("model.embed_tokens.weight", &[32, 8]),
        ("model.layers.0.input_layernorm.weight", &[8]),
        ("model.layers.0.mlp.down_proj.weight", &[8, 16]),
        ("model.layers.0.mlp.gate_proj.weight", &[16, 8]),
        ("model.layers.0.mlp.up_proj.weight", &[16, 8]),
        ("model.layers.0.post_attention_layernorm.weight", &[8]),
        ("model.layers.0.self_attn.k_proj.weight", &[4, 8]),
        ("model.layers.0.self_attn.o_proj.weight", &[8, 8]),
        ("model.layers.0.self_attn.q_proj.weight", &[8, 8]),
        ("model.layers.0.self_attn.v_proj.weight", &[4, 8]),
        ("model.norm.weight", &[8]),
    ])
}

/// A GGUF file of the family `architecture` with one tensor of f32 zeros.
pub(crate) fn gguf(architecture: &str) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.as_bytes());
    };
    file.extend(3u32.to_le_bytes());
    file.extend(1u64.to_le_bytes());
    file.extend(4u64.to_le_bytes());
    for (key, value) in [("general.architecture", architecture), ("general.name", "tiny \x1b[31mred")] {
        text(&mut file, key);
        file.extend(8u32.to_le_bytes());
        text(&mut file, value);
    }
    for (key, value) in [("block_count", 1u32), ("embedding_length", 8)] {
        text(&mut file, &format!("{architecture}.{key}"));
        file.extend(4u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    text(&mut file, "token_embd.weight");
    file.extend(2u32.to_le_bytes());
    for extent in [8u64, 4] {
        file.extend(extent.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32) + 8 * 4 * 4, 0);
    file
}
