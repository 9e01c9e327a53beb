//! The real model, from its file to text.

#[path = "../../../tests/real_model.rs"]
mod real_model;

use real_model::smollm2;
use sai_generation::{
    Draft, Error, Event, FinishReason, LoadOptions, Message, Model, Request, Sampling, Session, perplexity,
    score,
};
use std::ops::ControlFlow;
use std::sync::LazyLock;

static MODEL: LazyLock<Option<Model>> =
    LazyLock::new(|| smollm2().map(|path| Model::open(&path, &LoadOptions::default()).unwrap()));

/// A question that the model answers rightly even greedily.
const LIGHT: &str = "What is the capital of France, and why is it known as the city of light?";

fn message(role: &str, content: &str) -> Message {
    Message::new(role, content)
}

fn greedy(max_new_tokens: usize) -> Request {
    Request { sampling: Sampling::greedy(), max_new_tokens, ..Request::default() }
}

/// Hears everything and stops at nothing.
fn quiet(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn perplexity_is_llama_cpps() {
    let Some(model) = &*MODEL else { return };
    let licence = include_str!("../../../LICENSE");
    let tokens = model.encode_text(licence.trim_end_matches('\n'));
    let golden: serde_json::Value = serde_json::from_str(include_str!("fixtures/perplexity.json")).unwrap();
    assert_eq!(tokens.len() as u64, golden["tokens"].as_u64().unwrap());
    for figure in &golden["figures"].as_array().unwrap()[..2] {
        let window = figure["window"].as_u64().unwrap() as usize;
        let mut windows = 0;
        let result = perplexity(model, &tokens, window, &mut |_, _| {
            windows += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(result.windows, windows);
        assert_eq!(result.scored_tokens as u64, figure["scored"].as_u64().unwrap());
        let ratio = result.perplexity / figure["perplexity"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 0.005, "window {window}: {} is {ratio} of theirs", result.perplexity);
        let ratio = result.uncertainty / figure["uncertainty"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 0.05, "uncertainty {}", result.uncertainty);
    }
}

#[test]
fn scores_are_the_steps_of_generation() {
    let Some(model) = &*MODEL else { return };
    let prompt = model.encode_text("The capital of France is");
    let mut session = Session::new(model).unwrap();
    let mut steps = Vec::new();
    let completion = session
        .generate(&prompt, &greedy(12), &mut |event| {
            if let Event::Step(step) = event {
                steps.push(step.logprob);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let text = [&prompt[..], &completion.tokens].concat();
    let scores = score(model, &text).unwrap();
    assert_eq!(scores.len(), text.len() - 1);
    // The two sum in another order, and rounding activations to bytes makes much of little.
    let differences: Vec<f32> =
        steps.iter().zip(&scores[prompt.len() - 1..]).map(|(step, score)| (step - score).abs()).collect();
    assert!(differences.iter().all(|&d| d < 0.3), "{differences:?}");
    assert!(differences.iter().sum::<f32>() < 0.15 * differences.len() as f32, "{differences:?}");
}

#[test]
fn it_answers_and_a_second_turn_computes_only_what_is_new() {
    let Some(model) = &*MODEL else { return };
    let mut session = Session::new(model).unwrap();
    let mut messages = vec![message("user", LIGHT)];
    let first = session.chat_prompt(&messages, 1000).unwrap();
    let mut heard = String::new();
    let answer = session
        .generate(&first.tokens, &greedy(40), &mut |event| {
            if let Event::Step(step) = event {
                heard.push_str(&step.text);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(answer.text.contains("Paris"), "{}", answer.text);
    assert_eq!(heard, answer.text);
    assert_eq!(answer.usage.cached_tokens, 0);
    assert_eq!(answer.usage.completion_tokens, answer.tokens.len());

    messages.push(message("assistant", &answer.text));
    messages.push(message("user", "And of Korea?"));
    let before = session.context_used();
    let second = session.chat_prompt(&messages, 1000).unwrap();
    let continued = session.generate(&second.tokens, &greedy(20), &mut quiet).unwrap();
    assert_eq!(continued.usage.cached_tokens, before, "all of the first turn is kept");

    // A session that begins with the second prompt says the same.
    let mut fresh = Session::new(model).unwrap();
    let anew = fresh.generate(&second.tokens, &greedy(20), &mut quiet).unwrap();
    assert_eq!(anew.text, continued.text);
    // As does the same question asked again, for which only its last token is computed.
    let again = session.generate(&second.tokens, &greedy(20), &mut quiet).unwrap();
    assert_eq!((again.text, again.usage.cached_tokens), (continued.text, second.tokens.len() - 1));
}

#[test]
fn an_answer_can_be_broken_off_and_kept() {
    let Some(model) = &*MODEL else { return };
    let mut session = Session::new(model).unwrap();
    let prompt = session.chat_prompt(&[message("user", "Count from one to twenty.")], 1000).unwrap();
    let mut steps = 0;
    let cut = session
        .generate(&prompt.tokens, &greedy(100), &mut |event| {
            if let Event::Step(_) = event {
                steps += 1;
                if steps == 5 {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((cut.finish_reason, cut.tokens.len()), (FinishReason::Interrupted, 5));
    let whole = session.generate(&prompt.tokens, &greedy(10), &mut quiet).unwrap();
    assert!(whole.text.starts_with(&cut.text));
    assert_eq!(whole.finish_reason, FinishReason::Length);

    let broken = session
        .generate(&model.encode_text("Once upon a time"), &greedy(10), &mut |_| ControlFlow::Break(()))
        .unwrap();
    assert_eq!((broken.finish_reason, broken.text.as_str()), (FinishReason::Interrupted, ""));
}

#[test]
fn guessing_changes_nothing_that_is_said() {
    let Some(model) = &*MODEL else { return };
    let mut session = Session::new(model).unwrap();
    let (mut drafted, mut accepted) = (0, 0);
    for question in [
        "Repeat this text word for word: The quick brown fox jumps over the lazy dog. Then it sleeps in the sun.",
        "Fix the typos in this text: The wether is nice todey, and the birds are singing in the tries.",
        LIGHT,
    ] {
        let prompt = session.chat_prompt(&[message("user", question)], 1000).unwrap();
        let plain = session.generate(&prompt.tokens, &greedy(80), &mut quiet).unwrap();
        session.clear();
        let request = Request { draft: Draft::Lookup, ..greedy(80) };
        let guessed = session.generate(&prompt.tokens, &request, &mut quiet).unwrap();
        assert_eq!((guessed.text, guessed.tokens), (plain.text, plain.tokens), "{question}");
        drafted += guessed.usage.drafted_tokens;
        accepted += guessed.usage.accepted_tokens;
    }
    assert!(accepted > 10 && drafted >= accepted, "{accepted} of {drafted}");
}

#[test]
fn a_stop_string_ends_the_answer_before_it() {
    let Some(model) = &*MODEL else { return };
    let mut session = Session::new(model).unwrap();
    let prompt = session.chat_prompt(&[message("user", LIGHT)], 1000).unwrap();
    let whole = session.generate(&prompt.tokens, &greedy(60), &mut quiet).unwrap();
    // From the middle of a word to the middle of another.
    let at = whole.text.find("Paris").unwrap();
    let stop = &whole.text[at - 5..at + 3];
    let request = Request { stop: vec!["unseen".to_owned(), stop.to_owned()], ..greedy(60) };
    let mut heard = String::new();
    let cut = session
        .generate(&prompt.tokens, &request, &mut |event| {
            if let Event::Step(step) = event {
                heard.push_str(&step.text);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(cut.finish_reason, FinishReason::Stop);
    assert_eq!(cut.text, whole.text[..at - 5]);
    assert_eq!(heard, cut.text);
}

#[test]
fn a_seed_gives_the_same_answer_and_korean_is_never_broken() {
    let Some(model) = &*MODEL else { return };
    let prompt = model.encode_text("안녕하세요? 저는");
    let say = |seed| {
        let mut session = Session::new(model).unwrap();
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let request = Request { sampling, max_new_tokens: 40, ..Request::default() };
        let mut pieces = Vec::new();
        let completion = session
            .generate(&prompt, &request, &mut |event| {
                if let Event::Step(step) = event {
                    pieces.push(step.text.clone());
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        // What is held back at the end is not half a syllable made into a mark of its own on the way.
        assert!(completion.text.starts_with(&pieces.concat()));
        completion.text
    };
    assert_eq!(say(3), say(3));
    assert_ne!(say(3), say(4));
}

#[test]
fn a_full_context_says_so_and_a_long_conversation_loses_its_oldest() {
    let Some(path) = smollm2() else { return };
    let model = Model::open(&path, &LoadOptions { context: Some(64), ..LoadOptions::default() }).unwrap();
    let mut session = Session::new(&model).unwrap();
    let prompt = model.encode_text("Once upon a time, there was");
    let full = session.generate(&prompt, &greedy(1000), &mut quiet).unwrap();
    if full.finish_reason != FinishReason::Stop {
        assert_eq!(full.finish_reason, FinishReason::ContextFull);
        assert_eq!(prompt.len() + full.tokens.len(), 65, "the last token needs no place");
    }
    let error = session.generate(&vec![1; 64], &greedy(1), &mut quiet).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { tokens: 64, .. }), "{error}");
    assert!(matches!(session.generate(&[], &greedy(1), &mut quiet), Err(Error::EmptyPrompt)));

    let turns: Vec<_> = ["first", "answer", "second", "answer", "third"]
        .iter()
        .enumerate()
        .map(|(i, text)| message(if i % 2 == 0 { "user" } else { "assistant" }, text))
        .collect();
    let whole = model.chat_prompt(&turns, 1000).unwrap();
    assert_eq!(whole.dropped_exchanges, 0);
    let less = model.chat_prompt(&turns, whole.tokens.len() - 1).unwrap();
    assert_eq!(less.dropped_exchanges, 1);
    assert!(!less.text.contains("first") && less.text.contains("second") && less.text.contains("third"));
    let error = model.chat_prompt(&turns, 10).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { context: 10, .. }), "{error}");
}

#[test]
fn what_cannot_be_is_refused_with_its_figures() {
    let Some(path) = smollm2() else { return };
    let open = |options: LoadOptions| Model::open(&path, &options).err().unwrap().to_string();
    let text = open(LoadOptions { memory_limit: Some(50 << 20), ..LoadOptions::default() });
    assert!(text.contains("SmolLM2") && text.contains("50 MiB are available"), "{text}");
    let text = open(LoadOptions { context: Some(1 << 20), ..LoadOptions::default() });
    assert!(text.contains("1048576") && text.contains("8192"), "{text}");
}
