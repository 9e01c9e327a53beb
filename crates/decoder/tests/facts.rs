//! Facts that files leave unsaid or say in several ways, each of which someone has read wrongly.

use sai_decoder::{
    Batch, CacheType, Config, Cpu, Decoder, Error, KvCache, LogitRows, NormPlace, Positions, QkNorm,
    RopeScaling, RunState,
};
use sai_formats::gguf::{self, Gguf, Value};
use sai_formats::{DType, TensorSpec};
use serde_json::json;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name)
}

/// A family's small description with some keys changed.
fn read(name: &str, changes: serde_json::Value) -> Result<Config, Error> {
    let text = std::fs::read_to_string(folder(name).join("config.json")).unwrap();
    let mut json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    json.extend(changes.as_object().unwrap().clone());
    Config::from_json(&serde_json::Value::Object(json).to_string(), Path::new("config.json"))
}

fn windows(config: &Config) -> Vec<bool> {
    config.layers.iter().map(|layer| layer.window.is_some()).collect()
}

fn turns(config: &Config) -> Vec<bool> {
    config.layers.iter().map(|layer| layer.rope.is_some()).collect()
}

/// The description of a GGUF file with these metadata and an embedding alone.
fn described(architecture: &str, layers: u32, width: u32, heads: u32, length: u32) -> Config {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("m.gguf");
    let number = |name: &str, value: u32| (format!("{architecture}.{name}"), Value::U32(value));
    let metadata = [
        ("general.architecture".to_owned(), Value::String(architecture.to_owned())),
        number("block_count", layers),
        number("embedding_length", width),
        number("feed_forward_length", 8),
        number("context_length", 8192),
        number("attention.head_count", heads),
        number("attention.key_length", length),
        number("attention.value_length", length),
        number("attention.sliding_window", 512),
    ];
    let shape = vec![3, width as usize];
    let spec = TensorSpec { name: "token_embd.weight".to_owned(), dtype: DType::F32, shape };
    let norm = TensorSpec {
        name: "blk.0.attn_q_norm.weight".to_owned(),
        dtype: DType::F32,
        shape: vec![length as usize],
    };
    let specs = if architecture == "gemma2" { vec![spec] } else { vec![spec, norm] };
    let mut writer = gguf::create(&target, &metadata, specs).unwrap();
    writer.write(&vec![0; 4 * 3 * width as usize]).unwrap();
    if architecture != "gemma2" {
        writer.write(&vec![0; 4 * length as usize]).unwrap();
    }
    writer.finish().unwrap();
    Config::from_gguf(&Gguf::open(&target).unwrap()).unwrap()
}

#[test]
fn gemmas_embedding_is_scaled_in_f32() {
    let config = read("gemma3_text", json!({ "hidden_size": 640 })).unwrap();
    assert_eq!(config.embedding_scale, 25.298_221);
    assert_eq!(described("gemma3", 18, 640, 4, 256).embedding_scale, 25.298_221);
}

#[test]
fn what_a_gguf_of_gemma_does_not_say_is_known() {
    let scale = |config: &Config| config.layers[0].attention_scale;
    // 9B and 27B of Gemma 2; 1B and 27B of Gemma 3.
    let small = described("gemma2", 42, 3584, 16, 256);
    assert_eq!((scale(&small), scale(&described("gemma2", 46, 4608, 32, 128))), (1.0 / 16.0, 1.0 / 12.0));
    assert_eq!(windows(&small)[..4], [true, false, true, false]);
    assert_eq!(small.ropes.len(), 1);
    let small = described("gemma3", 26, 1152, 4, 256);
    assert_eq!(scale(&small), 1.0 / 16.0);
    assert_eq!(scale(&described("gemma3", 62, 5376, 32, 128)), 1.0 / 168f32.sqrt());
    assert_eq!(windows(&small)[..7], [true, true, true, true, true, false, true]);
    assert_eq!(small.ropes[1].theta, 10_000.0);
    assert_eq!((small.layers[0].rope, small.layers[5].rope), (Some(1), Some(0)));
}

#[test]
fn gemma3s_linear_factor_is_that_of_global_layers() {
    let config = read("gemma3_text", json!({})).unwrap();
    assert_eq!(config.ropes[0].scaling, RopeScaling::Linear { factor: 8.0 });
    assert_eq!((config.ropes[1].theta, &config.ropes[1].scaling), (10_000.0, &RopeScaling::None));
}

#[test]
fn a_cap_of_null_or_0_is_none() {
    for off in [json!(null), json!(0.0)] {
        let changes = json!({ "attn_logit_softcapping": off, "final_logit_softcapping": off });
        let config = read("gemma2", changes).unwrap();
        assert_eq!((config.attention_soft_cap, config.logit_soft_cap), (None, None));
    }
    let error = read("gemma2", json!({ "final_logit_softcapping": -30.0 })).unwrap_err().to_string();
    assert!(error.contains("`final_logit_softcapping` is -30"), "{error}");
}

#[test]
fn exaone4_turns_where_it_has_a_window_or_everywhere() {
    let read = |changes| read("exaone4", changes).unwrap();
    let none = read(json!({}));
    assert_eq!((windows(&none), turns(&none)), (vec![false; 3], vec![true; 3]));
    assert_eq!((none.norm_place, none.qk_norm), (NormPlace::After, Some(QkNorm::Heads)));
    for pattern in [json!("LLLG"), json!(4), json!(null)] {
        let config = read(json!({
            "num_hidden_layers": 8, "sliding_window": 16, "sliding_window_pattern": pattern, "layer_types": null,
        }));
        let want = [true, true, true, false, true, true, true, false];
        assert_eq!((&windows(&config)[..], &turns(&config)[..]), (&want[..], &want[..]));
    }
    let types = ["full_attention", "sliding_attention", "full_attention"];
    let config = read(json!({ "sliding_window": 16, "sliding_window_pattern": 4, "layer_types": types }));
    assert_eq!(windows(&config), [false, true, false]);
    assert_eq!(turns(&config), [false, true, false]);
}

#[test]
fn granite_divides_logits_and_hyperclovax_multiplies_them() {
    let granite = read("granite", json!({ "logits_scaling": 8.0, "attention_multiplier": null })).unwrap();
    assert_eq!((granite.logit_scale, granite.layers[0].attention_scale), (0.125, 1.0));
    let clova = read("hyperclovax", json!({ "logits_scaling": 8.0 })).unwrap();
    assert_eq!((clova.logit_scale, clova.layers[0].attention_scale), (8.0, 1.0 / 14f32.sqrt()));
    assert_eq!(clova.norm_place, NormPlace::Both);
}

#[test]
fn what_no_row_can_say_is_refused_by_the_fact() {
    for (name, changes, fact) in [
        ("llama", json!({ "model_type": "mixtral" }), "model type `mixtral`"),
        ("qwen3", json!({ "num_experts": 8 }), "mixture of experts (`num_experts`)"),
        ("mpt", json!({ "attn_config": { "prefix_lm": true } }), "attend forward (`prefix_lm`)"),
        ("mpt", json!({ "attn_config": { "attn_type": "grouped_query_attention" } }), "(`attn_type`)"),
        ("mpt", json!({ "logit_scale": "inv_sqrt_d_model" }), "(`logit_scale`)"),
        ("gemma3_text", json!({ "use_bidirectional_attention": true }), "attend forward"),
        ("gpt2", json!({ "add_cross_attention": true }), "attends to an encoder"),
        (
            "qwen3",
            json!({ "layer_types": ["linear_attention", "full_attention", "full_attention"] }),
            "`linear_attention`",
        ),
        ("opt", json!({ "activation_function": "mish" }), "activation `mish`"),
        ("smollm3", json!({ "no_rope_layers": [1, 0] }), "`no_rope_layers` is of 2 layers"),
        ("phi3-longrope", json!({ "partial_rotary_factor": 0.5 }), "rotary scaling makes no sense"),
        (
            "exaone4",
            json!({ "sliding_window": 4, "layer_types": null, "sliding_window_pattern": 0 }),
            "letters L and G",
        ),
    ] {
        let error = read(name, changes).unwrap_err().to_string();
        assert!(error.starts_with("config.json: ") && error.contains(fact), "{fact}: {error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn a_model_with_eyes_is_read_as_its_decoder() {
    let text = std::fs::read_to_string(folder("gemma3_text").join("config.json")).unwrap();
    let inner: serde_json::Value = serde_json::from_str(&text).unwrap();
    let outer = json!({ "model_type": "gemma3", "vision_config": {}, "text_config": inner }).to_string();
    let config = Config::from_json(&outer, Path::new("config.json")).unwrap();
    let own = read("gemma3_text", json!({})).unwrap();
    assert_eq!(Config { architecture: own.architecture.clone(), ..config }, own);
}

fn load(name: &str, threads: usize) -> Decoder<Cpu> {
    let (container, config) = Config::open(&folder(name)).unwrap();
    Decoder::load(Cpu::new(threads), config, &container).unwrap()
}

/// Logits of the last tokens of texts that are computed together, in pieces of so many tokens.
fn logits(decoder: &Decoder<Cpu>, texts: &[&[u32]], piece: usize) -> Vec<Vec<f32>> {
    let length = texts.iter().map(|text| text.len()).max().unwrap();
    let positions = 64 * texts.len() + texts.iter().map(|text| text.len()).sum::<usize>();
    let mut cache = KvCache::new(&decoder.device, &decoder.config, positions, CacheType::F32).unwrap();
    let sequences: Vec<_> = texts.iter().map(|_| cache.start()).collect();
    let mut run = RunState::new(decoder);
    let mut last = vec![Vec::new(); texts.len()];
    for start in (0..length).step_by(piece) {
        let mut batch = Batch::new();
        let mut pushed = Vec::new();
        for (i, (text, sequence)) in texts.iter().zip(&sequences).enumerate() {
            if let Some(rows) =
                text.get(start..(start + piece).min(text.len())).filter(|rows| !rows.is_empty())
            {
                batch.push_of(sequence, rows, LogitRows::Last, text.len());
                pushed.push(i);
            }
        }
        let found = decoder.forward(&mut cache, &batch, &mut run).unwrap();
        for (row, i) in found.values().chunks(decoder.config.vocab_size).zip(pushed) {
            last[i] = row.to_vec();
        }
    }
    last
}

#[test]
fn neighbours_pieces_and_threads_change_nothing() {
    for entry in std::fs::read_dir(folder("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let [one, three] = [1, 3].map(|threads| load(&name, threads));
        let text: Vec<u32> = (0..150u32).map(|i| i * 37 % 199).collect();
        let short: Vec<u32> = (0..40u32).map(|i| i * 53 % 211).collect();
        let whole = logits(&one, &[&text], 150);
        assert!(whole == logits(&three, &[&text], 150), "{name}: other bits on other threads");
        let together = logits(&three, &[&short, &text], 150);
        let alone = [logits(&one, &[&short], 40)[0].clone(), whole[0].clone()];
        for (alone, other) in [(&alone[0], &together[0]), (&alone[1], &together[1])]
            .into_iter()
            .chain([(&alone[1], &logits(&one, &[&text], 31)[0])])
        {
            let apart = alone.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-4, "{name}: logits differ by {apart}");
        }
    }
}

#[test]
fn a_text_that_outgrows_longropes_first_context_is_begun_again() {
    let decoder = load("phi3-longrope", 2);
    assert_eq!(decoder.config.rope_switch(), Some(64));
    let text: Vec<u32> = (0..70u32).map(|i| i * 37 % 199).collect();
    let mut cache = KvCache::new(&decoder.device, &decoder.config, 256, CacheType::F32).unwrap();
    let mut run = RunState::new(&decoder);
    let mut push = |cache: &mut KvCache<Cpu>, sequence: &_, rows: &[u32]| {
        let mut batch = Batch::new();
        batch.push(sequence, rows, LogitRows::Last);
        decoder.forward(cache, &batch, &mut run).map(|logits| logits.values().to_vec())
    };
    let sequence = cache.start();
    push(&mut cache, &sequence, &text[..64]).unwrap();
    let error = push(&mut cache, &sequence, &text[64..]).unwrap_err();
    assert!(matches!(error, Error::OtherTurn { at: 64 }), "{error}");
    assert_eq!(cache.length(&sequence), 64, "nothing was added");
    // What was shared with it is of no use either; begun again, it goes on.
    let fork = cache.fork(&sequence);
    assert!(push(&mut cache, &fork, &text[64..]).is_err());
    cache.truncate(&sequence, 0);
    push(&mut cache, &sequence, &text).unwrap();
    // Cut back below the border, its keys are still the long ones.
    cache.truncate(&sequence, 60);
    assert!(push(&mut cache, &sequence, &text[60..62]).is_err());
    assert!(push(&mut cache, &sequence, &text[60..]).is_ok());
}

#[test]
fn a_text_longer_than_the_table_of_positions_is_refused() {
    for name in ["gpt2", "opt", "xglm"] {
        let decoder = load(name, 1);
        assert_eq!(decoder.config.most_positions(), Some(256));
        let mut cache = KvCache::new(&decoder.device, &decoder.config, 512, CacheType::F32).unwrap();
        let (sequence, mut run) = (cache.start(), RunState::new(&decoder));
        let mut batch = Batch::new();
        batch.push(&sequence, &[5; 256], LogitRows::None);
        decoder.forward(&mut cache, &batch, &mut run).unwrap();
        batch.clear();
        batch.push(&sequence, &[5], LogitRows::None);
        let error = decoder.forward(&mut cache, &batch, &mut run).unwrap_err();
        assert!(matches!(error, Error::NoPosition { most: 256 }), "{name}: {error}");
        assert_eq!(cache.length(&sequence), 256);
    }
}

#[test]
fn alibi_and_positions_are_told_apart() {
    assert_eq!(read("mpt", json!({})).unwrap().positions, Positions::Alibi { max_bias: 8.0 });
    assert_eq!(read("mpt-learned", json!({})).unwrap().positions, Positions::Learned { offset: 0 });
    assert_eq!(read("opt", json!({})).unwrap().positions, Positions::Learned { offset: 2 });
}
