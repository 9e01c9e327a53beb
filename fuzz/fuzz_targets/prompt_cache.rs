//! A saved prompt cache, damaged anywhere and summed again: refused with one line, and then the session is empty, or
//! taken, and then it holds as many tokens as it says.
#![no_main]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sai_generation::{LoadOptions, Model, Request, Sampling, Session};
use sha2::{Digest, Sha256};

#[path = "../../crates/generation/tests/tiny/mod.rs"]
mod tiny;

struct Saved {
    model: Model,
    good: Vec<u8>,
    path: PathBuf,
}

static SAVED: LazyLock<Saved> = LazyLock::new(|| {
    let model = tiny::open(1, &LoadOptions { threads: 1, ..LoadOptions::default() });
    let path = tempfile::tempdir().unwrap().keep().join("cache");
    let mut session = Session::new(&model).unwrap();
    let request = Request { sampling: Sampling::greedy(), max_new_tokens: 4, ..Request::default() };
    let prompt: Vec<u32> = (0..40).map(|i| i * 7 % tiny::VOCAB as u32).collect();
    session.generate(&prompt, &request, &mut |_| ControlFlow::Continue(())).unwrap();
    session.save(&path).unwrap();
    drop(session);
    let good = std::fs::read(&path).unwrap();
    Saved { model, good, path }
});

/// Where the bytes are put, how many of the file's they replace, and what they are.
fuzz_target!(|damage: (u16, u16, &[u8])| {
    const SUM: usize = 32;
    let Saved { model, good, path } = &*SAVED;
    let (at, gone, bytes) = damage;
    let body = &good[..good.len() - SUM];
    let start = usize::from(at).min(body.len());
    let end = (start + usize::from(gone)).min(body.len());
    let mut file = [&body[..start], bytes, &body[end..]].concat();
    let sum = Sha256::digest(&file);
    file.extend_from_slice(&sum);
    std::fs::write(path, &file).unwrap();

    let mut session = Session::new(model).unwrap();
    match session.load(path) {
        Ok(tokens) => assert_eq!(tokens, session.context_used()),
        Err(error) => {
            let line = error.to_string();
            assert!(line.contains(": the prompt cache ") && !line.contains('\n'), "{line}");
            assert_eq!(session.context_used(), 0);
        }
    }
});
