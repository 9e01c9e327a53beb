//! Requests among others on a real decoder: the same bits as alone, whoever is beside them.

mod tiny;

use sai_generation::{
    CacheType, Draft, Engine, EngineHandle, EngineOptions, Error, FinishReason, LoadOptions, Mix, Model,
    Output, Pooling, Request, RequestId, Sampling, Step, StreamEvent,
};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A request of the mix.
#[derive(Clone)]
enum Asked {
    Generate { prompt: Vec<u32>, request: Request, break_after: usize },
    Score { tokens: Vec<u32>, first: usize },
}

/// All that was heard of a request, in bits.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    steps: Vec<(u32, u32, String)>,
    logprobs: Vec<u32>,
    greedy: Vec<bool>,
    reason: Option<FinishReason>,
    text: String,
}

/// Thirty: sampled, greedy, drafted, scored, broken off, with beginnings in common, long and short.
fn thirty() -> Vec<Asked> {
    let text = |n: u32, length: u32| -> Vec<u32> { (0..length).map(|i| (i * i + 3 * n) % 61).collect() };
    let preamble = text(0, 75);
    (0..30u32)
        .map(|n| {
            let mut prompt = if n % 3 == 0 { preamble.clone() } else { Vec::new() };
            prompt.extend(text(n, 2 + 7 * (n % 11)));
            if n % 5 == 4 {
                let first = if n % 2 == 0 { 1 } else { prompt.len() / 2 };
                return Asked::Score { tokens: prompt, first };
            }
            let sampling = match n % 4 {
                0 => Sampling::greedy(),
                _ => Sampling { temperature: 1.3, top_k: 40, seed: u64::from(n), ..Sampling::default() },
            };
            let request = Request {
                sampling,
                max_new_tokens: 10 + 2 * n as usize,
                candidates: 2,
                draft: if n % 2 == 0 { Draft::Lookup } else { Draft::Off },
                ..Request::default()
            };
            let break_after = if n % 7 == 6 { 5 } else { usize::MAX };
            Asked::Generate { prompt, request, break_after }
        })
        .collect()
}

fn run(engine: &mut Engine<'_>, asked: &[Asked]) -> Vec<Heard> {
    let mut ids = HashMap::new();
    for (n, asked) in asked.iter().enumerate() {
        let id = match asked {
            Asked::Generate { prompt, request, .. } => engine.generate(prompt.clone(), request),
            Asked::Score { tokens, first } => engine.score(tokens.clone(), *first),
        };
        ids.insert(id.unwrap(), n);
    }
    let mut heard: Vec<Heard> = asked.iter().map(|_| Heard::default()).collect();
    while !engine.is_idle() {
        let finished = engine
            .step(&mut |id: RequestId, event| {
                let n = ids[&id];
                let sai_generation::Event::Step(Step { token, text, logprob, .. }) = event else {
                    return ControlFlow::Continue(());
                };
                heard[n].steps.push((*token, logprob.to_bits(), text.clone()));
                match &asked[n] {
                    Asked::Generate { break_after, .. } if heard[n].steps.len() >= *break_after => {
                        ControlFlow::Break(())
                    }
                    _ => ControlFlow::Continue(()),
                }
            })
            .unwrap();
        for (id, output) in finished {
            let heard = &mut heard[ids[&id]];
            match output {
                Output::Completion(completion) => {
                    let steps: Vec<u32> = heard.steps.iter().map(|step| step.0).collect();
                    assert_eq!(completion.tokens, steps);
                    (heard.reason, heard.text) = (Some(completion.finish_reason), completion.text);
                }
                Output::Scores(scores) => {
                    heard.logprobs = scores.logprobs.iter().map(|logprob| logprob.to_bits()).collect();
                    heard.greedy = scores.greedy;
                }
                Output::Embedding(_) => unreachable!("no text was to be embedded"),
            }
        }
    }
    heard
}

#[test]
fn a_request_among_others_has_the_bits_it_has_alone() {
    let asked = thirty();
    for cache_type in [CacheType::F16, CacheType::F32, CacheType::Q8_0] {
        let options = LoadOptions { threads: 2, cache_type, ..LoadOptions::default() };
        let model = tiny::open_quantized(5, Mix::Q8_0, &options);
        let alone: Vec<Heard> = asked
            .iter()
            .flat_map(|asked| {
                let options = EngineOptions { share_prefixes: false, ..EngineOptions::default() };
                run(&mut Engine::new(&model, options).unwrap(), std::slice::from_ref(asked))
            })
            .collect();
        assert!(alone.iter().any(|heard| heard.reason == Some(FinishReason::Interrupted)));
        // With room for all, and with so little that requests give their pages up.
        for (cache_tokens, max_sequences) in [(16_384, 64), (640, 12)] {
            let options = EngineOptions { cache_tokens, max_sequences, ..EngineOptions::default() };
            let mut engine = Engine::new(&model, options).unwrap();
            let together = run(&mut engine, &asked);
            for (n, (together, alone)) in together.iter().zip(&alone).enumerate() {
                assert_eq!(together, alone, "request {n}, {cache_type:?}, {cache_tokens} positions");
            }
            let stats = engine.stats();
            assert_eq!(stats.preempted > 0, cache_tokens == 640, "{stats:?}");
            assert!((stats.passes as usize) < alone.iter().map(|heard| heard.steps.len()).sum::<usize>() / 3);
            // Once more, with beginnings that are kept from the first time.
            assert_eq!(run(&mut engine, &asked), alone);
        }
    }
}

fn shared_model() -> Arc<Model> {
    Arc::new(tiny::open_quantized(7, Mix::Q8_0, &LoadOptions { threads: 1, ..LoadOptions::default() }))
}

fn greedy(max_new_tokens: usize) -> Request {
    Request { sampling: Sampling::greedy(), max_new_tokens, ..Request::default() }
}

#[test]
fn an_engine_on_its_own_thread_streams_cancels_and_drains() {
    let model = shared_model();
    let handle = Arc::new(EngineHandle::start(Arc::clone(&model), EngineOptions::default()).unwrap());
    let alone = |prompt: Vec<u32>, request: &Request| {
        let mut engine = Engine::new(&model, EngineOptions::default()).unwrap();
        engine.generate(prompt, request).unwrap();
        loop {
            if let Some((_, Output::Completion(completion))) =
                engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap().pop()
            {
                return completion.tokens;
            }
        }
    };
    // From many threads at once.
    std::thread::scope(|scope| {
        for n in 0..6u32 {
            let (handle, alone) = (Arc::clone(&handle), &alone);
            scope.spawn(move || {
                let prompt: Vec<u32> = (0..20 + n).map(|i| (i * 7 + n) % 61).collect();
                let mut tokens = Vec::new();
                for event in handle.generate(prompt.clone(), greedy(15)) {
                    match event {
                        StreamEvent::Step(step) => tokens.push(step.token),
                        StreamEvent::Done(Output::Completion(completion)) => {
                            assert_eq!(completion.tokens, tokens);
                        }
                        StreamEvent::Prefill { .. } => {}
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(tokens, alone(prompt, &greedy(15)));
            });
        }
    });
    // A refusal is an answer too.
    let refused = handle.generate(vec![1; 400], greedy(1)).output().unwrap_err();
    assert!(matches!(refused, Error::PromptTooLong { tokens: 400, .. }), "{refused}");
    // A stream that is dropped takes its request with it, and what waits behind it comes through.
    let mut dropped = handle.generate((0..9).collect(), greedy(240));
    dropped.next();
    drop(dropped);
    let kept = handle.score((0..30).collect(), 1);
    let Output::Scores(scores) = kept.output().unwrap() else { panic!("no scores") };
    assert_eq!(scores.logprobs.len(), 29);
    // Draining finishes what was asked.
    let last = handle.generate((0..5).collect(), greedy(30));
    let Ok(handle) = Arc::try_unwrap(handle) else { panic!("somebody holds the handle") };
    handle.drain();
    let Output::Completion(completion) = last.output().unwrap() else { panic!("no completion") };
    assert_eq!(completion.tokens, alone((0..5).collect(), &greedy(30)));
}

#[test]
fn float_weights_are_the_one_place_where_company_rounds() {
    // Few rows are multiplied by dot products, many in panels; each row of either kind is always the same.
    let model = tiny::open(5, &LoadOptions { threads: 2, ..LoadOptions::default() });
    let text: Vec<u32> = (0..120).map(|i| i * i % 61).collect();
    let scores = |engine: &mut Engine<'_>, first| {
        let id = engine.score(text.clone(), first).unwrap();
        loop {
            for (done, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
                let Output::Scores(scores) = output else { continue };
                if done == id {
                    return scores.logprobs;
                }
            }
        }
    };
    let options = EngineOptions { share_prefixes: false, ..EngineOptions::default() };
    let mut engine = Engine::new(&model, options).unwrap();
    let alone = scores(&mut engine, 1);
    for n in 0..20 {
        engine.generate((0..10).map(|i| (i + n) % 61).collect(), &greedy(30)).unwrap();
    }
    let among = scores(&mut engine, 1);
    assert!(alone.iter().zip(&among).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn a_text_of_a_whole_context_and_one_token_is_scored_and_a_longer_one_is_refused() {
    let model = shared_model();
    let mut engine = Engine::new(&model, EngineOptions::default()).unwrap();
    let context = engine.context();
    let text = |n: usize| (0..n as u32).map(|i| i * i % 61).collect::<Vec<_>>();
    let ids: Vec<RequestId> = (0..2).map(|i| engine.score(text(context + 1), context - i).unwrap()).collect();
    let mut logprobs = HashMap::new();
    while !engine.is_idle() {
        for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
            let Output::Scores(scores) = output else { panic!("no scores") };
            logprobs.insert(id, scores.logprobs);
        }
    }
    assert_eq!((logprobs[&ids[0]].len(), logprobs[&ids[1]].len()), (1, 2));
    let error = engine.score(text(context + 2), 1).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { .. }), "{error}");
}

#[test]
fn tokens_that_may_follow_a_text_are_scored_as_the_texts_with_them_would_be() {
    let model = shared_model();
    let mut engine = Engine::new(&model, EngineOptions::default()).unwrap();
    let text: Vec<u32> = (0..70).map(|i| i * i % 61).collect();
    let candidates = [3, 17, 60, 3];
    let together = engine.score_next(text.clone(), candidates.to_vec()).unwrap();
    let apart: Vec<RequestId> = candidates
        .iter()
        .map(|&token| engine.score([&text[..], &[token]].concat(), text.len()).unwrap())
        .collect();
    let mut scores = HashMap::new();
    while !engine.is_idle() {
        for (id, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
            let Output::Scores(found) = output else { panic!("no scores") };
            scores.insert(id, found);
        }
    }
    let of = |id: &RequestId| (scores[id].logprobs[0], scores[id].greedy[0]);
    let together = &scores[&together];
    let together: Vec<_> = together.logprobs.iter().copied().zip(together.greedy.iter().copied()).collect();
    assert_eq!(together, apart.iter().map(of).collect::<Vec<_>>());

    assert!(matches!(engine.score_next(Vec::new(), vec![1]), Err(Error::EmptyPrompt)));
    let context = engine.context();
    assert!(matches!(engine.score_next(vec![1; context + 1], vec![1]), Err(Error::PromptTooLong { .. })));
    assert!(engine.score_next(vec![1; context], vec![1]).is_ok());
}

#[test]
fn an_embedding_that_gives_its_pages_up_is_computed_as_alone() {
    let model = tiny::open_quantized(5, Mix::Q8_0, &LoadOptions { threads: 1, ..LoadOptions::default() });
    let text: Vec<u32> = (0..120).map(|i| (i * 7) % 61).collect();
    let vector = |cache_tokens, beside: u32| {
        let options =
            EngineOptions { cache_tokens, prompt_rows_beside_decoding: 2, ..EngineOptions::default() };
        let mut engine = Engine::new(&model, options).unwrap();
        for n in 0..beside {
            engine.generate((0..30).map(|i| (i * 5 + n * 11) % 61).collect(), &greedy(120)).unwrap();
        }
        let id = engine.embed(text.clone(), Pooling::Mean).unwrap();
        let mut found = None;
        while !engine.is_idle() {
            for (done, output) in engine.step(&mut |_, _| ControlFlow::Continue(())).unwrap() {
                if let (true, Output::Embedding(embedding)) = (done == id, output) {
                    found = Some(embedding.vector);
                }
            }
        }
        (found.unwrap(), engine.stats().preempted)
    };
    let (alone, _) = vector(1024, 0);
    let (pressed, preempted) = vector(256, 2);
    assert!(preempted > 0, "there was room for all");
    assert_eq!(alone, pressed);
}
