//! Ids and text as Python's `tokenizers` and `transformers` make them (`scripts/fixtures/tokenizer.py`).

#[path = "../../../tests/real_model.rs"]
mod real_model;

use std::path::{Path, PathBuf};

use sai_tokenizer::{GgufVocabulary, Kind, Tokenizer};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).expect("a fixture")
}

fn value(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).expect("a fixture of JSON")
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("ids").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

fn hold(tokenizer: &Tokenizer, cases: &Value) {
    for case in cases.as_array().expect("cases") {
        let text = case["text"].as_str().expect("a text");
        let expected = ids(&case["ids"]);
        assert_eq!(tokenizer.encode(text), expected, "{text:?}");
        if let Some(plain) = case.get("plain") {
            assert_eq!(tokenizer.encode_plain(text), ids(plain), "plain {text:?}");
        } else if !text.contains('<') && !text.contains('[') {
            assert_eq!(tokenizer.encode_plain(text), expected, "plain {text:?}");
        }
        let offsets = tokenizer.encode_with_offsets(text).expect("offsets");
        assert_eq!(offsets.iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected, "offsets {text:?}");
        assert!(offsets.iter().all(|(_, r)| r.start <= r.end && r.end <= text.len()), "{text:?} {offsets:?}");
    }
}

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::from_tokenizer_json(&bytes(&format!("{name}.json")), None, Path::new(name))
        .expect("a tokenizer")
}

#[test]
fn tokenizer_json_of_each_pre_tokeniser() {
    for (name, pre) in [("gpt2", "gpt-2"), ("smollm", "smollm"), ("llama3", "llama-bpe"), ("qwen2", "qwen2")]
    {
        let tokenizer = tokenizer(name);
        assert_eq!(tokenizer.kind(), Kind::ByteLevelBpe, "{name} goes its own way");
        assert_eq!(tokenizer.facts().pre_tokenizer, pre);
        assert_eq!(tokenizer.add_bos(), name == "llama3");
        let cases = value(&format!("{name}_ids.json"));
        hold(&tokenizer, &cases);
        for case in cases.as_array().expect("cases") {
            let text = case["text"].as_str().expect("a text");
            let shown = case.get("decoded").map_or(text, |d| d.as_str().expect("a text"));
            assert_eq!(tokenizer.decode(&ids(&case["ids"])), shown, "{name} {text:?}");
        }
    }
}

#[test]
fn the_same_vocabularies_from_gguf_metadata() {
    for (name, pre) in [("gpt2", "gpt-2"), ("smollm", "smollm"), ("llama3", "llama-bpe"), ("qwen2", "qwen2")]
    {
        let file = value(&format!("{name}.json"));
        let mut entries: Vec<(u64, String)> = file["model"]["vocab"]
            .as_object()
            .expect("a vocabulary")
            .iter()
            .map(|(token, id)| (id.as_u64().expect("an id"), token.clone()))
            .collect();
        let mut types = vec![1; entries.len()];
        for token in file["added_tokens"].as_array().expect("added tokens") {
            let content = token["content"].as_str().expect("content").to_owned();
            let kind = if token["special"] == true { 3 } else { 4 };
            let id = token["id"].as_u64().expect("an id");
            if (id as usize) < types.len() {
                types[id as usize] = kind;
            } else {
                entries.push((id, content));
                types.push(kind);
            }
        }
        entries.sort();
        let merge =
            |m: &Value| format!("{} {}", m[0].as_str().expect("a piece"), m[1].as_str().expect("a piece"));
        let from_gguf = Tokenizer::from_gguf(GgufVocabulary {
            path: "test.gguf".into(),
            model: "gpt2".into(),
            pre: Some(pre.into()),
            tokens: entries.into_iter().map(|(_, token)| token).collect(),
            token_types: types,
            merges: file["model"]["merges"].as_array().expect("merges").iter().map(merge).collect(),
            eos: Some(0),
            ..GgufVocabulary::default()
        })
        .expect("a tokenizer");
        let from_json = tokenizer(name);
        for case in value(&format!("{name}_ids.json")).as_array().expect("cases") {
            let text = case["text"].as_str().expect("a text");
            // A GGUF says nothing of what an added token takes beside it.
            if !["<mask>", "[pad]", "word"].iter().any(|t| text.contains(t)) {
                assert_eq!(from_gguf.encode(text), from_json.encode(text), "{name} {text:?}");
                assert_eq!(from_gguf.encode_plain(text), from_json.encode_plain(text), "{name} {text:?}");
            }
        }
        assert_eq!(from_gguf.eos(), [0, from_gguf.id_of("<|im_end|>").expect("an id")]);
    }
}

#[test]
fn a_folder_as_42dot_publishes_it() {
    let tokenizer = Tokenizer::from_folder(&fixture("fortytwo_dot")).expect("a tokenizer");
    hold(&tokenizer, &value("fortytwo_dot/ids.json"));
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.add_bos()), (Some(0), &[0][..], true));
    assert_eq!((tokenizer.pad(), tokenizer.unk()), (Some(1), Some(2)));
    assert_eq!(tokenizer.bos_text(), "<|endoftext|>");
    let typed = tokenizer.encode_plain("<|endoftext|>");
    assert!(!typed.contains(&0) && tokenizer.decode(&typed) == "<|endoftext|>");
}

#[test]
fn sentence_piece_from_its_scores() {
    let file = value("sentence_piece.json");
    let strings = |v: &Value| -> Vec<String> {
        v.as_array().expect("a list").iter().map(|s| s.as_str().expect("a string").to_owned()).collect()
    };
    let tokenizer = Tokenizer::from_gguf(GgufVocabulary {
        path: "test.gguf".into(),
        model: "llama".into(),
        tokens: strings(&file["tokens"]),
        scores: file["scores"]
            .as_array()
            .expect("scores")
            .iter()
            .map(|s| s.as_f64().expect("one") as f32)
            .collect(),
        token_types: file["types"]
            .as_array()
            .expect("types")
            .iter()
            .map(|s| s.as_i64().expect("one") as i32)
            .collect(),
        bos: Some(1),
        eos: Some(2),
        unk: Some(0),
        ..GgufVocabulary::default()
    })
    .expect("a tokenizer");
    assert_eq!(tokenizer.kind(), Kind::Library);
    assert!(tokenizer.add_bos());
    hold(&tokenizer, &file["cases"]);
    for case in file["cases"].as_array().expect("cases") {
        let ids = ids(&case["ids"]);
        assert_eq!(tokenizer.decode(&ids), case["decoded"].as_str().expect("a text"));
        let mut stream = tokenizer.stream();
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        assert_eq!(text, tokenizer.decode(&ids), "{:?}", case["text"]);
    }
    assert_eq!(tokenizer.token_bytes(3 + 0xea).as_deref(), Some(&[0xea][..]));
}

#[test]
fn the_real_model_s_vocabulary() {
    let Some(path) = real_model::smollm2() else { return };
    let gguf = sai_formats::gguf::Gguf::open(&path).expect("the model");
    let m = &gguf.metadata;
    let list = |key: &str| -> Vec<String> {
        m.strings(key).expect("strings").expect("the key").into_iter().map(str::to_owned).collect()
    };
    let tokenizer = Tokenizer::from_gguf(GgufVocabulary {
        path,
        model: m.str("tokenizer.ggml.model").expect("a string").expect("the key").to_owned(),
        pre: m.str("tokenizer.ggml.pre").expect("a string").map(str::to_owned),
        tokens: list("tokenizer.ggml.tokens"),
        token_types: m.i32s("tokenizer.ggml.token_type").expect("integers").expect("the key"),
        merges: list("tokenizer.ggml.merges"),
        bos: m.u32("tokenizer.ggml.bos_token_id").expect("an id"),
        eos: m.u32("tokenizer.ggml.eos_token_id").expect("an id"),
        ..GgufVocabulary::default()
    })
    .expect("a tokenizer");
    hold(&tokenizer, &value("smollm2_ids.json"));
    assert_eq!(tokenizer.vocab_size(), 49152);
    assert_eq!(tokenizer.eos(), [2, 0]);
}
