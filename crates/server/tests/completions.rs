//! `/v1/completions`, most of all what lm-evaluation-harness asks of it.

mod common;

use common::{Running, mini, options};
use sai_generation::Model;
use serde_json::{Value, json};

const COMPLETIONS: &str = "/v1/completions";

fn harness(prompt: Value, max_tokens: usize) -> Value {
    json!({
        "model": "mini", "prompt": prompt, "temperature": 0, "max_tokens": max_tokens, "logprobs": 1, "seed": 1234,
        "echo": true, "some_field_of_a_later_version": 1,
    })
}

fn numbers(choice: &Value) -> Vec<Option<f64>> {
    serde_json::from_value(choice["logprobs"]["token_logprobs"].clone()).unwrap()
}

#[test]
fn an_echo_has_a_log_probability_for_each_token_and_one_more() {
    let server = Running::plain();
    let model = Model::open(mini().as_path(), &options()).unwrap();
    let texts = ["한국의 수도는 서울이에요.", "The capital of France is Paris.", "a"];
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| model.tokenizer.encode(text)).collect();
    for max_tokens in [1, 0] {
        let answer = server.ok(COMPLETIONS, &harness(json!(ids), max_tokens));
        let choices = answer["choices"].as_array().unwrap();
        assert_eq!(choices.len(), 3);
        for (i, (choice, ids)) in choices.iter().zip(&ids).enumerate() {
            assert_eq!(choice["index"], i);
            let told = numbers(choice);
            assert_eq!(
                told.len(),
                ids.len() + max_tokens,
                "else a harness scores other tokens than it means"
            );
            assert_eq!(told[0], None);
            let own = sai_generation::score(&model, ids).unwrap();
            for (told, own) in told[1..ids.len()].iter().zip(&own) {
                assert_eq!(told.unwrap() as f32, *own, "the log-probabilities of sai evaluate");
            }
            let top = choice["logprobs"]["top_logprobs"].as_array().unwrap();
            assert!(top[0].is_null());
            for (top, told) in top.iter().zip(&told).skip(1) {
                let highest =
                    top.as_object().unwrap().values().filter_map(Value::as_f64).fold(f64::MIN, f64::max);
                assert!(highest >= told.unwrap());
                assert!(
                    top.as_object().unwrap().values().any(|value| value.as_f64() == *told),
                    "{top} {told:?}"
                );
            }
            assert!(choice["text"].as_str().unwrap().starts_with(texts[i]));
        }
    }
}

#[test]
fn an_end_token_is_told_too_where_the_prompt_is() {
    let server = Running::plain();
    // The answer is over: the next token ends it.
    let prompt = "<|im_start|>user\n안녕?<|im_end|>\n<|im_start|>assistant\n안녕하세요! 만나서 반가워요.";
    let answer = server.ok(COMPLETIONS, &harness(json!(prompt), 1));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["text"]), (&json!("stop"), &json!(prompt)));
    assert_eq!(numbers(choice).len() as u64, answer["usage"]["prompt_tokens"].as_u64().unwrap() + 1);
}

#[test]
fn scores_do_not_depend_on_what_the_cache_holds() {
    let server = Running::plain();
    let prompt = json!("서울은 한국의 수도예요. 부산은 바다가 있는 도시예요. ".repeat(6));
    let cold = server.ok(COMPLETIONS, &harness(prompt.clone(), 1));
    server.ok(COMPLETIONS, &json!({ "prompt": prompt, "max_tokens": 5 }));
    let warm = server.ok(COMPLETIONS, &harness(prompt, 1));
    assert_eq!(cold["choices"], warm["choices"]);
}

#[test]
fn ids_are_taken_as_they_are() {
    let server = Running::plain();
    let answer = server.ok(COMPLETIONS, &harness(json!([[10, 20, 30]]), 0));
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    let flat = server.ok(COMPLETIONS, &harness(json!([10, 20, 30]), 0));
    assert_eq!(flat["choices"], answer["choices"]);
}

#[test]
fn streamed_and_whole_texts_are_the_same() {
    let server = Running::plain();
    for more in [
        json!({}),
        json!({ "echo": true, "logprobs": 2 }),
        json!({ "n": 2 }),
        json!({ "echo": true, "max_tokens": 0, "logprobs": 0 }),
    ] {
        let mut asked = json!({ "prompt": ["서울은", "The"], "max_tokens": 9, "temperature": 0 });
        for (key, value) in more.as_object().unwrap() {
            asked[key] = value.clone();
        }
        let whole = server.ok(COMPLETIONS, &asked);
        asked["stream"] = json!(true);
        asked["stream_options"] = json!({ "include_usage": true });
        let events = server.events(COMPLETIONS, &asked);
        for choice in whole["choices"].as_array().unwrap() {
            let own = || events.iter().map(|e| &e["choices"][0]).filter(|c| c["index"] == choice["index"]);
            let text: String = own().filter_map(|c| c["text"].as_str()).collect();
            assert_eq!(text, choice["text"].as_str().unwrap());
            let list = |c: &Value, key: &str| c["logprobs"][key].as_array().cloned().unwrap_or_default();
            for key in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
                let told: Vec<Value> = own().flat_map(|c| list(c, key)).collect();
                assert_eq!(told, list(choice, key), "{key} {asked}");
            }
            let reasons: Vec<&Value> = own().map(|c| &c["finish_reason"]).filter(|r| !r.is_null()).collect();
            assert_eq!(reasons, [&choice["finish_reason"]]);
        }
        let usage = &events.last().unwrap()["usage"];
        assert_eq!(usage["completion_tokens"], whole["usage"]["completion_tokens"]);
        assert_eq!(usage["prompt_tokens"], whole["usage"]["prompt_tokens"]);
    }
}

#[test]
fn logprobs_of_0_still_tell_the_chosen_token() {
    let server = Running::plain();
    let answer = server
        .ok(COMPLETIONS, &json!({ "prompt": "서울은", "max_tokens": 2, "temperature": 0, "logprobs": 0 }));
    assert_eq!(numbers(&answer["choices"][0]).len(), 2);
    assert!(numbers(&answer["choices"][0]).iter().all(Option::is_some));
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let server = Running::plain();
    for (body, field) in [
        (json!({ "prompt": "a", "suffix": "b" }), "suffix"),
        (json!({ "prompt": "a", "best_of": 3 }), "best_of"),
        (json!({ "prompt": "a", "logprobs": 21 }), "logprobs"),
        (json!({ "prompt": "a", "max_tokens": 0 }), "max_tokens"),
        (json!({ "prompt": [] }), "prompt"),
        (json!({ "prompt": [[]] }), "prompt"),
        (json!({ "prompt": "" }), "prompt"),
        (json!({ "prompt": ["a", ""] }), "prompt[1]"),
        (json!({ "prompt": [[1], [99999999]] }), "prompt[1]"),
        (json!({ "prompt": [-1] }), "prompt"),
        (json!({ "prompt": { "a": 1 } }), "prompt"),
        (json!({ "prompt": vec!["a"; 3000] }), "prompt"),
    ] {
        let (status, param, message) = server.post(COMPLETIONS, &body).refusal();
        assert_eq!((status, param.as_str()), (400, field), "{message}");
    }
    let (status, _, message) = server.post(COMPLETIONS, &json!({})).refusal();
    assert_eq!(status, 400);
    assert!(message.contains("prompt"), "{message}");
    let long = server.post(COMPLETIONS, &json!({ "prompt": vec![5; 600] }));
    assert_eq!(long.json()["error"]["code"], "context_length_exceeded");
}

#[test]
fn penalties_and_biases_change_what_is_said() {
    let server = Running::plain();
    let say = |more: Value| {
        let mut asked = json!({ "prompt": "하나 하나 하나 하나", "max_tokens": 12, "temperature": 0 });
        for (key, value) in more.as_object().unwrap() {
            asked[key] = value.clone();
        }
        server.ok(COMPLETIONS, &asked)["choices"][0]["text"].as_str().unwrap().to_owned()
    };
    let plain = say(json!({}));
    let first = server
        .ok(COMPLETIONS, &json!({ "prompt": "하나 하나 하나 하나", "max_tokens": 1, "temperature": 0 }));
    let first = first["choices"][0]["text"].as_str().unwrap();
    let id = server.ok("/tokenize", &json!({ "prompt": first, "add_special_tokens": false }))["tokens"][0]
        .to_string();
    assert_ne!(say(json!({ "logit_bias": { id: -100 } })), plain);
    assert_eq!(say(json!({ "presence_penalty": 0, "frequency_penalty": 0 })), plain);
}
