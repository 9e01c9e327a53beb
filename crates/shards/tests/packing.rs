//! Packing and reading back: every document, the same bytes each time, and nothing that is damaged.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use sai_documents::Options;
use sai_formats::Bytes;
use sai_shards::{Error, PackOptions, Packed, Shard, Shards, Tokens, Total, pack};
use sai_tokenizer::Tokenizer;

fn fixture(name: &str) -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokenizer/tests/fixtures").join(name);
    Tokenizer::from_tokenizer_json(&std::fs::read(&path).unwrap(), None, &path).unwrap()
}

/// Documents in two languages, some of them empty or without a language.
fn documents() -> Vec<(String, Option<&'static str>)> {
    (0..400)
        .map(|i| match i % 5 {
            0 => (format!("문서 {i}: 한글은 소리를 적는 글자이다. ").repeat(i % 7), Some("ko")),
            1 => (String::new(), Some("en")),
            2 => (format!("<|endoftext|> number {i}\n"), None),
            _ => (format!("Document {i} says {}. ", i * i).repeat(1 + i % 11), Some("en")),
        })
        .collect()
}

fn input(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (f, part) in documents().chunks(150).enumerate() {
        let lines: String = part
            .iter()
            .map(|(text, lang)| {
                format!("{}\n", serde_json::json!({"text": text, "lang": lang, "source": f.to_string()}))
            })
            .collect();
        let path = folder.join(format!("{f}.jsonl"));
        std::fs::write(&path, lines).unwrap();
        files.push(path);
    }
    files
}

fn options(tokenizer: &Tokenizer, threads: usize, shard_tokens: u64) -> PackOptions {
    let end = tokenizer.id_of("<|endoftext|>");
    assert!(end.is_some());
    PackOptions { shard_tokens, threads, end, tokenizer_name: "fixture".to_owned() }
}

fn small_blocks() -> Options {
    Options { block: 1000, ..Options::default() }
}

fn run(
    target: &Path,
    tokenizer: &Tokenizer,
    files: &[PathBuf],
    options: &PackOptions,
) -> Result<Packed, Error> {
    match pack(
        target,
        tokenizer,
        files.to_vec(),
        small_blocks(),
        options,
        &mut |_| ControlFlow::Continue(()),
    )? {
        ControlFlow::Continue(packed) => Ok(packed),
        ControlFlow::Break(()) => panic!("nobody stopped it"),
    }
}

/// The names and bytes of all files of a folder, what only locks left out.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != ".lock")
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn documents_come_back_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (tokenizer, target) = (fixture("gpt2.json"), folder.path().join("packed"));
    let inputs = input(folder.path());
    let packed = run(&target, &tokenizer, &inputs, &options(&tokenizer, 2, 2000)).unwrap();
    assert!(packed.shards > 3, "{packed:?}");
    let shards = Shards::open(&target, Some(tokenizer.fingerprint().unwrap())).unwrap();
    assert_eq!(shards.totals(), &packed.totals);
    shards.verify(|_| {}).unwrap();
    let all = documents();
    let mut by_language = std::collections::BTreeMap::<Option<String>, Total>::new();
    for (i, (text, lang)) in all.iter().enumerate() {
        let document = shards.document(i as u64).unwrap();
        let mut ids: Vec<u32> = document.tokens.iter().collect();
        assert_eq!(ids.pop(), shards.end());
        assert_eq!(ids, tokenizer.encode_plain(text), "{i}");
        assert_eq!(tokenizer.decode(&ids), *text);
        assert_eq!((document.lang, document.text_bytes as usize), (*lang, text.len()));
        assert_eq!(document.source, Some((i / 150).to_string().as_str()));
        assert!(matches!(document.tokens, Tokens::U16(_)));
        let total = by_language.entry(lang.map(str::to_owned)).or_default();
        total.documents += 1;
        total.tokens += document.tokens.len() as u64;
        total.text_bytes += text.len() as u64;
    }
    assert_eq!(shards.document(all.len() as u64), None);
    assert_eq!(shards.totals().by_language, by_language);
    assert_eq!(shards.totals().all.documents, all.len() as u64);
}

#[test]
fn threads_and_interruptions_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = fixture("gpt2.json");
    let inputs = input(folder.path());
    let whole = folder.path().join("whole");
    run(&whole, &tokenizer, &inputs, &options(&tokenizer, 1, 1500)).unwrap();
    let expected = files(&whole);
    for threads in [2, 5] {
        let target = folder.path().join(format!("threads-{threads}"));
        run(&target, &tokenizer, &inputs, &options(&tokenizer, threads, 1500)).unwrap();
        assert!(files(&target) == expected, "{threads} threads");
    }
    // Stopped after every few batches, over and over.
    let target = folder.path().join("stopped");
    let options = options(&tokenizer, 2, 1500);
    let mut runs = 0;
    loop {
        let mut calls = 0;
        let mut resumed = None;
        let mut stop = |progress: sai_shards::Progress| {
            // What was packed before is passed by without a stop; else no run would come further than the last.
            calls += u64::from(progress.tokens > 0);
            resumed.get_or_insert(progress.documents);
            if calls > 12 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let flow = pack(&target, &tokenizer, inputs.clone(), small_blocks(), &options, &mut stop).unwrap();
        runs += 1;
        if let ControlFlow::Continue(packed) = flow {
            assert!(packed.resumed > 0);
            break;
        }
        assert!(matches!(Shards::open(&target, None), Err(Error::Unfinished { .. })));
        assert!(runs < 100);
    }
    assert!(runs > 2, "{runs}");
    assert!(files(&target) == expected);
    // A finished folder is left as it is.
    let again = run(&target, &tokenizer, &inputs, &options).unwrap();
    assert_eq!(again.resumed, documents().len() as u64);
    assert!(files(&target) == expected);
}

#[test]
fn what_does_not_belong_together_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (tokenizer, other) = (fixture("gpt2.json"), fixture("qwen2.json"));
    let inputs = input(folder.path());
    let target = folder.path().join("packed");
    let options = |tokenizer| options(tokenizer, 1, 2000);
    run(&target, &tokenizer, &inputs, &options(&tokenizer)).unwrap();
    let says = |error: Error, name: &str, fact: &str| {
        let line = error.to_string();
        assert!(line.contains(name) && line.contains(fact) && !line.contains('\n'), "{line}");
    };
    let opened = Shards::open(&target, Some(other.fingerprint().unwrap())).unwrap_err();
    says(opened, "shard-00000.tokens", "packed with another tokenizer");
    let error = run(&target, &other, &inputs, &options(&other)).unwrap_err();
    says(error, "shard-00000.tokens", "packed with another tokenizer");
    let fewer = PackOptions { shard_tokens: 1999, ..options(&tokenizer) };
    says(run(&target, &tokenizer, &inputs, &fewer).unwrap_err(), "shard-00000.tokens", "other inputs");
    says(
        run(&target, &tokenizer, &inputs[1..], &options(&tokenizer)).unwrap_err(),
        "shard-00000",
        "other inputs",
    );

    let path = target.join("shard-00001.tokens");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    says(Shards::open(&target, None).unwrap_err(), "shard-00001.tokens", "cut short");
    std::fs::copy(target.join("shard-00000.tokens"), &path).unwrap();
    says(Shards::open(&target, None).unwrap_err(), "shard-00001.tokens", "not the shard");
    std::fs::remove_file(&path).unwrap();
    says(Shards::open(&target, None).unwrap_err(), "shard-00001.tokens", "one of");
    says(Shards::open(&folder.path().join("moved"), None).unwrap_err(), "moved", "no such folder");
    says(Shards::open(&inputs[0], None).unwrap_err(), "0.jsonl", "a file, and not the folder");
    std::fs::remove_file(target.join("pack.json")).unwrap();
    says(Shards::open(&target, None).unwrap_err(), "packed", "interrupted");
    says(Shards::open(folder.path(), None).unwrap_err(), "", "no pack.json");
    std::fs::write(folder.path().join("empty.jsonl"), "").unwrap();
    let nothing = run(
        &folder.path().join("none"),
        &tokenizer,
        &[folder.path().join("empty.jsonl")],
        &options(&tokenizer),
    );
    says(nothing.unwrap_err(), "", "no documents");
}

#[test]
fn a_packing_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = fixture("gpt2.json");
    let broken = folder.path().join("broken.jsonl");
    let lines: String = (0..100).map(|i| format!("{{\"text\": \"document {i} of some words\"}}\n")).collect();
    std::fs::write(&broken, format!("{lines}{{\"body\": 1}}\n")).unwrap();
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let target = folder.path().join("packed");
    run(&target, &tokenizer, std::slice::from_ref(&broken), &options(&tokenizer, 2, 1 << 20)).unwrap_err();
    assert!(!target.exists(), "{:?}", names(&target));
    // What is whole stays, for the same command to go on from.
    run(&target, &tokenizer, std::slice::from_ref(&broken), &options(&tokenizer, 2, 200)).unwrap_err();
    let whole = names(&target);
    assert!(!whole.is_empty() && whole.iter().all(|name| name.starts_with("shard-")), "{whole:?}");
    // A folder that was there stays there.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    run(&empty, &tokenizer, std::slice::from_ref(&broken), &options(&tokenizer, 2, 1 << 20)).unwrap_err();
    assert!(names(&empty).is_empty());
    std::fs::write(&broken, &lines).unwrap();
    run(&empty, &tokenizer, std::slice::from_ref(&broken), &options(&tokenizer, 2, 1 << 20)).unwrap();
    assert_eq!(names(&empty), ["pack.json", "shard-00000.tokens"]);
}

#[test]
fn shards_are_not_put_among_other_things() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = fixture("gpt2.json");
    let inputs = input(folder.path());
    let among =
        run(folder.path(), &tokenizer, &inputs, &options(&tokenizer, 1, 2000)).unwrap_err().to_string();
    assert!(among.contains("it holds other things than shards, such as "), "{among}");
    let file = run(&inputs[0], &tokenizer, &inputs, &options(&tokenizer, 1, 2000)).unwrap_err().to_string();
    assert!(file.contains("0.jsonl: a file has this name"), "{file}");
    assert!(!folder.path().join(".lock").exists() && !folder.path().join("pack.json").exists());
}

#[test]
fn every_damaged_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = fixture("gpt2.json");
    let lines = "{\"text\":\"한글 text\",\"lang\":\"ko\",\"source\":\"가\"}\n{\"text\":\"b\"}\n";
    std::fs::write(folder.path().join("a.jsonl"), lines).unwrap();
    let target = folder.path().join("packed");
    run(&target, &tokenizer, &[folder.path().join("a.jsonl")], &options(&tokenizer, 1, 100)).unwrap();
    let whole = std::fs::read(target.join("shard-00000.tokens")).unwrap();
    let read = |bytes: &[u8]| {
        let shard = Shard::from_bytes(Bytes::from_vec(bytes.to_vec()), Path::new("s.tokens"))?;
        shard.verify()
    };
    read(&whole).unwrap();
    let tokens = 256..256 + 2 * Shard::open(&target.join("shard-00000.tokens")).unwrap().tokens().len();
    for at in 0..whole.len() {
        let padding = at >= tokens.end && at < tokens.end.next_multiple_of(8);
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let found = read(&bytes);
        assert!(padding || found.is_err(), "byte {at}");
        if let Err(error) = found {
            assert!(error.to_string().starts_with("s.tokens: "), "{error}");
        }
        assert!(read(&whole[..at]).is_err());
    }
    assert!(read(&[&whole[..], b"\0"].concat()).is_err());
}

#[test]
fn two_packers_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = fixture("gpt2.json");
    let inputs = input(folder.path());
    let target = folder.path().join("packed");
    let options = options(&tokenizer, 1, 2000);
    let mut met = false;
    let flow = pack(&target, &tokenizer, inputs.clone(), small_blocks(), &options, &mut |_| {
        if !met {
            let error = run(&target, &tokenizer, &inputs, &options).unwrap_err();
            assert!(matches!(error, Error::Busy { .. }), "{error}");
            met = true;
        }
        std::thread::sleep(Duration::ZERO);
        ControlFlow::Continue(())
    });
    assert!(met && flow.unwrap().is_continue());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_comes_back(texts in prop::collection::vec(any::<String>(), 1..8), shard_tokens in 1u64..60) {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = fixture("llama3.json");
        let path = folder.path().join("a.jsonl");
        let lines: String = texts.iter().map(|t| format!("{}\n", serde_json::json!({"text": t}))).collect();
        std::fs::write(&path, lines).unwrap();
        let options = PackOptions { shard_tokens, threads: 2, end: None, tokenizer_name: String::new() };
        let target = folder.path().join("packed");
        run(&target, &tokenizer, &[path], &options).unwrap();
        let shards = Shards::open(&target, None).unwrap();
        shards.verify(|_| {}).unwrap();
        let mut first = 0;
        for (i, text) in texts.iter().enumerate() {
            let ids: Vec<u32> = shards.document(i as u64).unwrap().tokens.iter().collect();
            prop_assert_eq!(&tokenizer.decode_with_special(&ids), text);
            let end = first + ids.len() as u64;
            for token in first..end {
                prop_assert_eq!(shards.find(token), Some((i as u64, first)));
            }
            first = end;
        }
        prop_assert_eq!(shards.find(first), None);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let path = Path::new("s.tokens");
        prop_assert!(Shard::from_bytes(Bytes::from_vec(bytes.clone()), path).is_err());
        let bytes = [b"saitoken".as_slice(), &bytes].concat();
        prop_assert!(Shard::from_bytes(Bytes::from_vec(bytes), path).is_err());
    }
}
