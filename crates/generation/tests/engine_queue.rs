//! What waits costs no more than its text.

mod tiny;

use cap::Cap;
use sai_generation::{Engine, EngineOptions, LoadOptions, Request, Sampling};
use std::alloc::System;
use std::ops::ControlFlow;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn a_thousand_requests_in_the_queue_cost_their_texts() {
    let model = tiny::open(1, &LoadOptions { threads: 1, ..LoadOptions::default() });
    let options = EngineOptions { cache_tokens: 1024, max_sequences: 2, ..EngineOptions::default() };
    let mut engine = Engine::new(&model, options).unwrap();
    let request = Request { sampling: Sampling::greedy(), max_new_tokens: 20, ..Request::default() };
    engine.generate(vec![1; 100], &request).unwrap();
    engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
    let before = ALLOCATOR.allocated();
    for n in 0..1000u32 {
        engine.generate((0..200).map(|i| (i + n) % 61).collect(), &request).unwrap();
    }
    engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
    let each = (ALLOCATOR.allocated() - before) / 1000;
    // 200 tokens of four bytes, and what says how to go on from them.
    assert!(each < 800 + 2048, "{each} bytes a request");
    assert_eq!(engine.stats().waiting, 999);
}
