//! Models by name and in memory, and the smaller endpoints.

mod common;

use common::{Running, entry, mini, options};
use sai_generation::{Model, Pooling};
use sai_server::{ModelEntry, OpenError, Server, ServerOptions};
use serde_json::{Value, json};

#[test]
fn models_are_opened_when_asked_for_and_closed_for_room() {
    let one = Model::open(mini().as_path(), &options()).unwrap();
    let bytes = one.memory.weights + one.memory.activations + 4 * one.memory.kv_cache;
    drop(one);
    let models = vec![entry("a", options()), entry("b", options()), entry("c", options())];
    // Room for two of the three.
    let server = Running::start(ServerOptions {
        models,
        memory: Some(2 * bytes + bytes / 2),
        ..ServerOptions::default()
    });
    let open = || {
        let list = server.get("/v1/models").json();
        let is_open = |card: &&Value| !card["max_model_len"].is_null();
        let data = list["data"].as_array().unwrap();
        data.iter().filter(is_open).map(|card| card["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(open(), ["a"], "the first is opened at once");
    let ask = |name: &str| {
        let body = json!({ "model": name, "prompt": "가", "max_tokens": 1 });
        assert_eq!(server.ok("/v1/completions", &body)["model"], name);
    };
    ask("b");
    assert_eq!(open(), ["a", "b"]);
    ask("a");
    ask("c");
    assert_eq!(open(), ["a", "c"], "b was asked for the longest time ago");
    let (status, param, _) =
        server.post("/v1/completions", &json!({ "model": "d", "prompt": "가" })).refusal();
    assert_eq!((status, param.as_str()), (404, "model"));
    assert_eq!(server.get("/v1/models/c").json()["id"], "c");
    assert_eq!(server.get("/v1/models/d").status, 404);
}

#[test]
fn a_model_that_does_not_fit_or_open_is_said_so() {
    let broken = ModelEntry {
        name: "broken".to_owned(),
        aliases: vec!["b".to_owned()],
        parent: Some("mini".to_owned()),
        open: Box::new(|_| Err(OpenError { fact: "m.gguf: it is cut short".to_owned(), need: None })),
    };
    let models = vec![entry("mini", options()), broken];
    let server = Running::start(ServerOptions { models, ..ServerOptions::default() });
    for name in ["broken", "b"] {
        let (status, _, message) =
            server.post("/v1/completions", &json!({ "model": name, "prompt": "가" })).refusal();
        assert_eq!(status, 503);
        assert!(message.contains("broken") && message.contains("cut short"), "{message}");
    }
    assert_eq!(server.get("/v1/models").json()["data"][1]["parent"], "mini");
    server.ok("/v1/completions", &json!({ "prompt": "가", "max_tokens": 1 }));
    let twice = ServerOptions {
        models: vec![entry("a", options()), entry("a", options())],
        ..ServerOptions::default()
    };
    assert!(Server::new(twice).err().unwrap().contains("two models"));
    assert!(Server::new(ServerOptions::default()).is_err());
}

fn vector(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn embeddings_are_the_same_alone_and_among_others() {
    let server = Running::plain();
    let embed = |input: Value, more: Value| {
        let mut body = json!({ "input": input });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        server.ok("/v1/embeddings", &body)
    };
    let long = "부산은 바다가 있는 도시예요. ".repeat(20);
    let all = embed(json!(["서울은 수도예요.", long, "The sea."]), json!({}));
    assert_eq!((&all["pooling"], &all["object"]), (&json!("mean"), &json!("list")));
    for (i, text) in ["서울은 수도예요.", long.as_str(), "The sea."].iter().enumerate() {
        let alone = embed(json!(text), json!({}));
        assert_eq!(alone["data"][0]["embedding"], all["data"][i]["embedding"]);
        let length: f64 = vector(&alone["data"][0]["embedding"]).iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5);
        assert_eq!(all["data"][i]["index"], i);
    }
    // The state of the only token is its mean.
    let (mean, last) = (embed(json!([[7]]), json!({})), embed(json!([[7]]), json!({ "pooling": "last" })));
    assert_eq!(mean["data"], last["data"]);
    assert_eq!(last["pooling"], "last");
    let last = embed(json!("서울은 수도예요."), json!({ "pooling": "last" }));
    assert_ne!(last["data"][0]["embedding"], all["data"][0]["embedding"]);
    // A beginning that is in the cache changes nothing.
    let again = embed(json!("서울은 수도예요."), json!({ "pooling": "last" }));
    assert_eq!(again["data"], last["data"]);

    let text = embed(json!("The sea."), json!({ "encoding_format": "base64" }));
    assert!(text["data"][0]["embedding"].as_str().unwrap().len() > 100);
    for (body, field) in [
        (json!({ "input": "a", "encoding_format": "int8" }), "encoding_format"),
        (json!({ "input": "a", "pooling": "max" }), "pooling"),
        (json!({ "input": "a", "dimensions": 3 }), "dimensions"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": "" }), "input"),
        (json!({ "input": ["a", ""] }), "input[1]"),
        (json!({ "input": vec![5; 600] }), "input"),
    ] {
        let (status, param, _) = server.post("/v1/embeddings", &body).refusal();
        assert_eq!((status, param.as_str()), (400, field));
    }
    let models = vec![entry("mini", options())];
    let server = Running::start(ServerOptions { models, pooling: Pooling::Last, ..ServerOptions::default() });
    assert_eq!(server.ok("/v1/embeddings", &json!({ "input": "a" }))["pooling"], "last");
}

#[test]
fn tokens_go_both_ways() {
    let server = Running::plain();
    let made = server.ok("/tokenize", &json!({ "prompt": "안녕 <|im_end|>", "return_token_strs": true }));
    assert_eq!(made["count"], made["tokens"].as_array().unwrap().len());
    assert_eq!(made["max_model_len"], 512);
    let text = server.ok("/detokenize", &json!({ "tokens": made["tokens"] }));
    assert_eq!(text["prompt"], "안녕 <|im_end|>");
    let (status, param, _) = server.post("/detokenize", &json!({ "tokens": [1, 99999] })).refusal();
    assert_eq!((status, param.as_str()), (400, "tokens[1]"));
    assert_eq!(server.post("/tokenize", &json!({})).status, 400);
    let info = server.get("/tokenizer_info").json();
    assert_eq!((&info["eos_token"], &info["vocab_size"]), (&json!("<|endoftext|>"), &json!(8192)));
}

#[test]
fn responses_bring_the_whole_conversation_and_keep_nothing() {
    let server = Running::plain();
    let asked = json!({ "input": "한국의 수도는 어디야?", "temperature": 0, "metadata": { "a": "b" } });
    let whole = server.ok("/v1/responses", &asked);
    assert_eq!((&whole["status"], &whole["store"]), (&json!("completed"), &json!(false)));
    assert_eq!(whole["output"][0]["content"][0]["text"], "서울이에요. 한국의 수도죠.");
    assert_eq!(whole["metadata"]["a"], "b");
    let items = json!({ "temperature": 0, "input": [
        { "role": "user", "content": [{ "type": "input_text", "text": "한국의 수도는 어디야?" }] },
    ] });
    assert_eq!(server.ok("/v1/responses", &items)["usage"]["input_tokens"], whole["usage"]["input_tokens"]);

    let mut streamed = asked.clone();
    streamed["stream"] = json!(true);
    let answer = server.post("/v1/responses", &streamed);
    let events: Vec<Value> = answer
        .body
        .lines()
        .filter_map(|l| l.strip_prefix("data: "))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added"
        ]
    );
    assert_eq!(kinds.last(), Some(&"response.completed"));
    let text: String = events
        .iter()
        .filter(|e| e["type"] == "response.output_text.delta")
        .filter_map(|e| e["delta"].as_str())
        .collect();
    assert_eq!(text, "서울이에요. 한국의 수도죠.");
    assert!(events.iter().enumerate().all(|(i, event)| event["sequence_number"] == i));
    let done = events.last().unwrap();
    assert_eq!(done["response"]["output"][0]["content"], whole["output"][0]["content"]);

    let mut cut = asked.clone();
    cut["max_output_tokens"] = json!(2);
    let cut = server.ok("/v1/responses", &cut);
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    for (more, field) in [
        (json!({ "input": "a", "previous_response_id": "resp-1" }), "previous_response_id"),
        (json!({ "input": "a", "background": true }), "background"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": [{ "type": "item_reference", "id": "x" }] }), "input[0].type"),
        (json!({ "input": "a", "max_output_tokens": 0 }), "max_output_tokens"),
        (json!({ "input": "a", "tools": [{ "type": "web_search" }] }), "tools[0].type"),
    ] {
        let (status, param, _) = server.post("/v1/responses", &more).refusal();
        assert_eq!((status, param.as_str()), (400, field), "{more}");
    }
}

#[test]
fn the_description_names_every_route() {
    let server = Running::plain();
    let api = server.get("/openapi.json").json();
    assert_eq!(api["openapi"], "3.1.0");
    for (path, method) in [
        ("/v1/chat/completions", "post"),
        ("/v1/completions", "post"),
        ("/v1/responses", "post"),
        ("/v1/embeddings", "post"),
        ("/v1/models", "get"),
        ("/v1/models/{model}", "get"),
        ("/tokenize", "post"),
        ("/detokenize", "post"),
        ("/tokenizer_info", "get"),
        ("/health", "get"),
        ("/ready", "get"),
        ("/metrics", "get"),
    ] {
        assert!(api["paths"][path][method].is_object(), "{path}");
    }
    assert!(api["components"]["schemas"]["ChatRequest"]["properties"]["temperature"].is_object());
    // Every reference leads somewhere.
    let text = api.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(api["components"]["schemas"][name].is_object(), "{name}");
    }
    let (status, _, message) = server.get("/v1/nothing").refusal();
    assert_eq!(status, 404);
    assert!(message.contains("/v1/nothing"));
    assert_eq!(server.get("/v1/completions").status, 405);
}

#[test]
fn metrics_are_counted() {
    let server = Running::plain();
    for _ in 0..2 {
        server
            .ok("/v1/completions", &json!({ "prompt": "서울은 한국의", "max_tokens": 4, "temperature": 0 }));
    }
    server.post("/v1/completions", &json!({ "prompt": "" }));
    assert_eq!(server.metric("sai_requests_total{route=\"/v1/completions\",status=\"200\"}"), 2.0);
    assert_eq!(server.metric("sai_requests_total{route=\"/v1/completions\",status=\"400\"}"), 1.0);
    assert_eq!(server.metric("sai_time_to_first_token_seconds_count{model=\"mini\"}"), 2.0);
    assert!(server.metric("sai_tokens_total{model=\"mini\",kind=\"completion\"}") >= 2.0);
    assert!(server.metric("sai_tokens_total{model=\"mini\",kind=\"cached\"}") >= 1.0);
    assert!(server.metric("sai_time_between_tokens_seconds_bucket{model=\"mini\",le=\"+Inf\"}") >= 2.0);
    assert_eq!(server.metric("sai_answers_open"), 0.0);
}
