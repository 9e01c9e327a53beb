//! Every verb that takes a model takes every family, and what a file of the other form cannot say is refused by the fact.
//!
//! The models are the decoder's small ones, with a vocabulary of single bytes beside them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{fails, sai, succeeds};

const TEXT: &str =
    "A family is a row of facts, and the forward pass follows it.\nWhat no row can say is refused by name.\n";
/// Entries of the models' embeddings.
const VOCAB_SIZE: usize = 211;

/// What llama.cpp has no word for: a folder, and the fact.
const NOT_CONVERTED: [(&str, &str); 14] = [
    ("exaone4", "heads of 84 together"),
    ("exaone4-window", "heads of 84 together"),
    ("gemma2", "scale of attention"),
    ("gemma3_text", "scale of attention"),
    ("gpt2-inverse-layer", "scale of attention"),
    ("hyperclovax", "no architecture for `hyperclovax`"),
    ("hyperclovax-without-post-norm", "no architecture for `hyperclovax`"),
    ("mistral", "sliding window of 21"),
    ("mosaic_gpt", "no architecture for `mosaic_gpt`"),
    ("mpt-clipped", "scale of attention"),
    ("opt", "no architecture for `opt`"),
    ("opt-350m", "no architecture for `opt`"),
    ("qwen2-window", "sliding window"),
    ("xglm", "no architecture for `xglm`"),
];

fn families() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../decoder/tests/families");
    let mut families: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    families.sort();
    families
}

/// GPT-2's characters for bytes: printable ones are themselves, the others come from U+0100 on. The bytes of ASCII first.
fn vocabulary() -> serde_json::Value {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100;
    let mut characters: BTreeMap<u8, char> = BTreeMap::new();
    for byte in 0..=255 {
        let character = if printable(byte) {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).expect("a character")
        };
        characters.insert(byte, character);
    }
    let ids = characters.values().take(VOCAB_SIZE).enumerate();
    ids.map(|(id, character)| (character.to_string(), serde_json::Value::from(id))).collect()
}

/// A home with one family's folder in it, complete with a vocabulary, and a text.
fn home(family: &Path) -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().expect("a folder");
    let name = family.file_name().expect("a name").to_string_lossy().into_owned();
    let folder = home.path().join(&name);
    fs::create_dir(&folder).expect("a folder");
    for file in fs::read_dir(family).expect("a folder") {
        let file = file.expect("an entry");
        fs::copy(file.path(), folder.join(file.file_name())).expect("a copy");
    }
    fs::write(folder.join("vocab.json"), vocabulary().to_string()).expect("a file");
    fs::write(folder.join("merges.txt"), "#version: 0.2\n").expect("a file");
    fs::write(home.path().join("text.txt"), TEXT).expect("a file");
    (home, name)
}

fn perplexity(home: &Path, model: &str) -> f64 {
    let ran = succeeds(sai(home).args(["perplexity", "-q", "-m", model, "-f", "text.txt", "-c", "64"]));
    let figure = ran.out.split_whitespace().nth(1).and_then(|figure| figure.parse().ok());
    figure.unwrap_or_else(|| panic!("{ran:?}"))
}

#[test]
fn every_verb_takes_every_family() {
    for family in families() {
        let (home, name) = home(&family);
        let (home, folder) = (home.path(), name.as_str());
        let seen = succeeds(sai(home).args(["inspect", folder]));
        assert!(seen.out.contains("sai can run it"), "{name}: {seen:?}");
        let generate = ["-p", "A row of", "-n", "4", "--temp", "0"];
        succeeds(sai(home).args(["generate", "-m", folder]).args(generate));
        let whole = perplexity(home, folder);
        succeeds(sai(home).args(["imatrix", "-q", folder, "text.txt", "-o", "importance.gguf", "-c", "32"]));

        if let Some((_, fact)) = NOT_CONVERTED.iter().find(|(known, _)| name == *known) {
            for verb in [&["convert", folder, "model.gguf"][..], &["quantize", folder, "model.gguf", "q8_0"]]
            {
                let refusal = fails(sai(home).args(verb));
                assert!(refusal.contains(fact), "{name}: {refusal}");
                assert!(!home.join("model.gguf").exists(), "{name}");
            }
            continue;
        }
        succeeds(sai(home).args(["convert", "-q", folder, "model.gguf"]));
        let seen = succeeds(sai(home).args(["inspect", "model.gguf"]));
        assert!(seen.out.contains("sai can run it"), "{name}: {seen:?}");
        let converted = perplexity(home, "model.gguf");
        assert!((converted / whole - 1.0).abs() < 1e-4, "{name}: {whole} became {converted}");
        succeeds(sai(home).args([
            "quantize",
            "-q",
            "model.gguf",
            "q8_0.gguf",
            "q8_0",
            "--imatrix",
            "importance.gguf",
        ]));
        let quantised = perplexity(home, "q8_0.gguf");
        assert!((quantised / whole - 1.0).abs() < 0.05, "{name}: {whole} became {quantised}");
    }
}

#[test]
fn a_family_with_layer_norms_and_learned_positions_is_timed() {
    let family = families().into_iter().find(|family| family.ends_with("opt-350m")).expect("the family");
    let (home, name) = home(&family);
    let ran = succeeds(sai(home.path()).args(["bench", "-m", &name, "-p", "8", "-n", "2", "-r", "1"]));
    assert!(ran.out.contains("tok"), "{ran:?}");
}
