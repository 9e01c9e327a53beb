//! `sai evaluate --endpoint`, against a completions server of this process.

mod common;

use common::http::{Request, http};
use common::{fails, sai, succeeds};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server behaves, and what it saw.
#[derive(Default)]
struct State {
    /// Answers that come first: status and `Retry-After`.
    refuses: Vec<(&'static str, &'static str)>,
    /// Log-probabilities are left out, as a server does that does not know `echo`.
    deaf: bool,
    /// Characters are tokens, and the server cuts texts.
    cuts: bool,
    prompts: Vec<Vec<u32>>,
    now: usize,
    most: usize,
}

#[derive(Clone)]
struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

/// The log-probability of a token, whatever stands before it.
fn logprob(token: u32) -> f64 {
    -f64::from(token % 7 + 1) / 4.0
}

impl Server {
    fn new(state: State) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Server { address, state: Arc::new(Mutex::new(state)) };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                std::thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else { return };
                    let reply = server.reply(&request);
                    let _ = std::io::Write::write_all(&mut &stream, &reply);
                });
            }
        });
        server
    }

    fn reply(&self, request: &Request) -> Vec<u8> {
        let json = |value: Value| {
            http("200 OK", &[("Content-Type", "application/json")], value.to_string().as_bytes())
        };
        match request.path.as_str() {
            "/v1/models" => json(json!({"data": [{"id": "tiny", "max_model_len": 512}]})),
            "/tokenize" if self.state.lock().expect("the state").cuts => {
                let (body, mut tokens) = (request.json(), Vec::new());
                if body["add_special_tokens"] == true {
                    tokens.push(1);
                }
                tokens.extend(body["prompt"].as_str().expect("a text").chars().map(u32::from));
                json(json!({ "tokens": tokens }))
            }
            "/v1/completions" => {
                let mut state = self.state.lock().expect("the state");
                if let Some((status, wait)) = state.refuses.pop() {
                    let said = r#"{"error": {"message": "the queue is full"}}"#;
                    return http(status, &[("Retry-After", wait)], said.as_bytes());
                }
                let body = request.json();
                let tokens: Vec<u32> = serde_json::from_value(body["prompt"][0].clone()).expect("tokens");
                state.prompts.push(tokens.clone());
                state.now += 1;
                state.most = state.most.max(state.now);
                let deaf = state.deaf;
                drop(state);
                std::thread::sleep(Duration::from_millis(5));
                self.state.lock().expect("the state").now -= 1;
                if body["echo"] != true {
                    assert_eq!(body["stop"][0], "Question:");
                    return json(json!({"choices": [{"text": " It is 7.\n#### 7\nQuestion: more"}]}));
                }
                let all = || [&tokens[..], &[3]].concat().into_iter().enumerate();
                let of = |(i, token): (usize, u32)| if i == 0 { Value::Null } else { logprob(token).into() };
                let top = |(i, token): (usize, u32)| match i {
                    0 => Value::Null,
                    _ => json!({"x": -0.25, "y": logprob(token)}),
                };
                let logprobs = match deaf {
                    true => Value::Null,
                    false => json!({
                        "token_logprobs": all().map(of).collect::<Value>(), "top_logprobs": all().map(top).collect::<Value>(),
                    }),
                };
                json(json!({"choices": [{"index": 0, "text": "", "logprobs": logprobs}]}))
            }
            _ => http("404 Not Found", &[], b"{}"),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }
}

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../evals/tests/fixtures").join(name)
}

fn evaluate(home: &Path, server: &Server, tasks: &str) -> Command {
    let mut command = sai(home);
    command.args(["evaluate", "--endpoint", &server.address, "--model-name", "tiny", "--profile", "main"]);
    command.args(["--tasks", tasks, "--data"]).arg(fixtures("data"));
    command
}

/// The scores of each document.
fn samples(home: &Path, command: &mut Command) -> Vec<Value> {
    let path = home.join("samples.jsonl");
    succeeds(command.arg("--force").arg("--samples").arg(&path));
    let text = std::fs::read_to_string(path).expect("samples");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_server_s_scores_are_those_of_the_tokens_that_were_sent() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::new(State { cuts: true, ..State::default() });
    let found = samples(home.path(), &mut evaluate(home.path(), &server, "kobest_sentineg"));
    assert_eq!(found.len(), 4);
    for sample in &found {
        for (argument, score) in sample["arguments"]
            .as_array()
            .expect("a list")
            .iter()
            .zip(sample["filtered_resps"].as_array().expect("a list"))
        {
            let choice = argument[1].as_str().expect("a text");
            let sum: f64 = choice.chars().map(|c| logprob(u32::from(c))).sum();
            assert_eq!(score[0].as_f64(), Some(sum), "{sample}");
            let greedy = choice.chars().all(|c| logprob(u32::from(c)) >= -0.25);
            assert_eq!(score[1].as_bool(), Some(greedy), "{sample}");
        }
    }
    // The server opens texts, and so does what it is sent.
    assert!(server.state().prompts.iter().all(|prompt| prompt[0] == 1));
    // A vocabulary on this machine cuts as the model's own.
    let server = Server::new(State::default());
    samples(
        home.path(),
        evaluate(home.path(), &server, "kobest_sentineg").arg("--tokenizer").arg(fixtures("model-bos")),
    );
    let state = server.state();
    assert_eq!(state.prompts.len(), 8);
    assert!(state.prompts.iter().all(|prompt| prompt[0] == 0 && prompt.iter().all(|&token| token < 448)));
}

#[test]
fn a_busy_server_is_asked_again_when_it_says_and_never_by_more_at_a_time_than_allowed() {
    let home = tempfile::tempdir().expect("a folder");
    let refuses = vec![("503 Service Unavailable", "0"), ("429 Too Many Requests", "0")];
    let server = Server::new(State { refuses, ..State::default() });
    let mut command = evaluate(home.path(), &server, "boolq,rte");
    let found =
        samples(home.path(), command.args(["--concurrent", "2", "--tokenizer"]).arg(fixtures("model")));
    assert_eq!(found.len(), 8);
    let state = server.state();
    assert!(state.refuses.is_empty() && (1..=2).contains(&state.most), "{}", state.most);
}

#[test]
fn a_server_without_log_probabilities_is_refused_at_once_and_not_scored_as_chance() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::new(State { deaf: true, ..State::default() });
    let mut command = evaluate(home.path(), &server, "kobest");
    let error = fails(command.args(["--quiet", "--concurrent", "1", "--tokenizer"]).arg(fixtures("model")));
    assert!(
        error.contains("/v1/completions: the server returned no log-probabilities of the prompt"),
        "{error}"
    );
    assert!(error.contains("llama-server does not"), "{error}");
    assert!(server.state().prompts.len() <= 2, "{}", server.state().prompts.len());
}

#[test]
fn a_server_that_has_no_such_model_or_cuts_no_texts_or_is_none_is_said_so() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::new(State::default());
    let error = fails(&mut evaluate(home.path(), &server, "rte"));
    assert!(error.contains("name the model's vocabulary with --tokenizer"), "{error}");
    let error = fails(evaluate(home.path(), &server, "rte").args(["--model-name", "large"]));
    assert!(error.contains("it serves no model `large`; it has tiny"), "{error}");
    let server = Server { address: "127.0.0.1:9".to_owned(), ..server };
    let error = fails(&mut evaluate(home.path(), &server, "rte"));
    assert!(error.contains("no address"), "{error}");
}

#[test]
fn a_server_s_answers_end_where_the_task_says() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::new(State::default());
    let mut command = evaluate(home.path(), &server, "gsm8k");
    let found = samples(home.path(), command.args(["--tokenizer"]).arg(fixtures("model")));
    assert_eq!(found[0]["resps"][0][0], " It is 7.\n#### 7\n");
    assert_eq!(found[0]["filtered_resps"], json!({"strict-match": "7", "flexible-extract": "7"}));
}
