//! Sequences: every token once an epoch, long documents spread over it, shares that are reached, and the same tokens after any stop.

mod made;

use sai_trainer::{Batch, Corpus, Data, Position, Recipe};
use std::path::Path;

fn recipe(folder: &Path, overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    Recipe::parse(&made::recipe(folder), Path::new("r.toml"), &overrides).unwrap()
}

/// Documents of up to 120 tokens, in pieces that are shorter than a stretch and longer.
#[test]
fn every_token_is_foretold_once_an_epoch() {
    for (context, end, seed) in [
        (32usize, Some(made::END), 1),
        (32, Some(made::END), 2),
        (70, Some(made::END), 3),
        (100, None, 4),
        (7, None, 5),
    ] {
        let home = tempfile::tempdir().unwrap();
        made::shards_with(home.path(), 150, 60, end);
        let [seed, length] = [format!("seed={seed}"), format!("context={context}")];
        let sequence = format!("batch_tokens={}", 4 * context);
        let corpus = Corpus::open(&recipe(home.path(), &[&seed, &length, &sequence]), 72).unwrap();
        let shards = corpus.shards().next().unwrap();
        let held_out: Vec<u64> =
            corpus.validation(u64::MAX).iter().flat_map(|h| h.documents.iter().map(|&(_, n)| n)).collect();
        assert!((5..40).contains(&held_out.len()), "{held_out:?}");
        // Documents with each token and what is before it: the end token, where there is one, opens a document.
        let mut wanted = Vec::new();
        for number in (0..150).filter(|number| !held_out.contains(number)) {
            let tokens: Vec<u32> = shards.document(number).unwrap().tokens.iter().collect();
            let opened: Vec<u32> = end.into_iter().chain(tokens).collect();
            wanted.extend(opened.windows(2).map(|pair| (number, pair[0], pair[1])));
        }
        wanted.sort_unstable();

        let (mut position, mut read) = (corpus.start(), Vec::new());
        while read.len() < 2 * wanted.len() {
            let mut batch = Batch::default();
            corpus.sequence(&mut position, &mut batch);
            assert_eq!([batch.tokens.len(), batch.targets.len(), batch.weights.len()], [context; 3]);
            assert_eq!(batch.documents.first().unwrap().start, 0);
            for (rows, &(source, number)) in batch.documents.iter().zip(&batch.origins) {
                assert_eq!(source, 0);
                let (tokens, targets) = (&batch.tokens[rows.clone()], &batch.targets[rows.clone()]);
                assert_eq!(tokens[1..], targets[..targets.len() - 1]);
                read.extend(tokens.iter().zip(targets).map(|(&before, &token)| (number, before, token)));
            }
        }
        assert!((corpus.epochs(&position)[0] - 2.0).abs() < 0.05);
        let (first, rest) = read.split_at_mut(wanted.len());
        let second = &mut rest[..wanted.len()];
        assert_ne!(first, second, "the same order in two epochs");
        for epoch in [first, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, wanted);
        }
    }
}

#[test]
fn a_long_document_is_spread_over_the_epoch() {
    let home = tempfile::tempdir().unwrap();
    // The longest have 6,000 tokens, 187 sequences.
    made::shards(home.path(), 40, 3000);
    let corpus = Corpus::open(&recipe(home.path(), &[]), 72).unwrap();
    let mut position = corpus.start();
    let opens: Vec<u64> = (0..1000)
        .map(|_| {
            let mut batch = Batch::default();
            corpus.sequence(&mut position, &mut batch);
            batch.origins[0].1
        })
        .collect();
    // About a thirtieth by chance.
    let alike = opens.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(alike < 80, "{alike} sequences begin in the document that the one before began in");
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
        corpus.sequence(&mut position, &mut one);
        corpus.sequence(&mut resumed, &mut other);
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
        corpus.sequence(&mut position, &mut batch);
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
