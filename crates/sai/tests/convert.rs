//! `sai convert`: what it makes, what it says, and what it leaves alone.

mod common;

use std::fs;
use std::path::Path;

use common::real_model::smollm2;
use common::{config, fails, sai, succeeds, weights};

/// A home with a tiny folder in it, its vocabulary flat as GPT-2 had it.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("tiny");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.json"), config("LlamaForCausalLM")).expect("a file");
    fs::write(folder.join("model.safetensors"), weights()).expect("a file");
    let vocab = r#"{"<|endoftext|>":0,"a":1,"b":2,"Ġ":3,"ab":4,"Ġab":5}"#;
    fs::write(folder.join("vocab.json"), vocab).expect("a file");
    fs::write(folder.join("merges.txt"), "#version: 0.2\na b\nĠ ab\n").expect("a file");
    home
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_becomes_a_gguf_and_a_folder_again() {
    let home = home();
    let ran = succeeds(sai(home.path()).args(["convert", "tiny", "tiny.gguf"]));
    assert!(ran.out.is_empty() && ran.err.contains("tiny.gguf"), "{ran:?}");
    let seen = succeeds(sai(home.path()).args(["inspect", "tiny.gguf"]));
    assert!(seen.out.contains("gpt-2") && seen.out.contains("sai can run it"), "{seen:?}");
    succeeds(sai(home.path()).args(["convert", "tiny.gguf", "back"]));
    let files = [
        "config.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    ];
    assert_eq!(names(&home.path().join("back")), files);
    let generate = ["-p", "ab ab", "-n", "4", "--temp", "0", "--context", "32"];
    let said = ["tiny", "tiny.gguf", "back"]
        .map(|model| succeeds(sai(home.path()).args(["generate", "-m", model]).args(generate)).out);
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
    assert_eq!(names(home.path()).iter().filter(|name| name.contains(".part")).count(), 0);
}

#[test]
fn what_is_there_is_kept_unless_forced() {
    let home = home();
    let convert = |args: &[&str]| {
        let mut command = sai(home.path());
        command.arg("convert").args(args);
        command
    };
    succeeds(&mut convert(&["tiny", "tiny.gguf"]));
    let before = fs::read(home.path().join("tiny.gguf")).expect("a file");
    let error = fails(&mut convert(&["tiny", "tiny.gguf", "--dtype", "f16"]));
    assert!(error.contains("tiny.gguf: it is there already; give --force"), "{error}");
    assert_eq!(fs::read(home.path().join("tiny.gguf")).expect("a file"), before);
    succeeds(&mut convert(&["tiny", "tiny.gguf", "--dtype", "f16", "--force"]));
    assert!(fs::read(home.path().join("tiny.gguf")).expect("a file").len() < before.len());

    fs::create_dir(home.path().join("letters")).expect("a folder");
    fs::write(home.path().join("letters/one"), "dear").expect("a file");
    let error = fails(&mut convert(&["tiny.gguf", "letters", "--force"]));
    assert!(error.contains("no model's folder"), "{error}");
    assert_eq!(names(&home.path().join("letters")), ["one"]);
}

#[test]
fn a_direction_that_makes_no_sense_is_said() {
    let home = home();
    let error = fails(sai(home.path()).args(["convert", "tiny", "elsewhere"]));
    assert!(error.contains("elsewhere: a folder becomes a GGUF file"), "{error}");
    succeeds(sai(home.path()).args(["convert", "tiny", "tiny.gguf"]));
    let error = fails(sai(home.path()).args(["convert", "tiny.gguf", "other.gguf"]));
    assert!(error.contains("tiny.gguf: it is a GGUF already"), "{error}");
    let error = fails(sai(home.path()).args(["convert", "tiny", "no/such/folder/tiny.gguf"]));
    assert!(error.contains("no/such/folder/tiny.gguf"), "{error}");
    fs::remove_file(home.path().join("tiny/vocab.json")).expect("a file");
    let error = fails(sai(home.path()).args(["convert", "tiny", "new.gguf"]));
    assert!(error.contains("tiny: no tokenizer.json"), "{error}");
    assert!(!home.path().join("new.gguf").exists());
}

#[test]
fn the_real_model_is_expanded_only_when_asked() {
    let Some(path) = smollm2() else { return };
    let home = home();
    let error = fails(sai(home.path()).arg("convert").arg(&path).arg("folder"));
    assert!(error.contains("is of type Q8_0; give --dtype"), "{error}");
    let ran = succeeds(sai(home.path()).arg("convert").arg(&path).args(["folder", "--dtype", "bf16"]));
    assert!(ran.err.contains("quantised weights are expanded to BF16"), "{ran:?}");
    succeeds(sai(home.path()).args(["convert", "folder", "again.gguf"]));
    let template = |model: &Path| succeeds(sai(home.path()).args(["inspect", "--template"]).arg(model)).out;
    assert_eq!(template(&path), template(&home.path().join("again.gguf")));
}
