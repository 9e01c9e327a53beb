//! Samples: exact, even, and the same for the same seed.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Mutex;

use sai_samples::{DocumentSampler, Error, SampleSize, SampledDocuments};

fn draw(texts: &[(usize, String)], wanted: &[SampleSize], seed: u64) -> SampledDocuments {
    let folder = tempfile::tempdir().unwrap();
    let mut draw = DocumentSampler::new(wanted, seed, folder.path()).unwrap();
    texts.iter().filter(|(at, _)| *at < wanted.len()).for_each(|(at, text)| draw.add(*at, text).unwrap());
    let drawn = draw.finish().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    drawn
}

/// Which of `texts` a sample of `wanted` holds.
fn drawn(texts: &[(usize, String)], wanted: &[SampleSize], seed: u64) -> Vec<String> {
    let drawn = draw(texts, wanted, seed);
    let mut out = Vec::new();
    for block in 0..drawn.blocks() {
        let keep = |_, text: &str| {
            out.push(text.to_owned());
            Ok::<_, Error>(())
        };
        drawn.each(block, keep).unwrap();
    }
    assert_eq!(out.len() as u64, drawn.counts().iter().map(|(taken, _)| taken).sum::<u64>());
    out
}

fn some_texts() -> Vec<(usize, String)> {
    (0..400).map(|i| (i % 4, format!("text {i} {}", "x".repeat(i % 7)))).collect()
}

#[test]
fn a_sample_is_exact_in_number_seeded_and_even() {
    let texts = some_texts();
    let of = |sample: &[String], group: usize| {
        let known: HashSet<&String> = texts.iter().filter(|(g, _)| *g == group).map(|(_, t)| t).collect();
        sample.iter().filter(|text| known.contains(text)).count()
    };
    let wanted = [SampleSize::Texts(20), SampleSize::Texts(500)];
    let sample = drawn(&texts, &wanted, 7);
    assert_eq!((sample.len(), of(&sample, 0), of(&sample, 1)), (120, 20, 100));
    assert_eq!(sample, drawn(&texts, &wanted, 7));
    assert_ne!(sample, drawn(&texts, &wanted, 8));
    assert_eq!(drawn(&texts, &[SampleSize::Texts(0)], 7), Vec::<String>::new());
    assert_eq!(drawn(&texts, &[SampleSize::All], 7).len(), 100);

    // Every text is as likely as another: 20 of 100, a thousand times, is 200 each, with a deviation of 13.
    let mut times = HashMap::<String, u32>::new();
    for seed in 0..1000 {
        let sample = drawn(&texts, &[SampleSize::Texts(20)], seed);
        sample.into_iter().for_each(|text| *times.entry(text).or_default() += 1);
    }
    assert_eq!(times.len(), 100);
    assert!(times.values().all(|&n| (135..=265).contains(&n)), "{times:?}");
}

#[test]
fn a_sample_by_bytes_is_the_fewest_texts_that_have_them() {
    let texts = some_texts();
    for wanted in [1, 10, 100, 500, 100_000] {
        let sample = drawn(&texts, &[SampleSize::Bytes(wanted)], 5);
        let bytes = |texts: &[String]| texts.iter().map(|t| t.len() as u64).sum::<u64>();
        assert!(bytes(&sample) >= wanted || sample.len() == 100, "{wanted}");
        // One text less of the same order is a sample by number, and too little.
        let less = drawn(&texts, &[SampleSize::Texts(sample.len() as u64 - 1)], 5);
        assert!(bytes(&less) < wanted, "{wanted}");
    }
}

#[test]
fn every_text_of_a_sample_is_worked_on_once() {
    let drawn = draw(&some_texts(), &[SampleSize::Texts(20), SampleSize::All], 3);
    let seen = Mutex::new(Vec::new());
    let work = |_: &mut (), text: &str| {
        seen.lock().unwrap().push(text.to_owned());
        Ok::<_, Error>(())
    };
    assert!(drawn.spread(3, || (), work, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
    let seen = seen.into_inner().unwrap();
    assert_eq!((seen.len(), seen.iter().collect::<HashSet<_>>().len()), (120, 120));
}
