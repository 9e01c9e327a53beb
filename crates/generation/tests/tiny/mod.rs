//! A model of a few thousand random weights in f32, with a byte of the alphabet for each token.

use sai_formats::{DType, TensorSpec, safetensors};
use sai_generation::convert::GgufModel;
use sai_generation::{Config, LoadOptions, Mix, Model, Plan};
use std::ops::ControlFlow;
use std::path::Path;

/// Tokens of the vocabulary: the characters from `!` on.
pub(crate) const VOCAB: usize = 64;
const HIDDEN: usize = 32;
/// No multiple of a block of weights.
const FFN: usize = 48;
/// The same for models whose matrices are quantised.
const WHOLE_FFN: usize = 64;

/// Writes the model's folder.
pub(crate) fn write(folder: &Path, seed: u64) {
    write_with(folder, seed, FFN);
}

fn write_with(folder: &Path, seed: u64, ffn: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN, "intermediate_size": ffn,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 256, "tie_word_embeddings": false,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let vocab: serde_json::Map<_, _> =
        (0..VOCAB).map(|id| (char::from(b'!' + id as u8).to_string(), id.into())).collect();
    std::fs::write(folder.join("vocab.json"), serde_json::Value::Object(vocab).to_string()).unwrap();
    std::fs::write(folder.join("merges.txt"), "").unwrap();

    let mut shapes = vec![
        ("model.embed_tokens".to_owned(), vec![VOCAB, HIDDEN]),
        ("lm_head".to_owned(), vec![VOCAB, HIDDEN]),
        ("model.norm".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..2 {
        for (name, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.k_proj", vec![HIDDEN / 2, HIDDEN]),
            ("self_attn.v_proj", vec![HIDDEN / 2, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
            ("mlp.gate_proj", vec![ffn, HIDDEN]),
            ("mlp.up_proj", vec![ffn, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, ffn]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}"), shape));
        }
    }
    let specs = shapes
        .into_iter()
        .map(|(name, shape)| TensorSpec { name: format!("{name}.weight"), dtype: DType::F32, shape })
        .collect();
    let mut writer = safetensors::create(&folder.join("model.safetensors"), &[], specs).unwrap();
    let mut state = seed;
    while let Some(spec) = writer.next_tensor().cloned() {
        let elements: usize = spec.shape.iter().product();
        let values: Vec<u8> = (0..elements)
            .map(|_| if spec.shape.len() == 1 { 1.0 } else { uniform(&mut state) })
            .flat_map(f32::to_le_bytes)
            .collect();
        writer.write(&values).unwrap();
    }
    writer.finish().unwrap();
}

/// The model, opened with `options`.
pub(crate) fn open(seed: u64, options: &LoadOptions) -> Model {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), seed);
    Model::open(folder.path(), options).unwrap()
}

/// The model with its matrices in `mix`, opened with `options`.
#[allow(dead_code)]
pub(crate) fn open_quantized(seed: u64, mix: Mix, options: &LoadOptions) -> Model {
    let folder = tempfile::tempdir().unwrap();
    write_with(folder.path(), seed, WHOLE_FFN);
    let (_, config) = Config::open(folder.path()).unwrap();
    let gguf = GgufModel::open(folder.path(), None).unwrap();
    let plan = Plan::new(&config, &gguf.metadata, &gguf.tensors, mix, None).unwrap();
    let path = folder.path().join("model.gguf");
    let written = plan.write(&path, 1, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(written.is_continue());
    Model::open(path.as_path(), options).unwrap()
}

/// From -0.5 to 0.5 (SplitMix64).
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}
