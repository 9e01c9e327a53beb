//! Small vocabularies of the families' kinds, as their publishers lay them out, cut as `transformers` cuts them
//! (`scripts/fixtures/family_vocabularies.py`).

use std::path::{Path, PathBuf};

use sai_tokenizer::Tokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    opening: Vec<u32>,
    closing: Vec<u32>,
    eos: u32,
    size: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    plain: Option<Vec<u32>>,
    decoded: Option<String>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families").join(name)
}

fn expected(name: &str) -> Expected {
    let text = std::fs::read_to_string(folder(name).join("expected.json")).expect("a fixture");
    serde_json::from_str(&text).expect("a fixture of JSON")
}

fn hold(name: &str, tokenizer: &Tokenizer) {
    let expected = expected(name);
    assert_eq!(tokenizer.vocab_size(), expected.size, "{name}");
    let opening: Vec<u32> = tokenizer.bos().filter(|_| tokenizer.add_bos()).into_iter().collect();
    assert_eq!(opening, expected.opening, "{name} opens a text with");
    assert!(expected.closing.is_empty() && !tokenizer.add_eos(), "{name} closes a text");
    assert_eq!(tokenizer.eos().first(), Some(&expected.eos), "{name}");
    for case in &expected.cases {
        let text = case.text.as_str();
        assert_eq!(tokenizer.encode(text), case.ids, "{name} {text:?}");
        let plain = case.plain.as_ref().unwrap_or(&case.ids);
        assert_eq!(&tokenizer.encode_plain(text), plain, "{name}, plain {text:?}");
        let decoded = case.decoded.as_deref().unwrap_or(text);
        assert_eq!(tokenizer.decode_with_special(&case.ids), decoded, "{name} {text:?}");
    }
}

fn family(name: &str) {
    hold(name, &Tokenizer::from_folder(&folder(name)).expect(name));
}

#[test]
fn gemma_has_byte_fallback_and_no_space_in_front() {
    family("gemma");
}

/// What `tokenizer.json` says is in SentencePiece's own file, too.
#[test]
fn gemma_from_sentence_pieces_own_file() {
    let bare = tempfile::tempdir().expect("a folder");
    for file in ["tokenizer.model", "tokenizer_config.json"] {
        std::fs::copy(folder("gemma").join(file), bare.path().join(file)).expect("a copy");
    }
    let tokenizer = Tokenizer::from_folder(bare.path()).expect("a tokenizer");
    let expected = expected("gemma");
    assert_eq!((tokenizer.bos(), tokenizer.add_bos()), (Some(expected.opening[0]), true));
    assert_eq!((tokenizer.eos(), tokenizer.vocab_size()), (&[expected.eos][..], expected.size));
    for case in &expected.cases {
        assert_eq!(tokenizer.encode(&case.text), case.ids, "{:?}", case.text);
    }
}

#[test]
fn polylm_is_published_as_sentence_pieces_own_file_alone() {
    family("polylm");
}

#[test]
fn xglm_is_opened_by_its_end_token() {
    family("xglm");
}

#[test]
fn polyglot_is_not_decomposed() {
    family("polyglot");
}

#[test]
fn gpt_neox_has_runs_of_blanks_that_are_added_tokens() {
    family("gpt_neox");
}

#[test]
fn kogpt2_has_pieces_of_characters_and_an_old_metaspace() {
    family("kogpt2");
}

#[test]
fn opt_is_opened_by_its_end_token() {
    family("opt");
}

#[test]
fn a_sentence_piece_model_that_is_cut_short_or_of_another_kind_is_refused() {
    let bytes = std::fs::read(folder("polylm").join("tokenizer.model")).expect("a fixture");
    let broken = tempfile::tempdir().expect("a folder");
    let path = broken.path().join("tokenizer.model");
    for length in [0, 1, 7, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).expect("a file");
        let error = Tokenizer::from_folder(broken.path()).expect_err("a refusal").to_string();
        assert!(error.contains("not a SentencePiece model; the file is damaged"), "{length}: {error}");
    }
    std::fs::copy(folder("xglm").join("sentencepiece.bpe.model"), &path).expect("a copy");
    let error = Tokenizer::from_folder(broken.path()).expect_err("a refusal").to_string();
    assert!(
        error.contains("a SentencePiece model of unigram") && error.contains("tokenizer.json"),
        "{error}"
    );
}
