//! Gemma 3 270M, a real model of another family that knows Korean: its ids, and llama.cpp's perplexities of it.

#[path = "../../../tests/real_model.rs"]
mod real_model;

use sai_generation::{LoadOptions, Model, perplexity};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::Path;

fn json(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn open() -> Option<Model> {
    let path = real_model::gemma3_270m()?;
    Some(Model::open(path.as_path(), &LoadOptions::default()).unwrap())
}

#[test]
fn ids_are_sentence_pieces() {
    let Some(model) = open() else { return };
    let texts = json("../tokenizer/tests/fixtures/gemma3_ids.json");
    let texts = texts.as_array().unwrap();
    assert!(texts.len() > 5);
    for row in texts {
        let text = row["text"].as_str().unwrap();
        let want: Vec<u32> =
            row["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(model.tokenizer.encode(text), want, "{text}");
    }
}

/// What a file of perplexities calls a text.
fn text(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(name)).unwrap();
    match name.ends_with(".jsonl") {
        // Documents one after another, of which the beginning is read.
        true => {
            let documents: Vec<String> = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned())
                .collect();
            documents.join("\n\n").chars().take(12_000).collect()
        }
        false => text.trim_end_matches('\n').to_owned(),
    }
}

#[test]
fn perplexity_is_llama_cpps() {
    let Some(model) = open() else { return };
    let fixture = json("tests/fixtures/perplexity-gemma3.json");
    let mut rows = 0;
    for row in fixture["llama.cpp"].as_array().unwrap() {
        // Of a few hundred tokens the figure says too little.
        let (window, scored) = (row["window"].as_u64().unwrap() as usize, row["scored"].as_u64().unwrap());
        if scored < 1000 {
            continue;
        }
        let tokens = model.encode_text(&text(row["text"].as_str().unwrap()));
        assert_eq!(tokens.len() as u64, row["tokens"].as_u64().unwrap());
        let got = perplexity(&model, &tokens, window, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(got.scored_tokens as u64, scored);
        let want = row["perplexity"].as_f64().unwrap();
        assert!(
            (got.perplexity / want - 1.0).abs() < 0.005,
            "{} of {window}: {} for {want}",
            row["text"],
            got.perplexity
        );
        rows += 1;
    }
    assert_eq!(rows, 3);
}
