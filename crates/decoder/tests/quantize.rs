//! A whole model into every mix and back, and the importances that guide it.

use sai_decoder::{
    ActivationRecorder, Batch, CacheType, Config, ConvertedTensor, Cpu, Decoder, Error, Imatrix, KvCache,
    LogitRows, Mix, Plan, RunState, to_gguf,
};
use sai_formats::gguf::{Gguf, Value};
use sai_formats::{Container, DType, Tensor, Tensors};
use std::ops::ControlFlow;
use std::path::Path;

const HIDDEN: usize = 256;
const INTERMEDIATE: usize = 512;
const LAYERS: usize = 8;
const VOCAB: usize = 72;
const KEYS: usize = 64;

fn config(tied: bool) -> Config {
    let json = serde_json::json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 128, "tie_word_embeddings": tied,
    });
    Config::from_json(&json.to_string(), Path::new("config.json")).unwrap()
}

/// Numbers from -1/16 to 1/16, the same on every call.
fn numbers(count: usize, seed: u32) -> Vec<u8> {
    let number = |i: u32| {
        let bits = (i ^ seed.wrapping_mul(0x85EB_CA6B)).wrapping_mul(0x9E37_79B9);
        ((bits ^ bits >> 15).wrapping_mul(0x2C1B_3C6D) >> 8) as f32 / (1 << 27) as f32 - 1.0 / 16.0
    };
    (0..count as u32).flat_map(|i| number(i).to_le_bytes()).collect()
}

fn folder(tied: bool) -> Tensors {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let data = match shape {
            [length] => (0..*length).flat_map(|_| 1f32.to_le_bytes()).collect(),
            _ => numbers(shape.iter().product(), all.len() as u32),
        };
        let (shape, file) = (shape.to_vec(), Path::new("model.safetensors").into());
        all.push(Tensor { name, dtype: DType::F32, shape, data: data.into(), file });
    };
    add("model.embed_tokens.weight".into(), &[VOCAB, HIDDEN]);
    for layer in 0..LAYERS {
        for (name, rows, columns) in [
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", KEYS, HIDDEN),
            ("self_attn.v_proj", KEYS, HIDDEN),
            ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", INTERMEDIATE, HIDDEN),
            ("mlp.up_proj", INTERMEDIATE, HIDDEN),
            ("mlp.down_proj", HIDDEN, INTERMEDIATE),
        ] {
            add(format!("model.layers.{layer}.{name}.weight"), &[rows, columns]);
        }
        for name in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("model.layers.{layer}.{name}.weight"), &[HIDDEN]);
        }
    }
    add("model.norm.weight".into(), &[HIDDEN]);
    if !tied {
        add("lm_head.weight".into(), &[VOCAB, HIDDEN]);
    }
    Tensors::new(Path::new("model.safetensors"), all).unwrap()
}

/// A model in GGUF's form: its description, metadata and tensors.
struct Model {
    config: Config,
    metadata: Vec<(String, Value)>,
    tensors: Vec<ConvertedTensor>,
}

fn model(tied: bool) -> Model {
    let config = config(tied);
    let tensors = to_gguf(&config, &folder(tied), None).unwrap().tensors;
    let mut metadata = config.to_gguf(Path::new("config.json")).unwrap();
    metadata.push(("general.file_type".into(), Value::U32(0)));
    metadata.push(("quantize.imatrix.file".into(), Value::String("of before".into())));
    Model { config, metadata, tensors }
}

impl Model {
    fn plan(&self, mix: Mix, imatrix: Option<&Imatrix>) -> Result<Plan<'_>, Error> {
        Plan::new(&self.config, &self.metadata, &self.tensors, mix, imatrix)
    }

    /// The file of a mix, opened.
    fn file(&self, mix: Mix, imatrix: Option<&Imatrix>, threads: usize, target: &Path) -> Gguf {
        let plan = self.plan(mix, imatrix).unwrap();
        let mut last = 0;
        let done = plan.write(target, threads, &mut |bytes| {
            last = bytes;
            ControlFlow::Continue(())
        });
        assert!(done.unwrap().is_continue());
        assert_eq!(last, plan.bytes_after());
        Gguf::open(target).unwrap()
    }
}

fn logits(container: &Container, config: Config) -> Vec<f32> {
    let tokens: Vec<u32> = (0..17).map(|i| i * 31 % VOCAB as u32).collect();
    let decoder = Decoder::load(Cpu::new(1), config, container).unwrap();
    let mut cache = KvCache::new(&decoder.device, &decoder.config, 32, CacheType::F32).unwrap();
    let sequence = cache.start();
    let mut batch = Batch::new();
    batch.push(&sequence, &tokens, LogitRows::All);
    let mut run = RunState::new(&decoder);
    decoder.forward(&mut cache, &batch, &mut run).unwrap().values().to_vec()
}

/// What a model of many texts would find, made of one pass over `folder`.
fn recorded(tied: bool, container: &Container) -> Imatrix {
    let decoder = Decoder::load(ActivationRecorder::new(Cpu::new(1)), config(tied), container).unwrap();
    let mut cache = KvCache::new(&decoder.device, &decoder.config, 64, CacheType::F32).unwrap();
    let sequence = cache.start();
    let mut batch = Batch::new();
    batch.push(&sequence, &(0..48).map(|i| i * 29 % VOCAB as u32).collect::<Vec<_>>(), LogitRows::None);
    let mut run = RunState::new(&decoder);
    decoder.forward(&mut cache, &batch, &mut run).unwrap();
    decoder.device.imatrix(vec!["text.txt".into()], 1, 48)
}

#[test]
fn every_mix_is_written_and_runs() {
    let folder_on_disk = tempfile::tempdir().unwrap();
    let model = model(true);
    let want = logits(&Container::Safetensors(folder(true)), config(true));
    let size = want.iter().map(|x| x * x).sum::<f32>().sqrt();
    for mix in Mix::ALL {
        let target = folder_on_disk.path().join(format!("{}.gguf", mix.name()));
        let file = model.file(mix, None, 2, &target);
        assert_eq!(file.metadata.u32("general.file_type").unwrap(), Some(mix.file_type()));
        assert_eq!(file.metadata.u32("general.quantization_version").unwrap(), Some(2));
        assert_eq!(file.metadata.get("quantize.imatrix.file"), None);
        assert_eq!(file.metadata.keys().next(), Some("general.architecture"));
        assert_eq!(file.tensors.len(), model.tensors.len());
        for moved in &model.tensors {
            let tensor = file.tensors.get(&moved.spec.name).unwrap();
            assert_eq!(tensor.shape, moved.spec.shape);
            if tensor.shape.len() == 1 {
                assert_eq!(tensor.dtype, DType::F32, "{}", tensor.name);
            }
        }
        let plain = file.tensors.get("blk.3.ffn_up.weight").unwrap();
        assert_eq!(plain.dtype, mix.dtype());

        let config = Config::from_gguf(&file).unwrap();
        let got = logits(&Container::Gguf(file), config);
        let error = got.iter().zip(&want).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt() / size;
        let most = match mix {
            Mix::F32 => 1e-5,
            Mix::F16 | Mix::BF16 => 0.01,
            Mix::Q8_0 => 0.03,
            Mix::Q6_K | Mix::Q5_0 | Mix::Q5_1 | Mix::Q5_K_S | Mix::Q5_K_M => 0.2,
            Mix::Q3_K_S | Mix::Q2_K => 0.6,
            _ => 0.3,
        };
        assert!(error <= most, "{}: relative error {error}", mix.name());
    }
}

#[test]
fn tensors_get_the_types_of_the_mix() {
    let tied = model(true);
    let types = |plan: &Plan<'_>, name: &str| plan.tensors().iter().find(|t| t.name() == name).unwrap().dtype;
    let plan = tied.plan(Mix::Q4_K_M, None).unwrap();
    assert_eq!(types(&plan, "token_embd.weight"), DType::Q6_K);
    assert_eq!(types(&plan, "blk.0.attn_v.weight"), DType::Q6_K);
    assert_eq!(types(&plan, "blk.1.attn_v.weight"), DType::Q4_K);
    assert_eq!(types(&plan, "blk.7.ffn_down.weight"), DType::Q6_K);
    assert_eq!(types(&plan, "blk.0.attn_norm.weight"), DType::F32);
    assert_eq!(plan.types().iter().map(|(_, count)| count).sum::<usize>(), tied.tensors.len());
    assert!(plan.bytes_after() < plan.bytes_before() / 5);

    let untied = model(false);
    let plan = untied.plan(Mix::Q4_0, None).unwrap();
    assert_eq!(types(&plan, "token_embd.weight"), DType::Q4_0);
    assert_eq!(types(&plan, "output.weight"), DType::Q6_K);
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(false);
    for mix in [Mix::Q4_0, Mix::Q4_K_M, Mix::Q2_K] {
        let bytes: Vec<Vec<u8>> = [1, 2, 5]
            .map(|threads| {
                let target = folder.path().join(format!("{threads}.gguf"));
                model.file(mix, None, threads, &target);
                std::fs::read(target).unwrap()
            })
            .into();
        assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "{}", mix.name());
    }
}

#[test]
fn blocks_of_the_same_type_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = model(true).file(Mix::Q4_K_S, None, 2, &folder.path().join("first.gguf"));
    let tensors: Vec<ConvertedTensor> = first.tensors.iter().map(ConvertedTensor::unchanged).collect();
    let metadata: Vec<_> = first.metadata.iter().map(|(k, v)| (k.to_owned(), v.clone())).collect();
    let again = Model { config: config(true), metadata, tensors };
    let plan = again.plan(Mix::Q4_K_S, None).unwrap();
    assert!(plan.tensors().iter().all(|tensor| !tensor.is_requantized()));
    let second = again.file(Mix::Q4_K_S, None, 2, &folder.path().join("second.gguf"));
    for (a, b) in first.tensors.iter().zip(&second.tensors) {
        assert!(a.name == b.name && a.dtype == b.dtype && a.data == b.data, "{}", a.name);
    }
    let other = again.plan(Mix::Q8_0, None).unwrap();
    assert!(other.tensors().iter().filter(|t| t.shape().len() == 2).all(|t| t.is_requantized()));
}

#[test]
fn stopped_work_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.gguf");
    std::fs::write(&target, "what was there").unwrap();
    let model = model(true);
    let plan = model.plan(Mix::Q4_0, None).unwrap();
    let mut pieces = 0;
    let outcome = plan.write(&target, 2, &mut |_| {
        pieces += 1;
        if pieces == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(outcome.unwrap().is_break());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "what was there");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_weight_that_is_no_number_is_named() {
    let folder_on_disk = tempfile::tempdir().unwrap();
    let target = folder_on_disk.path().join("model.gguf");
    let config = config(true);
    let mut tensors: Vec<Tensor> = folder(true).iter().cloned().collect();
    let broken = tensors.iter_mut().find(|t| t.name == "model.layers.2.mlp.up_proj.weight").unwrap();
    let mut data = broken.data.to_vec();
    data[4 * (300 * HIDDEN + 17)..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    broken.data = data.into();
    let tensors = Tensors::new(Path::new("model.safetensors"), tensors).unwrap();
    let tensors = to_gguf(&config, &tensors, None).unwrap().tensors;
    let metadata = config.to_gguf(Path::new("config.json")).unwrap();
    let model = Model { config, metadata, tensors };
    for mix in [Mix::Q4_0, Mix::Q6_K, Mix::F16, Mix::F32] {
        let plan = model.plan(mix, None).unwrap();
        let error = plan.write(&target, 2, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "model.safetensors: tensor `blk.2.ffn_up.weight`, row 300: element 17 is NaN, which {} cannot hold; \
                 the training that made it went wrong, or the file is damaged; take another checkpoint",
                mix.dtype()
            )
        );
        assert!(!target.exists());
    }
}

#[test]
fn recorded_squares_are_those_of_the_inputs() {
    let imatrix = recorded(true, &Container::Safetensors(folder(true)));
    // What enters the first layer's queries: the embedding of each token, normalised; gains are one.
    let embedding = folder(true).get("model.embed_tokens.weight").unwrap().to_f32().unwrap();
    let mut want = vec![0f64; HIDDEN];
    for i in 0..48 {
        let row = &embedding[i * 29 % VOCAB * HIDDEN..][..HIDDEN];
        let mean = row.iter().map(|x| f64::from(x * x)).sum::<f64>() / HIDDEN as f64 + 1e-5;
        for (sum, x) in want.iter_mut().zip(row) {
            *sum += f64::from(x * x) / mean / 48.0;
        }
    }
    for name in ["attn_q", "attn_k", "attn_v"] {
        let got = imatrix.importance(&format!("blk.0.{name}.weight")).unwrap();
        for (a, b) in got.iter().zip(&want) {
            assert!((f64::from(*a) - b).abs() <= 1e-4 * b.max(1.0), "{name}: {a} in place of {b}");
        }
    }
    assert_eq!(imatrix.len(), 7 * LAYERS);
    assert_eq!(imatrix.importance("token_embd.weight"), None);
    assert_eq!(imatrix.importance("blk.5.ffn_down.weight").unwrap().len(), INTERMEDIATE);
}

#[test]
fn importances_go_through_a_file_and_into_the_blocks() {
    let folder_on_disk = tempfile::tempdir().unwrap();
    let (path, target) = (folder_on_disk.path().join("i.gguf"), folder_on_disk.path().join("m.gguf"));
    let made = recorded(true, &Container::Safetensors(folder(true)));
    made.write(&path).unwrap();
    let read = Imatrix::open(&path).unwrap();
    assert_eq!((read.len(), read.chunks(), read.datasets()), (made.len(), 1, &["text.txt".to_owned()][..]));
    let name = "blk.1.ffn_down.weight";
    assert_eq!(read.importance(name), made.importance(name));

    let model = model(true);
    let with = model.file(Mix::Q4_0, Some(&read), 2, &target);
    let metadata = &with.metadata;
    assert_eq!(metadata.str("quantize.imatrix.file").unwrap(), Some(path.to_str().unwrap()));
    assert_eq!(metadata.str("quantize.imatrix.dataset").unwrap(), Some("text.txt"));
    assert_eq!(metadata.u32("quantize.imatrix.entries_count").unwrap(), Some(7 * LAYERS as u32));
    assert_eq!(metadata.u32("quantize.imatrix.chunks_count").unwrap(), Some(1));
    assert_eq!(with.tensors.get("blk.0.ffn_down.weight").unwrap().dtype, DType::Q4_1);
    let without = model.file(Mix::Q4_0, None, 2, &folder_on_disk.path().join("w.gguf"));

    let weights = read.importance("blk.1.ffn_up.weight").unwrap();
    let error = |file: &Gguf| -> f64 {
        let source = model.tensors.iter().find(|t| t.spec.name == "blk.1.ffn_up.weight").unwrap();
        let source = source.tensor().unwrap().to_f32().unwrap();
        let got = file.tensors.get("blk.1.ffn_up.weight").unwrap().to_f32().unwrap();
        let errors = source.iter().zip(&got).map(|(a, b)| f64::from(a - b).powi(2));
        errors.enumerate().map(|(i, e)| e * f64::from(weights[i % HIDDEN])).sum()
    };
    assert!(error(&with) < error(&without));
    // The same names, whichever file the model was read from.
    let from_gguf = recorded(true, &Container::Gguf(without));
    assert!(from_gguf.importance(name).is_some() && from_gguf.len() == made.len());
}

#[test]
fn the_older_form_of_an_imatrix_is_read() {
    let number = |n: usize| (n as i32).to_le_bytes();
    let entry = |name: &str, sums: [f32; 3]| {
        let sums = sums.into_iter().flat_map(f32::to_le_bytes);
        let head = [&number(name.len())[..], name.as_bytes(), &number(4), &number(3)].concat();
        head.into_iter().chain(sums).collect::<Vec<u8>>()
    };
    let (up, down) =
        (entry("blk.0.ffn_up.weight", [4.0, 0.0, 2.0]), entry("blk.0.ffn_down.weight", [1.0, 8.0, 0.5]));
    let file = [&number(2)[..], &up, &down, &number(4), &number(8), b"wiki.txt"].concat();
    let read = |bytes: &[u8]| Imatrix::from_bytes(bytes.to_vec().into(), Path::new("i.dat"));

    let imatrix = read(&file).unwrap();
    assert_eq!((imatrix.len(), imatrix.chunks(), imatrix.datasets()), (2, 4, &["wiki.txt".to_owned()][..]));
    assert_eq!(imatrix.importance("blk.0.ffn_up.weight").unwrap(), [1.0, 0.0, 0.5]);
    assert_eq!(imatrix.importance("blk.0.ffn_down.weight").unwrap(), [0.25, 2.0, 0.125]);
    // Its first versions ended with the entries.
    let entries = file.len() - 16;
    assert_eq!(read(&file[..entries]).unwrap().len(), 2);

    for length in 0..entries {
        let error = read(&file[..length]).unwrap_err().to_string();
        assert!(error.starts_with("i.dat: ") && !error.contains('\n'), "{error}");
    }
    let infinite = [&number(1)[..], &entry("blk.0.ffn_up.weight", [f32::INFINITY, 0.0, 0.0])].concat();
    assert!(read(&infinite).unwrap_err().to_string().contains("do not make finite means"));
}

#[test]
fn an_imatrix_of_another_model_is_refused() {
    let folder_on_disk = tempfile::tempdir().unwrap();
    let path = folder_on_disk.path().join("i.gguf");
    recorded(true, &Container::Safetensors(folder(true))).write(&path).unwrap();
    let imatrix = Imatrix::open(&path).unwrap();
    let mut other = model(true);
    let refused = |model: &Model| {
        let error = model.plan(Mix::Q4_0, Some(&imatrix)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: it has ", path.display())), "{error}");
        assert!(error.ends_with("make one of this model with `sai imatrix`"), "{error}");
        error
    };
    let up = other.tensors.iter().position(|t| t.spec.name == "blk.4.ffn_up.weight").unwrap();
    other.tensors[up].spec.shape = vec![INTERMEDIATE / 2, HIDDEN * 2];
    let error = refused(&other);
    assert!(error.contains("256 columns for `blk.4.ffn_up.weight`, which has 512"), "{error}");
    other.tensors.remove(up);
    assert!(refused(&other).contains("`blk.4.ffn_up.weight`, which the model does not have"));

    let model = model(true);
    let target = folder_on_disk.path().join("m.gguf");
    model.file(Mix::Q8_0, None, 1, &target);
    let error = Imatrix::open(&target).unwrap_err().to_string();
    assert!(error.contains("is no importance matrix"), "{error}");
    std::fs::write(&target, b"neither").unwrap();
    assert!(Imatrix::open(&target).is_err());
}
