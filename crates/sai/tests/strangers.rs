//! Strangers' files, and what the command says of them: the file, the fact, and the flag or the command that helps.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{fails, run, sai, succeeds};

fn vocabulary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokenizer/tests/fixtures/gpt2.json")
}

fn documents(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../documents/tests/fixtures/documents").join(name)
}

fn pack(home: &Path, input: &str, more: &[&str]) -> Command {
    let mut command = sai(home);
    command.args([
        "--quiet",
        "tokenizer",
        "pack",
        "--input",
        input,
        "-o",
        "packed",
        "--eos",
        "<|endoftext|>",
    ]);
    command.arg("--tokenizer").arg(vocabulary()).args(more);
    command
}

/// How many documents were packed.
fn packed(command: &mut Command) -> u64 {
    let ran = succeeds(command.arg("--json"));
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    found["total"]["documents"].as_u64().expect("a number")
}

#[test]
fn every_verb_refuses_a_json_array_as_a_whole() {
    let home = tempfile::tempdir().expect("a folder");
    let rows: Vec<String> = (0..300).map(|i| format!("{{\"text\": \"row {i}\"}}")).collect();
    fs::write(home.path().join("array.json"), format!("[\n{}\n]\n", rows.join(",\n"))).expect("written");
    fs::write(home.path().join("commas.jsonl"), rows.join(",\n")).expect("written");
    let recipe = "[sample]\ndocuments = [{ input = [\"INPUT\"] }]\n";
    for (name, way) in
        [("array.json", "`jq -c '.[]' < array.json > NEW.jsonl`"), ("commas.jsonl", "`sed 's/,")]
    {
        for more in [&[][..], &["--skip-broken"]] {
            let said = fails(&mut pack(home.path(), name, more));
            assert!(said.contains(name) && said.contains(way), "{said}");
            assert!(!home.path().join("packed").exists());
            let said = fails(sai(home.path()).args(["tokenizer", "train", "-i", name, "-o", "v"]).args(more));
            assert!(said.contains(way), "{said}");
        }
        fs::write(home.path().join("recipe.toml"), recipe.replace("INPUT", name)).expect("written");
        let said = fails(sai(home.path()).args(["sample", "recipe.toml", "-o", "out"]));
        assert!(said.contains(way), "{said}");
        let said = fails(sai(home.path()).args(["evaluate", "mini", "--texts", &format!("ko={name}")]));
        assert!(said.contains(way), "{said}");
        let text = format!("x={name}");
        let eval =
            fails(sai(home.path()).args(["tokenizer", "eval"]).arg(vocabulary()).args(["--text", &text]));
        assert!(eval.contains(way), "{eval}");
    }
}

#[test]
fn a_broken_line_names_the_columns_that_are_there_and_the_flags_that_help() {
    let home = tempfile::tempdir().expect("a folder");
    let rows = |from: usize, column: &str| -> String {
        (from..from + 20).map(|i| format!("{{\"id\": {i}, \"{column}\": \"row {i}\"}}\n")).collect()
    };
    fs::write(home.path().join("a.jsonl"), rows(0, "body")).expect("written");
    let said = fails(&mut pack(home.path(), "a.jsonl", &[]));
    for part in ["a.jsonl: line 1: no column `text`; it has `id`, `body`", "--text-column", "--skip-broken"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(packed(&mut pack(home.path(), "a.jsonl", &["--text-column", "body"])), 20);
    fs::remove_dir_all(home.path().join("packed")).expect("removed");
    let said = fails(&mut pack(home.path(), "a.jsonl", &["--skip-broken"]));
    assert!(said.contains("20 of 20 documents are broken, the first at line 1: no column `text`"), "{said}");
    assert!(said.contains("--text-column"), "{said}");

    fs::write(home.path().join("b.jsonl"), rows(0, "text") + "{\"text\": 1}\n" + &rows(20, "text"))
        .expect("written");
    let said = fails(&mut pack(home.path(), "b.jsonl", &[]));
    assert!(
        said.contains("line 21: column `text`: a number, and not a text") && said.contains("--skip-broken"),
        "{said}"
    );
    let ran = succeeds(&mut pack(home.path(), "b.jsonl", &["--skip-broken"]));
    assert!(ran.err.contains("1 documents were passed over"), "{}", ran.err);
    let said = fails(sai(home.path()).args(["evaluate", "mini", "--texts", "ko=b.jsonl"]));
    assert!(said.contains("line 21") && said.contains("--skip-broken"), "{said}");

    fs::remove_dir_all(home.path().join("packed")).expect("removed");
    let parquet = documents("brotli.parquet");
    let name = parquet.to_str().expect("a name");
    let said = fails(&mut pack(home.path(), name, &["--text-column", "body"]));
    assert!(
        said.contains("no column `body`; it has `id`, `text`, `lang`; name another with --text-column"),
        "{said}"
    );
    let said = fails(&mut pack(home.path(), name, &["--lang-column", "id"]));
    assert!(said.contains("column `id` holds no text; name another with --lang-column"), "{said}");
}

#[test]
fn a_clone_of_a_data_set_is_packed_and_what_is_left_out_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let set = home.path().join("set");
    fs::create_dir_all(set.join("data")).expect("made");
    for (name, text) in
        [("README.md", "---\nlicense: mit\n---\n"), (".gitattributes", "*"), ("LICENSE", "MIT")]
    {
        fs::write(set.join(name), text).expect("written");
    }
    fs::copy(documents("lz4.parquet"), set.join("data/train-00000-of-00001.parquet")).expect("copied");
    fs::write(set.join("small.jsonl"), "{\"text\": \"one\"}\n").expect("written");
    let mut command = sai(home.path());
    command.args([
        "tokenizer",
        "pack",
        "--input",
        "set",
        "-o",
        "packed",
        "--eos",
        "<|endoftext|>",
        "--tokenizer",
    ]);
    let ran = succeeds(command.arg(vocabulary()));
    assert!(ran.err.contains("not read, for they are no documents: LICENSE, README.md"), "{}", ran.err);
    assert_eq!(packed(&mut pack(home.path(), "set", &[])), 9);
}

#[test]
fn an_encoding_is_named_by_the_command() {
    let home = tempfile::tempdir().expect("a folder");
    for (name, way) in [("utf16.jsonl", "iconv -f UTF-16 "), ("cp949.jsonl", "iconv -f CP949 ")] {
        let input = documents(name);
        let said = fails(&mut pack(home.path(), input.to_str().expect("a name"), &[]));
        assert!(said.contains(name) && said.contains(way), "{said}");
    }
}

#[test]
fn a_separator_as_a_shell_hands_it_on_divides() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("a.txt"), "one\n\ntwo\n\nthree").expect("written");
    assert_eq!(packed(&mut pack(home.path(), "a.txt", &["--separator", r"\n\n"])), 3);
    assert_eq!(run(&mut pack(home.path(), "a.txt", &["--separator", ""])).code, Some(2));
}

#[test]
fn a_unit_means_the_same_to_every_verb() {
    let home = tempfile::tempdir().expect("a folder");
    let lines: String = (0..50)
        .map(|i| format!("{{\"text\": \"{}\", \"lang\": \"ko\"}}\n", format!("{i:02}").repeat(500)))
        .collect();
    fs::write(home.path().join("ko.jsonl"), lines).expect("written");
    for (share, texts) in [("0.02k", 20), ("10kB", 10), ("10KiB", 11)] {
        let sample = format!("ko={share}");
        let mut command = sai(home.path());
        command.args(["tokenizer", "train", "-i", "ko.jsonl", "--vocab-size", "270", "--sample", &sample]);
        let ran = succeeds(command.args(["-o", &format!("v{share}")]));
        assert!(ran.err.contains(&format!("ko: {texts} of 50 documents")), "{share}: {}", ran.err);

        let recipe = format!(
            "[sample]\nheld_out = 0.0\ndocuments = [{{ input = [\"ko.jsonl\"], take = \"{share}\" }}]\n"
        );
        fs::write(home.path().join("recipe.toml"), recipe).expect("written");
        let mut command = sai(home.path());
        let ran = succeeds(command.args(["sample", "recipe.toml", "--json", "-o", &format!("s{share}")]));
        let counts: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(counts[0]["taken"], texts, "{share}");
    }
    for (wrong, verb) in [("--shard-size", "10MB"), ("--shard-size", "1.5")] {
        let ran = run(&mut pack(home.path(), "ko.jsonl", &[wrong, verb]));
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

#[test]
fn no_text_is_not_evaluated() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("ko.jsonl"), "{\"text\": \"\"}\n").expect("written");
    let said = fails(sai(home.path()).args(["evaluate", "mini", "--texts", "ko=ko.jsonl"]));
    assert!(said.contains("ko.jsonl: there is no text to read for ko"), "{said}");
    let said = fails(sai(home.path()).args(["evaluate", "mini"]));
    assert!(said.contains("--texts LANG=FILE") && said.contains("--ask"), "{said}");
    let mut none = sai(home.path());
    assert_eq!(run(none.args(["evaluate", "mini", "--texts", "ko=ko.jsonl", "--bytes", "0"])).code, Some(2));
}

#[test]
fn documents_are_not_counted_as_conversations() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("talk.jsonl"), "{\"text\": \"a document\"}\n".repeat(20)).expect("written");
    let recipe = "[sample]\nconversations = [{ input = [\"talk.jsonl\"] }]\n";
    fs::write(home.path().join("recipe.toml"), recipe).expect("written");
    let said = fails(sai(home.path()).args(["sample", "recipe.toml", "-o", "out"]));
    assert!(said.contains("talk.jsonl: line 1: has `text`") && said.contains("--skip-broken"), "{said}");
    let said = fails(sai(home.path()).args(["sample", "recipe.toml", "-o", "out", "--skip-broken"]));
    assert!(said.contains("20 of 20 documents are broken"), "{said}");
    assert!(!home.path().join("out").exists());
}

#[test]
fn outputs_of_another_kind_stay_as_they_are() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("a.jsonl"), "{\"text\": \"one\"}\n").expect("written");
    fs::write(home.path().join("packed"), "notes").expect("written");
    let said = fails(&mut pack(home.path(), "a.jsonl", &[]));
    assert!(said.contains("packed: a file has this name"), "{said}");
    let said = fails(sai(home.path()).args(["tokenizer", "train", "-i", "a.jsonl", "-o", "packed"]));
    assert!(said.contains("packed: it is there already"), "{said}");
    let mut among = sai(home.path());
    among.args(["-q", "tokenizer", "pack", "-i", "a.jsonl", "-o", ".", "--eos", "none", "--tokenizer"]);
    let said = fails(among.arg(vocabulary()));
    assert!(said.contains("it holds other things than shards"), "{said}");
    fs::write(home.path().join("p.svg"), "notes").expect("written");
    let eval = |more: &[&str]| {
        let mut command = sai(home.path());
        command.args(["tokenizer", "eval"]).arg(vocabulary());
        command.args(["--text", "x=a.jsonl", "--plot", "p.svg"]).args(more);
        command
    };
    let said = fails(&mut eval(&[]));
    assert!(said.contains("p.svg: it is there and is no SVG picture"), "{said}");
    for name in ["packed", "p.svg"] {
        assert_eq!(fs::read_to_string(home.path().join(name)).expect("there"), "notes");
    }
    succeeds(&mut eval(&["--force"]));
    succeeds(&mut eval(&[]));
}
