//! Clients that mean ill, or leave.

mod common;

use common::{Running, entry, options};
use sai_server::{ApiKeys, Limits, ServerOptions};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";
const JSON: &str = "Content-Type: application/json\r\n";

fn limited(limits: Limits) -> Running {
    Running::start(ServerOptions {
        models: vec![entry("mini", options())],
        limits,
        ..ServerOptions::default()
    })
}

fn hello() -> Value {
    json!({ "messages": [{ "role": "user", "content": "안녕?" }], "temperature": 0 })
}

/// Work that takes long: many prompts of many tokens, none of which begins as another does.
fn long_work(stream: bool) -> Value {
    let prompts: Vec<Vec<u32>> =
        (0..400).map(|i| (0..500).map(|at| (300 + i * 7 + at * (i + 1)) % 8000).collect()).collect();
    json!({ "prompt": prompts, "max_tokens": 10, "stream": stream })
}

#[test]
fn whoever_leaves_frees_the_rows_in_prefill_and_in_the_queue() {
    let server = limited(Limits { parallel: 2, queue: 1000, ..Limits::default() });
    for (stream, leave) in
        [(false, None), (true, None), (false, Some(Shutdown::Write)), (false, Some(Shutdown::Both))]
    {
        let mut client = server.connect();
        let body = long_work(stream).to_string();
        client.write_all(&server.request("POST", "/v1/completions", JSON, body.as_bytes())).unwrap();
        server.wait_for("sai_answers_open ", 400.0);
        match leave {
            Some(how) => client.shutdown(how).unwrap(),
            None => drop(client),
        }
        server.wait_for("sai_answers_open ", 0.0);
        server.wait_for("sai_requests_running", 0.0);
        server.wait_for("sai_requests_waiting", 0.0);
        assert_eq!(server.metric("sai_cache_used_pages"), 0.0, "no page stays with who has left");
    }
    let rows = server.metric("sai_rows_total");
    assert!(rows < 4.0 * 400.0 * 500.0 / 2.0, "{rows} rows were computed for nobody");
    server.ok(CHAT, &hello());
}

#[test]
fn whoever_leaves_an_answer_ends_it() {
    let server = limited(Limits::default());
    let ends: Vec<u32> = vec![0, 1, 2, 3, 4, 5, 6, 7];
    let bias: Value =
        ends.iter().map(|id| (id.to_string(), json!(-100))).collect::<serde_json::Map<_, _>>().into();
    let body = json!({ "prompt": "서울은", "max_tokens": 480, "n": 16, "stream": true, "logit_bias": bias })
        .to_string();
    let mut client = server.connect();
    client.write_all(&server.request("POST", "/v1/completions", JSON, body.as_bytes())).unwrap();
    let mut some = [0; 600];
    client.read_exact(&mut some).unwrap();
    drop(client);
    server.wait_for("sai_answers_open ", 0.0);
    // What an engine says of itself is as of its latest pass.
    std::thread::sleep(Duration::from_millis(200));
    server.wait_for("sai_requests_running", 0.0);
    let before = server.metric("sai_rows_total");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.metric("sai_rows_total"), before, "nothing is computed any more");
}

#[test]
fn slow_heads_are_cut_and_others_are_served_meanwhile() {
    let server = limited(Limits { header_time: Duration::from_millis(600), ..Limits::default() });
    let mut slow: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
    }
    assert_eq!(server.get("/health").status, 200);
    let began = Instant::now();
    for client in &mut slow {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "they are cut by time, and not by their own end");
}

#[test]
fn slow_bodies_are_cut() {
    let server = limited(Limits { body_time: Duration::from_millis(300), ..Limits::default() });
    let mut client = server.connect();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    client.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[test]
fn bodies_that_are_huge_deep_or_no_text_are_refused() {
    let server = limited(Limits { body_bytes: 100_000, ..Limits::default() });
    let huge = format!("{{\"messages\": \"{}\"}}", "x".repeat(200_000));
    assert_eq!(server.post_text(CHAT, &huge).status, 413);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"messages\": {}1{}}}", open.repeat(10_000), close.repeat(10_000));
        assert_eq!(server.post_text(CHAT, &deep).status, 400);
        let passed_over = format!("{{\"x\": {}1{}}}", open.repeat(10_000), close.repeat(10_000));
        assert_eq!(server.post_text(CHAT, &passed_over).status, 400);
    }
    let broken = [
        &b"{\"messages\": [{\"role\": \"user\", \"content\": \"\xea\xb0\"}]}"[..],
        b"\xff\xfe{\0}\0",
        b"",
        b"null",
        b"[]",
        b"{\"messages\"",
    ];
    for body in broken {
        let answer = server.raw(&server.request("POST", CHAT, JSON, body));
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.json()["error"]["message"].is_string());
    }
    server.ok(CHAT, &hello());
}

#[test]
fn heads_that_are_no_http_end_the_connection() {
    let server = limited(Limits::default());
    for head in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[b'A'; 200_000]] {
        let mut client = server.connect();
        let _ = client.write_all(head);
        let _ = client.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn a_thousand_connections_are_held_and_served() {
    let server = limited(Limits::default());
    // All of them are open at once, and each is asked in the end.
    let mut clients: Vec<TcpStream> = (0..1000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    }
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[test]
fn connections_beyond_the_limit_wait_for_one_to_close() {
    let server = limited(Limits { connections: 4, ..Limits::default() });
    let held: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
    let mut waiting = server.connect();
    waiting.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(waiting.read(&mut [0; 1]).is_err(), "there is no place yet");
    drop(held);
    waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
}

#[test]
fn what_is_beyond_capacity_is_shed_with_a_time() {
    let server = limited(Limits { parallel: 1, queue: 0, ..Limits::default() });
    let mut busy = server.connect();
    let body = long_work(false).to_string();
    busy.write_all(&server.request("POST", "/v1/completions", JSON, body.as_bytes())).unwrap();
    server.wait_for("sai_answers_open ", 400.0);
    let answer = server.post(CHAT, &hello());
    assert_eq!(answer.status, 429);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    assert_eq!(server.metric("sai_requests_shed_total"), 1.0);
    drop(busy);
    server.wait_for("sai_answers_open ", 0.0);
    server.ok(CHAT, &hello());
}

#[test]
fn tenants_of_another_salt_find_nothing_of_each_other() {
    let server = limited(Limits::default());
    let secret = "비밀번호는 하늘색 코끼리 열두 마리입니다. ".repeat(8);
    let asked =
        |salt: Value| json!({ "prompt": secret, "max_tokens": 1, "temperature": 0, "cache_salt": salt });
    let cached = |salt: Value| {
        let answer = server.ok("/v1/completions", &asked(salt));
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(json!("anna")), 0);
    assert!(cached(json!("anna")) > 32, "the same tenant finds its own");
    assert_eq!(cached(json!("ben")), 0);
    assert_eq!(cached(Value::Null), 0);
    // And the answers are the same, salt or not.
    let text = |salt: Value| server.ok("/v1/completions", &asked(salt))["choices"][0]["text"].clone();
    assert_eq!(text(json!("anna")), text(json!("ben")));
}

#[test]
fn a_guess_at_anothers_text_gets_nothing_of_it_but_time() {
    let server = limited(Limits::default());
    let secret = "열쇠는 7319 번입니다. 아무에게도 말하지 마세요. 열쇠는 7319 번입니다.";
    let probe = "열쇠는 ";
    let ask = |text: &str| {
        let body = json!({ "prompt": text, "max_tokens": 12, "temperature": 0, "logprobs": 5, "echo": true });
        server.ok("/v1/completions", &body)["choices"].clone()
    };
    let before = ask(probe);
    for _ in 0..3 {
        ask(secret);
    }
    assert_eq!(ask(probe), before, "what others wrote changes neither the text nor its log-probabilities");
}

#[test]
fn many_salts_do_not_pile_up() {
    let server = limited(Limits::default());
    for i in 0..600 {
        let body = json!({ "prompt": "가", "max_tokens": 1, "cache_salt": format!("tenant {i}") });
        server.ok("/v1/completions", &body);
    }
    server.ok(CHAT, &hello());
}

#[test]
fn draining_finishes_what_was_asked_and_takes_no_more() {
    let mut server = limited(Limits::default());
    let mut client = server.connect();
    let body = json!({ "prompt": "서울은", "max_tokens": 300, "n": 16, "stream": true }).to_string();
    client.write_all(&server.request("POST", "/v1/completions", JSON, body.as_bytes())).unwrap();
    let mut some = [0; 400];
    client.read_exact(&mut some).unwrap();
    server.stop();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "the stream is whole");
    let began = Instant::now();
    while !server.is_done() {
        assert!(began.elapsed() < Duration::from_secs(10), "it ends when all is answered");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn hosts_and_pages_of_elsewhere_are_refused() {
    let origins = vec!["https://app.example".to_owned()];
    let server = Running::start(ServerOptions {
        models: vec![entry("mini", options())],
        origins,
        ..ServerOptions::default()
    });
    let raw = |host: &str, method: &str, path: &str, headers: &str, body: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        server.raw(request.as_bytes())
    };
    // A name that was made to lead here.
    assert_eq!(raw("evil.example", "GET", "/v1/models", "", "").status, 403);
    for own in ["localhost:1", "127.0.0.1", "[::1]:8042"] {
        assert_eq!(raw(own, "GET", "/v1/models", "", "").status, 200, "{own}");
    }
    let body = hello().to_string();
    // What a page can send without asking first.
    assert_eq!(raw("localhost", "POST", CHAT, "Content-Type: text/plain\r\n", &body).status, 415);
    assert_eq!(
        raw("localhost", "POST", CHAT, &format!("{JSON}Origin: https://evil.example\r\n"), &body).status,
        403
    );
    assert_eq!(
        raw("localhost:9", "POST", CHAT, &format!("{JSON}Origin: http://localhost:9\r\n"), &body).status,
        200
    );
    let allowed = raw("localhost", "POST", CHAT, &format!("{JSON}Origin: https://app.example\r\n"), &body);
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    let asked = raw("localhost", "OPTIONS", CHAT, "Origin: https://evil.example\r\n", "");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, None));
    let page = raw("localhost", "GET", "/", "", "");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains('*'));
}

#[test]
fn keys_are_asked_for_but_by_browsers_that_ask_whether_they_may() {
    let keys = ApiKeys::parse("anna 0123456789abcdef\n").unwrap();
    let origins = vec!["https://app.example".to_owned()];
    let server = Running::start(ServerOptions {
        models: vec![entry("mini", options())],
        keys,
        origins,
        ..ServerOptions::default()
    });
    let ask = |headers: &str| server.raw(&server.request("GET", "/v1/models", headers, b""));
    assert_eq!(ask("Authorization: Bearer 0123456789abcdef\r\n").status, 200);
    assert_eq!(ask("Authorization: bearer 0123456789abcdef\r\n").status, 200);
    for headers in [
        "",
        "Authorization: Bearer 0123456789abcdee\r\n",
        "Authorization: Basic x\r\n",
        "Authorization: Bearer\r\n",
    ] {
        let answer = ask(headers);
        assert_eq!(answer.status, 401, "{headers}");
        assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
        assert!(answer.header("www-authenticate").is_some());
        assert!(!answer.body.contains("0123456789abcde"), "a key is told to nobody");
    }
    assert_eq!(server.get("/metrics").status, 401);
    for open in ["/health", "/ready", "/"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = server.raw(&server.request("OPTIONS", CHAT, preflight, b""));
    assert_eq!(answer.status, 204, "a browser asks without a key");
    assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    // Else a page cannot read why it was refused.
    let answer = server.raw(&server.request("GET", "/v1/models", "Origin: https://app.example\r\n", b""));
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (401, Some("https://app.example"))
    );
}

#[test]
fn a_request_keeps_its_name_if_it_is_one() {
    let server = Running::plain();
    let named = |id: &str| {
        let answer = server.raw(&server.request("GET", "/health", &format!("X-Request-Id: {id}\r\n"), b""));
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(named("abc-1.2"), "abc-1.2");
    assert!(named("a b").starts_with("req-"));
    assert!(named(&"x".repeat(500)).starts_with("req-"));
    assert_ne!(named(""), named(""));
}

#[test]
fn a_reader_that_takes_nothing_gives_its_place_back() {
    let limits =
        Limits { write_time: Duration::from_millis(400), parallel: 4, queue: 0, ..Limits::default() };
    let server = limited(limits);
    // Some 40 MB of events, more than the system keeps for a reader.
    let prompts: Vec<[u32; 1]> = (0..500).map(|i| [300 + i]).collect();
    let body = json!({ "prompt": prompts, "max_tokens": 200, "stream": true, "logprobs": 5 });
    let mut silent = server.connect();
    let request = server.request("POST", "/v1/completions", JSON, body.to_string().as_bytes());
    silent.write_all(&request).unwrap();
    server.wait_for("sai_answers_open ", 500.0);
    server.wait_for("sai_answers_open ", 0.0);
    server.ok(CHAT, &hello());
    drop(silent);
}

#[test]
fn what_one_request_asks_for_is_bounded() {
    let server = limited(Limits::default());
    let many: Vec<&str> = vec!["a"; 2000];
    let refused = server.post("/v1/completions", &json!({ "prompt": many, "n": 128 }));
    assert_eq!((refused.status, refused.json()["error"]["param"].as_str()), (400, Some("n")));
    let biases: serde_json::Map<String, Value> = (0..301).map(|id| (id.to_string(), json!(1))).collect();
    let refused = server.post("/v1/completions", &json!({ "prompt": "a", "logit_bias": biases }));
    assert_eq!((refused.status, refused.json()["error"]["param"].as_str()), (400, Some("logit_bias")));
}
