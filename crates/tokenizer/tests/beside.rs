//! Tokens that the files beside a `tokenizer.json` add, held to the ids of `transformers`' `AutoTokenizer`
//! (`scripts/fixtures/vocabulary_files.py`).

use std::path::{Path, PathBuf};

use sai_tokenizer::Tokenizer;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder of a vocabulary among the fixtures and files beside it.
fn folder(vocabulary: &str, files: &Value) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::copy(fixture(vocabulary), home.path().join("tokenizer.json")).unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(home.path().join(name), content.to_string()).unwrap();
    }
    home
}

#[test]
fn tokens_that_only_files_beside_add_have_the_ids_of_transformers() {
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(fixture("added_tokens.json")).unwrap()).unwrap();
    assert!(cases.len() > 40);
    for case in &cases {
        let home = folder(case["tokenizer"].as_str().unwrap(), &case["files"]);
        let name = format!("{}: {}", case["tokenizer"], case["name"]);
        let tokenizer = Tokenizer::from_folder(home.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(json!(tokenizer.vocab_size()), case["tokens"], "{name}");
        for pair in case["ids"].as_array().unwrap() {
            let ids = tokenizer.encode(pair[0].as_str().unwrap());
            assert_eq!(json!(ids), pair[1], "{name}: {}", pair[0]);
        }
        let special: Vec<u32> =
            (0..tokenizer.vocab_size() as u32).filter(|&id| tokenizer.is_special(id)).collect();
        assert_eq!(json!(special), case["special"], "{name}");
        let file = Tokenizer::from_file(&home.path().join("tokenizer.json")).unwrap();
        assert_eq!(file.fingerprint().unwrap(), tokenizer.fingerprint().unwrap(), "{name}");
    }
}

#[test]
fn a_token_without_a_row_of_the_embedding_is_text_and_said() {
    let files =
        json!({ "tokenizer_config.json": { "pad_token": "<pad>", "additional_special_tokens": ["<more>"] } });
    for vocabulary in ["llama3.json", "metaspace.json"] {
        let home = folder(vocabulary, &files);
        let all = Tokenizer::from_folder(home.path()).unwrap();
        assert!(all.notes().is_empty());
        let (pad, more) = (all.pad().unwrap(), all.id_of("<more>").unwrap());
        assert_eq!((pad as usize, more as usize), (all.vocab_size() - 2, all.vocab_size() - 1));

        let fits = Tokenizer::from_folder_with_rows(home.path(), all.vocab_size() - 1).unwrap();
        assert_eq!((fits.pad(), fits.id_of("<more>"), fits.vocab_size()), (Some(pad), None, more as usize));
        assert!(fits.encode("<more>").iter().all(|&id| id < more));
        let [note] = fits.notes() else { panic!("{:?}", fits.notes()) };
        assert!(note.contains("<more>") && note.contains("no row"), "{note}");
        // A token that text is not opened or ended by may be missing.
        let none = Tokenizer::from_folder_with_rows(home.path(), pad as usize).unwrap();
        assert_eq!((none.pad(), none.notes().len()), (None, 2));
        let home = folder(vocabulary, &json!({ "tokenizer_config.json": { "eos_token": "<end>" } }));
        let error = Tokenizer::from_folder_with_rows(home.path(), 800).unwrap_err().to_string();
        assert!(error.contains("eos_token is \"<end>\", which is not in the vocabulary"), "{error}");
    }
}

#[test]
fn an_id_that_files_say_otherwise_is_said() {
    let token = json!({ "content": "<tool>", "special": true });
    let home = folder(
        "llama3.json",
        &json!({ "tokenizer_config.json": { "added_tokens_decoder": { "5000": token } } }),
    );
    let tokenizer = Tokenizer::from_folder(home.path()).unwrap();
    let [note] = tokenizer.notes() else { panic!("{:?}", tokenizer.notes()) };
    let id = tokenizer.id_of("<tool>").unwrap();
    assert_eq!(note, &format!("\"<tool>\" has id {id}, where the files beside tokenizer.json say 5000"));
}

#[test]
fn dropout_changes_no_ids_and_is_said() {
    for vocabulary in ["llama3.json", "metaspace.json"] {
        let bytes = std::fs::read(fixture(vocabulary)).unwrap();
        let plain = Tokenizer::from_tokenizer_json(&bytes, None, Path::new("plain")).unwrap();
        let mut file: Value = serde_json::from_slice(&bytes).unwrap();
        file["model"]["dropout"] = json!(0.5);
        let path = Path::new("tokenizer.json");
        let dropping = Tokenizer::from_tokenizer_json(file.to_string().as_bytes(), None, path).unwrap();
        assert_eq!(dropping.kind(), plain.kind());
        let text = "동해 물과 백두산이 마르고 닳도록 the quick brown fox jumps over the lazy dog";
        for _ in 0..20 {
            assert_eq!(dropping.encode(text), plain.encode(text), "{vocabulary}");
        }
        let [note] = dropping.notes() else { panic!("{:?}", dropping.notes()) };
        assert!(note.contains("dropout") && note.contains("tokenizer.json"), "{note}");
        assert_eq!(dropping.fingerprint().unwrap(), plain.fingerprint().unwrap());
    }
}

#[test]
fn what_python_and_editors_write_beside_json_is_read() {
    for vocabulary in ["llama3.json", "metaspace.json"] {
        let home = tempfile::tempdir().unwrap();
        let with_mark = |text: &str| format!("\u{feff}{text}");
        let whole = std::fs::read_to_string(fixture(vocabulary)).unwrap();
        std::fs::write(home.path().join("tokenizer.json"), with_mark(&whole)).unwrap();
        let config =
            r#"{"model_max_length": Infinity, "x": NaN, "pad_token": "<old>", "pad_token": "<pad>"}"#;
        std::fs::write(home.path().join("tokenizer_config.json"), with_mark(config)).unwrap();
        std::fs::write(home.path().join("added_tokens.json"), with_mark("{}")).unwrap();
        let map = r#"{"sep_token": "<sep>", "cls_token": null}"#;
        std::fs::write(home.path().join("special_tokens_map.json"), with_mark(map)).unwrap();
        let tokenizer = Tokenizer::from_folder(home.path()).unwrap();
        assert_eq!(tokenizer.token_text(tokenizer.pad().unwrap()), "<pad>");
        assert!(tokenizer.id_of("<sep>").is_some() && tokenizer.id_of("<old>").is_none());
    }
}

#[test]
fn errors_of_vocabulary_files_name_the_key_and_no_type_of_rust() {
    let of = |file: &str, content: &str| {
        let home = folder("llama3.json", &json!({}));
        std::fs::write(home.path().join(file), content).unwrap();
        let line = Tokenizer::from_folder(home.path()).unwrap_err().to_string();
        assert!(!line.contains("untagged") && !line.contains("struct") && !line.contains("u64"), "{line}");
        line
    };
    let line = of("tokenizer_config.json", r#"{"bos_token": 7}"#);
    assert!(
        line.contains("`bos_token` is neither a token's text nor an object with its `content`"),
        "{line}"
    );
    let line = of("tokenizer_config.json", r#"{"add_bos_token": "yes"}"#);
    assert!(line.contains("`add_bos_token` is the text \"yes\" where true or false belongs"), "{line}");
    let line = of("added_tokens.json", r#"{"<x>": "7"}"#);
    assert!(line.contains("is the text \"7\" where a whole number of at least 0 belongs"), "{line}");
    let line = of("tokenizer.json", r#"{"model": {"type": "Nothing", "vocab": {}}}"#);
    assert!(line.contains("its model is of no kind that the tokenizers library knows"), "{line}");
    let line = of("tokenizer.json", r#"{"model": {"type": "BPE", "vocab": 7}}"#);
    assert!(line.contains("`model.vocab` is 7 where an object of tokens and their ids belongs"), "{line}");
}
