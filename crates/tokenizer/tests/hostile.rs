//! Files that are damaged or lie: one line that names the file and the fact, and nothing large.

use std::path::Path;

use proptest::prelude::*;
use sai_tokenizer::{Error, GgufVocabulary, Tokenizer};

fn json(vocab: &str, merges: &str, added: &str) -> String {
    format!(
        r#"{{"added_tokens":[{added}],"normalizer":null,"pre_tokenizer":{{"type":"ByteLevel","add_prefix_space":false}},
        "post_processor":null,"decoder":{{"type":"ByteLevel"}},"model":{{"type":"BPE","vocab":{{{vocab}}},"merges":[{merges}]}}}}"#
    )
}

fn refusal(bytes: &[u8]) -> String {
    let error =
        Tokenizer::from_tokenizer_json(bytes, None, Path::new("tokenizer.json")).expect_err("a refusal");
    let line = error.to_string();
    assert!(line.starts_with("tokenizer.json: ") && !line.contains('\n'), "{line}");
    line
}

#[test]
fn vocabularies_that_contradict_themselves() {
    for (file, fact) in [
        (json(r#""a":0,"b":2"#, "", ""), r#"token "b" has id 2 among 2 tokens, and no token has id 1"#),
        (json(r#""a":0,"b":4000000000"#, "", ""), "has id 4000000000 among 2 tokens"),
        (json(r#""a":0,"b":99999999999999"#, "", ""), "has id 99999999999999 among 2 tokens"),
        (json(r#""a":0,"b":0"#, "", ""), r#"id 0 is given to both "a" and "b""#),
        (json(r#""a":0,"a":1"#, "", ""), r#"token "a" stands twice, as ids 0 and 1"#),
        (json(r#""a":0,"b":-1"#, "", ""), "`model.vocab.b` is -1 where a whole number of at least 0 belongs"),
        (json(r#""a":0,"b":1"#, r#""a c""#, ""), r#"merge 0 names "c", which is not in the vocabulary"#),
        (json(r#""a":0,"b":1"#, r#""a b""#, ""), r#"merge 0 names "ab", which is not in the vocabulary"#),
        (json(r#""a":0,"b":1"#, r#""ab""#, ""), "merge 0 is not two pieces"),
        (
            json(r#""a":0"#, "", r#"{"id":0,"content":"b","special":true}"#),
            r#"id 0 is given to both "a" and "b""#,
        ),
        (json(r#""a":0"#, "", r#"{"id":5000000000,"content":"b"}"#), "has id 5000000000"),
        (json(r#""a":0"#, "", r#"{"content":"b"}"#), "has no id"),
        (json(r#""a":0,"b":1"#, "", r#"{"id":1,"content":"a"}"#), r#"added token "a" has id 1, and id 0"#),
        ("{".to_owned(), "it ends in the middle"),
        ("[]".to_owned(), "it is a list where an object belongs"),
        ("[".repeat(100_000), "is a list where"),
    ] {
        let line = refusal(file.as_bytes());
        assert!(line.contains(fact), "{line}\n{fact}");
    }
    let mut bytes = json(r#""a":0"#, "", "").into_bytes();
    bytes[20] = 0xff;
    assert!(refusal(&bytes).contains("byte 20 is not UTF-8"));
}

#[test]
fn vocab_and_merges_that_do_not_belong_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = || Tokenizer::from_folder(folder.path()).expect_err("a refusal").to_string();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    assert!(read().contains("no tokenizer.json, no vocab.json with merges.txt, and no tokenizer.model"));
    write("vocab.json", r#"{"a":0,"b":1}"#);
    assert!(read().contains("no tokenizer.json"));
    write("merges.txt", "#version: 0.2\na b\n");
    let line = read();
    assert!(line.contains("merges.txt: merge 0 names \"ab\""), "{line}");
    write("merges.txt", "#version: 0.2\nab\n");
    assert!(read().contains("merges.txt: line 2 is \"ab\", not two pieces"));
    write("merges.txt", "#version: 0.2\n");
    write("tokenizer_config.json", r#"{"bos_token":"<s>"}"#);
    // As in transformers it becomes a token, which a model must then have a row for.
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("a tokenizer");
    assert_eq!((tokenizer.bos(), tokenizer.encode("a<s>b")), (Some(2), vec![0, 2, 1]));
    let line = Tokenizer::from_folder_with_rows(folder.path(), 2).expect_err("a refusal").to_string();
    assert!(line.contains("bos_token is \"<s>\", which is not in the vocabulary"), "{line}");
    write("tokenizer_config.json", r#"{"tokenizer_class":"CLIPTokenizer"}"#);
    assert!(read().contains("CLIPTokenizer"));
    write("tokenizer_config.json", r#"{"added_tokens_decoder":{"x":{"content":"c"}}}"#);
    assert!(read().contains("names \"x\", not an id"));
    write("tokenizer_config.json", r#"{"added_tokens_decoder":{"7":{"content":"c"}}}"#);
    assert!(read().contains("has id 7 among 3 tokens"));
    write("tokenizer_config.json", r#"{"added_tokens_decoder":{"2":{"content":"c","special":true}}}"#);
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("a tokenizer");
    assert_eq!(tokenizer.encode("abc"), [0, 1, 2]);
    assert_eq!(tokenizer.encode_plain("abc"), [0, 1]);
}

#[test]
fn gguf_vocabularies_that_contradict_themselves() {
    let good = || GgufVocabulary {
        path: "m.gguf".into(),
        model: "gpt2".into(),
        pre: Some("gpt-2".into()),
        tokens: ["a", "b", "ab"].map(str::to_owned).into(),
        merges: vec!["a b".into()],
        ..GgufVocabulary::default()
    };
    assert_eq!(Tokenizer::from_gguf(good()).expect("a tokenizer").encode("abba"), [2, 1, 0]);
    let refuse = |v: GgufVocabulary, fact: &str| {
        let line = Tokenizer::from_gguf(v).expect_err(fact).to_string();
        assert!(line.starts_with("m.gguf: ") && line.contains(fact) && !line.contains('\n'), "{line}");
    };
    refuse(GgufVocabulary { tokens: vec![], ..good() }, "tokens has 0 entries");
    refuse(GgufVocabulary { token_types: vec![1], ..good() }, "token_type has 1 entries for 3 tokens");
    refuse(GgufVocabulary { merges: vec!["ab".into()], ..good() }, "merge 0 is \"ab\", not two pieces");
    refuse(GgufVocabulary { merges: vec!["b b".into()], ..good() }, "merge 0 names \"bb\"");
    refuse(GgufVocabulary { eos: Some(4_000_000_000), ..good() }, "the eos token has id 4000000000");
    refuse(GgufVocabulary { tokens: vec!["a".into(); 2], ..good() }, "token \"a\" stands twice");
    refuse(GgufVocabulary { model: "rwkv\n".into(), ..good() }, "tokenizer.ggml.model is \"rwkv");
    refuse(GgufVocabulary { pre: Some("tekken".into()), ..good() }, "tokenizer.ggml.pre is \"tekken\"");
    refuse(GgufVocabulary { model: "llama".into(), merges: vec![], ..good() }, "scores is missing");
    let lost = GgufVocabulary { model: "llama".into(), merges: vec!["b b".into()], ..good() };
    refuse(lost, "merge 0 names \"bb\"");
    let nan = GgufVocabulary { model: "llama".into(), scores: vec![f32::NAN; 3], ..good() };
    assert!(Tokenizer::from_gguf(nan).is_ok());
}

#[test]
fn work_grows_with_the_text_and_not_with_its_square() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama3.json");
    let bytes = std::fs::read(&path).expect("a fixture");
    let tokenizer = Tokenizer::from_tokenizer_json(&bytes, None, &path).expect("a tokenizer");
    for unit in [
        "a",
        " ",
        "\n",
        " \n",
        "가",
        "'",
        "7",
        "the",
        "\u{1112}\u{1161}\u{11ab}",
        "<|im_end|>",
        "<|im_",
        "<mask> ",
    ] {
        let text = unit.repeat(1_000_000 / unit.len());
        let start = std::time::Instant::now();
        std::hint::black_box(tokenizer.encode(&text));
        // A fraction of a second on an idle machine; what grows with the square would take minutes.
        assert!(start.elapsed().as_secs() < 20, "{unit:?}: 1 MB took {:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// A byte changed, a piece cut out: an error or a tokenizer, never a panic.
    #[test]
    fn damaged_files_never_panic(at in 0.0..1.0f64, byte in any::<u8>(), cut in 0..64usize) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2.json");
        let mut bytes = std::fs::read(&path).expect("a fixture");
        let at = (at * bytes.len() as f64) as usize;
        bytes[at] = byte;
        bytes.drain(at..(at + cut).min(bytes.len()));
        match Tokenizer::from_tokenizer_json(&bytes, None, &path) {
            Ok(tokenizer) => { tokenizer.decode(&tokenizer.encode("안녕, it's 1234 \n<|im_end|>")); }
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }
}

#[test]
fn the_library_takes_what_is_not_byte_level() {
    let file = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":0,"content":"[UNK]","single_word":false,
        "lstrip":false,"rstrip":false,"normalized":false,"special":true}],"normalizer":{"type":"Lowercase"},
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":{"type":"WordPiece","prefix":"\#\#","cleanup":true},
        "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"\#\#","max_input_chars_per_word":100,
        "vocab":{"[UNK]":0,"hel":1,"\#\#lo":2,"world":3}}}"#
        .replace("\\#", "#");
    let tokenizer =
        Tokenizer::from_tokenizer_json(file.as_bytes(), None, Path::new("t")).expect("a tokenizer");
    assert_eq!(tokenizer.facts().model, "WordPiece");
    assert_eq!(tokenizer.encode("Hello world 가"), [1, 2, 3, 0]);
    assert_eq!(tokenizer.decode(&[1, 2, 3]), "hello world");
    let mut stream = tokenizer.stream();
    let shown: Vec<String> = [1, 2, 3].into_iter().map(|id| stream.push(id)).collect();
    assert_eq!(shown, ["hel", "lo", " world"]);
    let broken = file.replace("\"world\":3", "\"world\":30");
    assert!(matches!(
        Tokenizer::from_tokenizer_json(broken.as_bytes(), None, Path::new("t")),
        Err(Error::Vocabulary { .. })
    ));
}
