//! Every processor, and 42dot's chain of them, against `transformers` on random logits.
//! `scripts/fixtures/sampling.py` made the expectations and says what they mean.

use sai_generation::{Sampling, processors};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct File {
    inputs: Vec<Input>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    logits: Vec<f64>,
    history: Vec<u32>,
}

#[derive(Deserialize)]
struct Case {
    input: String,
    steps: Vec<HashMap<String, serde_json::Value>>,
    #[serde(default)]
    tied: Vec<usize>,
    scores: Vec<Option<f64>>,
}

fn apply(kind: &str, value: &serde_json::Value, scores: &mut [f32], history: &[u32]) {
    let number = || value.as_f64().unwrap() as f32;
    match kind {
        "temperature" => processors::temperature(scores, number()),
        "repetition_penalty" => processors::repetition_penalty(scores, history, number()),
        "top_p" => processors::top_p(scores, number()),
        "top_k" => processors::top_k(scores, value.as_u64().unwrap() as usize),
        "min_p" => processors::min_p(scores, number()),
        "logit_bias" => {
            let bias: Vec<(u32, f32)> = serde_json::from_value(value.clone()).unwrap();
            processors::logit_bias(scores, &bias);
        }
        other => panic!("the fixture has a processor `{other}`"),
    }
}

fn file() -> File {
    serde_json::from_str(include_str!("fixtures/sampling.json")).unwrap()
}

fn agrees(case: &Case, scores: &[f32]) -> Result<(), String> {
    let kept = |ids: &[usize], open: &dyn Fn(usize) -> bool| ids.iter().filter(|&&id| open(id)).count();
    let theirs = kept(&case.tied, &|id| case.scores[id].is_some());
    let ours = kept(&case.tied, &|id| scores[id] > f32::NEG_INFINITY);
    if theirs != ours {
        return Err(format!("{ours} of the tied tokens are kept instead of {theirs}"));
    }
    for (id, (&got, want)) in scores.iter().zip(&case.scores).enumerate() {
        if case.tied.contains(&id) {
            continue;
        }
        let fits = match want {
            None => got == f32::NEG_INFINITY,
            Some(want) => {
                let want = *want as f32;
                (got - want).abs() <= 2e-6 * want.abs().max(1.0)
            }
        };
        if !fits {
            return Err(format!("token {id} has {got} instead of {want:?}"));
        }
    }
    Ok(())
}

#[test]
fn processors_are_those_of_transformers() {
    let file = file();
    assert!(file.cases.len() > 200);
    for case in &file.cases {
        let input = file.inputs.iter().find(|input| input.name == case.input).unwrap();
        let mut scores: Vec<f32> = input.logits.iter().map(|&x| x as f32).collect();
        for (kind, value) in case.steps.iter().flatten() {
            apply(kind, value, &mut scores, &input.history);
        }
        let steps: Vec<_> = case.steps.iter().flatten().collect();
        agrees(case, &scores).unwrap_or_else(|fact| panic!("{} {steps:?}: {fact}", case.input));
    }
}

/// The cases that are 42dot's whole chain, through the one call that generation makes.
#[test]
fn the_chain_is_42dots() {
    let file = file();
    let mut chains = 0;
    for case in &file.cases {
        let kinds: Vec<&str> = case.steps.iter().flatten().map(|(kind, _)| kind.as_str()).collect();
        if kinds != ["temperature", "repetition_penalty", "top_p", "top_k"] {
            continue;
        }
        chains += 1;
        let number = |i: usize| case.steps[i].values().next().unwrap().as_f64().unwrap() as f32;
        let sampling = Sampling {
            temperature: number(0),
            repetition_penalty: number(1),
            top_p: number(2),
            top_k: number(3) as usize,
            ..Sampling::default()
        };
        let input = file.inputs.iter().find(|input| input.name == case.input).unwrap();
        let mut scores: Vec<f32> = input.logits.iter().map(|&x| x as f32).collect();
        sampling.process(&mut scores, &input.history);
        agrees(case, &scores).unwrap_or_else(|fact| panic!("{} {sampling:?}: {fact}", case.input));
    }
    assert!(chains >= 8, "{chains}");
}
