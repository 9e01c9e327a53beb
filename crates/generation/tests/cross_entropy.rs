//! How well a model predicts documents is the sum of its tokens' log-probabilities, in windows that overlap by half.

mod tiny;

use sai_generation::{CacheType, LoadOptions, cross_entropy, score};
use std::ops::ControlFlow;

#[test]
fn bits_are_the_sum_of_log_probabilities() {
    let options = LoadOptions { threads: 1, cache_type: CacheType::F32, ..LoadOptions::default() };
    let model = tiny::open(7, &options);
    let text: String = (0..150u32).map(|i| char::from(b'!' + (i * i % 61) as u8)).collect();
    let ids = model.tokenizer.encode_plain(&text);
    assert_eq!(ids.len(), 150);
    let texts = || [text.as_str(), "ABC", "", "A"].into_iter();
    let found =
        |window: usize| match cross_entropy(&model, texts(), window, &mut |_| ControlFlow::Continue(())) {
            Ok(ControlFlow::Continue(found)) => found,
            other => panic!("{other:?}"),
        };
    let sum = |ids: &[u32], first: usize| -> f64 {
        let all = score(&model, ids).unwrap();
        -all[first - 1..].iter().map(|&logprob| f64::from(logprob)).sum::<f64>()
    };
    let short = sum(&model.tokenizer.encode_plain("ABC"), 1);

    // This vocabulary has no token that opens a document, so its first token is not scored.
    let whole = found(256);
    assert_eq!((whole.documents, whole.bytes, whole.tokens), (4, 154, 149 + 2));
    assert!((whole.nats - sum(&ids, 1) - short).abs() < 1e-3);
    assert!((whole.perplexity() - (whole.nats / 151.0).exp()).abs() < 1e-9);
    assert!((whole.bits_per_byte() - whole.nats / 154.0 / 2f64.ln()).abs() < 1e-12);
    // Tokens 1 to 63, then windows that begin half a window before the first token that is new.
    let pieces = sum(&ids[..64], 1) + sum(&ids[32..96], 32) + sum(&ids[64..128], 32) + sum(&ids[96..], 32);
    let windows = found(64);
    assert_eq!(windows.tokens, whole.tokens);
    assert!((windows.nats - pieces - short).abs() < 1e-3, "{} {pieces}", windows.nats);

    assert!(cross_entropy(&model, texts(), 3, &mut |_| ControlFlow::Continue(())).is_err());
    let stopped = cross_entropy(&model, texts(), 64, &mut |_| ControlFlow::Break(()));
    assert!(stopped.unwrap().is_break());
}
