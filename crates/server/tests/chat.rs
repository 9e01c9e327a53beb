//! `/v1/chat/completions` as clients speak it.

mod common;

use common::{Running, with_tools};
use sai_server::ServerOptions;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn hello() -> Value {
    json!({ "messages": [{ "role": "user", "content": "한국의 수도는 어디야?" }], "temperature": 0 })
}

fn with(mut body: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// What the chunks say, and why each choice ended.
fn joined(events: &[Value], key: &str) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"][key].as_str()).collect()
}

#[test]
fn streamed_and_whole_answers_are_the_same() {
    let server = Running::plain();
    let whole = server.ok(CHAT, &hello());
    let said = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(said, "서울이에요. 한국의 수도죠.");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!((&whole["object"], &whole["model"]), (&json!("chat.completion"), &json!("mini")));

    let events = server.events(CHAT, &with(hello(), json!({ "stream": true })));
    assert_eq!(joined(&events, "content"), said, "a syllable over two tokens is held until it is whole");
    assert!(!said.contains('\u{fffd}'));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let reasons: Vec<_> = events.iter().filter(|e| !e["choices"][0]["finish_reason"].is_null()).collect();
    assert_eq!(reasons.len(), 1, "one chunk says why");
    assert_eq!(reasons[0]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn usage_is_in_one_chunk_of_its_own_and_only_if_wanted() {
    let server = Running::plain();
    let whole = server.ok(CHAT, &hello());
    for options in [json!({}), json!({ "include_usage": false }), Value::Null] {
        let events =
            server.events(CHAT, &with(hello(), json!({ "stream": true, "stream_options": options })));
        assert!(events.iter().all(|event| event.get("usage").is_none()));
    }
    let asked = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let events = server.events(CHAT, &with(hello(), asked));
    let (last, others) = events.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    for key in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert_eq!(last["usage"][key], whole["usage"][key]);
    }
    assert!(others.iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
    assert!(!others.last().unwrap()["choices"][0]["finish_reason"].is_null(), "it comes after the end");
}

#[test]
fn several_answers_count_the_prompt_once_and_differ_by_seed() {
    let server = Running::plain();
    let one = server.ok(CHAT, &hello());
    let asked = with(hello(), json!({ "n": 3, "temperature": 1.5, "seed": 7, "max_tokens": 12 }));
    let (first, second) = (server.ok(CHAT, &asked), server.ok(CHAT, &asked));
    assert_eq!(first["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"]);
    let texts = |answer: &Value| -> Vec<String> {
        answer["choices"].as_array().unwrap().iter().map(|c| c["message"]["content"].to_string()).collect()
    };
    assert_eq!(texts(&first).len(), 3);
    assert_eq!(texts(&first), texts(&second), "the same seed says the same");
    assert!(texts(&first)[0] != texts(&first)[1] || texts(&first)[1] != texts(&first)[2]);
    let indices: Vec<_> = first["choices"].as_array().unwrap().iter().map(|c| c["index"].clone()).collect();
    assert_eq!(indices, [0, 1, 2]);
}

#[test]
fn stop_strings_and_budgets_end_an_answer() {
    let server = Running::plain();
    let stopped = server.ok(CHAT, &with(hello(), json!({ "stop": "이에요" })));
    assert_eq!(stopped["choices"][0]["message"]["content"], "서울");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let several = server.ok(CHAT, &with(hello(), json!({ "stop": ["수도", "한국"] })));
    assert_eq!(several["choices"][0]["message"]["content"], "서울이에요. ");
    for name in ["max_tokens", "max_completion_tokens"] {
        let cut = server.ok(CHAT, &with(hello(), json!({ name: 3 })));
        assert_eq!(cut["choices"][0]["finish_reason"], "length");
        assert_eq!(cut["usage"]["completion_tokens"], 3);
    }
}

#[test]
fn wrong_fields_are_refused_by_name_before_a_stream_begins() {
    let server = Running::plain();
    for (more, field) in [
        (json!({ "temperature": 3 }), "temperature"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "top_p": -0.1 }), "top_p"),
        (json!({ "top_k": -2 }), "top_k"),
        (json!({ "min_p": 2 }), "min_p"),
        (json!({ "presence_penalty": 3 }), "presence_penalty"),
        (json!({ "frequency_penalty": -3 }), "frequency_penalty"),
        (json!({ "repetition_penalty": 0 }), "repetition_penalty"),
        (json!({ "n": 0 }), "n"),
        (json!({ "n": 1000 }), "n"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "max_tokens": -1 }), "max_tokens"),
        (json!({ "stop": [""] }), "stop"),
        (json!({ "stop": 1 }), "stop"),
        (json!({ "logit_bias": { "x": 1 } }), "logit_bias.x"),
        (json!({ "logit_bias": { "99999999": 1 } }), "logit_bias.99999999"),
        (json!({ "logit_bias": { "5": 101 } }), "logit_bias.5"),
        (json!({ "top_logprobs": 2 }), "top_logprobs"),
        (json!({ "logprobs": true, "top_logprobs": 21 }), "top_logprobs"),
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": "hello" }), "messages"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            "messages[0].content[0].type",
        ),
        (json!({ "response_format": { "type": "xml" } }), "response_format.type"),
        (json!({ "response_format": { "type": "json_schema" } }), "response_format.json_schema.schema"),
        (json!({ "functions": [] }), "functions"),
        (json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }), "tools"),
        (json!({ "continue_final_message": true }), "continue_final_message"),
        (json!({ "cache_salt": "x".repeat(300) }), "cache_salt"),
    ] {
        for stream in [false, true] {
            let answer = server.post(CHAT, &with(with(hello(), more.clone()), json!({ "stream": stream })));
            let (status, param, message) = answer.refusal();
            assert_eq!((status, param.as_str()), (400, field), "{more}: {message}");
            assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
            assert!(!message.contains('\n') && message.len() < 400, "{message}");
        }
    }
    let (status, param, _) = server.post(CHAT, &with(hello(), json!({ "stream_options": {} }))).refusal();
    assert_eq!((status, param.as_str()), (400, "stream_options"));
    let (status, param, message) = server.post(CHAT, &with(hello(), json!({ "model": "gpt-4" }))).refusal();
    assert_eq!((status, param.as_str()), (404, "model"));
    assert!(message.contains("mini"), "{message}");
}

#[test]
fn unknown_fields_and_nulls_change_nothing() {
    let server = Running::plain();
    let plain = server.ok(CHAT, &hello());
    let more = json!({
        "user": "anna", "store": true, "metadata": { "a": 1 }, "service_tier": "auto", "max_tokens": null, "stop": null,
        "n": null, "tools": null, "tool_choice": null, "logit_bias": null, "response_format": null, "stream": null,
    });
    let answer = server.ok(CHAT, &with(hello(), more));
    assert_eq!(answer["choices"][0]["message"], plain["choices"][0]["message"]);
}

#[test]
fn too_long_a_prompt_is_refused_with_both_numbers() {
    let server = Running::plain();
    let long = "서울 ".repeat(600);
    let answer = server.post(CHAT, &json!({ "messages": [{ "role": "user", "content": long }] }));
    assert_eq!(answer.json()["error"]["code"], "context_length_exceeded");
    let (status, _, message) = answer.refusal();
    assert_eq!(status, 400);
    assert!(message.contains("512"), "{message}");
    let numbers: Vec<u32> =
        message.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    assert!(numbers.iter().any(|&number| number >= 600), "{message}");
}

#[test]
fn parts_are_read_as_the_plain_text_is() {
    let server = Running::plain();
    let parts = json!({ "temperature": 0, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "한국의 수도는" }, { "type": "text", "text": " 어디야?" },
    ] }] });
    let (plain, parts) = (server.ok(CHAT, &hello()), server.ok(CHAT, &parts));
    assert_eq!(parts["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"]);
    assert_eq!(parts["choices"][0]["message"], plain["choices"][0]["message"]);
}

#[test]
fn a_last_message_is_continued_where_that_is_asked() {
    let server = Running::plain();
    let begun = json!({ "temperature": 0, "messages": [
        { "role": "user", "content": "한국의 수도는 어디야?" }, { "role": "assistant", "content": "서울이에요." },
    ] });
    let continued = server.ok(CHAT, &with(begun.clone(), json!({ "continue_final_message": true })));
    assert_eq!(continued["choices"][0]["message"]["content"], " 한국의 수도죠.", "the new text alone");
    let echoed =
        server.ok(CHAT, &with(begun.clone(), json!({ "continue_final_message": true, "echo": true })));
    assert_eq!(echoed["choices"][0]["message"]["content"], "서울이에요. 한국의 수도죠.");
    let answered = server.ok(CHAT, &begun);
    let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(tokens(&answered) > tokens(&continued), "else the turn is closed and a new one opened");
}

#[test]
fn log_probabilities_are_the_models_own_whatever_the_temperature() {
    let server = Running::plain();
    let asked = |temperature: f64| {
        let more = json!({ "logprobs": true, "top_logprobs": 3, "temperature": temperature, "seed": 1, "max_tokens": 1 });
        server.ok(CHAT, &with(hello(), more))["choices"][0]["logprobs"]["content"][0].clone()
    };
    let (cold, hot) = (asked(0.0), asked(2.0));
    assert_eq!(cold["top_logprobs"], hot["top_logprobs"]);
    assert_eq!(cold["top_logprobs"].as_array().unwrap().len(), 3);
    assert_eq!(cold["logprob"], cold["top_logprobs"][0]["logprob"], "the likeliest is chosen");
    let bytes: Vec<u8> = serde_json::from_value(cold["bytes"].clone()).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), cold["token"].as_str().unwrap());

    // Tokens that are parts of characters stay apart, and each token is told once.
    let more = json!({ "logprobs": true, "top_logprobs": 2, "stream": true });
    let events = server.events(CHAT, &with(hello(), more.clone()));
    let told: usize =
        events.iter().filter_map(|e| e["choices"][0]["logprobs"]["content"].as_array().map(Vec::len)).sum();
    let whole = server.ok(CHAT, &with(hello(), json!({ "logprobs": true })));
    assert_eq!(told as u64, whole["usage"]["completion_tokens"].as_u64().unwrap());
}

#[test]
fn a_schema_binds() {
    let server = Running::plain();
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["name", "age"], "properties": {
        "name": { "type": "string", "maxLength": 8 }, "age": { "type": "integer", "minimum": 1, "maximum": 99 },
    } });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "p", "schema": schema } });
    for temperature in [0.0, 1.5] {
        let more = json!({ "response_format": format, "temperature": temperature, "seed": 3 });
        let answer = server.ok(CHAT, &with(hello(), more));
        let said: Value =
            serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
        assert!(said["name"].is_string() && (1..=99).contains(&said["age"].as_u64().unwrap()), "{said}");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
    let whole = format;
    // What was required is there though no property is described.
    let format = json!({ "type": "json_schema", "json_schema": { "schema": { "type": "object", "required": ["a"] } } });
    let answer = server.ok(CHAT, &with(hello(), json!({ "response_format": format, "max_tokens": 300 })));
    if answer["choices"][0]["finish_reason"] == "stop" {
        let said: Value =
            serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
        assert!(said.get("a").is_some(), "{said}");
    }
    let cut = server.ok(CHAT, &with(hello(), json!({ "response_format": whole, "max_tokens": 4 })));
    assert_eq!(cut["choices"][0]["finish_reason"], "length", "a cut object is not a whole one");
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    let server = Running::plain();
    for schema in [
        json!({ "type": "array", "uniqueItems": true }),
        json!({ "not": { "type": "string" } }),
        json!({ "type": "wood" }),
    ] {
        let format = json!({ "type": "json_schema", "json_schema": { "schema": schema } });
        let (status, param, message) =
            server.post(CHAT, &with(hello(), json!({ "response_format": format }))).refusal();
        assert_eq!((status, param.as_str()), (400, "response_format"), "{schema}: {message}");
    }
    for outputs in [
        json!({ "regex": "(" }),
        json!({ "grammar": "start: (" }),
        json!({}),
        json!({ "regex": "a", "json_object": true }),
    ] {
        let (status, _, message) =
            server.post(CHAT, &with(hello(), json!({ "structured_outputs": outputs }))).refusal();
        assert_eq!(status, 400, "{outputs}: {message}");
    }
}

#[test]
fn an_answer_follows_an_expression_a_choice_or_a_grammar() {
    let server = Running::plain();
    let say = |outputs: Value| {
        let more = json!({ "structured_outputs": outputs, "temperature": 1.0, "seed": 5 });
        server.ok(CHAT, &with(hello(), more))["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let said = say(json!({ "regex": "[0-9]{2}-[가-힣]{2}\\d" }));
    let letters: Vec<char> = said.chars().collect();
    assert!(letters.len() == 6 && letters[2] == '-' && ('가'..='힣').contains(&letters[4]), "{said}");
    assert!(["부산", "서울"].contains(&say(json!({ "choice": ["부산", "서울"] })).as_str()));
    let said = say(json!({ "grammar": "start: \"x\" (\"a\" | \"b\")~3" }));
    assert!(said.len() == 4 && said.starts_with('x'), "{said}");
}

fn weather(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": {
        "type": "object", "properties": { "city": { "enum": ["Seoul", "Busan"] } }, "required": ["city"], "additionalProperties": false,
    } } })
}

#[test]
fn a_call_that_must_come_comes_and_is_read_back() {
    let server =
        Running::start(ServerOptions { models: vec![with_tools("mini")], ..ServerOptions::default() });
    let tools = json!({ "tools": [weather("weather"), weather("map")] });
    for (choice, names) in [
        (json!("required"), vec!["weather", "map"]),
        (json!({ "type": "function", "function": { "name": "map" } }), vec!["map"]),
    ] {
        let asked = with(
            with(hello(), tools.clone()),
            json!({ "tool_choice": choice, "parallel_tool_calls": false }),
        );
        let answer = server.ok(CHAT, &asked);
        let message = &answer["choices"][0]["message"];
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "{answer}");
        assert!(message["content"].is_null());
        let calls = message["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 1);
        assert!(names.contains(&calls[0]["function"]["name"].as_str().unwrap()));
        let arguments: Value =
            serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
        assert!(arguments["city"] == "Seoul" || arguments["city"] == "Busan");

        let events = server.events(CHAT, &with(asked, json!({ "stream": true })));
        let deltas: Vec<&Value> =
            events.iter().filter_map(|e| e["choices"][0]["delta"]["tool_calls"].get(0)).collect();
        assert_eq!(deltas[0]["index"], 0);
        assert_eq!((&deltas[0]["type"], &deltas[0]["function"]), (&json!("function"), &calls[0]["function"]));
        assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    }
}

#[test]
fn a_call_that_is_cut_is_no_call() {
    let server =
        Running::start(ServerOptions { models: vec![with_tools("mini")], ..ServerOptions::default() });
    let more = json!({ "tools": [weather("weather")], "tool_choice": "required", "max_tokens": 5 });
    let answer = server.ok(CHAT, &with(hello(), more));
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert!(answer["choices"][0]["message"].get("tool_calls").is_none());
}

#[test]
fn two_calls_at_once_have_numbers_and_names_of_their_own() {
    let server =
        Running::start(ServerOptions { models: vec![with_tools("mini")], ..ServerOptions::default() });
    // The model is held to two calls by a grammar of the test's own.
    let call = |city: &str| {
        format!(
            r#"<tool_call>{{\"name\": \"weather\", \"arguments\": {{\"city\": \"{city}\"}}}}</tool_call>"#
        )
    };
    let grammar = format!("start: \"{}\\n{}\"", call("Seoul"), call("Busan"));
    let more = json!({ "tools": [weather("weather")], "structured_outputs": { "grammar": grammar }, "stream": true });
    let events = server.events(CHAT, &with(hello(), more));
    let calls: Vec<&Value> =
        events.iter().filter_map(|e| e["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert_eq!(calls.iter().map(|call| call["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(calls[1]["function"]["arguments"], r#"{"city":"Busan"}"#);
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn a_conversation_with_calls_goes_on() {
    let server =
        Running::start(ServerOptions { models: vec![with_tools("mini")], ..ServerOptions::default() });
    let messages = json!([
        { "role": "user", "content": "날씨?" },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\": \"서울\"}" } },
        ] },
        { "role": "tool", "tool_call_id": "c1", "content": "맑음" },
    ]);
    let body =
        json!({ "messages": messages, "tools": [weather("weather")], "max_tokens": 4, "temperature": 0 });
    server.ok(CHAT, &body);
    // Written once as an object, not as text within text.
    let tokens = server.ok("/tokenize", &json!({ "messages": messages }))["tokens"].clone();
    let text = server.ok("/detokenize", &json!({ "tokens": tokens }))["prompt"].as_str().unwrap().to_owned();
    assert!(text.contains(r#""arguments": {"city": "서울"}"#), "{text}");
    // Not told of them, it calls none.
    let body = with(body, json!({ "tool_choice": "none" }));
    server.ok(CHAT, &body);
}

#[test]
fn thoughts_are_apart_in_both_forms() {
    let server = Running::plain();
    let grammar = "start: \"<think>\\n하나\\n</think>\\n\\n둘\"";
    let asked = with(hello(), json!({ "structured_outputs": { "grammar": grammar } }));
    let message = server.ok(CHAT, &asked)["choices"][0]["message"].clone();
    assert_eq!(message["content"], "둘");
    assert_eq!(message["reasoning_content"].as_str().unwrap().trim(), "하나");
    let events = server.events(CHAT, &with(asked, json!({ "stream": true })));
    assert_eq!(joined(&events, "content"), "둘");
    assert_eq!(joined(&events, "reasoning_content").trim(), "하나");
}
