//! Guessing changes how fast a text is made, and nothing that is said.

mod tiny;

use sai_decoder::{Batch, LogitRows};
use sai_generation::{
    CacheType, Completion, Draft, Event, FinishReason, LoadOptions, Model, Request, Sampling, Session, Step,
};
use std::collections::HashMap;
use std::ops::ControlFlow;

fn model(seed: u64) -> Model {
    let options = LoadOptions { threads: 1, cache_type: CacheType::F32, ..LoadOptions::default() };
    tiny::open(seed, &options)
}

/// An answer and its steps.
fn say(
    session: &mut Session<'_>,
    prompt: &[u32],
    request: &Request,
    draft: Draft,
) -> (Completion, Vec<Step>) {
    let mut steps = Vec::new();
    let request = Request { draft, ..request.clone() };
    let completion = session
        .generate(prompt, &request, &mut |event| {
            if let Event::Step(step) = event {
                steps.push(step.clone());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (completion, steps)
}

/// Holds an answer with guesses to the one without; returns the guesses and those that came true.
#[track_caller]
fn same(model: &Model, prompt: &[u32], request: &Request) -> (usize, usize) {
    let mut session = Session::new(model).unwrap();
    let (want, want_steps) = say(&mut session, prompt, request, Draft::Off);
    assert_eq!((want.usage.drafted_tokens, want.usage.accepted_tokens), (0, 0));
    session.clear();
    let (got, got_steps) = say(&mut session, prompt, request, Draft::Lookup);
    assert_eq!(got.tokens, want.tokens, "{prompt:?} {request:?}");
    assert_eq!((got.text, got.finish_reason), (want.text, want.finish_reason));
    assert_eq!(got_steps.len(), want_steps.len());
    for (got, want) in got_steps.iter().zip(&want_steps) {
        assert_eq!((got.token, &got.text), (want.token, &want.text));
        assert!((got.logprob - want.logprob).abs() < 1e-4, "{got:?} {want:?}");
        let tokens = |step: &Step| -> (Vec<u32>, Vec<u32>) {
            let ids = |list: &[sai_generation::Candidate]| list.iter().map(|c| c.token).collect();
            (ids(&step.raw), ids(&step.processed))
        };
        assert_eq!(tokens(got), tokens(want));
    }
    // What stays in the session is what was said.
    let text = [prompt, &got.tokens].concat();
    assert!(session.context_used() <= text.len() && session.context_used() + 1 >= text.len());
    (got.usage.drafted_tokens, got.usage.accepted_tokens)
}

fn prompts() -> Vec<Vec<u32>> {
    let repeated: Vec<u32> = (0..60).map(|i| [7, 3, 9, 1, 4][i % 5]).collect();
    let mixed = (0..90u32).map(|i| (i * i / 3 + i) % 11).collect();
    vec![vec![1], vec![5, 6], repeated, mixed, (0..50).collect()]
}

#[test]
fn greedy_text_is_the_same() {
    let (mut drafted, mut accepted) = (0, 0);
    for seed in 1..=4 {
        let model = model(seed);
        for prompt in prompts() {
            for (repetition_penalty, max_new_tokens) in [(1.0, 60), (1.3, 61), (1.0, 1), (1.0, 0), (1.0, 300)]
            {
                let sampling = Sampling { repetition_penalty, ..Sampling::greedy() };
                let request = Request { sampling, max_new_tokens, candidates: 2, ..Request::default() };
                let (guesses, true_ones) = same(&model, &prompt, &request);
                drafted += guesses;
                accepted += true_ones;
            }
        }
    }
    // Random models soon go in circles.
    assert!(accepted > 500 && drafted > accepted, "{accepted} of {drafted}");
}

#[test]
fn sampled_text_of_a_seed_is_the_same() {
    let model = model(5);
    let (mut drafted, mut accepted) = (0, 0);
    for seed in 0..40 {
        let sampling =
            Sampling { temperature: 0.4, repetition_penalty: 1.0, top_k: 3, seed, ..Sampling::default() };
        let request = Request { sampling, max_new_tokens: 50, candidates: 1, ..Request::default() };
        for prompt in prompts() {
            let (guesses, true_ones) = same(&model, &prompt, &request);
            drafted += guesses;
            accepted += true_ones;
        }
    }
    assert!(accepted > 100 && drafted > accepted, "{accepted} of {drafted}");
}

#[test]
fn stop_strings_and_the_ends_of_room_come_where_they_did() {
    let model = model(2);
    let prompt = &prompts()[2];
    let request = Request { sampling: Sampling::greedy(), max_new_tokens: 80, ..Request::default() };
    let (whole, _) = say(&mut Session::new(&model).unwrap(), prompt, &request, Draft::Off);
    for from in [0, 1, 5, 20, 41] {
        let stop = vec![whole.text[from..from + 4].to_owned()];
        same(&model, prompt, &Request { stop, ..request.clone() });
    }
    let short = LoadOptions { threads: 1, context: Some(90), ..LoadOptions::default() };
    let short = tiny::open(2, &short);
    let full = Request { max_new_tokens: 1000, ..request.clone() };
    same(&short, prompt, &full);
    let (full, _) = say(&mut Session::new(&short).unwrap(), prompt, &full, Draft::Lookup);
    assert_eq!((full.finish_reason, full.tokens.len()), (FinishReason::ContextFull, 31));
}

#[test]
fn an_answer_that_is_broken_off_between_guesses_leaves_what_was_said() {
    let model = model(2);
    let prompt = &prompts()[2];
    let request = Request {
        sampling: Sampling::greedy(),
        max_new_tokens: 40,
        draft: Draft::Lookup,
        ..Request::default()
    };
    let (whole, _) = say(&mut Session::new(&model).unwrap(), prompt, &request, Draft::Lookup);
    for stop_at in 1..20 {
        let mut session = Session::new(&model).unwrap();
        let mut steps = 0;
        let cut = session
            .generate(prompt, &request, &mut |event| {
                steps += usize::from(matches!(event, Event::Step(_)));
                if steps == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!(
            (cut.finish_reason, &cut.tokens[..]),
            (FinishReason::Interrupted, &whole.tokens[..stop_at])
        );
        let text = [prompt, &cut.tokens[..]].concat();
        assert!(session.context_used() <= text.len(), "guesses are left in the session");
        let rest = Request { max_new_tokens: 40 - stop_at, ..request.clone() };
        let (rest, _) = say(&mut session, &text, &rest, Draft::Lookup);
        assert_eq!(rest.tokens, whole.tokens[stop_at..]);
    }
}

/// Pearson's test of three sampled tokens against their exact probabilities, which come from passes and processors
/// without a session.
#[test]
fn sampled_tokens_keep_their_distribution() {
    const DRAWS: usize = 6000;
    let model = model(9);
    // A few tokens only, and a prompt in which most pairs of them stand, so that there is always a guess.
    let logit_bias = (0..5).map(|token| (token, 30.0)).collect();
    let sampling = Sampling {
        temperature: 1.5,
        repetition_penalty: 1.1,
        top_p: 0.95,
        top_k: 4,
        logit_bias,
        ..Sampling::default()
    };
    let prompt: Vec<u32> = (0..70u32).map(|i| (i * i / 7 + 3 * i) % 5).collect();

    let mut expected: HashMap<Vec<u32>, f64> = HashMap::from([(Vec::new(), 1.0)]);
    for _ in 0..3 {
        let mut longer = HashMap::new();
        for (said, probability) in expected {
            for (token, share) in next(&model, &sampling, &[&prompt[..], &said].concat()) {
                longer.insert([&said[..], &[token]].concat(), probability * share);
            }
        }
        expected = longer;
    }
    assert!(expected.len() > 20, "{expected:?}");

    let mut session = Session::new(&model).unwrap();
    let mut counts: HashMap<Vec<u32>, usize> = HashMap::new();
    let (mut drafted, mut accepted) = (0, 0);
    for seed in 0..DRAWS as u64 {
        let sampling = Sampling { seed, ..sampling.clone() };
        let request = Request { sampling, max_new_tokens: 3, ..Request::default() };
        let (completion, _) = say(&mut session, &prompt, &request, Draft::Lookup);
        drafted += completion.usage.drafted_tokens;
        accepted += completion.usage.accepted_tokens;
        *counts.entry(completion.tokens).or_default() += 1;
    }
    assert!(drafted > DRAWS / 2 && accepted > DRAWS / 15, "{accepted} of {drafted}");

    // Rare outcomes are counted together.
    let (mut statistic, mut bins, mut rare) = (0.0, 0, (0.0, 0.0));
    for (said, probability) in &expected {
        let want = probability * DRAWS as f64;
        let got = counts.remove(said).unwrap_or(0) as f64;
        if want < 8.0 {
            rare = (rare.0 + want, rare.1 + got);
        } else {
            statistic += (got - want) * (got - want) / want;
            bins += 1;
        }
    }
    assert!(counts.is_empty(), "{counts:?} cannot be said");
    if rare.0 > 0.0 {
        statistic += (rare.1 - rare.0) * (rare.1 - rare.0) / rare.0;
        bins += 1;
    }
    let freedom = f64::from(bins - 1);
    // About four standard deviations.
    assert!(statistic < freedom + 4.0 * (2.0 * freedom).sqrt(), "χ² is {statistic} for {freedom} degrees");
}

/// The tokens that may follow, and how likely each is.
fn next(model: &Model, sampling: &Sampling, history: &[u32]) -> Vec<(u32, f64)> {
    let mut runner = model.decoder.runner(history.len(), model.cache_type).unwrap();
    let mut batch = Batch::new();
    batch.push(&runner.pages_mut().start(), history, LogitRows::Last);
    let mut scores = runner.forward(&batch).unwrap().to_vec();
    sampling.process(&mut scores, history);
    let weights: Vec<f64> = scores.iter().map(|&score| f64::from(score).exp()).collect();
    let sum: f64 = weights.iter().sum();
    (0u32..).zip(weights).filter(|(_, w)| *w > 0.0).map(|(token, w)| (token, w / sum)).collect()
}
