//! The same clusters as datatrove finds among planted near-duplicates: `scripts/fixtures/corpus.py` asked it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use sai_cleaning::minhash::{MinHash, MinHashOptions, Unit};
use sai_corpus::{Options, Outcome, Plan, Recipe};
use sai_documents::Reader;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    texts: Vec<String>,
    planted: Vec<Planted>,
    clusters: Vec<Vec<usize>>,
    removed: Vec<usize>,
}

#[derive(Deserialize)]
struct Planted {
    copy: usize,
    of: usize,
    kind: String,
    share: Option<f64>,
    lang: String,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/datatrove.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_same_documents_stay_as_datatrove_keeps() {
    let Fixture { texts, clusters, removed, .. } = fixture();
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        texts.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text }))).collect();
    fs::write(folder.path().join("texts.jsonl"), lines).unwrap();
    // No rule of cleaning, so that the texts are compared as they are.
    let recipe = "[[source]]\nname = \"texts\"\ninput = [\"texts.jsonl\"]\nlang = \"ko\"\n\
                  [[clean]]\npreset = \"gopher\"\nrules = { gopher_quality = false, gopher_repetition = false, normalise = { repeats = 0, spaces = false } }\n\
                  [duplicates]\nexact = false\n[mixture]\norder = \"source\"";
    let recipe = Recipe::parse(recipe, &folder.path().join("r.toml")).unwrap();
    let plan =
        Plan::new(recipe, folder.path(), &folder.path().join("corpus"), &mut |_| unreachable!()).unwrap();
    let options = Options { threads: 2, memory: 64 << 20, share: (0, 1), ..Options::default() };
    let Outcome::Whole(manifest) = plan.build(&options, &|_| ControlFlow::Continue(())).unwrap() else {
        panic!()
    };
    let mut sizes = BTreeMap::<u64, u64>::new();
    clusters.iter().for_each(|cluster| *sizes.entry(cluster.len() as u64).or_default() += 1);
    assert_eq!(manifest.duplicates.sizes, sizes);
    let files = sai_documents::find(&[plan.folder.to_string_lossy()]).unwrap();
    let mut kept = Vec::new();
    for batch in Reader::open(files, sai_documents::Options::default()).unwrap() {
        kept.extend(batch.unwrap().documents().map(|d| d.text.to_owned()));
    }
    let removed: BTreeSet<usize> = removed.into_iter().collect();
    // datatrove keeps one of each cluster too, though not always the first; of a cluster any is as good.
    assert_eq!(kept.len(), texts.len() - removed.len());
    let member = |text: &str| {
        texts.iter().position(|other| other.trim() == text.trim()).expect("a text that was given")
    };
    let of_cluster = |at: usize| clusters.iter().position(|cluster| cluster.contains(&at));
    let mut met = BTreeSet::new();
    for at in kept.iter().map(|text| member(text)) {
        match of_cluster(at) {
            Some(cluster) => assert!(met.insert(cluster), "two of a cluster stay"),
            None => assert!(!removed.contains(&at)),
        }
    }
    assert_eq!(met.len(), clusters.len());
}

/// How many of the planted copies n-grams of words and of characters find, beside each other: `--nocapture` prints the table.
#[test]
fn characters_find_no_fewer_korean_copies_than_words() {
    let Fixture { texts, planted, clusters, .. } = fixture();
    let found = |options: MinHashOptions| {
        let mut hash = MinHash::new(options);
        let bands: Vec<_> = texts.iter().map(|text| hash.bands(text).unwrap_or_default()).collect();
        let meets =
            |planted: &Planted| bands[planted.copy].iter().zip(&bands[planted.of]).any(|(a, b)| a == b);
        planted.iter().map(meets).collect::<Vec<_>>()
    };
    let words = found(MinHashOptions::default());
    let characters = found(MinHashOptions { unit: Unit::Characters, n: 12, ..MinHashOptions::default() });
    let theirs: Vec<bool> = planted
        .iter()
        .map(|planted| clusters.iter().any(|c| c.contains(&planted.copy) && c.contains(&planted.of)))
        .collect();
    assert_eq!(words, theirs, "words between white space are datatrove's");
    let mut table = BTreeMap::<(String, String), [usize; 4]>::new();
    for (at, planted) in planted.iter().enumerate() {
        let share = planted.share.map_or_else(String::new, |share| format!(" {share}"));
        let row = table.entry((planted.lang.clone(), format!("{}{share}", planted.kind))).or_default();
        row[0] += 1;
        [theirs[at], words[at], characters[at]]
            .into_iter()
            .zip(&mut row[1..])
            .for_each(|(hit, sum)| *sum += usize::from(hit));
    }
    for ((lang, kind), [of, theirs, words, characters]) in &table {
        println!("{lang} {kind:<14} of {of}: datatrove {theirs}, words {words}, characters {characters}");
    }
    let korean = |hits: &[bool]| planted.iter().zip(hits).filter(|(p, hit)| p.lang == "ko" && **hit).count();
    assert!(korean(&characters) >= korean(&words), "{} {}", korean(&characters), korean(&words));
}
