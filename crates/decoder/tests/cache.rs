//! Whatever way tokens reach the cache (in pieces, forked, taken back, beside other sequences), what follows from
//! them is the same.

use proptest::prelude::*;
use sai_decoder::{Batch, CacheType, Config, Cpu, Decoder, Error, KvCache, LogitRows, RunState, Sequence};
use std::path::Path;
use std::sync::LazyLock;

static MODEL: LazyLock<Decoder<Cpu>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/odd-heads");
    let (container, config) = Config::open(&folder).unwrap();
    Decoder::load(Cpu::new(2), config, &container).unwrap()
});

fn cache(positions: usize) -> KvCache<Cpu> {
    KvCache::new(&MODEL.device, &MODEL.config, positions, CacheType::F32).unwrap()
}

fn feed(cache: &mut KvCache<Cpu>, rows: &[(&Sequence, &[u32])]) -> Result<Vec<f32>, Error> {
    let mut batch = Batch::new();
    for (sequence, tokens) in rows {
        batch.push(sequence, tokens, LogitRows::Last);
    }
    Ok(MODEL.forward(cache, &batch, &mut RunState::new(&MODEL))?.values().to_vec())
}

/// Logits after the tokens, computed in one pass of an empty cache.
fn fresh(tokens: &[u32]) -> Vec<f32> {
    let mut cache = cache(tokens.len());
    let sequence = cache.start();
    feed(&mut cache, &[(&sequence, tokens)]).unwrap()
}

fn close(got: &[f32], want: &[f32]) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4)
}

fn tokens(count: usize, seed: u32) -> Vec<u32> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7) % 199).collect()
}

#[test]
fn pieces_are_the_whole() {
    let text = tokens(150, 1);
    let want = fresh(&text);
    for piece in [1, 7, 31, 32, 33, 149] {
        let mut cache = cache(text.len());
        let sequence = cache.start();
        let mut last = Vec::new();
        for piece in text.chunks(piece) {
            last = feed(&mut cache, &[(&sequence, piece)]).unwrap();
        }
        assert!(close(&last, &want), "in pieces of {piece}");
    }
}

#[test]
fn sequences_of_one_pass_do_not_see_each_other() {
    let texts = [tokens(3, 2), tokens(40, 3), tokens(1, 4), tokens(70, 5)];
    let mut cache = cache(256);
    let sequences: Vec<_> = texts.iter().map(|_| cache.start()).collect();
    let rows: Vec<_> = sequences.iter().zip(&texts).map(|(s, t)| (s, &t[..])).collect();
    let together = feed(&mut cache, &rows).unwrap();
    let alone: Vec<f32> = texts.iter().flat_map(|text| fresh(text)).collect();
    assert!(close(&together, &alone));
}

#[test]
fn wanted_rows_come_in_order() {
    let (a, b) = (tokens(5, 6), tokens(4, 7));
    let mut cache = cache(64);
    let (first, second) = (cache.start(), cache.start());
    let mut batch = Batch::new();
    batch.push(&first, &a, LogitRows::None);
    batch.push(&second, &b, LogitRows::All);
    let mut run = RunState::new(&MODEL);
    let logits = MODEL.forward(&mut cache, &batch, &mut run).unwrap().values().to_vec();
    let want: Vec<f32> = (1..=4).flat_map(|n| fresh(&b[..n])).collect();
    assert!(close(&logits, &want));
    batch.clear();
    batch.push(&first, &[1], LogitRows::None);
    assert_eq!(MODEL.forward(&mut cache, &batch, &mut run).unwrap().rows(), 0);
}

#[test]
fn a_full_cache_refuses_and_is_unharmed() {
    let mut cache = cache(64);
    let (a, b) = (cache.start(), cache.start());
    let text = tokens(40, 8);
    feed(&mut cache, &[(&a, &text)]).unwrap();
    let error = feed(&mut cache, &[(&a, &[1, 2, 3]), (&b, &[4])]).unwrap_err();
    assert!(matches!(error, Error::CacheFull { capacity: 64, .. }), "{error}");
    assert_eq!((cache.length(&a), cache.length(&b)), (40, 0));
    let next = feed(&mut cache, &[(&a, &[9])]).unwrap();
    assert!(close(&next, &fresh(&[&text[..], &[9]].concat())));

    let error = feed(&mut cache, &[(&a, &[199])]).unwrap_err();
    assert!(matches!(error, Error::TokenOutOfRange { token: 199, vocab_size: 199 }), "{error}");
    assert_eq!(cache.length(&a), 41);
    cache.free(a);
    assert_eq!(cache.room(), 64);
}

/// What a test does to its sequences.
#[derive(Clone, Debug)]
enum Step {
    Feed(usize, Vec<u32>),
    Fork(usize),
    Truncate(usize, usize),
    Free(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..4, prop::collection::vec(0u32..199, 1..45)).prop_map(|(s, t)| Step::Feed(s, t)),
        2 => (0usize..4).prop_map(Step::Fork),
        2 => (0usize..4, 0usize..80).prop_map(|(s, n)| Step::Truncate(s, n)),
        1 => (0usize..4).prop_map(Step::Free),
    ];
    prop::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Forks share pages, truncation gives them up, writing copies them; none of it shows.
    #[test]
    fn a_cache_is_a_list_of_texts(steps in steps()) {
        let mut cache = cache(2048);
        let whole = cache.room();
        let mut texts: Vec<(Sequence, Vec<u32>)> = vec![(cache.start(), Vec::new())];
        for step in steps {
            match step {
                Step::Feed(s, tokens) => {
                    let s = s % texts.len();
                    let (sequence, text) = &mut texts[s];
                    let got = feed(&mut cache, &[(sequence, &tokens)]).unwrap();
                    text.extend(tokens);
                    prop_assert!(close(&got, &fresh(text)));
                }
                Step::Fork(s) => {
                    let s = s % texts.len();
                    let fork = cache.fork(&texts[s].0);
                    let text = texts[s].1.clone();
                    texts.push((fork, text));
                }
                Step::Truncate(s, length) => {
                    let s = s % texts.len();
                    let (sequence, text) = &mut texts[s];
                    cache.truncate(sequence, length);
                    text.truncate(length);
                }
                Step::Free(s) => {
                    if texts.len() > 1 {
                        let (sequence, _) = texts.remove(s % texts.len());
                        cache.free(sequence);
                    }
                }
            }
            for (sequence, text) in &texts {
                prop_assert_eq!(cache.length(sequence), text.len());
            }
        }
        for (sequence, text) in &mut texts {
            let got = feed(&mut cache, &[(sequence, &[7])]).unwrap();
            text.push(7);
            prop_assert!(close(&got, &fresh(text)));
        }
        for (sequence, _) in texts {
            cache.free(sequence);
        }
        prop_assert_eq!(cache.room(), whole);
    }
}
