//! What sharing passes is worth: eight equal requests together beside one by one, and sixteen endings of one prompt beside the
//! prompt and the endings alone.
//!
//! ```text
//! cargo run --release -p sai-generation --example engine              # 42dot's shape in q4_0, random weights
//! cargo run --release -p sai-generation --example engine -- MODEL     # a GGUF file or a Hugging Face folder
//! ```

#![allow(clippy::print_stdout)]

use sai_formats::DType;
use sai_generation::{
    CacheType, Config, Engine, EngineOptions, LoadOptions, LoadedDecoder, Model, RandomModel, Request,
    Sampling,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// Tokens of each of the requests, and of their answers.
const PROMPT: usize = 64;
const ANSWER: usize = 64;
/// Tokens of the prompt whose endings are scored, and of each ending.
const PREAMBLE: usize = 384;
const ENDING: usize = 6;
const ROUNDS: usize = 3;

fn main() {
    // A random model has no vocabulary; the small one's serves, for nothing is read.
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini/mini.gguf");
    let path = std::env::args().nth(1);
    let model = Model::open(
        path.as_deref().map_or(shipped.as_path(), Path::new),
        &LoadOptions { context: Some(512), ..LoadOptions::default() },
    )
    .expect("a model");
    let random: Option<Box<dyn LoadedDecoder>> = path.is_none().then(|| {
        let made = RandomModel::new(DType::Q4_0, 24).expect("a shape");
        let config: Config = made.config().clone();
        sai_decoder::load(0, config, &made.make().expect("memory")).expect("a model")
    });
    let decoder = random.as_deref().unwrap_or(&*model.decoder);
    println!("{} · {}", decoder.device(), path.as_deref().unwrap_or("random, 24 layers, q4_0"));
    let engine = |cache_tokens: usize| {
        let runner = decoder.runner(cache_tokens, CacheType::F16).expect("memory");
        Engine::over(&model, runner, EngineOptions { cache_tokens, ..EngineOptions::default() })
    };

    let rounds: Vec<[Duration; 4]> = (0..ROUNDS)
        .map(|round| {
            let seed = 1000 * round as u32;
            let apart = generate(&mut engine(2048), seed, 8, 1);
            let together = generate(&mut engine(2048), seed, 8, 8);
            let endings = endings(&mut engine(2048), seed);
            let least = prompt_and_endings(&mut engine(2048), seed);
            [apart, together, endings, least]
        })
        .collect();
    let ratio = |a: usize, b: usize| {
        let mut ratios: Vec<f64> = rounds.iter().map(|r| r[a].as_secs_f64() / r[b].as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        (ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1])
    };
    let speed = |which: usize| (8 * ANSWER) as f64 / rounds[ROUNDS / 2][which].as_secs_f64();
    let (median, low, high) = ratio(0, 1);
    println!(
        "8 equal requests of {PROMPT} + {ANSWER} tokens: {:.1} tok/s one by one, {:.1} together · {median:.2} × ({low:.2} to {high:.2})",
        speed(0),
        speed(1)
    );
    let (median, low, high) = ratio(2, 3);
    println!(
        "16 scored endings of {ENDING} after {PREAMBLE} tokens: {median:.2} × the prompt once and the endings ({low:.2} to {high:.2})"
    );
}

/// `count` answers, `at_once` of them asked for at a time.
fn generate(engine: &mut Engine<'_>, seed: u32, count: u32, at_once: usize) -> Duration {
    let request = Request { sampling: Sampling::greedy(), max_new_tokens: ANSWER, ..Request::default() };
    let started = Instant::now();
    let mut left = 0..count;
    let mut tokens = 0;
    loop {
        let stats = engine.stats();
        for _ in left.by_ref().take(at_once - stats.waiting - stats.running) {
            engine.generate(text(seed, PROMPT), &request).expect("room");
        }
        if engine.is_idle() {
            break;
        }
        for (_, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).expect("a pass") {
            if let sai_generation::Output::Completion(completion) = output {
                tokens += completion.tokens.len();
            }
        }
    }
    // An answer that ended by itself would be no equal one.
    if tokens < count as usize * ANSWER {
        println!("only {tokens} tokens of {count} answers");
    }
    started.elapsed()
}

/// Sixteen endings of one text, asked for at once.
fn endings(engine: &mut Engine<'_>, seed: u32) -> Duration {
    let preamble = text(seed, PREAMBLE);
    let started = Instant::now();
    for n in 0..16 {
        let tokens = [preamble.clone(), text(seed + n + 1, ENDING)].concat();
        engine.score(tokens, PREAMBLE).expect("room");
    }
    finish(engine);
    started.elapsed()
}

/// The least that they can cost: the prompt alone, and the rows of all endings as one text.
fn prompt_and_endings(engine: &mut Engine<'_>, seed: u32) -> Duration {
    let preamble = text(seed, PREAMBLE + 1);
    let started = Instant::now();
    engine.score(preamble.clone(), PREAMBLE).expect("room");
    finish(engine);
    engine.score([preamble, text(seed + 1, 16 * ENDING)].concat(), PREAMBLE + 1).expect("room");
    finish(engine);
    started.elapsed()
}

fn finish(engine: &mut Engine<'_>) {
    while !engine.is_idle() {
        engine.step(&mut |_, _| ControlFlow::Continue(())).expect("a pass");
    }
}

fn text(seed: u32, length: usize) -> Vec<u32> {
    (0..length as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7) % 4000 + 300)
        .collect()
}
