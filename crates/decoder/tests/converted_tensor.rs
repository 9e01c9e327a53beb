//! A model in its other form is the same model: the random models of `golden.rs` become GGUF files and folders again.

use sai_decoder::{
    Batch, CacheType, Config, ConvertedTensor, Cpu, Decoder, KEPT_TYPES, KvCache, LogitRows, RunState,
};
use sai_formats::gguf::{self, Array, Gguf, Value};
use sai_formats::{Container, DType, Tensor, Tensors, safetensors};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn write_gguf(target: &Path, metadata: &[(String, Value)], tensors: &[ConvertedTensor]) {
    let specs = tensors.iter().map(|converted| converted.spec.clone()).collect();
    let mut writer = gguf::create(target, metadata, specs).unwrap();
    tensors.iter().for_each(|converted| writer.write(&converted.tensor().unwrap().data).unwrap());
    writer.finish().unwrap();
}

/// The folder's model as a GGUF file.
fn to_gguf(folder: &Path, target: &Path, dtype: Option<DType>) -> Gguf {
    let (container, config) = Config::open(folder).unwrap();
    let converted = sai_decoder::to_gguf(&config, container.tensors(), dtype).unwrap();
    let mut metadata = config.to_gguf(folder).unwrap();
    metadata.push((KEPT_TYPES.to_owned(), Value::Array(Array::from_strings(&converted.kept_types))));
    write_gguf(target, &metadata, &converted.tensors);
    Gguf::open(target).unwrap()
}

fn logits(config: Config, container: &Container) -> Vec<f32> {
    let decoder = Decoder::load(Cpu::new(2), config, container).unwrap();
    let tokens: Vec<u32> = (0..90).map(|i| i * 31 % decoder.config.vocab_size as u32).collect();
    let mut cache = KvCache::new(&decoder.device, &decoder.config, tokens.len(), CacheType::F32).unwrap();
    let sequence = cache.start();
    let mut run = RunState::new(&decoder);
    let mut batch = Batch::new();
    batch.push(&sequence, &tokens, LogitRows::Last);
    decoder.forward(&mut cache, &batch, &mut run).unwrap().values().to_vec()
}

fn by_name(tensors: &Tensors) -> Vec<&Tensor> {
    let mut all: Vec<&Tensor> = tensors.iter().filter(|t| !t.name.ends_with("rotary_emb.inv_freq")).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

const MODELS: [&str; 8] =
    ["odd-heads", "vocab-50257", "qwen2", "rope-linear", "rope-llama3", "rope-yarn", "sharded", "biases"];

#[test]
fn every_model_goes_there_and_back() {
    let home = tempfile::tempdir().unwrap();
    for name in MODELS {
        let folder = fixture(name);
        let (container, config) = Config::open(&folder).unwrap();
        let gguf = to_gguf(&folder, &home.path().join(name), None);
        let theirs = Config::from_gguf(&gguf).unwrap();
        assert_eq!(theirs.ropes[0].scaling, config.ropes[0].scaling, "{name}");
        assert_eq!(theirs.parameters(), config.parameters(), "{name}");

        let want = logits(config.clone(), &container);
        let got = logits(theirs.clone(), &Container::Gguf(gguf.clone()));
        // Pairs beside each other are summed in another order; where rows stay, nothing differs.
        let most = if theirs.ropes[0].style == config.ropes[0].style { 0.0 } else { 1e-4 };
        let difference = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= most, "{name}: logits differ by {difference}");

        let kept = gguf.metadata.strings(KEPT_TYPES).unwrap().unwrap();
        let back = sai_decoder::to_hugging_face(&theirs, &gguf.tensors, None, &kept).unwrap();
        let back: Vec<Tensor> = back.iter().map(|converted| converted.tensor().unwrap()).collect();
        let back = Tensors::new(&folder, back).unwrap();
        for (a, b) in by_name(container.tensors()).into_iter().zip(by_name(&back)) {
            assert_eq!((&a.name, a.dtype, &a.shape), (&b.name, b.dtype, &b.shape), "{name}");
            assert!(a.data == b.data, "{name}: {}", a.name);
        }
        assert_eq!(by_name(container.tensors()).len(), back.len(), "{name}");

        let json = serde_json::Value::Object(theirs.to_json(&folder).unwrap()).to_string();
        assert_eq!(Config::from_json(&json, &folder).unwrap(), config, "{name}");
    }
}

#[test]
fn the_sharded_model_keeps_its_types() {
    let home = tempfile::tempdir().unwrap();
    let gguf = to_gguf(&fixture("sharded"), &home.path().join("m"), None);
    let dtype = |name: &str| gguf.tensors.get(name).unwrap().dtype;
    assert_eq!(dtype("blk.0.attn_q.weight"), DType::BF16);
    assert_eq!(dtype("blk.1.attn_q.weight"), DType::F16);
    assert_eq!(dtype("blk.2.attn_q.weight"), DType::F32);
    assert!(gguf.tensors.iter().filter(|t| t.shape.len() == 1).all(|t| t.dtype == DType::F32));
    assert_eq!(gguf.metadata.strings(KEPT_TYPES).unwrap().unwrap(), Vec::<&str>::new());
}

#[test]
fn a_vector_of_another_type_than_its_matrix_keeps_it() {
    let home = tempfile::tempdir().unwrap();
    let (container, config) = Config::open(&fixture("qwen2")).unwrap();
    // A norm of ones, in f32 beside bf16 matrices: bf16 would hold it as well.
    let tensors = container.tensors().iter().map(|t| match t.name.as_str() {
        "model.norm.weight" => {
            let data: Vec<u8> = (0..config.hidden_size).flat_map(|_| 1f32.to_le_bytes()).collect();
            Tensor { dtype: DType::F32, data: data.into(), ..t.clone() }
        }
        _ => t.clone(),
    });
    let tensors = Tensors::new(Path::new("m"), tensors.collect()).unwrap();
    let converted = sai_decoder::to_gguf(&config, &tensors, None).unwrap();
    assert_eq!(converted.kept_types, ["output_norm.weight=F32"]);
    let target = home.path().join("m.gguf");
    write_gguf(&target, &config.to_gguf(Path::new("m")).unwrap(), &converted.tensors);
    let gguf = Gguf::open(&target).unwrap();
    let kept: Vec<&str> = converted.kept_types.iter().map(String::as_str).collect();
    for (kept, dtype) in [(&kept[..], DType::F32), (&[], DType::BF16)] {
        let back = sai_decoder::to_hugging_face(&config, &gguf.tensors, None, kept).unwrap();
        let norm = back.iter().find(|converted| converted.spec.name == "model.norm.weight").unwrap();
        assert_eq!(norm.spec.dtype, dtype);
    }
}

#[test]
fn a_type_that_is_asked_for_is_given() {
    let home = tempfile::tempdir().unwrap();
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let gguf = to_gguf(&fixture("biases"), &home.path().join(dtype.name()), Some(dtype));
        for tensor in &gguf.tensors {
            let expected = if tensor.shape.len() == 1 { DType::F32 } else { dtype };
            assert_eq!(tensor.dtype, expected, "{}", tensor.name);
        }
        let config = Config::from_gguf(&gguf).unwrap();
        let back = sai_decoder::to_hugging_face(&config, &gguf.tensors, Some(DType::F32), &[]).unwrap();
        assert!(back.iter().all(|converted| converted.spec.dtype == DType::F32));
    }
}

#[test]
fn what_would_be_lost_is_refused() {
    let (container, config) = Config::open(&fixture("rope-yarn-full")).unwrap();
    let error = config.to_gguf(Path::new("m")).unwrap_err().to_string();
    assert!(error.starts_with("m: ") && error.contains("truncate"), "{error}");

    let mut tensors: Vec<Tensor> = container.tensors().iter().cloned().collect();
    tensors.push(Tensor { name: "model.layers.0.self_attn.q_norm.weight".into(), ..tensors[0].clone() });
    let more = Tensors::new(Path::new("m"), tensors.clone()).unwrap();
    let error = sai_decoder::to_gguf(&config, &more, None).err().unwrap().to_string();
    assert!(error.contains("q_norm.weight` is none that the model's description has"), "{error}");

    tensors.truncate(tensors.len() - 2);
    let fewer = Tensors::new(Path::new("m"), tensors).unwrap();
    let error = sai_decoder::to_gguf(&config, &fewer, None).err().unwrap().to_string();
    assert!(error.contains("is missing"), "{error}");

    let rope = config.ropes[0].clone();
    let plain = sai_decoder::RopeScaling::None;
    let part = sai_decoder::Rope { dim: 16, scaling: plain, ..rope.clone() };
    let partial = Config { ropes: vec![part], ..config.clone() };
    // Both forms have a key for it.
    assert!(partial.to_gguf(Path::new("m")).is_ok() && partial.to_json(Path::new("m")).is_ok());
    let integers = DType::from_name("I32").unwrap();
    let tensors = container.tensors().iter().map(|t| match t.name.as_str() {
        "model.norm.weight" => Tensor { dtype: integers, ..t.clone() },
        _ => t.clone(),
    });
    let odd = Tensors::new(Path::new("m"), tensors.collect()).unwrap();
    let error = sai_decoder::to_gguf(&config, &odd, None).err().unwrap().to_string();
    assert!(error.contains("type I32, which sai cannot run"), "{error}");
    let divisors = sai_decoder::RopeScaling::Divisors((0..16).map(|i| 1.0 + i as f32).collect());
    let strange = Config { ropes: vec![sai_decoder::Rope { scaling: divisors, ..rope }], ..config };
    let error = strange.to_json(Path::new("m.gguf")).unwrap_err().to_string();
    assert!(error.starts_with("m.gguf: ") && error.contains("divisors"), "{error}");
}

#[test]
fn a_tied_head_that_is_there_too_is_passed_over() {
    let (_, config) = Config::open(&fixture("odd-heads")).unwrap();
    let tensors = safetensors::open(&fixture("odd-heads")).unwrap();
    let embedding = tensors.get("model.embed_tokens.weight").unwrap().clone();
    let head = Tensor { name: "lm_head.weight".into(), ..embedding };
    let all: Vec<Tensor> = tensors.iter().cloned().chain([head]).collect();
    let converted = sai_decoder::to_gguf(&config, &Tensors::new(Path::new("m"), all).unwrap(), None).unwrap();
    assert!(converted.tensors.iter().all(|converted| converted.spec.name != "output.weight"));
}

fn family(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name)
}

/// Families that llama.cpp has, as far as their facts go there.
const FAMILIES: [&str; 16] = [
    "exaone",
    "exaone4-square",
    "gemma2-head-scale",
    "gemma3_text-head-scale",
    "gpt2",
    "gpt_neox",
    "gpt_neox-sequential",
    "granite",
    "llama",
    "mpt",
    "mpt-learned",
    "olmo2",
    "phi3",
    "phi3-longrope",
    "qwen3",
    "smollm3",
];

#[test]
fn every_family_goes_there_and_back() {
    let home = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let folder = family(name);
        let (container, config) = Config::open(&folder).unwrap();
        let converted = sai_decoder::to_gguf(&config, container.tensors(), None).unwrap();
        let target = home.path().join(name);
        write_gguf(&target, &config.to_gguf(&folder).unwrap(), &converted.tensors);
        let gguf = Gguf::open(&target).unwrap();
        let theirs = Config::from_gguf(&gguf).unwrap();
        assert_eq!(theirs.parameters(), config.parameters(), "{name}");

        let want = logits(config.clone(), &container);
        let got = logits(theirs.clone(), &Container::Gguf(gguf.clone()));
        let difference = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= 1e-4, "{name}: logits differ by {difference}");

        let kept: Vec<&str> = converted.kept_types.iter().map(String::as_str).collect();
        let back = sai_decoder::to_hugging_face(&theirs, &gguf.tensors, None, &kept).unwrap();
        let back: Vec<Tensor> = back.iter().map(|converted| converted.tensor().unwrap()).collect();
        let json = serde_json::Value::Object(theirs.to_json(&folder).unwrap()).to_string();
        let again = Config::from_json(&json, &folder).unwrap();
        let back = Container::Safetensors(Tensors::new(&folder, back).unwrap());
        let again = logits(again, &back);
        let difference = want.iter().zip(&again).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= 1e-4, "{name}: logits there and back differ by {difference}");
    }
}

#[test]
fn what_llama_cpp_cannot_say_is_refused_by_the_fact() {
    for (name, fact) in [
        ("opt", "no architecture for `opt`"),
        ("xglm", "no architecture for `xglm`"),
        ("hyperclovax", "no architecture for `hyperclovax`"),
        ("gpt2-inverse-layer", "a scale of attention of its own"),
        ("gemma3_text", "a scale of attention of its own"),
        ("mpt-clipped", "a scale of attention of its own"),
        ("mistral", "a sliding window of 21"),
        ("qwen2-window", "a sliding window of 19"),
        ("exaone4", "heads of 84 together in layers of 54"),
        ("mosaic_gpt", "no architecture for `mosaic_gpt`"),
    ] {
        let (_, config) = Config::open(&family(name)).unwrap();
        let error =
            config.to_gguf(Path::new("m")).err().map_or("nothing".to_owned(), |error| error.to_string());
        assert!(error.starts_with("m: ") && error.contains(fact), "{name}: {error}");
    }
}

#[test]
fn every_folder_is_described_again_in_its_own_words() {
    for entry in std::fs::read_dir(family("")).unwrap() {
        let folder = entry.unwrap().path();
        let (_, config) = Config::open(&folder).unwrap();
        let json = serde_json::Value::Object(config.to_json(&folder).unwrap()).to_string();
        assert_eq!(Config::from_json(&json, &folder).unwrap(), config, "{}", folder.display());
    }
}
