//! Folders become GGUF files and folders again, and stay the same models: ids, logits, roles, templates, bytes.

#[path = "convert/folders.rs"]
mod folders;

use folders::{config, fortytwo_dot, vocabulary, with_tokenizer_json, write_model};
use proptest::prelude::*;
use sai_formats::gguf::{Gguf, Value as Meta};
use sai_formats::{DType, safetensors};
use sai_generation::convert::{FolderModel, GgufModel};
use sai_generation::{ChatTemplate, LoadOptions, Message, Model, SpecialTokens, score};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn to_gguf(folder: &Path, target: &Path) -> Vec<String> {
    let model = GgufModel::open(folder, None).unwrap();
    assert!(model.write(target, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
    model.notes
}

fn to_folder(gguf: &Path, target: &Path, dtype: Option<DType>) {
    let model = FolderModel::open(gguf, dtype).unwrap();
    assert!(model.write(target, false, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
}

fn open(path: &Path) -> Model {
    Model::open(path, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap()
}

/// The texts of a fixture, but for those with added tokens that look beside themselves.
fn texts(name: &str) -> Vec<String> {
    let cases: Value = serde_json::from_slice(&std::fs::read(vocabulary(name)).unwrap()).unwrap();
    let cases = cases.get("cases").unwrap_or(&cases);
    let texts = cases.as_array().unwrap().iter().map(|case| case["text"].as_str().unwrap().to_owned());
    texts.filter(|text| !["<mask>", "[pad]", "word"].iter().any(|t| text.contains(t))).collect()
}

/// Each tensor's name, type and bytes, by name.
fn weights(folder: &Path) -> Vec<(String, DType, Vec<u8>)> {
    let tensors = safetensors::open(folder).unwrap();
    let mut all: Vec<_> = tensors.iter().map(|t| (t.name.clone(), t.dtype, t.data.to_vec())).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// A fresh folder with its `name` in it.
fn home(name: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let (folder, gguf) = (home.path().join(name), home.path().join("model.gguf"));
    (home, folder, gguf)
}

#[test]
fn every_pre_tokeniser_gives_the_same_ids_there_and_back() {
    for name in ["gpt2", "smollm", "llama3", "qwen2"] {
        let (home, folder, gguf) = home(name);
        with_tokenizer_json(&folder, name, json!({}));
        let notes = to_gguf(&folder, &gguf);
        assert_eq!(notes.len(), if name == "qwen2" { 4 } else { 3 }, "{notes:?}");
        to_folder(&gguf, &home.path().join("back"), None);
        let (a, b, c) = (open(&folder), open(&gguf), open(&home.path().join("back")));
        for text in texts(&format!("{name}_ids.json")) {
            for other in [&b, &c] {
                assert_eq!(a.tokenizer.encode(&text), other.tokenizer.encode(&text), "{name} {text:?}");
                let plain = other.tokenizer.encode_plain(&text);
                assert_eq!(a.tokenizer.encode_plain(&text), plain, "{name} {text:?}");
                assert_eq!(a.tokenizer.decode(&plain), other.tokenizer.decode(&plain), "{name} {text:?}");
            }
        }
        for other in [&b, &c] {
            let roles = |m: &Model| {
                let t = &m.tokenizer;
                (t.bos(), t.eos().to_vec(), t.pad(), t.unk(), t.add_bos(), t.add_eos())
            };
            assert_eq!(roles(&a), roles(other), "{name}");
            assert!(other.tokenizer.id_of("<tool>").is_some_and(|id| !other.tokenizer.is_special(id)));
        }
        assert_eq!(weights(&folder), weights(&home.path().join("back")), "{name}");
        // The rows of no token are in the GGUF, and not in the folder's vocabulary.
        assert_eq!((b.tokenizer.vocab_size(), c.tokenizer.vocab_size()), (1024, a.tokenizer.vocab_size()));
    }
}

#[test]
fn a_gguf_goes_to_a_folder_and_back() {
    for name in ["llama3", "qwen2"] {
        let (home, folder, gguf) = home("tiny");
        let (back, again) = (home.path().join("back/tiny"), home.path().join("again.gguf"));
        std::fs::create_dir(home.path().join("back")).unwrap();
        with_tokenizer_json(&folder, name, json!({ "tie_word_embeddings": name == "qwen2" }));
        to_gguf(&folder, &gguf);
        to_folder(&gguf, &back, None);
        to_gguf(&back, &again);
        assert!(std::fs::read(&gguf).unwrap() == std::fs::read(&again).unwrap(), "{name}");
    }
}

#[test]
fn a_folder_as_42dot_publishes_it_chats_from_a_gguf() {
    let (home, folder, gguf) = home("42dot_LLM-SFT-1.3B");
    fortytwo_dot(&folder);
    assert!(to_gguf(&folder, &gguf).is_empty());
    let file = Gguf::open(&gguf).unwrap();
    let m = &file.metadata;
    assert_eq!(m.str("general.name").unwrap(), Some("42dot_LLM-SFT-1.3B"));
    assert_eq!(m.str("tokenizer.ggml.pre").unwrap(), Some("gpt-2"));
    let (tokens, types) = (
        m.strings("tokenizer.ggml.tokens").unwrap().unwrap(),
        m.i32s("tokenizer.ggml.token_type").unwrap().unwrap(),
    );
    assert_eq!((tokens.len(), types.len()), (640, 640));
    assert_eq!(types[..4], [3, 3, 3, 1], "the end, padding and unknown tokens are control tokens");
    let rows = 600;
    assert_eq!((tokens[rows], tokens[639]), ("[PAD600]", "[PAD639]"));
    assert!(types[rows..].iter().all(|kind| *kind == 5) && types[3..rows].iter().all(|kind| *kind == 1));
    for (key, value) in [
        ("tokenizer.ggml.bos_token_id", Meta::U32(0)),
        ("tokenizer.ggml.eos_token_id", Meta::U32(0)),
        ("tokenizer.ggml.padding_token_id", Meta::U32(1)),
        ("tokenizer.ggml.unknown_token_id", Meta::U32(2)),
        ("tokenizer.ggml.add_bos_token", Meta::Bool(true)),
        ("tokenizer.ggml.add_eos_token", Meta::Bool(false)),
    ] {
        assert_eq!(m.get(key), Some(&value), "{key}");
    }

    let (a, b) = (open(&folder), open(&gguf));
    for text in texts("fortytwo_dot/ids.json") {
        assert_eq!(a.encode_text(&text), b.encode_text(&text), "{text:?}");
        assert_eq!(a.tokenizer.encode_plain(&text), b.tokenizer.encode_plain(&text), "{text:?}");
    }
    let say = |role: &str, content: &str| Message::new(role, content);
    let turns =
        [say("user", "안녕?"), say("assistant", "반갑습니다."), say("user", "<|endoftext|> 몇 시예요?")];
    let system = [&[say("system", "짧게 답하세요.\n")], &turns[..]].concat();
    for messages in [&turns[..], &turns[..1], &system] {
        assert_eq!(a.chat_prompt(messages, 250).unwrap(), b.chat_prompt(messages, 250).unwrap());
    }
    let refused = b.template.as_ref().unwrap().render(&turns[1..], true, &SpecialTokens::default());
    assert!(refused.is_err());
    assert_eq!(b.template.as_ref().unwrap().source(), Some(ChatTemplate::FORTYTWO_DOT_JINJA));

    // A folder of another name is no model that was taught this form.
    std::fs::rename(&folder, home.path().join("mine")).unwrap();
    to_gguf(&home.path().join("mine"), &gguf);
    assert!(Gguf::open(&gguf).unwrap().metadata.get("tokenizer.chat_template").is_none());
}

#[test]
fn log_probabilities_are_the_same_in_both_forms() {
    for name in ["llama3", "qwen2"] {
        let (home, folder, gguf) = home(name);
        let llama3 = json!({ "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64 } });
        with_tokenizer_json(&folder, name, if name == "llama3" { llama3 } else { json!({}) });
        to_gguf(&folder, &gguf);
        to_folder(&gguf, &home.path().join("back"), None);
        let models = [&folder, &gguf, &home.path().join("back")].map(|path| open(path));
        let ids = models[0].encode_text("봄이 오면 산에 들에 진달래가 피고, 아이들은 골목에서 연을 날린다.");
        let [a, b, c] = models.each_ref().map(|model| score(model, &ids).unwrap());
        let pairs = a.iter().zip(&b);
        let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // In GGUF's `llama` the components of a head are summed in another order.
        assert!(most <= if name == "qwen2" { 0.0 } else { 1e-3 }, "{name}: {most}");
        assert_eq!(a, c, "{name}");
    }
}

#[test]
fn templates_and_ends_go_along() {
    let (home, folder, gguf) = home("tiny");
    with_tokenizer_json(&folder, "llama3", json!({}));
    let roles = json!({ "eos_token": "<|endoftext|>", "chat_template": [
        { "name": "default", "template": "{{ bos_token }}안녕" }, { "name": "tool_use", "template": "tools" } ] });
    std::fs::write(folder.join("tokenizer_config.json"), roles.to_string()).unwrap();
    std::fs::create_dir(folder.join("additional_chat_templates")).unwrap();
    std::fs::write(folder.join("additional_chat_templates/rag.jinja"), "rag").unwrap();
    let ends = open(&folder).tokenizer.id_of("<tool>").unwrap();
    std::fs::write(folder.join("generation_config.json"), json!({ "eos_token_id": [0, ends] }).to_string())
        .unwrap();
    to_gguf(&folder, &gguf);
    let file = Gguf::open(&gguf).unwrap();
    let text = |key: &str| file.metadata.str(key).unwrap().unwrap().to_owned();
    assert_eq!(text("tokenizer.chat_template"), "{{ bos_token }}안녕");
    assert_eq!(text("tokenizer.chat_template.tool_use"), "tools");
    assert_eq!(text("tokenizer.chat_template.rag"), "rag");
    assert_eq!(file.metadata.u32("tokenizer.ggml.eot_token_id").unwrap(), Some(ends));
    let back = home.path().join("back");
    to_folder(&gguf, &back, None);
    for path in [&folder, &gguf, &back] {
        let model = open(path);
        assert!(model.is_end(0) && model.is_end(ends), "{}", path.display());
        assert_eq!(model.template.as_ref().unwrap().source(), Some("{{ bos_token }}안녕"));
    }
    let read =
        |name: &str| -> Value { serde_json::from_slice(&std::fs::read(back.join(name)).unwrap()).unwrap() };
    assert_eq!(read("generation_config.json")["eos_token_id"], json!([0, ends]));
    assert_eq!(read("tokenizer_config.json")["chat_template"].as_array().unwrap().len(), 3);
    // A template of its own file goes before the one in the configuration.
    std::fs::write(folder.join("chat_template.jinja"), "alone").unwrap();
    to_gguf(&folder, &gguf);
    assert_eq!(Gguf::open(&gguf).unwrap().metadata.str("tokenizer.chat_template").unwrap(), Some("alone"));
}

#[test]
fn shards_are_cut_and_read_again() {
    let (home, folder, gguf) = home("tiny");
    with_tokenizer_json(&folder, "gpt2", json!({}));
    to_gguf(&folder, &gguf);
    let mut model = FolderModel::open(&gguf, None).unwrap();
    model.shard_bytes = 60_000;
    let back = home.path().join("back");
    assert!(model.write(&back, false, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
    assert!(
        !back.join("model.safetensors").exists() && back.join("model-00001-of-00004.safetensors").exists()
    );
    assert_eq!(weights(&folder), weights(&back));
    let index: Value =
        serde_json::from_slice(&std::fs::read(back.join("model.safetensors.index.json")).unwrap()).unwrap();
    assert_eq!(index["metadata"]["total_size"], json!(model.bytes()));
}

#[test]
fn stopped_work_leaves_nothing() {
    let (home, folder, gguf) = home("tiny");
    with_tokenizer_json(&folder, "gpt2", json!({}));
    let entries = || std::fs::read_dir(home.path()).unwrap().count();
    let model = GgufModel::open(&folder, None).unwrap();
    let mut heard = 0;
    let stopped = model.write(&gguf, &mut |done| {
        heard = done;
        if done > 100_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(stopped.unwrap().is_break() && heard > 100_000 && heard < model.bytes());
    assert_eq!(entries(), 1);
    to_gguf(&folder, &gguf);
    let model = FolderModel::open(&gguf, None).unwrap();
    let stopped = model.write(&home.path().join("back"), false, &mut |_| ControlFlow::Break(()));
    assert!(stopped.unwrap().is_break());
    assert_eq!(entries(), 2);
}

#[test]
fn a_folder_that_is_there_is_replaced_only_when_asked() {
    let (home, folder, gguf) = home("tiny");
    with_tokenizer_json(&folder, "gpt2", json!({}));
    to_gguf(&folder, &gguf);
    let model = FolderModel::open(&gguf, Some(DType::F32)).unwrap();
    let back = home.path().join("back");
    let mut go_on = |_| ControlFlow::Continue(());
    for replace in [false, true] {
        assert!(model.write(&back, replace, &mut go_on).is_ok());
    }
    assert!(model.write(&back, false, &mut go_on).unwrap_err().to_string().contains("it is there already"));
    assert!(safetensors::open(&back).unwrap().iter().all(|t| t.dtype == DType::F32));
}

#[test]
fn what_a_gguf_cannot_hold_is_refused() {
    let (_home, folder, _) = home("tiny");
    let refusal = |change: &dyn Fn(&mut Value)| {
        with_tokenizer_json(&folder, "gpt2", json!({}));
        let path = folder.join("tokenizer.json");
        let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut file);
        std::fs::write(&path, file.to_string()).unwrap();
        let error = GgufModel::open(&folder, None).err().expect("a refusal").to_string();
        assert!(error.starts_with(&folder.display().to_string()) && error.lines().count() == 1, "{error}");
        error
    };
    let error = refusal(&|file| file["model"]["ignore_merges"] = json!(true));
    assert!(error.contains("`gpt-2`") && error.contains("llama.cpp has no name"), "{error}");
    let error = refusal(&|file| {
        file["model"] = json!({ "type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁가", -1.0]] });
        file["added_tokens"] = json!([]);
        file["decoder"] = json!(null);
        std::fs::write(folder.join("tokenizer_config.json"), "{}").unwrap();
    });
    assert!(error.contains("\"Unigram\""), "{error}");

    write_model(&folder, &config(json!({ "vocab_size": 900 })), DType::F32);
    std::fs::copy(vocabulary("gpt2.json"), folder.join("tokenizer.json")).unwrap();
    let error = GgufModel::open(&folder, None).err().expect("a refusal").to_string();
    assert!(error.contains("1006 tokens do not fit an embedding of 900 rows"), "{error}");
}

fn sentence_piece(home: &Path) -> PathBuf {
    let file: Value =
        serde_json::from_slice(&std::fs::read(vocabulary("sentence_piece.json")).unwrap()).unwrap();
    let list = |name: &str| file[name].as_array().unwrap().clone();
    let tokens: Vec<String> = list("tokens").iter().map(|t| t.as_str().unwrap().to_owned()).collect();
    let folder = home.join("weights");
    write_model(&folder, &config(json!({ "vocab_size": tokens.len() })), DType::F16);
    let bytes = std::fs::read(vocabulary("gpt2.json")).unwrap();
    // The vocabulary is put in after the weights are turned, for no folder has it yet.
    let mut stand_in: Value = serde_json::from_slice(&bytes).unwrap();
    let short: Vec<Value> = (0..tokens.len()).map(|id| json!(id)).collect();
    let vocab = short.iter().map(|id| (format!("t{id}"), id.clone()));
    stand_in["model"]["vocab"] = Value::Object(vocab.collect());
    (stand_in["model"]["merges"], stand_in["added_tokens"]) = (json!([]), json!([]));
    std::fs::write(folder.join("tokenizer.json"), stand_in.to_string()).unwrap();
    let mut model = GgufModel::open(&folder, None).unwrap();
    model.metadata.retain(|(key, _)| !key.starts_with("tokenizer."));
    use sai_formats::gguf::Array;
    let floats: Vec<f32> = list("scores").iter().map(|x| x.as_f64().unwrap() as f32).collect();
    let types: Vec<i32> = list("types").iter().map(|x| x.as_i64().unwrap() as i32).collect();
    let mut put = |key: &str, value: Meta| model.metadata.push((format!("tokenizer.ggml.{key}"), value));
    put("model", Meta::String("llama".into()));
    put("tokens", Meta::Array(Array::from_strings(&tokens)));
    put("scores", Meta::Array(Array::from_f32s(&floats)));
    put("token_type", Meta::Array(Array::from_i32s(&types)));
    for (role, id) in [("unknown", 0), ("bos", 1), ("eos", 2)] {
        put(&format!("{role}_token_id"), Meta::U32(id));
    }
    let gguf = home.join("sp.gguf");
    assert!(model.write(&gguf, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
    gguf
}

#[test]
fn sentence_piece_goes_to_a_folder_and_back_by_its_scores() {
    let home = tempfile::tempdir().unwrap();
    let gguf = sentence_piece(home.path());
    let (folder, again) = (home.path().join("folder"), home.path().join("again.gguf"));
    to_folder(&gguf, &folder, None);
    to_gguf(&folder, &again);
    let models = [&gguf, &folder, &again].map(|path| open(path));
    for text in texts("sentence_piece.json") {
        let [a, b, c] = models.each_ref().map(|model| model.encode_text(&text));
        assert_eq!((&a, &a), (&b, &c), "{text:?}");
    }
    let (first, second) = (Gguf::open(&gguf).unwrap().metadata, Gguf::open(&again).unwrap().metadata);
    for key in ["tokens", "token_type", "bos_token_id", "eos_token_id", "unknown_token_id"] {
        let key = format!("tokenizer.ggml.{key}");
        assert_eq!(first.get(&key), second.get(&key), "{key}");
    }

    // Merges that are not all the ways to cut each piece cannot be said by scores.
    let path = folder.join("tokenizer.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let merges = file["model"]["merges"].as_array_mut().unwrap();
    merges.truncate(merges.len() / 2);
    std::fs::write(&path, file.to_string()).unwrap();
    let error = GgufModel::open(&folder, None).err().expect("a refusal").to_string();
    assert!(error.contains("merges"), "{error}");
}

#[test]
fn a_quantised_file_is_expanded_only_when_asked() {
    let (home, folder, gguf) = home("tiny");
    with_tokenizer_json(&folder, "gpt2", json!({ "hidden_size": 64 }));
    let mut model = GgufModel::open(&folder, None).unwrap();
    // As `sai quantize` would: the plan with other types. Zeros are zeros in every type.
    for converted in model.tensors.iter_mut().filter(|converted| converted.spec.shape.len() == 2) {
        converted.spec.dtype = DType::Q8_0;
    }
    let specs = model.tensors.iter().map(|converted| converted.spec.clone()).collect();
    let mut writer = sai_formats::gguf::create(&gguf, &model.metadata, specs).unwrap();
    while let Some(bytes) = writer.next_tensor().map(|spec| spec.bytes().unwrap()) {
        writer.write(&vec![0; bytes]).unwrap();
    }
    writer.finish().unwrap();
    let error = FolderModel::open(&gguf, None).err().expect("a refusal").to_string();
    assert!(error.contains("Q8_0") && error.contains("--dtype"), "{error}");
    to_folder(&gguf, &home.path().join("back"), Some(DType::BF16));
    assert!(weights(&home.path().join("back")).iter().all(|(_, dtype, _)| *dtype == DType::BF16));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn fuzzed_korean_with_special_tokens_has_the_same_ids(
        pieces in prop::collection::vec(
            prop_oneof!["[가-힣]{1,6}", "[ㄱ-ㅎㅏ-ㅣ a-zA-Z0-9.,?!\\n]{0,5}", "[\\u{1100}-\\u{1175}]{1,3}",
                Just("<|endoftext|>".to_owned()), Just("<|im_end|>".to_owned()), Just("<tool>".to_owned()),
                Just("<|im_".to_owned()), "\\PC{1,3}"],
            0..12,
        )
    ) {
        let text = pieces.concat();
        prop_assume!(!["<mask>", "[pad]", "word"].iter().any(|t| text.contains(t)));
        for (name, [a, b]) in forms() {
            prop_assert_eq!(a.encode(&text), b.encode(&text), "{}", name);
            prop_assert_eq!(a.encode_plain(&text), b.encode_plain(&text), "{}", name);
        }
    }
}

/// Each vocabulary from its folder and from a GGUF made of it.
fn forms() -> &'static [(&'static str, [sai_generation::Tokenizer; 2])] {
    static FORMS: std::sync::OnceLock<Vec<(&str, [sai_generation::Tokenizer; 2])>> =
        std::sync::OnceLock::new();
    FORMS.get_or_init(|| {
        ["gpt2", "smollm", "llama3", "qwen2", "42dot"]
            .map(|name| {
                let (_home, folder, gguf) = home("tiny");
                match name {
                    "42dot" => fortytwo_dot(&folder),
                    _ => with_tokenizer_json(&folder, name, json!({})),
                }
                to_gguf(&folder, &gguf);
                (name, [open(&folder).tokenizer, open(&gguf).tokenizer])
            })
            .into()
    })
}

#[test]
fn a_gguf_without_a_default_template_asks_for_a_name_as_its_folder_does() {
    let (_home, folder, gguf) = home("llama3");
    with_tokenizer_json(&folder, "llama3", json!({}));
    let config = json!({ "chat_template": { "rag": "r{{ messages[0].content }}", "tool_use": "t" } });
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    to_gguf(&folder, &gguf);
    for path in [&folder, &gguf] {
        let options = LoadOptions { threads: 1, ..LoadOptions::default() };
        let line = Model::open(path.as_path(), &options).err().unwrap().to_string();
        assert!(line.contains("rag, tool_use") && line.contains("--chat-template NAME"), "{line}");
        let named = LoadOptions { template_name: Some("rag".to_owned()), ..options.clone() };
        let model = Model::open(path.as_path(), &named).unwrap();
        assert_eq!(model.template.unwrap().source(), Some("r{{ messages[0].content }}"));
        let other = ChatTemplate::jinja("own", "own").unwrap();
        let given = LoadOptions { template: Some(other), ..options };
        assert_eq!(Model::open(path.as_path(), &given).unwrap().template.unwrap().source(), Some("own"));
    }
}
