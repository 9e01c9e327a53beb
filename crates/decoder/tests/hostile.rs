//! Descriptions and tensors that contradict each other are refused in one line that names the file and the fact.

use sai_decoder::{CacheType, Config, Cpu, Decoder, Error};
use sai_formats::{Container, DType, Tensor, Tensors};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/odd-heads")
}

fn refused(error: &Error, facts: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    for fact in facts {
        assert!(text.contains(fact), "`{fact}` is not in: {text}");
    }
}

#[test]
fn a_description_that_makes_no_sense_is_refused() {
    let good = std::fs::read_to_string(folder().join("config.json")).unwrap();
    let good: serde_json::Value = serde_json::from_str(&good).unwrap();
    let path = Path::new("m/config.json");
    let read = |changes: &[(&str, serde_json::Value)]| {
        let mut json = good.clone();
        for (key, value) in changes {
            json[*key] = value.clone();
        }
        Config::from_json(&json.to_string(), path)
    };
    assert!(read(&[]).is_ok());
    for (changes, fact) in [
        (vec![("model_type", "mamba".into())], "model type `mamba`"),
        (vec![("hidden_act", "quick_gelu".into())], "activation `quick_gelu`"),
        (vec![("num_local_experts", 8.into())], "mixture of experts (`num_local_experts`)"),
        (vec![("layer_types", serde_json::json!(["linear_attention"]))], "of type `linear_attention`"),
        (vec![("num_key_value_heads", 2.into())], "evenly"),
        (vec![("num_attention_heads", 0.into())], "`num_attention_heads` is 0"),
        (vec![("num_key_value_heads", 0.into())], "`num_key_value_heads` is 0"),
        (vec![("head_dim", 7.into())], "turns 7"),
        (vec![("hidden_size", (1u64 << 62).into())], "`hidden_size`"),
        (vec![("vocab_size", (-1).into())], "m/config.json"),
        (vec![("rope_theta", 0.0.into())], "`rope_theta`"),
        (vec![("rms_norm_eps", (-1.0).into())], "epsilon of its norms is -1"),
        (vec![("vocab_size", "many".into())], "`vocab_size` is the text \"many\" where a whole number"),
        (vec![("model_type", "mistral".into()), ("sliding_window", 0.into())], "`sliding_window` is 0"),
        (
            vec![("model_type", "gemma2".into()), ("layer_types", serde_json::json!(["full_attention"]))],
            "`layer_types` is of 1",
        ),
        (vec![("rope_scaling", serde_json::json!({"type": "dynamic", "factor": 2.0}))], "`dynamic`"),
        (
            vec![("rope_scaling", serde_json::json!({"rope_type": "llama3", "factor": 2.0}))],
            "lacks its `low_freq_factor`",
        ),
        (vec![("rope_scaling", serde_json::json!({"rope_type": "linear", "factor": 0.0}))], "makes no sense"),
    ] {
        refused(&read(&changes).unwrap_err(), &["m/config.json", fact]);
    }
    for text in ["", "[", "{}", "null", "[1]", "{\"model_type\": 3}"] {
        refused(&Config::from_json(text, path).unwrap_err(), &["m/config.json"]);
    }
}

#[test]
fn tensors_that_contradict_the_description_are_refused() {
    let (container, config) = Config::open(&folder()).unwrap();
    let load = |change: &dyn Fn(&Tensor) -> Option<Tensor>| {
        let tensors = container.tensors().iter().filter_map(change).collect();
        let container = Container::Safetensors(Tensors::new(&folder(), tensors).unwrap());
        Decoder::load(Cpu::new(1), config.clone(), &container).err()
    };
    let target = "model.layers.1.mlp.up_proj.weight";
    assert!(load(&|t| Some(t.clone())).is_none());
    let error = load(&|t| (t.name != target).then(|| t.clone())).unwrap();
    refused(&error, &["odd-heads", target, "missing"]);
    let error = load(&|t| {
        let shape = if t.name == target { vec![t.shape[1], t.shape[0]] } else { t.shape.clone() };
        Some(Tensor { shape, ..t.clone() })
    })
    .unwrap();
    refused(&error, &["model.safetensors", target, "[108, 172]", "[172, 108]"]);
    let error = load(&|t| {
        let dtype = if t.name == target { DType::from_ggml(26).unwrap() } else { t.dtype };
        Some(Tensor { dtype, ..t.clone() })
    })
    .unwrap();
    refused(&error, &["model.safetensors", target, "I32"]);
}

#[test]
fn what_a_model_takes_is_known_before_it_is_loaded() {
    let (container, config) = Config::open(&folder()).unwrap();
    let memory = Decoder::<Cpu>::memory(&config, &container, 100, CacheType::F16);
    assert_eq!(memory.weights, container.tensors().total_bytes());
    // Two sides, two layers, three heads of 48, 128 positions in whole pages, two bytes.
    assert_eq!(memory.kv_cache, 2 * 2 * 3 * 48 * 128 * 2);
    let huge = Decoder::<Cpu>::memory(&config, &container, usize::MAX / 4, CacheType::F32);
    assert_eq!(huge.total(), u64::MAX);
    assert_eq!(
        config.parameters(),
        container
            .tensors()
            .iter()
            .filter(|t| !t.name.contains("lm_head"))
            .map(|t| t.elements() as u64)
            .sum::<u64>()
    );
}
