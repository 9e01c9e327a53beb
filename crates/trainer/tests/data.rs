//! Sequences: every document once an epoch, shares that are reached, and the same tokens after any stop.

mod made;

use sai_trainer::{Batch, Corpus, Data, Position, Recipe};
use std::collections::HashMap;
use std::path::Path;

fn recipe(folder: &Path, overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    Recipe::parse(&made::recipe(folder), Path::new("r.toml"), &overrides).unwrap()
}

#[test]
fn every_document_is_foretold_whole_once_an_epoch() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 150, 60);
    for seed in ["seed=1", "seed=2"] {
        let corpus = Corpus::open(&recipe(home.path(), &[seed]), 72).unwrap();
        let shards = corpus.shards().next().unwrap();
        let mut position = corpus.start();
        // Epochs in which each document's tokens came, in the order that they did.
        let mut read: HashMap<u64, Vec<u32>> = HashMap::new();
        while corpus.epochs(&position)[0] < 2.0 {
            let mut batch = Batch::default();
            corpus.sequence(&mut position, 32, &mut batch);
            assert_eq!((batch.tokens.len(), batch.targets.len(), batch.weights.len()), (32, 32, 32));
            assert_eq!(batch.documents.first().unwrap().start, 0);
            for (rows, &(source, number)) in batch.documents.iter().zip(&batch.origins) {
                assert_eq!(source, 0);
                let document = read.entry(number).or_default();
                // A document is opened by the end token, and goes on where it stopped.
                let last = document.last().copied().unwrap_or(made::END);
                assert_eq!(batch.tokens[rows.start], last);
                assert_eq!(batch.tokens[rows.start + 1..rows.end], batch.targets[rows.start..rows.end - 1]);
                document.extend(&batch.targets[rows.clone()]);
            }
        }
        let held_out: Vec<u64> =
            corpus.validation(u64::MAX).iter().flat_map(|h| h.documents.iter().map(|&(_, n)| n)).collect();
        assert!((5..40).contains(&held_out.len()), "{held_out:?}");
        for number in 0..150 {
            let whole: Vec<u32> = shards.document(number).unwrap().tokens.iter().collect();
            match read.get(&number) {
                None => assert!(held_out.contains(&number)),
                // The last sequence may have begun a third epoch.
                Some(tokens) => {
                    assert!(tokens.len() >= 2 * whole.len() && !held_out.contains(&number), "{number}");
                    assert_eq!(tokens[..2 * whole.len()], whole.repeat(2));
                }
            }
        }
    }
}

#[test]
fn a_position_at_rest_goes_on_with_the_same_tokens() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 40, 60);
    let corpus = Corpus::open(&recipe(home.path(), &[]), 72).unwrap();
    let mut position = corpus.start();
    for _ in 0..200 {
        let mut resumed: Position = serde_json::from_str(&serde_json::to_string(&position).unwrap()).unwrap();
        let (mut one, mut other) = (Batch::default(), Batch::default());
        corpus.sequence(&mut position, 24, &mut one);
        corpus.sequence(&mut resumed, 24, &mut other);
        assert_eq!((one, &position), (other, &resumed));
    }
}

#[test]
fn shares_are_reached_and_languages_kept_apart() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 200, 30);
    let packed = home.path().join("packed").display().to_string();
    let data = format!(
        "data=[{{path={packed:?}, share=3, language='ko'}}, {{path={packed:?}, share=1, language='en'}}]"
    );
    let corpus = Corpus::open(&recipe(home.path(), &[&data]), 72).unwrap();
    let (mut position, mut batch) = (corpus.start(), Batch::default());
    for _ in 0..500 {
        corpus.sequence(&mut position, 32, &mut batch);
    }
    let mut rows = [0usize; 2];
    let shards = corpus.shards().next().unwrap();
    for (range, &(source, number)) in batch.documents.iter().zip(&batch.origins) {
        rows[source] += range.len();
        assert_eq!(shards.document(number).unwrap().lang, Some(["ko", "en"][source]));
    }
    let share = rows[0] as f64 / 16_000.0;
    assert!((share - 0.75).abs() < 0.01, "{share}");
    let validation = corpus.validation(u64::MAX);
    assert_eq!(validation.iter().map(|h| h.language.as_str()).collect::<Vec<_>>(), ["en", "ko"]);
}

#[test]
fn data_that_does_not_suit_the_model_is_refused() {
    let home = tempfile::tempdir().unwrap();
    made::shards(home.path(), 10, 30);
    let fails =
        |overrides: &[&str], vocab_size| match Corpus::open(&recipe(home.path(), overrides), vocab_size) {
            Ok(_) => panic!("{overrides:?} is taken"),
            Err(e) => e.to_string(),
        };
    assert!(fails(&[], 60).contains("a vocabulary of 65 tokens, more than the model's 60"));
    assert!(fails(&["data=nowhere"], 72).contains("nowhere"));
    let packed = home.path().join("packed").display().to_string();
    let error = fails(&[&format!("data={{path={packed:?}, language='fr'}}")], 72);
    assert!(error.contains("no document of language `fr` to train on"), "{error}");
}
