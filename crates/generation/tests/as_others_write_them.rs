//! Folders and GGUF files as other programs write them: what their small files say is heard, in the folder as in the GGUF
//! made of it, and what cannot be heard is said.

#[path = "convert/folders.rs"]
mod folders;

use folders::{config, fortytwo_dot, vocabulary, with_tokenizer_json, write_model};
use sai_formats::gguf::{Array, Override, Value as Meta};
use sai_formats::{DType, TensorSpec, safetensors};
use sai_generation::convert::{FolderModel, GgufModel};
use sai_generation::{LoadOptions, Model, open_tokenizer, open_tokenizer_with, score};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn options() -> LoadOptions {
    LoadOptions { threads: 1, ..LoadOptions::default() }
}

fn open(path: &Path) -> Model {
    Model::open(path, &options()).unwrap()
}

fn write(model: &GgufModel, target: &Path) {
    assert!(model.write(target, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
}

/// The folder as a GGUF whose metadata `change` may touch; gives its notes.
fn to_gguf(folder: &Path, target: &Path, change: impl FnOnce(&mut Vec<(String, Meta)>)) -> Vec<String> {
    let mut model = GgufModel::open(folder, None).unwrap();
    change(&mut model.metadata);
    write(&model, target);
    model.notes
}

/// The GGUF as a folder; gives its notes.
fn to_folder(gguf: &Path, target: &Path) -> Vec<String> {
    let model = FolderModel::open(gguf, None).unwrap();
    assert!(model.write(target, false, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
    model.notes
}

fn home() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let (folder, gguf) = (home.path().join("tiny"), home.path().join("model.gguf"));
    (home, folder, gguf)
}

/// Changes fields of a JSON file.
fn edit(path: &Path, fields: Value) {
    let mut file: Value =
        std::fs::read(path).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
    for (key, value) in fields.as_object().unwrap() {
        file[key] = value.clone();
    }
    std::fs::write(path, file.to_string()).unwrap();
}

fn set(metadata: &mut Vec<(String, Meta)>, key: &str, value: Meta) {
    metadata.retain(|(known, _)| known != key);
    metadata.push((key.to_owned(), value));
}

/// A tiny model with the Metaspace vocabulary.
fn metaspace(folder: &Path, scheme: &str) {
    write_model(folder, &config(json!({ "vocab_size": 800 })), DType::F32);
    let mut file: Value =
        serde_json::from_slice(&std::fs::read(vocabulary("metaspace.json")).unwrap()).unwrap();
    file["pre_tokenizer"]["prepend_scheme"] = json!(scheme);
    std::fs::write(folder.join("tokenizer.json"), file.to_string()).unwrap();
    let roles = json!({ "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>" });
    std::fs::write(folder.join("tokenizer_config.json"), roles.to_string()).unwrap();
}

#[test]
fn tokens_that_only_files_beside_add_keep_their_ids_and_names_in_a_gguf() {
    let (home, folder, gguf) = home();
    with_tokenizer_json(&folder, "llama3", json!({}));
    let first = open(&folder).tokenizer.vocab_size();
    let token = json!({ "content": "<call>", "special": false, "normalized": false });
    let decoder = json!({ first.to_string(): token, (first + 1).to_string(): { "content": "<turn>", "special": true } });
    let beside = json!({ "added_tokens_decoder": decoder, "additional_special_tokens": ["<more>"] });
    edit(&folder.join("tokenizer_config.json"), beside);
    to_gguf(&folder, &gguf, |_| {});
    to_folder(&gguf, &home.path().join("back"));
    for path in [&folder, &gguf, &home.path().join("back")] {
        let tokenizer = open_tokenizer(path.as_path()).unwrap();
        let ids = tokenizer.encode("<call><turn><more>");
        assert_eq!(ids, [first as u32, first as u32 + 1, first as u32 + 2], "{}", path.display());
        assert_eq!(ids.iter().map(|&id| tokenizer.is_special(id)).collect::<Vec<_>>(), [false, true, true]);
    }
}

#[test]
fn a_padding_token_beyond_the_embedding_does_not_keep_a_model_from_running() {
    let (_home, folder, gguf) = home();
    with_tokenizer_json(&folder, "llama3", json!({ "vocab_size": 1006 }));
    assert_eq!(open(&folder).tokenizer.vocab_size(), 1006);
    edit(&folder.join("tokenizer_config.json"), json!({ "pad_token": "<pad>" }));
    let model = open(&folder);
    assert_eq!(model.tokenizer.pad(), None);
    assert!(
        model.notes.iter().any(|note| note.contains("<pad>") && note.contains("no row")),
        "{:?}",
        model.notes
    );
    assert!(to_gguf(&folder, &gguf, |_| {}).iter().any(|note| note.contains("<pad>")));
    assert_eq!(open(&gguf).tokenizer.encode("<pad>"), model.tokenizer.encode("<pad>"));
    // By itself the tokenizer is that of transformers.
    assert_eq!(open_tokenizer(folder.as_path()).unwrap().pad(), Some(1006));
}

#[test]
fn an_end_that_only_config_json_names_ends_an_answer() {
    for (said, ends) in [(json!(5), vec![5]), (json!([7, 5]), vec![7, 5])] {
        let (home, folder, gguf) = home();
        with_tokenizer_json(&folder, "llama3", json!({ "eos_token_id": said }));
        std::fs::remove_file(folder.join("tokenizer_config.json")).unwrap();
        to_gguf(&folder, &gguf, |_| {});
        to_folder(&gguf, &home.path().join("back"));
        for path in [&folder, &gguf, &home.path().join("back")] {
            let model = open(path);
            for end in &ends {
                assert!(model.is_end(*end), "{said} {}", path.display());
            }
            assert!(!model.is_end(6));
            assert!(open_tokenizer(path.as_path()).unwrap().eos().contains(&ends[0]));
        }
        // What is there for the purpose has the last word.
        edit(&folder.join("generation_config.json"), json!({ "eos_token_id": 9 }));
        let model = open(&folder);
        assert!(model.is_end(9) && !model.is_end(5));
    }
}

#[test]
fn a_gguf_without_pre_is_cut_as_its_tokens_tell_and_that_is_said() {
    let (_home, folder, gguf) = home();
    let text = "x=2024-11-30 (it's)\n\n  y";
    for (name, file) in [("llama3", None), ("llama3", Some("default")), ("gpt2", None)] {
        with_tokenizer_json(&folder, name, json!({}));
        to_gguf(&folder, &gguf, |metadata| {
            metadata.retain(|(key, _)| key != "tokenizer.ggml.pre");
            metadata.extend(file.map(|pre| ("tokenizer.ggml.pre".to_owned(), Meta::String(pre.to_owned()))));
        });
        let (own, model) = (open(&folder), open(&gguf));
        assert_eq!(model.tokenizer.encode(text), own.tokenizer.encode(text), "{name}");
        let note = model.notes.iter().find(|note| note.contains("tokenizer.ggml.pre")).unwrap();
        assert!(note.contains(if name == "gpt2" { "gpt-2" } else { "llama-bpe" }), "{note}");
        assert!(open_tokenizer(gguf.as_path()).unwrap().notes().contains(note));
        assert!(FolderModel::open(gguf.as_path(), None).unwrap().notes.contains(note));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_person_says_which_pre_a_gguf_was_made_with() {
    let (home, folder, gguf) = home();
    with_tokenizer_json(&folder, "qwen2", json!({}));
    let pre = |name: &str| Meta::String(name.to_owned());
    to_gguf(&folder, &gguf, |metadata| set(metadata, "tokenizer.ggml.pre", pre("a-new-one")));
    let error = open_tokenizer(gguf.as_path()).unwrap_err().to_string();
    assert!(
        error.contains("\"a-new-one\"") && error.contains("--override-kv tokenizer.ggml.pre=str:"),
        "{error}"
    );
    let said: Vec<Override> = vec!["tokenizer.ggml.pre=str:qwen2".parse().unwrap()];
    let text = "x=2024-11-30 각";
    let ids = open(&folder).tokenizer.encode(text);
    let tokenizer = open_tokenizer_with(gguf.as_path(), &said).unwrap();
    assert!(tokenizer.notes().is_empty());
    assert_eq!(tokenizer.encode(text), ids);
    let with = LoadOptions { overrides: said.clone(), ..options() };
    assert_eq!(Model::open(gguf.as_path(), &with).unwrap().tokenizer.encode(text), ids);
    // It can be written down for good.
    let mended = home.path().join("mended.gguf");
    write(&GgufModel::open(gguf.as_path(), None).unwrap().with_overrides(&said), &mended);
    assert_eq!(open(&mended).tokenizer.encode(text), ids);
    assert!(FolderModel::open_with(gguf.as_path(), None, &said).is_ok());
    let error = open_tokenizer_with(folder.as_path(), &said).unwrap_err().to_string();
    assert!(error.contains("a GGUF only"), "{error}");
}

#[test]
fn flat_scores_leave_the_order_to_the_merges() {
    let (home, folder, gguf) = home();
    metaspace(&folder, "always");
    let file: Value = serde_json::from_slice(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
    let merges: Vec<String> = file["model"]["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    let flat = Meta::Array(Array::from_f32s(&[0.0; 800]));
    to_gguf(&folder, &gguf, |metadata| {
        set(metadata, "tokenizer.ggml.scores", flat.clone());
        set(metadata, "tokenizer.ggml.merges", Meta::Array(Array::from_strings(&merges)));
    });
    let back = home.path().join("back");
    to_folder(&gguf, &back);
    let expected: Value =
        serde_json::from_slice(&std::fs::read(vocabulary("metaspace_ids.json")).unwrap()).unwrap();
    for path in [&gguf, &back] {
        let model = open(path);
        assert!(model.notes.is_empty(), "{:?}", model.notes);
        for pair in expected["always"].as_array().unwrap() {
            assert_eq!(json!(model.tokenizer.encode(pair[0].as_str().unwrap())), pair[1], "{}", pair[0]);
        }
    }
    to_gguf(&folder, &gguf, |metadata| set(metadata, "tokenizer.ggml.scores", flat));
    assert!(open(&gguf).notes[0].contains("scores are all alike"), "{:?}", open(&gguf).notes);
}

#[test]
fn a_space_in_front_is_the_same_in_a_gguf_for_every_scheme_of_metaspace() {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(vocabulary("metaspace_ids.json")).unwrap()).unwrap();
    for scheme in ["always", "first", "never"] {
        let (home, folder, gguf) = home();
        metaspace(&folder, scheme);
        let notes = to_gguf(&folder, &gguf, |_| {});
        let said =
            notes.iter().any(|note| note.contains("a space goes before") && note.contains("llama.cpp"));
        assert_eq!(said, scheme != "never", "{notes:?}");
        to_folder(&gguf, &home.path().join("back"));
        for path in [&folder, &gguf, &home.path().join("back")] {
            let tokenizer = open_tokenizer(path.as_path()).unwrap();
            for pair in expected[scheme].as_array().unwrap() {
                let ids = tokenizer.encode(pair[0].as_str().unwrap());
                assert_eq!(json!(ids), pair[1], "{scheme} {} {}", path.display(), pair[0]);
            }
        }
    }
}

#[test]
fn an_id_out_of_range_that_nothing_needs_is_said_and_passed_over() {
    let (home, folder, gguf) = home();
    with_tokenizer_json(&folder, "llama3", json!({}));
    for (role, stray) in [
        ("padding", Meta::U32(u32::MAX)),
        ("padding", Meta::U32(1024)),
        ("padding", Meta::I32(-1)),
        ("unknown", Meta::U32(u32::MAX)),
        ("eot", Meta::I64(-1)),
        ("bos", Meta::U32(u32::MAX)),
    ] {
        let key = format!("tokenizer.ggml.{role}_token_id");
        to_gguf(&folder, &gguf, |metadata| set(metadata, &key, stray.clone()));
        let model = open(&gguf);
        let [note] = &model.notes[..] else { panic!("{:?}", model.notes) };
        assert!(note.contains(&key), "{note}");
        assert_eq!(model.tokenizer.encode("hello"), open(&folder).tokenizer.encode("hello"));
        let back = home.path().join("back");
        assert!(to_folder(&gguf, &back).contains(note));
        let described = std::fs::read_to_string(back.join("config.json")).unwrap();
        assert!(!described.contains("4294967295") && !described.contains("\"pad_token_id\": 1024"));
        std::fs::remove_dir_all(&back).unwrap();
    }
    to_gguf(&folder, &gguf, |metadata| set(metadata, "tokenizer.ggml.eos_token_id", Meta::U32(5000)));
    let error = Model::open(gguf.as_path(), &options()).err().unwrap().to_string();
    assert!(error.contains("the eos token has id 5000"), "{error}");
}

/// What the model makes of a few tokens.
fn judged(path: &Path) -> f64 {
    score(&open(path), &[5, 6, 7, 8, 9, 10]).unwrap().iter().map(|&x| f64::from(x)).sum()
}

/// Whether a GGUF computes what its folder does, but for the order of sums: its rows lie otherwise.
fn alike(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-4
}

#[test]
fn rotary_scaling_under_both_of_its_names_is_read() {
    let (_home, folder, gguf) = home();
    let with = |fields: Value| {
        let (_home, folder, _) = home();
        with_tokenizer_json(&folder, "llama3", fields);
        judged(&folder)
    };
    let linear = with(json!({ "rope_scaling": { "type": "linear", "factor": 4.0 } }));
    let plain = with(json!({}));
    assert_ne!(linear, plain);
    for both in [
        json!({ "rope_scaling": { "factor": 4.0, "rope_type": "linear", "type": "linear" } }),
        json!({ "rope_parameters": { "factor": 4.0, "rope_theta": 10000.0, "rope_type": "linear", "type": "linear" } }),
        json!({ "rope_scaling": { "factor": 4.0, "rope_type": "linear", "type": "default" } }),
        json!({ "rope_scaling": { "factor": 4.0, "rope_type": null, "type": "linear" } }),
    ] {
        assert_eq!(with(both), linear);
    }
    assert_eq!(with(json!({ "rope_scaling": { "rope_type": "default", "type": "default" } })), plain);
    with_tokenizer_json(&folder, "llama3", json!({}));
    let both = json!({ "factor": 4.0, "rope_type": "linear", "type": "linear" });
    edit(&folder.join("config.json"), json!({ "rope_scaling": both }));
    to_gguf(&folder, &gguf, |_| {});
    assert!(alike(judged(&gguf), linear));
}

#[test]
fn json_as_python_and_editors_write_it_is_read() {
    let (_home, folder, gguf) = home();
    with_tokenizer_json(&folder, "llama3", json!({}));
    let plain = judged(&folder);
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config = config.replacen(
        '{',
        "\u{feff}{\"initializer_range\": NaN, \"x\": [Infinity, -Infinity], \"vocab_size\": 7,",
        1,
    );
    std::fs::write(folder.join("config.json"), config).unwrap();
    let generation = "\u{feff}{\"temperature\": 0.5, \"max_length\": Infinity, \"eos_token_id\": [3, -1]}";
    std::fs::write(folder.join("generation_config.json"), generation).unwrap();
    assert_eq!(judged(&folder), plain);
    let model = open(&folder);
    assert_eq!(model.generation_config.temperature, Some(0.5));
    assert!(model.is_end(3));
    to_gguf(&folder, &gguf, |_| {});
    assert!(alike(judged(&gguf), plain));
}

#[test]
fn a_config_in_utf_16_is_named_as_such() {
    let (_home, folder, _gguf) = home();
    with_tokenizer_json(&folder, "llama3", json!({}));
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let bytes: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(folder.join("config.json"), bytes).unwrap();
    let error = Model::open(folder.as_path(), &options()).err().unwrap().to_string();
    assert!(error.contains("config.json: it is UTF-16; save it as UTF-8"), "{error}");
}

#[test]
fn errors_of_settings_name_the_key_and_no_type_of_rust() {
    let (_home, folder, _gguf) = home();
    let fault = |file: &str, fields: Value| {
        let _ = std::fs::remove_dir_all(&folder);
        with_tokenizer_json(&folder, "llama3", json!({}));
        edit(&folder.join(file), fields);
        Model::open(folder.as_path(), &options()).err().unwrap().to_string()
    };
    for (file, fields, said) in [
        (
            "config.json",
            json!({ "hidden_size": "48" }),
            "`hidden_size` is the text \"48\" where a whole number of at least 0 belongs",
        ),
        (
            "config.json",
            json!({ "num_hidden_layers": 2.5 }),
            "`num_hidden_layers` is 2.5 where a whole number",
        ),
        (
            "config.json",
            json!({ "rope_scaling": { "type": "linear", "factor": "4" } }),
            "`rope_scaling.factor` is the text \"4\" where a number belongs",
        ),
        (
            "config.json",
            json!({ "rope_theta": "NaN" }),
            "`rope_theta` is the text \"NaN\" where a number belongs",
        ),
        ("config.json", json!({ "vocab_size": null }), "`vocab_size` is null"),
        (
            "generation_config.json",
            json!({ "temperature": "hot" }),
            "`temperature` is the text \"hot\" where a number belongs",
        ),
        ("generation_config.json", json!({ "do_sample": 1 }), "`do_sample` is 1 where true or false belongs"),
    ] {
        let line = fault(file, fields);
        assert!(line.contains(said), "{line}");
        for word in ["usize", "f32", "f64", "struct", "enum"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}

/// Writes `model.safetensors` again with more tensors.
fn add_tensors(folder: &Path, more: &[(&str, DType, Vec<usize>, Vec<u8>)]) {
    let old = safetensors::open(folder).unwrap();
    let mut all: Vec<(String, DType, Vec<usize>, Vec<u8>)> =
        old.iter().map(|t| (t.name.clone(), t.dtype, t.shape.clone(), t.data.to_vec())).collect();
    all.retain(|(name, ..)| more.iter().all(|(other, ..)| other != name));
    all.extend(
        more.iter()
            .map(|(name, dtype, shape, data)| ((*name).to_owned(), *dtype, shape.clone(), data.clone())),
    );
    let specs = all
        .iter()
        .map(|(name, dtype, shape, _)| TensorSpec { name: name.clone(), dtype: *dtype, shape: shape.clone() })
        .collect();
    drop(old);
    let mut writer = safetensors::create(&folder.join("model.safetensors"), &[], specs).unwrap();
    while let Some(name) = writer.next_tensor().map(|spec| spec.name.clone()) {
        writer.write(&all.iter().find(|(other, ..)| *other == name).unwrap().3).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_tensor_that_the_description_does_not_have_is_judged_alike_by_generate_and_convert() {
    let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let bias = |value: f32| (DType::F32, vec![48], floats(&[value; 48]));
    for (name, (dtype, shape, data), says) in [
        ("model.layers.0.self_attn.rotary_emb.inv_freq", bias(1.0), None),
        ("model.layers.0.self_attn.o_proj.bias", bias(0.0), None),
        ("model.layers.2.input_layernorm.weight", bias(1.0), Some("layers beyond the 2")),
        ("v_head.summary.bias", bias(1.0), Some("another head")),
    ] {
        let (_home, folder, gguf) = home();
        with_tokenizer_json(&folder, "llama3", json!({}));
        let plain = judged(&folder);
        add_tensors(&folder, &[(name, dtype, shape, data)]);
        assert_eq!(judged(&folder), plain, "{name}");
        let notes = to_gguf(&folder, &gguf, |_| {});
        assert!(alike(judged(&gguf), plain), "{name}");
        for notes in [&open(&folder).notes, &notes] {
            assert_eq!(
                notes.iter().any(|note| says.is_some_and(|says| note.contains(says))),
                says.is_some(),
                "{notes:?}"
            );
        }
    }
    for name in ["model.layers.1.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight"] {
        let (_home, folder, _gguf) = home();
        with_tokenizer_json(&folder, "llama3", json!({}));
        let (dtype, shape, data) = bias(0.5);
        add_tensors(&folder, &[(name, dtype, shape, data)]);
        let generate = Model::open(folder.as_path(), &options()).err().unwrap().to_string();
        let convert = GgufModel::open(folder.as_path(), None).err().unwrap().to_string();
        assert!(generate.contains(name) && generate.contains("would change what it computes"), "{generate}");
        assert_eq!(generate, convert);
    }
}

#[test]
fn quantised_folders_are_named_by_their_quantiser() {
    for (method, said) in [
        (json!({ "quant_method": "gptq", "bits": 4 }), "GPTQ"),
        (json!({ "quant_method": "awq" }), "AWQ"),
        (json!({ "quant_method": "fp8" }), "FP8"),
        (json!({ "quant_method": "bitsandbytes", "load_in_4bit": true }), "bitsandbytes"),
        (json!({ "load_in_8bit": true }), "bitsandbytes"),
        (json!({ "quant_method": "compressed-tensors" }), "compressed-tensors"),
    ] {
        let (_home, folder, _gguf) = home();
        with_tokenizer_json(&folder, "llama3", json!({}));
        // Beside plain weights the setting stayed behind and says nothing.
        edit(&folder.join("config.json"), json!({ "quantization_config": method }));
        let plain = judged(&folder);
        let packed = DType::from_name("U8").unwrap();
        add_tensors(&folder, &[("model.layers.0.mlp.down_proj.weight", packed, vec![8], vec![0; 8])]);
        for error in [
            Model::open(folder.as_path(), &options()).err().unwrap().to_string(),
            GgufModel::open(folder.as_path(), None).err().unwrap().to_string(),
        ] {
            assert!(
                error.contains(&format!("quantised by {said}")) && error.contains("a GGUF of it"),
                "{error}"
            );
        }
        assert!(plain.is_finite());
    }
    // Older ones do not say.
    let (_home, folder, _gguf) = home();
    with_tokenizer_json(&folder, "llama3", json!({}));
    let packed = (DType::F32, vec![1], vec![0; 4]);
    add_tensors(&folder, &[("model.layers.0.mlp.down_proj.qweight", packed.0, packed.1, packed.2)]);
    let error = Model::open(folder.as_path(), &options()).err().unwrap().to_string();
    assert!(error.contains("another program quantised"), "{error}");
}

#[test]
fn a_folder_without_a_tokenizer_json_still_has_its_roles() {
    let (_home, folder, gguf) = home();
    fortytwo_dot(&folder);
    to_gguf(&folder, &gguf, |_| {});
    assert!(open(&folder).notes.is_empty() && open(&gguf).notes.is_empty());
}
